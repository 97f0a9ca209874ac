"""Two models beside one another: the same prompts and seed, who wins, at equal length, how far they are apart, and mistakes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.alignment.comparison import NAME
from daedal.alignment.rewards import Asked
from daedal.codecs.text import TextCodec
from daedal.data.prompts import questions
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Beside
from daedal.evaluation.measures.diversity import distinct, repeated
from daedal.evaluation.report import Report
from daedal.models.checkpoint import save_model
from kind_examples import WORDS
from tiny_models import tiny_gpt

torch.set_num_threads(1)
SAID = [f"Tell me of {word}." for word in WORDS]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two GPTs of one tokenizer, one of another, and prompts."""
    folder = tmp_path_factory.mktemp("comparison")
    codec = TextCodec.train("bpe", [f"User: {' '.join(WORDS)} Assistant: <b>"], 300)
    for seed, name in enumerate(("one", "other")):
        save_model(tiny_gpt(codec, context=96, seed=seed, width=32), folder / name, codec=codec)
    byte = TextCodec.train("byte", [])
    save_model(tiny_gpt(byte, context=96, width=32), folder / "stranger", codec=byte)
    rows = [{"prompt": said} for said in SAID[:-1]] + [{"messages": [{"role": "user", "content": SAID[-1]}]}]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    return folder


def by_length(answers: Any) -> list[float]:
    return [float(len(each.text)) for each in answers]


@pytest.fixture(scope="module")
def report(home: Path) -> Report:
    out = home / "report"
    return daedal.compare(home / "one", home / "other", home / "prompts.jsonl", by_length, answer=12, seed=3, out=out)


def test_a_model_beside_itself_is_even_and_nowhere_else(home: Path) -> None:
    found = daedal.compare(home / "one", home / "one", home / "prompts.jsonl", by_length, answer=12)
    assert found.measured("win-rate").value == 0.5
    assert found.measured("win-rate-at-equal-length").value == pytest.approx(0.5)
    assert found.measured("kl-per-answer").value == pytest.approx(0, abs=1e-6)
    assert f"{len(SAID)} of {len(SAID)} answers are the same" in found.notes
    assert "one, the second" in found.model.name


def test_the_judge_s_verdicts_are_counted(report: Report, home: Path) -> None:
    (beside,) = (block for block in report.blocks if isinstance(block, Beside))
    assert len(beside.pairs) == len(SAID)  # each prompt once
    nothing = "(nothing)"
    lengths = np.array(
        [[0 if text == nothing else len(text) for text in (each.one, each.other)] for each in beside.pairs]
    )
    won = (1 + np.sign(lengths[:, 1] - lengths[:, 0])) / 2
    assert report.measured("win-rate").value == pytest.approx(won.mean())
    assert report.measured("win-rate").n == len(SAID)
    assert report.measured("reward-gained").value == pytest.approx((lengths[:, 1] - lengths[:, 0]).mean())
    assert report.measured("answer-characters").value == pytest.approx(lengths[:, 1].mean())
    (one,) = report.baselines
    assert next(m.value for m in one.measurements if m.quantity == "answer-characters/v1") == lengths[:, 0].mean()
    # who wins by length alone wins half of the time where the lengths are equal, or about that
    assert abs(report.measured("win-rate-at-equal-length").value - 0.5) < abs(won.mean() - 0.5) + 0.1


def test_the_divergence_is_that_of_the_answers(report: Report, home: Path) -> None:
    from daedal.alignment.rollout import generate, log_probabilities
    from daedal.alignment.subject import Subject

    one, other = (Subject.open(str(home / name)) for name in ("one", "other"))
    prompts = [other.fitting(question.messages, 84) or [] for question in questions(home / "prompts.jsonl").drawn(3)]
    written = generate(other.gpt, prompts, most=12, stop_ids=other.stop_ids, seed=3)
    said = [(each.prompt, each.ids) for each in written]
    away = [a - b for a, b in zip(log_probabilities(one.gpt, said), log_probabilities(other.gpt, said), strict=True)]
    expected = np.mean([float((each.exp() - 1 - each).sum()) for each in away])
    assert report.measured("kl-per-answer").value == pytest.approx(expected, rel=1e-3)
    assert report.measured("kl-per-answer").value > 0.1


def test_the_report_is_a_page_and_a_record(report: Report, home: Path) -> None:
    record = json.loads((home / "report" / f"{NAME}.json").read_text())
    assert record["model"]["name"] == "other beside one"
    assert {each["kind"] for each in record["blocks"]} >= {"beside"}
    page = (home / "report" / f"{NAME}.html").read_text()
    assert SAID[0] in page
    assert "<b>Tell me" in page  # a prompt is set off
    assert "Assistant: <b>" not in page  # what a model writes is no part of the page
    assert str(home) not in page


def test_the_command_shows_some_and_gives_all_as_json(home: Path) -> None:
    asked = ("compare", home / "one", home / "other", "--prompts", home / "prompts.jsonl", "-n", "5", "--answer", "8")
    shown = command(*asked, "--judge", "rule:length:20")
    assert shown.code == 0
    assert "win rate at equal length" in shown.out
    assert "judged by rule:length:20" in shown.out
    assert "What they say" in shown.out
    told = json.loads(command(*asked, "--json").out)
    quantities = {each["definition"].split("/")[0] for each in told["measurements"]}
    assert "kl-per-token" in quantities
    assert not {"win-rate", "reward"} & quantities  # nobody judged
    assert next(each["n"] for each in told["measurements"]) == 5
    assert command(*asked, "--json").out.split('"seconds"')[0] == command(*asked, "--json").out.split('"seconds"')[0]


