"""The hole between what stands before a cursor and what stands after it, filled by a model that learned to write the middle of
texts (Bavarian et al. 2022, arXiv:2207.14255)."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from daedal.codecs.infilling import Infilling, Order
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.completion import Chunk, Completion
from daedal.inference.skill import ModelAndCodec
from daedal.inference.skills.write import TextSkill, Write
from daedal.models.model import Capability
from daedal.safety.text_marks.text_mark import TextMark

Until = Literal["end", "line", "block"]
_USUAL = 64
"""Tokens of a middle at most, unless said; in a short context half of it."""


class Middle(Config):
    """What fills a hole.

    Attributes:
        before, after: what stood around it.
        text: the middle.
        left_out: characters of `before`, from its beginning, and of `after`, to its end, that the model did not see.
        completion: as it was written, which may be longer than `text`.
    """

    before: str
    after: str
    text: str
    left_out: tuple[int, int]
    completion: Completion

    def __str__(self) -> str:
        return self.text


class Complete(TextSkill):
    """Middles of texts."""

    name = "complete"
    needs = ("complete",)
    verb = "fill the hole between two texts"

    @classmethod
    def words(cls) -> dict[Capability, str]:
        """None: it is a capability of the tokenizer besides the model's."""
        return {}

    @classmethod
    def fits(cls, subject: ModelAndCodec) -> bool:
        return super().fits(subject) and Infilling.of(subject.codec) is not None

    def complete(
        self,
        before: str,
        after: str = "",
        n: int = 1,
        *,
        path: str | None = None,
        until: Until = "end",
        order: Order | None = None,
        watermark: TextMark | None = None,
        **options: Any,
    ) -> list[Middle]:
        """`n` middles between two texts. Where both do not fit the context beside `max_tokens`, `before` loses its
        beginning and `after` its end.

        Args:
            path: of the file, for models that learned to be told it.
            until: where the middle ends: where the model ends it, with its first line, or with the block of code that is as far
                indented as the line of the hole.
            order: what the model reads first; as models of its tokenizer learned it unless given.
            watermark: what sampled middles are marked with.
            options: the fields of `SamplingOptions`.

        Raises:
            DaedalError: an option makes no sense, or the context has no room.
        """
        options = self._bounded(options)
        ids, left_out = self._fitted(before, after, options["max_tokens"], path, order)
        written = self._write.go_on(before, ids, n, self.middle_ends, watermark=watermark, **options)
        return [
            Middle(
                before=before, after=after, text=ended(each.text, before, until), left_out=left_out, completion=each
            )
            for each in written
        ]  # fmt: skip

    def stream_middle(
        self, before: str, after: str = "", *, path: str | None = None, **options: Any
    ) -> Iterator[Chunk]:
        """A middle piece by piece, to where the model ends it.

        Raises:
            DaedalError: as `complete`, at once and not with the first piece.
        """
        options = self._bounded(options)
        ids, _ = self._fitted(before, after, options["max_tokens"], path, None)
        return self._write.stream_on(before, ids, self.middle_ends, **options)

    def around(self, before: str | Sequence[int], after: str) -> list[int]:
        """The ids after which the model writes what stands between two texts, or between the ids of one and a text."""
        ids = self._codec.encode(before) if isinstance(before, str) else self.known(before)
        return [*self._codec.prefix_ids, *self._marks.arranged(ids, self._codec.encode(after))]

    @property
    def middle_ends(self) -> frozenset[int]:
        """What ends a middle, besides what ends a text."""
        return self._marks.ends

    @cached_property
    def _marks(self) -> Infilling:
        marks = Infilling.of(self._codec)
        assert marks is not None
        return marks

    @property
    def _write(self) -> Write:
        write = self._subject.skills["write"]
        assert isinstance(write, Write)
        return write

    def _bounded(self, options: dict[str, Any]) -> dict[str, Any]:
        """Sampling options with a bound of tokens."""
        if options.get("max_tokens") is not None:
            return options
        return {**options, "max_tokens": min(_USUAL, self._model.config.context // 2)}

    def _fitted(
        self, before: str, after: str, most: int, path: str | None, order: Order | None
    ) -> tuple[list[int], tuple[int, int]]:
        """The ids to write after, and how many characters of both texts did not fit."""
        codec, context = self._codec, self._model.config.context
        begin = [*codec.prefix_ids]
        if len(self._marks.named(path)) > context // 4:
            path = None
        room = context - most - len(begin) - len(self._marks.arranged([], [], path, order))
        if room < 1:
            raise DaedalError(
                f"The context of {context} tokens has no room for text beside {most} tokens to write",
                "Ask for fewer by --max-tokens",
            )
        # Tokens have a byte or more: what is farther away than that many characters need not be encoded
        near, far = before[-16 * room :], after[: 16 * room]
        prefix, suffix = codec.encode(near), codec.encode(far)
        behind = min(len(suffix), max(room - len(prefix), room // 3))
        ahead = min(len(prefix), room - behind)
        seen = prefix[len(prefix) - ahead :], suffix[:behind]
        left_out = len(before) - len(codec.decode(seen[0])), len(after) - len(codec.decode(seen[1]))
        return [*begin, *self._marks.arranged(*seen, path, order)], (max(0, left_out[0]), max(0, left_out[1]))


def ended(text: str, before: str, until: Until) -> str:
    """A middle as far as it is wanted: all of it; its first line that is not empty; or all lines from there on that are as far
    indented as the line of the hole, as a block of Python is."""
    if until == "end":
        return text
    lines = text.splitlines(keepends=True)
    here = before.rpartition("\n")[2]
    first = next((number for number, line in enumerate(lines) if (here + line if not number else line).strip()), 0)
    if first == 0 and not lines[:1]:
        return text
    if not lines[first].strip() and len(lines) > first + 1:  # the cursor stands behind a whole line: the next is wanted
        first = next((number for number in range(first + 1, len(lines)) if lines[number].strip()), first)
    last = first + 1
    if until == "block":
        own = here if here.strip() or not first else lines[first]
        depth = _indent(lines[first] if first else own)
        while last < len(lines) and (not lines[last].strip() or _indent(lines[last]) >= depth):
            last += 1
    return "".join(lines[:last]).rstrip("\n") if last < len(lines) or until == "line" else text


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
