"""Of a long conversation the last turns that fit are read, and finding them is little work."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from daedal.serving.truncation import shortened

ROLES = ("user", "assistant")


def conversation(*lengths: int) -> list[dict[str, Any]]:
    return [{"role": ROLES[place % 2], "content": "x" * length} for place, length in enumerate(lengths)]


def left(turns: list[dict[str, Any]], room: int, each: int = 4, more: int = 2) -> tuple[list[Any], list[int]]:
    """What is left where a token has so many bytes and a turn so many tokens more, and what was counted for it."""
    counted: list[int] = []

    async def tokens(some: Sequence[dict[str, Any]]) -> int:
        spoken = [turn["role"] for turn in some if turn["role"] != "system"]
        assert len(some) == len(turns) or spoken[0] == "user"  # a template would refuse another beginning
        counted.append(sum(len(turn["content"]) // each + more for turn in some))
        return counted[-1]

    return list(asyncio.run(shortened(turns, room, tokens))), counted


def found(turns: list[dict[str, Any]], room: int, each: int = 4) -> tuple[int, list[int]]:
    """How many turns are left out, and what was counted for it."""
    some, counted = left(turns, room, each)
    assert some == turns[len(turns) - len(some) :]
    return len(turns) - len(some), counted


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


def test_what_the_system_said_stays() -> None:
    turns = conversation(*[40] * 40)
    turns[0]["role"] = turns[20]["role"] = "system"
    for room, said in ((100, [turns[0], turns[20], *turns[34:]]), (300, [turns[0], *turns[16:]])):
        assert left(turns, room)[0] == said


def test_of_a_request_that_takes_many_calls_the_oldest_calls_go() -> None:
    turns = conversation(40, 40, 40)
    for number in range(50):
        turns.append({"role": "assistant", "content": f"call {number:02} " + "x" * 32})
        turns.append({"role": "tool", "content": f"told {number:02} " + "x" * 32})
    some, counted = left(turns, 200)
    assert [turn["content"][:7] for turn in some] == ["x" * 7, *(turn["content"][:7] for turn in turns[-14:])]
    assert (some[0], some[1]["role"]) == (turns[2], "assistant")
    assert len(counted) <= 8
    assert left(turns, 1)[0] == [turns[2], *turns[-2:]]
