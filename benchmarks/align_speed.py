"""DPO and GRPO beside TRL's trainers: the same model, data, batch and answers, steps a second.

    python benchmarks/align_speed.py PREFERENCES INIT [--seconds 60] [--answer 64] [--only ours-dpo ...]

PREFERENCES is a folder that `daedal data build` made of ragged pairs, INIT a run of `daedal train gpt` or `chat`. TRL is given
the same pairs and the same prompts as texts; its batches are padded, which is what it does on a CPU. Both have a batch of 32
pairs, or 64 answers, 8 to a prompt, of at most `--answer` tokens; one step a rollout; a constant learning rate of 1e-5, so that
answers keep their length. Seconds are of this process and its threads, of steps alone. Needs the extra `bench`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time as clock
from typing import Any

import torch

from daedal.alignment.offline import PairTask
from daedal.alignment.online import OnlineTask
from daedal.training.learner import open_learner
from daedal.training.machine import Machine
from daedal.training.planning import Time
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Trainer

WAYS = ("ours-dpo", "trl-dpo", "ours-grpo", "trl-grpo")
RATE, PAIRS, SAMPLES, PROMPTS, WARM = 1e-5, 32, 8, 8, 2
REWARD = "rule:length:40"


def planned(method: str, data: str, init: str, answer: int) -> tuple[Any, Any]:
    """A plan with what both sides share, and what is learned."""
    learner: Any = open_learner(method, data, init)
    threads = torch.get_num_threads()
    machine = Machine(
        device="cpu", name="this", cores=threads, threads=threads, memory=2**33, gflops=50.0, precision="fp32", compiler=False
    )  # fmt: skip
    values: dict[str, Any] = {"seed": 0, "steps": 10**6, "learning_rate": RATE, "warmup": 0.0, "cooldown": 0.0}
    if method == "dpo":
        values |= {"batch": PAIRS, "micro_batch": PAIRS}
    else:
        rollout = SAMPLES * PROMPTS
        values |= {
            "reward": REWARD, "answer": answer, "samples": SAMPLES, "rollout": rollout, "batch": rollout,
            "micro_batch": rollout,
        }  # fmt: skip
    plan = learner._draft(learner.facts(values), Time.of(None, values), machine, values)[1]
    return plan, learner.task(plan)


def ours(method: str, options: argparse.Namespace) -> dict[str, float]:
    plan, task = planned(method, options.data, options.init, options.answer)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run")
        run.write_plan(plan)
        group = Processes(torch.device("cpu"))
        trainer = Trainer(task, plan, run, group)
        step, start, tokens = 0, 0.0, 0
        while step < WARM + 1 or clock() - start < options.seconds:
            if step == WARM:
                start, tokens = clock(), 0
            trainer.step = step
            task.begin_step(step, group)
            batches = trainer._micro_batches(step)
            trainer._step(batches)
            tokens += sum(batch.sequences.packing.tokens for batch in batches)
            step += 1
        used = clock() - start
        return {"steps": (step - WARM) / used, "tokens": tokens / used, "seconds": used}


def watched(seconds: float) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        start, steps = 0.0, 0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == WARM:
                self.start = clock()
            self.steps = state.global_step - WARM
            if self.steps > 0 and clock() - self.start > seconds:
                control.should_training_stop = True

    return Watch()


def trl(method: str, options: argparse.Namespace) -> dict[str, float]:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

    _, task = planned(method, options.data, options.init, options.answer)
    tokenizer, watch = AutoTokenizer.from_pretrained(options.init), watched(options.seconds)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(options.init, dtype=torch.float32)
    common: dict[str, Any] = {
        "use_cpu": True, "bf16": False, "report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True,
        "learning_rate": RATE, "lr_scheduler_type": "constant", "max_steps": 10**6, "gradient_checkpointing": False,
        "dataloader_pin_memory": False, "seed": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if method == "dpo":
            assert isinstance(task, PairTask)
            told = ((*chosen, other[1]) for chosen, other in task.train.examples)
            named = (zip(("prompt", "chosen", "rejected"), map(tokenizer.decode, each), strict=True) for each in told)
            texts = [dict(each) for each in named]
            config = DPOConfig(
                output_dir=folder, per_device_train_batch_size=PAIRS, beta=0.1, max_length=task.plan.context, **common
            )
            reference = AutoModelForCausalLM.from_pretrained(options.init, dtype=torch.float32)
            trainer: Any = DPOTrainer(
                model, reference, args=config, train_dataset=Dataset.from_list(texts), processing_class=tokenizer,
                callbacks=[watch],
            )  # fmt: skip
        else:
            assert isinstance(task, OnlineTask)
            prompts = [{"prompt": tokenizer.decode(each.ids)} for each in task.prompts]

            def reward(completions: list[str], **_: Any) -> list[float]:
                return [-abs(len(each) - 40) / 40 for each in completions]

            config = GRPOConfig(
                output_dir=folder, per_device_train_batch_size=SAMPLES * PROMPTS, num_generations=SAMPLES, beta=0.02,
                max_completion_length=options.answer, temperature=1.0, **common,
            )  # fmt: skip
            trainer = GRPOTrainer(
                model, reward_funcs=reward, args=config, train_dataset=Dataset.from_list(prompts), processing_class=tokenizer,
                callbacks=[watch],
            )  # fmt: skip
        trainer.train()
        used = clock() - watch.start
    return {"steps": watch.steps / used, "seconds": used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("init")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, method = options.one.split("-")
        print(json.dumps((ours if side == "ours" else trl)(method, options)))
        return
    found = {}
    for way in options.only:
        command = [sys.executable, __file__, options.data, options.init, "--one", way]
        command += [f"--seconds={options.seconds}", f"--answer={options.answer}"]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[way] = json.loads(ended.stdout.splitlines()[-1])
        print(f"{way:<10} {found[way]['steps']:.3f} steps/s in {found[way]['seconds']:.0f} s", flush=True)
    for method in ("dpo", "grpo"):
        if {f"ours-{method}", f"trl-{method}"} <= found.keys():
            print(f"{method}: {found[f'ours-{method}']['steps'] / found[f'trl-{method}']['steps']:.2f} times")


if __name__ == "__main__":
    main()
