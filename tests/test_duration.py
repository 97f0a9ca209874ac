"""Durations are read as people write them, and a wrong one says how to write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daedal.duration import format_duration, parse_duration
from daedal.errors import DaedalError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("3m", 180),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("90", 90),
        (" 2.5 ", 2.5),
        ("250ms", 0.25),
        ("1D", 86400),
        (90, 90),
        (0.5, 0.5),
    ],
)
def test_a_duration_means_its_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "3 minutes", "m", "3m!", "nan", "inf", float("nan"), "1e400"])
def test_what_is_not_a_duration_is_told_with_an_example(text: str | float) -> None:
    with pytest.raises(DaedalError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "-3", -1, 0])
def test_a_duration_is_greater_than_zero(text: str | float) -> None:
    with pytest.raises(DaedalError, match="not greater than zero"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4s"), (3, "3s"), (59.6, "1m"), (185, "3m 5s"), (5400, "1h 30m"), (3601, "1h"), (90000, "1d 1h")],
)
def test_a_duration_is_shown_with_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_an_unknown_duration_is_told() -> None:
    assert format_duration(float("inf")) == "unknown"


@given(st.floats(min_value=0.1, max_value=1e7))
def test_a_shown_duration_reads_back_within_its_precision(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.05, abs=0.06)
