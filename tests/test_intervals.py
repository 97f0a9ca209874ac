"""Intervals hold the truth about 95 times of 100, and nothing that cannot be."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from daedal.evaluation.images.memorization import Nearest, copy_test
from daedal.evaluation.intervals import difference_interval, normal, ratio, ratio_interval, student_t
from daedal.evaluation.means import share_of_pieces, stratified, wilson

Values = Float[np.ndarray, " pieces"]


def documents(n: int, generator: np.random.Generator) -> tuple[Values, Values]:
    """Bytes and bits per byte of documents like those of Python's documentation: log-normal lengths, median 1,000 bytes; bits
    per byte around 1.8, the nearer the longer (benchmarks/interval_coverage.py)."""
    sizes = np.exp(generator.normal(6.9, 1.7, n)).round().clip(20)
    return sizes, np.maximum(0.05, 1.8 + 0.35 * (sizes / 1000) ** -0.25 * generator.normal(size=n))


def share_held(
    interval: Callable[[np.random.Generator], tuple[float, float] | None], truth: float, times: int
) -> float:
    held = 0
    for time in range(times):
        low, high = interval(np.random.default_rng((7, time))) or (math.nan, math.nan)
        held += low <= truth <= high
    return held / times


@pytest.mark.parametrize("n", [20, 28, 100, 500])
def test_documents_of_very_unequal_length_have_intervals_that_hold_the_truth(n: int) -> None:
    def interval(generator: np.random.Generator) -> tuple[float, float] | None:
        sizes, rates = documents(n, generator)
        return ratio_interval(sizes * rates, sizes)

    sizes, rates = documents(400_000, np.random.default_rng(0))
    # The noise of 800 times is 0.8 of a hundred
    assert 0.93 <= share_held(interval, float((sizes * rates).sum() / sizes.sum()), 800) <= 0.99


def test_paired_differences_of_two_predictors_hold_the_truth_and_are_narrower() -> None:
    widths: list[float] = []

    def interval(generator: np.random.Generator) -> tuple[float, float] | None:
        sizes, rates = documents(28, generator)
        one, other = sizes * rates, sizes * (rates + 0.2 + 0.05 * generator.normal(size=28))
        found = difference_interval(one, other, sizes)
        alone = ratio_interval(one, sizes)
        assert found is not None
        assert alone is not None
        widths.append((found[1] - found[0]) / (alone[1] - alone[0]))
        return found

    assert 0.93 <= share_held(interval, -0.2, 800) <= 0.99
    assert np.median(widths) < 0.5


def test_documents_of_one_length_have_students_interval() -> None:
    x = np.random.default_rng(0).normal(2.0, 0.3, 12)
    found = ratio(3 * x, np.full(12, 3.0))
    assert found is not None
    assert (found.value, found.error) == pytest.approx((x.mean(), x.std(ddof=1) / math.sqrt(12)))
    assert found.freedom == pytest.approx(11)


def test_variance_and_freedom_are_those_of_the_matrices() -> None:
    sizes, rates = documents(15, np.random.default_rng(1))
    x = sizes * rates
    h = sizes / sizes.sum()
    w = np.diag(h**1.4)
    residual_maker = np.eye(15) - np.outer(h, np.ones(15))
    covariance = residual_maker @ w @ residual_maker.T
    scale = np.diag(np.diag(w) / np.diag(covariance))
    residuals = residual_maker @ (x / sizes.sum())
    found = ratio(x, sizes)
    assert found is not None
    assert found.error**2 == pytest.approx(residuals @ scale @ residuals)
    assert found.freedom == pytest.approx(np.trace(w) ** 2 / np.trace(scale @ covariance @ scale @ covariance))


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(1, 1e3)), min_size=2, max_size=20), st.floats(0.1, 10))
def test_the_interval_of_a_ratio_holds_it_scales_with_it_and_is_never_negative(
    pairs: list[tuple[float, float]], scale: float
) -> None:
    x, y = (np.array(column) for column in zip(*pairs, strict=True))
    low, high = ratio_interval(x, y) or (math.nan, math.nan)
    value = x.sum() / y.sum()
    assert 0 <= low <= value * (1 + 1e-9)
    assert value * (1 - 1e-9) <= high < math.inf
    assert ratio_interval(x * scale, y) == pytest.approx((low * scale, high * scale), rel=1e-6)


def test_one_piece_gives_no_interval_and_pieces_without_length_count_for_nothing() -> None:
    assert ratio_interval(np.array([1.0]), np.array([1.0])) is None
    assert difference_interval(np.array([1.0]), np.array([1.0]), np.array([1.0])) is None
    some = ratio(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 3.0]))
    assert ratio(np.array([1.0, 0.0, 2.0, 4.0]), np.array([1.0, 0.0, 1.0, 3.0])) == some


@pytest.mark.parametrize("sizes", [(3e8, 19.0), (1.0, 1e8), (1e12, 1.0), (1e16, 1.0, 2.0), (1e7, 3.0, 20.0, 5.0)])
def test_a_piece_that_is_nearly_all_leaves_an_interval(sizes: tuple[float, ...]) -> None:
    lengths = np.array(sizes)
    found = ratio(lengths * np.linspace(1.0, 1.5, len(sizes)), lengths)
    assert found is not None
    assert 0 < found.error < math.inf
    assert 1 <= found.freedom < 1.01
    low, high = found.positive_interval
    assert 0 <= low < found.value < high


def test_quantiles_are_scipys() -> None:
    from scipy import stats

    assert normal(0.975) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)
    for freedom in (1, 2.5, 3, 4, 19, 1000):
        assert student_t(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-12)


@pytest.mark.parametrize("n", [20, 50, 100, 500])
def test_the_interval_of_a_share_is_wilsons_and_holds_it_near_nought_and_one(n: int) -> None:
    from scipy import stats

    intervals = np.array([wilson(hits, n) for hits in range(n + 1)])
    theirs = stats.binomtest(n // 2, n).proportion_ci(method="wilson")
    assert intervals[n // 2] == pytest.approx((theirs.low, theirs.high))
    shares = np.concatenate([np.linspace(0.002, 0.5, 250), np.linspace(0.5, 0.998, 250)])
    inside = (intervals[:, :1] <= shares) & (shares <= intervals[:, 1:])
    held = (stats.binom.pmf(np.arange(n + 1)[:, None], n, shares) * inside).sum(0)
    assert held.min() > 0.91  # a count of a hundred can be only so exact: Wilson's own has 0.84 at the least
    assert 0.945 < held.mean() < 0.965


@pytest.mark.parametrize("shares", [(0.98,) * 6, (0.02,) * 6, (0.98, 0.98, 0.98, 0.9, 0.5, 0.3)])
@pytest.mark.parametrize("weights", [None, (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)])
def test_mean_shares_of_tasks_have_intervals_that_hold_the_truth(
    shares: tuple[float, ...], weights: tuple[float, ...] | None
) -> None:
    truth = float(np.average(shares, weights=weights))

    def interval(generator: np.random.Generator) -> tuple[float, float] | None:
        return stratified(generator.binomial(100, shares).tolist(), [100] * 6, weights)

    assert 0.93 <= share_held(interval, truth, 800) <= 0.98


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1), st.floats(0.1, 1)), min_size=1, max_size=6))
def test_the_interval_of_a_mean_share_holds_it_within_nought_and_one_and_is_no_point(
    tasks: list[tuple[int, float, float]],
) -> None:
    sizes = [size for size, _, _ in tasks]
    hits = [round(size * share) for size, share, _ in tasks]
    weights = np.array([weight for _, _, weight in tasks])
    weights /= weights.sum()
    low, high = stratified(hits, sizes, weights.tolist()) or (math.nan, math.nan)
    assert -1e-12 <= low < high <= 1 + 1e-12


def test_one_sample_has_wilsons_interval_and_none_has_none() -> None:
    assert stratified([40], [100]) == pytest.approx(wilson(40, 100))
    assert stratified([], []) is None
    assert stratified([0], [0]) is None


def test_mann_and_whitneys_interval_is_within_nought_and_one_and_is_no_point() -> None:
    def test_of(samples: Values, held_out: Values) -> tuple[float, float]:
        places = np.zeros(len(samples), dtype=np.int64)
        return copy_test(Nearest(samples, places), Nearest(held_out, places)).interval

    far, near = np.full(50, 2.0), np.zeros(50)
    low, high = test_of(near, far)
    assert low == 0
    assert 0 < high < 0.1
    low, high = test_of(far, near)
    assert 0.9 < low < 1
    assert high == 1
    low, high = test_of(near, near)
    assert 0.3 < low < 0.5 < high < 0.7


def test_the_interval_of_a_share_over_pieces_is_the_ratios_and_says_something_at_the_ends() -> None:
    drawn = np.random.default_rng(0)
    sizes = drawn.integers(1, 30, 60).astype(float)
    hits = drawn.binomial(sizes.astype(int), 0.7).astype(float)
    found, expected = share_of_pieces(hits, sizes, "sentences"), ratio(hits, sizes)
    assert expected is not None
    assert (found["value"], found["interval"]) == (expected.value, expected.interval)
    none = share_of_pieces(0 * hits, sizes, "sentences", 100.0)
    assert none["interval"] == (0.0, pytest.approx(100 * wilson(0, 60)[1]))  # type: ignore[index]
    assert share_of_pieces(sizes, sizes, "sentences")["interval"][1] == 1.0
    assert share_of_pieces(hits[:1], sizes[:1], "sentences")["interval"] is None
