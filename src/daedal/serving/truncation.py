"""How much of a long conversation a model reads: as much of its end as fits, found with few and small tries.

A conversation may be a thousand times longer than the context, and counting tokens is work: so what cannot fit by its length is
not looked at, and each try is as long as the last one says would fit.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

Turn = dict[str, Any]

_TRIES = 8
_LONGEST = 32
"""Bytes of a token, on average over a whole context: more than texts have."""


class _Part(NamedTuple):
    """Some of a conversation: what the system says, the turn at `first`, and all from `rest` on."""

    first: int
    rest: int


async def shortened(
    turns: Sequence[Turn], room: int, tokens: Callable[[Sequence[Turn]], Awaitable[int]]
) -> Sequence[Turn]:
    """A conversation without its oldest turns, so that the others have at most `room` tokens.

    What is left begins with a user's turn, as the templates of chat models ask for, unless nothing is left out; before it
    stands what the system said until then. Of a last request that is worked on in many calls of tools the oldest calls go,
    with their answers. As little as that leaves stays, whether or not it fits.

    Args:
        tokens: how many some turns have.
    """
    parts, sizes = _parts(turns), _sizes(turns)
    small = [part for part in parts if sizes(part) <= _LONGEST * room] or parts[-1:]
    fits, over = len(small) - 1, -1
    likely = 4 * room
    for _ in range(_TRIES):
        if fits - over <= 1:
            break
        middle = next((at for at in range(over + 1, fits) if sizes(small[at]) <= likely), fits - 1)
        count = await tokens(_of(turns, small[middle]))
        fits, over = (middle, over) if count <= room else (fits, middle)
        likely = sizes(small[middle]) * room // max(1, count)
    return _of(turns, small[fits])


def _parts(turns: Sequence[Turn]) -> list[_Part]:
    """What may be left of a conversation, the longest first."""
    begins = [place for place, turn in enumerate(turns) if place == 0 or turn["role"] == "user"]
    last = begins[-1] if begins else 0
    work = [place for place in range(last + 2, len(turns)) if turns[place]["role"] == "assistant"]
    return [_Part(place, place + 1) for place in begins or [0]] + [_Part(last, place) for place in work]


def _of(turns: Sequence[Turn], part: _Part) -> Sequence[Turn]:
    system = [turn for turn in turns[: part.first] if turn["role"] == "system"]
    return [*system, *turns[part.first : part.first + 1], *turns[part.rest :]]


def _sizes(turns: Sequence[Turn]) -> Callable[[_Part], int]:
    """How many bytes a part has."""
    each = [_size(turn) for turn in turns]
    after = [*accumulate(reversed(each), initial=0)][::-1]
    system = [
        *accumulate((size * (turn["role"] == "system") for size, turn in zip(each, turns, strict=True)), initial=0)
    ]
    return lambda part: system[part.first] + sum(each[part.first : part.first + 1]) + after[min(part.rest, len(turns))]


def _size(turn: Turn) -> int:
    calls = [call["function"] for call in turn.get("tool_calls", ())]
    texts = [turn["content"], *(text for call in calls for text in (call["name"], call["arguments"]))]
    return sum(len(text.encode()) for text in texts)
