"""The Transformer that reads both ways: a state for each token that knows all of its row (Devlin et al. 2019).

- one class for the architectures bert, roberta, distilbert and modernbert (Liu et al. 2019, Sanh et al. 2019, Warner et al.
  2024), which open elsewhere: `_block` says what each is made of
- rows lie one after the other: nothing is computed for padding
- initialisation in one place, the same on every device
- `EncoderModel` is an encoder with a head; the heads are the families bert, classifier, tagger, answerer and embedder
"""

from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.models.model import START, Model, Moment, assembling
from daedal.models.sequences import Sequences
from daedal.nn.attention import Attention, Frame
from daedal.nn.mlp import ACTIVATIONS, GatedMLP, PlainMLP
from daedal.nn.norm import LayerNorm
from daedal.nn.position import Rotary
from daedal.nn.transformer import Block, PostNormBlock, Transformer

Architecture = Literal["bert", "roberta", "distilbert", "modernbert"]


class EncoderConfig(Config):
    """The shape of an encoder. Lengths are in tokens, widths in channels.

    Attributes:
        context: the longest row.
        dropout: of the states that enter, of what attention and each branch of a block give, and of what a head reads.
        types: kinds of token that are told apart, such as those of a question and of its text; 0 where none are.
        pad_id: of roberta, whose positions begin behind it.
        window: in modernbert, how far to each side most layers see.
        global_every: of so many layers of modernbert, the first sees the whole row.
        global_theta, near_theta: bases of the rotary positions of layers that see all, and of those that see a window.
    """

    architecture: Architecture = "modernbert"
    vocab_size: int = Field(ge=1, le=2**24)
    width: int = Field(ge=1, le=2**17)
    depth: int = Field(ge=1, le=2**12)
    heads: int = Field(ge=1, le=2**12)
    mlp_width: int = Field(ge=1, le=2**19)
    context: int = Field(ge=1, le=2**27)
    activation: Literal["gelu", "gelu_tanh", "silu", "relu", "relu_squared"] = "gelu"
    norm_eps: float = Field(default=1e-5, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    types: int = Field(default=0, ge=0, le=2**12)
    pad_id: int = Field(default=0, ge=0)
    window: int | None = Field(default=64, ge=1)
    global_every: int = Field(default=3, ge=1)
    global_theta: float = Field(default=160000.0, gt=1)
    near_theta: float = Field(default=10000.0, gt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        if self.architecture == "modernbert" and self.width // self.heads % 2:
            raise ValueError(f"heads of {self.width // self.heads} channels must be even for rotary positions")
        if self.architecture in ("modernbert", "distilbert") and self.types:
            raise ValueError(f"{self.architecture} tells no types of token apart")
        return self

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        *,
        vocab_size: int,
        width: int,
        depth: int,
        heads: int,
        context: int,
        **changes: object,
    ) -> Self:
        """The usual proportions: an MLP of 4 times the width where it is plain, of 3/2 where it is gated."""
        gated = architecture == "modernbert"
        values: dict[str, object] = {
            "architecture": architecture,
            "vocab_size": vocab_size,
            "width": width,
            "depth": depth,
            "heads": heads,
            "context": context,
            "mlp_width": 3 * width // 2 if gated else 4 * width,
            "norm_eps": {"modernbert": 1e-5, "roberta": 1e-5}.get(architecture, 1e-12),
            "types": {"bert": 2, "roberta": 1}.get(architecture, 0),
            "pad_id": 1 if architecture == "roberta" else 0,
        }
        return cls.parse({**values, **changes}, "model")

    @classmethod
    def around(cls, body: "EncoderConfig", **changes: object) -> Self:
        """That of a model whose encoder is like another's."""
        shape = {name: getattr(body, name) for name in EncoderConfig.model_fields}
        return cls.parse({**shape, **changes}, "model")

    @property
    def positions(self) -> int:
        """Rows of the table of positions; 0 where they are rotary."""
        if self.architecture == "modernbert":
            return 0
        return self.context + self.first_position

    @property
    def first_position(self) -> int:
        """The position of a row's first token."""
        return self.pad_id + 1 if self.architecture == "roberta" else 0

    def sees_all(self, layer: int) -> bool:
        """Whether a layer sees whole rows."""
        return self.architecture != "modernbert" or self.window is None or layer % self.global_every == 0


class Encoder(nn.Module):
    """From rows of ids to a state for each token."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = _table(config.vocab_size, config.width)
        self.positions = _table(config.positions, config.width) if config.positions else None
        self.types = _table(config.types, config.width) if config.types else None
        self.norm = _norm(config)
        self.rotary, self.near_rotary = (
            Rotary(config.width // config.heads, theta, config.context)
            for theta in (config.global_theta, config.near_theta)
        )
        blocks = (_block(config, layer) for layer in range(config.depth))
        pre_norm = config.architecture == "modernbert"
        self.transformer = Transformer(blocks, _norm(config) if pre_norm else nn.Identity())

    def forward(self, sequences: Sequences) -> Float[Tensor, "tokens width"]:
        """
        Raises:
            DaedalError: a row is longer than the context.
        """
        config, packing = self.config, sequences.packing
        longest = max(packing.lengths)
        if longest > config.context:
            raise DaedalError(
                f"{longest} tokens are more than this model's context of {config.context}", "Shorten the text"
            )
        x: Tensor = self.embedding(sequences.ids)
        if self.types is not None:
            told = sequences.types if config.types > 1 else None  # a tokenizer may count types that the model has not
            x = x + (self.types.weight[0] if told is None else self.types(told))
        frame = Frame(len(x), device=x.device, dtype=x.dtype, packing=packing)
        if self.positions is not None:
            x = x + self.positions(packing.positions + config.first_position)
        else:
            frame.turns = self.rotary.turns(packing.positions, longest)
            frame.near_turns = self.near_rotary.turns(packing.positions, longest)
        x = self.norm(x)
        if config.dropout and self.training:
            x = F.dropout(x, config.dropout)
        out: Tensor = self.transformer(x[None], frame)[0]
        return out


class PredictionHead(nn.Module):
    """What makes the states of an encoder ready to be told apart: a layer of one matrix, and a norm."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS["gelu" if config.architecture == "roberta" else config.activation]
        self.dense = nn.Linear(config.width, config.width, bias=config.architecture != "modernbert")
        self.norm = _norm(config)

    def forward(self, x: Float[Tensor, "places width"]) -> Float[Tensor, "places width"]:
        out: Tensor = self.norm(self.activation(self.dense(x)))
        return out


class EncoderModel(Model):
    """An encoder with a head. One that is made under `torch.device("meta")` allocates and initialises nothing."""

    config: EncoderConfig
    head_first: float = 0.0
    """Share of a run in which the head learns alone."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        with assembling(self):
            self.encoder = Encoder(config)
            self.output: nn.Linear | None = None  # what tells the answers of a head apart
            self._assemble()

    def _assemble(self) -> None:
        """Make the head."""

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device.

        Pre-norm: variance is kept and each block starts as the identity, as a GPT's. Post-norm: BERT's normal of 0.02. What a
        head tells apart is about equally likely at first.
        """
        pre_norm = self.config.architecture == "modernbert"
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                kept = pre_norm and isinstance(module, nn.Linear) and module is not self.output
                deviation = module.weight.shape[1] ** -0.5 if kept else 0.02
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * deviation)
            elif isinstance(module, LayerNorm):
                module.weight.fill_(1.0)
            if isinstance(module, nn.Linear | LayerNorm) and module.bias is not None:
                module.bias.zero_()
        for module in self.modules() if pre_norm else ():
            if isinstance(module, Attention):
                module.out.weight.zero_()
            elif isinstance(module, PlainMLP | GatedMLP):
                module.down.weight.zero_()

    @torch.no_grad()
    def adopt(self, other: "EncoderModel") -> None:
        """Begin with the encoder of another model, whichever head it has, and with what this head shares with that one.

        Raises:
            DaedalError: the encoders are not of one shape.
        """
        for name in EncoderConfig.model_fields:
            mine, theirs = getattr(self.config, name), getattr(other.config, name)
            if mine != theirs and name != "dropout":
                raise DaedalError(
                    f"An encoder whose {name} is {theirs} cannot begin one of {mine}", f"Make it of {theirs}"
                )
        known = dict(other.named_parameters())
        for name, parameter in self.named_parameters():
            if name.startswith(("encoder.", "transform.", "pooler.")) and name in known:
                parameter.copy_(known[name])

    def states(self, sequences: Sequences, moment: Moment = START) -> Float[Tensor, "tokens width"]:
        """What the head reads: the encoder's states, of which it learns nothing while the head learns alone."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and moment.fraction >= self.head_first):
            found: Tensor = self.encoder(sequences)
        return found

    def drop(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """What a head reads, while it learns."""
        return F.dropout(x, self.config.dropout) if self.config.dropout and self.training else x

    def flops_per_token(self, context: int) -> float:
        """Operations of a training step per token of rows of that length, without the head: six per weight of a matrix
        product, and attention's own."""
        config = self.config
        linear = [module for module in self.encoder.modules() if isinstance(module, nn.Linear)]
        seen = sum(
            context if config.sees_all(layer) else min(context, 2 * (config.window or 0) + 1)
            for layer in range(config.depth)
        )
        return 6.0 * sum(module.weight.numel() for module in linear) + 12.0 * config.width * seen


def _norm(config: EncoderConfig) -> LayerNorm:
    return LayerNorm(config.width, config.norm_eps, bias=config.architecture != "modernbert")


def _block(config: EncoderConfig, layer: int) -> Block:
    """What a layer of each architecture is made of."""
    pre_norm = config.architecture == "modernbert"
    attention = Attention(
        config.width,
        config.heads,
        config.heads,
        config.width // config.heads,
        bias=not pre_norm,
        out_bias=not pre_norm,
        window=None if config.sees_all(layer) else config.window,
        dropout=0.0 if pre_norm else config.dropout,  # PyTorch's fast kernels have none on a CPU
    )
    mlp: Any = GatedMLP if pre_norm else PlainMLP
    return (Block if pre_norm else PostNormBlock)(
        nn.Identity() if pre_norm and layer == 0 else _norm(config),  # what enters has been normalised
        attention,
        _norm(config),
        mlp(config.width, config.mlp_width, ACTIVATIONS[config.activation], bias=not pre_norm),
        config.dropout,
    )


def _table(rows: int, width: int) -> nn.Embedding:
    """An embedding that is not filled yet: filling one on the meta device makes PyTorch import for more than a second."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))
