"""The card tells what a data folder holds, in the terminal and as a page that trusts nothing."""

import io
import json
import random
from html.parser import HTMLParser

import pytest
from rich.console import Console

from daedal.data import BuildOptions, Dataset, build, card_html, render_card
from test_data_pipeline import sentence, write_corpus

HOSTILE = '<script>alert("x")</script>[bold]&'


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("card") / "in"
    write_corpus(folder, words=100)
    (folder / "copy.txt").write_text((folder / "doc000.txt").read_text())
    (folder / "near.txt").write_text((folder / "doc001.txt").read_text() + "And one more.")
    (folder / "empty.txt").write_text("\n")
    (folder / "bin.dat").write_bytes(b"\0\1\2")
    rows = [{HOSTILE: "The text of the row, and that is it: " + HOSTILE + sentence(random.Random(9), 40), "number": 1}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / f"bad{HOSTILE.replace('/', '')}.gz").write_bytes(b"not gzip")
    (folder / "esc\x1b[2J.gz").write_bytes(b"not gzip either")
    (folder / "code.py").write_text("import os\n\nprint(os.getcwd())\n")
    return build(folder, folder.parent / "out", BuildOptions(licence="CC0 " + HOSTILE))


def test_the_card_in_the_terminal(dataset: Dataset) -> None:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(render_card(dataset))
    text = console.export_text()
    for each in (
        "train",
        "characters per token",
        "exact",
        "1 left out",
        "agrees with in/near.txt",
        "broken file",
        "empty",
        "binary",
        "Python",
        "JSON Lines",
        "CC0 " + HOSTILE,
        "guessed",
        dataset.fingerprint,
        "Length of documents",
        "Languages of",
    ):
        assert each in text, each
    assert "\x1b" not in text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "onload", "onerror")]


def test_the_page_escapes_everything_and_needs_nothing(dataset: Dataset) -> None:
    page = card_html(dataset)
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.tags
    assert tags.links == []
    assert "url(" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert dataset.fingerprint in page


def test_the_manifest_adds_up(dataset: Dataset) -> None:
    manifest = dataset.manifest
    documents = sum(each.documents for each in manifest.splits.values())
    assert documents == sum(each.count for each in manifest.lengths) == 42
    assert (
        sum(each.count for each in manifest.file_types)
        == documents + manifest.duplicates.exact + manifest.duplicates.near
    )
    assert {each.reason: each.count for each in manifest.dropped} == {"broken file": 2, "empty": 1, "binary": 1}
    assert manifest.duplicates.exact == manifest.duplicates.near == 1
