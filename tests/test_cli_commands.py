"""Every command works from end to end on a tiny corpus, and its JSON is JSON and nothing else."""

import json
import signal
import time
from pathlib import Path

import pytest

from command_line import TINY, daedal, start, stories

FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "README.md",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder."""
    folder = tmp_path_factory.mktemp("data")
    ended = daedal("data", "build", stories(folder / "stories"), "--out", folder / "built", "--codec", "byte")
    assert ended.code == 0, ended.err
    return folder / "built"


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    out = tmp_path_factory.mktemp("run") / "run"
    ended = daedal("train", "gpt", "--data", data, "--out", out, "--steps", "30", *TINY)
    assert ended.code == 0, ended.err
    return out


def test_data_build_tells_what_it_built(tmp_path: Path) -> None:
    ended = daedal("data", "build", stories(tmp_path / "in", 20), "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["splits"]["train"]["tokens"] > 0


def test_data_show_prints_the_card(data: Path) -> None:
    ended = daedal("data", "show", data)
    assert ended.code == 0, ended.err
    for word in ("documents", "tokens", "train", "validation", "byte"):
        assert word in ended.out.lower()


def test_data_show_writes_a_page_that_loads_nothing_from_elsewhere(data: Path, tmp_path: Path) -> None:
    assert daedal("data", "show", data, "--html", tmp_path / "card.html").code == 0
    page = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert 'src="http' not in page
    assert "<script src" not in page


def test_data_show_gives_the_manifest_as_json(data: Path) -> None:
    assert json.loads(daedal("data", "show", data, "--json").out) == json.loads((data / "manifest.json").read_text())


def test_plan_explains_what_would_be_trained(data: Path) -> None:
    ended = daedal("plan", "gpt", "--data", data, "--budget", "30s")
    assert ended.code == 0, ended.err
    assert "layers" in ended.out
    assert "steps" in ended.out
    assert "M parameters" in ended.out


def test_a_plan_as_json_keeps_every_value_given_by_hand(data: Path) -> None:
    ended = daedal("plan", "gpt", "--data", data, "--steps", "7", "--seed", "3", "--json", *TINY)
    plan = json.loads(ended.out)
    assert {name: plan[name] for name in ("steps", "seed", "width", "depth", "context", "batch", "precision")} == {
        "steps": 7, "seed": 3, "width": 32, "depth": 1, "context": 32, "batch": 4, "precision": "fp32",
    }  # fmt: skip


def test_a_run_folder_is_complete(run: Path) -> None:
    assert [name for name in FILES if not (run / name).is_file()] == []
    assert (run / "training" / "plan.json").is_file()
    records = [json.loads(line) for line in (run / "training" / "metrics.jsonl").read_text().splitlines()]
    assert records
    assert all("step" in record for record in records)


def test_other_programs_learn_from_the_run_folder_where_a_text_ends(run: Path) -> None:
    tokens = json.loads((run / "tokenizer.json").read_text())["added_tokens"]
    end = next(token["id"] for token in tokens if token["content"] == "<|endoftext|>")
    for name in ("config.json", "generation_config.json"):
        assert json.loads((run / name).read_text())["eos_token_id"] == end


def test_generate_writes_on_from_the_prompt(run: Path) -> None:
    ended = daedal("generate", run, "--prompt", "The king", "--max-tokens", "20", "--temperature", "0.8", "--seed", "1")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("The king")


def test_generate_gives_json_with_provenance(run: Path) -> None:
    command = ("generate", run, "--prompt", "A queen", "--max-tokens", "8", "-n", "4", "--seed", "5", "--json")
    ended = daedal(*command)
    completions = json.loads(ended.out)
    assert len(completions) == 4
    assert {completion["prompt"] for completion in completions} == {"A queen"}
    assert all(completion["provenance"] for completion in completions)
    assert json.loads(daedal(*command).out) == completions


def test_one_text_of_several_is_told_from_the_next(run: Path) -> None:
    out = daedal("generate", run, "--prompt", "A", "--max-tokens", "4", "-n", "2", "--seed", "1").out
    assert "=== 1 of 2 ===" in out
    assert "=== 2 of 2 ===" in out


def test_chat_answers_each_line_of_a_pipe(run: Path) -> None:
    ended = daedal(
        "chat", run, "--max-tokens", "5", "--seed", "1", stdin="hello\n\n/reset\n/nonsense\nagain\n/exit\nnever\n"
    )
    assert ended.code == 0, ended.err
    assert "forgotten" in ended.err
    assert "There is no /nonsense" in ended.err


def test_evaluate_measures_beside_baselines(run: Path) -> None:
    ended = daedal("evaluate", run, "--json")
    assert ended.code == 0, ended.err
    report = json.dumps(json.loads(ended.out))
    for name in ("bits-per-byte", "unigram", "gzip"):
        assert name in report


def test_evaluate_takes_a_text_file(run: Path, tmp_path: Path) -> None:
    text = stories(tmp_path / "other", 2) / "story-000.txt"
    ended = daedal("evaluate", run, "--data", text)
    assert ended.code == 0, ended.err
    assert "bits per byte" in ended.out.lower()


def test_export_gives_a_folder_that_transformers_opens(run: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    assert daedal("export", run, "--to", tmp_path / "exported").code == 0
    assert not (tmp_path / "exported" / "training").exists()
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "exported")
    ids = tokenizer("The king", return_tensors="pt").input_ids
    greedy = model.generate(ids, max_new_tokens=8, do_sample=False)
    ours = daedal("generate", run, "--prompt", "The king", "--max-tokens", "8", "--temperature", "0")
    assert ours.out.rstrip("\n") == tokenizer.decode(greedy[0], skip_special_tokens=True).rstrip("\n")


def trained_until(data: Path, out: Path, number: signal.Signals) -> tuple[int, str]:
    """Start a long training, send a signal when it is at work, and give how it ended."""
    process = start(
        *(
            "train",
            "gpt",
            "--data",
            data,
            "--out",
            out,
            "--steps",
            "100000",
            "--checkpoint-every",
            "10",
            "--no-compile",
        ),
        *TINY,
    )
    deadline = time.monotonic() + 120
    while not list((out / "training" / "state").glob("step-*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_saves_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    code, err = trained_until(data, tmp_path / "run", signal.SIGINT)
    assert code == 130, err
    assert f"daedal train --resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err


def test_sigterm_saves_and_ends_well(data: Path, tmp_path: Path) -> None:
    code, err = trained_until(data, tmp_path / "run", signal.SIGTERM)
    assert code == 0, err
    assert list((tmp_path / "run" / "training" / "state").glob("step-*"))
