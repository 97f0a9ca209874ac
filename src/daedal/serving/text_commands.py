"""What the process of a language model does with commands: all that runs shares the steps of its engine."""

import base64
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daedal.codecs.conversation import Conversation
from daedal.errors import DaedalError
from daedal.inference.constraint import Constraint, ConstraintCompiler, Unconstrainable
from daedal.inference.engine_request import Fault, Logprob, Read, Request, Row, Token, TooLong
from daedal.inference.generator import Generator
from daedal.inference.logits import NothingLeft
from daedal.inference.sampling import SamplingOptions
from daedal.inference.text_stream import TextStream
from daedal.safety.text_marks.text_mark import TextMark
from daedal.serving.codec_commands import codec_info, detokenized, tokenized
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.operation import CHARACTERS

_EMBEDDED = 2048
"""Tokens of texts that become vectors between two steps of the engine."""


@dataclass
class Sample:
    """One text that is being written."""

    answer: "Answer"
    index: int
    stream: TextStream
    count: int = 0
    finished: bool = False


@dataclass
class Answer:
    """A `generate` command that is being carried out."""

    id: int
    requests: list[tuple[Request, TextStream]]
    logprobs: bool
    samples: dict[Row, Sample] = field(default_factory=dict)
    started: bool = False


@dataclass
class Vectors:
    """An `embed` command: texts that are still to be read, and the vectors of the others."""

    id: int
    texts: deque[list[int]]
    dimensions: int | None
    tokens: list[int]
    found: list[str] = field(default_factory=list)


