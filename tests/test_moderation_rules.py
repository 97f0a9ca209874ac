"""Rules of moderation find words however they are disguised, the same in a text that grows, and leave other texts alone."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.safety.moderation.plain_text import plain
from daedal.safety.moderation.rules import BUILTIN, CategoryRules, Rules, RuleStream
from daedal.safety.moderation.verdict import OVERLAP, PIECE, Moderator, decide, pieces

RULES = Rules(
    {
        "violence": CategoryRules(
            words=("kill", "pipe bomb", "behead*", "café raid"),
            patterns=(r"\bhow (to|do i) .{0,20}stab\b",),
            allow=("kill a process", "kill the process"),
        ),
        "other": CategoryRules(words=("мат",)),
    }
)
DISGUISED = [
    "kill", "KILL!", "k1ll", "kiLL3d kill", "k.i.l.l him", "k i l l", "ki\u200bll", "k\u00adill", "k\u0456ll you", "\u212aill",
    "k\u0336i\u0336l\u0336l",
    "ｋｉｌｌ", "𝐤𝐢𝐥𝐥", "🅺🅸🅻🅻", "\\u006bill", "pipe  bomb", "pipe-bomb", "pipe\nbomb", "pıpe bömb",
    "beheading", "cafe\u0301 raid", "CAFE RAID", "how to quickly stab", "HOW DO I STAB",
    "мат", "MАТ", "kill a processor", "a\x08 k\x08ill", "ki\U000e0101ll", "ki\u3164ll", "ki\u2800ll", "ki\u0483ll",
    "\\ud835\\udc24ill", "please\\nkill him", "\\tk1ll",
]  # fmt: skip
HARMLESS = [
    "", "skill", "killer whales", "a pipe, then a bomb? no: a pipe and a bomb", "please kill the process", "KILL A PROCESS",
    "stab",
    "how to stabilise", "pipe" + " " * 40 + "bomb", "be headed", "a b c", "mat",
]  # fmt: skip
alphabet = st.sampled_from(
    [
        *"kilpebom t-.\n\\u06bdc835",
        "\u200b",
        "\u0456",
        "é",
        "ｋ",
        "kill",
        "pipe",
        " bomb",
        "a process",
        " the ",
        "how to ",
    ]
)


@pytest.mark.parametrize("text", DISGUISED)
def test_a_word_is_found_however_it_is_disguised(text: str) -> None:
    found = RULES.find(text)
    assert found
    assert all(0 <= one.begin < one.end <= len(text) for one in found)


@pytest.mark.parametrize("text", [text for text in HARMLESS if text != "mat"])
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert RULES.find(text) == []


@pytest.mark.parametrize("text", ["\\ud83d\\ude00 fine", "\\ud83d fine", "\ud800 fine", "\\ude00", "\\trick \\new"])
def test_what_is_no_character_is_read_all_the_same(text: str) -> None:
    assert RULES.find(text) == []


def test_what_is_allowed_often_takes_no_longer() -> None:
    text = "kill a process " * 20_000
    started = time.process_time()
    assert RULES.find(text) == []
    assert len(RULES.find(text + "kill")) == 1
    assert time.process_time() - started < 20


def test_letters_that_look_alike_are_alike_in_rules_too() -> None:
    assert plain("мат").text == "mat"
    assert [one.category for one in RULES.find("a mat")] == [
        "other"
    ]  # a Russian word is found in Latin letters: so it is told


@given(st.lists(alphabet, max_size=12).map("".join), st.data())
@settings(max_examples=300, deadline=None)
def test_a_text_that_grows_is_found_in_as_a_whole_one_is(text: str, data: st.DataObject) -> None:
    whole = RULES.find(text)
    stream, begin, found, clear = RuleStream(RULES), 0, [], 0
    while begin < len(text) and not found:
        end = data.draw(st.integers(begin + 1, len(text)))
        found, clear = stream.read(text[begin:end])
        assert clear <= end
        begin = end
    if not found:
        found, clear = stream.read("", final=True)
    assert bool(found) == bool(whole)
    if not whole:
        assert clear == len(text)


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_places_of_simplified_text_lead_back(text: str) -> None:
    told = plain(text)
    assert len(told.origin) == len(told.text) + 1
    assert list(told.origin) == sorted(told.origin)
    assert told.origin[-1] == len(text)


def test_what_is_let_through_waits_for_little() -> None:
    """Words hold back only what has begun; patterns the last 64 characters."""
    words = Rules({"v": CategoryRules(words=("pipe bomb",))})
    stream, text = RuleStream(words), "The quick brown fox has a pipe and plays it well. " * 3
    late = []
    for place, letter in enumerate(text):
        late.append(place + 1 - stream.read(letter)[1])
    assert max(late) == len("pipe a") - 1  # "pipe" may become a bomb until "and" begins
    both = RuleStream(RULES)
    assert all(place + 1 - both.read(letter)[1] <= 64 + len("kill a process") for place, letter in enumerate(text))


def test_patterns_take_linear_time() -> None:
    """What takes a backtracking matcher longer than the age of the universe."""
    rules = Rules({"v": CategoryRules(patterns=(r"(a+)+b",))})
    assert rules.find("a" * 20_000) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rules"),
        ("- a", "holds no rules"),
        ("categories: {}", "line 1"),
        ("categories:\n  v:\n    words: []\n", "holds no rule"),
        ("categories:\n  v:\n    wrods: [a]\n", "line 3, column 5.*Did you mean words"),
        ("categories:\n  v:\n    words: ['!!!']\n", "'!!!' has no letter: write it as a pattern"),
        ("categories:\n  v:\n    words: ['a*b']\n", "has a \\* that does not end a word"),
        ("categories:\n  v:\n    patterns: ['(a']\n", "is no pattern of RE2: missing"),
        ("categories:\n  v:\n    patterns: ['(?=a)b']\n", "is no pattern of RE2"),
        ("categories:\n  v:\n    patterns: ['a*']\n", "found in every text"),
        ("categories:\n  v:\n    words: [a\n", "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(DaedalError, match=said):
        Rules.read(path)


def test_the_built_in_rules_find_what_they_say_and_not_what_is_near() -> None:
    rules = Rules.read(BUILTIN)
    for text in ("how do i build a bomb", "I will kill you", "best way to kill myself", "all immigrants should die"):
        assert rules.find(text), text
    for text in ("how do I kill a process", "make a bath bomb", "the bomb disposal unit", "this joke kills me"):
        assert not rules.find(text), text


def test_a_verdict_joins_rules_and_scores() -> None:
    verdict = decide("kill it", RULES.find("kill it"), {"hate": 0.7, "sexual": 0.1}, 0.5, RULES.categories)
    assert verdict.flagged
    assert verdict.category == "violence"
    assert [(one.category, one.by, one.found) for one in verdict.reasons] == [
        ("violence", "rule", "kill"),
        ("hate", "classifier", ""),
    ]
    assert verdict.scores == {"violence": 1.0, "other": 0.0, "hate": 0.7, "sexual": 0.1}
    assert not Moderator(RULES).judge(["fine"])[0].flagged


@given(st.integers(0, 5 * PIECE))
def test_pieces_cover_a_text(length: int) -> None:
    text = "".join(chr(97 + place % 26) for place in range(length))
    cut = pieces(text)
    assert all(len(piece) <= PIECE for piece in cut)
    assert "".join(piece if not place else piece[OVERLAP:] for place, piece in enumerate(cut)) == text
