"""An answerer over questions: windows of texts, and where in each the answer is (Devlin et al. 2019, section 4.2 and 4.3)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.framing import Framed
from daedal.codecs.text import TextCodec
from daedal.data.examples import ExampleSplit
from daedal.errors import DaedalError
from daedal.models.answerer import NEVER, Answerer
from daedal.models.sequences import Sequences, SpanBatch, by_length
from daedal.nn.noise import Noise
from daedal.training.heads import HeadLearner
from daedal.training.learner import Facts
from daedal.training.machine import Machine
from daedal.training.planning import Choice, Time
from daedal.training.rows import Rows, RowTask, together

Array = np.ndarray
_CONTEXT = 384  # tokens of a question and a window of its text, as usual with SQuAD
_QUESTION = 64  # tokens of a question, at most


class Window(NamedTuple):
    """A question with a piece of its text.

    Attributes:
        start, end: the first and the last token of the answer in the row; 0 where it is not in this piece.
        last: the token behind the piece.
    """

    row: Framed
    start: int
    end: int
    last: int


class QuestionRows(Rows):
    """Questions with the windows of their texts."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = windows
        self.lengths = np.array([len(window.row.ids) for window in windows], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> SpanBatch:
        windows = [self._windows[int(index)] for index in indexes]
        windows = [windows[at] for at in by_length([window.row.ids for window in windows])]
        sequences = Sequences.of([each.row.ids for each in windows], [each.row.types for each in windows])
        allowed = torch.zeros(len(sequences.ids), dtype=torch.bool)
        for start, window in zip(sequences.packing.starts, windows, strict=False):
            allowed[start] = True
            allowed[start + window.row.second : start + window.last] = True
        starts, ends = (torch.tensor([getattr(each, name) for each in windows]) for name in ("start", "end"))
        return SpanBatch(sequences, starts, ends, allowed)


def windows_of(split: ExampleSplit, codec: TextCodec, context: int, stride: int) -> Iterator[Window]:
    """The windows of all questions of a split."""
    questions = codec.encode_batch(split.values("question"))
    texts = split.values("context")
    distinct = list(dict.fromkeys(texts))
    read = dict(zip(distinct, codec.encode_with_places(distinct), strict=True))
    for question, text, answers in zip(questions, texts, split.values("answers"), strict=True):
        ids, places = read[text]
        span = _tokens(places, answers)
        yield from _cut(question[:_QUESTION], ids, span, codec, context, stride)


def _tokens(places: Sequence[tuple[int, int]], answers: Mapping[str, Any]) -> tuple[int, int] | None:
    """The first and the last token of the first answer."""
    if not answers["text"]:
        return None
    begin = answers["start"][0]
    end = begin + len(answers["text"][0])
    inside = [at for at, (first, last) in enumerate(places) if first < end and last > begin]
    return (inside[0], inside[-1]) if inside else None


def _cut(
    question: Sequence[int],
    ids: Sequence[int],
    span: tuple[int, int] | None,
    codec: TextCodec,
    context: int,
    stride: int,
) -> Iterator[Window]:
    room = context - codec.framing.room_of_two - len(question)
    if room < 1:
        raise DaedalError(f"A context of {context} has no room for a question and its text", "Give a longer --context")
    begin = 0
    while True:
        piece = ids[begin : begin + room]
        row = codec.framing.two(question, piece)
        start = end = 0
        if span is not None and begin <= span[0] and span[1] < begin + len(piece):
            start, end = (row.second + at - begin for at in span)
        yield Window(row, start, end, row.second + len(piece))
        if begin + room >= len(ids):
            return
        begin += min(stride, room)


class QuestionTask(RowTask):
    """Trains an answerer."""

    unit = "windows"
    model: Answerer

    def judge(self, batch: SpanBatch) -> dict[str, torch.Tensor]:
        starts, ends = self._best(batch)
        return {"windows_right": ((starts == batch.starts) & (ends == batch.ends)).sum()}

    def sample(self, seed: int, path: Any) -> str:
        """A held-out question, and what is found in its text."""
        batch = self.held.batch(np.arange(1), Noise(seed, 0, 1)).to(next(self.model.parameters()).device)
        start, end = (int(place[0]) for place in self._best(batch))
        ids = batch.sequences.ids.tolist()
        said = self.codec.decode(ids[start : end + 1]).strip() if start else ""
        text = int(batch.allowed[1:].nonzero()[0]) + 1  # its first token
        return f"{self.codec.decode(ids[:text]).strip()} -> {said or 'no answer'}"

    def _best(self, batch: SpanBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The likeliest first and last token in each row, each by itself."""
        packing = batch.sequences.packing
        said = self.model(batch.sequences).masked_fill(~batch.allowed[:, None], float("-inf"))
        rows = torch.split(said, list(packing.lengths))
        found = torch.stack([row.argmax(0) for row in rows])
        return found[:, 0], found[:, 1]

    def examples(self) -> Iterator[SpanBatch]:
        """Held-out windows, by which "no answer" is weighed against an answer; none where every question has one."""
        if self.model.config.none_threshold >= NEVER:
            return
        device = next(self.model.parameters()).device
        for group in together(self.held.lengths):
            yield self.held.batch(group, Noise(0, 0, len(group))).to(device)


class QuestionLearner(HeadLearner):
    """An answerer and its questions."""

    guarded = "questions"
    columns = ("question", "context")
    tasks = QuestionTask
    usual = _CONTEXT

    def more(self, plan: Any) -> dict[str, Any]:
        """Data of which every question has an answer teach no model to say that there is none."""
        return {"none_threshold": NEVER} if self._answered else {}

    @cached_property
    def _answered(self) -> bool:
        """Whether every question of the train split has an answer."""
        return all(each["text"] for each in self.dataset.split("train").values("answers"))

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        context = self.longest_row(given)
        return context, int(given.get("stride") or context // 3)

    def make_rows(self, split: str, context: int, stride: int) -> Rows:
        return QuestionRows(list(windows_of(self.dataset.split(split), self.codec, context, stride)))

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose("context", self.longest_row({}))
        choose("stride", choose.values["context"] // 3)
        super().settle(choose, facts, time, machine)
