"""Conversations as ids of a model's own tokenizer, by its own chat template; and which of these the assistant says."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from daedal.codecs.chat import ChatTemplate
from daedal.codecs.conversation import Conversation
from daedal.codecs.text import TextCodec

Array = np.ndarray


class Ends(NamedTuple):
    """What ends an answer in a conversation.

    Attributes:
        ids: special tokens.
        texts: what is no token of its own.
    """

    ids: frozenset[int]
    texts: tuple[str, ...]


class Turned(NamedTuple):
    """A conversation.

    Attributes:
        ids: of all its turns.
        said: which of them the assistant says; what ends its turn is its own.
    """

    ids: Int64[Array, " tokens"]
    said: Bool[Array, " tokens"]


class Turns:
    """Reads conversations as a model does.

    Args:
        codec, template: the model's.
    """

    def __init__(self, codec: TextCodec, template: ChatTemplate) -> None:
        self.codec, self.template = codec, template

    def read(self, conversation: Mapping[str, Any], after: int = 0) -> Turned:
        """All turns of `{"messages": [...], "tools": [...]}`.

        Args:
            after: so many messages are a prompt: what the assistant says in them counts as told to it.

        Raises:
            DaedalError: the template is faulty or refuses these messages.
        """
        more = {"tools": conversation["tools"]} if conversation.get("tools") else {}
        messages: Sequence[Mapping[str, Any]] = conversation["messages"]
        pieces = Conversation(self.template, self.codec, messages, False, **more).turns
        told = sum(message.get("role") == "assistant" for message in messages[:after])
        ids: list[int] = []
        said: list[bool] = []
        for piece, own in pieces:
            ids += piece
            said += [own and not told] * len(piece)
            told -= own and told > 0
        return Turned(np.array(ids, dtype=np.int64), np.array(said, dtype=bool))

    @cached_property
    def ends(self) -> Ends:
        """What the template ends an answer by."""
        read = [(stop, self.codec.encode(stop, special=True)) for stop in self.template.stops]
        special = frozenset(ids[0] for _, ids in read if len(ids) == 1 and ids[0] in self.codec.special_ids)
        return Ends(special, tuple(stop for stop, ids in read if len(ids) != 1 or ids[0] not in special))

    def prompt(self, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> list[int]:
        """What an answer to these messages follows."""
        return Conversation(self.template, self.codec, messages, True, **({"tools": tools} if tools else {})).ids


def ending(turned: Turned, most: int, first: int | None = None) -> Int64[Array, " tokens"]:
    """The last turns of a conversation that fit into so many ids; of the last answer its end, where even that is longer.

    Args:
        first: what a conversation begins with, such as a mark of its beginning, stays.
    """
    ids, said = turned
    if len(ids) <= most:
        return ids
    kept = ids[:1] if first is not None and ids[0] == first else ids[:0]
    room = most - len(kept)
    after_answers = np.flatnonzero(said[:-1] & ~said[1:]) + 1
    fits = [begin for begin in after_answers if len(ids) - begin <= room and said[begin:].any()]
    return np.concatenate([kept, ids[fits[0] if fits else len(ids) - room :]])
