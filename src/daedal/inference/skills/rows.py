"""Texts as rows of a model that reads both ways: framed, in windows where they are too long, and in batches without padding."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor

from daedal.codecs.framing import Framed
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.encoder import EncoderModel
from daedal.models.sequences import Sequences

_TOGETHER = 4096
"""Tokens of a batch; a longer row is one of its own."""


class RowSkill(Skill):
    """A skill of a model that reads rows at once: one that reads both ways, unless another is named."""

    learned: ClassVar[Any] = EncoderModel

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, self.learned)
        assert isinstance(subject.codec, TextCodec)
        self._model: Any = subject.running
        self._codec = subject.codec
        self._context: int = subject.model.config.context

    def _batches(self, rows: Sequence[Framed]) -> Iterator[tuple[list[int], Sequences]]:
        """The numbers of rows that are read together, and these rows on the model's device: from the shortest on, so that
        about equally long ones are."""
        order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
        sizes = list(accumulate(len(rows[number].ids) for number in order))
        begin = 0
        while begin < len(order):
            before = sizes[begin - 1] if begin else 0
            end = begin + 1
            while end < len(order) and sizes[end] - before <= _TOGETHER:
                end += 1
            numbers = order[begin:end]
            found = Sequences.of([rows[number].ids for number in numbers], [rows[number].types for number in numbers])
            yield numbers, found.to(self._subject.device)
            begin = end

    @torch.inference_mode()
    def _read(
        self, rows: Sequence[Framed], read: Callable[[Sequences], Tensor], of_tokens: bool = False
    ) -> list[Tensor]:
        """What the model makes of each row, in their order.

        Args:
            read: gives something for each row of a batch.
            of_tokens: it gives something for each of their tokens.

        Raises:
            DaedalError: a row is empty, or the model's numbers are not finite.
        """
        if any(len(row.ids) == 0 for row in rows):
            raise DaedalError("A text is empty", "Give at least one character")
        found: dict[int, Tensor] = {}
        for numbers, sequences in self._batches(rows):
            whole = read(sequences).float().cpu()
            if not bool(whole.isfinite().all()):
                raise DaedalError(
                    "The model's states are not finite numbers (NaN or infinity)",
                    "Its weights are damaged or its training diverged: use an earlier checkpoint",
                )
            parts = torch.split(whole, list(sequences.packing.lengths)) if of_tokens else tuple(whole)
            found.update(zip(numbers, parts, strict=True))
        return [found[number] for number in range(len(rows))]


def windows(length: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Where pieces of at most `room` of so many tokens begin and end: evenly spread, neighbours with at least `overlap` in
    common.

    Raises:
        DaedalError: there is no room.
    """
    if room < 1:
        raise DaedalError("The model's context has no room for a text", "Use a model with a longer one")
    if length <= room:
        return [(0, length)]
    count = -(-(length - overlap) // (room - overlap))
    return [
        (begin, begin + room) for begin in (round(number * (length - room) / (count - 1)) for number in range(count))
    ]


def listed_texts(texts: Any) -> list[Any]:
    """One text as a list, and a list of them as it is.

    Raises:
        DaedalError: one is no text.
    """
    given = [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    for text in given:
        pair = isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text)
        if not isinstance(text, str) and not pair:
            raise DaedalError(f"{text!r:.60} is no text", "Give strings")
    return given


def known_ids(ids: Sequence[int], size: int) -> list[int]:
    """These ids.

    Raises:
        DaedalError: a vocabulary of that size has no such token.
    """
    beyond = [id for id in ids if not isinstance(id, Integral) or not 0 <= id < size]
    if beyond:
        raise DaedalError(f"There is no token {beyond[0]!r:.50}", "Give ids of this model's vocabulary")
    return list(ids)
