"""Tasks give the numbers that lm-evaluation-harness gives, from the same files of YAML and data."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daedal.codecs.text import TextCodec
from daedal.evaluation.tasks import library
from daedal.evaluation.tasks.items import ItemResults
from daedal.evaluation.tasks.run import Job, TaskOptions, prepare, run
from daedal.inference.generator import Generator
from daedal.prompting.local import LocalModel
from tiny_models import tiny_gpt

pytest.importorskip("lm_eval")
pytest.importorskip("datasets")

YAML = Path(__file__).parents[1] / "benchmarks" / "tasks"
WORDS = ("fox", "dog", "sun", "rain", "stone", "river", "bread", "salt", "wind", "tree", "light", "iron", "wool")

BLIMP = """
task: blimp_{name}
tag: blimp
dataset_path: json
dataset_kwargs: {{data_files: {{train: blimp/{name}.jsonl}}}}
output_type: multiple_choice
validation_split: train
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
num_fewshot: 0
should_decontaminate: true
doc_to_decontamination_query: "{{{{sentence_good}}}} {{{{sentence_bad}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
LAST = """
dataset_path: json
dataset_kwargs: {data_files: {test: last.jsonl}}
test_split: test
fewshot_split: test
"""
LAST_WORD = """
output_type: loglikelihood
doc_to_text: "{{sentence}}"
doc_to_target: "{{' ' + last}}"
metric_list: [{metric: perplexity}, {metric: acc}]
"""
WHICH = """
output_type: multiple_choice
doc_to_text: 1
doc_to_target: last
doc_to_choice: "{{[sentence, other]}}"
metric_list: [{metric: acc}]
"""
REWRITE = """
output_type: generate_until
doc_to_text: "{{sentence}}"
doc_to_target: "{{sentence}}"
description: "Say it again.\\n"
gen_prefix: So
fewshot_config: {sampler: first_n}
fewshot_delimiter: "\\n"
generation_kwargs: {until: ["."], max_gen_toks: 12, do_sample: false}
metric_list:
  - {metric: exact_match, ignore_case: true, ignore_punctuation: true}
  - metric: bleu
  - metric: chrf
  - metric: chrf++
  - metric: ter
filter_list:
  - name: low
    filter: [{function: lowercase}, {function: remove_whitespace}, {function: take_first}]
  - name: as-is
    filter: [{function: take_first}]
"""


