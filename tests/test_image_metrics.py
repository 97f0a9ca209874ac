"""The numbers of samples beside a reference: published values, closed forms, invariants, and intervals that cover."""

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.evaluation.images.features import Features, extract
from daedal.evaluation.images.frechet import distance_of_moments, extrapolate, frechet_distance, frechet_error
from daedal.evaluation.images.inception_score import inception_score
from daedal.evaluation.images.kernel import kernel_distance
from daedal.evaluation.images.manifold import manifold
from daedal.evaluation.images.memorization import Nearest, authenticity, copy_test, nearest, nearest_of
from daedal.evaluation.images.moments import Moments
from daedal.evaluation.images.retrieval import retrieval
from daedal.evaluation.means import mean_interval, wilson

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden_image_metrics.json").read_text())


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """The benchmark that made the golden values, for its arrays."""
    spec = importlib.util.spec_from_file_location("image_metrics", HERE.parent / "benchmarks" / "image_metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normal(n: int, width: int, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    drawn = np.random.default_rng(seed).standard_normal((n, width))
    return torch.from_numpy(drawn * scale + shift)


@pytest.mark.parametrize("shape", [(1200, 1100, 64), (1100, 1150, 96)])
def test_every_number_is_torch_fidelitys_on_the_same_arrays(bench: ModuleType, shape: tuple[int, int, int]) -> None:
    expected = GOLDEN["arrays"]["x".join(map(str, shape))]
    found = bench.ours(*bench.arrays(*shape))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-5, rel=1e-5), name


def test_with_fewer_pictures_than_features_the_distance_is_torch_fidelitys_too(bench: ModuleType) -> None:
    x, y = bench.arrays(1050, 1020, 1100)
    assert frechet_distance(x, y) == pytest.approx(GOLDEN["arrays"]["1050x1020x1100"]["fid"], rel=1e-5)


def test_the_distance_of_independent_features_is_the_closed_form() -> None:
    # Diagonal Gaussians: |m1 - m2|^2 + sum (s1 - s2)^2, from moments that are exact
    n = 10
    one = Moments(n, torch.zeros(3, dtype=torch.double), torch.diag(torch.tensor([1.0, 4.0, 9.0]).double()) * (n - 1))
    other = Moments(n, torch.tensor([1.0, 0, 2]).double(), torch.diag(torch.tensor([4.0, 4.0, 1.0]).double()) * (n - 1))
    assert distance_of_moments(one, other) == pytest.approx(1 + 4 + (1 + 0 + 4), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 40), st.integers(2, 40), st.integers(1, 12))
def test_the_distance_is_symmetric_not_negative_and_the_same_by_both_routes(s: int, n: int, m: int, width: int) -> None:
    x, y = normal(n, width, s), normal(m, width, s + 1, 0.5, 1.5)
    value = frechet_distance(x, y)
    assert value >= 0
    assert value == pytest.approx(frechet_distance(y, x), rel=1e-6, abs=1e-6)
    assert value == pytest.approx(distance_of_moments(Moments.of(x), Moments.of(y)), rel=1e-5, abs=1e-5)


def test_the_distance_to_itself_is_nothing_and_does_not_change_when_all_is_moved_and_turned() -> None:
    x, y = normal(60, 8), normal(50, 8, 1, 0.3)
    turn, _ = torch.linalg.qr(normal(8, 8, 2))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x @ turn + 5, y @ turn + 5) == pytest.approx(frechet_distance(x, y), rel=1e-9)


def test_features_that_never_change_do_no_harm() -> None:
    x, y = normal(60, 8), normal(50, 8, 1, 0.3)
    for dead in (x, y):
        dead[:, 3] = 0
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(x[:, kept], y[:, kept]), rel=1e-7)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e3, 1e3))
def test_moments_of_parts_merge_to_those_of_the_whole(sizes: list[int], shift: float) -> None:
    x = normal(sum(sizes), 4, shift=shift)
    merged = Moments.merged(Moments.of(part) for part in x.split(sizes))
    whole = Moments.of(x)
    assert merged.n == whole.n
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.scatter, whole.scatter, rtol=1e-9, atol=1e-7)
    if len(sizes) > 1:
        left = whole.without(Moments.of(x[: sizes[0]]))
        torch.testing.assert_close(left.scatter, Moments.of(x[sizes[0] :]).scatter, rtol=1e-7, atol=1e-6)


