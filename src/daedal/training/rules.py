"""From a time budget, a machine and a data set to a plan. The numbers come from our own sweeps (docs/log.md).

One idea holds the rules together: budget times speed is an amount of computation, and for each amount there is a size of
model at which neither the model is too small nor its training too short.
"""

import math
import zlib
from typing import Any, NamedTuple

from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.models.gpt import GPT, GPTConfig
from daedal.training.machine import Machine
from daedal.training.plan import Plan, Prediction
from daedal.training.rehearsal import step_seconds

DEFAULT_BUDGET = 180.0
FEWEST_STEPS = 20

_EFFICIENCY = 0.35  # of a lone matrix product's speed, in a whole training step
_EPOCHS = 6.0  # more passes than this over a text teach little that is new: a short text wants a smaller model
_LADDER = (
    (64, 2), (96, 2), (96, 3), (128, 3), (128, 4), (160, 4), (192, 4), (192, 5), (256, 5), (256, 6), (320, 6), (384, 6),
    (384, 8), (512, 8), (512, 10), (640, 10), (768, 12), (1024, 16), (1280, 20), (1600, 24), (2048, 28), (2560, 32),
)  # fmt: skip


class Choice(NamedTuple):
    """What a person set, and what the rules say for the rest."""

    given: dict[str, Any]
    values: dict[str, Any]

    def __call__(self, name: str, rule: Any) -> Any:
        """Settle one value: as given, or by the rule."""
        self.values[name] = self.given.get(name, rule)
        return self.values[name]


def plan_gpt(
    dataset: Dataset,
    data: str,
    budget: float | None,
    machine: Machine,
    given: dict[str, Any],
    model: GPT | None = None,
    init: str | None = None,
) -> Plan:
    """Choose every value that `given` leaves open.

    Args:
        budget: seconds for the whole run; None leaves the length to `given["steps"]`.
        model: the model to go on with, whose shape is then settled.

    Raises:
        DaedalError: a given value does not fit, the data is too short, or the budget too short to train anything.
    """
    budget = None if "steps" in given else budget or DEFAULT_BUDGET
    seconds = 120.0 if budget is None else 0.9 * budget - 3.0
    if seconds < 1:
        raise DaedalError(
            f"A budget of {budget:g} s is too short to train anything: to measure the machine and the model takes 3 s",
            "Give at least --budget 10s",
        )
    computation = seconds * machine.gflops * 1e9 * _EFFICIENCY
    train = dataset.split("train")
    choose = Choice(given, {"data": data, "init": init, "budget": budget, "vocab_size": dataset.codec.vocab_size})
    for name in ("device", "threads", "precision"):
        choose(name, getattr(machine, name))
    if model is None:
        _choose_shape(choose, computation, train.tokens, dataset.codec.vocab_size)
    else:
        _take_shape(choose, model)
    _choose_optimisation(choose, machine, train.tokens, fine_tuning=model is not None)
    for name, value in given.items():
        choose(name, value)

    rest = {"steps": 1, "evaluate_every": 1, "sample_every": 1, "checkpoint_every": 1}
    draft = Plan.parse({**rest, **choose.values}, "plan")
    model = model if model is not None else GPT(gpt_config(draft))
    per_step = step_seconds(model, draft)
    steps = choose("steps", int(seconds / per_step))
    if steps < FEWEST_STEPS and budget is not None:
        least = math.ceil((FEWEST_STEPS * per_step + 3) / 0.9)
        raise DaedalError(
            f"A budget of {budget:g} s is too short to train anything: a step takes {per_step:.2g} s",
            f"Give at least --budget {least}s, or a smaller --width and --depth",
        )
    _choose_rhythm(choose, steps, per_step, dataset)
    choose("compile", _compile_pays(machine, steps * per_step))
    tokens = steps * draft.tokens_per_step
    prediction = Prediction(
        parameters=model.parameter_count,
        seconds_per_step=per_step,
        tokens=tokens,
        bits_per_byte=None if init else _expected_bits(model.flops_per_token(draft.context) * tokens, dataset),
    )
    why = {
        "Size": "that of the model to go on with" if init else f"what {computation / 1e12:.1f} TFLOP train best: "
        f"{seconds:.0f} s at {machine.gflops:.0f} GFLOP/s, measured on {machine.name}",
        "Length": f"a step took {per_step * 1000:.0f} ms when tried; the text is read {tokens / train.tokens:.1f} times",
    }  # fmt: skip
    return Plan.parse({**choose.values, "predicted": prediction.model_dump(), "why": why}, "plan")


def gpt_config(plan: Plan) -> GPTConfig:
    """The model that a plan describes."""
    shape = (
        "vocab_size",
        "width",
        "depth",
        "heads",
        "kv_heads",
        "head_width",
        "mlp_width",
        "context",
        "tied",
        "dropout",
    )
    return GPTConfig.of(plan.architecture, **{name: getattr(plan, name) for name in shape})


