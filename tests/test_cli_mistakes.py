"""Bad input gives one clear line and exit code 2, and leaves nothing half-written."""

import io
import json
import shutil
import struct
import sys
from pathlib import Path

import pytest

from command_line import TINY, daedal, mistake, stories, story
from daedal.cli.main import forgive_bytes
from daedal.errors import DaedalError
from disks import run_on_disk


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder."""
    folder = tmp_path_factory.mktemp("data")
    assert daedal("data", "build", stories(folder / "in"), "--out", folder / "built", "--codec", "byte").code == 0
    return folder / "built"


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    out = tmp_path_factory.mktemp("run") / "run"
    ended = daedal("train", "gpt", "--data", data, "--out", out, "--steps", "4", *TINY)
    assert ended.code == 0, ended.err
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run folder, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


# -- data --------------------------------------------------------------------------------------------------------------


def test_a_source_that_is_missing(tmp_path: Path) -> None:
    assert "nowhere" in mistake("data", "build", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b" \n\t\n", bytes(range(256)) * 40])
def test_sources_without_text(content: bytes | None, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    if content is not None:
        (folder / "file.txt").write_bytes(content)
    mistake("data", "build", folder, "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_binary_files_among_text_are_left_out_and_told(tmp_path: Path) -> None:
    folder = stories(tmp_path / "in", 20)
    (folder / "image.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    assert daedal("data", "build", folder, "--out", tmp_path / "out").code == 0
    dropped = json.loads(daedal("data", "show", tmp_path / "out", "--json").out)["dropped"]
    assert any("binary" in entry["reason"] for entry in dropped)


def test_a_field_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"body": story(seed)}) + "\n" for seed in range(20)))
    line = mistake("data", "build", tmp_path / "rows.jsonl", "--field", "txet", "--out", tmp_path / "out")
    assert "txet" in line
    assert "body" in line


@pytest.mark.parametrize("content", [b"PAR1 this is not Parquet PAR1", b"", b"PAR1"])
def test_a_broken_parquet(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(content)
    mistake("data", "build", tmp_path / "rows.parquet", "--out", tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_validation_file_that_is_missing(tmp_path: Path) -> None:
    source = stories(tmp_path / "in", 20)
    assert "held-out" in mistake(
        "data", "build", source, "--validation", tmp_path / "held-out", "--out", tmp_path / "out"
    )


def test_a_folder_that_is_no_data_folder(tmp_path: Path) -> None:
    mistake("data", "show", tmp_path)
    mistake("data", "show", tmp_path / "nowhere")
    mistake("plan", "gpt", "--data", tmp_path)
    mistake("train", "gpt", "--data", tmp_path, "--out", tmp_path / "run", *TINY)
    assert not (tmp_path / "run").exists()


def test_a_data_folder_that_is_damaged(data: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(data, tmp_path / "data"))
    (broken / "manifest.json").write_text('{"format": "daedal-da')
    assert "manifest.json" in mistake("data", "show", broken)
    shards = sorted(broken.glob("train-*.npy"))
    shutil.copy(data / "manifest.json", broken)
    shards[0].write_bytes(shards[0].read_bytes()[:100])
    assert shards[0].name in mistake("train", "gpt", "--data", broken, "--out", tmp_path / "run", "--steps", "2", *TINY)


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_corpus_shorter_than_one_context(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Short. It ends here, and that is all of it.\n")
    built = daedal("data", "build", tmp_path / "short.txt", "--out", tmp_path / "data", "--codec", "byte")
    if built.code == 0:
        mistake(
            "train", "gpt", "--data", tmp_path / "data", "--out", tmp_path / "run", "--steps", "2", "--context", "4096"
        )
        assert not (tmp_path / "run" / "config.json").exists()
    else:
        assert built.code == 2


@pytest.mark.parametrize("budget", ["1ms", "0.2s", "0", "-3", "soon"])
def test_a_budget_too_short_to_train_anything(budget: str, data: Path, tmp_path: Path) -> None:
    mistake("train", "gpt", "--data", data, "--out", tmp_path / "run", f"--budget={budget}")
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    "values", ["--steps 0", "--width 7", "--heads 3 --kv-heads 2", "--learning-rate nan", "--warmup 0.9 --cooldown 0.9",
               "--context 1", "--batch 5 --micro-batch 2", "--seed -1", "--device toaster", "--dropout 1.5"],
)  # fmt: skip
def test_values_that_make_no_plan(values: str, data: Path, tmp_path: Path) -> None:
    mistake("train", "gpt", "--data", data, "--out", tmp_path / "run", "--budget", "20s", *values.split())
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_taken(trained: Path, data: Path, tmp_path: Path) -> None:
    before = (trained / "model.safetensors").read_bytes()
    assert "--resume" in mistake("train", "gpt", "--data", data, "--out", trained, "--steps", "2", *TINY)
    assert (trained / "model.safetensors").read_bytes() == before
    (tmp_path / "mine.txt").write_text("mine")
    mistake("train", "gpt", "--data", data, "--out", tmp_path, "--steps", "2", *TINY)
    mistake("train", "gpt", "--data", data, "--out", tmp_path / "mine.txt", "--steps", "2", *TINY)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_nothing_to_resume(tmp_path: Path) -> None:
    mistake("train", "--resume", tmp_path)
    mistake("train", "--resume", tmp_path / "nowhere")


# -- run folders -------------------------------------------------------------------------------------------------------


def every_reader(run: Path) -> list[str]:
    """What each command that reads a run folder says about it."""
    return [
        mistake("generate", run, "--prompt", "A", "--max-tokens", "2"),
        mistake("chat", run),
        mistake("evaluate", run),
        mistake("export", run, "--to", run.parent / "exported"),
    ]


def test_a_run_folder_that_is_missing(tmp_path: Path) -> None:
    every_reader(tmp_path / "nowhere")
    every_reader(tmp_path)


@pytest.mark.parametrize("command", ["generate", "chat", "evaluate", "export"])
def test_a_data_folder_where_a_run_is_wanted(data: Path, command: str, tmp_path: Path) -> None:
    more = ["--to", tmp_path / "out"] if command == "export" else []
    assert f"{data} holds no trained model: it has no config.json" in mistake(command, data, *more)


def test_a_run_that_was_stopped_before_it_saved(tmp_path: Path) -> None:
    (tmp_path / "run" / "training").mkdir(parents=True)
    said = mistake("generate", tmp_path / "run", "--prompt", "x")
    assert f"has saved no model yet. Go on with it by daedal train --resume {tmp_path / 'run'}" in said


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "model.zip"])
def test_an_export_to_a_file_of_a_kind_that_is_not_written(trained: Path, name: str, tmp_path: Path) -> None:
    assert "Name a folder, or a file NAME.gguf" in mistake("export", trained, "--to", tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_of_the_run_folder_that_is_missing(name: str, run: Path) -> None:
    (run / name).unlink()
    assert all(name.partition(".")[0] in line for line in every_reader(run)[:1])
    assert not (run.parent / "exported").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_of_the_run_folder_that_is_truncated(name: str, run: Path) -> None:
    (run / name).write_bytes((run / name).read_bytes()[: (run / name).stat().st_size // 2])
    every_reader(run)
    assert not (run.parent / "exported").exists()


def test_pickles_are_refused(run: Path) -> None:
    marker = run.parent / "owned"
    pickle = b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    (run / "model.safetensors").unlink()
    (run / "pytorch_model.bin").write_bytes(pickle)
    assert "safetensors" in every_reader(run)[0]
    (run / "model.safetensors").write_bytes(pickle)
    every_reader(run)
    assert not marker.exists()


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 2**62),
        struct.pack("<Q", 90_000_000) + b"{" * 1000,
        struct.pack("<Q", 8) + b"not json",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_header_bombs_are_refused(header: bytes, run: Path) -> None:
    (run / "model.safetensors").write_bytes(header)
    every_reader(run)


def test_a_shape_that_lies_is_refused(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    every_reader(run)
    (run / "config.json").write_text(json.dumps({**config, "hidden_size": 10**9, "num_hidden_layers": 10**6}))
    every_reader(run)


# -- generation --------------------------------------------------------------------------------------------------------


def test_a_prompt_longer_than_the_context(trained: Path) -> None:
    assert "context" in mistake("generate", trained, "--prompt", "word " * 500, "--max-tokens", "4")


@pytest.mark.parametrize("values", ["-n 0", "--max-tokens 0", "--top-p 2", "--seed -1", "--logit-bias 99999=1"])
def test_options_that_make_no_sense(values: str, trained: Path) -> None:
    mistake("generate", trained, "--prompt", "A", *values.split())


# -- disks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["size=64k", "ro"])
def test_a_disk_that_takes_no_data(options: str, tmp_path: Path) -> None:
    source, disk = stories(tmp_path / "in", 200), tmp_path / "disk"
    disk.mkdir()
    command = [
        sys.executable,
        "-m",
        "daedal",
        "data",
        "build",
        str(source),
        "--out",
        str(disk / "out"),
        "--codec",
        "byte",
    ]
    ended = run_on_disk(command, disk, options)
    assert ended.code == 2, ended
    assert [line for line in ended.err.splitlines() if line.startswith("error: ")] == [ended.err.splitlines()[-1]]
    assert "manifest.json" not in ended.left


@pytest.mark.parametrize("options", ["size=64k", "ro"])
def test_a_disk_that_takes_no_run(options: str, data: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [
        sys.executable,
        "-m",
        "daedal",
        "train",
        "gpt",
        "--data",
        str(data),
        "--out",
        str(disk / "run"),
        "--steps",
        "3",
    ]
    ended = run_on_disk([*command, *TINY], disk, options)
    assert ended.code == 2, ended
    assert [line for line in ended.err.splitlines() if line.startswith("error: ")] == [ended.err.splitlines()[-1]]
    assert "model.safetensors" not in ended.left
    assert not [name for name in ended.left if name.endswith(".tmp")]


def test_the_error_class_is_what_the_library_raises(tmp_path: Path) -> None:
    from daedal import api

    with pytest.raises(DaedalError):
        api.load(str(tmp_path))


def test_bytes_that_are_no_utf_8_end_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9 hello\n"), encoding="utf-8", errors="strict")
    )
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="utf-8", errors="strict", write_through=True))
    forgive_bytes()
    assert input() == "caf\ufffd hello"
    print("caf\udce9")  # an argument of such bytes
    assert written.getvalue() == b"caf?\n"
