"""A number says what it is, and is compared only with its like."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daedal.errors import DaedalError
from daedal.evaluation.measurement import Measurement, decimals, define, ratio_interval, student_t


def measurement(value: float = 2.0, **changes: object) -> Measurement:
    values = {
        "name": "bits per byte", "unit": "bits per byte", "value": value, "n": 10, "data_hash": "d",
        "definition": define("bits-per-byte", 1, window=256, stride=128),
    }  # fmt: skip
    return Measurement.parse({**values, **changes}, "test")


def test_measurements_of_one_definition_are_compared() -> None:
    assert measurement(2.0).minus(measurement(1.5)) == 0.5


@pytest.mark.parametrize(
    "other",
    [
        define("bits-per-byte", 1, window=256, stride=64),
        define("bits-per-byte", 2, window=256, stride=128),
        define("nats-per-token", 1, window=256, stride=128),
    ],
)
def test_measurements_of_different_definitions_are_never_compared(other: str) -> None:
    with pytest.raises(DaedalError, match="different measurements"):
        measurement().minus(measurement(definition=other))


def test_measurements_of_different_data_are_never_compared() -> None:
    with pytest.raises(DaedalError, match="same data"):
        measurement().minus(measurement(data_hash="e"))
    with pytest.raises(DaedalError, match="same data"):
        measurement().beside(measurement(data_hash="e"))


def test_a_baseline_may_predict_in_another_way_but_not_another_quantity() -> None:
    gzip = measurement(3.0, definition=define("bits-per-byte", 1, predictor="gzip"))
    assert measurement(2.0).beside(gzip) == -1.0
    with pytest.raises(DaedalError, match="different quantities"):
        measurement().beside(measurement(definition=define("nats-per-token", 1)))


def test_a_measurement_survives_json_and_cannot_be_changed() -> None:
    one = measurement(interval=(1.9, 2.1), interval_method="ratio", model_hash="m", seed=3)
    assert Measurement.model_validate_json(one.model_dump_json()) == one
    with pytest.raises(ValidationError):
        one.value = 1.0


@pytest.mark.parametrize("changes", [{"value": math.nan}, {"interval": (2.0, 1.0)}, {"definition": "loss"}, {"n": -1}])
def test_what_is_no_measurement_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DaedalError):
        measurement(**changes)


def test_the_value_is_shown_to_the_digits_that_its_interval_supports() -> None:
    assert measurement(2.04567, interval=(2.0, 2.1)).shown() == "2.05 [2.00, 2.10] bits per byte"
    assert measurement(2.04567).shown() == "2.046 bits per byte"
    assert [decimals(spread) for spread in (30.0, 1.0, 0.02, 0.0)] == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (10, 2.2281), (63, 1.9983), (1000, 1.9623)],
)
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert student_t(0.975, freedom) == pytest.approx(quantile, rel=2e-3)


def test_the_interval_covers_the_true_ratio_19_times_of_20() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        sizes = generator.integers(5, 200, size=40).astype(float)
        nats = sizes * generator.normal(2.0, 0.5, size=40)
        interval = ratio_interval(nats, sizes)
        assert interval is not None
        covered += interval[0] <= 2.0 <= interval[1]
    assert 920 <= covered <= 975


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(1, 1e3)), min_size=2, max_size=20), st.floats(0.1, 10))
def test_the_interval_holds_the_ratio_and_scales_with_it(pairs: list[tuple[float, float]], scale: float) -> None:
    x, y = (np.array(column) for column in zip(*pairs, strict=True))
    low, high = ratio_interval(x, y) or (math.nan, math.nan)
    ratio = x.sum() / y.sum()
    assert low <= ratio + 1e-9
    assert high >= ratio - 1e-9
    assert ratio_interval(x * scale, y) == pytest.approx((low * scale, high * scale), abs=1e-6)


def test_one_piece_gives_no_interval() -> None:
    assert ratio_interval(np.array([1.0]), np.array([1.0])) is None
