"""Supervised fine-tuning beside TRL's SFTTrainer and PEFT: the same model, conversations, masks, batch and learning rate.

    python benchmarks/chat.py DATA INIT [--seconds 60]        speed, and the loss after equal seconds
    python benchmarks/chat.py DATA INIT --memory              peak memory of a model of 12 layers of width 768, a pack at once

DATA is a folder that `daedal data build` made of ragged conversations, INIT a run of `daedal train gpt`. TRL is given the ids
and masks that are learned here: packed (best fit, as here; without FlashAttention, which a CPU has not, its packed rows see one
another), and padded. Every way runs in a process of its own, with as many threads as OMP_NUM_THREADS says. Seconds are those of
the processor, over all threads: with one on an idle machine they are the clock's. TRL's rate is of its steps alone, without
its start. Needs the extra `bench`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from time import process_time as clock
from typing import Any

import numpy as np
import torch

from daedal.models.checkpoint import load_model, save_model
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.model import IGNORE
from daedal.training.chat_plan import ChatPlan
from daedal.training.chats import ChatTask
from daedal.training.learner import open_learner
from daedal.training.machine import Machine
from daedal.training.packs import Packs
from daedal.training.planning import Time
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Trainer

WAYS = ("daedal", "daedal lora", "trl packed", "trl padded", "trl packed lora", "trl padded lora")
MEMORY = (
    "daedal", "daedal lora", "daedal qlora", "daedal recomputed", "daedal lora recomputed", "daedal qlora recomputed",
)  # fmt: skip
RANK, ALPHA = 16, 32
WARM = 2  # steps that are not timed


def planned(data: str, init: str, **given: Any) -> ChatPlan:
    """What the planner chooses but for the length of the run."""
    learner = open_learner("chat", data, init)
    threads = torch.get_num_threads()
    machine = Machine(
        device="cpu",
        name="this",
        cores=threads,
        threads=threads,
        memory=2**33,
        gflops=50.0,
        precision="fp32",
        compiler=False,
    )
    values = {"seed": 0, "steps": 1, **given}
    found = learner._draft(learner.facts(values), Time.of(None, values), machine, values)[1]
    assert isinstance(found, ChatPlan)
    return found


def trainer_of(plan: ChatPlan, folder: str) -> tuple[Trainer, ChatTask]:
    plan = plan.but(cooldown=0.0, warmup=0.0, steps=10**6)
    assert plan.init is not None
    task = open_learner("chat", plan.data, plan.init).task(plan)
    assert isinstance(task, ChatTask)
    run = RunFolder.create(Path(folder) / "run")
    run.write_plan(plan)
    return Trainer(task, plan, run, Processes(torch.device("cpu"))), task


def daedal(plan: ChatPlan, seconds: float, steps: int = 10**9) -> dict[str, float]:
    """Train by the trainer's own step for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, task = trainer_of(plan, folder)
        learned = taken = 0
        start = clock()
        for step in range(steps):
            trainer.step = step
            _, count = trainer._step(trainer._micro_batches(step))
            if step == WARM - 1:
                start, learned, taken = clock(), 0, 0
            else:
                learned, taken = learned + count, taken + 1
            if step >= WARM and clock() - start > seconds:
                break
        used = clock() - start
        task.model.eval()
        found = task.validate(Processes(torch.device("cpu")), nullcontext()) if seconds > 1 else {}
        return {"steps": taken / used, "answers": learned / used, "loss": found.get("validation_loss", float("nan"))}


def rows(packs: Packs) -> Any:
    """The conversations as TRL takes them: ids, and which of these are learned."""
    from datasets import Dataset

    ids, masks = [], []
    for row in range(len(packs.lengths)):
        read, targets = packs._row(row)
        last = targets[-1:]
        ids.append(np.concatenate([read, last]).tolist())
        masks.append([0, *(targets != IGNORE).astype(int).tolist()])
    return Dataset.from_dict({"input_ids": ids, "completion_mask": masks})


