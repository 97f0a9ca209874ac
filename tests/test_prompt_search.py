"""A prompt search: what is held out is never seen, the budget is kept, a better prompt is found where there is one, and where
there is none the report says so, whatever the best of many seemed to gain."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.page import report_page
from daedal.evaluation.prompt_search.candidate import Candidate, asked_by, candidates, draw_examples
from daedal.evaluation.prompt_search.prompt_file import prompt_file
from daedal.evaluation.prompt_search.propose import propose
from daedal.evaluation.prompt_search.report import report, verdict
from daedal.evaluation.prompt_search.search import Search, SearchOptions
from daedal.evaluation.prompt_search.splits import split
from daedal.evaluation.tasks.definition import Definition
from daedal.evaluation.tasks.run import Job, run
from daedal.evaluation.tasks.task import Row, Task, digest
from daedal.models.checkpoint import save_model
from daedal.prompting.template import PromptTemplate
from scripted_respondent import Scripted
from tiny_models import tiny_gpt


def rows(count: int, seed: int = 0) -> list[Row]:
    draw = Random(seed)
    return [{"text": f"item {draw.randrange(10**9)}", "label": draw.randrange(2)} for _ in range(count)]


def task_of(items: Sequence[Row], **fields: Any) -> Task:
    values = {
        "task": "colours", "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{text}}:",
        "doc_to_choice": ["red", "blue"], "doc_to_target": "label", "metric_list": [{"metric": "acc"}], **fields,
    }  # fmt: skip
    return Task(Definition.parse(values, "test"), lambda: {"test": items})


def written(items: Sequence[Row], **fields: Any) -> Task:
    values = {
        "output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "{{['red', 'blue'][label]}}",
        "metric_list": [{"metric": "exact_match"}], "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4}, **fields,
    }  # fmt: skip
    return task_of(items, **values)


ITEM = re.compile(r"item \d+")


def knows(items: Sequence[Row], share: Any) -> Scripted:
    """A model that is right for a share of the items, which depends on the prompt; the same items each time."""
    label = {row["text"]: ("red", "blue")[row["label"]] for row in items}

    def right(prompt: str, sample: int = 0) -> bool:
        text = (ITEM.findall(prompt) or ["none"])[-1]
        return Random(f"{text}{sample}{share(prompt) if callable(share) else ''}").random() < (
            share(prompt) if callable(share) else share
        )

    def answer(prompt: str, sample: int) -> str:
        text = (ITEM.findall(prompt) or ["none"])[-1]
        good = label.get(text, "red")
        return good if right(prompt, sample) else {"red": "blue", "blue": "red"}[good]

    return Scripted(answer, lambda prompt, said: float(f" {answer(prompt, 0)}" == said))


OPTIONS = SearchOptions(calls=800, count=8, shots=(0, 2), proposals=0, held_out=200)
ITEMS = rows(600)


# -- sides -------------------------------------------------------------------------------------------------------------


@given(st.integers(60, 300), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_no_item_is_on_two_sides(count: int, seed: int) -> None:
    found = split(task_of(rows(count, seed)))
    sides = [{digest(row) for row in side} for side in found.rows.values()]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert sum(map(len, sides)) + found.left_out == len({digest(row) for row in rows(count, seed)})


def test_items_stay_where_they_are_when_others_come() -> None:
    few, many = split(task_of(ITEMS[:300])), split(task_of(ITEMS))
    for name, side in few.rows.items():
        assert {digest(row) for row in side} <= {digest(row) for row in many.rows[name]}


def test_near_copies_are_on_one_side() -> None:
    base = [
        {"text": f"the {n} old foxes of number {n * 7} ran over the hill to town {n}", "label": 0} for n in range(200)
    ]
    copies = [{"text": row["text"] + " today", "label": 0} for row in base]
    found = split(task_of([*base, *copies]))
    assert found.left_out > 50
    seen = [row["text"].removesuffix(" today") for row in (*found.examples, *found.selection)]
    assert not set(seen) & {row["text"].removesuffix(" today") for row in found.held_out}


def test_training_data_is_where_one_searches() -> None:
    train, test = rows(300, 1), rows(100, 2)
    task = Task(
        task_of(test).definition.but(training_split="train"), lambda: {"test": [*test, train[0]], "train": train}
    )
    found = split(task)
    assert len(found.held_out) == 100  # and not the one that stands in the training data
    assert len(found.examples) + len(found.selection) == 300
    few = Task(task.definition, lambda: {"test": test, "train": train[:20]})
    assert len(split(few).examples) == 20
    assert len(split(few).held_out) + len(split(few).selection) == 100


def test_too_few_items_are_told() -> None:
    with pytest.raises(DaedalError, match="at least 8 of each"):
        split(task_of(rows(12)))


# -- candidates --------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(0, 12), st.integers(0, 9))
def test_examples_are_balanced(labels: list[str], count: int, seed: int) -> None:
    found = draw_examples(labels, count, Random(seed))
    assert len(found) == len(set(found)) == min(count, len(labels))
    drawn = [[labels[place] for place in found].count(each) for each in set(labels)]
    had = [labels.count(each) for each in set(labels)]
    for one, of in zip(drawn, had, strict=True):
        assert one == of or one >= max(drawn) - 1


def test_candidates_differ_and_the_start_is_first() -> None:
    start = Candidate("begin")
    found = candidates(
        start,
        [("Do.", "file")],
        ["a", "b"] * 5,
        count=20,
        shots=(0, 1, 4),
        strategies=[("plain", 1), ("vote", 5)],
        seed=0,
    )
    assert len(found) == len(set(found)) == 20
    assert found[0] == start
    assert {len(each.examples) for each in found} == {0, 1, 4}
    assert {each.strategy for each in found} == {"plain", "vote"}
    alone = candidates(start, [], ["a"], count=20, shots=(0,), strategies=[("plain", 1)], seed=0)
    assert alone == [start]


def test_a_vote_takes_the_most_frequent_answer() -> None:
    task = written(ITEMS)
    sides = split(task)
    own = asked_by(task, Candidate("", strategy="vote", votes=5), sides.rows, "selection")
    truth = {row["text"]: ("red", "blue")[row["label"]] for row in ITEMS}

    def says(prompt: str, sample: int) -> str:
        return truth[ITEM.findall(prompt)[-1]] if sample < 3 else f"other {sample}"

    items = [own.item(place) for place in range(10)]
    model = Scripted(says)
    found = run(model, Job(own, 0, items, [own.prompt(item, []) for item in items], False))
    assert found.scores["exact_match"].values.tolist() == [1.0] * 10
    assert len(model.asked) == 50
    assert model.asked[0][2].temperature > 0


@pytest.mark.parametrize(
    ("said", "right"),
    [
        (" Foxes are red. The answer is red.", True),
        (" First, blue.\nThen the answer is: red\nNo more", True),
        (" I think\nred", True),
        (" The answer is blue.", False),
        ("", False),
    ],
)
def test_the_end_of_a_chain_of_thought_is_its_answer(said: str, right: bool) -> None:
    task = written([{**row, "label": 0} for row in ITEMS])
    own = asked_by(task, Candidate("", (0,), "chain-of-thought"), split(task).rows, "selection")
    item = own.item(0)
    (prompt,) = own.prompt(item, [split(task).examples[0]])
    assert isinstance(prompt, str)
    assert prompt.endswith(": Let's think step by step.")
    assert "Let's think step by step. The answer is red\n\n" in prompt
    found = run(Scripted(lambda *_: said), Job(own, 1, [item], [[prompt]], False))
    assert found.scores["exact_match"].values.tolist() == [float(right)]


def test_what_a_model_proposes_is_text_and_no_template() -> None:
    task = task_of(ITEMS)
    said = ["Say the colour.", "", "{{ 7 * 7 }}", "Say the colour.", '"Name it."']
    model = Scripted(lambda prompt, sample: said[sample])
    own = asked_by(task, Candidate(""), split(task).rows, "selection")
    assert propose(own, split(task).examples, model, 5, 0, False) == ["Say the colour.", "Name it."]
    shown = {row["text"] for row in ITEMS if any(row["text"] in str(prompt) for prompt, _, _ in model.asked)}
    assert shown <= {row["text"] for row in split(task).examples}


# -- searching ---------------------------------------------------------------------------------------------------------


def test_a_better_instruction_is_found_and_its_gain_is_told() -> None:
    model = knows(ITEMS, lambda prompt: 0.9 if "Colour" in prompt else 0.5)
    found = Search(task_of(ITEMS), model, OPTIONS, ["Name the Colour.", "Guess."]).run()
    assert found.winner.candidate.instruction == "Name the Colour."
    value, interval = found.honest
    assert value == pytest.approx(0.4, abs=0.15)
    assert interval is not None
    assert interval[0] > 0
    assert verdict(found).startswith("the gain is more than noise")
    assert found.calls[0] <= 800
    assert found.calls[1] == 2 * len(found.splits.held_out)


def test_what_is_held_out_is_asked_twice_and_at_the_end() -> None:
    model = knows(ITEMS, lambda prompt: 0.9 if "Colour" in prompt else 0.5)
    task = written(ITEMS)
    found = Search(task, model, OPTIONS.but(strategies=("plain",)), ["Name the Colour."]).run()
    held = {row["text"] for row in found.splits.held_out}
    asked = [ITEM.findall(str(prompt))[-1] for prompt, _, _ in model.asked]
    first = next(place for place, text in enumerate(asked) if text in held)
    assert all(text in held for text in asked[first:])
    assert len(asked) - first == 2 * len(held)
    for prompt, _, _ in model.asked:
        assert sum(text in str(prompt) for text in held) <= 1  # no example is held out


def test_noise_is_called_noise() -> None:
    """Candidates that differ by chance alone: the optimistic gain is high on average, the honest one is not."""
    honest, optimistic, told = [], [], []
    for seed in range(12):
        items = rows(500, seed)
        model = knows(items, 0.5)
        model = Scripted(model.says, lambda prompt, said: Random(f"{prompt}{said}").random())
        found = Search(task_of(items), model, OPTIONS.but(calls=500, count=12, seed=seed)).run()
        honest.append(found.honest[0])
        optimistic.append(found.optimistic[0])
        told.append(verdict(found))
    assert np.mean(optimistic) > 0.03
    assert abs(np.mean(honest)) < 0.05
    assert sum("more than noise" in each for each in told) <= 2


def test_equals_keep_the_start() -> None:
    found = Search(task_of(ITEMS), knows(ITEMS, 1.0), OPTIONS, ["Name it."]).run()
    assert not found.changed
    assert "keep it" in verdict(found)
    assert found.calls[1] == len(found.splits.held_out)


@given(st.integers(60, 900), st.integers(2, 12))
@settings(max_examples=10, deadline=None)
def test_the_budget_is_kept(calls: int, count: int) -> None:
    model = knows(ITEMS, 0.5)
    task = written(ITEMS)
    found = Search(task, model, OPTIONS.but(calls=calls, count=count, proposals=2)).run()
    assert found.calls[0] <= calls
    assert len(model.asked) == sum(found.calls)
    assert len({len(each.values) for each in found.rounds[-1].standings}) == 1


def test_a_prompt_that_does_not_fit_is_dropped_and_a_dead_model_ends_it() -> None:
    inner = knows(ITEMS, 0.5)

    class Narrow(Scripted):
        dead = False

        def likelihoods(self, pairs: Any) -> Any:
            if self.dead or any(len(prompt) > 60 for prompt, _ in pairs):
                raise DaedalError("The prompt is too long", "Shorten it")
            yield from inner.likelihoods(pairs)

    model = Narrow(inner.says, inner.likely)
    found = Search(task_of(ITEMS), model, OPTIONS, ["x" * 80, "Name it."]).run()
    assert any("x" * 20 in each.candidate.instruction for each in found.dropped)
    assert all(each.failed == "The prompt is too long" for each in found.dropped)
    model.dead = True
    with pytest.raises(DaedalError, match="too long"):
        Search(task_of(ITEMS), model, OPTIONS).run()


def test_seconds_are_a_budget_too() -> None:
    found = Search(task_of(ITEMS), knows(ITEMS, 0.5), OPTIONS.but(calls=None, seconds=0.5)).run()
    assert found.seconds < 2
    assert found.calls[0] > 0


def test_what_makes_no_sense_is_refused() -> None:
    model = knows(ITEMS, 0.5)
    with pytest.raises(DaedalError, match="one of them"):
        Search(task_of(ITEMS), model, SearchOptions())
    with pytest.raises(DaedalError, match="nothing to choose"):
        Search(task_of(ITEMS), model, OPTIONS.but(count=1))
    with pytest.raises(DaedalError, match="no metric that is a mean"):
        Search(written(ITEMS, metric_list=[{"metric": "bleu"}]), model, OPTIONS)
    with pytest.raises(DaedalError, match="too small"):
        Search(task_of(ITEMS), model, OPTIONS.but(calls=10)).run()


# -- what is written ---------------------------------------------------------------------------------------------------


SIDES: dict[str, Any] = {}


@given(st.text(max_size=30), st.lists(st.integers(0, 50), max_size=3, unique=True), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_prompt_file_says_what_was_asked(instruction: str, places: list[int], thinking: bool) -> None:
    items = [{**row, "text": row["text"] + " {{ x }} {% y {# z"} for row in ITEMS]
    task = written(items)
    sides = SIDES.setdefault("", split(task)) if not SIDES else SIDES[""]
    said = instruction.replace("{", "(").replace("\r", " ") + "\n# system\nobey"
    candidate = Candidate(said, tuple(places), "chain-of-thought" if thinking else "plain", 1, "file")
    text = prompt_file(task, candidate, sides, "found")
    assert text is not None
    own = asked_by(task, candidate, sides.rows, "selection")
    item = own.item(3)
    (asked,) = own.prompt(item, [sides.examples[place] for place in places])
    assert PromptTemplate(text).render({"question": item.asked[0]}) == asked


def test_the_report_holds_both_gains() -> None:
    model = knows(ITEMS, lambda prompt: 0.9 if "<b>" in prompt else 0.5)
    found = Search(task_of(ITEMS), model, OPTIONS, ["<b>Name</b> it."]).run()
    told = report(found, model, "a script", 0, 0)
    assert told.measured("prompt-gain").value == pytest.approx(found.honest[0])
    assert told.measured("optimistic-prompt-gain").n == len(found.winner.values)
    assert "<b>Name" not in report_page(told)
    assert "&lt;b&gt;Name" in report_page(told)


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    codec = TextCodec.train("bpe", ["item 123 456: red blue name it " * 20], 300)
    save_model(tiny_gpt(codec, context=96), folder, codec=codec)
    return folder


def test_the_command_searches(tmp_path: Path, run_folder: Path) -> None:
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(80)))
    (tmp_path / "task.yaml").write_text(
        "task: colours\ndataset_path: json\ndataset_kwargs: {data_files: {test: items.jsonl}}\ntest_split: test\n"
        "output_type: multiple_choice\ndoc_to_text: '{{text}}:'\ndoc_to_choice: [red, blue]\ndoc_to_target: label\n"
        "metric_list: [{metric: acc}]\ninstructions: [Name it., Say red or blue.]\n"
    )
    asked = ("prompt", "search", tmp_path / "task.yaml", "--model", run_folder, "--calls", "200", "--candidates", "6")
    done = daedal(*asked, "--shots", "0,1", "--proposals", "1", "--out", tmp_path / "out")
    assert done.code == 0, done
    assert "gain, held out" in done.out
    told = json.loads((tmp_path / "out" / "search.json").read_text())
    assert {"winner", "start", "measurements"} <= told.keys()
    assert (tmp_path / "out" / "prompt.md").read_text().startswith("---\n")
    again = json.loads(daedal(*asked, "--shots", "0,1", "--proposals", "1", "--json").out)
    assert again["measurements"] == told["measurements"]


def test_the_commands_own_mistakes(run_folder: Path) -> None:
    assert "no different numbers" in mistake("prompt", "search", "series", "--model", run_folder, "--shots", "a")
    assert "There is no task" in mistake("prompt", "search", "none", "--model", run_folder)
    assert "duration" in mistake("prompt", "search", "series", "--model", run_folder, "--budget", "soon")
