"""What the process of a model that reads whole texts, or histories, does with commands: texts that wait when a batch ends are
the next one, of whatever commands, up to a number of tokens. Nothing is padded, so that it does not matter how long they are.

Owners take turns, who has been given the fewest tokens comes next; so do the commands of an owner, text by text, so that a
short one need not wait for the end of a long one.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.fair_queue import Turns
from daedal.inference.generator import Generator
from daedal.serving.classify_operation import Classify, RankPairs
from daedal.serving.codec_commands import codec_info, detokenized, last_said, tokenized
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.embed_operation import Embed, Rank
from daedal.serving.finding_operations import Answer, Fill, Tag
from daedal.serving.operation import Operation
from daedal.serving.recommend_operation import Recommend
from daedal.serving.translate_operation import Translate

OPERATIONS: tuple[type[Operation], ...] = (Classify, Tag, Answer, Fill, Embed, Rank, RankPairs, Translate, Recommend)
"""Of those of one command the first that a model can."""


class BatchDesk:
    """Carries out the commands for one model of texts that is no language model.

    `prepare` may be called from any thread; all else from one.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._reads = isinstance(generator.codec, TextCodec)  # and not items
        self._operations: dict[str, type[Operation]] = {}
        for operation in OPERATIONS:
            if operation.fits(generator):
                self._operations.setdefault(operation.op, operation)
        self._waiting: dict[int, Operation] = {}
        self._begun: dict[int, float] = {}  # when commands came that have not been told of yet
        self._turns = Turns()

    @property
    def info(self) -> dict[str, Any]:
        """What the server must know of the model."""
        generator = self._generator
        told = {"kind": "text" if Translate.op in self._operations else "readings"}
        for operation in self._operations.values():
            told |= operation.told(generator)
        return {
            **told,
            **(codec_info(generator) if self._reads else {}),
            "can": [*self._operations, *(["tokenize"] if self._reads else [])],
            "context": generator.model.config.context,
            "vocab_size": generator.model.config.vocab_size,
            "parameters": sum(parameter.numel() for parameter in generator.model.parameters()),
            "fingerprint": generator.fingerprint,
        }

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def prepare(self, command: Command) -> Operation | Event:
        """All of a command's work that needs no model.

        Raises:
            Refused: it asks for something wrong.
        """
        codec: TextCodec = self._generator.codec
        try:
            match command["op"]:
                case "tokenize" if self._reads:
                    return tokenized(codec, self._ids(command["prompt"]), bool(command.get("pieces")))
                case "detokenize" if self._reads:
                    return detokenized(codec, command["ids"])
                case op if op in self._operations:
                    return self._operations[op].of(self._generator, command)
        except DaedalError as error:
            raise Refused(400, str(error)) from None
        told = f"{self._generator.kind} cannot do that: it {self._generator.able}"
        raise Refused(400, told, "unsupported_operation")

    def _ids(self, prompt: Mapping[str, Any]) -> Sequence[int]:
        """The tokens of a prompt, with what the model has around them."""
        codec: TextCodec = self._generator.codec
        if "ids" in prompt:
            return list(prompt["ids"])
        if "raw" in prompt:
            return codec.encode(prompt["raw"], special=True)
        if Translate.op in self._operations:
            return [*codec.encode(last_said(codec, prompt)), self._generator.model.config.end_id]
        if "messages" in prompt:
            raise Refused(400, "The model reads no conversations", "invalid_prompt", "prompt")
        return [int(id) for id in codec.framing.one(codec.encode(prompt["text"])).ids]

    def begin(self, job: Operation) -> None:
        """Start what was prepared."""
        self._turns.join(job.owner, {other.owner for other in self._waiting.values()})
        self._waiting[job.id], self._begun[job.id] = job, time.perf_counter()

    def cancel(self, id: int) -> None:
        """Nobody waits for that any more."""
        self._waiting.pop(id, None)
        self._begun.pop(id, None)

    def step(self) -> list[Event]:
        """Read a batch of what waits."""
        batch, events = self._gather(), list[Event]()
        for job in dict.fromkeys(job for job, _ in batch):
            if job.id in self._begun:
                job.waited = time.perf_counter() - self._begun.pop(job.id)
                events += _of(job, job.begin())
        found = self._read(batch[0][0], [text for _, text in batch]) if batch else []
        for (job, _), one in zip(batch, found, strict=True):
            if job.id not in self._waiting:
                continue  # it has failed, or needs no more
            if isinstance(one, DaedalError):
                events.append(Refused(500, str(one), "generation_failed").event(job.id))
            else:
                events += _of(job, job.take(one))
            if job.done or isinstance(one, DaedalError):
                self.cancel(job.id)
        return events

    def stats(self) -> Event:
        """How much is going on."""
        return {"event": "result", "running": 0, "waiting": len(self._waiting), "cache_tokens": 0}

    def _gather(self) -> list[tuple[Operation, Any]]:
        """The next texts, and of which commands they are."""
        batch: list[tuple[Operation, Any]] = []
        first, tokens = self._next(), 0
        job = first
        while first is not None and job is not None and (not batch or tokens + job.left[0][1] <= first.together):
            text, size = job.left.popleft()
            batch.append((job, text))
            tokens += size
            self._turns.charge(job.owner, size)
            self._waiting[job.id] = self._waiting.pop(job.id)  # the owner's others come first now
            job = self._next(first)
        return batch

    def _next(self, like: Operation | None = None) -> Operation | None:
        """The command whose turn it is; of those that can be read with another one, if one is given."""
        first: dict[str, Operation] = {}
        for job in self._waiting.values():
            if job.left and (like is None or job.like == like.like):
                first.setdefault(job.owner, job)
        return first[self._turns.next(first)] if first else None

    def _read(self, how: Operation, texts: list[Any]) -> list[Any]:
        """What came of each text, or why nothing did: one that cannot be read does not keep the others."""
        try:
            return how.read(texts)
        except DaedalError as error:
            half = len(texts) // 2
            return [*self._read(how, texts[:half]), *self._read(how, texts[half:])] if half else [error]


def _of(job: Operation, events: list[Event]) -> list[Event]:
    return [{"id": job.id, **event} for event in events]
