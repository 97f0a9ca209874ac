"""A mark that repeats: a tile of a picture or a second of a sound, as harmonics of the period.

- a pilot, a keyed direction in the space of the harmonics, says that there is a mark, and where its period begins: its
  correlation with what was folded to one period is computed at all places at once (Fourier)
- symbols of the payload lie beside it, each a direction of its own that is shifted around the period (`payload_code.py`)

Whatever is cut off moves only where the period begins, so that a part is read like the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float, Int

from daedal.safety.directions import corrected, direction, tail
from daedal.safety.mark_finding import MarkFinding
from daedal.safety.payload_code import CODED, payload_of, symbols_of
from daedal.safety.watermark_keys import WatermarkKey

Array = np.ndarray
_SURE, _CLEAR = 1e-3, 0.02
"""Without a presence as clear as the first no payload is read, nor where a symbol is less clear than the second."""


@dataclass(frozen=True, eq=False)
class PeriodicMark:
    """How a kind of artifact is marked.

    Attributes:
        scheme: its name and version.
        purpose: what its keys are derived for.
        shape: places in a period, along each axis.
        harmonics: of the period, one row for each axis, from half of the plane.
        slots: places of a symbol, along each axis.
        pilot: the pilot's share of the mark's energy.
    """

    scheme: str
    purpose: str
    shape: tuple[int, ...]
    harmonics: Int[Array, "axes harmonics"]
    slots: tuple[int, ...]
    pilot: float

    @property
    def bits(self) -> int:
        """Of a symbol: where it lies, and its sign."""
        return int(np.prod(self.slots)).bit_length()

    @property
    def places(self) -> int:
        """In a period."""
        return int(np.prod(self.shape))

    def spectrum(self, key: WatermarkKey, payload: int) -> Complex[Array, " harmonics"]:
        """The harmonics of a mark, of mean power 2."""
        pilot, *carriers = self.carriers(key)
        made: Array = np.sqrt(self.pilot) * pilot
        share = np.sqrt((1 - self.pilot) / len(carriers))
        for carrier, symbol in zip(carriers, symbols_of(payload, self.bits), strict=True):
            sign, place = symbol & 1, np.unravel_index(symbol >> 1, self.slots)
            steps = [int(at) * side // count for at, side, count in zip(place, self.shape, self.slots, strict=True)]
            made = made + (share if sign else -share) * carrier * self.moved(steps)
        return made

    def period(self, key: WatermarkKey, payload: int) -> Float[Array, "*shape"]:
        """One period of a mark, with a root mean square of 1."""
        made = self.synthesis(self.spectrum(key, payload))
        made /= np.sqrt(np.mean(np.square(made)))
        return made

    def synthesis(self, spectrum: Complex[Array, " harmonics"]) -> Float[Array, "*shape"]:
        """The real part of the sum of harmonics at all places of a period."""
        from scipy import fft

        grid = np.zeros((*self.shape[:-1], self.shape[-1] // 2 + 1), dtype=complex)
        grid[tuple(self.harmonics)] = np.where(self.harmonics[-1] == 0, 2, 1) * spectrum
        made: Array = fft.irfftn(grid, self.shape) * (self.places / 2)
        return made

    def analysis(self, period: Float[Array, "*shape"]) -> Complex[Array, " harmonics"]:
        """The harmonics of what was folded to one period."""
        from scipy import fft

        found: Array = fft.rfftn(period)[tuple(self.harmonics)]
        return found

    def read(self, view: Complex[Array, " harmonics"], key: WatermarkKey) -> int | None:
        """The payload of a mark that begins at the first place; None where a symbol is not clear, or the check says that one is
        wrong."""
        symbols = []
        for carrier in self.carriers(key)[1:]:
            correlations = self.synthesis(view * carrier.conj()) / np.linalg.norm(carrier)
            steps = tuple(slice(None, None, side // count) for side, count in zip(self.shape, self.slots, strict=True))
            at_slots = correlations[steps].ravel()
            slot = int(np.argmax(np.abs(at_slots)))
            clear = float(tail(abs(at_slots[slot]), 2 * self.harmonics.shape[1]))
            if corrected(clear, 2**self.bits) > _CLEAR:
                return None
            symbols.append(slot << 1 | int(at_slots[slot] > 0))
        return payload_of(symbols, self.bits)

    def moved(self, steps: Sequence[int] | Array) -> Complex[Array, " harmonics"]:
        """What the harmonics are multiplied by, for a mark that begins so many places later."""
        turns = sum(row * step / side for row, step, side in zip(self.harmonics, steps, self.shape, strict=True))
        moved: Array = np.exp(-2j * np.pi * turns)
        return moved

    def carriers(self, key: WatermarkKey) -> list[Complex[Array, " harmonics"]]:
        """The pilot, and the pattern of each symbol."""
        return _carriers(key, self.purpose, self.harmonics.shape[1], CODED // self.bits)


View = tuple[PeriodicMark, Complex[Array, " harmonics"]]
"""A mark that may be there, and the harmonics in which to look for it."""


def find(views: Sequence[View], keys: Sequence[WatermarkKey], tries: int = 0) -> MarkFinding:
    """Look for the mark of one of the keys.

    Half of the error is kept for what begins where it began: what is whole is found more easily than a part.

    Args:
        views: of the same thing: marks that it may have, and ways to read it (scales); at least one.
        tries: views that were tried before and are none of these.
    """
    best: tuple[float, PeriodicMark, WatermarkKey, tuple[int, ...], Array] | None = None
    for mark, view in views:
        norm = float(np.linalg.norm(view))
        if not norm or not np.isfinite(norm):
            continue
        for key in keys:
            pilot = mark.carriers(key)[0]
            correlations = mark.synthesis(view * pilot.conj()) / (norm * np.linalg.norm(pilot))
            for place, tried in (((0,) * len(mark.shape), 2), (_highest(correlations), 2 * mark.places)):
                p_value = tried * float(tail(correlations[place], 2 * mark.harmonics.shape[1]))
                if best is None or p_value < best[0]:
                    best = p_value, mark, key, place, view / norm
    if best is None:
        return MarkFinding(
            scheme=views[0][0].scheme, key=keys[0].id, p_value=None, note="there is nothing to judge in it"
        )
    p_value, mark, key, place, view = best
    p_value = corrected(p_value, len(keys) * (len(views) + tries))
    payload = mark.read(view * mark.moved([-step for step in place]), key) if p_value < _SURE else None
    return MarkFinding(scheme=mark.scheme, key=key.id, p_value=p_value, payload=payload, judged=CODED)


@lru_cache(16)
def _carriers(key: WatermarkKey, purpose: str, count: int, symbols: int) -> list[Array]:
    secret = key.derived(purpose)
    return [direction(secret, f"pattern {number}", count) for number in range(1 + symbols)]


def _highest(correlations: Float[Array, "*shape"]) -> tuple[int, ...]:
    return tuple(int(at) for at in np.unravel_index(np.argmax(correlations), correlations.shape))
