"""The choice of the next token, against slow references that follow the definitions."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from daedal.errors import DaedalError
from daedal.inference.logits import (
    argmax,
    choose,
    gumbel,
    log_probabilities,
    min_p,
    penalise,
    restrict,
    tempered,
    top_k,
    top_p,
)
from daedal.inference.sampling import SamplingOptions

logits = arrays.arrays(
    "float32", st.integers(1, 40), elements=st.floats(-30, 30, width=32), fill=st.floats(-3, 3, width=32)
)


def drawn_from(rows: torch.Tensor, options: SamplingOptions) -> torch.Tensor:
    """The log of the distribution that is drawn from, up to a constant."""
    return restrict(tempered(rows.float(), options.temperature), options)


def kept(row: torch.Tensor) -> set[int]:
    return {i for i, value in enumerate(row.tolist()) if value != -math.inf}


def softmax(values: list[float]) -> list[float]:
    largest = max(values)
    weights = [math.exp(value - largest) for value in values]
    return [weight / math.fsum(weights) for weight in weights]


@given(logits, st.integers(0, 50))
def test_top_k_keeps_the_largest_and_their_ties(values: torch.Tensor, k: int) -> None:
    row = torch.tensor(values)[None]
    threshold = sorted(values.tolist(), reverse=True)[min(k, len(values)) - 1] if k else -math.inf
    assert kept(top_k(row, k)[0]) == {i for i, value in enumerate(values.tolist()) if value >= threshold}


@given(logits, st.floats(0, 1))
def test_top_p_keeps_the_smallest_set_that_holds_p(values: torch.Tensor, p: float) -> None:
    row = torch.tensor(values)[None]
    probabilities = softmax(values.tolist())
    nucleus = kept(top_p(row, p)[0])
    assert nucleus
    rest = [probabilities[i] for i in range(len(probabilities)) if i not in nucleus]
    least = min(probabilities[i] for i in nucleus)
    assert all(other <= least + 1e-6 for other in rest)
    held = math.fsum(probabilities[i] for i in nucleus)
    assert held >= p - 1e-5
    without_last = math.fsum(probabilities[i] for i in nucleus if probabilities[i] > least * (1 + 1e-6))
    assert without_last < p + 1e-5 or len(nucleus) == 1


def test_top_p_of_a_nucleus_larger_than_the_first_guess_is_exact() -> None:
    row = torch.randn(3, 5000, generator=torch.Generator().manual_seed(1))
    row[0] *= 20  # small nucleus beside large ones
    for p in (0.5, 0.9, 0.999):
        for line in row:
            order = line.softmax(-1).double().sort(descending=True)
            size = int((order.values.cumsum(0) < p).sum()) + 1
            assert abs(len(kept(top_p(row, p)[0])) - 1) < 5000
            assert abs(len(kept(top_p(line[None], p)[0])) - size) <= 1
    assert torch.equal(top_p(row, 0.9)[0], top_p(row[:1], 0.9)[0])


def test_the_ends_of_top_p() -> None:
    row = torch.tensor([[1.0, 3.0, 2.0]])
    assert kept(top_p(row, 0)[0]) == {1}
    assert kept(top_p(row, 1)[0]) == {0, 1, 2}


@given(logits, st.floats(0, 1))
def test_min_p_keeps_what_is_likely_enough(values: torch.Tensor, p: float) -> None:
    probabilities = softmax(values.tolist())
    nucleus = kept(min_p(torch.tensor(values)[None], p)[0])
    for i, probability in enumerate(probabilities):
        ratio = probability / max(probabilities)
        if abs(ratio - p) > 1e-5:
            assert (i in nucleus) == (ratio >= p)


def test_temperature_scales_and_never_overflows() -> None:
    row = torch.tensor([[1000.0, 999.0, -1e30]])
    cold = drawn_from(row, SamplingOptions(temperature=1e-40))
    assert cold.softmax(-1).tolist() == [[1.0, 0.0, 0.0]]
    warm = drawn_from(row, SamplingOptions(temperature=2)).softmax(-1)
    assert warm[0, 1] / warm[0, 0] == pytest.approx(math.exp(-0.5))
    hot = drawn_from(row[:, :2], SamplingOptions(temperature=1e30)).softmax(-1)
    assert hot.tolist() == [[0.5, 0.5]]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_zero_temperature_takes_the_most_likely_whatever_the_rest_says(seed: int) -> None:
    row = torch.randn(2, 30, generator=torch.Generator().manual_seed(seed))
    options = SamplingOptions(temperature=0, top_k=3, top_p=0.1)
    assert choose(row, options, None) == row.argmax(-1).tolist()


def test_draws_follow_the_distribution() -> None:
    """Pearson's statistic of 20,000 draws, at five standard deviations."""
    row = torch.tensor([[0.5, 2.0, -1.0, 1.0, 0.0, -9.0]])
    options = SamplingOptions(temperature=0.7, top_k=4)
    expected = drawn_from(row, options).softmax(-1)[0].double() * 20_000
    generator = np.random.default_rng(5)
    counts = torch.zeros(6, dtype=torch.float64)
    for _ in range(20_000):
        counts[choose(row, options, gumbel(generator, 6)[None])[0]] += 1
    assert counts[2] == counts[5] == 0
    real = expected > 0
    statistic = ((counts[real] - expected[real]) ** 2 / expected[real]).sum().item()
    assert statistic < 3 + 5 * math.sqrt(6)  # chi squared with three degrees of freedom


