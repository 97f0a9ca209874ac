"""A conversation as a model reads it: only what its chat template writes is a special token, never what a message says.

Before the template sees it, every special token that a message spells out is replaced by a name that nobody can guess; in the
rendered text the template's own special tokens become marks, the names become what was written, and the codec reads the marks.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from daedal.codecs.byte_pairs import encodable
from daedal.codecs.chat import ChatTemplate
from daedal.codecs.text import TextCodec


class Conversation:
    """Messages, rendered by a chat template.

    Args:
        messages: each with `role` and `content`.
        add_generation_prompt: end with what the model's answer follows.
        values: more for the template, such as `tools`.

    Raises:
        DaedalError: the template is faulty or refuses these messages.
    """

    def __init__(
        self,
        template: ChatTemplate,
        codec: TextCodec,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,
        **values: Any,
    ) -> None:
        self._template, self._codec, self._secret = template, codec, secrets.token_hex(8)
        self._marks = codec.marks(template.skeleton)
        self._values = {name: self._guarded(value) for name, value in values.items()}
        self._messages: list[Any] = self._guarded(list(messages))
        self._rendered = self._render(self._messages, add_generation_prompt)

    @cached_property
    def text(self) -> str:
        """What the model reads, as text."""
        return self._written(self._rendered)

    @cached_property
    def ids(self) -> list[int]:
        """What the model reads."""
        return self._read(self._rendered)

    @cached_property
    def turns(self) -> list[tuple[list[int], bool]]:
        """The same in pieces, each with whether the assistant says it: what a prompt ends with is not its own, what ends its
        turn is. One piece that it says, where the template writes what came before otherwise as a conversation goes on."""
        pieces: list[tuple[str, bool]] = []
        done = ""
        for place, message in enumerate(self._messages):
            if message.get("role") != "assistant":
                continue
            before = self._render(self._messages[:place], True) if place else ""
            after = self._render(self._messages[: place + 1], False)
            if not (before.startswith(done) and after.startswith(before)):
                return [(self.ids, True)]
            pieces += [(before[len(done) :], False), (after[len(before) :], True)]
            done = after
        if not self._rendered.startswith(done):
            return [(self.ids, True)]
        pieces.append((self._rendered[len(done) :], False))
        return [(self._read(piece), own) for piece, own in pieces if piece]

    def _render(self, messages: list[Any], add_generation_prompt: bool) -> str:
        return self._template.render(messages, add_generation_prompt, **self._values)

    def _read(self, rendered: str) -> list[int]:
        if self._secret not in rendered and self._marks.exact:
            return self._codec.encode(rendered, special=True)
        marked = self._marks.pattern.sub(lambda found: self._marks.marks[found[0]], rendered)
        return self._marks.encode(encodable(self._written(marked)))

    def _guarded(self, value: Any) -> Any:
        """A value whose texts, at any depth, spell out no special token, also not together with what may follow."""
        if isinstance(value, str):
            text = self._marks.pattern.sub(lambda found: self._name(self._marks.contents.index(found[0])), value)
            return text + self._name() if self._marks.may_begin(text) else text
        if isinstance(value, Mapping):
            return {self._guarded(name): self._guarded(each) for name, each in value.items()}
        return [self._guarded(each) for each in value] if isinstance(value, list | tuple) else value

    def _name(self, number: int | None = None) -> str:
        """What stands for a special token that a message spells out; without a number, what parts two texts."""
        return f"\ue000{self._secret}{'' if number is None else number}\ue001"

    def _written(self, text: str) -> str:
        """A text with what messages spelled out in place of its names."""
        names = re.compile(f"\ue000{self._secret}([0-9]*)\ue001")
        return names.sub(lambda found: self._marks.contents[int(found[1])] if found[1] else "", text)
