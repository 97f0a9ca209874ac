"""A sentence with a mention cut out -> a question: the noisy cloze of Lewis, Denoyer and Riedel, "Unsupervised Question
Answering by Cloze Translation", ACL 2019, section 2.2.

Of a long sentence the clause with the mention is taken, which they found better than the whole. The gap goes to the front, as
the words that ask for it; of the others a few are dropped, and all may move a little, so that a model learns more than to look
up.
"""

import re
from random import Random

from daedal.data.clozes.mentions import OF_NEXT, Mention
from daedal.data.filetypes import words

_FEWEST, _MOST = 6, 20  # words of a question besides those that ask
_PARTS = re.compile(r"[,;:()–—]|\s(?:and|but|which|while|although|where|because)\s")
_TELLING, _LONG = 3, 4  # words of so many letters: fewer tell nothing of what is asked
_DROPPED = 0.1  # of the words
_MOVED = 1.5  # places
_SPACE = re.compile(r"\s+")
_MARKS = '.,;:!?"“”()[]–—-'
_STARTS = words(
    "the a an in on at by for from to with it he she they we this that these those its his her their there as after "
    "before during since although when while some many most one both all other each every however"
)
_ARTICLES, _RELATIVE = words("the a an"), words("who which that whom")
_PREPOSITIONS = words("in on at during since by from until near to into of")


def question_of(sentence: str, mention: Mention, random: Random) -> str | None:
    """What asks for a mention in its sentence; None where too little is said, or the answer is said again."""
    answer = sentence[mention.start : mention.end]
    begin, end = _clause(sentence, mention)
    before, behind = sentence[begin : mention.start].split(), sentence[mention.end : end].split()
    left = [word for word in (each.strip(_MARKS) for each in before) if any(map(str.isalnum, word))]
    right = [word for word in (each.strip(_MARKS) for each in behind) if any(map(str.isalnum, word))]
    if left and left[-1].lower() in (_PREPOSITIONS if mention.asked in ("when", "where") else _ARTICLES):
        left.pop()
    if right and right[0].lower() in _RELATIVE:
        right.pop(0)
    if left and begin == 0 and not left[0].isupper() and left[0].lower() in _STARTS:
        left[0] = left[0].lower()
    if len(left) + len(right) < _FEWEST or answer.lower() in " ".join((*left, *right)).lower():
        return None
    kept = right[:1] if mention.asked in OF_NEXT else []
    said = [*kept, *_noisy([*left, *right[len(kept) :]], random)]
    if sum(len(word) >= _LONG and not word.startswith("<") for word in said) < _TELLING:
        return None
    asked = mention.asked.capitalize()
    return f"{asked} {' '.join(said)}?"


def _clause(sentence: str, mention: Mention) -> tuple[int, int]:
    """Where the clause with a mention begins and ends: grown by its neighbours until it says enough."""
    borders = sorted({0, len(sentence), *(match.start() for match in _PARTS.finditer(sentence))})
    borders = [each for each in borders if not mention.start < each < mention.end]
    first = max(place for place, each in enumerate(borders) if each <= mention.start)
    last = min(place for place, each in enumerate(borders) if each >= mention.end)

    def size() -> int:
        rest = sentence[borders[first] : mention.start] + sentence[mention.end : borders[last]]
        return len(_SPACE.split(rest.strip(f" {_MARKS}")))

    while size() < _FEWEST + 2 and (first > 0 or last + 1 < len(borders)):
        if first > 0:
            first -= 1
        else:
            last += 1
    begin, end = borders[first], borders[last]
    while len(sentence[begin : mention.start].split()) > _MOST:
        begin = sentence.index(" ", begin + 1)
    while len(sentence[mention.end : end].split()) > _MOST:
        end = sentence.rindex(" ", mention.end, end - 1)
    return begin, end


def _noisy(said: list[str], random: Random) -> list[str]:
    """Words of which a few are dropped, in an order that is a little another."""
    kept = [word for word in said if random.random() >= _DROPPED] or said
    places = [place + random.random() * _MOVED for place in range(len(kept))]
    return [kept[place] for place in sorted(range(len(kept)), key=lambda place: places[place])]
