"""Texts: a model writes on from them, streams, and answers in conversations."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from threading import RLock
from typing import Any

from daedal.codecs.conversation import Conversation
from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Ends, Turns
from daedal.errors import DaedalError
from daedal.inference.completion import Chunk, Completion, TokenLogprob
from daedal.inference.constraint import Constraint, ConstraintCompiler
from daedal.inference.engine import Engine
from daedal.inference.engine_request import Event, Fault, FinishReason, Request, Row, Token
from daedal.inference.network import networks
from daedal.inference.provenance import TextProvenance
from daedal.inference.sampling import SamplingOptions
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.inference.skills.rows import known_ids
from daedal.inference.text_stream import TextStream
from daedal.memory import require_memory
from daedal.models.gpt import GPT
from daedal.safety.text_marks.text_mark import TextMark

Messages = Sequence[Mapping[str, Any]]
_TOGETHER = 256
"""Texts that are given to the engine at a time."""
_HELD = 4000
"""Bytes that a text takes, at least, until all are written."""


class TextSkill(Skill):
    """A skill of a language model."""

    learned = GPT

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, GPT)
        assert isinstance(subject.codec, TextCodec)
        self._model, self._codec = subject.model, subject.codec

    def read(self, prompt: str) -> list[int]:
        """The ids of a prompt; for an empty one, what begins a document.

        Raises:
            DaedalError: it is empty, and the model has no token that begins a text.
        """
        ids = [*self._codec.prefix_ids, *self._codec.encode(prompt)]
        first = self._codec.eos_id if self._codec.bos_id is None else self._codec.bos_id
        if not ids and first is None:
            raise DaedalError("The prompt is empty, and this model has no token that begins a text", "Give a prompt")
        return ids or [first or 0]

    def known(self, ids: Sequence[int]) -> list[int]:
        """These ids.

        Raises:
            DaedalError: the model knows no such token.
        """
        return known_ids(ids, self._model.config.vocab_size)


class Write(TextSkill):
    """Completions of texts, and answers."""

    name = "write"
    needs = ("complete",)
    verb = "write on from a text"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        self._engine = Engine(*networks(self._model, subject.quantize))
        self._inboxes: dict[Row, deque[Event]] = {}
        self._turn = RLock()  # threads take turns at the engine; a stream may be given up in the middle of a turn

    @property
    def engine(self) -> Engine:
        """What all that is written shares."""
        return self._engine

    def generate(
        self,
        prompts: str | Sequence[str | Sequence[int]],
        n: int = 1,
        *,
        watermark: TextMark | None = None,
        **options: Any,
    ) -> list[Completion]:
        """`n` continuations of each prompt, in the order of the prompts.

        A prompt is a text, in which names of special tokens are plain text, or the ids of its tokens.

        A prompt that is given twice has twice as many samples. What a prompt gives does not depend on the others.

        Args:
            watermark: what sampled texts are marked with; greedy ones never are.
            options: the fields of `SamplingOptions`.

        Raises:
            DaedalError: an option makes no sense, or a prompt does not fit the context.
        """
        given = [prompts] if isinstance(prompts, str) else list(prompts)
        if n < 1:
            raise DaedalError(f"n is {n}: there is nothing to generate", "Ask for at least one continuation")
        require_memory(f"Writing {n * len(given):,} texts", n * len(given) * _HELD, "Ask for fewer")
        chosen = SamplingOptions.parse(options, "generate").seeded()
        samples: Counter[tuple[int, ...]] = Counter()
        rows = []
        for prompt in given:
            ids = self.read(prompt) if isinstance(prompt, str) else self.known(prompt)
            text = prompt if isinstance(prompt, str) else self._codec.decode(ids)
            rows += [
                _Writer(self._subject, self._codec, text, ids, samples[tuple(ids)] + i, chosen, watermark)
                for i in range(n)
            ]
            samples[tuple(ids)] += n
        for _ in self._write(rows, chosen):
            pass
        return [row.completion() for row in rows]

    def stream(self, prompt: str, *, watermark: TextMark | None = None, **options: Any) -> Iterator[Chunk]:
        """A continuation piece by piece; the pieces joined are what `generate` gives.

        Raises:
            DaedalError: as `generate`, at once and not with the first piece.
        """
        chosen = SamplingOptions.parse(options, "generate").seeded()
        row = _Writer(self._subject, self._codec, prompt, self.read(prompt), 0, chosen, watermark)
        return self._stream(row, chosen)

    def go_on(
        self,
        prompt: str,
        ids: Sequence[int],
        n: int,
        ends: frozenset[int],
        *,
        watermark: TextMark | None = None,
        **options: Any,
    ) -> list[Completion]:
        """`n` texts after ids that were made of a prompt, which `ends` end too.

        Raises:
            DaedalError: as `generate`.
        """
        if n < 1:
            raise DaedalError(f"n is {n}: there is nothing to generate", "Ask for at least one continuation")
        require_memory(f"Writing {n:,} texts", n * _HELD, "Ask for fewer")
        chosen = SamplingOptions.parse(options, "generate").seeded()
        rows = [self._ended_by(ends, prompt, ids, sample, chosen, watermark) for sample in range(n)]
        for _ in self._write(rows, chosen):
            pass
        return [row.completion() for row in rows]

    def stream_on(
        self,
        prompt: str,
        ids: Sequence[int],
        ends: frozenset[int],
        *,
        watermark: TextMark | None = None,
        **options: Any,
    ) -> Iterator[Chunk]:
        """As `go_on` one text, piece by piece."""
        chosen = SamplingOptions.parse(options, "generate").seeded()
        return self._stream(self._ended_by(ends, prompt, ids, 0, chosen, watermark), chosen)

    def _ended_by(
        self,
        ends: frozenset[int],
        prompt: str,
        ids: Sequence[int],
        sample: int,
        options: SamplingOptions,
        watermark: TextMark | None,
    ) -> "_Writer":
        row = _Writer(self._subject, self._codec, prompt, self.known(ids), sample, options, watermark)
        row.stop_ids = row.stop_ids | ends
        return row

    def chat(self, messages: Messages, *, watermark: TextMark | None = None, **options: Any) -> Completion:
        """The model's answer to a conversation: messages with `role` and `content`.

        The oldest messages are left out where all do not fit the context; `forgotten` says how many.

        Raises:
            DaedalError: as `generate`, or the chat template refuses the conversation.
        """
        row, chosen = self._answering(messages, options, watermark)
        for _ in self._write([row], chosen):
            pass
        return row.completion()

    def answers(
        self,
        prompts: Sequence[str | Messages],
        samples: Sequence[int] | None = None,
        schema: Mapping[str, Any] | None = None,
        *,
        watermark: TextMark | None = None,
        **options: Any,
    ) -> Iterator[tuple[int, Completion]]:
        """What `generate` and `chat` give, of many texts and conversations together, each with its place, as they are ready.

        Args:
            samples: the number of each one's sample; 0 unless given.
            schema: a JSON schema that all match.

        Raises:
            DaedalError: as `generate` and `chat`, or nothing can be made to match the schema.
        """
        chosen = SamplingOptions.parse(options, "generate").seeded()
        options = {**options, "seed": chosen.seed}
        constraint = None
        if schema is not None:
            compiler = ConstraintCompiler(
                self._codec, self._model.config.vocab_size, sorted(self._subject.stop_ids | self.turn_ends.ids)
            )
            constraint = compiler.compile("json_schema", schema)
        for first in range(0, len(prompts), _TOGETHER):
            rows: dict[_Writer, int] = {}
            for place in range(first, min(first + _TOGETHER, len(prompts))):
                prompt = prompts[place]
                if isinstance(prompt, str):
                    row = _Writer(self._subject, self._codec, prompt, self.read(prompt), 0, chosen, watermark)
                else:
                    row, _ = self._answering(prompt, options, watermark)
                row.sample = samples[place] if samples is not None else 0
                if constraint is not None:
                    row.keep_to(constraint.copy())
                rows[row] = place
            for row, _ in self._write(list(rows), chosen):
                if row.finish_reason is not None:
                    yield rows[row], row.completion()

    def stream_chat(self, messages: Messages, *, watermark: TextMark | None = None, **options: Any) -> Iterator[Chunk]:
        """As `chat`, piece by piece."""
        return self._stream(*self._answering(messages, options, watermark))

    @cached_property
    def turn_ends(self) -> Ends:
        """What ends an answer in a conversation."""
        return Turns(self._codec, self._subject.template).ends

    def _write(self, rows: "list[_Writer]", options: SamplingOptions) -> "Iterator[tuple[_Writer, str]]":
        """Generate rows together; gives every new piece of text."""
        written: dict[Row, _Writer] = {}
        try:
            for writer in rows:
                with self._turn:
                    row = self._engine.submit(writer.request(options))
                    written[row], self._inboxes[row] = writer, deque()
            while True:
                for row, writer in written.items():
                    yield from ((writer, piece) for piece in self._take(row, writer))
                if all(writer.finish_reason is not None for writer in written.values()):
                    return
                with self._turn:
                    for event in self._engine.step():
                        # Another text of this generator may be under way, and takes its own
                        self._inboxes[event.row].append(event)
        finally:
            with self._turn:
                for row in written:
                    self._engine.cancel(row)
                    del self._inboxes[row]

    def _take(self, row: Row, writer: "_Writer") -> Iterator[str]:
        """What has come for a text."""
        while self._inboxes[row] and writer.finish_reason is None:
            event = self._inboxes[row].popleft()
            if isinstance(event, Fault):
                raise event.error
            if isinstance(event, Token):
                yield writer.take(event)
                if writer.finish_reason is not None:
                    with self._turn:
                        self._engine.cancel(row, keep=True)

    def _stream(self, row: "_Writer", options: SamplingOptions) -> Iterator[Chunk]:
        for _, piece in self._write([row], options):
            if row.finish_reason is not None:
                yield Chunk(piece, row.completion())
            elif piece:
                yield Chunk(piece)

    def _answering(
        self, messages: Messages, options: dict[str, Any], watermark: TextMark | None = None
    ) -> "tuple[_Writer, SamplingOptions]":
        if not messages:
            raise DaedalError("The conversation has no messages", "Give at least one")
        special, stops = self.turn_ends
        chosen = SamplingOptions.parse(options, "generate").seeded()
        chosen = chosen.but(stop=(*chosen.stop, *stops))
        context = self._model.config.context
        answer = min(chosen.max_tokens or context // 4, context // 2)
        kept, forgotten = list(messages), 0
        while True:
            read = Conversation(self._subject.template, self._codec, kept)
            prompt, ids = read.text, read.ids
            if len(ids) + answer <= context or not (oldest := _oldest(kept)):
                break
            kept = [message for i, message in enumerate(kept) if i not in oldest]
            forgotten += len(oldest)
        row = _Writer(self._subject, self._codec, prompt, ids, 0, chosen, watermark)
        row.forgotten, row.stop_ids = forgotten, row.stop_ids | special
        return row, chosen


class _Writer:
    """One text that is being written."""

    def __init__(
        self,
        subject: ModelAndCodec,
        codec: TextCodec,
        prompt: str,
        ids: Sequence[int],
        sample: int,
        options: SamplingOptions,
        watermark: TextMark | None = None,
    ) -> None:
        self._subject, self._codec, self.prompt, self.ids, self.sample = subject, codec, prompt, ids, sample
        self._options, self._watermark = options, None if options.greedy else watermark
        self.stop_ids = subject.stop_ids
        self.forgotten = 0
        self._constraint: Constraint | None = None
        self.finish_reason: FinishReason | None = None
        self._stream = TextStream(codec, options.stop, not prompt and codec.kind == "other")
        self._pieces: list[str] = []
        self._tokens: list[Token] = []

    def keep_to(self, constraint: Constraint) -> None:
        """Have the text match something, which no stop text may cut."""
        self._constraint = constraint
        self._stream = TextStream(self._codec, self._options.stop, hidden="")

    def request(self, options: SamplingOptions) -> Request:
        return Request(
            self.ids,
            options,
            self.sample,
            self.stop_ids,
            constraint=self._constraint,
            watermark=self._watermark,
        )

    def take(self, token: Token) -> str:
        """Add a token; gives the text that is certain with it."""
        self._tokens.append(token)
        piece = self._stream.push(token.id)
        self.finish_reason = "stop" if self._stream.stop is not None else token.finish
        if self.finish_reason is not None:
            piece += self._stream.finish()
        self._pieces.append(piece)
        return piece

    def completion(self) -> Completion:
        subject, options = self._subject, self._options
        assert self.finish_reason is not None
        return Completion(
            prompt=self.prompt,
            text="".join(self._pieces),
            ids=tuple(token.id for token in self._tokens),
            finish_reason=self.finish_reason,
            stop=self._stream.stop,
            logprobs=None if options.logprobs is None else tuple(self._logprob(token) for token in self._tokens),
            forgotten=self.forgotten,
            provenance=subject.signed(
                TextProvenance,
                codec=self._codec.fingerprint(),
                quantize=subject.quantize,
                prompt=hashlib.sha256(self.prompt.encode("utf-8", "surrogatepass")).hexdigest(),
                seed=None if options.greedy else options.seed,
                sample=self.sample,
                options=options,
                watermark=None if self._watermark is None else self._watermark.record,
            ),
        )

    def _logprob(self, token: Token) -> TokenLogprob:
        assert token.logprob is not None
        text = self._codec.token_bytes(token.id).decode("utf-8", "replace")
        return TokenLogprob(id=token.id, text=text, logprob=token.logprob, top=token.top)


def _oldest(messages: Messages) -> set[int]:
    """Which messages to leave out next: the oldest that is no system message, and an answer to it. Never the last."""
    spoken = [i for i, message in enumerate(messages) if message.get("role") != "system"]
    if len(spoken) < 2:
        return set()
    oldest = {spoken[0]}
    if len(spoken) > 2 and messages[spoken[1]].get("role") == "assistant":
        oldest.add(spoken[1])
    return oldest
