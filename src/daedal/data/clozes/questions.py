"""Paragraphs -> questions about them, and a few that their paragraph does not answer: all from the text and the seed."""

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from daedal.data.clozes.cloze import question_of
from daedal.data.clozes.mentions import Capitals, Mention, mentions
from daedal.data.clozes.paragraphs import sentences

_NEAR = 3  # paragraphs before and behind, with which a question without an answer is paired
_UNKNOWN = "<unk>"
_MOST_UNKNOWN = 0.1  # of the words of a sentence
_WORD = re.compile(r"\w{4,}")


def ask(article: Sequence[str], most: int, unanswerable: float, seed: str) -> Iterator[dict[str, Any]]:
    """The questions about the paragraphs of an article, as examples of questions.

    Args:
        most: questions about a paragraph.
        unanswerable: the share of questions that are paired with another paragraph, which does not have their answer.
        seed: of what is asked.
    """
    random = Random(seed)
    spans = [sentences(paragraph) for paragraph in article]
    capitals = Capitals(paragraph[begin:end] for paragraph, of in zip(article, spans, strict=True) for begin, end in of)
    for place, paragraph in enumerate(article):
        asked: list[tuple[int, str, Mention]] = []
        for begin, end in spans[place]:
            sentence = paragraph[begin:end]
            if sentence.count(_UNKNOWN) > _MOST_UNKNOWN * len(sentence.split()):
                continue
            able = [
                each for each in mentions(sentence, capitals) if _UNKNOWN[1:4] not in sentence[each.start : each.end]
            ]
            for mention in random.sample(able, len(able)):
                question = question_of(sentence, mention, random)
                if question is not None:
                    asked.append((begin, question, mention))
                    break  # one of a sentence, so that no question says the answer of another
        for begin, question, mention in sorted(random.sample(asked, min(most, len(asked)))):
            start, end = begin + mention.start, begin + mention.end
            answers = {"text": [paragraph[start:end]], "start": [start]}
            if random.random() < unanswerable and (other := _other(article, place, question, paragraph[start:end])):
                yield {"question": question, "context": other, "answers": {"text": [], "start": []}}
            else:
                yield {"question": question, "context": paragraph, "answers": answers}


def _other(article: Sequence[str], place: int, question: str, answer: str) -> str | None:
    """The paragraph nearby that says most of a question, and not its answer."""
    near = range(max(0, place - _NEAR), min(len(article), place + _NEAR + 1))
    able = [article[each] for each in near if each != place and answer.lower() not in article[each].lower()]
    words = set(_WORD.findall(question.lower()))
    return max(able, key=lambda text: len(words & set(_WORD.findall(text.lower()))), default=None)
