"""The plans of a GPT: over text, and over the tokens of pictures. Each is composed of what it needs.

SizePlan          the size of the network, for whatever learns tokens with a Transformer
TransformerPlan   of one that learns windows of them
CausalPlan        which Transformer goes from token to token
ConditionPlan     what pictures are learned with: their classes or captions
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from daedal.training.plan import Plan, Prediction


class CausalPlan(Plan):
    """Of a Transformer that predicts the next token."""

    architecture: Literal["gpt2", "llama", "mistral", "qwen2", "qwen3", "swift"] = Field(
        "qwen3", description="the Transformer's parts; all but swift open in Transformers, vLLM and llama.cpp"
    )

    def of_model(self) -> str:
        return self.architecture


class ConditionPlan(Plan):
    """Of what learns pictures after what was said of them."""

    condition: Literal["class", "caption"] | None = Field(
        None, description="class, caption: learn the labels or captions of pictures, so that they can be asked for"
    )
    label_dropout: float = Field(
        0.1, ge=0, le=1, description="share of the labels or captions hidden in training, for guidance"
    )
    telling: float = Field(0.1, ge=0, le=1, description="share of captions that are learned from their pictures")


class SizePlan(Plan):
    """Of what learns tokens with a Transformer."""

    derived = Plan.derived | {"vocab_size"}

    vocab_size: int = Field(ge=2, description="how many tokens the codec knows")
    width: int = Field(ge=8, le=65536, description="features of the residual stream")
    depth: int = Field(ge=1, le=1024, description="Transformer blocks")
    heads: int = Field(ge=1, le=2**12, description="attention heads")
    mlp_width: int = Field(ge=1, le=2**19, description="features inside the MLP")
    context: int = Field(ge=2, le=2**27, description="tokens that the model sees at once")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of features dropped in training")
    recompute: bool = Field(
        False,
        description="keep no more of a block than its input for the gradients: a third more time, much less memory",
    )

    @property
    def unit(self) -> str:
        return "tokens"

    def of_model(self) -> str:
        return (
            f"{super().of_model()}, {self.depth} layers of width {self.width}, {self.heads} heads, "
            f"vocabulary {self.vocab_size}, context {self.context}"
        )


class TransformerPlan(SizePlan):
    """Of a Transformer over windows of tokens."""

    kv_heads: int = Field(ge=1, le=2**12, description="key and value heads, shared by groups of attention heads")
    head_width: int = Field(ge=2, le=2**12, description="features of one head")
    tied: bool = Field(True, description="the output layer shares the embedding's weights")

    @model_validator(mode="after")
    def _heads_fit_together(self) -> "TransformerPlan":
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_width % 2:
            raise ValueError(f"head_width ({self.head_width}) must be even for rotary positions")
        return self

    @property
    def shape(self) -> dict[str, Any]:
        """The size of the network, by the names of its configuration."""
        names = (*SizePlan.__annotations__, *TransformerPlan.__annotations__)
        return {name: getattr(self, name) for name in names if name not in ("derived", "recompute")}

    @property
    def seen_per_step(self) -> int:
        return self.batch * self.context

    def of_batch(self) -> str:
        return f"{self.batch} x {self.context} tokens"

    def expects(self, predicted: Prediction) -> str:
        bits = predicted.bits_per_byte
        return super().expects(predicted) + (f", about {bits:.2f} bits per byte" if bits else "")


class GPTPlan(TransformerPlan, CausalPlan):
    """The training of a GPT on text."""

    family: Literal["gpt"] = Field("gpt", description="what kind of model")
    fim: bool = Field(False, description="learn to fill in the middle of texts too, such as source code")
    fim_share: float = Field(0.5, ge=0, le=1, description="share of the documents whose middle is filled in")
    private_clip: float | None = Field(
        None, gt=0, le=1e6, description="train privately: the norm to which the gradient of each window is clipped"
    )
    private_noise: float | None = Field(
        None, gt=0, le=1e3, description="train privately: the noise on a step, in units of that norm"
    )
    private_delta: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="the delta for which epsilon is told; a tenth of one over the windows unless given",
    )

    @model_validator(mode="after")
    def _private_as_a_whole(self) -> "GPTPlan":
        if (self.private_clip is None) != (self.private_noise is None):
            raise ValueError("private_clip and private_noise go together: give both")
        if self.private and (self.kind != "text" or self.fim):
            raise ValueError("private training is of plain text: not of conversations, nor with fim")
        if self.private and self.micro_batch != 1:
            raise ValueError("private training clips each window by itself: micro_batch must be 1")
        return self

    @property
    def private(self) -> bool:
        """Whether it is differentially private."""
        return self.private_clip is not None


class GridPlan(TransformerPlan, ConditionPlan, CausalPlan):
    """The training of a GPT on the tokens of pictures."""

    derived = TransformerPlan.derived | {"grid", "window"}

    family: Literal["gpt"] = Field("gpt", description="what kind of model")
    kind: str = Field("pictures", description="the kind of example that is learned")
    grid: tuple[int, int] = Field(description="rows and columns of tokens that make a picture")
    window: int = Field(0, ge=0, description="tokens of a caption")

    @property
    def shape(self) -> dict[str, Any]:
        return {**super().shape, "context": self.context + self.window, "grid": self.grid, "grid_at": self.window}
