"""Answers of another model become data that keeps where they come from, and a judge is heard in both orders."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import mistake
from daedal import api
from daedal.data import open_data
from daedal.errors import DaedalError
from daedal.evaluation.judgement import compared, judge, kappa
from daedal.prompting.distil import RECORD, distil
from daedal.prompting.memory import Remembered
from daedal.prompting.respondent import Wording
from scripted_respondent import Scripted

HOW = Wording(max_tokens=50)


def prompts(path: Path, count: int = 60) -> Path:
    path.write_text("".join(f"What is {number} and one?\n" for number in range(count)), encoding="utf-8")
    return path


def test_answers_become_a_data_folder_that_says_whose_they_are(tmp_path: Path) -> None:
    asked = prompts(tmp_path / "prompts.txt")
    oracle = Scripted(lambda prompt, _: "" if " 7 " in prompt else f"It is {int(prompt.split()[2]) + 1}, I think.")
    found = distil(oracle, asked, tmp_path / "data", HOW, licence="MIT", system="Count.")
    assert (found.asked, found.kept, found.left_out) == (60, 59, {"empty": 1})
    data: Any = open_data(tmp_path / "data")
    assert data.kind_name == "chat"
    assert data.manifest.sources[0].licence == "MIT"
    record = json.loads((tmp_path / "data" / RECORD).read_text())
    assert (record["model"], record["licence"]) == ("scripted", "MIT")
    assert [each["role"] for each in data.split("train").values("conversation")[0]["messages"]] == [
        "system",
        "user",
        "assistant",
    ]


def test_a_run_that_was_stopped_asks_only_what_is_left(tmp_path: Path) -> None:
    asked, said = prompts(tmp_path / "prompts.txt"), Scripted(lambda prompt, _: f"{prompt} Yes it is.")

    class Stops(Scripted):
        def answer(self, questions: Sequence[Any], wording: Wording) -> Any:
            for number, each in enumerate(super().answer(questions, wording)):
                if number == 20:
                    raise KeyboardInterrupt
                yield each

    with pytest.raises(KeyboardInterrupt):
        distil(Remembered(Stops(said.says), tmp_path / "m"), asked, tmp_path / "data", HOW)
    assert not (tmp_path / "data").exists()
    distil(Remembered(said, tmp_path / "m"), asked, tmp_path / "data", HOW)
    assert len(said.asked) == 40
    again = distil(Remembered(said, tmp_path / "m"), asked, tmp_path / "data", HOW)  # finds what is there
    assert (again.kept, len(said.asked)) == (60, 40)


def test_answers_that_are_cut_are_not_learned_from(tmp_path: Path) -> None:
    class Cut(Scripted):
        def answer(self, questions: Sequence[Any], wording: Wording) -> Any:
            for place, reply in super().answer(questions, wording):
                yield place, reply.model_copy(update={"finish_reason": "length"})

    with pytest.raises(DaedalError, match="60 ended by length"):
        distil(Cut(lambda prompt, _: prompt), prompts(tmp_path / "prompts.txt"), tmp_path / "data", HOW)
    assert not (tmp_path / "data").exists()


def answers(path: Path, said: dict[str, str]) -> Path:
    rows = [json.dumps({"prompt": prompt, "answer": text}) + "\n" for prompt, text in said.items()]
    path.write_text("".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return (
        answers(tmp_path / "one.jsonl", {f"p{n}": f"bad {n}" for n in range(40)}),
        answers(tmp_path / "other.jsonl", {f"p{n}": f"good {n}" if n < 30 else f"bad {n}" for n in range(1, 41)}),
    )


def first_of(prompt: str) -> tuple[str, str]:
    a, b = (prompt.split(f"Answer {letter}: ")[1].split("\n")[0] for letter in "AB")
    return a, b


def test_a_judge_who_knows_is_heard_alike_in_both_orders(files: tuple[Path, Path], tmp_path: Path) -> None:
    def says(prompt: str, _: int) -> str:
        a, b = ("good" in each for each in first_of(prompt))
        return f'Well: {{"reason": "", "better": "{"tie" if a == b else "A" if a else "B"}"}}'

    report = api.judge(*files, Scripted(says), out=tmp_path / "report")
    assert report.measured("judged-win-rate").n == 39
    assert report.measured("judged-win-rate").value == pytest.approx((29 + 10 / 2) / 39)
    assert report.measured("judge-agreement").value == 1
    assert report.measured("judge-kappa").value == 1
    assert report.measured("judge-position-bias").value == 0
    assert "2 answers have no counterpart, and are left out" in report.data.notes
    assert len(list((tmp_path / "report").iterdir())) == 2


def test_a_judge_who_always_prefers_the_first_decides_nothing(files: tuple[Path, Path]) -> None:
    report = api.judge(*files, Scripted(lambda *_: '{"better": "A"}'))
    assert report.measured("judged-win-rate").value == 0.5
    low, high = report.measured("judged-win-rate").interval or (0, 0)
    assert low < 0.4 < 0.6 < high
    assert report.measured("judge-position-bias").value == 1
    assert report.measured("judge-kappa").value <= 0
    assert "otherwise of 100 % of the pairs when their order is turned" in report.model_dump_json()


def test_a_preference_for_a_letter_drops_out_of_likelihoods_of_both_orders(files: tuple[Path, Path]) -> None:
    def likely(context: str, letter: str) -> float:
        a, b = ("good" in each for each in first_of(context))
        return (3.0 if letter == " A" else 0.0) + (a if letter == " A" else b)

    pairs, _ = compared(*files)
    report = judge(pairs, Scripted(lambda *_: "", likely), names=("one", "other"), by_likelihood=True)
    assert report.measured("judged-win-rate").value == 0.5
    assert report.measured("judged-win-rate-debiased").value == pytest.approx((29 + 10 / 2) / 39)


def test_kappa_is_scikit_learns() -> None:
    table = np.array([[20.0, 5, 1], [3, 10, 2], [0, 4, 15]])
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(int(table[i, j]))]
    assert float(kappa(table)) == pytest.approx(metrics.cohen_kappa_score(*zip(*pairs, strict=True)))


def test_mistakes_are_told_in_one_line(tmp_path: Path, files: tuple[Path, Path]) -> None:
    with pytest.raises(DaedalError, match="never says"):
        api.judge(*files, Scripted(lambda *_: "hm"))
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"prompt": "p"}\n')
    elsewhere = answers(tmp_path / "elsewhere.jsonl", {"q": "a"})
    model = "http://127.0.0.1:9"
    assert "has no answer" in mistake("judge", bare, files[1], "--model", model)
    assert "no prompt in common" in mistake("judge", elsewhere, files[1], "--model", model)