def _lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _word(draw: np.random.Generator, count: int = 1) -> str:
    return " ".join(str(word) for word in draw.choice(WORDS, count))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files in the layouts of the benchmarks' authors, and the task files beside them."""
    folder, draw = tmp_path_factory.mktemp("tasks"), np.random.default_rng(0)
    for file in YAML.glob("*.yaml"):
        (folder / file.name).write_text(file.read_text())

    def arc(count: int) -> list[Any]:
        found = []
        for number in range(count):
            labels = "ABCD" if number % 3 else "1234"
            choices = [{"text": _word(draw, 1 + int(draw.integers(3))), "label": each} for each in labels]
            question = {"stem": f"What is {_word(draw, 3)}?", "choices": choices}
            found.append({"id": str(number), "question": question, "answerKey": labels[int(draw.integers(4))]})
        return found

    _lines(folder / "arc/ARC-Easy-Dev.jsonl", arc(9))
    _lines(folder / "arc/ARC-Easy-Test.jsonl", arc(20))
    for name, labels in (
        ("BoolQ", ("true", "false")), ("RTE", ("entailment", "not_entailment")),
        ("CB", ("entailment", "contradiction", "neutral")),
    ):  # fmt: skip
        rows = [
            {
                "passage": f"The {_word(draw, 9)}. ", "question": f"is {_word(draw, 3)} ", "premise": _word(draw, 8),
                "hypothesis": _word(draw, 4), "label": labels[int(draw.integers(len(labels)))], "idx": number,
            }
            for number in range(16)
        ]  # fmt: skip
        _lines(folder / f"superglue/{name}/val.jsonl", rows)
    truth = [
        {
            "id": number,
            "en": {
                "question": f"Is {_word(draw, 3)}?", "best_answer": f"Yes, {_word(draw)} is",
                "correct_answers": [f"{_word(draw, 2)} is true {each}" for each in range(1 + number % 3)],
                "incorrect_answers": [f"{_word(draw, 2)} is false {each}" for each in range(2 + number % 2)],
            },
        }
        for number in range(10)
    ]  # fmt: skip
    (folder / "truthfulqa").mkdir()
    import gzip

    (folder / "truthfulqa/truthfulqa-multi.json.gz").write_bytes(gzip.compress(json.dumps(truth).encode()))
    for split, count in (("train", 8), ("test", 5)):
        _lines(
            folder / f"gsm8k/{split}.jsonl",
            [
                {"question": f"How many {_word(draw, 3)}?", "answer": f"So {n} + 1.\n#### {n + 1:,}"}
                for n in range(count)
            ],
        )
    text = [f" = {_word(draw, 3)} = ", "", *(f" {_word(draw, 60)} . " for _ in range(4))]
    (folder / "wikitext.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    for name in ("one", "two"):
        pairs = [
            {"sentence_good": f"A {_word(draw, 4)} is.", "sentence_bad": f"A {_word(draw, 4)} are."} for _ in range(12)
        ]
        _lines(folder / f"blimp/{name}.jsonl", pairs)
        (folder / f"blimp_{name}.yaml").write_text(BLIMP.format(name=name), encoding="utf-8")
    rows = [{"sentence": f"{_word(draw, 4)} is", "last": _word(draw), "other": f"{_word(draw, 2)}"} for _ in range(10)]
    _lines(folder / "last.jsonl", rows)
    for name, text in (("last_word", LAST_WORD), ("which", WHICH), ("rewrite", REWRITE)):
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{LAST}{text}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model() -> Generator:
    codec = TextCodec.train(
        "bpe", [" ".join(WORDS), "Question: is it true? Answer: yes no True False Neither"] * 4, 340
    )
    return Generator(tiny_gpt(codec, context=512).double(), codec, "tiny")


@pytest.fixture
def here(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both take data files from where they run."""
    monkeypatch.chdir(data)
    return data


def _theirs(model: Generator, folder: Path, task: str, shots: int) -> dict[str, float]:
    """What lm-eval says."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    from daedal.interop.lm_eval import DaedalLM

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(
        model=DaedalLM(model),
        tasks=[task],
        num_fewshot=shots,
        task_manager=manager,
        bootstrap_iters=0,
        verbosity="ERROR",
    )
    return {
        name: value
        for name, value in found["results"][task].items()
        if isinstance(value, float | int) and "stderr" not in name
    }


def _ours(model: Generator, file: Path, shots: int) -> tuple[Job, ItemResults]:
    (task,) = library.find(file)
    (job,) = prepare([task], TaskOptions(shots=(shots,)))
    return job, run(LocalModel(model), job)


@pytest.mark.parametrize(
    ("file", "shots"),
    [
        ("arc_easy", 0), ("arc_easy", 3), ("boolq", 0), ("boolq", 2), ("rte", 0), ("rte", 1), ("cb", 0), ("cb", 2),
        ("truthfulqa_mc1", 0), ("gsm8k", 2), ("wikitext", 0), ("blimp_one", 0), ("last_word", 0), ("last_word", 2),
        ("which", 0), ("which", 2), ("rewrite", 0), ("rewrite", 2),
    ],
)  # fmt: skip
def test_numbers_are_those_of_lm_eval(model: Generator, here: Path, file: str, shots: int) -> None:
    job, ours = _ours(model, here / f"{file}.yaml", shots)
    theirs = _theirs(model, here, job.task.name, shots)
    compared = 0
    for scored in ours.scores.values():
        name = f"{scored.metric.name},{scored.filter or job.task.filters[0][0].name}"
        if name in theirs:
            assert scored.number().value == pytest.approx(theirs[name], abs=1e-6, rel=1e-6), name
            compared += 1
    assert compared == len(ours.scores) or compared >= len(theirs)


def test_prompts_are_those_of_lm_eval(model: Generator, here: Path) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(here), include_defaults=False)
    for file, shots in (("gsm8k", 3), ("arc_easy", 2), ("rewrite", 2), ("boolq", 4)):
        (ours,) = prepare(library.find(here / f"{file}.yaml"), TaskOptions(shots=(shots,)))
        theirs = manager.load([ours.task.name])["tasks"][ours.task.name]
        theirs.set_config(key="num_fewshot", value=shots)
        theirs.set_fewshot_seed(seed=1234)
        theirs.build_all_requests()
        asked = list(dict.fromkeys((each.doc_id, each.args[0]) for each in theirs.instances))
        assert [prompt for prompts in ours.prompts for prompt in prompts] == [text for _, text in asked]


def test_the_mass_of_true_answers_is_that_of_truthfulqa(model: Generator, here: Path) -> None:
    from lm_eval.tasks.truthfulqa.utils import process_results_mc2

    job, ours = _ours(model, here / "truthfulqa_mc2.yaml", 0)
    found = dict(
        LocalModel(model).likelihoods(
            [(prompts[0], f" {c}") for item, prompts in zip(job.items, job.prompts, strict=True) for c in item.choices]
        )
    )
    place = 0
    for item, value in zip(job.items, ours.values("true_mass"), strict=True):
        labels = [int(number in item.gold) for number in range(len(item.choices))]
        own = [(found[place + number].nats, False) for number in range(len(labels))]
        place += len(labels)
        theirs = process_results_mc2({"mc2_targets": {"labels": labels}}, own)["acc"]
        assert math.isclose(float(value), float(theirs), abs_tol=1e-9)


def test_a_tag_names_several_tasks(here: Path) -> None:
    (here / "group.yaml").write_text("group: pairs\ntask: [blimp_one, blimp_two]\n")
    assert [(task.name, task.group) for task in library.find(here / "group.yaml")] == [
        ("blimp_one", "pairs"), ("blimp_two", "pairs"),
    ]  # fmt: skip
