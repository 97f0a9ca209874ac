"""What should not matter to a score: order, choice and places of examples; prejudice; and how two models are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.tasks import library
from daedal.evaluation.tasks.calibration import calibrated
from daedal.evaluation.tasks.paired import detectable, difference, holm, mcnemar
from daedal.evaluation.tasks.rotation import moved, rotated
from daedal.evaluation.tasks.run import TaskOptions, prepare
from daedal.evaluation.tasks.sensitivity import preferred_places, sensitivity
from daedal.models.checkpoint import save_model
from tiny_models import tiny_gpt

LETTERS = """\
task: letters
dataset_path: json
dataset_kwargs: {data_files: rows.jsonl}
test_split: train
output_type: multiple_choice
doc_to_text: "{{question}} A {{choices[0]}} B {{choices[1]}} C {{choices[2]}} ="
doc_to_choice: [A, B, C]
doc_to_target: answer
fewshot_config: {sampler: balanced}
metric_list: [{metric: acc}, {metric: acc_calibrated}, {metric: acc_mutual_info}]
"""


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    rows = [
        {"question": f"thing{n} {n * n}?", "choices": [f"one{n}", f"two{n}", f"three{n}"], "answer": "ABC"[n % 3]}
        for n in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    file = tmp_path / "letters.yaml"
    file.write_text(LETTERS, encoding="utf-8")
    return file


# -- orders and draws --------------------------------------------------------------------------------------------------


def test_arrangements_that_do_not_matter_are_not_told_apart() -> None:
    false, seen = 0, 0
    for time in range(300):
        draw = np.random.default_rng(time)
        items = draw.uniform(0.2, 0.8, 100)
        false += sensitivity(list((draw.random((6, 100)) < items).astype(float))).p < 0.05
        apart = items + draw.normal(0, 0.2, (6, 1))
        seen += sensitivity(list((draw.random((6, 100)) < apart).astype(float))).p < 0.05
    assert false / 300 < 0.09
    assert seen / 300 > 0.9


def test_orders_show_the_same_examples_and_draws_others(letters: Path) -> None:
    jobs = prepare(library.find(letters), TaskOptions(shots=(4,), seed=3, draws=3, orders=3))

    def shown(each: object) -> list[str]:
        return sorted(str(each).split("\n\n")[:-1])

    own, rest = jobs[0], jobs[1:]
    assert [each.variant for each in rest] == ["draw", "draw", "order", "order"]
    for other in rest:
        assert other.prompts != own.prompts
        if other.variant == "order":
            assert [shown(p[0]) for p in other.prompts] == [shown(p[0]) for p in own.prompts]


# -- places of choices -------------------------------------------------------------------------------------------------


def test_a_choice_is_right_wherever_it_stands(letters: Path) -> None:
    (task,) = library.find(letters)
    item = task.item(1)  # B, two1
    for by, (letter, first) in enumerate([("B", "one1"), ("A", "two1"), ("C", "three1")]):
        other = rotated(task, item, by)
        assert other is not None
        assert [other.choices[gold] for gold in other.gold] == [letter]
        assert f"A {first} B" in other.asked[0]


def test_choices_that_are_not_shown_are_not_rotated(letters: Path) -> None:
    assert [job.variant for job in prepare(library.find(letters), TaskOptions(rotate=True))] == ["", "place", "place"]
    text = letters.read_text(encoding="utf-8")
    letters.write_text(text.replace(text.split("\n")[5], 'doc_to_text: "{{question}}"'), encoding="utf-8")
    assert [job.variant for job in prepare(library.find(letters), TaskOptions(rotate=True))] == [""]


@given(st.lists(st.text(min_size=2), min_size=2, max_size=5), st.integers(0, 4))
def test_rotating_on_brings_back(texts: list[str], by: int) -> None:
    row = {"c": {"text": texts, "label": list("ABCDE")[: len(texts)]}, "q": "?"}
    once = moved(row, len(texts), by % len(texts))
    assert once is not None
    assert moved(once, len(texts), len(texts) - by % len(texts)) == row


def test_a_model_that_always_says_the_first_is_seen_and_one_that_knows_is_steady() -> None:
    right = np.array([[0, 1, 2], [2, 0, 1], [1, 2, 0]])  # moved to the front by 0, 1, 2
    first = preferred_places(np.zeros((3, 3), dtype=int), 3)
    assert first.chosen.tolist() == [1, 0, 0]
    assert first.steady == 0
    knows = preferred_places(right, 3)
    assert knows.steady == 1
    assert np.allclose(knows.chosen, 1 / 3)


# -- calibration -------------------------------------------------------------------------------------------------------


def test_what_is_said_of_anything_counts_for_nothing() -> None:
    prejudice = np.log([0.7, 0.2, 0.1])
    assert np.allclose(np.ptp(calibrated(prejudice, np.stack([prejudice, prejudice]))), 0)
    assert calibrated(np.log([0.5, 0.1, 0.4]), prejudice[None]).argmax() == 2
    assert calibrated(np.log([0.5, 0.1, 0.4]) - 50, np.full((1, 3), -900.0)).argmax() == 0


def test_all_of_it_from_one_command(letters: Path, tmp_path: Path) -> None:
    codec = TextCodec.train("bpe", ["thing one two three A B C = 0123456789?"] * 4, 300)
    codec.save(tmp_path / "model")
    save_model(tiny_gpt(codec, context=256), tmp_path / "model", codec=codec)
    command = (
        "evaluate",
        tmp_path / "model",
        "--task",
        letters,
        "--shots",
        "2",
        "--orders",
        "2",
        "--rotate",
        "--limit",
        "5",
    )
    assert daedal(*command, "--out", tmp_path / "out").code == 0
    said = (tmp_path / "out" / "tasks.json").read_text(encoding="utf-8")
    for what in ("acc_calibrated", "their order", "the place of the right choice", "chosen in"):
        assert what in said
    assert "--rotate" in mistake("evaluate", tmp_path / "model", "--rotate")


# -- two models --------------------------------------------------------------------------------------------------------


def test_holm_is_as_in_the_textbooks() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected, abs=1e-12)


def test_paired_intervals_hold_the_truth_and_the_detectable_difference_is_found_in_four_of_five_trials() -> None:
    held, found = 0, 0
    for time in range(150):
        draw = np.random.default_rng(time)
        hard = draw.random(400)
        apart = difference(
            "", (draw.random(400) < hard + 0.05).astype(float), (draw.random(400) < hard).astype(float), time
        )
        assert apart.interval is not None
        held += apart.interval[0] <= 0.05 - 0.05**2 / 2 <= apart.interval[1]
        shift = detectable(draw.normal(size=400))
        other = draw.normal(shift, 1, 400)
        found += difference("", other, np.zeros(400), time).p < 0.05
    assert 0.9 <= held / 150 <= 0.99
    assert 0.71 <= found / 150 <= 0.89


# -- bootstrap ---------------------------------------------------------------------------------------------------------


def test_bootstrap_of_draws_and_of_equal_pieces_put_together_agree() -> None:
    hits = (np.random.default_rng(0).random(500) < 0.3).astype(float)
    values, times = np.unique(hits, return_counts=True)

    def share(sums: np.ndarray) -> np.ndarray:
        found: np.ndarray = sums[:, 0] / sums[:, 1]
        return found

    one = bootstrap(np.stack([hits, np.ones(500)], 1), share, replicates=20_000)
    other = bootstrap(np.stack([values, np.ones(2)], 1), share, times, replicates=20_000)
    assert one is not None
    assert other is not None
    assert np.allclose(one, other, atol=0.006)
