"""What the words of texts are, such as names of people and places, by a model that learned it from tagged sentences."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import takewhile
from typing import ClassVar, NamedTuple

import torch

from daedal.codecs.both_ways import first_tokens
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.skills.rows import RowSkill, listed_texts, windows
from daedal.models.tagger import Tagger

_WORD = re.compile(r"\w+(?:['’.\-]\w+)*|[^\w\s]")
_OUTSIDE = "O"


class Entity(Config):
    """Words of a text that belong together.

    Attributes:
        start, end: the characters of the text from the first to before the last.
        probability: of the tags of its words, their mean.
    """

    text: str
    label: str
    start: int
    end: int
    probability: float


class Tagged(NamedTuple):
    """A word's tag."""

    tag: str
    probability: float


class Tag(RowSkill):
    """The entities of texts, and the tags of words."""

    name = "tag"
    learned: ClassVar[type[Tagger]] = Tagger
    needs = ("tag",)
    verb = "tag the words of texts"

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags that a word may have."""
        found: tuple[str, ...] = self._model.config.labels
        return found

    def tag(self, texts: str | Sequence[str]) -> list[list[Entity]]:
        """What is found in each text. Words with tags such as `B-PER` and `I-PER` are put together, as are neighbours with one
        tag, where there is a tag `O` for what is nothing; otherwise each word stands alone.

        Raises:
            DaedalError: one is no text.
        """
        given = listed_texts(texts)
        places = [[match.span() for match in _WORD.finditer(text)] for text in given]
        words = [[text[begin:end] for begin, end in spans] for text, spans in zip(given, places, strict=True)]
        tagged = self.tag_words(words)
        return [
            _entities(text, spans, tags, _OUTSIDE in self.labels)
            for text, spans, tags in zip(given, places, tagged, strict=True)
        ]

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[list[Tagged]]:
        """The tag of each word of sentences: that of its first token.

        Raises:
            DaedalError: a sentence is a text, not its words.
        """
        if any(isinstance(sentence, str) for sentence in sentences):
            raise DaedalError("A sentence is not in words", "Give lists of words, or ask for the tags of texts")
        codec, framing = self._codec, self._codec.framing
        room = self._context - framing.room
        rows, cuts, firsts = [], [], []
        for words, (ids, places) in zip(
            sentences, codec.encode_with_places([" ".join(words) for words in sentences]), strict=True
        ):
            spans = windows(len(ids), room, room // 2)
            rows += [framing.one(ids[begin:end]) for begin, end in spans] if ids else []
            cuts.append(spans if ids else [])
            firsts.append(first_tokens(words, places))
        said = iter(self._read(rows, self._model, of_tokens=True))
        before = len(framing.single[0])
        found = []
        for spans, tokens in zip(cuts, firsts, strict=True):
            parts = [next(said).double().softmax(-1) for _ in spans]
            found.append([self._tagged(spans, parts, token, before) for token in tokens])
        return found

    def _tagged(
        self, spans: Sequence[tuple[int, int]], parts: Sequence[torch.Tensor], token: int | None, before: int
    ) -> Tagged:
        """The tag of a token, by the window in which it is farthest from an end."""
        if token is None:  # the tokenizer makes nothing of this word
            return Tagged(_OUTSIDE if _OUTSIDE in self.labels else self.labels[0], 0.0)
        first = bisect_right(
            spans, token, key=lambda span: span[1]
        )  # they are in order: no other ends behind the token
        inside = takewhile(lambda number: spans[number][0] <= token, range(first, len(spans)))
        best = max(inside, key=lambda number: min(token - spans[number][0], spans[number][1] - 1 - token))
        chance, number = parts[best][before + token - spans[best][0]].max(0)
        return Tagged(self.labels[int(number)], float(chance))


def _entities(text: str, places: Sequence[tuple[int, int]], tags: Sequence[Tagged], joins: bool) -> list[Entity]:
    """Words whose tags go on with one another: IOB1, IOB2, BIOES and tags without a prefix."""
    groups: list[tuple[str, list[int]]] = []
    goes_on = False
    for number, (tag, _) in enumerate(tags):
        prefix, dash, label = tag.partition("-")
        if not dash or prefix not in ("B", "I", "E", "S", "L", "U"):
            prefix, label = "I" if joins else "S", tag
        if tag == _OUTSIDE:
            goes_on = False
            continue
        if goes_on and groups[-1][0] == label and prefix in ("I", "E", "L"):
            groups[-1][1].append(number)
        else:
            groups.append((label, [number]))
        goes_on = prefix not in ("E", "S", "L", "U")
    return [
        Entity(
            text=text[places[numbers[0]][0] : places[numbers[-1]][1]], label=label, start=places[numbers[0]][0],
            end=places[numbers[-1]][1], probability=sum(tags[number].probability for number in numbers) / len(numbers),
        )
        for label, numbers in groups
    ]  # fmt: skip
