"""How much of a long conversation a model reads: the last turns that fit, found with few and small tries.

A conversation may be a thousand times longer than the context, and counting tokens is work: so what cannot fit by its length is
not looked at, and each try is as long as the last one says would fit.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

_TRIES = 8
_LONGEST = 32
"""Bytes of a token, on average over a whole context: more than texts have."""


async def left_out(turns: Sequence[Any], room: int, tokens: Callable[[int], Awaitable[int]]) -> int:
    """How many of the oldest turns to leave out, so that the others have at most `room` tokens.

    What is left begins with a user's turn, as the templates of chat models ask for, unless nothing is left out. The last such
    turn stays, whether or not it fits.

    Args:
        tokens: how many there are after so many turns have been left out.
    """
    begins = [place for place, turn in enumerate(turns) if place == 0 or turn["role"] == "user"]
    sizes = [0] * len(turns)
    for place in reversed(range(len(turns))):
        sizes[place] = _size(turns[place]) + (sizes[place + 1] if place + 1 < len(turns) else 0)
    begins = [place for place in begins if sizes[place] <= _LONGEST * room] or begins[-1:] or [0]
    fits, over = len(begins) - 1, -1
    likely = 4 * room
    for _ in range(_TRIES):
        if fits - over <= 1:
            break
        middle = next((at for at in range(over + 1, fits) if sizes[begins[at]] <= likely), fits - 1)
        count = await tokens(begins[middle])
        fits, over = (middle, over) if count <= room else (fits, middle)
        likely = sizes[begins[middle]] * room // max(1, count)
    return begins[fits]


def _size(turn: Any) -> int:
    """Bytes of a turn."""
    calls = [call["function"] for call in turn.get("tool_calls", ())]
    texts = [turn["content"], *(text for call in calls for text in (call["name"], call["arguments"]))]
    return sum(len(text.encode()) for text in texts)
