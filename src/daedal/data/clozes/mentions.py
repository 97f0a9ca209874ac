"""Names, numbers and dates in a sentence, and what is asked for them: who, where, when, how many, what. By simple cues.

A capital at the start of a sentence tells nothing, unless the word has one elsewhere in the text and is not seen without.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from daedal.data.filetypes import words

Asked = Literal["who", "whose", "which", "where", "when", "how many", "how much", "what"]
OF_NEXT = frozenset(("whose", "which", "how many", "how much"))  # these ask for what is said of the next word
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_DATE = re.compile(
    rf"\b(?:(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTHS})(?:,? \d{{4}})?|"
    rf"(?:{_MONTHS}) (?:\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?)|(?<=\bin )(?:{_MONTHS})|(?:the )?1[0-9]{{2}}0s|(?:the )?20[0-2]0s|"
    rf"(?<=\bon )(?:{_DAYS})|(?:1[0-9]{{3}}|20[0-4][0-9]))\b(?![-–,]?\d)"
)  # fmt: skip
_WORDED = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|"
    "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|dozens|hundreds|thousands"
)
_COUNT = re.compile(
    rf"(?P<money>[$£€]\s?\d[\d,]*(?:\.\d+)?(?: (?:hundred|thousand|million|billion|trillion))?)|"
    rf"(?<![\w.,–-])(?P<count>\d[\d,]*(?:\.\d+)?%?|(?:{_WORDED}))(?P<large> (?:hundred|thousand|million|billion|trillion))?"
    r"(?![\w–-]|[.,]\d)"
)  # fmt: skip
_WORD = re.compile(r"[^\W_][\w'’.-]*[^\W_]|[^\W_]")
_BETWEEN = words("of the de la le du van von der den da di del al for") | {"of the", "for the"}
_NO_NAMES = words(
    "I He She It They We You His Her Its Their Our My Your The A An This That These Those There Here In On At By "
    "For From To With And But Or If When While As After Before During Since Although However Some Many Most Other "
    "Each Every Both All One"
)
_HUMAN_BEHIND = words(
    "said says wrote writes stated states argued argues believed thought told asked played plays sang sings married "
    "died born became directed starred composed painted invented discovered founded led commanded defeated scored "
    "won joined retired graduated studied taught lived moved returned felt decided who whose himself herself "
    "replied explained described appeared performed recorded attended signed worked served"
)
_TITLES = words(
    "Mr Mrs Ms Dr Prof Sir Lord Lady King Queen Prince Princess President Emperor Pope Captain Colonel General "
    "Major Lieutenant Admiral Saint Senator Governor Professor author actor actress singer director writer composer "
    "producer player captain critic historian poet artist brother sister wife husband son daughter father mother "
    "coach manager"
)
_NO_PERSON = words(
    "University College School Company Corporation River Lake Mountain Mount Island Islands Sea Ocean Street Road "
    "Avenue Highway Park Church Cathedral Castle Museum Theatre Theater Station Airport County City State States "
    "Kingdom Republic Empire Army Navy Force War Battle Party Union League Cup Championship Championships Award "
    "Awards Club United Association Committee Council Court Act Treaty Games Series Records Studios Entertainment "
    "Times Post Journal Magazine North South East West Bay Bridge Building House Center Centre Division Regiment "
    "Brigade Squadron Fleet Festival Olympics Season Tour Album Day Week Hall Tower Hotel Hospital Railway Line"
)
_PLACES = words(
    "River Lake Mountain Mount Island Islands Sea Ocean Street Road Avenue Highway Park County City Kingdom "
    "Republic Bay Bridge Castle University College School Station Airport Hall Tower Hotel Hospital Theatre Theater "
    "Museum"
)
_AT = words("in at near from to toward towards across throughout outside around into")
_PEOPLE = re.compile(r"\w+(?:ese|ish|ian|ean|can|man|ench|utch|iss|eek|aqi|ani|ist)s?")  # of a place or a belief
_OF = re.compile("['’]s?$")


class Mention(NamedTuple):
    """A part of a sentence that can be asked for.

    Attributes:
        start: its first character.
        end: the character after its last.
        asked: the words that ask for it.
    """

    start: int
    end: int
    asked: Asked


class Capitals:
    """Which words of a text have a capital because they are names, and which names are of persons."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._inside: Counter[str] = Counter()  # with a capital inside of a sentence
        self._small: Counter[str] = Counter()
        self._persons: set[str] = set()
        for sentence in texts:
            said = [match[0] for match in _WORD.finditer(sentence)]
            self._inside.update(word for word in said[1:] if word[0].isupper())
            self._small.update(word for word in said if word[0].islower())
            for before, name, behind in zip(said, said[1:], said[2:], strict=False):
                if name[0].isupper() and (before in _TITLES or behind in _HUMAN_BEHIND):
                    self._persons.add(name)

    def are_name(self, word: str) -> bool:
        """Whether a word at the start of a sentence is a name."""
        return self._inside[word] > 0 and self._small[word.lower()] == 0

    def are_person(self, name: Iterable[str]) -> bool:
        """Whether one of the words of a name is that of a person."""
        return any(word in self._persons for word in name)


