"""What a model of each shape reaches in so many seconds of one core: where the plan's rules come from (docs/log.md).

    python benchmarks/sweep.py DATA_FOLDER CONFIGS.jsonl OUT.jsonl

A configuration is a JSON object of plan values and `seconds`; what it leaves out is taken from `DEFAULTS`. The clock is the
process's own processor time on one thread, so that other work on the machine disturbs little, and the schedule runs over it.
"""

import json
import sys
import time
from pathlib import Path

import torch

from daedal.data.shards import Dataset
from daedal.evaluation.documents import Documents
from daedal.evaluation.likelihood import evaluate_documents
from daedal.models.gpt import GPT
from daedal.models.model import Moment
from daedal.training.groups import gpt_optimizer
from daedal.training.language import LanguageTask
from daedal.training.plan import GPTPlan
from daedal.training.rules import gpt_config
from daedal.training.schedule import trapezoid

DEFAULTS = {
    "seconds": 25.0, "architecture": "qwen3", "width": 96, "depth": 3, "context": 64, "batch": 16, "optimizer": "muon",
    "learning_rate": 0.01, "muon_learning_rate": 0.02, "cooldown": 0.7, "seed": 0,
}  # fmt: skip


def run(config: dict, dataset: Dataset) -> dict[str, float]:
    values = {**DEFAULTS, **config}
    seconds = values.pop("seconds")
    heads = values.get("heads", max(1, values["width"] // 32))
    gated = values["architecture"] not in ("gpt2", "swift")
    derived = {
        "heads": heads, "kv_heads": heads, "head_width": values["width"] // heads, "micro_batch": values["batch"],
        "mlp_width": -(-8 * values["width"] // 3 // 32) * 32 if gated else 4 * values["width"],
        "steps": 1, "evaluate_every": 1, "sample_every": 1, "checkpoint_every": 1,
    }  # fmt: skip
    plan = GPTPlan.parse({**derived, **values, "data": "", "vocab_size": dataset.codec.vocab_size}, "sweep")
    model = GPT(gpt_config(plan))
    model.initialise(torch.Generator().manual_seed(plan.seed))
    task, optimizer, parameters = (
        LanguageTask(model, dataset, plan),
        gpt_optimizer(model, plan),
        list(model.parameters()),
    )
    step, start = 0, time.process_time()
    while (fraction := (time.process_time() - start) / seconds) < 1:
        for parameter in parameters:
            parameter.grad = None
        batch = task.batch(step * plan.batch, plan.batch)
        model.loss(batch.at(Moment(batch.count))).total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
        optimizer.step(trapezoid(fraction, fraction, plan.warmup, plan.cooldown))
        step += 1
    measured = evaluate_documents(model, Documents.of_split(dataset.split("validation"), dataset.codec))
    return {
        "steps": step, "tokens": step * plan.batch * plan.context, "parameters": model.parameter_count,
        "nats_per_character": measured.nats_per_character.value, "bits_per_byte": measured.bits_per_byte.value,
    }  # fmt: skip


def main() -> None:
    folder, configs, out = sys.argv[1:]
    torch.set_num_threads(1)
    dataset = Dataset.open(Path(folder))
    for line in Path(configs).read_text().splitlines():
        if line.strip():
            result = {**json.loads(line), **run(json.loads(line), dataset)}
            with Path(out).open("a") as file:
                file.write(json.dumps(result) + "\n")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
