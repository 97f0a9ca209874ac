"""Rules of moderation: words, phrases and patterns by category, read from a YAML file.

    categories:
      violence:
        words: [pipe bomb, "behead*"]
        patterns: ['how (to|do i) .{0,20}(stab|strangle) (someone|him|her)']
        allow: [stab at it]

- words are whole words, or phrases of them whatever stands between; `*` at the end of a word goes on with any letters. They are
  also found in capitals, in letters that look alike, with digits for letters (b0mb), letter by letter (b.o.m.b), and with
  characters of no width among them
- patterns are RE2's (google-re2), which takes linear time whatever the pattern, and see the text as `plain_text` simplifies it
- what stands within a phrase of `allow` does not count
"""

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import resources
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, field_validator

from daedal import marked_yaml
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.safety.moderation.plain_text import PlainText, plain, whole

BUILTIN = "builtin"
"""The name of the rules that come with Daedal."""
_LONGEST, _MOST = 200, 100_000
_GAP = 16
"""Characters between two words of a phrase, at most."""
_REACH = 64
"""Characters that are held back for patterns: one that takes more is found, but its beginning was let through."""
_WORD = re.compile(r"[^\W_]+")
_DIGITS = tuple(str.maketrans("0134578", f"o{one}eastb") for one in "il")
_ENDS = "nrtbf"
"""What JSON writes after a backslash for an end of a line and the like: the letter may be none of the word."""
_SPELLED, _BETWEEN = 3, 2
"""Single letters in a row that are read as a word, and characters between two of them at most."""


class CategoryRules(Config):
    """What is of one category.

    Attributes:
        words: words and phrases.
        patterns: of RE2's syntax.
        allow: phrases within which nothing counts.
    """

    words: tuple[Annotated[str, Field(min_length=1, max_length=_LONGEST)], ...] = Field((), max_length=_MOST)
    patterns: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field((), max_length=1000)
    allow: tuple[Annotated[str, Field(min_length=1, max_length=_LONGEST)], ...] = Field((), max_length=_MOST)

    @field_validator("words", "allow")
    @classmethod
    def _has_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not _WORD.search(plain(each).text):
                raise ValueError(f"{each!r} has no letter: write it as a pattern")
            if re.search(r"\*\S|(?:^|\s)\*", each):
                raise ValueError(f"{each!r} has a * that does not end a word: write it as a pattern")
        return value

    @field_validator("patterns")
    @classmethod
    def _compiles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            _pattern(each)
        return value


class RulesFile(Config):
    """The file."""

    categories: dict[Annotated[str, Field(min_length=1, max_length=64)], Any] = Field(min_length=1)


class RuleMatch(NamedTuple):
    """What a rule found.

    Attributes:
        begin, end: where, in the text.
    """

    category: str
    begin: int
    end: int


class _Word(NamedTuple):
    """A word of a text as rules read it.

    Attributes:
        spellings: what it may be read as.
        spelled: letter by letter.
    """

    spellings: tuple[str, ...]
    begin: int
    end: int
    spelled: bool


