"""A plan: all choices of a training run as data, printed before it starts and saved with it.

`Plan` holds what the trainer reads; each family adds its data's facts and its model's shape. Its line in
`daedal.families` says which plan it has for which kind of example.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, model_validator
from pydantic.fields import FieldInfo

from daedal.config import Config
from daedal.duration import format_duration
from daedal.errors import DaedalError
from daedal.families import line, part

MOST = 2**63 - 1
"""What counts and seeds may be at most: more is no number to PyTorch, NumPy or a file."""
MOST_THREADS = 1024


class Prediction(Config):
    """What the planner expects of the run; `seen` counts tokens or pictures."""

    parameters: int
    seconds_per_step: float = Field(gt=0)
    seen: int
    bits_per_byte: float | None = None


class Plan(Config):
    """A training run. Every value below can be set by its name; those left alone follow from the budget and the machine."""

    derived: ClassVar[frozenset[str]] = frozenset(
        {"family", "kind", "data", "fingerprint", "init", "codec", "budget", "thread_choices", "predicted", "why"}
    )
    """The fields that are no options: they follow from what is given otherwise."""

    family: str = Field(description="what kind of model")
    kind: str = Field("text", description="the kind of example that is learned")
    data: str = Field(description="the data folder")
    fingerprint: str | None = Field(None, description="SHA-256 of what is learned of it")
    init: str | None = Field(
        None, description="a run folder or Hugging Face id to start from instead of random weights"
    )
    codec: str | None = Field(
        None, description="a run folder whose codes are learned in place of pixels, or which makes sound of frames"
    )
    budget: float | None = Field(
        None, description="seconds that the whole run may take, evaluation and saving included"
    )

    steps: int = Field(ge=1, le=MOST, description="optimizer steps; given by hand, they replace the time budget")
    batch: int = Field(ge=1, le=2**24, description="examples a step, over all processes")
    micro_batch: int = Field(ge=1, le=2**24, description="examples at once; the rest of the batch is accumulated")
    optimizer: Literal["adamw", "muon"] = Field("adamw", description="muon: Muon for the matrices, AdamW for the rest")
    learning_rate: float = Field(gt=0, lt=10, description="peak learning rate of AdamW")
    muon_learning_rate: float = Field(0.02, gt=0, lt=10, description="peak learning rate of Muon")
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon's momentum")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's first decay")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's second decay")
    weight_decay: float = Field(0.1, ge=0, le=1e6, description="decoupled weight decay of the matrices")
    clip: float = Field(1.0, ge=0, le=1e6, description="largest norm of the gradient; 0 for none")
    warmup: float = Field(0.02, ge=0, le=1, description="share of the run in which the learning rate rises")
    cooldown: float = Field(0.5, ge=0, le=1, description="share of the run in which it falls to nothing")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights that are saved for use; 0 for none")
    keep: Literal["last", "best"] = Field(
        "last", description="the weights that are saved for use: the last, or those that did best on held-out data"
    )
    most_steps: int = Field(
        0, ge=0, le=MOST, description="of a time budget no more steps than these are used; 0 for all that fit"
    )
    seed: int = Field(0, ge=0, le=MOST, description="of the weights, the order of the data, dropout and samples")

    device: str = Field("cpu", description="cpu, cuda or mps")
    threads: int = Field(1, ge=1, le=MOST_THREADS, description="CPU threads")
    thread_choices: tuple[int, ...] = Field(
        (),
        description="numbers of CPU threads that are tried again as the run goes; none where the number is set by hand",
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of matrix products; weights stay fp32")
    compile: bool = Field(False, description="torch.compile the blocks")

    log_every: int = Field(10, ge=1, le=MOST, description="steps between records of the loss")
    evaluate_every: int = Field(ge=1, le=MOST, description="steps between passes over the whole validation split")
    sample_every: int = Field(ge=1, le=MOST, description="steps between samples")
    checkpoint_every: int = Field(ge=1, le=MOST, description="steps between checkpoints")

    predicted: Prediction | None = None
    why: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _run_fits_together(self) -> "Plan":
        if self.batch % self.micro_batch:
            raise ValueError(f"batch ({self.batch}) must be a multiple of micro_batch ({self.micro_batch})")
        if self.warmup + self.cooldown > 1:
            raise ValueError("warmup and cooldown together must not exceed 1")
        return self

    @property
    def seen_per_step(self) -> int:
        """What a step learns from, in the unit that is counted."""
        return self.batch

    def of_model(self) -> str:
        """The model in a few words."""
        return self.family

    def of_batch(self) -> str:
        """What a step learns from."""
        return f"{self.batch} examples"

    def explain(self) -> str:
        """The plan in a few lines of plain text: what, how, how long, and why."""
        lines = [
            f"Model      {self.of_model()}" + (f", from {self.init}" if self.init else ""),
            f"Training   {self.steps} steps of {self.of_batch()}, {self.optimizer}, seed {self.seed}",
            f"Machine    {self.device}, {self.threads} thread{'s' * (self.threads > 1)}, {self.precision}"
            + (", compiled" if self.compile else ""),
        ]
        if self.predicted is not None:
            lines.append(f"Expected   {self.expects(self.predicted)}")
        return "\n".join([*lines, *(f"{name:<10} {reason}" for name, reason in self.why.items())])

    def expects(self, predicted: Prediction) -> str:
        """What the run should come to."""
        count = predicted.parameters
        size = f"{count / 1e6:.2f} M" if count >= 10_000 else f"{count:,}"
        return (
            f"{size} parameters, {_amount(predicted.seen)} {self.unit} in "
            f"{format_duration(predicted.seconds_per_step * self.steps)} of training"
        )

    @property
    def unit(self) -> str:
        """What is counted while training."""
        return "examples"


def _amount(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1_000_000 else f"{number:,}"


def plan_class(family: str, kind: str) -> type[Plan]:
    """The plan with which a family learns a kind of example.

    Raises:
        DaedalError: there is no such family, or it does not learn them.
    """
    learns = line(family).learns
    if kind not in learns:
        raise DaedalError(f"A {family} learns {' or '.join(learns)}, not {kind}", "Restore the plan from a copy")
    found: type[Plan] = part(learns[kind].plan)
    return found


def plan_classes(family: str) -> list[type[Plan]]:
    """The plans of a family, that with the most values first.

    Raises:
        DaedalError: there is no such family.
    """
    found = {part(each.plan): None for each in line(family).learns.values()}
    return sorted(found, key=lambda plan: -len(plan.model_fields))


def read_plan(values: Any, path: Path) -> Plan:
    """The plan in a JSON value.

    Raises:
        DaedalError: it holds none.
    """
    if not isinstance(values, dict):
        raise DaedalError(f"{path} does not hold a plan", "Restore it from a copy, or train again")
    family = str(values.get("family", "gpt"))
    if "kind" in values:
        return plan_class(family, str(values["kind"])).parse(values, str(path))
    # version 0.1.0 had no kinds, and one plan for all that a GPT learns
    kind = "text" if family == "gpt" and values.get("grid") is None else "pictures"
    plans = plan_class(family, kind)
    gone = {"condition", "label_dropout", "telling", "grid", "window"} - plans.model_fields.keys()
    return plans.parse({name: value for name, value in values.items() if name not in gone} | {"kind": kind}, str(path))


def options_of(plans: Iterable[type[Plan]], settled: frozenset[str] = frozenset()) -> type[Config]:
    """The values of plans, but for those that are `settled`, that a person may set by hand; None leaves one to the planner."""
    fields: dict[str, Any] = {}
    for plan in plans:
        for name, field in plan.model_fields.items():
            if name not in plan.derived | settled:
                fields[name] = (_bounded(field) | None, Field(None, description=field.description))
    return create_model("PlanOptions", __base__=Config, **fields)


def _bounded(field: FieldInfo) -> Any:
    """The type of a field with its bounds: rules compute with what is given before a plan is made of it."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
