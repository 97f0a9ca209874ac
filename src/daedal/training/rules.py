"""From a time budget, a machine and a data set to a plan. The numbers come from our own sweeps (docs/log.md).

One idea holds the rules together: budget times speed is an amount of computation, and for each amount there is a size of
model at which neither the model is too small nor its training too short.
"""

import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from daedal.errors import DaedalError
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.layout import TokenLayout
from daedal.models.model import Moment, TokenBatch
from daedal.training.choice import (
    UNPLANNED,
    Choice,
    Time,
    choose_length,
    choose_machine,
    choose_rhythm,
    largest_share,
)
from daedal.training.footprint import require_state, require_step
from daedal.training.groups import gpt_optimizer
from daedal.training.machine import Machine
from daedal.training.overfitting import choose_guards
from daedal.training.plan import GPTPlan, Prediction
from daedal.training.rehearsal import step_seconds

_OF_PICTURES = 8.0  # times as many tokens to a weight where they are a picture's: neighbours say most of each
_PICTURES = 32  # a step
_EPOCHS = 6.0  # more passes than this over a text teach little that is new: a short text wants a smaller model
_EPOCHS_OF_PICTURES = 30.0  # with six a few thousand pictures would get one of the smallest models; not searched
_SIZES = ("width", "depth", "mlp_width", "heads", "kv_heads", "head_width", "context")
_FEW = 64  # tokens on which it is tried what a step keeps for each
_LADDER = (
    (64, 2), (96, 2), (96, 3), (128, 3), (128, 4), (160, 4), (192, 4), (192, 5), (256, 5), (256, 6), (320, 6), (384, 6),
    (384, 8), (512, 8), (512, 10), (640, 10), (768, 12), (1024, 16), (1280, 20), (1600, 24), (2048, 28), (2560, 32),
)  # fmt: skip


class TokenFacts(NamedTuple):
    """What the rules must know of the tokens.

    Attributes:
        train: how many there are to learn from.
        validation: how many to validate on.
        grid: rows and columns of tokens that make a picture, where they do: then a sequence is a picture.
        layout: of such a sequence.
        text: a piece of the validation text, as bytes; empty where the tokens are no text.
    """

    train: int
    validation: int
    vocab_size: int
    grid: tuple[int, int] | None = None
    layout: TokenLayout | None = None
    text: bytes = b""


def plan_gpt(
    facts: TokenFacts,
    data: str,
    budget: float | None,
    machine: Machine,
    given: dict[str, Any],
    model: GPT | None = None,
    settled: dict[str, Any] | None = None,
) -> GPTPlan:
    """Choose every value that `given` leaves open.

    Args:
        budget: seconds for the whole run; None leaves the length to `given["steps"]`.
        model: the model to go on with, whose shape is then settled.
        settled: values that are no options, such as `init` and `codec`.

    Raises:
        DaedalError: a given value does not fit, the data is too short, or the budget too short to train anything.
    """
    time = Time.of(budget, given)
    computation = time.computation(machine)

    def settle(given: Mapping[str, Any]) -> tuple[Choice, GPTPlan]:
        choose = Choice(
            dict(given), {"data": data, "budget": time.budget, "vocab_size": facts.vocab_size, **(settled or {})}
        )
        choose_machine(choose, machine)
        if model is None:
            _choose_shape(choose, computation, facts)
        else:
            _take_shape(choose, model)
        _choose_optimisation(choose, machine, facts, fine_tuning=model is not None)
        for name, value in given.items():
            choose(name, value)
        return choose, GPTPlan.parse({**UNPLANNED, **choose.values}, "plan")

    def planned(given: Mapping[str, Any]) -> tuple[GPT, GPTPlan]:
        draft = settle(given)[1]
        return (model if model is not None else outlined(draft)), draft

    choose, draft = settle(given)
    require_state(planned, given, _SIZES)
    initialised = model is not None
    model = model if model is not None else GPT(gpt_config(draft))
    per_step = rehearse(model, draft)
    guards: dict[str, str] = {}
    if time.budget is not None:
        kind = "fine-tuning" if initialised else "tokens" if facts.layout else "text"
        passes_a_step = draft.tokens_per_step / facts.train
        guards = choose_guards(choose, kind, passes_a_step, int(time.seconds / per_step), facts.validation)
    steps = choose_length(choose, time, per_step, "a smaller --width and --depth")
    forward = per_step / draft.tokens_per_step / 3  # seconds to validate a token: a forward pass only
    choose_rhythm(choose, steps, per_step, facts.validation * forward)
    choose("compile", facts.layout is None and _compile_pays(machine, steps * per_step))
    tokens = steps * draft.tokens_per_step
    prediction = Prediction(
        parameters=model.parameter_count,
        seconds_per_step=per_step,
        seen=tokens,
        bits_per_byte=None if initialised else _expected_bits(model.flops_per_token(draft.context) * tokens, facts),
    )
    why = {
        "Size": "that of the model to go on with" if initialised else f"what {computation / 1e12:.1f} TFLOP train best: "
        f"{time.seconds:.0f} s at {machine.gflops:.0f} GFLOP/s, measured on {machine.name}",
        "Length": f"a step took {per_step * 1000:.0f} ms when tried; the data is read {tokens / facts.train:.1f} times",
        **guards,
    }  # fmt: skip
    return GPTPlan.parse({**choose.values, "predicted": prediction.model_dump(), "why": why}, "plan")


