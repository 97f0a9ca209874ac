"""What in a text answers a question, by a model that learned to find it; or that nothing does."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.framing import Framed
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.skills.rows import RowSkill
from daedal.models.answerer import Answerer, best_spans, log_softmax_of_rows
from daedal.models.sequences import Sequences

_STRIDE = 128
"""Tokens from one window of a text to the next, at most."""


class Answer(Config):
    """What answers a question.

    Attributes:
        text: of the answer; empty where the context does not say.
        start, end: the characters of the context from the first to before the last.
        probability: that it begins and ends there, or that its window of the context does not say.
        none: whether the context does not say.
    """

    text: str
    start: int
    end: int
    probability: float
    none: bool = False


class _Window(NamedTuple):
    """A question with a piece of its context: the tokens of the context from `begin` to before `end`."""

    row: Framed
    begin: int
    end: int


class _Asked(NamedTuple):
    """A question's windows, and the characters of each token of its context."""

    context: str
    places: list[tuple[int, int]]
    windows: list[_Window]


class FindAnswers(RowSkill):
    """Answers to questions."""

    name = "answer"
    learned: ClassVar[type[Answerer]] = Answerer
    needs = ("answer",)
    verb = "answer questions about a text"

    def answer(self, question: str, context: str, *, top: int = 1) -> list[Answer]:
        """What in a context answers a question, the best first: spans by the probability that the answer begins and ends
        there; that the context does not say comes first where it scores more than the best span and the model's threshold,
        otherwise among the others.

        Raises:
            DaedalError: the question or the context is empty, the question takes more than half of the model's context, or
                `top` is less than 1.
        """
        if top < 1:
            raise DaedalError(f"top is {top}: no answer is asked for", "Ask for at least 1")
        if (long := len(self._codec.encode(question))) > self._room:
            raise DaedalError(
                f"The question has {long:,} tokens, and this model reads {self._room:,} beside a text", "Ask it shorter"
            )
        return self._answers([question], [context], top)[0]

    def answers(self, questions: Sequence[str], contexts: Sequence[str]) -> list[Answer]:
        """The best answer to each question, in the context beside it; see `answer`. Of one that is too long the beginning
        is read."""
        if len(questions) != len(contexts):
            raise DaedalError(
                f"There are {len(questions)} questions and {len(contexts)} contexts",
                "Give a context with each question",
            )
        return [found[0] for found in self._answers(questions, contexts, 1)]

    def _answers(self, questions: Sequence[str], contexts: Sequence[str], top: int) -> list[list[Answer]]:
        for what, texts in (("question", questions), ("context", contexts)):
            if not all(isinstance(text, str) and text.strip() for text in texts):
                raise DaedalError(f"A {what} is empty", "Give its text")
        different = list(dict.fromkeys(contexts))
        read = dict(zip(different, self._codec.encode_with_places(different), strict=True))
        asked = [
            _Asked(context, read[context][1], self._windows(ids, read[context][0]))
            for ids, context in zip(self._codec.encode_batch(questions), contexts, strict=True)
        ]
        every = [window for each in asked for window in each.windows]
        limits = iter([(window.row.second, window.row.second + window.end - window.begin) for window in every])
        said = self._read([window.row for window in every], self._model, of_tokens=True)
        scored = iter([_scores(logits, *next(limits)) for logits in said])
        return [self._ranked(each, [next(scored) for _ in each.windows], top) for each in asked]

    @property
    def _room(self) -> int:
        """Tokens of a question: the other half is left to its context."""
        return (self._context - self._codec.framing.room_of_two) // 2

    def _windows(self, question: Sequence[int], ids: Sequence[int]) -> list[_Window]:
        """A question with pieces of its context."""
        framing = self._codec.framing
        question = question[: self._room]
        room = self._context - framing.room_of_two - len(question)
        if room < 1 or not ids:
            raise DaedalError("A context has no tokens, or no room beside its question", "Give another text")
        stride, begin, found = min(_STRIDE, max(1, room // 2)), 0, []
        while True:
            end = min(begin + room, len(ids))
            found.append(_Window(framing.two(question, ids[begin:end]), begin, end))
            if end == len(ids):
                return found
            begin += stride

    def _ranked(self, asked: _Asked, scores: Sequence[Float[Tensor, "tokens 2"]], top: int) -> list[Answer]:
        """The best answers of all windows. Row 0 of a window's scores is that it does not say."""
        spans: dict[tuple[int, int], float] = {}
        best, none = float("-inf"), min(float(score[0].sum()) for score in scores)
        for window, score in zip(asked.windows, scores, strict=True):
            for chance, first, last in best_spans(score[1:], 4 * top):
                place = self._characters(asked, window.begin + first, window.begin + last)
                if place[0] < place[1]:
                    spans[place] = max(chance, spans.get(place, float("-inf")))
                    best = max(best, chance)
        ranked = sorted(spans.items(), key=lambda entry: (-entry[1], entry[0]))
        found = [
            Answer(text=asked.context[start:end], start=start, end=end, probability=float(torch.tensor(chance).exp()))
            for (start, end), chance in ranked
        ]
        nothing = Answer(text="", start=0, end=0, probability=float(torch.tensor(none).exp()), none=True)
        if none - best > self._model.config.none_threshold:
            return [nothing, *found][:top]
        behind = next(
            (at for at, each in enumerate(found) if at and each.probability < nothing.probability), len(found)
        )
        return [*found[:behind], nothing, *found[behind:]][:top]

    def _characters(self, asked: _Asked, first: int, last: int) -> tuple[int, int]:
        """The characters of tokens: whole words, without space around them."""
        text, start, end = asked.context, asked.places[first][0], asked.places[last][1]
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        while start and start < end and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while start < end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
            end += 1
        return start, end


def _scores(logits: Float[Tensor, "tokens 2"], begin: int, end: int) -> Float[Tensor, "places 2"]:
    """Log-probabilities of the first and the last token of an answer: of none, then of each token of the context."""
    allowed = torch.zeros(len(logits), dtype=torch.bool)
    allowed[0] = allowed[begin:end] = True
    sequences = Sequences.of([[0] * len(logits)])
    likelihoods = log_softmax_of_rows(logits.double(), sequences.packing, allowed)
    return torch.cat((likelihoods[:1], likelihoods[begin:end]))
