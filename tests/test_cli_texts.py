"""The texts of a file that a command is given: a line each, or a field of JSON Lines, or a column of a table."""

from pathlib import Path

import pytest

from command_line import mistake
from daedal.cli.answer import _text
from daedal.cli.texts import read
from daedal.errors import DaedalError


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("reviews.txt", "A film, good\nDull; cold\n", "text"),
        ("reviews.jsonl", '{"said": "A film, good"}\n\n{"said": "Dull; cold"}\n', "said"),
        ("reviews.csv", 'stars,said\n5,"A film, good"\n1,Dull; cold\n', "said"),
        ("reviews.csv", 'stars;said\n5;A film, good\n1;"Dull; cold"\n', "said"),
        ("reviews.tsv", "A film, good\t1\nDull; cold\t0\n", "0"),
        ("reviews.tsv", "1\tA film, good\n0\tDull; cold\n", "1"),
    ],
)
def test_each_row_of_a_file_is_a_text(name: str, content: str, field: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read(None, tmp_path / name, field) == ["A film, good", "Dull; cold"]


@pytest.mark.parametrize("command", ["classify", "tag", "translate"])
def test_a_hyphen_is_a_file(command: str) -> None:
    assert "nowhere" in mistake(command, "nowhere", "--file", "-"), "the run is what is wrong"


def test_a_table_without_the_column_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("stars,said\n5,good\n")
    with pytest.raises(DaedalError, match=r"no column 'text'.*--field: stars, said"):
        read(None, tmp_path / "reviews.csv")


@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl"])
def test_a_file_without_a_text_is_empty(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("\n \n")
    with pytest.raises(DaedalError, match="is empty"):
        read(None, tmp_path / name)


def test_a_broken_row_is_not_passed_over_since_what_is_said_stands_in_the_order_of_rows(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("stars,text\n5,good\n1,bad,worse,worst\n3,fine\n")
    with pytest.raises(DaedalError, match="broken row"):
        read(None, tmp_path / "reviews.csv")


@pytest.mark.parametrize("context", ["notes.txt", "texts/notes", "report.pdf", "../a.html"])
def test_a_file_of_a_context_that_is_not_there_is_no_text(context: str) -> None:
    with pytest.raises(DaedalError, match="There is no file"):
        _text(context)


@pytest.mark.parametrize("context", ["Anna was born in 1904.", "Anna", "他出生于1904年。", "either/or it is"])
def test_a_context_may_be_the_text_itself(context: str) -> None:
    assert _text(context) == context