def rehearse(model: GPT, plan: GPTPlan) -> float:
    """Seconds of one optimizer step, tried on random tokens.

    Raises:
        DaedalError: it needs more memory than there is.
    """
    row = torch.randint(plan.vocab_size, (1, min(plan.context, _FEW)))
    little, more = (TokenBatch(ids, ids, Moment(ids.numel())) for ids in (row, row.expand(2, -1)))
    require_step(model, little, more, plan, plan.context)
    tokens = torch.randint(plan.vocab_size, (plan.micro_batch, plan.context))
    batch = TokenBatch(tokens, tokens, Moment(tokens.numel()))
    return step_seconds(model, {"model": gpt_optimizer(model, plan)}, batch, plan)


def outlined(plan: GPTPlan) -> GPT:
    """The model that a plan describes, on the meta device: it takes no memory."""
    with torch.device("meta"):
        return GPT(gpt_config(plan))


def new_gpt(plan: GPTPlan) -> GPT:
    """The model that a plan describes, with its first weights."""
    model = GPT(gpt_config(plan))
    model.initialise(torch.Generator().manual_seed(plan.seed))
    return model


def gpt_config(plan: GPTPlan) -> GPTConfig:
    """The model that a plan describes."""
    shape = (
        "vocab_size",
        "width",
        "depth",
        "heads",
        "kv_heads",
        "head_width",
        "mlp_width",
        "tied",
        "grid",
        "dropout",
    )
    values = {name: getattr(plan, name) for name in shape}
    return GPTConfig.of(plan.architecture, **{**values, "context": plan.context + plan.window, "grid_at": plan.window})


def _choose_shape(choose: Choice, computation: float, facts: TokenFacts) -> None:
    """The width and depth on the ladder whose training would use `computation` at the best ratio of tokens to weights."""
    ratio = _tokens_per_weight(computation) * (_OF_PICTURES if facts.layout else 1.0)

    def mismatch(size: tuple[int, int]) -> float:
        width, depth = size
        weights = 12 * depth * width**2 + facts.vocab_size * width
        epochs = _EPOCHS_OF_PICTURES if facts.layout else _EPOCHS
        tokens = min(computation / (6 * weights), epochs * facts.train)
        return abs(math.log(tokens / (ratio * weights)))

    best = min(_LADDER, key=mismatch)
    # What learns the tokens of our own tokenizer opens in no other program anyway
    architecture = choose("architecture", "swift" if facts.grid else "qwen3")
    width, _ = choose("width", best[0]), choose("depth", best[1])
    head_width = choose.given.get("head_width") or (32 if width < 512 else 64)
    heads = choose("heads", max(1, width // head_width))
    choose("kv_heads", heads)
    choose("head_width", max(2, width // heads // 2 * 2))
    choose("mlp_width", 4 * width if architecture in ("gpt2", "swift") else -(-8 * width // 3 // 32) * 32)
    choose("tied", True)
    longest = 64 if width < 160 else 128 if width < 256 else 256 if width < 512 else 512 if width < 1024 else 1024
    choose.values["grid"] = facts.grid
    if facts.layout is not None:
        choose.values["window"] = facts.layout.window
    choose("context", facts.layout.length if facts.layout else max(2, min(longest, facts.train // 8)))


def _tokens_per_weight(computation: float) -> float:
    """Tokens that each weight should learn from.

    About one at 1e12 operations and 1.5 at 5e12, where we measured; 20 at 1e19, as Hoffmann et al. (2022,
    arXiv:2203.15556) found; a power law through both in between, where we did not.
    """
    return float(1.1 * max(1.0, computation / 1e12) ** 0.18)


def _take_shape(choose: Choice, model: GPT) -> None:
    """The shape of the model that training goes on with; only the context may be shortened."""
    config = model.config
    for name in ("architecture", "width", "depth", "heads", "kv_heads", "head_width", "mlp_width", "tied", "grid"):
        settled = getattr(config, name)
        if choose.given.get(name, settled) != settled:
            raise DaedalError(f"The model to start from has {name} {settled}", f"Leave --{name.replace('_', '-')} away")
        choose.values[name] = settled
    choose.values["window"] = config.grid_at
    if choose("context", min(config.context - config.grid_at, 1024)) > config.context:
        raise DaedalError(
            f"The model to start from has a context of {config.context}", "Give a --context of at most that"
        )


def _choose_optimisation(choose: Choice, machine: Machine, facts: TokenFacts, fine_tuning: bool) -> None:
    """Batch, optimizer, learning rates."""
    width, context = choose.values["width"], choose.values["context"]
    tokens = 1024 if width < 256 else 2048 if width < 384 else 4096 if width < 512 else 16384
    if facts.layout is not None:
        tokens = max(tokens, _PICTURES * context)
    if not machine.device.startswith("cpu"):
        tokens = max(tokens, 16384)
    batch = choose("batch", max(1, min(tokens, facts.train) // context))
    # Newton-Schulz takes about 5 width / tokens of a step's time; even at a fifth Muon is ahead of AdamW (docs/log.md)
    muon = choose("optimizer", "muon" if 5 * width <= batch * context and not fine_tuning else "adamw") == "muon"
    choose("learning_rate", 1e-4 if fine_tuning else 0.01 if muon else 0.004 * (128 / width) ** 0.5)
    choose("cooldown", 0.7)
    most = max(1, (8192 if machine.device.startswith("cpu") else 65536) // context)
    choose("micro_batch", largest_share(batch, most))


def _compile_pays(machine: Machine, seconds: float) -> bool:
    """torch.compile takes about half a minute and saves about a quarter of a step (docs/log.md); of pictures' a twentieth."""
    return machine.compiler and seconds > 300


def _expected_bits(computation: float, facts: TokenFacts) -> float | None:
    """Bits per byte, from how well zlib does on the validation text and what share of that our sweeps came to."""
    if len(facts.text) < 1000:
        return None
    compressed = 8 * len(zlib.compress(facts.text, 9)) / len(facts.text)
    return float(compressed * 0.72 * (1e12 / max(computation, 1e10)) ** 0.05)