def mentions(sentence: str, capitals: Capitals) -> list[Mention]:
    """What is named in a sentence, in its order; nothing overlaps."""
    found = [Mention(match.start(), match.end(), "when") for match in _DATE.finditer(sentence)]
    for each in (*_counts(sentence), *_names(sentence, capitals)):
        if all(each.end <= other.start or each.start >= other.end for other in found):
            found.append(each)
    return sorted(found)


def _counts(sentence: str) -> Iterator[Mention]:
    for match in _COUNT.finditer(sentence):
        rest = sentence[match.end() :].split(maxsplit=1)
        amount = match["money"] or (match["count"] or "").endswith("%")
        if amount or (rest and rest[0][0].isalpha() and rest[0][0].islower()):  # of something
            yield Mention(match.start(), match.end(), "how much" if amount else "how many")


def _names(sentence: str, capitals: Capitals) -> Iterator[Mention]:
    said = list(_WORD.finditer(sentence))
    place = 0
    while place < len(said):
        word = said[place][0]
        first = place == 0
        if not word[0].isupper() or _is_common(word) or (first and not capitals.are_name(word)):
            place += 1
            continue
        last = place
        while last + 1 < len(said) and sentence[said[last].end() : said[last + 1].start()] in (" ", ". "):
            ahead = _ahead(sentence, said, last + 1)
            if ahead is None:
                break
            last = ahead
        yield _mention(sentence, said, place, last, capitals)
        place = last + 1


def _is_common(word: str) -> bool:
    """Whether a word is no name, whatever its capital: `The`, `I'm`."""
    return re.split("['’]", word)[0] in _NO_NAMES


def _ahead(sentence: str, said: list[re.Match[str]], place: int) -> int | None:
    """Where a name that goes on with this word has its next capital: `of`, `de` and the like may stand between."""
    for more in range(3):
        if place + more >= len(said):
            return None
        if more and sentence[said[place + more - 1].end() : said[place + more].start()] != " ":
            return None
        word = said[place + more][0]
        between = " ".join(match[0] for match in said[place : place + more])
        if word[0].isupper() and not _is_common(word):
            return place + more if not more or between in _BETWEEN else None
    return None


def _mention(sentence: str, said: list[re.Match[str]], first: int, last: int, capitals: Capitals) -> Mention:
    """A name, without a genitive's end."""
    start, end = said[first].start(), said[last].end()
    has = sentence[end : end + 1] == " " and sentence[end + 1 : end + 2].islower()  # something that is said to be its
    if has and (of := _OF.search(sentence[start:end])):
        return Mention(start, start + of.start(), "whose")
    if has and first == last and _PEOPLE.fullmatch(sentence[start:end]):
        return Mention(start, end, "which")
    return Mention(start, end, _asked(said, first, last, capitals))


def _asked(said: list[re.Match[str]], first: int, last: int, capitals: Capitals) -> Asked:
    """What asks for a name."""
    name = [match[0] for match in said[first : last + 1]]
    before = said[first - 1][0] if first else ""
    behind = said[last + 1][0] if last + 1 < len(said) else ""
    if before in _TITLES or name[0] in _TITLES:
        return "who"
    if not _NO_PERSON.isdisjoint(name):
        return "where" if before.lower() in _AT and not _PLACES.isdisjoint(name) else "what"
    if behind in _HUMAN_BEHIND or capitals.are_person(name):
        return "who"
    if before.lower() in _AT:
        return "where"
    plain = len(name) in (2, 3) and all(word[0].isupper() and not word.isupper() for word in name)
    return "who" if plain and before.lower() in ("", "by", "and", "with") else "what"
