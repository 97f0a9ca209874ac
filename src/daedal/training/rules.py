"""From a time budget, a machine and a data set to a plan. The numbers are our own sweeps' (docs/log.md, "The rules").

One idea holds them together: the budget times the machine's speed is an amount of computation, and for each amount there is a
size of model at which neither the model is too small nor the training too short.
"""

import math
import time
from typing import Any, Literal

import torch

from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.model import TokenBatch
from daedal.training.language import gpt_optimizer
from daedal.training.machine import Machine
from daedal.training.plan import Plan, Prediction

DEFAULT_BUDGET = 180.0
_HEAD_WIDTH = 32


def plan_gpt(
    dataset: Dataset,
    data: str,
    budget: float | None,
    machine: Machine,
    options: dict[str, Any],
    model: GPT | None = None,
    init: str | None = None,
) -> Plan:
    """Choose every value that `options` leaves open.

    Args:
        budget: seconds for the whole run; None leaves the length to `options["steps"]`.
        model: the model to go on with, whose shape is then given.

    Raises:
        DaedalError: an option does not fit, the data is too short, or the budget too short to train anything.
    """
    if budget is None and options.get("steps") is None:
        budget = DEFAULT_BUDGET
    if options.get("steps") is not None:
        budget = None
    train = dataset.split("train")
    seconds = budget * 0.85 - 3.0 if budget is not None else 120.0
    why: dict[str, str] = {}
    values: dict[str, Any] = {
        "family": "gpt",
        "data": data,
        "init": init,
        "budget": budget,
        "vocab_size": dataset.codec.vocab_size,
    }
    values |= {"device": machine.device, "threads": machine.threads, "precision": machine.precision}
    computation = max(seconds, 1.0) * machine.gflops * 1e9 * _efficiency(machine)
    values |= (
        _shape_of(model) if model is not None else _shape(computation, train.tokens, dataset.codec.vocab_size, options)
    )
    shape_words = (
        "it is the shape of the model to go on with"
        if model is not None
        else (
            f"about what {computation / 1e12:.1f} TFLOP train best ({machine.gflops:.0f} GFLOP/s measured on {machine.name})"
        )
    )
    why["Shape"] = shape_words
    values["context"] = options.get("context") or min(values["context"], max(2, train.tokens // 8))
    values |= _optimisation(values, machine, options, fine_tuning=model is not None)
    values |= {name: value for name, value in options.items() if value is not None}
    if "micro_batch" not in options:
        values["micro_batch"] = _micro_batch(values["batch"], values["context"], machine)
    placeholders = {"steps": values.get("steps", 1), "evaluate_every": 1, "sample_every": 1, "checkpoint_every": 1}
    draft = Plan.parse({**values, **{k: v for k, v in placeholders.items() if k not in values}}, "plan")
    model = model if model is not None else GPT(gpt_config(draft))
    step_seconds = _step_seconds(model, draft)
    if "steps" not in values:
        values["steps"] = int(seconds / step_seconds)
        if values["steps"] < 20:
            raise DaedalError(
                f"A budget of {budget:.0f} s allows {max(0, values['steps'])} steps of {step_seconds:.2f} s: too few to train anything",
                f"Give at least {math.ceil((20 * step_seconds + 3) / 0.85)} s, or a smaller --width and --depth",
            )
    values |= _rhythm(values["steps"], step_seconds, dataset, values)
    values["compile"] = options.get("compile", _compile_pays(machine, values["steps"] * step_seconds))
    tokens = values["steps"] * draft.tokens_per_step
    why["Length"] = (
        f"a step took {step_seconds * 1000:.0f} ms when tried; the text is gone through {tokens / max(1, train.tokens):.1f} times"
    )
    predicted = Prediction(
        parameters=model.parameter_count,
        seconds_per_step=step_seconds,
        tokens=tokens,
        bits_per_byte=_expected_bits(computation, dataset) if init is None else None,
    )
    return Plan.parse({**values, "predicted": predicted.model_dump(), "why": why}, "plan")


def gpt_config(plan: Plan) -> GPTConfig:
    """The model that a plan describes."""
    return GPTConfig.of(
        plan.architecture,
        vocab_size=plan.vocab_size,
        width=plan.width,
        depth=plan.depth,
        heads=plan.heads,
        kv_heads=plan.kv_heads,
        head_width=plan.head_width,
        mlp_width=plan.mlp_width,
        context=plan.context,
        tied=plan.tied,
        dropout=plan.dropout,
    )


def _efficiency(machine: Machine) -> float:
    """The share of the speed of a lone matrix product that a whole training step reaches."""
    return 0.35


_LADDER = (
    (64, 2), (64, 3), (96, 3), (128, 3), (128, 4), (160, 4), (192, 4), (192, 5), (256, 5), (256, 6), (320, 6), (384, 6),
    (384, 8), (512, 8), (512, 10), (640, 10), (768, 12), (1024, 14), (1280, 18), (1600, 24), (2048, 28), (2560, 32), (4096, 32),
)  # fmt: skip


def _shape(computation: float, train_tokens: int, vocab_size: int, options: dict[str, Any]) -> dict[str, Any]:
    """Width and depth whose training would use `computation` with about `_TOKENS_PER_WEIGHT` tokens for each weight."""

    def mismatch(size: tuple[int, int]) -> float:
        width, depth = size
        weights = 12 * depth * width**2 + vocab_size * width
        tokens = computation / (6 * weights)
        # more than so many times through the text teaches nothing new: such a text wants a smaller model
        tokens = min(tokens, _EPOCHS * train_tokens)
        return abs(math.log(tokens / (_TOKENS_PER_WEIGHT * weights)))

    width, depth = min(_LADDER, key=mismatch)
    width, depth = options.get("width") or width, options.get("depth") or depth
    head_width = options.get("head_width") or min(width, _HEAD_WIDTH if width < 512 else 64)
    heads = options.get("heads") or max(1, width // head_width)
    return {
        "width": width,
        "depth": depth,
        "heads": heads,
        "kv_heads": heads,
        "head_width": options.get("head_width") or max(2, width // heads),
        "mlp_width": -(-8 * width // 3 // 32) * 32,
        "context": 64 if width < 96 else 128 if width < 256 else 256 if width < 512 else 512 if width < 1024 else 1024,
    }


_TOKENS_PER_WEIGHT = 4.0
_EPOCHS = 6.0


def _shape_of(model: GPT) -> dict[str, Any]:
    """The shape of a model that training goes on with."""
    config = model.config
    shared = ("architecture", "width", "depth", "heads", "kv_heads", "head_width", "mlp_width", "tied")
    return {**{name: getattr(config, name) for name in shared}, "context": min(config.context, 1024)}


def _optimisation(
    values: dict[str, Any], machine: Machine, options: dict[str, Any], fine_tuning: bool
) -> dict[str, Any]:
    """Batch, optimizer and learning rates."""
    width, context = options.get("width") or values["width"], values["context"]
    tokens = 1024 if width < 192 else 2048 if width < 256 else 4096 if width < 512 else 16384
    if machine.device.startswith("cuda"):
        tokens = max(tokens, 8192)
    batch = options.get("batch") or max(1, tokens // context)
    # Newton-Schulz costs about 5 width / tokens of a step (docs/log.md): at few tokens a step Muon does not pay
    pays = 5 * width / (batch * context) < 0.75 and not fine_tuning
    optimizer: Literal["muon", "adamw"] = options.get("optimizer") or ("muon" if pays else "adamw")
    rate = 3e-3 * min(1.0, (256 / width)) ** 0.5 if not fine_tuning else 1e-4
    return {
        "batch": batch,
        "optimizer": optimizer,
        "learning_rate": rate,
        "muon_learning_rate": 0.02,
        "warmup": 0.02,
        "cooldown": 0.7 if not fine_tuning else 0.9,
        "weight_decay": 0.1,
    }


def _micro_batch(batch: int, context: int, machine: Machine) -> int:
    """The largest share of the batch whose activations fit comfortably."""
    most = max(1, (65536 if machine.device.startswith("cuda") else 8192) // context)
    return max(size for size in range(1, batch + 1) if batch % size == 0 and size <= max(most, 1))


def _step_seconds(model: GPT, plan: Plan) -> float:
    """The time of a training step: the fastest of a few, on random tokens. The model's weights are put back."""
    device = torch.device(plan.device)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.to(device).train()
    tokens = torch.randint(plan.vocab_size, (plan.micro_batch, plan.context), device=device)
    batch = TokenBatch(tokens, tokens, float(tokens.numel()))
    optimizer = gpt_optimizer(model, plan)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.8 and len(times) < 12):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = model.loss(batch).total
        loss.backward()  # type: ignore[no-untyped-call]
        middle = time.perf_counter()
        optimizer.step(0.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        accumulations = plan.batch // plan.micro_batch
        times.append((middle - start) * accumulations + time.perf_counter() - middle)
        if times[-1] > 5:
            break
    model.zero_grad(set_to_none=True)
    model.load_state_dict(before)
    return min(times)


def _compile_pays(machine: Machine, seconds: float) -> bool:
    """torch.compile costs about half a minute and saves about a quarter of a CPU step, more of a GPU's (docs/log.md)."""
    return machine.compiler and seconds > (120 if machine.device.startswith("cuda") else 300)


def _rhythm(steps: int, step_seconds: float, dataset: Dataset, values: dict[str, Any]) -> dict[str, int]:
    """How often to log, validate, sample and save: validation may take a twentieth of the run."""
    tokens_per_second = values["batch"] * values["context"] / step_seconds
    validation_seconds = dataset.split("validation").tokens / (2.5 * tokens_per_second)
    validations = max(1, min(10, int(0.05 * steps * step_seconds / max(1e-9, validation_seconds))))
    evaluate_every = values.get("evaluate_every") or max(1, math.ceil(steps / validations))
    return {
        "log_every": values.get("log_every") or max(1, min(50, steps // 50)),
        "evaluate_every": evaluate_every,
        "sample_every": values.get("sample_every") or max(1, math.ceil(steps / 4)),
        "checkpoint_every": values.get("checkpoint_every") or max(10, min(steps, int(60 / step_seconds))),
    }


def _expected_bits(computation: float, dataset: Dataset) -> float | None:
    """Bits per byte that runs of this much computation reached on English prose and on code, a power law between them."""
    return None