class Rules:
    """Rules, ready to find. Nothing in them changes, so one is for any number of texts."""

    def __init__(self, categories: Mapping[str, CategoryRules]) -> None:
        self.categories = tuple(categories)
        self._phrases: dict[str, list[tuple[tuple[str, ...], str | None]]] = {}  # by their first word
        self._openings: dict[
            str, list[tuple[tuple[str, ...], str | None]]
        ] = {}  # the same of first words that end in *
        self._begun: set[str] = set()  # all beginnings of phrases
        self._most = 1
        for name, rules in categories.items():
            for category, phrases in ((name, rules.words), (None, rules.allow)):
                for phrase in phrases:
                    self._add(_of_phrase(phrase), category)
        self.patterns = [(name, _pattern(each)) for name, rules in categories.items() for each in rules.patterns]
        self._all = _together([each for rules in categories.values() for each in rules.patterns])
        told = {name: rules.model_dump() for name, rules in categories.items()}
        self.fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        self.count = sum(len(rules.words) + len(rules.patterns) for rules in categories.values())

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Those of a file, or the built-in ones by their name.

        Raises:
            DaedalError: it cannot be read, or holds something else; the line is named.
        """
        if str(path) == BUILTIN:
            text = (resources.files("daedal.safety.moderation") / "builtin.yaml").read_text(encoding="utf-8")
            return cls._of(marked_yaml.parse(text, BUILTIN, core=True))
        document = marked_yaml.read(Path(path), core=True)
        if not isinstance(document.value, dict):
            raise DaedalError(f"{path} holds no rules", "Write categories: and under it a category with words")
        rules = cls._of(document)
        if not rules.count:
            raise DaedalError(f"{path} holds no rule", "Give a category words or patterns")
        return rules

    @classmethod
    def _of(cls, document: marked_yaml.Document) -> Self:
        names = document.parse(RulesFile).categories
        return cls({name: document.parse(CategoryRules, ("categories", name)) for name in names})

    def find(self, text: str) -> list[RuleMatch]:
        """All that is found in a whole text."""
        return RuleStream(self).read(text, final=True)[0]

    @cached_property
    def span(self) -> int:
        """Characters that the longest phrase may take."""
        return max(map(len, self._begun), default=0) + _GAP * self._most + 1

    def _add(self, words: tuple[str, ...], category: str | None) -> None:
        first, whole_phrase = words[0], " ".join(words)
        table = self._openings if first.endswith("*") else self._phrases
        table.setdefault(first.removesuffix("*"), []).append((words, category))
        self._begun.update(whole_phrase[:end] for end in range(1, len(whole_phrase) + 1))
        self._most = max(self._most, len(words))

    def phrases(self, words: list[_Word]) -> Iterator[tuple[str | None, int, int]]:
        """The phrases in words: category (None of what is allowed), and where."""
        for place, word in enumerate(words):
            for phrase, category in self._from(word):
                last = place + len(phrase) - 1
                if last < len(words) and all(
                    _fits(wanted, words[place + step])
                    and words[place + step].begin - words[place + step - 1].end <= _GAP
                    for step, wanted in enumerate(phrase)
                    if step
                ):
                    yield category, word.begin, words[last].end

    def _from(self, word: _Word) -> Iterator[tuple[tuple[str, ...], str | None]]:
        for spelling in word.spellings:
            yield from self._phrases.get(spelling, ())
            if self._openings:
                for end in range(1, min(len(spelling), _LONGEST) + 1):
                    yield from self._openings.get(spelling[:end], ())

    def fits(self, text: str, start: int) -> Iterator[tuple[str, int, int]]:
        """Where patterns fit from a place on: category, and where. Mostly none does, which one search for all of them says."""
        if self.patterns and (self._all is None or self._all.search(text, start) is not None):
            for category, pattern in self.patterns:
                for match in pattern.finditer(text, start):
                    yield category, *match.span()

    def begun(self, words: list[_Word], length: int) -> int:
        """Where the first phrase begins that what follows may complete; the end where there is none.

        Args:
            words: of which one that touches the end of the text may go on.
            length: of the text.
        """
        if not words or length - words[-1].end > _GAP:
            return length
        last = words[-1]
        open_ended = last.end == length or (last.spelled and length - last.end <= _BETWEEN)
        if open_ended and length - last.begin <= _LONGEST and any(True for _ in self._from(last)):
            place = len(words) - 1
        else:
            place = len(words)
        for first in range(max(0, len(words) - self._most), place):
            for number in range(max((len(word.spellings) for word in words[first:]), default=0)):
                said = " ".join(word.spellings[min(number, len(word.spellings) - 1)] for word in words[first:])
                if f"{said} " in self._begun or (open_ended and said in self._begun):
                    return words[first].begin
        return words[place].begin if place < len(words) else length


class RuleStream:
    """Finds in a text that grows: `read` it again and again."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._kept = max(2 * rules.span, 2 * _REACH)
        self._done = ""  # the end of what is settled, as rules read it
        self._whole = True  # whether that is all of it
        self._rest = ""  # what is not settled, as it came
        self._settled = 0  # characters that are, as they came

    def read(self, text: str, final: bool = False) -> tuple[list[RuleMatch], int]:
        """Read on.

        Args:
            text: what came.
            final: nothing more will come.

        Returns:
            What is found for certain; and up to where nothing may become something. Places are those of all the text.
        """
        self._rest += text
        told = plain(self._rest)
        known, settled = self._done + told.text, len(self._done)
        length = len(known)
        words = _words(known, self._whole)
        undecided = length
        if not final:
            undecided = min(self._rules.begun(words, length), settled + self._characters(told))
            if words and (words[-1].end == length or words[-1].spelled) and length - words[-1].begin <= _LONGEST:
                words = words[:-1]  # it may go on
        found = [one for one in self._rules.phrases(words) if one[2] > settled]
        for category, begin, end in self._rules.fits(known, max(0, settled - _REACH)):
            if end == length and not final and begin > length - _REACH:
                undecided = min(undecided, begin)  # the next character decides
            elif end > max(begin, settled):
                found.append((category, begin, end))
        allowed = sorted((begin, end) for category, begin, end in found if category is None)
        reach = list(
            accumulate((end for _, end in allowed), max)
        )  # how far what is allowed goes, of all that begins by there
        certain = {
            RuleMatch(category, self._place(told, begin), self._place(told, end))
            for category, begin, end in found
            if category is not None
            and begin < undecided
            and not ((place := bisect_right(allowed, begin, key=itemgetter(0))) and end <= reach[place - 1])
        }
        if final:
            self._settled += len(self._rest)
        else:
            hold = min(undecided, length - _REACH) if self._rules.patterns else undecided
            self._settle(told.origin[max(0, hold - settled)])
        return sorted(certain, key=lambda one: one[1:]), self._settled

    def _settle(self, cut: int) -> None:
        done = self._done + plain(self._rest[:cut]).text
        self._whole = self._whole and len(done) <= self._kept
        self._done, self._rest = done[-self._kept :], self._rest[cut:]
        self._settled += cut

    def _characters(self, told: PlainText) -> int:
        """How many characters, as rules read them, are whole for certain."""
        upto = whole(self._rest)
        return len(told.text) if upto == len(self._rest) else sum(place < upto for place in told.origin[:-1])

    def _place(self, told: PlainText, place: int) -> int:
        """Where a place is in all the text; in what is settled about so far before."""
        inside = place - len(self._done)
        return max(0, self._settled + (told.origin[inside] if inside >= 0 else inside))