def test_models_of_two_tokenizers_are_compared_but_for_their_divergence(home: Path) -> None:
    found = daedal.compare(home / "one", home / "stranger", home / "prompts.jsonl", by_length, answer=8)
    assert found.has("win-rate")
    assert not found.has("kl-per-answer")
    assert "two tokenizers" in found.missing[0]


def test_how_varied_texts_are_by_hand() -> None:
    assert distinct(["a b a", "a b"], 1) == 2 / 5
    assert distinct(["a b a", "a b"], 2) == 2 / 3  # a b, b a, and a b again
    assert distinct([""], 2) == 0
    assert repeated(["a b c d a b c d", "a b c d e", "a"]).tolist() == [1 - 4 / 5, 0, 0]


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_prompts_are_read_from_any_of_their_forms(tmp_path: Path) -> None:
    lines = tmp_path / "prompts.txt"
    lines.write_text("First?\n\nSecond?\nFirst?\n")
    assert [each.messages[0]["content"] for each in questions(lines).asked] == ["First?", "Second?"]
    rows = tmp_path / "rows.jsonl"
    turns = [{"role": role, "content": said} for role, said in (("user", "a"), ("assistant", "b"), ("user", "c"))]
    answered = [*turns, {"role": "assistant", "content": "d"}]
    values = [
        "just a text",
        {"prompt": "a prompt"},
        {"messages": turns},
        {"instruction": "do", "output": "done"},
        {"messages": answered},
    ]
    rows.write_text("".join(json.dumps(value) + "\n" for value in values))
    found = questions(rows).asked
    assert [each.messages[-1]["content"] for each in found] == [
        "just a text",
        "a prompt",
        "c",
        "do",
    ]  # the fifth is the third
    assert [each.known for each in found] == [None, None, "d", "done"]


def test_held_out_prompts_of_data_are_asked(tmp_path: Path) -> None:
    chats = [
        {"messages": [{"role": "user", "content": f"Say {n}."}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(40)
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    data: Any = daedal.build_data([tmp_path / "chats.jsonl"], tmp_path / "data", workers=1, near_duplicates="off")
    found = questions(tmp_path / "data")
    assert found.name == "test of data"
    assert len(found.asked) == len(data.split("test"))
    assert all(each.known == f"{each.messages[0]['content'][4:-1]}!" for each in found.asked)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_mistakes_are_told_in_a_line(home: Path, tmp_path: Path) -> None:
    asked = ("compare", home / "one", home / "other", "--prompts")
    assert "There are no prompts at" in mistake(*asked, tmp_path / "nowhere")
    (tmp_path / "empty.txt").write_text("\n")
    assert "has no prompts" in mistake(*asked, tmp_path / "empty.txt")
    (tmp_path / "broken.jsonl").write_text("{")
    assert "line 1 is no JSON" in mistake(*asked, tmp_path / "broken.jsonl")
    (tmp_path / "other.jsonl").write_text('{"price": 3}\n')
    assert "line 1 has no prompt" in mistake(*asked, tmp_path / "other.jsonl")
    assert "leaves room for an answer of 96 tokens" in mistake(*asked, home / "prompts.jsonl", "--answer", "96")
    assert "tells no rewards" in mistake(*asked, home / "prompts.jsonl", "--judge", home / "one")
    assert "There is no rule 'taste'" in mistake(*asked, home / "prompts.jsonl", "--judge", "rule:taste")
    assert "are none" in mistake(*asked, home / "prompts.jsonl", "-n", "0")
    for seed in ("-1", str(2**63)):
        assert f"{seed} is no seed" in mistake(*asked, home / "prompts.jsonl", "--seed", seed)
    assert "judges pictures" in mistake(*asked, home / "prompts.jsonl", "--judge", "rule:scenes", "--answer", "8")


def test_where_no_report_can_be_written_nothing_is_answered(home: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    def never(answers: Any) -> list[float]:
        raise AssertionError

    with pytest.raises(DaedalError, match="in the way"):
        daedal.compare(home / "one", home / "other", home / "prompts.jsonl", never, answer=4, out=tmp_path / "taken")


def test_a_judge_that_is_none_is_told(home: Path) -> None:
    def broken(answers: Any) -> list[float]:
        return [float("nan")] * len(answers)

    with pytest.raises(DaedalError, match="nan for an answer"):
        daedal.compare(home / "one", home / "other", home / "prompts.jsonl", broken, answer=4)


def test_a_judge_reads_what_was_asked_and_what_was_known(home: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "What?", "completion": "That."}) + "\n")
    heard: list[Asked] = []

    def listening(answers: Any) -> list[float]:
        heard.extend(answers)
        return [0.0] * len(answers)

    daedal.compare(home / "one", home / "other", tmp_path / "rows.jsonl", listening, answer=4)
    assert [(each.messages[-1]["content"], each.known) for each in heard] == [("What?", "That.")] * 2