def test_the_distances_standard_error_is_its_spread_over_new_pictures() -> None:
    pairs = [(normal(150, 4, s), normal(150, 4, 1000 + s, 0.5, 1.3)) for s in range(60)]
    spread = float(np.std([frechet_distance(*pair) for pair in pairs], ddof=1))
    errors = float(np.mean([frechet_error(*pair, seed=0) for pair in pairs[:20]]))
    assert errors == pytest.approx(spread, rel=0.35)


def test_at_infinity_the_distance_has_no_bias() -> None:
    plain, far = [], []
    for s in range(12):
        x, y = normal(300, 10, s), normal(300, 10, 100 + s)
        plain.append(frechet_distance(x, y))
        far.append(extrapolate(x, y, seed=s).value)
    assert np.mean(plain) > 0.15
    assert abs(np.mean(far)) < 0.2 * np.mean(plain)


def test_the_kernel_distance_is_zero_on_average_where_both_kinds_are_the_same_and_its_interval_covers() -> None:
    found = [kernel_distance(normal(120, 5, s), normal(120, 5, 500 + s), subsets=20, size=60) for s in range(40)]
    values = np.array([each.value for each in found])
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    inside = sum(each.interval[0] <= 0 <= each.interval[1] for each in found)
    assert inside >= 34


def test_a_kernel_distance_of_all_pictures_is_the_formula() -> None:
    x, y = normal(30, 3), normal(30, 3, 1, 0.5)

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T / 3 + 1) ** 3

    inside = sum(float(kernel(a, a).sum() - kernel(a, a).trace()) for a in (x, y)) / (30 * 29)
    expected = inside - 2 * float(kernel(x, y).mean())
    assert kernel_distance(x, y, subsets=3, size=30).value == pytest.approx(expected, rel=1e-12)


def test_the_inception_score_is_one_for_doubt_and_the_number_of_classes_for_certainty() -> None:
    assert inception_score(torch.zeros(100, 7)).value == pytest.approx(1)
    sure = torch.eye(5).repeat(200, 1) * 1000
    assert inception_score(sure).value == pytest.approx(5, rel=0.05)


def test_samples_among_the_reference_are_precise_and_copies_of_it_recall_it() -> None:
    reference = normal(80, 3)
    found = manifold(reference + 1e-6, reference)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    far = manifold(normal(80, 3, 1) + 100, reference)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_density_and_coverage_are_prdcs_formula() -> None:
    x, y, k = normal(60, 2, 1, 0.3), normal(70, 2), 5
    reach = torch.cdist(y, y).sort(1).values[:, k]
    distances = torch.cdist(y, x)
    found = manifold(x, y)
    assert found.density == pytest.approx(float((distances < reach[:, None]).sum() / (k * len(x))))
    assert found.coverage == pytest.approx(float((distances.min(1).values < reach).double().mean()))


def test_intervals_hold_their_values() -> None:
    found = manifold(normal(90, 3, 1, 0.5), normal(100, 3))
    values = (found.precision, found.recall, found.density, found.coverage)
    for value, (low, high) in zip(values, found.intervals, strict=True):
        assert low <= value <= high
    for hits in (0, 3, 10):
        low, high = wilson(hits, 10) or (1, 0)
        assert 0 <= low <= hits / 10 <= high <= 1


def test_leaving_out_a_group_is_measuring_without_it() -> None:
    from daedal.evaluation.images import manifold as module

    x, y = normal(60, 3, 1), normal(60, 3)
    kept = torch.ones(2, 60, dtype=torch.bool)
    kept[1, 10:16] = False
    all_kept = torch.ones(2, 60, dtype=torch.bool)
    numbers = module._numbers(x, y, all_kept, kept, 3, 5)[1]
    found = manifold(x, y[kept[1]])
    assert numbers.tolist() == pytest.approx([found.precision, found.recall, found.density, found.coverage])


