"""How good a reward model finds conversations."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from daedal.codecs.framing import Framed
from daedal.codecs.turns import Turns, ending
from daedal.errors import DaedalError
from daedal.inference.skill import ModelAndCodec
from daedal.inference.skills.rows import RowSkill
from daedal.models.reward import Reward

Conversation = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Messages with `role` and `content`; or `messages` and `tools`."""


class RewardConversations(RowSkill):
    """The rewards of conversations."""

    name = "reward"
    learned: ClassVar[type[Reward]] = Reward
    needs = ("reward",)
    verb = "say how good answers are"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        self._turns = Turns(self._codec, subject.template)

    def reward(self, conversations: Conversation | Sequence[Conversation]) -> list[float]:
        """How good each conversation is: more is better, and only differences between answers to one prompt mean anything.

        It reads texts: whatever tokenizer a model has that wrote them, the reward model's own is used. Of a conversation that
        is longer than its context it reads the last turns (`too_long` tells).

        Raises:
            DaedalError: one is no conversation, or the model's numbers are not finite.
        """
        read = [self._turns.read(each) for each in listed(conversations)]
        rows = [ending(each, self._context, self._codec.bos_id) for each in read]
        return [float(each) for each in self._read([_row(ids) for ids in rows], self._model)]

    def too_long(self, conversations: Conversation | Sequence[Conversation]) -> list[bool]:
        """Whether each conversation is longer than what is read at once."""
        return [len(self._turns.read(each).ids) > self._context for each in listed(conversations)]


def _row(ids: Any) -> Framed:
    return Framed(ids, np.zeros(len(ids), dtype=np.int64), 0, 0)


def listed(conversations: Any) -> list[dict[str, Any]]:
    """One conversation or several, each with its `messages`.

    Raises:
        DaedalError: one is none.
    """
    one = isinstance(conversations, Mapping) or (
        isinstance(conversations, Sequence) and bool(conversations) and _is_message(conversations[0])
    )
    found = []
    for each in [conversations] if one else list(conversations):
        whole = dict(each) if isinstance(each, Mapping) else {"messages": each}
        messages = whole.get("messages")
        if isinstance(messages, str) or not isinstance(messages, Sequence) or not all(map(_is_message, messages)):
            raise DaedalError(f"{each!r:.60} is no conversation", 'Give lists of {"role": ..., "content": ...}')
        if not messages:
            raise DaedalError("A conversation is empty", "Give at least one message")
        found.append(whole)
    return found


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str)
