"""Texts as vectors, and how well documents fit a query by theirs, by an embedder or a BERT."""

import base64
from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float32

from daedal.inference.generator import Generator
from daedal.serving.commands import Command, Refused
from daedal.serving.operation import Operation, encoded

Vector = Float32[np.ndarray, " width"]


class Embed(Operation):
    """`embed`: `inputs`, each with a `text` or the `ids` of its tokens; of the vectors only the first `dimensions`."""

    op, skill = "embed", "embed"

    def __init__(self, generator: Generator, command: Command, rows: Sequence[Sequence[int]]) -> None:
        around = generator.codec.framing.room
        super().__init__(generator, command, rows, [len(row) + around for row in rows])
        self._dimensions: int | None = command.get("dimensions")

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        return cls(generator, command, [_row(generator, each, "inputs") for each in command["inputs"]])

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        return {"width": generator.model.config.width}

    @property
    def like(self) -> Hashable:
        return self.skill, self._dimensions

    def read(self, texts: list[Any]) -> list[Vector]:
        return list(self.generator.embed(texts, self._dimensions).cpu().numpy().astype("<f4"))

    def result(self, found: list[Vector]) -> dict[str, Any]:
        return {"vectors": [base64.b64encode(vector.tobytes()).decode() for vector in found]}


class Rank(Embed):
    """`rank`: `documents` by how well they fit a `query`: the cosine of their vectors."""

    op = "rank"

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        query = _row(generator, {"text": command["query"]}, "query")
        documents = [_row(generator, {"text": document}, "documents") for document in command["documents"]]
        return cls(generator, command, [query, *documents])

    def result(self, found: list[Vector]) -> dict[str, Any]:
        query, *documents = found
        return {"scores": (np.stack(documents) @ query).tolist()}


def _row(generator: Generator, entry: dict[str, Any], param: str) -> list[int]:
    """The ids of a text, without what the model has around it."""
    codec, config = generator.codec, generator.model.config
    around = codec.framing.room
    if "ids" not in entry:
        ids = encoded(codec, entry["text"], config.context - around, param, around)
    else:
        ids = entry["ids"]
        if len(ids) > config.context - around:
            told = f"This model's maximum context length is {config.context} tokens, and the prompt is too long: "
            told += f"{len(ids) + around} tokens > {config.context} maximum"
            raise Refused(400, told, "context_length_exceeded", param)
        if beyond := [id for id in ids if not 0 <= id < config.vocab_size]:
            raise Refused(400, f"There is no token {beyond[0]}", "invalid_value", param)
    if not ids:
        raise Refused(400, "A text has no tokens", "invalid_value", param)
    return ids
