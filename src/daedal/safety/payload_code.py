"""The payload of a mark as symbols: 32 bits and 4 that check them, each symbol one of many nearly orthogonal words.

A symbol is where a random pattern lies and with which sign: a biorthogonal code (the Reed-Muller code of first order with which
Mariner 9 sent its pictures is one), which is decoded softly: the word that correlates most. Per bit it needs half the energy of
bits sent one by one. The check is the remainder of a division by x^4 + x + 1 (CRC-4, ITU-T G.704).
"""

from collections.abc import Sequence

BITS = 32
"""Of a payload."""
_CHECK, _DIVISOR = 4, 0b10011
CODED = BITS + _CHECK
"""Bits that are marked."""


def symbols_of(payload: int, bits: int) -> list[int]:
    """The symbols of a payload, so many bits each, the first bits first."""
    if not 0 <= payload < 2**BITS:
        raise ValueError(f"a payload has {BITS} bits, {payload} has more")
    coded = payload << _CHECK | _remainder(payload << _CHECK)
    return [coded >> place & (2**bits - 1) for place in range(CODED - bits, -1, -bits)]


def payload_of(symbols: Sequence[int], bits: int) -> int | None:
    """The payload of symbols; None where the check says that they are wrong."""
    coded = 0
    for symbol in symbols:
        coded = coded << bits | symbol
    return None if _remainder(coded) else coded >> _CHECK


def _remainder(number: int) -> int:
    for place in range(CODED - 1, _CHECK - 1, -1):
        if number >> place & 1:
            number ^= _DIVISOR << (place - _CHECK)
    return number
