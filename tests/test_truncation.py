"""Of a long conversation the last turns that fit are read, and finding them is little work."""

import asyncio
from typing import Any

import pytest

from daedal.serving.truncation import left_out

ROLES = ("user", "assistant")


def conversation(*lengths: int) -> list[dict[str, Any]]:
    return [{"role": ROLES[place % 2], "content": "x" * length} for place, length in enumerate(lengths)]


def found(turns: list[dict[str, Any]], room: int, each: int = 4, more: int = 2) -> tuple[int, list[int]]:
    """What is left out where a token has so many bytes and a turn so many tokens more, and what was counted for it."""
    counted: list[int] = []

    async def tokens(place: int) -> int:
        assert place == 0 or turns[place]["role"] == "user"  # a template would refuse another beginning
        counted.append(sum(len(turn["content"]) // each + more for turn in turns[place:]))
        return counted[-1]

    return asyncio.run(left_out(turns, room, tokens)), counted


def test_a_conversation_that_fits_is_counted_once_and_whole() -> None:
    turns = conversation(*[40] * 9)
    turns[0]["role"] = "assistant"
    assert found(turns, 200) == (0, [9 * 12])
    assert found([], 200)[0] == 0


@pytest.mark.parametrize("each", [1, 2, 4, 7])
@pytest.mark.parametrize(
    "turns", [conversation(*[40] * 2001), conversation(*(10 + place * 37 % 90 for place in range(5001)))]
)
def test_as_much_is_left_as_fits_with_few_and_small_tries(turns: list[dict[str, Any]], each: int) -> None:
    room = 1000
    place, counted = found(turns, room, each)
    total = [sum(len(turn["content"]) // each + 2 for turn in turns[at:]) for at in (place, place - 2)]
    assert total[0] <= room < total[1]
    assert len(counted) <= 8
    assert max(counted) <= 6 * room


def test_what_cannot_fit_is_not_even_counted() -> None:
    assert found(conversation(10**7, 10, 40, 10, 40), 100) == (2, [28])
    assert found(conversation(10, 10, 10**7), 100) == (2, [])  # the model says that it is too long