def _words(text: str, whole: bool) -> list[_Word]:
    """The words of a text; letters one by one are a word.

    Args:
        whole: nothing stands before it; else what begins with it may be the end of a word.
    """
    found: list[_Word] = []
    letters: list[re.Match[str]] = []

    def spell() -> None:
        if len(letters) >= _SPELLED:
            together = "".join(each[0] for each in letters)
            found.append(_word(together, letters[0].start(), letters[-1].end(), spelled=True))
        else:
            found.extend(_word(each[0], *each.span(), spelled=True) for each in letters)
        letters.clear()

    for match in _WORD.finditer(text):
        if not whole and match.start() == 0:
            continue
        single = match.end() - match.start() == 1
        if letters and not (single and match.start() - letters[-1].end() <= _BETWEEN):
            spell()
        if single:
            letters.append(match)
        else:
            found.append(_word(match[0], *match.span(), escaped=text[match.start() - 1 : match.start()] == "\\"))
    spell()
    return found


def _word(text: str, begin: int, end: int, spelled: bool = False, escaped: bool = False) -> _Word:
    spellings: tuple[str, ...] = (text,)
    if not (text.isalpha() or text.isdigit()):
        spellings = tuple(dict.fromkeys((text, *(text.translate(digits) for digits in _DIGITS))))
    if escaped and text[0] in _ENDS:
        spellings += tuple(each[1:] for each in spellings)
    return _Word(spellings, begin, end, spelled)


def _of_phrase(phrase: str) -> tuple[str, ...]:
    """The words of a phrase, with the * that they end in."""
    text = plain(phrase).text
    return tuple(
        word.spellings[0] + ("*" if text[word.end : word.end + 1] == "*" else "") for word in _words(text, whole=True)
    )


def _fits(wanted: str, word: _Word) -> bool:
    if wanted.endswith("*"):
        return any(spelling.startswith(wanted[:-1]) for spelling in word.spellings)
    return wanted in word.spellings


def _compiled(text: str) -> Any:
    import re2

    options = re2.Options()
    options.case_sensitive, options.log_errors = False, False
    return re2.compile(text, options)


def _together(patterns: list[str]) -> Any:
    """What fits where any of some patterns does; None where they are too many for one."""
    import re2

    try:
        return _compiled("|".join(f"(?:{each})" for each in patterns)) if patterns else None
    except re2.error:
        return None


def _pattern(text: str) -> Any:
    """
    Raises:
        ValueError: it is no pattern of RE2's, or fits everywhere.
    """
    import re2

    try:
        pattern = _compiled(text)
    except re2.error as error:
        told = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error
        raise ValueError(f"{text!r} is no pattern of RE2: {told}") from None
    if pattern.search("") is not None:
        raise ValueError(f"{text!r} is found in every text: it fits nothing at all")
    return pattern
