"""What is found in texts: names and the like, answers, and what may stand in the place of masks."""

from collections.abc import Hashable, Sequence
from typing import Any, Self

from daedal.codecs.both_ways import HIDDEN
from daedal.inference.generator import Generator
from daedal.serving.commands import Command, Refused
from daedal.serving.operation import LONGEST, Operation, encoded


class Finding(Operation):
    """A command with `inputs`, each a text or several, and of each the `top` so many of what is found."""

    def __init__(self, generator: Generator, command: Command, texts: Sequence[Any], tokens: Sequence[int]) -> None:
        super().__init__(generator, command, texts, tokens)
        self.top: int = command.get("top") or 1

    @property
    def like(self) -> Hashable:
        return self.op, self.top

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        texts = command["inputs"]
        return cls(generator, command, texts, [_count(generator, text) for text in texts])


class Tag(Finding):
    """`tag`: of each text, what stands in it and where."""

    op, skill = "tag", "tag"

    def read(self, texts: list[Any]) -> list[Any]:
        found: list[Any] = self.generator.tag(texts)
        return found

    def result(self, found: list[Any]) -> dict[str, Any]:
        return {"found": [[entity.model_dump() for entity in one] for one in found]}


class Answer(Finding):
    """`answer`: of each question and its context, the best answers."""

    op, skill = "answer", "answer"

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        pairs = [(each["question"], each["context"]) for each in command["inputs"]]
        return cls(generator, command, pairs, [sum(_count(generator, text) for text in pair) for pair in pairs])

    def read(self, texts: list[Any]) -> list[Any]:
        if self.top > 1:
            return [self.generator.answer(question, context, top=self.top) for question, context in texts]
        questions, contexts = zip(*texts, strict=True)
        return [[answer] for answer in self.generator.answers(questions, contexts)]

    def result(self, found: list[Any]) -> dict[str, Any]:
        return {"found": [[answer.model_dump() for answer in one] for one in found]}


class Fill(Finding):
    """`fill`: of each text, for each of its masks what may stand there."""

    op, skill = "fill", "fill"

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        made, codec = super().of(generator, command), generator.codec
        context = generator.model.config.context
        for text in command["inputs"]:
            ids = codec.framing.one(codec.encode(text.replace(HIDDEN, codec.name(codec.mask_id)), special=True)).ids
            if len(ids) > context:
                told = f"This model's maximum context length is {context} tokens, and the text has {len(ids)}"
                raise Refused(400, told, "context_length_exceeded", "inputs")
            if codec.mask_id not in ids:
                raise Refused(400, f"A text has no {HIDDEN}", "invalid_value", "inputs")
        return made

    def read(self, texts: list[Any]) -> list[Any]:
        return [self.generator.fill(text, self.top) for text in texts]

    def result(self, found: list[Any]) -> dict[str, Any]:
        return {"found": [[[filling.model_dump() for filling in mask] for mask in one] for one in found]}


def _count(generator: Generator, text: str) -> int:
    """The tokens of a text.

    Raises:
        Refused: they are too many, or none.
    """
    codec = generator.codec
    count: int = len(encoded(codec, text, max(generator.model.config.context, LONGEST), "inputs"))
    if not count:
        raise Refused(400, "A text has no tokens", "invalid_value", "inputs")
    around: int = codec.framing.room
    return count + around
