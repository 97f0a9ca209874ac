"""Supervised fine-tuning: what is read of conversations, how they are packed, and a run's invariants."""

import json
import os
import random
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import daedal
from command_line import daedal as run
from command_line import mistake, story
from daedal import api
from daedal.codecs.chat import LINES, ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Turns
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_model
from daedal.models.model import IGNORE, Moment
from daedal.models.sequences import Sequences, TargetBatch
from daedal.training.chat_plan import ChatPlan
from daedal.training.chats import ChatTask
from daedal.training.learner import open_learner
from daedal.training.packs import Packs, fit, pack
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import logged, same, stop_at
from tiny_models import tiny_gpt
from warm_python import python

LINE = (
    "--steps",
    "12",
    "--batch",
    "4",
    "--micro-batch",
    "2",
    "--threads",
    "1",
    "--precision",
    "fp32",
    "--device",
    "cpu",
)


def conversations(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Conversations of one to three turns, some with a system message."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        messages = [{"role": "system", "content": "Be brief."}] if number % 5 == 0 else []
        for _ in range(draw.randint(1, 3)):
            a, b = draw.randrange(50), draw.randrange(50)
            messages.append(
                {"role": "user", "content": f"{story(draw.randrange(9), 1)[: draw.randint(5, 40)]} {a} + {b}?"}
            )
            messages.append({"role": "assistant", "content": f"It is {a + b}."})
        found.append({"messages": messages})
    return found


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations, all of them to learn from or some held out, and a model of text to go on with."""
    folder = tmp_path_factory.mktemp("chats")
    source = written(folder / "chats.jsonl", conversations(150))
    api.build_data([source], folder / "data", split=(80, 20, 0))
    api.build_data([source], folder / "all", split=(100, 0, 0))
    codec = TextCodec.train("byte", [])
    save_model(tiny_gpt(codec, context=96, width=32), folder / "base", codec=codec)
    return folder


def plan_for(home: Path, data: str = "all", **changes: Any) -> ChatPlan:
    values = {
        "data": str(home / data), "init": str(home / "base"), "steps": 12, "batch": 4, "micro_batch": 2, "context": 96,
        "width": 32, "depth": 2, "heads": 2, "kv_heads": 2, "head_width": 16, "mlp_width": 96, "vocab_size": 300,
        "learning_rate": 1e-3, "length": 90, "device": "cpu", "checkpoint_every": 6, "evaluate_every": 6,
        "sample_every": 12, "log_every": 2,
    }  # fmt: skip
    return ChatPlan.parse(values | changes, "plan")


def task_for(home: Path, data: str = "all", **changes: Any) -> ChatTask:
    plan = plan_for(home, data, **changes)
    found = open_learner("chat", plan.data, plan.init).task(plan)
    assert isinstance(found, ChatTask)
    return found


def trainer_for(home: Path, path: Path, **changes: Any) -> Trainer:
    run = RunFolder.open(path) if path.exists() else RunFolder.create(path)
    plan = plan_for(home, **changes)
    run.write_plan(plan)
    return Trainer(open_learner("chat", plan.data, plan.init).task(plan), plan, run, Processes(torch.device("cpu")))


# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_model_of_texts_writes_a_line_a_turn_and_ends_its_answers() -> None:
    codec = TextCodec.train("byte", [])
    template = ChatTemplate(LINES, {"eos_token": "<|endoftext|>"})
    tools = [{"type": "function", "function": {"name": "add"}}]
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]}
    messages = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}, call,
        {"role": "tool", "content": "2"}, {"role": "assistant", "content": "2."}, {"role": "user", "content": "Thanks"},
        {"role": "assistant", "content": "Yes."},
    ]  # fmt: skip
    text = template.render(messages, False, tools=tools)
    assert text.endswith("Tool: 2\nAssistant: 2.<|endoftext|>\nUser: Thanks\nAssistant: Yes.<|endoftext|>")
    assert text.startswith("System: Be brief.\nYou may call these functions:")
    ids, said = Turns(codec, template).read({"messages": messages, "tools": tools})
    pieces = codec.decode(ids[said].tolist()).split("<|endoftext|>")
    assert codec.decode(ids.tolist()) == codec.decode(codec.encode(text, special=True))
    assert pieces[0].startswith('\n<tool_call>\n{"name": "add"') or '{"name": "add"' in pieces[0]
    assert int((ids[said] == codec.eos_id).sum()) == 3
    assert template.stops == ("<|endoftext|>",)


def test_answers_alone_are_learned_unless_all_is_asked_for(home: Path) -> None:
    answers, everything = (task_for(home, learn=learn) for learn in ("answers", "all"))
    batch, whole = answers.batch(0, 4), everything.batch(0, 4)
    assert 0 < batch.count < whole.count == len(whole.targets)
    codec = answers.dataset.codec
    said = codec.decode(batch.targets[batch.targets != IGNORE].tolist())
    assert "It is" in said
    assert "?" not in said
    assert torch.equal(batch.sequences.ids, whole.sequences.ids)
    assert int((batch.targets == codec.eos_id).sum()) == said.count("It is")


def test_data_that_a_model_encoded_are_read_as_they_are_stored(home: Path, tmp_path: Path) -> None:
    codec = TextCodec.train("byte", [])
    save_model(tiny_gpt(codec, context=96), tmp_path / "base", codec=codec)
    (tmp_path / "base" / "chat_template.jinja").write_text(LINES)
    api.build_data([home / "chats.jsonl"], tmp_path / "data", tokenizer=str(tmp_path / "base"))
    stored = open_learner("chat", tmp_path / "data", str(tmp_path / "base"))
    anew = open_learner("chat", home / "all", str(tmp_path / "base"))
    assert stored.dataset.reader is None  # type: ignore[union-attr]
    assert anew.dataset.reader is not None  # type: ignore[union-attr]
    texts = [
        {split.text(index) for index in range(split.documents)}
        for split in (stored.dataset.split("train"), anew.dataset.split("train"))  # type: ignore[union-attr]
    ]
    assert texts[0] <= texts[1]


def test_too_long_conversations_end_after_the_last_answer_that_fits() -> None:
    said = np.array([0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0], dtype=bool)
    offsets = np.array([0, 8, 14, 18])
    assert fit(offsets, said, 8).rows.tolist() == [[0, 6], [8, 4], [14, 2]]
    found = fit(offsets, said, 5)
    assert (found.rows.tolist(), found.cut, found.dropped) == ([[0, 3], [8, 4], [14, 2]], 1, 0)
    found = fit(offsets, said, 3)
    assert (found.rows.tolist(), found.cut, found.dropped) == ([[0, 3], [14, 2]], 1, 1)


# -- packs -------------------------------------------------------------------------------------------------------------


def test_packs_hold_every_conversation_once_and_are_nearly_full() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 1000)
    packs = pack(lengths, 128)
    assert sorted(row for each in packs for row in each) == list(range(1000))
    sums = [int(lengths[each].sum()) for each in packs]
    assert max(sums) <= 128
    assert sum(sums) / (128 * len(packs)) > 0.97


def test_a_pass_goes_through_every_pack_once_in_a_new_order(home: Path) -> None:
    packs = task_for(home).train
    rows = [[sorted(packs.packs[number]) for number in _visited(packs, passed)] for passed in (0, 1)]
    assert sorted(rows[0]) == sorted(rows[1]) == sorted(map(sorted, packs.packs))
    assert rows[0] != rows[1]


def _visited(packs: Packs, passed: int) -> list[int]:
    from daedal.data.windows import visit

    return visit(passed * len(packs), len(packs), len(packs), 0)[0].tolist()  # type: ignore[no-any-return]


def test_packed_conversations_are_learned_as_one_by_one(home: Path) -> None:
    task = task_for(home)
    batch = task.batch(0, 4)
    whole = task.model.loss(batch).total
    alone = torch.zeros(())
    starts = batch.sequences.packing.starts
    for begin, end in pairwise(starts):
        one = TargetBatch(Sequences.of([batch.sequences.ids[begin:end].numpy()]), batch.targets[begin:end])
        alone = alone + task.model.loss(one).total
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-4)


def test_accumulated_packs_are_learned_as_one_large_batch(home: Path) -> None:
    task = task_for(home)
    gradients = []
    count = Moment(float(task.batch(0, 4).count))
    for sizes in ((4,), (1, 1, 1, 1), (2, 2)):
        task.model.zero_grad()
        first = 0
        for size in sizes:
            task.model.loss(task.batch(first, size).at(count)).total.backward()
            first += size
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in task.model.parameters()]))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradients[2], gradients[0], rtol=1e-4, atol=1e-6)


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"lora": 4}, {"lora": 4, "qlora": True}], ids=["full", "lora", "qlora"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(more: dict[str, Any], home: Path, tmp_path: Path) -> None:
    trainer_for(home, tmp_path / "whole", **more).train()
    stopped = trainer_for(home, tmp_path / "stopped", **more)
    stop_at(stopped, 7)
    with pytest.raises(Interrupted):
        stopped.train()
    api.resume(tmp_path / "stopped")
    if more:
        one, other = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "stopped"))
        assert one == other
    else:
        assert same(tmp_path / "whole", tmp_path / "stopped")


def test_two_processes_tune_as_one(home: Path, tmp_path: Path) -> None:
    arguments = ["train", "chat", "--data", str(home / "all"), "--init", str(home / "base"), "--lora", "4", *LINE]
    assert run(*arguments, "--out", tmp_path / "one").code == 0
    launcher = [python(), "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    subprocess.run(
        [*launcher, "-m", "daedal", *arguments, "--out", str(tmp_path / "two")],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert logged(tmp_path / "one", "loss") == pytest.approx(logged(tmp_path / "two", "loss"), abs=1e-4)


@pytest.fixture(scope="session")
def tuned(home: Path) -> dict[str, Path]:
    """A run of all weights, one of a LoRA and one of a LoRA beside four bits, each measured."""
    ways: dict[str, tuple[str, ...]] = {"full": (), "lora": ("--lora", "8"), "qlora": ("--qlora",)}
    for name, way in ways.items():
        start = ("train", "chat", "--data", home / "data", "--init", home / "base", "--learning-rate", "0.01")
        ended = run(*start, "--steps", "40", *LINE[2:], *way, "--out", home / name)
        assert ended.code == 0, ended.err
    return {name: home / name for name in ways}


@pytest.mark.parametrize("way", ["full", "lora", "qlora"])
def test_a_run_learns_answers_is_measured_and_is_used_as_any_other(
    way: str, tuned: dict[str, Path], tmp_path: Path
) -> None:
    losses = logged(tuned[way], "validation_loss")
    assert RunFolder(tuned[way]).records("metrics.jsonl")[0]["step"] == 0  # as it was before
    assert losses[-1] < 0.8 * losses[0]
    report = json.loads((tuned[way] / "evaluation.json").read_text())
    assert "of answers" in report["data"]["says"]
    model = daedal.load(tuned[way])
    answer = model.chat([{"role": "user", "content": "1 + 1?"}], max_tokens=8, seed=0)
    assert answer.text is not None
    assert run("chat", tuned[way], "--max-tokens", "4", stdin="Hello\n").code == 0
    assert run("export", tuned[way], "--to", tmp_path / "exported").code == 0
    assert daedal.load(tmp_path / "exported").fingerprint == model.fingerprint
    settings = json.loads((tmp_path / "exported" / "generation_config.json").read_text())
    assert settings["eos_token_id"] == TextCodec.load(tuned[way]).eos_id
    assert (tmp_path / "exported" / "chat_template.jinja").read_text() == LINES


def test_a_lora_run_is_merged(tuned: dict[str, Path], tmp_path: Path) -> None:
    assert run("merge", tuned["lora"], "--out", tmp_path / "merged").code == 0
    assert daedal.load(tmp_path / "merged").fingerprint == daedal.load(tuned["lora"]).fingerprint
    assert "holds no LoRA" in mistake("merge", tmp_path / "merged", "--out", tmp_path / "again")


def test_a_tuned_model_is_gone_on_with(tuned: dict[str, Path], home: Path, tmp_path: Path) -> None:
    start = ("train", "chat", "--data", home / "all", "--init", tuned["lora"], *LINE, "--out", tmp_path / "more")
    assert run(*start).code == 0
    assert "is itself a LoRA" in mistake(*start[:-1], tmp_path / "lora", "--lora", "4")
    assert load_model(tmp_path / "more").family == "gpt"


def test_the_plan_tells_what_is_left_out(home: Path) -> None:
    ended = run("plan", "chat", "--data", home / "all", "--init", home / "base", "--context", "40", *LINE)
    assert "conversations in" in ended.out
    assert "end after the last answer that fits" in ended.out
    assert "not even the first answer fits" in ended.out


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_tuned_is_told_in_one_line(home: Path, tmp_path: Path) -> None:
    def told(*more: str | Path, init: Path | None = home / "base", data: str = "all") -> str:
        start = ("train", "chat", "--data", home / data, *(() if init is None else ("--init", init)))
        return mistake(*start, *LINE, *more, "--out", tmp_path / "run")

    assert "no --init names one" in told(init=None)
    assert "holds no trained model" in told(init=home / "data")
    assert "has no linear layer 'wq'" in told("--lora", "4", "--lora-targets", "q_proj,wq")
    assert "do not learn" in told("--qlora", "--lora", "0")
    assert "--lora-targets is of a LoRA" in told("--lora-targets", "q_proj")
    assert "--lora-alpha is of a LoRA" in told("--lora-alpha", "8")
    assert "an answer ends within 8 tokens" in told("--context", "8")
    assert "a context of 96" in told("--context", "512")
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_family_is_refused(home: Path, tmp_path: Path) -> None:
    from daedal.models.identity import Identity

    Identity.of("music", "tunes", {"tune": "tune_codec.json"}, ["compose"]).write(
        _copied(home / "base", tmp_path / "m")
    )
    told = mistake("train", "chat", "--data", home / "all", "--init", tmp_path / "m", *LINE, "--out", tmp_path / "run")
    assert "is a music that has learned tunes, not a gpt of text" in told


def _copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_conversations_that_a_template_refuses_are_left_out_and_counted(home: Path, tmp_path: Path) -> None:
    strict = (
        "{% for message in messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
        "{{ message['role'] + ': ' + message['content'] + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    (_copied(home / "base", tmp_path / "strict") / "chat_template.jinja").write_text(strict)
    rows = conversations(40)
    rows += [{"messages": [{"role": "assistant", "content": f"Out of order {i}"}] * 2} for i in range(3)]
    rows += [{"messages": [{"role": "user", "content": "?"}]}, {"messages": [{"role": "user", "content": ""}]}]
    built = api.build_data([written(tmp_path / "c.jsonl", rows)], tmp_path / "data", split=(100, 0, 0))
    assert isinstance(built, ExampleDataset)
    assert len(built.split("train")) == 43  # those without an answer are not even built
    ended = run("plan", "chat", "--data", tmp_path / "data", "--init", tmp_path / "strict", *LINE)
    assert "11 are left out, since the chat template refuses them" in ended.out, ended
    only = api.build_data([written(tmp_path / "d.jsonl", rows[40:43])], tmp_path / "none", split=(100, 0, 0))
    assert isinstance(only, ExampleDataset)
    told = mistake("plan", "chat", "--data", tmp_path / "none", "--init", tmp_path / "strict", *LINE)
    assert "its chat template refuses all" in told


def test_a_tokenizer_without_an_end_of_text_is_refused(home: Path, tmp_path: Path) -> None:
    folder = _copied(home / "base", tmp_path / "endless")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(DaedalError, match="has no end of text"):
        open_learner("chat", home / "all", str(folder))


# -- votes -------------------------------------------------------------------------------------------------------------


def test_thumbs_become_preferences(tuned: dict[str, Path], tmp_path: Path) -> None:
    votes = tmp_path / "votes.jsonl"
    said = "+\n1 + 1?\n+\n+\n2 + 2?\n/bad\n"
    ended = run("chat", tuned["full"], "--feedback", votes, "--max-tokens", "6", "--seed", "1", stdin=said)
    assert ended.code == 0, ended
    assert ended.err.count("no answer that you have not judged") == 2
    rows = [json.loads(line) for line in votes.read_text().splitlines()]
    assert [row["label"] for row in rows] == [True, False]
    assert [len(row["prompt"]) for row in rows] == [1, 3]
    votes.write_text(votes.read_text().rstrip("\n"))  # as an editor may leave it
    again = "".join(f"{number} + 1?\n-\n" for number in range(8))
    assert run("chat", tuned["full"], "--feedback", votes, "--max-tokens", "6", "--seed", "2", stdin=again).code == 0
    built = api.build_data([votes], tmp_path / "built", near_duplicates="off")
    assert built.kind_name == "preferences"
    assert "is not a file" in mistake("chat", tuned["full"], "--feedback", tmp_path)