class TextDesk:
    """Carries out the commands for one language model.

    `prepare` may be called from any thread; all else from one.

    Args:
        watermark: what all sampled text is marked with.
    """

    def __init__(self, generator: Generator, watermark: TextMark | None = None) -> None:
        self._generator, self._codec, self._watermark = generator, generator.codec, watermark
        self._engine = generator.engine
        self._special, self._turn_ends = generator.turn_ends
        stop_ids = sorted(generator.stop_ids | self._special)
        self._compiler = ConstraintCompiler(self._codec, generator.model.config.vocab_size, stop_ids)
        self._answers: dict[int, Answer] = {}
        self._samples: dict[Row, Sample] = {}
        self._vectors: deque[Vectors] = deque()

    @property
    def info(self) -> dict[str, Any]:
        """What the server must know of the model."""
        config = self._generator.model.config
        return {
            "kind": "text",
            **codec_info(self._generator),
            "can": ["generate", "embed", "tokenize", *(["infill"] if "complete" in self._generator.skills else [])],
            "context": config.context,
            "vocab_size": config.vocab_size,
            "width": config.width,
            "parameters": sum(parameter.numel() for parameter in self._generator.model.parameters()),
            "fingerprint": self._generator.fingerprint,
            "max_rows": self._engine.rows,
        }

    @property
    def busy(self) -> bool:
        return self._engine.busy or bool(self._vectors)

    # -- in any thread -------------------------------------------------------------------------------------------------

    def prepare(self, command: Command) -> Any:
        """All of a command's work that needs no model: what `begin` takes, or, for what is done with it, an event.

        Raises:
            Refused: it asks for something wrong.
        """
        try:
            match command["op"]:
                case "generate":
                    return self._prepare_answer(command)
                case "embed":
                    return self._prepare_vectors(command)
                case "tokenize":
                    ids, _, _ = self._ids(command["prompt"], bounded=False)
                    return tokenized(self._codec, ids, bool(command.get("pieces")))
                case "detokenize":
                    return detokenized(self._codec, self._generator.known(command["ids"]))
        except Unconstrainable as error:
            raise Refused(400, str(error), "invalid_constraint", "constraint") from None
        except TooLong as error:
            raise Refused(400, str(error), "context_length_exceeded", "inputs") from None
        except DaedalError as error:
            raise Refused(400, str(error)) from None
        raise Refused(400, "A language model cannot do that", "unsupported_operation")

    def _prepare_answer(self, command: Command) -> Answer:
        ids, stop_ids, turn_ends = self._ids(command["prompt"])
        given = dict(command.get("options") or {})
        limit, echo = given.pop("max_tokens", None), command.get("echo")
        stops = (*given.pop("stop", ()), *turn_ends)
        biases = {int(id): bias for id, bias in (given.pop("logit_bias", None) or {}).items()}
        if beyond := [id for id in biases if not 0 <= id < self._generator.model.config.vocab_size]:
            raise Refused(400, f"There is no token {beyond[0]}", "invalid_value", "logit_bias")
        options = SamplingOptions.parse(
            {**given, "logit_bias": biases, "max_tokens": limit or None}, "request"
        ).seeded()
        constraint = self._constraint(command.get("constraint"))
        hidden = (command.get("constraint") or {}).get("hidden")
        requests = []
        for sample in range(command.get("n", 1)):
            request = Request(
                ids=ids,
                options=options,
                sample=sample,
                stop_ids=stop_ids,
                owner=command.get("owner", ""),
                constraint=None if constraint is None else constraint.copy(),
                echo=echo if sample == 0 else None,
                writes=limit != 0,
                least=command.get("min_tokens") or 0,
                watermark=self._watermark,
            )
            opens = self._codec.kind == "other" and command["prompt"].get("text") == ""
            requests.append((request, TextStream(self._codec, stops, opens, hidden)))
        return Answer(command["id"], requests, options.logprobs is not None)

    def _prepare_vectors(self, command: Command) -> Vectors:
        context = self._generator.model.config.context
        texts = deque(self._ids(entry)[0] for entry in command["inputs"])
        for text in texts:
            if len(text) > context:
                raise TooLong(len(text), context, context)
        return Vectors(command["id"], texts, command.get("dimensions"), [len(text) for text in texts])

    def _constraint(self, asked: Mapping[str, Any] | None) -> Constraint | None:
        if asked is None:
            return None
        value = next((asked[name] for name in ("schema", "pattern", "grammar") if name in asked), None)
        try:
            return self._compiler.compile(asked["kind"], value)
        except Unconstrainable:
            for name, schema in (asked.get("tools") or {}).items():
                try:
                    self._compiler.compile("lark", f"start: %json {schema}\n")
                except Unconstrainable as error:
                    raise Refused(400, f"The tool {name!r}: {error}", "invalid_constraint", "constraint") from None
            raise

    def _ids(
        self, prompt: Mapping[str, Any], bounded: bool = True
    ) -> tuple[list[int], frozenset[int], tuple[str, ...]]:
        """The tokens of a prompt, and the tokens and texts that end what is written after it.

        Args:
            bounded: whether one that is far too long is to be refused.

        Raises:
            Refused: the model cannot read it.
        """
        try:
            return self._read_prompt(prompt, bounded)
        except TooLong as error:
            raise Refused(400, str(error), "context_length_exceeded", "prompt") from None
        except DaedalError as error:
            raise Refused(400, str(error), "invalid_prompt", "prompt") from None

    def _read_prompt(
        self, prompt: Mapping[str, Any], bounded: bool
    ) -> tuple[list[int], frozenset[int], tuple[str, ...]]:
        stop_ids = self._generator.stop_ids
        if prompt.get("suffix"):
            if bounded:
                self._bound(prompt.get("text", ""))
                self._bound(prompt["suffix"])
            before = prompt["ids"] if "ids" in prompt else prompt["text"]
            around = self._generator.around(before, prompt["suffix"])
            return around, stop_ids | self._generator.middle_ends, ()
        if "ids" in prompt:
            return self._generator.known(prompt["ids"]), stop_ids, ()
        if "raw" in prompt:
            return self._codec.encode(prompt["raw"], special=True), stop_ids, ()
        if "text" in prompt:
            if bounded:
                self._bound(prompt["text"])
            return self._generator.read(prompt["text"]), stop_ids, ()
        values = {"tools": prompt["tools"]} if prompt.get("tools") else {}
        template, begins = self._generator.template, prompt.get("add_generation_prompt", True)
        read = Conversation(template, self._codec, prompt["messages"], begins, **values)
        if bounded:
            self._bound(read.text)
        return read.ids, stop_ids | self._special, self._turn_ends

    def _bound(self, text: str) -> None:
        """Refuse what is far too long by its beginning: a million characters take a second to read.

        Raises:
            TooLong: it is.
        """
        context = self._generator.model.config.context
        head = text[: CHARACTERS * context]
        if len(head) < len(text) and (tokens := len(self._codec.encode(head, special=True))) > context:
            raise TooLong(tokens, context, context, f"in its first {len(head):,} characters alone")

    # -- in the engine's thread ----------------------------------------------------------------------------------------

    def begin(self, job: Any) -> None:
        """Start what was prepared.

        Raises:
            Refused: it asks for something wrong.
        """
        if isinstance(job, Vectors):
            self._vectors.append(job)
            return
        self._answers[job.id] = job
        try:
            for index, (request, stream) in enumerate(job.requests):
                row = self._engine.submit(request)
                self._samples[row] = job.samples[row] = Sample(job, index, stream)
        except DaedalError as error:
            self.cancel(job.id)
            code = "context_length_exceeded" if isinstance(error, TooLong) else "invalid_prompt"
            raise Refused(400, str(error), code, "prompt") from None

    def cancel(self, id: int) -> None:
        """Nobody waits for that any more."""
        answer = self._answers.pop(id, None)
        if answer is not None:
            for row in answer.samples:
                self._engine.cancel(row)
                self._samples.pop(row, None)
        self._vectors = deque(job for job in self._vectors if job.id != id)

    def step(self) -> list[Event]:
        """Do a little of everything that is under way."""
        events = self._embed() if self._vectors else []
        pieces: dict[Row, Event] = {}
        for happened in self._engine.step():
            sample = self._samples.get(happened.row)
            if sample is None or sample.finished:
                continue
            match happened:
                case Read():
                    events += self._read(happened.row, sample)
                case Token():
                    self._take(happened, sample, pieces)
                    if sample.finished:
                        events += self._finished(happened.row, sample, pieces.pop(happened.row), happened.finish)
                case Fault():
                    events.append(_failed(sample.answer.id, happened))
                    self.cancel(sample.answer.id)
        return events + list(pieces.values())

    def stats(self) -> Event:
        """How much is going on."""
        engine = self._engine
        return {
            "event": "result",
            "running": len(engine.running),
            "waiting": engine.waiting + len(self._vectors),
            "cache_tokens": engine.cached,
        }

    def _read(self, row: Row, sample: Sample) -> list[Event]:
        answer, events = sample.answer, list[Event]()
        if not answer.started:
            answer.started = True
            told = {"prompt_tokens": len(row.request.ids), "cached_tokens": row.cached, "waited": row.waited}
            events.append({"id": answer.id, "event": "started", **told})
        if row.request.echo is not None:
            tokens = [self._token(id, entry) for id, entry in zip(row.request.ids, row.echoed, strict=True)]
            events.append({"id": answer.id, "event": "prompt", "tokens": tokens})
        if not row.request.writes:
            events += self._finished(row, sample, None, "length")
        return events

    def _take(self, token: Token, sample: Sample, pieces: dict[Row, Event]) -> None:
        """Add a token to the piece of text that goes out after this step."""
        answer = sample.answer
        piece = pieces.setdefault(
            token.row, {"id": answer.id, "event": "text", "index": sample.index, "text": "", "count": 0}
        )
        sample.count += 1
        piece["count"] += 1
        piece["text"] += sample.stream.push(token.id)
        if (
            answer.logprobs
        ):  # every token that is counted has its entry: harnesses cut one off at the end, whichever it is
            entry = None if token.logprob is None else (token.logprob, token.top)
            piece.setdefault("tokens", []).append(self._token(token.id, entry))
        if sample.stream.stop is not None or token.finish is not None:
            piece["text"] += sample.stream.finish()
            sample.finished = True

    def _finished(self, row: Row, sample: Sample, piece: Event | None, reason: str | None) -> Iterable[Event]:
        answer, stop = sample.answer, sample.stream.stop
        sample.finished = True
        self._engine.cancel(row, keep=True)
        del self._samples[row]
        if piece is not None:
            yield piece
        yield {
            "id": answer.id,
            "event": "finished",
            "index": sample.index,
            "reason": "stop" if stop is not None else reason,
            "stop": stop if stop not in self._turn_ends else None,
            "tokens": sample.count,
        }
        if all(other.finished for other in answer.samples.values()):
            del self._answers[answer.id]
            yield {"id": answer.id, "event": "done"}

    def _token(self, id: int, entry: Logprob | None) -> dict[str, Any]:
        logprob, top = entry or (None, ())
        return {
            "id": id,
            "bytes": self._bytes(id),
            "logprob": logprob,
            "top": [[other, self._bytes(other), value] for other, value in top],
        }

    def _bytes(self, id: int) -> list[int] | str:
        """What a token adds to the text; the name of one that adds nothing."""
        return list(self._codec.token_bytes(id)) or self._codec.name(id)

    def _embed(self) -> list[Event]:
        """Some of the texts of the first command that wants vectors; the result when all have theirs."""
        job = self._vectors[0]
        texts = [job.texts.popleft()]
        while job.texts and (len(texts) + 1) * max(len(job.texts[0]), *map(len, texts)) <= _EMBEDDED:
            texts.append(job.texts.popleft())
        try:
            vectors = self._generator.embed(texts, job.dimensions).cpu().numpy().astype("<f4")
        except DaedalError as error:
            self._vectors.popleft()
            return [Refused(500, str(error), "generation_failed").event(job.id)]
        job.found += [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
        if job.texts:
            self._vectors.rotate(-1)  # the others have a turn
            return []
        self._vectors.popleft()
        return [{"id": job.id, "event": "result", "vectors": job.found, "tokens": job.tokens}]


def _failed(id: int, fault: Fault) -> Event:
    """Why a text could not be written: for what was asked of it, or for nothing that its request could help."""
    error = fault.error
    if isinstance(error, Unconstrainable):
        return Refused(400, str(error), "invalid_constraint", "constraint").event(id)
    if isinstance(error, NothingLeft):
        return Refused(400, str(error), "invalid_value", "min_tokens" if fault.row.request.least else None).event(id)
    return Refused(500, str(error), "generation_failed").event(id)