@pytest.mark.parametrize(
    ("measure", "needs"),
    [
        (lambda x: frechet_distance(x[:1], x), "2"),
        (lambda x: extrapolate(x, x, 0), "32"),
        (lambda x: kernel_distance(x, x), "1,000"),
        (lambda x: inception_score(x[:9]), "10"),
        (lambda x: manifold(x[:5], x), "12"),
        (lambda x: copy_test(Nearest(np.ones(5), np.zeros(5, int)), Nearest(np.ones(30), np.zeros(30, int))), "20"),
    ],
)  # fmt: skip
def test_too_few_pictures_say_how_many_are_needed(measure, needs: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DaedalError, match=needs):
        measure(normal(20, 8))


def test_copies_are_found_by_both_tests_and_new_pictures_are_not() -> None:
    train, held_out, new = normal(200, 3), normal(200, 3, 1), normal(200, 3, 2)
    copied = train[:150] + 1e-3
    other = nearest(held_out, train)
    for samples, genuine in ((new, True), (copied, False)):
        near = nearest(samples, train)
        spread = Nearest(*(getattr(nearest_of(train, np.arange(200)), name) for name in ("distances", "indices")))
        share = authenticity(near, spread)
        test = copy_test(near, other)
        assert (share.value > 0.3) == genuine
        assert (test.p > 0.01) == genuine
        assert test.interval[0] <= test.probability <= test.interval[1]


def test_a_training_picture_is_not_its_own_neighbour() -> None:
    train = torch.tensor([[0.0], [1.0], [3.0]])
    found = nearest_of(train, np.array([0, 2]))
    assert found.indices.tolist() == [1, 1]
    assert found.distances.tolist() == [1.0, 2.0]


# -- what features may be: constant, few, copied, broken -----------------------------------------------------------------


def torch_fidelitys_distance(x: torch.Tensor, y: torch.Tensor) -> float:
    """The formula of torch-fidelity 0.4.0, as it stands there: the eigenvalues of the product of the covariances."""
    a, b = x.numpy(), y.numpy()
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = a.mean(0) - b.mean(0)
    shared = np.sqrt(np.linalg.eigvals(one.dot(other)).astype("complex128")).real.sum()
    return float(apart.dot(apart) + np.trace(one) + np.trace(other) - 2 * shared)


