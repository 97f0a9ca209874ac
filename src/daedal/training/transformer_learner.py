"""How a Transformer over tokens is planned: its size, batch and optimizer. The numbers come from our own sweeps (docs/log.md).

One idea holds the rules together: budget times speed is an amount of computation, and for each amount there is a size of
model at which neither the model is too small nor its training too short.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from daedal.errors import DaedalError
from daedal.models.gpt import GPTConfig
from daedal.models.model import Model, Moment, TokenBatch
from daedal.training.gpt_plan import TransformerPlan
from daedal.training.groups import optimizer_of
from daedal.training.learner import Facts, Learner
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.trial import Trial

_OF_PICTURES = 8.0  # times as many tokens to a weight where they are a picture's: neighbours say most of each
_PICTURES = 32  # a step
_EPOCHS = 6.0  # more passes than this over a text teach little that is new: a short text wants a smaller model
_EPOCHS_OF_PICTURES = 30.0  # with six a few thousand pictures would get one of the smallest models; not searched
_WHOLE = 512  # tokens of a conversation that a new model is to hold whole, at most
_FEW = 64  # tokens on which it is tried what a step keeps for each
_LADDER = (
    (64, 2), (96, 2), (96, 3), (128, 3), (128, 4), (160, 4), (192, 4), (192, 5), (256, 5), (256, 6), (320, 6), (384, 6),
    (384, 8), (512, 8), (512, 10), (640, 10), (768, 12), (1024, 16), (1280, 20), (1600, 24), (2048, 28), (2560, 32),
)  # fmt: skip


class TransformerLearner(Learner):
    """A Transformer and the tokens that it is to learn."""

    smaller = "a smaller --width and --depth"

    def gated(self, choose: Choice) -> bool:
        """Whether its MLPs are gated, which are narrower for as many weights."""
        return False

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values["vocab_size"] = facts.vocab_size
        if self.initial is None:
            choose_shape(choose, time.computation(machine), facts, self.gated)
        else:
            self._take_shape(choose, self.initial)
        _choose_optimisation(choose, machine, facts, fine_tuning=self.initial is not None)

    def _take_shape(self, choose: Choice, model: Model) -> None:
        """The shape of the model that training goes on with; only the context may be shortened."""
        config: Any = model.config
        free = {"context", "dropout", "vocab_size"}
        settled = [name for name in type(config).model_fields if name in self.plans.model_fields and name not in free]
        self.keep(choose, {name: getattr(config, name) for name in settled})
        if choose("context", min(self.longest(model), 1024)) > config.context:
            raise DaedalError(
                f"The model to start from has a context of {config.context}", "Give a --context of at most that"
            )

    def longest(self, model: Model) -> int:
        """Tokens of the longest sequence that the model to go on with can learn."""
        return int(model.config.context)  # type: ignore[attr-defined]

    def trial(self, plan: Plan) -> Trial:
        """Random tokens: long sequences take more memory than there may be, so that it is told from short ones."""
        assert isinstance(plan, TransformerPlan)
        model = self.initial or self.new(plan)
        row = torch.randint(plan.vocab_size, (1, min(plan.context, _FEW)))

        def tokens(ids: Tensor) -> TokenBatch:
            return TokenBatch(ids, ids, Moment(ids.numel()))

        def usual() -> TokenBatch:
            return tokens(torch.randint(plan.vocab_size, (plan.micro_batch, plan.context)))

        optimizers = {"model": optimizer_of(model, "model", plan)}
        return Trial(model, optimizers, usual, tokens(row), tokens(row.expand(2, -1)), plan.context)

    def size_reason(self, facts: Facts, time: Time, machine: Machine) -> str:
        if self.initial is not None:
            return "that of the model to go on with"
        computation = time.computation(machine)
        amount = f"{computation / 1e12:.1f} TFLOP" if computation >= 1e12 else f"{computation / 1e9:.0f} GFLOP"
        return (
            f"what {amount} train best: "
            f"{time.seconds:.0f} s at {machine.gflops:.0f} GFLOP/s, measured on {machine.name}"
        )


class GPTLearner(TransformerLearner):
    """A GPT and the tokens that it is to learn."""

    architecture: ClassVar[str] = "qwen3"

    def gated(self, choose: Choice) -> bool:
        return choose("architecture", self.architecture) not in ("gpt2", "swift")

    def configured(self, plan: Plan) -> GPTConfig:
        return gpt_config(plan)


def gpt_config(plan: Any) -> GPTConfig:
    """The model that a plan of a GPT describes."""
    return GPTConfig.of(plan.architecture, **plan.shape)


def choose_shape(choose: Choice, computation: float, facts: Facts, gated: Any, per_weight: float = 1.0) -> None:
    """The shape of a new GPT, and how far it sees.

    Args:
        per_weight: times as many tokens to a weight as for text.
    """
    best = nearest_size(computation, _OF_PICTURES if facts.layout else per_weight, facts)
    width, _ = choose("width", best[0]), choose("depth", best[1])
    head_width = choose.given.get("head_width") or (32 if width < 512 else 64)
    heads = choose("heads", max(1, width // head_width))
    choose("kv_heads", heads)
    choose("head_width", max(2, width // heads // 2 * 2))
    choose("mlp_width", -(-8 * width // 3 // 32) * 32 if gated(choose) else 4 * width)
    choose("tied", True)
    longest = 64 if width < 160 else 128 if width < 256 else 256 if width < 512 else 512 if width < 1024 else 1024
    if facts.longest:  # whole conversations are to be answered, and what is made of the model compares and judges them
        longest = max(longest, min(_WHOLE, 1 << (facts.longest - 1).bit_length()))
    choose("context", facts.layout.length if facts.layout else max(2, min(longest, facts.train // 8)))


def nearest_size(computation: float, per_weight: float, facts: Facts) -> tuple[int, int]:
    """The width and depth on the ladder whose training would use `computation` at the best ratio of tokens to weights.

    Args:
        per_weight: times as many tokens to a weight as for text.
    """
    ratio = _tokens_per_weight(computation) * per_weight

    def mismatch(size: tuple[int, int]) -> float:
        width, depth = size
        weights = 12 * depth * width**2 + facts.vocab_size * width
        epochs = _EPOCHS_OF_PICTURES if facts.layout else _EPOCHS
        tokens = min(computation / (6 * weights), epochs * facts.train)
        return abs(math.log(tokens / (ratio * weights)))

    return min(_LADDER, key=mismatch)


def _tokens_per_weight(computation: float) -> float:
    """Tokens that each weight should learn from.

    About one at 1e12 operations and 1.5 at 5e12, where we measured; 20 at 1e19, as Hoffmann et al. (2022,
    arXiv:2203.15556) found; a power law through both in between, where we did not.
    """
    return float(1.1 * max(1.0, computation / 1e12) ** 0.18)


def _choose_optimisation(choose: Choice, machine: Machine, facts: Facts, fine_tuning: bool) -> None:
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
