"""What texts are, and how well documents fit a query, by a classifier."""

from collections.abc import Sequence
from typing import Any, Self

from daedal.inference.generator import Generator
from daedal.inference.skills.classify import Classification, Text
from daedal.serving.commands import Command, Refused
from daedal.serving.operation import LONGEST, Operation, encoded

_RELEVANT = "relevant"


class Classify(Operation):
    """`classify`: `inputs`, each with a `text`, and with a `pair` where the model reads two."""

    op, skill = "classify", "classify"

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        texts = [(each["text"], each["pair"]) if each.get("pair") else each["text"] for each in command["inputs"]]
        return cls._reading(generator, command, texts, "inputs")

    @classmethod
    def _reading(cls, generator: Generator, command: Command, texts: Sequence[Text], param: str) -> Self:
        codec, framing = generator.codec, generator.codec.framing
        longest = max(generator.model.config.context, LONGEST)
        tokens = []
        for text in texts:
            parts = [text] if isinstance(text, str) else list(text)
            around = framing.room if len(parts) == 1 else framing.room_of_two
            count = sum(len(encoded(codec, part, longest - around, param, around)) for part in parts) + around
            if not count:
                raise Refused(400, "A text is empty", "invalid_value", param)
            tokens.append(count)
        return cls(generator, command, texts, tokens)

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        return {"classes": list(generator.labels), "problem": generator.model.config.problem}

    def read(self, texts: list[Any]) -> list[Classification]:
        found: list[Classification] = self.generator.classify(texts)
        return found

    def result(self, found: list[Classification]) -> dict[str, Any]:
        names = self.generator.labels
        return {
            "found": [
                {
                    "label": one.label,
                    "probs": [one.value] if one.value is not None else [one.probabilities[name] for name in names],
                    "labels": one.labels,
                    "value": one.value,
                    "cut": one.cut,
                }
                for one in found
            ]
        }


class RankPairs(Classify):
    """`rank`: `documents` by how well they fit a `query`, by a classifier of two texts: its number, or the probability of its
    label "relevant"."""

    op = "rank"

    @classmethod
    def fits(cls, generator: Generator) -> bool:
        return super().fits(generator) and (
            generator.model.config.problem == "number" or _RELEVANT in map(str.lower, generator.labels)
        )

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        texts = [(command["query"], document) for document in command["documents"]]
        return cls._reading(generator, command, texts, "documents")

    def result(self, found: list[Classification]) -> dict[str, Any]:
        name = next((name for name in self.generator.labels if name.lower() == _RELEVANT), "")
        return {"scores": [one.probabilities[name] if one.value is None else one.value for one in found]}
