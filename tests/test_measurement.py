"""A number says what it is, and is compared only with its like."""

import math

import pytest
from pydantic import ValidationError

from daedal.errors import DaedalError
from daedal.evaluation.measurement import Measurement, decimals, define


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
