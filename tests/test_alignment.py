"""Alignment: losses on numbers worked out by hand, answers whose log-probabilities are the trainer's, runs in pieces."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from command_line import mistake
from daedal import api
from daedal.alignment.divergence import Controller, k1, k3
from daedal.alignment.dpo import dpo
from daedal.alignment.grpo import group_advantages, grpo
from daedal.alignment.kto import kto, mismatched_divergence, weights
from daedal.alignment.loop import Loop
from daedal.alignment.ppo import advantages, policy_losses, token_rewards, value_losses, whitened
from daedal.alignment.rewards import Asked, reward_of
from daedal.alignment.rollout import generate, likelihoods, log_probabilities, said
from daedal.errors import DaedalError
from daedal.models.adapter import WEIGHTS, Settings, adapt, loras
from daedal.models.checkpoint import load_model
from daedal.training.metrics import Silence
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted
from runs import logged, same
from test_gpt import build
from warm_python import python

METHODS = ("dpo", "kto", "ppo", "grpo")
ONLINE = {"reward": "rule:contains:nice", "answer": 20, "held_prompts": 4, "rollout": 16, "batch": 8, "micro_batch": 4}
ALIKE = {"steps": 6, "threads": 1, "log_every": 1, "evaluate_every": 3, "sample_every": 6, "learning_rate": 1e-3}


# -- losses by hand --------------------------------------------------------------------------------------------------------


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_dpo_is_the_papers_formula() -> None:
    chosen, rejected = torch.tensor([2.0, -1.0]), torch.tensor([-1.0, 0.5])
    found = dpo(chosen, rejected, beta=0.5)
    # margins 3 and -1.5, times beta 1.5 and -0.75
    expected = torch.tensor([-math.log(sigmoid(1.5)), -math.log(sigmoid(-0.75))])
    torch.testing.assert_close(found.losses, expected)
    torch.testing.assert_close(found.chosen, torch.tensor([1.0, -0.5]))
    smooth = dpo(chosen, rejected, beta=0.5, smoothing=0.1).losses
    torch.testing.assert_close(smooth[0], torch.tensor(-0.9 * math.log(sigmoid(1.5)) - 0.1 * math.log(sigmoid(-1.5))))
    # (margin - 1 / (2 beta))^2 = (3 - 1)^2, (-1.5 - 1)^2
    torch.testing.assert_close(dpo(chosen, rejected, beta=0.5, form="ipo").losses, torch.tensor([4.0, 6.25]))


def test_swapping_the_answers_turns_the_margin_round() -> None:
    chosen, rejected = torch.randn(9), torch.randn(9)
    one, other = dpo(chosen, rejected), dpo(rejected, chosen)
    torch.testing.assert_close(one.chosen - one.rejected, other.rejected - other.chosen)


def test_kto_is_the_papers_formula() -> None:
    ratios, liked = torch.tensor([2.0, 2.0]), torch.tensor([True, False])
    found = kto(ratios, liked, 1.0, beta=0.5, up=2.0, down=3.0)
    torch.testing.assert_close(found, torch.tensor([2 * (1 - sigmoid(0.5)), 3 * (1 - sigmoid(-0.5))]))
    assert mismatched_divergence(torch.tensor([-3.0, 1.0])) == 0.0
    assert mismatched_divergence(torch.tensor([3.0, 1.0])) == 2.0
    assert weights(100, 50) == (1.0, 2.0)
    assert weights(50, 100) == (2.0, 1.0)


def test_divergences_are_estimated_without_bias_and_k3_is_never_negative() -> None:
    policy = torch.log_softmax(torch.randn(7, dtype=torch.float64), 0)
    reference = torch.log_softmax(torch.randn(7, dtype=torch.float64), 0)
    exact = (policy.exp() * (policy - reference)).sum()
    for estimate in (k1, k3):
        torch.testing.assert_close((policy.exp() * estimate(policy, reference)).sum(), exact)
    assert bool((k3(policy, reference) >= 0).all())


def test_the_weight_of_the_divergence_follows_its_target() -> None:
    fixed, moved = Controller(0.1), Controller(0.1, target=2.0)
    for each in (fixed, moved):
        each.see(10.0)
    assert fixed.beta == 0.1
    assert moved.beta == pytest.approx(0.1 * 1.02)  # clipped at 0.2, times a gain of 0.1
    moved.see(1.9)
    assert moved.beta == pytest.approx(0.102 * (1 - 0.1 * 0.05))


def test_advantages_are_those_worked_out_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0], [0.5, 2.0, 9.0]])
    values = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.6, 9.0]])
    known = torch.tensor([[True, True, True], [True, True, False]])
    gains, wanted = advantages(rewards, values, known, gamma=0.9, decay=0.5)
    # delta: 0 + .9 x .2 - .1 = .08, 0 + .9 x .3 - .2 = .07, 1 - .3 = .7; each with .45 times the next
    third, second = 0.7, 0.07 + 0.45 * 0.7
    expected = [[0.08 + 0.45 * second, second, third], [0.5 + 0.9 * 0.6 - 0.4 + 0.45 * 1.4, 1.4, 0.0]]
    torch.testing.assert_close(gains, torch.tensor(expected))
    torch.testing.assert_close(wanted, (gains + values) * known)


def test_the_reward_comes_with_the_last_token_and_each_pays_for_its_divergence() -> None:
    known = torch.tensor([[True, True, False], [True, False, False]])
    earned = token_rewards(torch.tensor([3.0, -1.0]), torch.tensor([[0.5, 1.0, 7.0], [2.0, 7.0, 7.0]]), known, 0.1)
    torch.testing.assert_close(earned, torch.tensor([[-0.05, 2.9, 0.0], [-1.2, 0.0, 0.0]]))


def test_ratios_are_clipped_where_that_is_less() -> None:
    old = torch.zeros(4)
    policy = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5]))
    found = policy_losses(policy, old, torch.tensor([1.0, -1.0, 1.0, -1.0]))
    torch.testing.assert_close(found.losses, -torch.tensor([1.2, -1.5, 0.5, -0.8]))
    assert found.clipped.tolist() == [True, False, False, True]
    value = value_losses(torch.tensor([1.0, 0.1]), torch.zeros(2), torch.tensor([2.0, 0.0]), 0.2)
    torch.testing.assert_close(value.losses, torch.tensor([1.8**2 / 2, 0.01 / 2]))


def test_whitened_has_mean_0_and_deviation_1() -> None:
    found = whitened(torch.tensor([1.0, 2.0, 6.0]))
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.std(correction=0)) == pytest.approx(1, abs=1e-6)


def test_answers_are_compared_with_the_others_of_their_group() -> None:
    rewards = torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]])
    deviation = math.sqrt((4 + 1 + 9) / 3)
    group = group_advantages(rewards)
    torch.testing.assert_close(group[0], torch.tensor([-2.0, -1.0, 3.0]) / (deviation + 1e-4))
    torch.testing.assert_close(group_advantages(rewards, "rloo")[0], torch.tensor([1.0 - 4.0, 2.0 - 3.5, 6.0 - 1.5]))
    torch.testing.assert_close(group_advantages(rewards, "mean")[0], torch.tensor([-2.0, -1.0, 3.0]))
    for baseline in ("group", "rloo", "mean"):
        assert not group_advantages(rewards, baseline)[1].any()  # type: ignore[arg-type]


def test_where_the_model_is_what_answered_grpo_is_reinforce() -> None:
    policy = torch.log(torch.tensor([0.2, 0.6])).requires_grad_()
    gains = torch.tensor([2.0, -1.0])
    found = grpo(policy, policy.detach(), policy.detach(), gains, beta=0.1)
    (gradient,) = torch.autograd.grad(found.losses.sum(), policy)
    torch.testing.assert_close(gradient, -gains)
    assert not found.divergences.any()


# -- answers ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "rank"), [("gpt2", 0), ("qwen3", 0), ("mistral", 0), ("qwen3", 4)])
def test_log_probabilities_of_answers_are_the_trainers_own(name: str, rank: int) -> None:
    model = build(name)
    if rank:
        adapt(model, Settings(rank, 8.0), torch.Generator().manual_seed(0))
        for lora in loras(model).values():
            for b in lora.b.values():
                torch.nn.init.normal_(b, std=0.1)
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [10]]
    answers = generate(model, prompts, samples=3, most=20, stop_ids=frozenset({0}), seed=7)
    assert [each.prompt for each in answers] == [tuple(prompt) for prompt in prompts for _ in range(3)]
    assert len({each.ids for each in answers[:3]}) > 1
    pairs = [(each.prompt, each.ids) for each in answers]
    read = said(pairs)
    likely = likelihoods(model, read.sequences, read.targets)
    ours = torch.cat([torch.tensor(each.log_probabilities) for each in answers])
    torch.testing.assert_close(likely.log_probabilities, ours, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat(log_probabilities(model, pairs, tokens=40)), ours, atol=1e-5, rtol=0)
    for each in answers:
        assert each.ended == (each.ids[-1] == 0)
        assert 0 not in each.ids[:-1]


def test_answers_follow_the_seed_and_not_what_is_answered_beside() -> None:
    model = build("qwen3")
    how: dict[str, Any] = {"most": 12, "stop_ids": frozenset({0})}
    together = generate(model, [[1, 2], [3, 4, 5]], samples=2, seed=3, **how)
    assert together == generate(model, [[1, 2], [3, 4, 5]], samples=2, seed=3, **how)
    alone = generate(model, [[3, 4, 5]], samples=1, seed=3, numbers=[1], **how)
    assert alone[0].ids == together[3].ids
    assert together != generate(model, [[1, 2], [3, 4, 5]], samples=2, seed=4, **how)


# -- rewards ---------------------------------------------------------------------------------------------------------------


def asked(text: str, prompt: str = "", known: str | None = None) -> Asked:
    return Asked([{"role": "user", "content": prompt}], text, known)


@pytest.mark.parametrize(
    ("rule", "answer", "worth"),
    [
        ("rule:length:10", asked("a" * 15), -0.5),
        ("rule:contains:Yes", asked("oh yes"), 1.0),
        ("rule:contains:a:b", asked("a:b"), 1.0),
        ("rule:regex:[0-9]+", asked(" 42\n"), 1.0),
        ("rule:regex:[0-9]+", asked("42!"), 0.0),
        ("rule:json", asked('{"a": [1]}'), 1.0),
        ("rule:json", asked("{"), 0.0),
        ("rule:json", asked("[" * 100_000), 0.0),
        ("rule:arithmetic", asked("that is 12", "What is 3 + 9?"), 1.0),
        ("rule:arithmetic", asked("13", "What is 3 + 9?"), 0.0),
        ("rule:arithmetic", asked("-4", "2 * (3 - 5) ="), 1.0),
        ("rule:arithmetic", asked("1", "1 / 0 ="), 0.0),
        ("rule:arithmetic", asked("7", "no sum"), 0.0),
        ("rule:exact", asked(" Paris ", known="Paris"), 1.0),
        ("rule:exact", asked("Rome", known="Paris"), 0.0),
        ("rule:exact", asked("Rome"), 0.0),
    ],
)
def test_rules_tell_what_an_answer_is_worth(rule: str, answer: Asked, worth: float) -> None:
    assert reward_of(rule)([answer]) == [worth]


@pytest.mark.parametrize(
    "named",
    [
        *(
            "rule:none",
            "rule:length:x",
            "rule:contains",
            "rule:regex:(",
            "no_module:reward",
            "math:none",
            "rule:class:a",
        ),
        *(f"rule:length:{'9' * 5000}", f"rule:regex:{'(' * 5000}"),
    ],
)
def test_a_reward_that_is_none_is_told(named: str) -> None:
    with pytest.raises(DaedalError):
        reward_of(named)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('no')", "failed \\(ValueError: no\\)"),
        ("return [float('nan')]", "is nan"),
        ("return [1, 2]", "a number for each answer"),
        ("return None", "a number for each answer"),
        ("return [1e300]", "is 1e\\+300 for an answer"),
        ("raise SystemExit(0)", "failed \\(SystemExit: 0\\)"),
        ("raise KeyboardInterrupt", "failed \\(KeyboardInterrupt\\)"),
        ("raise ValueError('one\\ntwo' + 1000 * 'x')", "ValueError: one.twox{200,300}\\)"),
        ("import time; time.sleep(2)", "gave no answer"),
    ],
)
def test_a_function_that_fails_is_told_in_a_line(
    body: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"reward_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"def reward(prompts, completions, answers):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("daedal.alignment.rewards._PATIENCE", 0.3)
    with pytest.raises(DaedalError, match=told):
        reward_of(f"{name}:reward")([asked("x")])


def test_a_function_is_told_prompts_answers_and_what_the_data_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_reward.py").write_text(
        "def reward(prompts, completions, answers):\n"
        "    return [len(p[0]['content']) + len(c) + len(a or '') for p, c, a in zip(prompts, completions, answers)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert reward_of("my_reward:reward")([asked("abc", "hi", "x"), asked("")]) == [6.0, 0.0]


def test_a_function_may_change_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "changing_reward.py").write_text(
        "def reward(prompts, completions, answers):\n    prompts[0][0]['content'] = ''\n    return [1]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    answer = asked("x", "What?")
    assert reward_of("changing_reward:reward")([answer]) == [1.0]
    assert answer.messages[0]["content"] == "What?"


def test_a_module_that_ends_the_process_is_no_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ending_reward.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DaedalError, match="cannot be imported \\(SystemExit: 0\\)"):
        reward_of("ending_reward:reward")


def test_a_function_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(
        "import time\n"
        "from daedal.alignment import rewards\n"
        "def reward(prompts, completions, answers):\n    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    rewards._PATIENCE = 0.1\n"
        "    rewards.reward_of('hanging:reward')([rewards.Asked([], 'x')])\n"
    )
    ended = subprocess.run([sys.executable, "hanging.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "gave no answer" in ended.stderr


def test_a_pattern_that_takes_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.alignment.rewards._PATTERN_PATIENCE", 0.2)
    with pytest.raises(DaedalError, match="takes more than"):
        reward_of("rule:regex:(a|aa)+b")([asked("a" * 80)])


def test_texts_are_not_judged_as_pictures() -> None:
    with pytest.raises(DaedalError, match="judges pictures"):
        reward_of("rule:scenes")([asked("a red square")])


# -- runs ------------------------------------------------------------------------------------------------------------------


def conversation(number: int) -> tuple[str, str, str]:
    word = ("cat", "dog", "tree", "song")[number % 4]
    return f"Tell of the {word} {number}.", f"The {word} is nice.", f"The {word} is bad."


@pytest.fixture(scope="session")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT that has learned conversations in which half of the answers are nice."""
    folder = tmp_path_factory.mktemp("assistant")
    rows = []
    for number in range(300):
        prompt, good, bad = conversation(number)
        answer = good if number % 7 < 3 else bad
        rows.append({"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]})
    (folder / "chats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    api.build_data([folder / "chats.jsonl"], folder / "chats", split=(100, 0, 0))
    settled: dict[str, Any] = {
        "width": 48,
        "depth": 2,
        "heads": 2,
        "context": 96,
        "batch": 8,
        "steps": 80,
        "threads": 1,
    }
    api.train("gpt", data=folder / "chats", out=folder / "run", **settled)
    return folder / "run"


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preferences")
    rows = [
        dict(zip(("prompt", "chosen", "rejected"), conversation(1000 + number), strict=True)) for number in range(80)
    ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    api.build_data([folder / "pairs.jsonl"], folder / "built")
    return folder / "built"


def settings(method: str, **changes: Any) -> dict[str, Any]:
    own = (
        {"batch": 8, "micro_batch": 4}
        if method in ("dpo", "kto")
        else ONLINE | ({"samples": 4} if method == "grpo" else {})
    )
    return {**ALIKE, **own, **changes}


@pytest.fixture(scope="session")
def aligned(assistant: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each method."""
    folder = tmp_path_factory.mktemp("aligned")
    for method in METHODS:
        api.train(method, data=preferences, init=str(assistant), out=folder / method, **settings(method))
    return {method: folder / method for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    method: str, aligned: dict[str, Path], assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    class Stop(Silence):
        def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
            if record["step"] == 3:  # within a rollout, of those that have them
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        api.train(
            method, data=preferences, init=str(assistant), out=tmp_path / "run", progress=Stop(), **settings(method)
        )
    assert RunFolder(tmp_path / "run").reference.is_dir()
    api.resume(tmp_path / "run")
    assert same(tmp_path / "run", aligned[method])
    assert not same(tmp_path / "run", assistant)


@pytest.mark.parametrize("method", ["dpo", "ppo"])
def test_a_lora_is_aligned_and_goes_on_bit_for_bit(
    method: str, assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    class Stop(Silence):
        def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
            if record["step"] == 3:
                signal.raise_signal(signal.SIGTERM)

    how = {"data": preferences, "init": str(assistant), **settings(method, lora=4)}
    api.train(method, out=tmp_path / "whole", **how)
    with pytest.raises(Interrupted):
        api.train(method, out=tmp_path / "run", progress=Stop(), **how)
    api.resume(tmp_path / "run")
    weights = [load_file(tmp_path / name / WEIGHTS) for name in ("whole", "run")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert any(tensor.any() for name, tensor in weights[0].items() if "lora_B" in name)
    assert not list((tmp_path / "run").glob("model*.safetensors"))
    assert same(RunFolder(tmp_path / "run").reference, assistant)
    api.merge(tmp_path / "run", tmp_path / "merged")
    ids = torch.arange(20)[None]
    alone, merged, before = (load_model(tmp_path / "run"), load_model(tmp_path / "merged"), load_model(assistant))
    torch.testing.assert_close(alone(ids), merged(ids), atol=1e-5, rtol=0)
    assert not torch.allclose(alone(ids), before(ids), atol=1e-3)
    assert "LoRA of rank 4" in RunFolder(tmp_path / "run").plan.explain()


@pytest.mark.parametrize("method", METHODS)
def test_an_accumulated_step_equals_one_large_batch(
    method: str, aligned: dict[str, Path], assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    large = settings(method, micro_batch=8)
    api.train(method, data=preferences, init=str(assistant), out=tmp_path / "run", **large)
    assert logged(tmp_path / "run", "loss") == pytest.approx(logged(aligned[method], "loss"), abs=5e-4)


@pytest.mark.parametrize("method", ["dpo", "grpo"])
def test_two_processes_equal_one(
    method: str, aligned: dict[str, Path], assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    given = settings(method)
    options = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    launcher = [python(), "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "daedal"]
    line = ["align", method, "--data", preferences, "--init", assistant, *options, "--out", tmp_path / "two"]
    subprocess.run(
        [*launcher, *map(str, line)], check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    for name in ("loss", "validation_loss" if method == "dpo" else "validation_reward"):
        assert logged(tmp_path / "two", name) == pytest.approx(logged(aligned[method], name), abs=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_an_aligned_model_comes_nearer_to_what_is_preferred_and_can_be_used(
    method: str, assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    api.train(
        method, data=preferences, init=str(assistant), out=tmp_path / "run",
        **settings(method, steps=30, evaluate_every=30, learning_rate=1e-3 if method == "grpo" else 3e-4),
    )  # fmt: skip

    def nice(run: Path) -> int:
        model = api.load(run)
        prompts = [[{"role": "user", "content": conversation(2000 + number)[0]}] for number in range(24)]
        return sum("nice" in model.chat(each, seed=0, max_tokens=20).text for each in prompts)

    before, after = nice(assistant), nice(tmp_path / "run")
    assert after > before + 2, (before, after)


def test_a_gpt_over_anything_else_and_data_without_preferences_are_refused(
    assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    line = ["--data", preferences, "--out", tmp_path / "run"]
    assert "nothing to align" in mistake("align", "dpo", *line)
    chats = ["--data", assistant.parent / "chats", *line[2:], "--init", assistant]
    assert "learns preferences" in mistake("align", "dpo", *chats)
    assert "no reward" in mistake("align", "grpo", *line, "--init", assistant)
    odd = [*line, "--init", assistant, "--reward", "rule:contains:nice", "--rollout", "9"]
    assert "9 answers cannot be 8 to each prompt" in mistake("align", "grpo", *odd)
    alone = [*odd[:-2], "--samples", "1"]
    assert "--samples: input should be greater than or equal to 2" in mistake("align", "grpo", *alone)
    long = [*odd[:-2], "--answer", "4000"]
    assert "leaves room for an answer of 4000 tokens in a context of 96" in mistake("align", "grpo", *long)
    for method in ("dpo", "kto"):
        free = [*line, "--init", assistant, "--beta", "0"]
        assert "--beta: input should be greater than 0" in mistake("align", method, *free)
    assert not (tmp_path / "run").exists()


def test_a_reward_that_fails_on_the_way_keeps_the_state(
    assistant: Path, preferences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaking.py").write_text(
        "calls = 0\n"
        "def reward(prompts, completions, answers):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    return [0.0 if calls < 7 else float('inf') for _ in completions]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    given = settings("grpo", reward="breaking:reward", steps=40, evaluate_every=40, sample_every=40, checkpoint_every=1)
    with pytest.raises(DaedalError, match="is inf for an answer"):
        api.train("grpo", data=preferences, init=str(assistant), out=tmp_path / "run", **given)
    assert RunFolder(tmp_path / "run").state is not None
    assert api.load(tmp_path / "run").generate("x", max_tokens=2, seed=0)


def test_a_model_that_leaves_where_it_began_is_stopped(assistant: Path, preferences: Path, tmp_path: Path) -> None:
    wild = settings(
        "ppo", learning_rate=3.0, steps=60, evaluate_every=60, sample_every=60, clip=0.0, warmup=0.0, cooldown=0.0
    )
    with pytest.raises(DaedalError, match=r"too far from where it began|diverged|not finite"):
        api.train("ppo", data=preferences, init=str(assistant), out=tmp_path / "run", **wild)


def test_where_a_reward_is_exploited_the_weights_are_kept_that_gold_finds_best(
    assistant: Path, preferences: Path, tmp_path: Path
) -> None:
    given = settings("grpo", reward="rule:contains:nice", gold="rule:contains:bad", steps=12, evaluate_every=2)
    said = {}
    for keep in ({}, {"keep": "last"}):
        run = tmp_path / f"run{len(said)}"
        api.train("grpo", data=preferences, init=str(assistant), out=run, **given, **keep)
        asked = [[{"role": "user", "content": conversation(3000 + number)[0]}] for number in range(24)]
        model = api.load(run)
        said[len(said)] = sum("bad" in model.chat(each, max_tokens=20, seed=1).text for each in asked)
    found = [each for each in RunFolder(run).records("metrics.jsonl") if "validation_gold" in each]
    best, last = max(found, key=lambda each: each["validation_gold"]), found[-1]
    assert best["validation_gold"] > last["validation_gold"]
    assert said[0] > said[1]
    assert "exploited" in (run / "report.html").read_text()
    assert "most gold" in RunFolder(tmp_path / "run0").plan.explain()


def test_a_loop_of_ones_own_learns(assistant: Path, tmp_path: Path) -> None:
    loop = Loop(assistant, learning_rate=1e-3)
    prompts = [conversation(3000 + number)[0] for number in range(4)]
    told = []
    for number in range(12):
        answers = loop.generate(prompts, samples=8, most=20, seed=number)
        told.append(loop.step(answers, [float("nice" in answer.text) for answer in answers])["reward"])
    assert sum(told[-3:]) > sum(told[:3]) + 0.3, told
    with pytest.raises(DaedalError, match="cannot be compared"):
        loop.step(answers, [1.0])
    loop.save(tmp_path / "mine")
    assert api.load(tmp_path / "mine").chat([{"role": "user", "content": prompts[0]}], max_tokens=20, seed=0).text


def test_what_was_aligned_is_measured_beside_what_it_began_as(aligned: dict[str, Path], preferences: Path) -> None:
    for method in METHODS:
        report = json.loads((aligned[method] / "evaluation.json").read_text())
        names = [each["name"] for each in report["measurements"]]
        assert ("win rate" in names) == (method in ("ppo", "grpo"))
        assert ("preferences told apart" in names) == (method == "dpo")
        assert report["model"]["says"] == f"aligned by {method}"
    again = api.evaluate(aligned["grpo"])
    assert {each.name for each in again.measurements} >= {"win rate", "reward"}
    assert "says nothing of what was aligned" in mistake("evaluate", aligned["grpo"], "--split", "test")
    page = (aligned["grpo"] / "report.html").read_text()
    assert "Reward over how far it went" in page


def test_what_a_chat_template_refuses_is_left_out_and_counted(assistant: Path, tmp_path: Path) -> None:
    shutil.copytree(assistant, tmp_path / "strict")
    (tmp_path / "strict" / "chat_template.jinja").write_text(
        "{% for each in messages %}{% if each.role == 'system' or loop.first and each.role != 'user' %}"
        "{{ raise_exception('no system message') }}{% endif %}"
        "{{ '<|im_start|>' + each.role + '\\n' + each.content + '<|im_end|>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    rows = []
    for number in range(80):
        prompt, good, bad = conversation(number)
        asked = [{"role": "user", "content": prompt}]
        if number % 4 == 0:
            asked.insert(0, {"role": "system", "content": "Be nice."})
        if number % 4 == 1:  # too long, and an assistant's turn is the oldest that is left
            asked = [*asked, {"role": "assistant", "content": 60 * "long "}, {"role": "user", "content": prompt}]
        rows.append({"prompt": asked, "chosen": good, "rejected": bad})
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    api.build_data([tmp_path / "pairs.jsonl"], tmp_path / "data")
    for method in ("dpo", "kto"):
        plan = api.make_plan(method, data=tmp_path / "data", init=str(tmp_path / "strict"), **settings(method))
        assert "are refused by the chat template, and are left out" in plan.why["Data"]
    plan = api.make_plan("reward", data=tmp_path / "data", init=str(tmp_path / "strict"), steps=2, threads=1)
    assert "are refused by the chat template, and are left out" in plan.why["Pairs"]
    given = settings("grpo", steps=1)
    plan = api.make_plan("grpo", data=tmp_path / "data", init=str(tmp_path / "strict"), **given)
    assert "refused by the chat template" in plan.why["Data"]
    api.train("grpo", data=tmp_path / "data", init=str(tmp_path / "strict"), out=tmp_path / "run", **given)
