"""A conversation as a model reads it: only what its chat template writes is a special token, never what a message says.

Before the template sees it, every special token that a message spells out is replaced by a name that nobody can guess; in the
rendered text the template's own special tokens become marks, the names become what was written, and the codec reads the marks.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from daedal.codecs.chat import ChatTemplate
from daedal.codecs.text import TextCodec, encodable


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
        self._codec, self._secret = codec, secrets.token_hex(8)
        self._marks = codec.marks(template.skeleton)
        given = {name: self._guarded(value) for name, value in values.items()}
        self._rendered = template.render(self._guarded(list(messages)), add_generation_prompt, **given)

    @cached_property
    def text(self) -> str:
        """What the model reads, as text."""
        return self._written(self._rendered)

    @cached_property
    def ids(self) -> list[int]:
        """What the model reads."""
        if self._secret not in self._rendered and self._marks.exact:
            return self._codec.encode(self._rendered, special=True)
        marked = self._marks.pattern.sub(lambda found: self._marks.marks[found[0]], self._rendered)
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
