"""Tasks: what is read from files, what is asked, how it is scored, and what is said of mistakes."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.tasks import library
from daedal.evaluation.tasks.builtin import BUILTIN
from daedal.evaluation.tasks.definition import Filters, FilterStep, MetricOptions
from daedal.evaluation.tasks.filters import pipeline
from daedal.evaluation.tasks.metrics import checked, find, table
from daedal.evaluation.tasks.outcomes import Chosen, Predicted, Written
from daedal.evaluation.tasks.run import TaskOptions, prepare
from daedal.models.checkpoint import save_model
from daedal.prompting.local import LocalModel
from tiny_models import tiny_gpt

TASK = """\
task: colours
dataset_path: json
dataset_kwargs:
  data_files:
    train: train.jsonl
    test: test.jsonl
output_type: multiple_choice
training_split: train
test_split: test
doc_to_text: "Q: {{question}}\\nA:"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
"""
ITEM = {"question": "What is green?", "choices": ["grass", "snow"], "answer": 0}


def task_file(folder: Path, text: str = TASK, test: Any = (ITEM, ITEM), train: Any = (ITEM,) * 4) -> Path:
    for name, rows in (("train", train), ("test", test)):
        rows = [
            {**row, "question": row["question"] + " " * at} if "question" in row else row for at, row in enumerate(rows)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = folder / "colours.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    codec = TextCodec.train("bpe", ["The fox jumps over the lazy dog. Q: A:"] * 4, 300)
    codec.save(path)
    save_model(tiny_gpt(codec, context=256), path, codec=codec)
    return path


MISTAKES = [
    (
        TASK.replace("output_type", "ouput_type"),
        {},
        r"line 7, column 1: task colours has no field ouput_type. Did you mean",
    ),
    (
        TASK.replace("metric: acc", "metric: accuracy"),
        {},
        r"line 14, column 13: multiple_choice has no metric accuracy",
    ),
    (
        TASK.replace("acc\n", "acc\n    ignore_case: true\n"),
        {},
        r"line 14, column \d+: The metric acc has no option ignore_case",
    ),
    (
        TASK.replace("{{question}}", "{{qestion}}"),
        {},
        r"line 10, column 20: doc_to_text uses qestion, which is no column",
    ),
    (TASK.replace("{{choices}}", "{{choices"), {}, r"line 11, column 16: doc_to_choice is no template"),
    (TASK.replace("answer\n", '"{{answer + 2}}"\n'), {}, r"the label 2 is none of its 2 choices"),
    (
        TASK,
        {"test": [{**ITEM, "answer": 7}]},
        r"item 1 of test: the label 7 is none of its 2 choices \('grass', 'snow'\)",
    ),
    (TASK, {"test": [ITEM, {**ITEM, "choices": ["a", ""]}]}, r"item 2 of test: choice 2 of 2 is empty"),
    (TASK, {"test": [{"text": "a"}]}, r"which is no column"),
    (TASK + "num_fewshot: 9\n", {}, r"colours has 4 examples, and 9 shots are more"),
    (
        TASK + "process_docs: !function utils.f\n",
        {},
        r"line 15, column 15: !function is not read here. Task files run no Python",
    ),
    (TASK + "include: colours.yaml\n", {}, r"colours.yaml includes itself"),
    (TASK + "  - a: [\n", {}, r"line \d+, column \d+: this is not YAML"),
    (TASK.replace("test.jsonl", "best.jsonl"), {}, r"line 4, column 3: There is no file best.jsonl"),
    (TASK.replace("test_split: test", "test_split: best"), {}, r"has no items in its split best"),
    (TASK + "fewshot_config: {sampler: last_n}\n", {}, r"line 15, column 27: fewshot_config.sampler: Input should be"),
    (TASK + "filter_list: [{name: a, filter: [{function: shout}]}]\n", {}, r"There is no filter shout"),
    ("just text\n", {}, r"is no task: its YAML is no mapping"),
]


@pytest.mark.parametrize(("text", "data", "said"), MISTAKES)
def test_a_mistake_in_a_task_is_one_line_with_its_place(
    tmp_path: Path, model: Path, text: str, data: dict[str, Any], said: str
) -> None:
    file = task_file(tmp_path, text, **data)
    with pytest.raises(DaedalError) as error:
        prepare(library.find(file), TaskOptions())
    assert re.search(said, str(error.value)), str(error.value)
    assert re.search(said, mistake("evaluate", model, "--task", file))


def test_a_report_has_every_number_with_its_interval_and_baselines(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "report"
    ended = daedal("evaluate", model, "--task", f"agreement,{task_file(tmp_path)}", "--shots", "0,2", "--limit", "20",
                   "--out", out, "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert json.loads((out / "tasks.json").read_text()) == report
    assert (out / "tasks.html").stat().st_size > 1000
    names = [each["name"] for each in report["measurements"]]
    assert names == [f"{name} acc, {shots} shots" for name in ("agreement", "colours") for shots in (0, 2)]
    assert all(each["interval"] for each in report["measurements"])
    assert len({each["definition"] for each in report["measurements"]}) == 4
    assert {each["name"] for each in report["baselines"]} >= {"chance"}
    assert "agreement, 2 shots: acc" in ended.err
    again = daedal("evaluate", model, "--task", "agreement", "--limit", "20")
    assert again.code == 0
    assert "agreement acc" in again.out
    assert (model / "tasks.json").exists()


def test_what_is_not_for_tasks_is_refused(model: Path) -> None:
    assert "--shots is for tasks" in mistake("evaluate", model, "--shots", "1")
    assert "--data is not for tasks" in mistake("evaluate", model, "--task", "sums", "--data", "x")
    assert "Did you mean sums?" in mistake("evaluate", model, "--task", "sum")
    assert "no different numbers" in mistake("evaluate", model, "--task", "sums", "--shots", "1,1")
    assert "There is no task file" in mistake("evaluate", model, "--task", "none.yaml")


def test_tasks_are_listed_and_shown() -> None:
    listed = daedal("tasks", "list")
    assert listed.code == 0
    assert all(name in listed.out for name in BUILTIN)
    shown = daedal("tasks", "show", "series", "--shots", "1")
    assert shown.code == 0
    assert shown.out.count("→") == 1
    assert "no task" in mistake("tasks", "show", "nothing")


def test_built_in_tasks_make_sense_and_are_the_same_every_time() -> None:
    for name, make in BUILTIN.items():
        (one,), (other,) = prepare([make()], TaskOptions()), prepare([make()], TaskOptions())
        assert one.prompts == other.prompts, name
        assert len({str(item.row) for item in one.items}) == len(one)
        if one.task.definition.fewshot_config.sampler != "own":
            assert not {str(row) for row in one.task.pool} & {str(item.row) for item in one.items}


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.jsonl", json.dumps(ITEM), "multiple_choice"),
        ("a.jsonl", json.dumps({**ITEM, "answer": "B"}), "multiple_choice"),
        ("a.json", json.dumps([{**ITEM, "answer": "snow"}]), "multiple_choice"),
        ("a.csv", "question,answer\nWhat is 1+1?,2\n", "generate_until"),
        ("a.jsonl", '{"prompt": "Say a", "answer": "a"}', "generate_until"),
        ("a.jsonl", '{"sentence_good": "It is.", "sentence_bad": "It are."}', "multiple_choice"),
        ("a.txt", "A line.\nAnother.\n", "loglikelihood_rolling"),
    ],
)
def test_rows_are_tasks_where_their_columns_say_so(tmp_path: Path, name: str, text: str, kind: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (job,) = prepare(library.find(tmp_path / name), TaskOptions())
    assert job.task.definition.output_type == kind
    if name != "a.txt" and kind == "multiple_choice" and "snow" in text:
        assert job.items[0].gold == ((0,) if '"answer": 0' in text else (1,))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"a": 1}', "which say not what is asked"),
        ("a.jsonl", '{"a": 1}\n{"a"', "line 2, column"),
        ("a.jsonl", "", "has no items"),
        ("a.csv", "question,answer\n1\n", "1 values under 2 columns"),
        ("a.jsonl", '{"question": "a", "choices": ["b", "c"], "answer": "Z"}', "is none of its 2 choices"),
    ],
)
def test_rows_that_say_nothing_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DaedalError, match=said):
        prepare(library.find(tmp_path / name), TaskOptions())


def test_an_item_is_never_its_own_example(tmp_path: Path) -> None:
    text = TASK.replace("training_split: train\n", "") + "fewshot_split: test\n"
    rows = [{**ITEM, "question": f"What is {n}?"} for n in range(6)]
    (job,) = prepare(library.find(task_file(tmp_path, text, test=rows)), TaskOptions(shots=(5,)))
    for item, (prompt,) in zip(job.items, job.prompts, strict=True):
        assert isinstance(prompt, str)
        assert prompt.count(f"Q: {item.row['question']}\n") == 1


def test_examples_are_the_same_for_the_same_seed_and_others_for_another(tmp_path: Path) -> None:
    train = [{**ITEM, "question": f"What is {n}?"} for n in range(30)]
    file = task_file(tmp_path, train=train)
    one, same, other = (
        prepare(library.find(file), TaskOptions(shots=(3,), seed=seed))[0].prompts for seed in (1, 1, 2)
    )
    assert one == same != other


def test_conversations_have_their_turns(tmp_path: Path) -> None:
    text = TASK + 'description: "Answer."\n'
    (job,) = prepare(library.find(task_file(tmp_path, text)), TaskOptions(shots=(1,), chat=True))
    turns = job.prompts[0][0]
    assert not isinstance(turns, str)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[2]["content"] == "grass"


def test_f1_and_correlation_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    macro, mcc, second = (find(name, "multiple_choice") for name in ("macro_f1", "mcc", "f1"))
    for seed, classes in ((0, 2), (1, 3), (2, 2)):
        right, said = np.random.default_rng(seed).integers(0, classes, (2, 40))
        choices = ("a", "b", "c")[:classes]
        found = [
            Chosen(choices, np.eye(classes)[j], (False,) * classes, (int(i),)) for i, j in zip(right, said, strict=True)
        ]
        assert macro.value(macro.score(found)) == pytest.approx(f1_score(right, said, average="macro"))
        assert mcc.value(mcc.score(found)) == pytest.approx(matthews_corrcoef(right, said))
        if classes == 2:
            assert second.value(second.score(found)) == pytest.approx(f1_score(right, said))


def written(answer: str, *targets: str) -> Written:
    return Written([answer], targets, {})


@pytest.mark.parametrize(
    ("metric", "options", "answer", "targets", "value"),
    [
        ("exact_match", {}, "Yes", ("yes",), 0.0),
        ("exact_match", {"ignore_case": True}, "Yes", ("no", "yes"), 1.0),
        ("exact_match", {"ignore_punctuation": True, "ignore_numbers": True}, "a.1", ("a",), 1.0),
        ("exact_match", {"regexes_to_ignore": [r"\$", ","]}, "$1,000", ("1000",), 1.0),
        ("f1", {}, "the big cat", ("a cat",), 2 / 3),
        ("regex", {"pattern": r"^\d+$"}, "42", (), 1.0),
        ("json_schema", {"schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', (), 1.0),
        ("json_schema", {"schema": {"type": "object", "required": ["a"]}}, "no", (), 0.0),
        ("numeric", {}, "So it is 1,234.50.", ("1234.5",), 1.0),
        ("numeric", {"tolerance": 0.1}, "about 95", ("100",), 1.0),
        ("rouge1", {}, "a big cat", ("a cat",), 0.8),
    ],
)  # fmt: skip
def test_answers_are_scored(
    metric: str, options: dict[str, Any], answer: str, targets: tuple[str, ...], value: float
) -> None:
    found = checked(MetricOptions(metric=metric, **options), "generate_until")
    assert found.value(found.score([written(answer, *targets)], **options)) == pytest.approx(value)


def test_answers_are_filtered_as_lm_eval_filters_them() -> None:
    def apply(answers: list[str], *steps: dict[str, Any], **row: Any) -> list[Any]:
        return pipeline(Filters(name="a", filter=tuple(FilterStep(**step) for step in steps)))(answers, row)

    first = {"function": "take_first"}
    assert apply(["a #### 1,2", "b"], {"function": "regex"}, first) == ["1,2"]
    assert apply(["none"], {"function": "regex"}, first) == ["[invalid]"]
    assert apply(["1 2 33"], {"function": "regex", "regex_pattern": r"(\d)(x)?", "group_select": -1}) == ["3"]
    assert apply(["a", "b", "b"], {"function": "majority_vote"}, first) == ["b"]
    assert apply([" A "], {"function": "remove_whitespace"}, {"function": "lowercase"}) == ["a"]
    assert apply(["A"], {"function": "map", "mapping_dict": {"A": "0"}}) == ["0"]
    assert apply(["It is snow"], {"function": "multi_choice_regex"}, choices=["grass", "snow"]) == ["(B)"]


def test_a_pattern_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.evaluation.tasks.filters.SECONDS", 0.1)
    step = FilterStep(function="regex", regex_pattern=r"(x+x+)+y")
    apply = pipeline(Filters(name="a", filter=(step,)))
    with pytest.raises(DaedalError, match="takes too long"):
        apply(["x" * 5000], {})


def test_perplexities_are_counted_by_words_and_bytes() -> None:
    found = [Predicted(-10.0, False, "two words"), Predicted(-20.0, False, "drei Wörter sind")]
    for name, value in (("word_perplexity", 6.0), ("byte_perplexity", 30 / 26), ("bits_per_byte", 30 / 26 / np.log(2))):
        metric = find(name, "loglikelihood_rolling")
        expected = value if name == "bits_per_byte" else np.exp(value)
        assert metric.value(metric.score(found)) == pytest.approx(expected)


def test_every_metric_says_what_it_is_and_has_an_interval() -> None:
    chosen = [
        Chosen(
            ("ab", "c"), np.array([-1.0, -2.0 + n]), (True, False), (n % 2,), np.array([-1.0, -1.0]), np.zeros((3, 2))
        )
        for n in range(4)
    ]
    answers = [written("a cat 1", "a cat 1"), written("no 2", "a dog 1"), written("the cat 3", "a cat 3")]
    likely = [Predicted(-float(n + 1), bool(n % 2), "some text " * (n + 1)) for n in range(4)]
    options = {"regex": {"pattern": "cat"}, "json_schema": {"schema": {}}}
    for metric in table():
        kind = metric.of[0]
        found: Any = chosen if kind == "multiple_choice" else answers if kind == "generate_until" else likely
        number = metric.number(
            metric.score(found, **options.get(metric.name, {}) if kind == "generate_until" else {}), 0
        )
        assert metric.says
        assert number.interval is not None, metric.name
        assert number.interval[0] - 1e-9 <= number.value <= number.interval[1] + 1e-9, metric.name


def test_balanced_examples_take_turns_of_classes_and_are_no_near_copies(tmp_path: Path) -> None:
    text = TASK + "fewshot_config: {sampler: balanced}\n"
    train = [{**ITEM, "question": f"What is thing number {n} of these?", "answer": int(n % 10 == 0)} for n in range(40)]
    near = {**ITEM, "question": "What is thing number 7 of these ? ?"}
    (job,) = prepare(library.find(task_file(tmp_path, text, test=[near, ITEM], train=train)), TaskOptions(shots=(6,)))
    for prompts in job.prompts:
        assert str(prompts[0]).count("A: grass") == str(prompts[0]).count("A: snow") == 3
    assert "number 7 of" not in str(job.prompts[0][0]).removesuffix(f"Q: {near['question']}\nA:")


def test_a_baseline_that_cannot_tell_choices_apart_is_right_by_chance() -> None:
    from daedal.evaluation.tasks.simple import _expected

    assert _expected([0.0, 0.0], (0,)) == 0.5
    assert _expected([1.0, 2.0], (0,)) == 0.0
    assert _expected([2.0, 2.0, 1.0], (1, 2)) == 0.5


def test_differences_are_tested_item_by_item() -> None:
    from scipy.stats import binomtest, ttest_1samp

    from daedal.evaluation.tasks.paired import difference, holm, mcnemar, verdict

    draw = np.random.default_rng(0)
    hard = draw.random(400)
    one, other = ((draw.random(400) * 0.5 + hard * 0.5 < rate).astype(float) for rate in (0.6, 0.45))
    found = difference("a", one, other)
    better, worse = int((one > other).sum()), int((one < other).sum())
    assert found.p == pytest.approx(binomtest(better, better + worse).pvalue)
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]
    assert verdict(found, found.p) == "better"
    assert verdict(difference("a", one, one), 1.0) == "within noise"
    values = draw.normal(size=50)
    assert difference("b", values, np.zeros(50)).p == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert mcnemar(0, 0) == 1.0


def test_what_is_detectable_is_found_in_four_of_five_trials() -> None:
    from scipy.stats import ttest_1samp

    from daedal.evaluation.tasks.paired import detectable

    draw = np.random.default_rng(1)
    size = detectable(draw.normal(size=2000))
    found = ttest_1samp(draw.normal(size=(2000, 400)) + size, 0).pvalue < 0.05
    assert 0.75 < found.mean() < 0.85


def test_items_that_stand_in_the_training_data_are_counted(model: Path) -> None:
    from daedal.evaluation.blocks import Note, Table
    from daedal.evaluation.tasks.evaluate import evaluate_tasks

    (task,) = library.find("agreement")
    known = [str(row["sentence_good"]) + " " + str(row["sentence_bad"]) for row in task.rows[:5]]
    report = evaluate_tasks(LocalModel(model), [task], TaskOptions(limit=20), train=lambda: [*known, "something else"])
    assert any(isinstance(each, Note) and each.brief.startswith("5 of 20 items stand in") for each in report.blocks)
    (table_of,) = (each for each in report.blocks if isinstance(each, Table) and each.title.startswith("Without items"))
    assert table_of.rows[0][1] == 5


def test_two_models_are_set_beside_one_another(model: Path) -> None:
    ended = daedal("evaluate", model, "--task", "agreement", "--limit", "20", "--against", model)
    assert ended.code == 0, ended.err
    assert "within noise" in ended.out
    assert "1 of 1 differences" in ended.out


def test_a_run_that_was_stopped_goes_on(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = LocalModel.likelihoods

    def stopped(self: LocalModel, pairs: Any) -> Any:
        asked.append(len(pairs))
        for number, found in enumerate(whole(self, pairs)):
            if len(asked) == 1 and number == 10:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(LocalModel, "likelihoods", stopped)
    out = tmp_path / "report"
    assert daedal("evaluate", model, "--task", "agreement", "--limit", "20", "--out", out).code == 130
    assert daedal("evaluate", model, "--task", "agreement", "--limit", "20", "--out", out).code == 0
    assert asked == [40, 30]
    assert sorted(each.name for each in out.iterdir()) == ["tasks.html", "tasks.json"]


def test_how_much_the_examples_matter_is_told_apart_from_noise() -> None:
    from daedal.evaluation.tasks.sensitivity import sensitivity

    draw = np.random.default_rng(0)
    noise = [(draw.random(1000) < 0.5).astype(float) for _ in range(30)]
    shifted = [(draw.random(1000) < rate).astype(float) for rate in draw.normal(0.5, 0.1, 30)]
    one, other = sensitivity(noise), sensitivity(shifted)
    assert one.beyond < 0.01
    assert other.beyond == pytest.approx(0.1, abs=0.04)
    assert other.interval[0] < other.deviation < other.interval[1]
    assert sensitivity([noise[0], noise[0]]).deviation == 0.0


def test_draws_and_orders_are_rows_of_the_report(model: Path) -> None:
    ended = daedal(
        "evaluate",
        model,
        "--task",
        "series",
        "--shots",
        "0,2",
        "--limit",
        "6",
        "--draws",
        "3",
        "--orders",
        "2",
        "--json",
    )
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    (rows,) = (each["rows"] for each in report["blocks"] if each.get("title") == "How much the examples matter")
    assert [(row[1], row[2]) for row in rows] == [("which examples", 3)] * 2 + [("their order", 2)] * 2
    assert len(report["measurements"]) == 4
