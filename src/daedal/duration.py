"""Durations as people write them: `30s`, `3m`, `1h30m`, `1.5h`, `90` (seconds)."""

import math
import re

from daedal.errors import DaedalError

_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+", re.IGNORECASE)


def parse_duration(value: str | float) -> float:
    """Seconds in `value`, a number of seconds or a text such as `3m`.

    Raises:
        DaedalError: it is not a duration, or not greater than zero.
    """
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            seconds = sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(text))
        else:
            try:
                seconds = float(text)
            except ValueError:
                seconds = math.nan
    else:
        seconds = float(value)
    if not math.isfinite(seconds):
        raise DaedalError(f"{value!r} is not a duration", "Write it as 30s, 3m, 1h30m or a number of seconds")
    if seconds <= 0:
        raise DaedalError(f"The duration {value!r} is not greater than zero", "Write it as 30s, 3m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """`seconds` with its two largest units: `3m 5s`, `1h 30m`, `0.4s`."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f}s".replace(".0s", "s")
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count)
