"""A number that says what it is: value, interval, sample size, definition, and what was measured on what.

A definition is `quantity/version@conditions`, such as `bits-per-byte/v1@window=256,stride=128,prefix=end-of-text`. The quantity
says what is counted and is explained, with its formula, in `docs/measurement.md`; the conditions say how it was predicted.
"""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from daedal.config import Config
from daedal.errors import DaedalError


class Measurement(Config):
    """One measured number.

    Attributes:
        name: what a person calls it.
        value: in `unit`.
        interval: 95 % confidence interval, or None where there is none to give.
        interval_method: how the interval was found.
        n: how many independent pieces the value rests on; `pieces` says of what.
        definition: `quantity/version@conditions`.
        model_hash: SHA-256 of what was measured, weights or code.
        data_hash: SHA-256 of what it was measured on.
        seed: of every random choice in it, or None where there is none.
    """

    name: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None
    interval_method: str = ""
    n: int = Field(ge=0)
    pieces: str = "documents"
    definition: str = Field(pattern=r"^[a-z0-9-]+/v[0-9]+(@[^@]+)?$")
    model_hash: str = ""
    data_hash: str = ""
    seed: int | None = None
    better: Literal["lower", "higher", "neither"] = "lower"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.interval is not None and not self.interval[0] <= self.interval[1]:
            raise ValueError("the interval's ends are in the wrong order")
        return self

    @property
    def quantity(self) -> str:
        """What is counted: the definition without its conditions."""
        return self.definition.split("@")[0]

    def minus(self, other: Self) -> float:
        """The difference to another measurement of the same definition on the same data.

        Raises:
            DaedalError: the two are not the same kind of number.
        """
        if self.definition != other.definition:
            raise DaedalError(
                f"{self.definition} and {other.definition} are different measurements", "Measure both in the same way"
            )
        return self._minus(other)

    def beside(self, baseline: Self) -> float:
        """The difference to a baseline: the same quantity of the same data, by whatever predictor.

        Raises:
            DaedalError: another quantity, or other data.
        """
        if self.quantity != baseline.quantity:
            raise DaedalError(
                f"{self.quantity} and {baseline.quantity} are different quantities", "Compare like with like"
            )
        return self._minus(baseline)

    def _minus(self, other: Self) -> float:
        if self.data_hash != other.data_hash:
            raise DaedalError(
                f"{self.name} was measured on {self.data_hash[:8] or 'unknown data'} and {other.name} on "
                f"{other.data_hash[:8] or 'unknown data'}",
                "Measure both on the same data",
            )
        return self.value - other.value

    def __str__(self) -> str:
        return f"{self.name} {self.shown()}"

    @property
    def counted(self) -> str:
        """The unit, in the singular where there is one of it."""
        return (
            self.unit.removesuffix("s") if self.value == 1 and len(self.unit) > 2 and self.unit.isalpha() else self.unit
        )

    def shown(self) -> str:
        """The value with its interval, to as many digits as the interval supports."""
        if self.interval is None:
            return f"{self.value:.4g} {self.counted}"
        low, high = self.interval
        digits = decimals(high - low)
        return f"{self.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] {self.unit}"


def define(quantity: str, version: int, **conditions: object) -> str:
    """The definition string of a quantity under conditions.

    >>> define("bits-per-byte", 1, window=256, stride=128)
    'bits-per-byte/v1@window=256,stride=128'
    """
    stated = ",".join(f"{key.replace('_', '-')}={value}" for key, value in conditions.items())
    return f"{quantity}/v{version}" + (f"@{stated}" if stated else "")


def decimals(spread: float) -> int:
    """How many decimals show two digits of `spread`."""
    return max(0, min(6, 1 - math.floor(math.log10(spread)))) if spread > 0 and math.isfinite(spread) else 4