def trl(plan: ChatPlan, packed: bool, lora: bool, seconds: float) -> dict[str, float]:
    """The same by TRL."""
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    assert plan.init is not None
    task = open_learner("chat", plan.data, plan.init).task(plan.but(lora=0, qlora=False))
    assert isinstance(task, ChatTask)
    each = plan.micro_batch if packed else round(plan.micro_batch * len(task.train.lengths) / len(task.train))

    class Clock(TrainerCallback):  # type: ignore[misc]
        start, steps = 0.0, 0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == WARM:
                self.start, counted[0] = clock(), 0
            self.steps = state.global_step - WARM
            if self.steps > 0 and clock() - self.start > seconds:
                control.should_training_stop = True

    counted = [0]
    watch = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, use_cpu=True, packing=packed, max_length=plan.context + 1, completion_only_loss=True,
            per_device_train_batch_size=each, gradient_accumulation_steps=plan.batch // plan.micro_batch, max_steps=10**6,
            learning_rate=plan.learning_rate, lr_scheduler_type="constant", weight_decay=plan.weight_decay,
            adam_beta1=plan.beta1, adam_beta2=plan.beta2, max_grad_norm=plan.clip, bf16=False, report_to=[],
            save_strategy="no", logging_strategy="no", gradient_checkpointing=False, disable_tqdm=True,
            dataloader_pin_memory=False, seed=0,
        )  # fmt: skip
        peft = (
            LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM") if lora else None
        )
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(plan.init, dtype=torch.float32),
            processing_class=AutoTokenizer.from_pretrained(plan.init), args=config, train_dataset=rows(task.train),
            peft_config=peft, callbacks=[watch],
        )  # fmt: skip
        collate = trainer.data_collator

        def counting(examples: Any) -> Any:
            batch = collate(examples)
            counted[0] += int((batch["labels"] != IGNORE).sum())
            return batch

        trainer.data_collator = counting
        trainer.train()
        used = clock() - watch.start
        learned = trainer.model.merge_and_unload() if lora else trainer.model
        learned.save_pretrained(Path(folder) / "model")
        model = load_model(Path(folder) / "model")
    task.model = model
    found = task.validate(Processes(torch.device("cpu")), nullcontext())
    return {"steps": watch.steps / used, "answers": counted[0] / used, "loss": found["validation_loss"]}


def one(way: str, plan: ChatPlan, seconds: float, steps: int) -> dict[str, float]:
    name, *more = way.split()
    rank = {} if "lora" not in way else {"lora": RANK, "learning_rate": 10 * plan.learning_rate}
    plan = plan.but(lora_alpha=float(ALPHA), qlora="qlora" in more, recompute="recomputed" in more, **rank)
    found = daedal(plan, seconds, steps) if name == "daedal" else trl(plan, "packed" in more, "lora" in more, seconds)
    return found | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}


def large(init: str, folder: Path) -> str:
    """A model of 12 layers of width 768 that has the tokenizer of another, and has learned nothing."""
    other = load_model(init)
    assert isinstance(other, GPT)
    from daedal.codecs.text import TextCodec

    shape = GPTConfig.of("qwen3", vocab_size=other.config.vocab_size, width=768, depth=12, heads=12, context=512)
    save_model(GPT(shape), folder, codec=TextCodec.load(init))
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("init")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", help="one of the ways, in this process")
    given = parser.parse_args()
    if given.only:
        # of a large model three steps tell all
        how = {"context": 512, "batch": 2, "micro_batch": 1} if given.memory else {}
        plan = planned(given.data, given.init, **how)
        print(json.dumps(one(given.only, plan, given.seconds, 3 if given.memory else 10**9)))
        return
    with tempfile.TemporaryDirectory() as folder:
        init = large(given.init, Path(folder) / "large") if given.memory else given.init
        told = {}
        for way in MEMORY if given.memory else WAYS:
            more = ["--memory", "--seconds", "0"] if given.memory else ["--seconds", str(given.seconds)]
            command = [sys.executable, __file__, given.data, init, "--only", way, *more]
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            told[way] = found = json.loads(ended.stdout.splitlines()[-1])
            print(
                f"{way:<23} {found['steps']:6.2f} steps/s  {found['answers']:8,.0f} tokens of answers/s  "
                f"held-out loss {found['loss']:.3f}  {found['memory']:,.0f} MiB", flush=True,
            )  # fmt: skip
        if given.memory:
            for way in MEMORY:
                whole = told["daedal recomputed" if "recomputed" in way else "daedal"]
                print(f"{way}: {told[way]['memory'] / whole['memory']:.0%} of the memory of all weights")
        else:
            for way in WAYS[2:]:
                mine = told["daedal lora" if "lora" in way else "daedal"]
                print(f"{mine['answers'] / told[way]['answers']:.2f} times {way} in tokens of answers a second")


if __name__ == "__main__":
    main()