@pytest.mark.parametrize("seed", range(40))
def test_a_draw_among_the_likeliest_is_the_draw_among_all(seed: int) -> None:
    """Peaked and flat rows, rows with ties, and all ways to restrict them."""
    chance = np.random.default_rng(seed)
    scale = torch.from_numpy(chance.choice([0.3, 3.0, 12.0], size=(4, 1)).astype(np.float32))
    rows = scale * torch.from_numpy(chance.standard_normal((4, 1500), dtype=np.float32))
    if seed % 4 == 0:
        rows = rows.round()
    if seed % 5 == 0:
        rows[:, chance.permutation(1500)[: chance.choice([700, 1497])]] = -math.inf
    options = SamplingOptions(
        temperature=float(chance.choice([0.3, 1.0, 1.7, 1e-6])),
        top_k=int(chance.choice([0, 1, 2, 40, 1499, 5000])),
        top_p=float(chance.choice([0.0, 0.5, 0.93, 1.0])),
        min_p=float(chance.choice([0.0, 0.07, 1.0])),
    )
    noise = torch.stack([gumbel(chance, 1500) for _ in range(4)])
    assert choose(rows, options, noise.clone()) == argmax(drawn_from(rows, options) + noise)


def test_noise_is_finite() -> None:
    assert gumbel(np.random.default_rng(0), 2**20).isfinite().all()

    class Ends:
        def random(self, size: int, dtype: type) -> object:
            return np.array([0, 2**-24, 1 - 2**-24], dtype=dtype)

    assert gumbel(Ends(), 3).isfinite().all()  # type: ignore[arg-type]


def test_noise_is_gumbel_distributed() -> None:
    """Mean and variance of 2**20 numbers, at five standard deviations of the mean."""
    noise = gumbel(np.random.default_rng(0), 2**20).double()
    variance = math.pi**2 / 6
    assert abs(noise.mean().item() - np.euler_gamma) < 5 * math.sqrt(variance / 2**20)
    assert abs(noise.var().item() / variance - 1) < 0.01


def test_penalties_follow_their_definitions() -> None:
    row = torch.tensor([[2.0, -2.0, 1.0, -1.0]])
    seen = torch.tensor([[True, True, False, False]])
    counts = torch.tensor([[3.0, 0.0, 0.0, 0.0]])
    assert penalise(row, seen, counts, repetition=2).tolist() == [[1.0, -4.0, 1.0, -1.0]]
    assert penalise(row, seen, counts, repetition=1e-45).isfinite().all()
    assert penalise(row, seen, counts, presence=0.5).tolist() == [[1.5, -2.0, 1.0, -1.0]]
    assert penalise(row, seen, counts, frequency=0.5).tolist() == [[0.5, -2.0, 1.0, -1.0]]


def test_log_probabilities_are_of_the_raw_distribution() -> None:
    row = torch.tensor([[0.0, 1.0, 2.0]])
    chosen, top = log_probabilities(row, torch.tensor([0]), 2)
    expected = [math.log(value) for value in softmax([0, 1, 2])]
    assert chosen == pytest.approx([expected[0]])
    assert [i for i, _ in top[0]] == [2, 1]
    assert [value for _, value in top[0]] == pytest.approx([expected[2], expected[1]])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([math.nan, 1.0], "not finite"),
        ([math.inf, 1.0], "not finite"),
        ([-math.inf, -math.inf], "ruled out"),
    ],
)
def test_unusable_logits_are_told(temperature: float, values: list[float], said: str) -> None:
    rows = torch.tensor([[0.0, 1.0], values])
    with pytest.raises(DaedalError, match=said):
        choose(rows, SamplingOptions(temperature=temperature, top_p=0.9), torch.zeros(2, 2))


def test_argmax_takes_the_first_of_equals() -> None:
    assert argmax(torch.tensor([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])) == [1, 0]


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -1}, {"temperature": math.nan}, {"top_p": 1.1}, {"top_p": -0.1}, {"top_k": -1}, {"min_p": 2},
        {"repetition_penalty": 0}, {"max_tokens": 0}, {"seed": -1}, {"stop": ["a", ""]}, {"logprobs": -1},
        {"overflow": "wrap"}, {"overflow": "slide"}, {"logit_bias": {-1: 1.0}}, {"logit_bias": {"x": 1.0}}, {"heat": 1},
    ],
)  # fmt: skip
def test_a_bad_option_is_one_clear_line(values: dict[str, object]) -> None:
    with pytest.raises(DaedalError) as error:
        SamplingOptions.parse(values, "generate")
    assert "\n" not in str(error.value)
    assert next(iter(values)) in str(error.value)


def test_options_cost_no_import_of_torch() -> None:
    code = "import sys, daedal.inference.sampling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
