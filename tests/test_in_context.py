"""Games that are learned from examples: text of them, held-out functions, and the tasks of those."""

import re
from pathlib import Path
from random import Random

import pytest

import daedal as library
from command_line import mistake
from daedal.data.worlds.in_context import GAMES, document, function
from daedal.errors import DaedalError
from daedal.evaluation.tasks.library import find
from daedal.evaluation.tasks.run import TaskOptions, prepare


@pytest.mark.parametrize("game", GAMES)
def test_no_document_has_a_function_of_the_tasks(game: str) -> None:
    draw = Random(1)
    learned = {function(game, draw).name for _ in range(500)}
    held_out = {row["function"] for row in find(f"in-context/{game}")[0].rows}
    assert len(held_out) >= 5
    assert not learned & held_out


def test_documents_are_always_the_same_and_examples_of_one_differ() -> None:
    for number in range(50):
        assert document(number) == document(number)
        inputs = [line.split(" -> ")[0] for line in document(number).splitlines()]
        assert len(set(inputs)) == len(inputs) == 10


def test_an_item_is_asked_after_examples_of_its_own_function() -> None:
    (task,) = find("in-context/linear")
    (job,) = prepare([task], TaskOptions(shots=(8,), limit=40))
    for item, prompts in zip(job.items, job.prompts, strict=True):
        a, b = map(int, re.findall(r"\d+", item.row["function"]))
        assert isinstance(prompts[0], str)
        *lines, asked = prompts[0].split("\n")
        pairs = [tuple(map(int, line.split(" -> "))) for line in lines]
        x = int(asked.removesuffix(" ->"))
        assert len(pairs) == 8
        assert all(a * one + b == other for one, other in pairs)
        assert item.targets == (f" {a * x + b}\n",)
        assert x not in {one for one, _ in pairs}


def test_more_shots_than_an_item_brings_are_refused() -> None:
    with pytest.raises(DaedalError, match="8 examples of its own, and 9 shots"):
        prepare(find("in-context/words"), TaskOptions(shots=(9,)))


def test_the_source_is_text_of_as_many_documents_as_are_asked_for(tmp_path: Path) -> None:
    built = library.build_data(["in-context:300"], tmp_path / "data", workers=1, vocab_size=300)
    assert sum(built.split(name).documents for name in built.manifest.splits) == 300  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "source", ["in-context:0", "in-context:many", "in-context:-3", "in-context:99999999999", "in-context:"]
)
def test_a_misspelt_source_is_told(source: str, tmp_path: Path) -> None:
    assert "in-context:N" in mistake("data", "build", source, "--out", tmp_path / "data")
