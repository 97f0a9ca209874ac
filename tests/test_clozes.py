"""Questions that are made of text: the answer is a span of its paragraph, all follows from the seed, some have none."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.data.clozes.cloze import question_of
from daedal.data.clozes.mentions import Capitals, mentions
from daedal.data.clozes.paragraphs import articles, is_apart, joined, sentences
from daedal.data.clozes.questions import ask
from daedal.data.examples import ExampleDataset
from kind_examples import WORDS

PLACES = ("Harbourton", "Lake Merren", "the River Isk", "Old Valley", "Castle Dorn")
PEOPLE = ("Anna Berg", "Tomas Velk", "Mira Olsen", "Jan Hrubin")


def paragraph(number: int) -> str:
    person, place = PEOPLE[number % len(PEOPLE)], PLACES[number % len(PLACES)]
    word, other = WORDS[number % len(WORDS)], WORDS[(number * 5 + 1) % len(WORDS)]
    return (
        f"In {1800 + number} the {word} of the old town was painted by {person}, who sold it to a friend of the family. "
        f"The {other} behind the market was built near {place} from stones of the former bridge. "
        f"It had {3 + number} windows on the side of the street, and a long garden behind the house. "
        f"{person} died on 4 May {1850 + number} after a long journey through the mountains of the country."
    )


def tale(paragraphs: int = 40) -> str:
    return "# A town\n\n" + "\n\n".join(map(paragraph, range(paragraphs)))


def build(source: Path, out: str = "out", **options: Any) -> ExampleDataset:
    data = daedal.build_data([source], source.parent / out, kind="questions", from_text=True, **options)
    assert isinstance(data, ExampleDataset)
    return data


def every(data: ExampleDataset) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        row
        for name in data.manifest.splits
        for row in zip(*(data.split(name).values(column) for column in ("question", "context", "answers")), strict=True)
    ]


# -- builds ------------------------------------------------------------------------------------------------------------


def test_answers_are_spans_of_their_paragraph_and_some_questions_have_none(tmp_path: Path) -> None:
    (tmp_path / "tale.md").write_text(tale())
    data = build(tmp_path / "tale.md", workers=1, unanswerable=0.3, near_duplicates="off")
    rows = every(data)
    without = 0
    for question, context, answers in rows:
        assert question.endswith("?")
        for text, start in zip(answers["text"], answers["start"], strict=True):
            assert context[start : start + len(text)] == text
            assert text not in question
        without += not answers["text"]
    assert 0.1 < without / len(rows) < 0.5
    contexts = [set(data.split(name).values("context")) for name in data.manifest.splits]
    assert sum(map(len, contexts)) == len(set.union(*contexts))
    assert any("questions are made" in note for note in data.manifest.notes)


def test_what_is_asked_follows_from_the_seed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(4):
        (tmp_path / "a" / f"{number}.txt").write_text("\n\n".join(map(paragraph, range(number * 10, number * 10 + 10))))
    one = build(tmp_path / "a", workers=1)
    assert build(tmp_path / "a", "again", workers=2).fingerprint == one.fingerprint
    assert {row[0] for row in every(build(tmp_path / "a", "other", seed=1))} != {row[0] for row in every(one)}
    assert not any(row[2]["text"] == [] for row in every(build(tmp_path / "a", "all", unanswerable=0)))


def test_the_command_line_makes_questions_of_text(tmp_path: Path) -> None:
    (tmp_path / "tale.md").write_text(tale())
    assert command("data", "build", tmp_path / "tale.md", "--from-text", "--out", tmp_path / "out").code == 0
    assert ExampleDataset.open(tmp_path / "out").kind_name == "questions"
    assert "from_text" in mistake(
        "data", "build", tmp_path / "tale.md", "--kind", "pairs", "--from-text", "--out", tmp_path / "no"
    )


@pytest.mark.parametrize(
    ("name", "text"), [("a.py", "x = 1\n" * 99), ("a.txt", "word " * 300), ("a.txt", "Short."), ("a.txt", "\x00" * 200)]
)
def test_text_of_which_nothing_can_be_asked_is_refused_in_a_line(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    line = mistake("data", "build", tmp_path / name, "--from-text", "--out", tmp_path / "out")
    assert "There is no question in" in line


# -- parts -------------------------------------------------------------------------------------------------------------


def asked(sentence: str, *others: str) -> list[tuple[str, str]]:
    found = mentions(sentence, Capitals([sentence, *others]))
    return [(sentence[each.start : each.end], each.asked) for each in found]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("It was built in 1904 by Anna Berg.", [("1904", "when"), ("Anna Berg", "who")]),
        ("He died on 4 May 1850 in Harbourton.", [("4 May 1850", "when"), ("Harbourton", "where")]),
        ("It has three towers and 1,200 seats.", [("three", "how many"), ("1,200", "how many")]),
        ("The bridge cost $3.5 million.", [("$3.5 million", "how much")]),
        ("They met at the University of Old Valley.", [("University of Old Valley", "what")]),
        ("Then President Velk signed it.", [("President Velk", "who")]),
        ("She sold Olsen's house.", [("Olsen", "whose")]),
        ("A few Japanese ships came.", [("Japanese", "which")]),
        ("Meadows are green, and I'm glad.", []),
    ],
)
def test_what_is_named_is_found_and_how_it_is_asked_for(sentence: str, found: list[tuple[str, str]]) -> None:
    assert asked(sentence) == found


def test_a_capital_at_the_start_is_a_name_where_the_word_is_one_elsewhere() -> None:
    assert asked("Meadow lies in the hills.") == []
    assert asked("Velk lies in the hills.", "They saw Velk again.") == [("Velk", "what")]
    assert asked("Meadow lies in the hills.", "They saw Meadow.", "A meadow is green.") == []


def test_the_gap_goes_to_the_front_as_the_words_that_ask_for_it() -> None:
    class Quiet(Random):
        def random(self) -> float:
            return 0.5

    def question(sentence: str) -> str | None:
        return question_of(sentence, mentions(sentence, Capitals([sentence]))[0], Quiet())

    assert question("The bridge over the river was built in 1904 of old stones.") == (
        "When the bridge over the river was built of old stones?"
    )
    assert question("The house behind the market has twelve windows on the street.") == (
        "How many windows the house behind the market has on the street?"
    )
    assert (
        question("The wall was painted in the old town by Anna Berg.") == "Who the wall was painted in the old town by?"
    )
    assert question("The friends met Velk.") is None  # too little is said
    assert question("In the hills of Velk all people of the town knew Velk well.") is None  # the answer is said again


def test_sentences_end_where_they_end() -> None:
    text = (
        'Mr. Velk came. He said "No." Then H. americanus ate 3.5 fish! It was No. 4 of the U.S. Navy (the old one.) Yes'
    )
    assert [text[begin:end] for begin, end in sentences(text)] == [
        "Mr. Velk came.",
        'He said "No."',
        "Then H. americanus ate 3.5 fish!",
        "It was No. 4 of the U.S. Navy (the old one.)",
        "Yes",
    ]


def test_words_that_stand_apart_are_joined() -> None:
    apart = 'It grew to 60 cm ( 24 in ) , a red @-@ tipped " old lobster " of 1 @,@ 500 g , and it did n\'t sink .'
    assert is_apart(apart)
    assert joined(apart) == 'It grew to 60 cm (24 in), a red-tipped "old lobster" of 1,500 g, and it didn\'t sink.'
    assert not is_apart(paragraph(1))


def test_headings_part_articles_and_hard_lines_are_one_paragraph() -> None:
    hard = "\n".join(paragraph(1).split(". "))
    wiki = f" = One = \n \n {paragraph(1)} \n = = Part = = \n {paragraph(2)} \n = Two = \n {paragraph(3)} \n"
    assert list(articles(hard)) == [[" ".join(hard.split())]]
    assert [len(article) for article in articles(wiki)] == [2, 1]
    code = f"{paragraph(1)}\n\n```python\n{paragraph(2)}\n```\n\n| {paragraph(3)} |\n\n{paragraph(4)}\n"
    assert list(articles(code)) == [[paragraph(1), paragraph(4)]]
    assert list(articles("")) == list(articles("= A =\n\n# B\n")) == []


@given(st.text(alphabet="Ab1 .,\n=#'?", max_size=400), st.integers(0, 5))
def test_any_text_gives_spans_or_nothing(text: str, seed: int) -> None:
    for article in articles(text * 4):
        for row in ask(article, 4, 0.5, str(seed)):
            for answer, start in zip(row["answers"]["text"], row["answers"]["start"], strict=True):
                assert row["context"][start : start + len(answer)] == answer
