"""A translator and its codec together: texts in, translations out; or whatever else it learned to write of a text.

A text of several lines is translated line by line. A line that is longer than the model's context is cut between sentences.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import Field, PositiveInt

from daedal.codecs.text import TextCodec
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.consensus import consensus
from daedal.inference.provenance import Provenance
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.beam import Hypothesis, beam_search, sample
from daedal.models.translator import Translator
from daedal.nn.noise import Noise

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")
Method = Literal["beam", "sample", "mbr"]


class TranslationOptions(Config):
    """How texts are translated.

    Attributes:
        method: the likeliest text that a beam search finds; one that is drawn; or of several that are drawn the one that is
            most like the others (minimum Bayes risk).
        beams: texts that the search keeps open; 1 takes the likeliest token each time.
        length_penalty: scores are log-likelihoods divided by `tokens**length_penalty`.
        max_tokens: of a line; the model's context unless given.
        temperature: of what is drawn: the lower, the likelier.
        samples: how many are drawn for minimum Bayes risk.
        seed: of what is drawn.
    """

    method: Method = "beam"
    beams: int = Field(4, ge=1, le=1024)
    length_penalty: float = Field(1.0, ge=-10, le=10)
    max_tokens: PositiveInt | None = None
    temperature: float = Field(1.0, ge=0.01, le=100)
    samples: int = Field(16, ge=1, le=4096)
    seed: int = Field(0, ge=0, lt=2**63)


class TranslationProvenance(Provenance):
    """Where a translation comes from.

    Attributes:
        codec: SHA-256 of its vocabulary.
        quantize: the kind of weights that translated, if they were not the model's own.
        source: SHA-256 of the text, in UTF-8.
    """

    codec: str
    quantize: str | None
    source: str
    options: TranslationOptions


class Translation(Config):
    """A translated text; `str()` gives it.

    Attributes:
        score: its log-likelihood in nats divided by `tokens**length_penalty`.
        tokens: how many were written, the ends of lines included.
        cut: whether a line of it was too long to be finished.
    """

    text: str
    source: str
    score: float
    tokens: int
    cut: bool = False
    provenance: TranslationProvenance

    def __str__(self) -> str:
        return self.text


class _Piece(NamedTuple):
    """What is translated at once: a line, or some sentences of one; and which of those of this text it is, where chance plays a
    part."""

    text: str
    number: int


class Translate(Skill):
    """Translations of texts."""

    name = "translate"
    learned = Translator
    needs = ("translate",)
    verb = "translate"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, Translator)
        assert isinstance(subject.codec, TextCodec)
        self._model, self._codec = subject.running, subject.codec

    def translate(
        self,
        texts: str | Sequence[str],
        *,
        beams: int = 4,
        length_penalty: float = 1.0,
        max_tokens: int | None = None,
        method: Method = "beam",
        temperature: float = 1.0,
        samples: int = 16,
        seed: int = 0,
    ) -> list[Translation]:
        """A translation of each text, in their order. What a text becomes does not depend on the others; one that is given
        twice is drawn twice.

        Args:
            options: see `TranslationOptions`.

        Raises:
            DaedalError: an option makes no sense, or a sentence is longer than the model's context.
        """
        options = TranslationOptions.parse(
            {
                "method": method, "beams": beams, "length_penalty": length_penalty, "max_tokens": max_tokens,
                "temperature": temperature, "samples": samples, "seed": seed,
            },
            "translate",
        )  # fmt: skip
        given = [texts] if isinstance(texts, str) else list(texts)
        seen: Counter[str] = Counter()

        def piece(text: str) -> _Piece:
            seen[text] += options.method != "beam"
            return _Piece(text, max(0, seen[text] - 1))

        lines = [[[piece(each) for each in self.pieces(line)] for line in text.split("\n")] for text in given]
        asked = dict.fromkeys(each for text in lines for line in text for each in line)
        found = dict(zip(asked, self._found(list(asked), options), strict=True))
        return [self._joined(text, whole, found, options) for text, whole in zip(given, lines, strict=True)]

    def pieces(self, line: str) -> list[str]:
        """A line, in as few pieces as the context allows; none where it says nothing.

        Raises:
            DaedalError: a sentence is longer than the model's context.
        """
        room, pieces = self._model.config.context - 1, [""]
        sentences = [line] if len(self._codec.encode(line)) <= room else _SENTENCE.split(line)
        for sentence in sentences:
            longer = f"{pieces[-1]} {sentence}".strip()
            if len(self._codec.encode(longer)) <= room:
                pieces[-1] = longer
            elif len(self._codec.encode(sentence)) <= room:
                pieces.append(sentence)
            else:
                raise DaedalError(
                    f"{sentence[:40]!r}... is longer than the {room:,} tokens that the model reads at once",
                    "Cut it into sentences",
                )
        return [piece for piece in pieces if piece]

    def _found(self, pieces: list[_Piece], options: TranslationOptions) -> Iterator[tuple[str, Hypothesis]]:
        """The text of each piece."""
        model, limit = self._model, options.max_tokens
        sources = [[*ids, model.config.end_id] for ids in self._codec.encode_batch([piece.text for piece in pieces])]
        if not sources:
            return
        if options.method == "beam":
            every = beam_search(model, sources, options.beams, options.length_penalty, limit)
        else:
            count = options.samples if options.method == "mbr" else 1
            noise = Noise.join([Noise(options.seed, piece.number * count, count) for piece in pieces])
            every = sample(model, sources, noise, options.temperature, options.length_penalty, limit, count)
        for each in every:
            if not all(math.isfinite(one.score) for one in each):
                raise DaedalError(
                    "The model's logits are not finite numbers (NaN or infinity)",
                    "Its weights are damaged or its training diverged: use an earlier checkpoint",
                )
            if options.method == "mbr":
                texts = [self._codec.decode(one.ids) for one in each]
                place = consensus(texts)
                yield texts[place], each[place]
            else:
                yield self._codec.decode(each[0].ids), each[0]

    def _joined(
        self,
        text: str,
        lines: list[list[_Piece]],
        found: dict[_Piece, tuple[str, Hypothesis]],
        options: TranslationOptions,
    ) -> Translation:
        parts = [found[piece][1] for line in lines for piece in line]
        tokens = sum(part.tokens for part in parts)
        nats = sum(part.score * part.tokens**options.length_penalty for part in parts)
        return Translation(
            text="\n".join(" ".join(found[piece][0] for piece in line) for line in lines),
            source=text,
            score=nats / max(1, tokens) ** options.length_penalty,
            tokens=tokens,
            cut=not all(part.ended for part in parts),
            provenance=self._subject.signed(
                TranslationProvenance,
                codec=self._codec.fingerprint(),
                quantize=self._subject.quantize,
                source=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
                options=options,
            ),
        )
