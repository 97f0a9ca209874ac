"""What a translator does with the command of language models, `generate`: it translates the prompt, or of a conversation what
the user said last, line by line. Nothing else of a conversation is read."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.sampling import SamplingOptions
from daedal.inference.skills.translate import Translation
from daedal.serving.codec_commands import last_said
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.operation import Operation, encoded

_LONGEST, _DRAWN = 2**13, 2**11
"""Tokens of a text; and of all that are drawn for a request, which is done in one go."""
_COOLEST = 0.01
"""The lowest temperature of a text that is drawn."""
_NEUTRAL: dict[str, Any] = {
    "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "logit_bias": {}, "logprobs": None,
}  # fmt: skip
"""Options of language models that translators do not have, and what asks for nothing."""


class Translate(Operation):
    """`generate` of a translator: without a temperature, or at 0, the likeliest text that a beam search finds; otherwise one
    that is drawn. Lines are told as they are done."""

    op, skill = "generate", "translate"
    together = 512

    def __init__(self, generator: Generator, command: Command, lines: Sequence[str], tokens: Sequence[int]) -> None:
        given = dict(command.get("options") or {})
        self._count: int = command.get("n", 1)
        self._most: int | None = given.get("max_tokens") or None
        self._stops: tuple[str, ...] = tuple(given.get("stop") or ())
        temperature = given.get("temperature") or 0.0
        self._temperature = max(_COOLEST, temperature) if temperature else None
        self._seed = SamplingOptions.parse({"seed": given.get("seed")}, "request").seeded().seed
        if self._temperature is not None:  # which draw of a text it is counts within all of it
            lines, tokens = ["\n".join(lines)], [sum(tokens)]
        super().__init__(generator, command, lines, tokens)
        self._texts = [Text() for _ in range(self._count if self._temperature is not None else 1)]

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        _require_plain(command)
        codec: TextCodec = generator.codec
        text = last_said(codec, command["prompt"])
        encoded(codec, text, _LONGEST, "prompt")
        lines = text.split("\n")
        try:
            for line in lines:
                generator.pieces(line)
        except DaedalError as error:
            raise Refused(400, str(error), "context_length_exceeded", "prompt") from None
        made = cls(generator, command, lines, [len(ids) + 1 for ids in codec.encode_batch(lines)])
        if made._temperature is not None and (drawn := sum(made.tokens) * made._count) > _DRAWN:
            told = f"With a temperature a request has at most {_DRAWN:,} tokens, times n, and this one has {drawn:,}"
            raise Refused(400, told, "context_length_exceeded", "prompt")
        return made

    @property
    def like(self) -> Hashable:
        return ("beam", self._most) if self._temperature is None else ("sample", self.id)

    @property
    def done(self) -> bool:
        return super().done or any(text.full for text in self._texts)

    def begin(self) -> list[Event]:
        return [{"event": "started", "prompt_tokens": sum(self.tokens), "cached_tokens": 0, "waited": self.waited}]

    def read(self, texts: list[Any]) -> list[list[Translation]]:
        if self._temperature is None:
            return [[found] for found in self.generator.translate(texts, max_tokens=self._most)]
        return [
            self.generator.translate(
                texts * self._count,
                method="sample",
                temperature=self._temperature,
                seed=self._seed,
                max_tokens=self._most,
            )
        ]

    def result(self, found: list[Any]) -> dict[str, Any]:
        raise NotImplementedError  # it tells pieces of texts

    def take(self, found: list[Translation]) -> list[Event]:
        self._found.append(found)
        for text, line in zip(self._texts, found, strict=True):
            text.add(line, self._most)
        events, last = list[Event](), self.done
        told = [text.told(self._stops, last) for text in self._texts]
        # The likeliest text is the same however often it is asked for
        for index, (piece, count) in enumerate(told * (self._count // len(told))):
            text = self._texts[index % len(told)]
            if piece or last:
                events.append({"event": "text", "index": index, "text": piece, "count": count})
            if last:
                how = {"reason": text.reason, "stop": text.stop, "tokens": text.tokens}
                events.append({"event": "finished", "index": index, **how})
        return [*events, {"event": "done"}] if last else events


@dataclass
class Text:
    """A text that is being written, line by line.

    Attributes:
        cut: whether it was too long to be finished.
        full: whether no further line has room.
        stop: the text that ended it.
    """

    text: str | None = None
    tokens: int = 0
    cut: bool = False
    full: bool = False
    stop: str | None = None
    _characters: int = 0
    _counted: int = 0

    def add(self, line: Translation, most: int | None) -> None:
        """Another line, if all have at most so many tokens with it."""
        if self.text is not None and most is not None and self.tokens + line.tokens > most:
            self.cut = self.full = True
            return
        self.text = line.text if self.text is None else f"{self.text}\n{line.text}"
        self.tokens += line.tokens
        self.cut |= line.cut

    def told(self, stops: Sequence[str], last: bool) -> tuple[str, int]:
        """What is new since this was asked last, and its tokens; where a text may end it, nothing until all is there."""
        if stops and not last:
            return "", 0
        whole = self.text or ""
        self.stop = min((stop for stop in stops if stop in whole), key=whole.index, default=None)
        whole = whole if self.stop is None else whole[: whole.index(self.stop)]
        new, count = whole[self._characters :], self.tokens - self._counted
        self._characters, self._counted = len(whole), self.tokens
        return new, count

    @property
    def reason(self) -> str:
        """Why it ended."""
        return "length" if self.cut and self.stop is None else "stop"


def _require_plain(command: Command) -> None:
    """
    Raises:
        Refused: something is asked for that only language models do.
    """
    for name, asks in (
        ("constraint", command.get("constraint") is not None),
        ("echo", command.get("echo") is not None),
        ("min_tokens", bool(command.get("min_tokens"))),
        *((name, command["options"].get(name) not in (None, neutral)) for name, neutral in _NEUTRAL.items()),
    ):
        if asks:
            told = f"A translator does not know {name}: it writes the likeliest text, or with temperature one that is drawn"
            raise Refused(400, told, "unsupported_parameter", name)
