"""A plan: all choices of a training run as data, printed before it starts and saved with it.

`Plan` holds what the trainer reads; each family adds its data's facts and its model's shape.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, model_validator
from pydantic.fields import FieldInfo

from daedal.config import Config
from daedal.duration import format_duration

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
        {"family", "data", "fingerprint", "init", "codec", "budget", "thread_choices", "predicted", "why"}
    )
    """The fields that are no options: they follow from what is given otherwise."""

    family: str = Field(description="what kind of model")
    data: str = Field(description="the data folder")
    fingerprint: str | None = Field(None, description="SHA-256 of what is learned of it")
    init: str | None = Field(
        None, description="a run folder or Hugging Face id to start from instead of random weights"
    )
    codec: str | None = Field(None, description="a run folder whose codes of pictures are learned in place of pixels")
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
        "last", description="the weights that are saved for use: the last, or those of the lowest validation loss"
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
        return (
            f"{predicted.parameters / 1e6:.2f} M parameters, {_amount(predicted.seen)} {self.unit} in "
            f"{format_duration(predicted.seconds_per_step * self.steps)} of training"
        )

    @property
    def unit(self) -> str:
        """What is counted while training."""
        return "examples"


class GPTPlan(Plan):
    """The training of a GPT on a stream of tokens."""

    derived = Plan.derived | {"vocab_size", "grid", "window"}

    family: Literal["gpt"] = Field("gpt", description="what kind of model")
    architecture: Literal["gpt2", "llama", "mistral", "qwen2", "qwen3", "swift"] = Field(
        "qwen3", description="the Transformer's parts; all but swift open in Transformers, vLLM and llama.cpp"
    )
    condition: Literal["class", "caption"] | None = Field(
        None, description="class, caption: learn the labels or captions of pictures, so that they can be asked for"
    )
    label_dropout: float = Field(
        0.1, ge=0, le=1, description="share of the labels or captions hidden in training, for guidance"
    )
    telling: float = Field(0.1, ge=0, le=1, description="share of captions that are learned from their pictures")
    vocab_size: int = Field(ge=2, description="how many tokens the codec knows")
    width: int = Field(ge=8, le=65536, description="features of the residual stream")
    depth: int = Field(ge=1, le=1024, description="Transformer blocks")
    heads: int = Field(ge=1, le=2**12, description="attention heads")
    kv_heads: int = Field(ge=1, le=2**12, description="key and value heads, shared by groups of attention heads")
    head_width: int = Field(ge=2, le=2**12, description="features of one head")
    mlp_width: int = Field(ge=1, le=2**19, description="features inside the MLP")
    context: int = Field(ge=2, le=2**27, description="tokens that the model sees at once")
    grid: tuple[int, int] | None = Field(None, description="rows and columns of tokens, where they make a picture")
    window: int = Field(0, ge=0, description="tokens of a caption")
    tied: bool = Field(True, description="the output layer shares the embedding's weights")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of features dropped in training")

    @model_validator(mode="after")
    def _heads_fit_together(self) -> "GPTPlan":
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_width % 2:
            raise ValueError(f"head_width ({self.head_width}) must be even for rotary positions")
        return self

    @property
    def tokens_per_step(self) -> int:
        return self.batch * self.context

    @property
    def unit(self) -> str:
        return "tokens"

    def of_model(self) -> str:
        return (
            f"{self.architecture}, {self.depth} layers of width {self.width}, {self.heads} heads, "
            f"vocabulary {self.vocab_size}, context {self.context}"
        )

    def of_batch(self) -> str:
        return f"{self.batch} x {self.context} tokens"

    def expects(self, predicted: Prediction) -> str:
        bits = predicted.bits_per_byte
        return super().expects(predicted) + (f", about {bits:.2f} bits per byte" if bits else "")


def _amount(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1_000_000 else f"{number:,}"


def options_of(plan: type[Plan], settled: frozenset[str] = frozenset()) -> type[Config]:
    """The values of a plan, but for those that are `settled`, that a person may set by hand; None leaves one to the planner."""
    fields: dict[str, Any] = {
        name: (_bounded(field) | None, Field(None, description=field.description))
        for name, field in plan.model_fields.items()
        if name not in plan.derived | settled
    }
    options: type[Config] = create_model(f"{plan.__name__}Options", __base__=Config, **fields)
    options.__doc__ = f"Values of the {plan.__name__} that a person set by hand; None leaves one to the planner."
    return options


def _bounded(field: FieldInfo) -> Any:
    """The type of a field with its bounds: rules compute with what is given before a plan is made of it."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