def _choose_shape(choose: Choice, computation: float, train_tokens: int, vocab_size: int) -> None:
    """The width and depth on the ladder whose training would use `computation` at the best ratio of tokens to weights."""
    ratio = _tokens_per_weight(computation)

    def mismatch(size: tuple[int, int]) -> float:
        width, depth = size
        weights = 12 * depth * width**2 + vocab_size * width
        tokens = min(computation / (6 * weights), _EPOCHS * train_tokens)
        return abs(math.log(tokens / (ratio * weights)))

    best = min(_LADDER, key=mismatch)
    architecture = choose("architecture", "qwen3")
    width, _ = choose("width", best[0]), choose("depth", best[1])
    head_width = choose.given.get("head_width") or (32 if width < 512 else 64)
    heads = choose("heads", max(1, width // head_width))
    choose("kv_heads", heads)
    choose("head_width", max(2, width // heads // 2 * 2))
    choose("mlp_width", 4 * width if architecture in ("gpt2", "swift") else -(-8 * width // 3 // 32) * 32)
    choose("tied", True)
    longest = 64 if width < 160 else 128 if width < 256 else 256 if width < 512 else 512 if width < 1024 else 1024
    choose("context", max(2, min(longest, train_tokens // 8)))


def _tokens_per_weight(computation: float) -> float:
    """Tokens that each weight should learn from.

    About one at 1e12 operations and 1.5 at 5e12, where we measured; 20 at 1e19, as Hoffmann et al. (2022,
    arXiv:2203.15556) found; a power law through both in between, where we did not.
    """
    return float(1.1 * max(1.0, computation / 1e12) ** 0.18)


def _take_shape(choose: Choice, model: GPT) -> None:
    """The shape of the model that training goes on with; only the context may be shortened."""
    config = model.config
    for name in ("architecture", "width", "depth", "heads", "kv_heads", "head_width", "mlp_width", "tied"):
        settled = getattr(config, name)
        if choose.given.get(name, settled) != settled:
            raise DaedalError(f"The model to start from has {name} {settled}", f"Leave --{name.replace('_', '-')} away")
        choose.values[name] = settled
    if choose("context", min(config.context, 1024)) > config.context:
        raise DaedalError(
            f"The model to start from has a context of {config.context}", "Give a --context of at most that"
        )


def _choose_optimisation(choose: Choice, machine: Machine, train_tokens: int, fine_tuning: bool) -> None:
    """Batch, optimizer, learning rates."""
    width, context = choose.values["width"], choose.values["context"]
    tokens = 1024 if width < 256 else 2048 if width < 384 else 4096 if width < 512 else 16384
    if not machine.device.startswith("cpu"):
        tokens = max(tokens, 16384)
    batch = choose("batch", max(1, min(tokens, train_tokens) // context))
    # Newton-Schulz takes about 5 width / tokens of a step's time; even at a fifth Muon is ahead of AdamW (docs/log.md)
    muon = choose("optimizer", "muon" if 5 * width <= batch * context and not fine_tuning else "adamw") == "muon"
    choose("learning_rate", 1e-4 if fine_tuning else 0.01 if muon else 0.004 * (128 / width) ** 0.5)
    choose("cooldown", 0.7)
    most = max(1, (8192 if machine.device.startswith("cpu") else 65536) // context)
    choose("micro_batch", max(size for size in range(1, batch + 1) if batch % size == 0 and size <= most))


def _choose_rhythm(choose: Choice, steps: int, per_step: float, dataset: Dataset) -> None:
    """How often to log, validate, sample and save; validation may take a twentieth of the run."""
    tokens_per_second = choose.values["batch"] * choose.values["context"] / per_step
    validation = dataset.split("validation").tokens / (3 * tokens_per_second)  # seconds: a forward pass only
    validations = max(1, min(10, int(0.05 * steps * per_step / max(1e-9, validation))))
    choose("log_every", max(1, min(50, steps // 50)))
    choose("evaluate_every", max(1, math.ceil(steps / validations)))
    choose("sample_every", max(1, math.ceil(steps / 4)))
    choose("checkpoint_every", max(10, int(60 / per_step)))


def _compile_pays(machine: Machine, seconds: float) -> bool:
    """torch.compile takes about half a minute and saves about a quarter of a step (docs/log.md)."""
    return machine.compiler and seconds > 300


def _expected_bits(computation: float, dataset: Dataset) -> float | None:
    """Bits per byte, from how well zlib does on the validation text and what share of that our sweeps came to."""
    split = dataset.split("validation")
    text = dataset.codec.decode(split.read(0, min(split.tokens, 300_000)).tolist()).encode()
    if len(text) < 1000:
        return None
    compressed = 8 * len(zlib.compress(text, 9)) / len(text)
    return float(compressed * 0.72 * (1e12 / max(computation, 1e10)) ** 0.05)