@pytest.mark.parametrize("n", [300, 20])
@pytest.mark.parametrize("collapsed", [(True, False), (False, True), (True, True)])
def test_a_collapsed_generator_has_torch_fidelitys_distance(n: int, collapsed: tuple[bool, bool]) -> None:
    x, y = normal(n, 40), normal(n + 30, 40, 1, 0.3)
    x, y = (each[:1].repeat(len(each), 1) if same else each for each, same in zip((x, y), collapsed, strict=True))
    expected = torch_fidelitys_distance(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert distance_of_moments(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-9)
    assert math.isfinite(frechet_error(x, y, seed=0))


@pytest.mark.parametrize("n", [40, 64, 65, 300])
def test_a_set_is_at_no_distance_from_itself_however_many_pictures_there_are(n: int) -> None:
    # At as many pictures as features the smallest directions are nearly nothing, and their squares are lost
    x = torch.relu(normal(n, 64) * torch.logspace(0, -3, 64) + 0.3)
    assert frechet_distance(x, x.clone()) < 1e-10


METRICS = {
    "frechet": frechet_distance,
    "moments": lambda x, y: distance_of_moments(Moments.of(x), Moments.of(y)),
    "at infinity": lambda x, y: extrapolate(x, y, seed=0).value,
    "kernel": lambda x, y: kernel_distance(x, y, subsets=3, size=30).value,
    "score": lambda x, y: inception_score(x).value,
    "manifold": lambda x, y: manifold(x, y).precision,
    "nearest": lambda x, y: nearest(x, y).distances.max(),
    "nearest of": lambda x, y: nearest_of(x, np.arange(40)).distances.max(),
    "recall": lambda x, y: retrieval(x, y, torch.eye(len(x)).bool(), model_hash="", data_hash="")[0][0].value,
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_every_metric_refuses_features_that_are_no_numbers(name: str, bad: float) -> None:
    x, y = normal(40, 4), normal(40, 4, 1)
    x[3, 2] = x[7, 1] = bad
    with pytest.raises(DaedalError, match=r"of 40 pictures are NaN or infinite|of 4 directions are NaN or infinite"):
        METRICS[name](x, y)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_takes_features_of_half_precision_and_of_none(name: str) -> None:
    x, y = normal(40, 4).half(), normal(40, 4, 1).half()
    assert METRICS[name](x, y) == pytest.approx(METRICS[name](x.double(), y.double()), rel=1e-9)
    constant = torch.ones(40, 4)
    for one, other in ((x, constant), (constant, y), (constant, constant)):
        assert math.isfinite(METRICS[name](one, other))


def test_an_extractor_whose_features_are_no_numbers_is_refused() -> None:
    class Broken:
        name = title = note = "broken"
        conditions: ClassVar[dict[str, str]] = {}

        def __call__(self, pictures: np.ndarray) -> Features:
            return Features(torch.ones(len(pictures), 3), torch.full((len(pictures), 2), math.nan))

    with pytest.raises(DaedalError, match="extractor broken needs finite features"):
        extract(Broken(), np.zeros((5, 4, 4, 1), np.uint8))  # type: ignore[arg-type]


def test_a_kernel_distance_to_the_same_tensor_is_that_to_its_copy() -> None:
    x = normal(60, 3)
    assert kernel_distance(x, x, subsets=5, size=40).value == kernel_distance(x, x.clone(), subsets=5, size=40).value


def by_hand(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage from differences, pair by pair."""

    def apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one[:, None] - other[None]).square().sum(-1).sqrt()

    def reach(features: torch.Tensor, k: int) -> torch.Tensor:
        return apart(features, features).kthvalue(k + 1).values

    between = apart(x, y)
    near, strict, own = reach(y, 3), reach(y, 5), reach(x, 3)
    return (
        float((between <= near).any(1).double().mean()),
        float((between <= own[:, None]).any(0).double().mean()),
        int((between < strict).sum()) / (5 * len(x)),
        float((between < strict).any(0).double().mean()),
    )


def test_copies_are_no_distance_apart_and_lie_on_borders_as_the_formula_says() -> None:
    # Far from the origin and many to a row, where products of features cancel
    features = (normal(120, 12, 2) + 30).float()
    several = features[:40].repeat(3, 1)
    six = features[:20].repeat(6, 1)
    for x, y in ((features, features.clone()), (several, features), (features, six), (six, six.flip(0))):
        found = manifold(x, y)
        expected = by_hand(x.double(), y.double())
        assert (found.precision, found.recall, found.density, found.coverage) == expected


def test_shares_are_rounded_once() -> None:
    x, y = normal(91, 3, 1, 0.8), normal(97, 3)
    found = manifold(x, y)
    for value, n in ((found.precision, 91), (found.recall, 97), (found.coverage, 97)):
        assert value == round(value * n) / n


def test_a_copy_is_no_distance_from_what_it_copies() -> None:
    train = (normal(300, 64) + 5).float()
    again = nearest(train[100:160], train)
    assert again.distances.max() == 0
    assert again.indices.tolist() == list(range(100, 160))
    doubled = torch.cat([train, train[:50]])
    assert nearest_of(doubled, np.arange(50)).distances.max() == 0
    # A sample and a held-out picture that are the same are equally far, however many are asked for with them
    held_out = (normal(80, 64, 1) + 5).float()
    assert nearest(held_out[:33], train).distances.tolist() == nearest(held_out, train).distances[:33].tolist()
    near = nearest(doubled[300:], doubled[:300])
    assert authenticity(near, nearest_of(doubled[:300], np.arange(300))).value == 0


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_an_interval_of_a_score_stays_among_the_classes(scale: float) -> None:
    sure = torch.eye(3).repeat(10, 1)[:29] * 1000 * scale
    found = inception_score(sure)
    assert found.interval is not None
    assert 1 <= found.interval[0] <= found.value <= found.interval[1] <= 3 + 1e-9


def test_a_mean_of_what_is_bounded_has_an_interval_within_the_bounds() -> None:
    values = np.array([0.999, 1.0, 0.2, 1.0, 0.99])
    low, high = mean_interval(values, (-1, 1)) or (0, 0)
    assert low < values.mean() < high == 1
    assert mean_interval(np.ones(5), (-1, 1)) == (1, 1)
