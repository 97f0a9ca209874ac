"""The translator: an encoder reads one text, a decoder writes another (Vaswani et al. 2017).

- one class for the architectures t5 and marian, which open in Transformers, and rotary, which learns faster and does not:
  `_parts` says what a layer of each is made of
- one table of vectors for what is read, what is written and, where `tied`, what is predicted
- learned without padding: `daedal.nn.packing`
"""

from functools import cache
from typing import Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.models.model import IGNORE, Loss, Model, assembling
from daedal.models.sequences import PairBatch, Sequences
from daedal.nn.attention import Attention, CausalAttention, Frame, Memory
from daedal.nn.cross_attention import CrossAttention
from daedal.nn.fused import smoothed_cross_entropy
from daedal.nn.mlp import ACTIVATIONS, GatedMLP, PlainMLP
from daedal.nn.norm import LayerNorm, QueryKeyNorm, RMSNorm
from daedal.nn.packing import Packing
from daedal.nn.position import Rotary, Sinusoids
from daedal.nn.relative import RelativeBias
from daedal.nn.transformer import Block, DecoderBlock, PostNormBlock, PostNormDecoderBlock, Transformer

Architecture = Literal["rotary", "t5", "marian"]
_JUDGED = 1024
"""Places whose logits are in memory at once."""


class TranslatorConfig(Config):
    """The shape of a translator. Lengths are in tokens, widths in channels.

    Attributes:
        depth, decoder_depth: blocks of the encoder, and of the decoder.
        context: the longest row that is read or written.
        gated: the MLP has a gate.
        start_id: the token that the decoder reads first.
        end_id: the token that ends a text.
        embedding_scale: factor of the vectors of tokens.
        output_scale: factor of the decoder's states before they become logits.
        relative_buckets, relative_distance: of T5's relative positions (`RelativeBias`).
        output_bias: logits have a bias that is loaded, not learned.
        suppressed: tokens that are never written, as none of what it learned to write had them.
    """

    architecture: Architecture = "rotary"
    vocab_size: int = Field(ge=1, le=2**24)
    width: int = Field(ge=1, le=2**17)
    depth: int = Field(ge=1, le=2**12)
    decoder_depth: int = Field(ge=1, le=2**12)
    heads: int = Field(ge=1, le=2**12)
    head_width: int = Field(ge=2, le=2**12)
    mlp_width: int = Field(ge=1, le=2**19)
    context: int = Field(ge=1, le=2**27)
    activation: Literal["gelu", "gelu_tanh", "silu", "relu", "relu_squared"] = "relu_squared"
    gated: bool = False
    norm_eps: float = Field(default=1e-6, gt=0)
    rope_theta: float = Field(default=10000.0, gt=1)
    relative_buckets: int = Field(default=32, ge=4, le=2**16)
    relative_distance: int = Field(default=128, ge=4, le=2**27)
    embedding_scale: float = Field(default=1.0, gt=0)
    output_scale: float = Field(default=1.0, gt=0)
    output_bias: bool = False
    tied: bool = True
    start_id: int = Field(default=0, ge=0)
    end_id: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    suppressed: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.architecture == "rotary" and self.head_width % 2:
            raise ValueError(f"head_width ({self.head_width}) must be even for rotary positions")
        if self.architecture == "marian" and self.head_width * self.heads != self.width:
            raise ValueError("marian needs head_width x heads = width")
        if self.architecture == "t5" and self.gated and self.activation == "gelu":
            raise ValueError("a gated t5 has the approximation gelu_tanh, not gelu")
        if self.relative_distance <= self.relative_buckets // 2:
            raise ValueError(f"relative_distance must be more than half of relative_buckets ({self.relative_buckets})")
        if max(self.start_id, self.end_id) >= self.vocab_size:
            raise ValueError(f"start_id and end_id must be below vocab_size ({self.vocab_size})")
        if self.suppressed and not 0 <= min(self.suppressed) <= max(self.suppressed) < self.vocab_size:
            raise ValueError(f"suppressed must be ids below vocab_size ({self.vocab_size})")
        if self.end_id in self.suppressed:
            raise ValueError("the token that ends a text cannot be suppressed")
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
        decoder_depth: int | None = None,
        **changes: object,
    ) -> Self:
        """The usual proportions: an MLP of 4 times the width where it is plain, of 8/3 where it is gated."""
        gated = bool(changes.get("gated", False))
        values: dict[str, object] = {
            "architecture": architecture,
            "vocab_size": vocab_size,
            "width": width,
            "depth": depth,
            "decoder_depth": decoder_depth or depth,
            "heads": heads,
            "head_width": max(2, width // heads),
            "context": context,
            "mlp_width": -(-8 * width // 3 // 32) * 32 if gated else 4 * width,
            "activation": {"rotary": "relu_squared", "t5": "relu", "marian": "silu"}[architecture],
            "norm_eps": 1e-5 if architecture == "marian" else 1e-6,
            "embedding_scale": 1.0 if architecture == "t5" else width**0.5,
            "output_bias": architecture == "marian",
        }
        return cls.parse({**values, **changes}, "model")


class Translator(Model):
    """An encoder and a decoder. `Translator(config)` under `torch.device("meta")` allocates and initialises nothing."""

    family = "translator"
    capabilities = frozenset({"translate"})

    def __init__(self, config: TranslatorConfig) -> None:
        super().__init__()
        self.config: TranslatorConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: TranslatorConfig) -> None:
        self.embedding = nn.Embedding(
            config.vocab_size, config.width, _weight=torch.empty(config.vocab_size, config.width)
        )
        self.rotary = self.sinusoids = None
        self.encoder_bias = self.decoder_bias = None
        if config.architecture == "rotary":
            self.rotary = Rotary(config.head_width, config.rope_theta, config.context)
        elif config.architecture == "marian":
            self.sinusoids = Sinusoids(config.width)
        else:
            shape = config.heads, config.relative_buckets, config.relative_distance
            self.encoder_bias, self.decoder_bias = (
                RelativeBias(*shape, both_ways=True),
                RelativeBias(*shape, both_ways=False),
            )
        self.encoder = Transformer((_encoder_block(config) for _ in range(config.depth)), _last_norm(config))
        self.decoder = Transformer((_decoder_block(config) for _ in range(config.decoder_depth)), _last_norm(config))
        self.unembedding = None if config.tied else nn.Linear(config.width, config.vocab_size, bias=False)
        self.output_bias: Tensor | None
        self.register_buffer("output_bias", torch.empty(1, config.vocab_size) if config.output_bias else None)
        self.output: nn.Module | None = None  # what `Decoding` would make for itself, where that is at hand

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device."""

        def normal(weight: Tensor, deviation: float) -> None:
            weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)

        config = self.config
        for module in self.modules():
            if isinstance(module, nn.Linear):
                normal(module.weight, module.in_features**-0.5)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, QueryKeyNorm | RMSNorm | LayerNorm):
                for name, gain in module.named_parameters():
                    gain.fill_(0.0 if name == "bias" else 1.0)
            elif isinstance(module, RelativeBias):
                module.weight.zero_()
        normal(self.embedding.weight, _embedding_deviation(config))
        if self.unembedding is not None:
            normal(self.unembedding.weight, 0.02)
        if self.output_bias is not None:
            self.output_bias.zero_()
        for module in self.modules():
            # Each block starts as the identity: gradients reach every layer from the first step (Zhang et al. 2019)
            if isinstance(module, Attention | CrossAttention):
                module.out.weight.zero_()
            elif isinstance(module, PlainMLP | GatedMLP):
                module.down.weight.zero_()
            # T5 leaves the scale of its logits to the queries' weights
            if isinstance(module, Attention) and module.scale == 1.0:
                module.qkv.weight[: module.rows[0]] *= module.head_width**-0.5
            elif isinstance(module, CrossAttention) and module.scale == 1.0:
                module.query.weight *= module.head_width**-0.5

    def encode(self, source: Sequences) -> Memory:
        """What the decoder reads: the state of each token of the source."""
        x, frame = self._begin(source.ids, source.packing)
        if self.encoder_bias is not None:
            frame.bias = cache(self.encoder_bias.forward)  # once for all layers
        return Memory(self._end(self.encoder(x, frame))[0], source.packing)

    def hidden(self, source: Sequences, target: Sequences) -> Float[Tensor, "tokens width"]:
        """The decoder's state at each token of the target, from which the token after it is predicted."""
        memory = self.encode(source)
        x, frame = self._begin(target.ids, target.packing)
        frame.memory = memory
        if self.decoder_bias is not None:
            frame.bias = cache(self.decoder_bias.forward)
        return self._end(self.decoder(x, frame))[0] * self.config.output_scale

    def _begin(self, ids: Int[Tensor, " tokens"], packing: Packing) -> tuple[Float[Tensor, "1 tokens width"], Frame]:
        """The vectors of tokens, and what all layers share."""
        longest = max(packing.lengths)
        x = self.embed(ids, packing.positions, longest).unsqueeze(0)
        frame = Frame(len(ids), device=x.device, dtype=x.dtype, packing=packing)
        if self.rotary is not None:
            frame.turns = self.rotary.turns(packing.positions, longest)
        return self._drop(x), frame

    def embed(
        self, ids: Int[Tensor, "*batch"], positions: Int[Tensor, "*batch"], length: int
    ) -> Float[Tensor, "*batch width"]:
        """The vectors of tokens at positions below `length`."""
        x: Tensor = self.embedding(ids)
        if self.config.embedding_scale != 1.0:
            x = x * self.config.embedding_scale
        if self.sinusoids is not None:
            if length > self.config.context:
                raise DaedalError(
                    f"{length} tokens are more than this model's context of {self.config.context}", "Shorten the text"
                )
            x = x + self.sinusoids.at(positions, length)
        return x

    def _end(self, x: Tensor) -> Tensor:
        return self._drop(x) if self.config.architecture == "t5" else x

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout) if self.training and self.config.dropout else x

    @property
    def head_weight(self) -> Float[Tensor, "vocab width"]:
        return self.embedding.weight if self.unembedding is None else self.unembedding.weight

    def head(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocab"]:
        """Logits of the next token."""
        logits = F.linear(hidden, self.head_weight)
        return logits if self.output_bias is None else logits + self.output_bias

    def forward(self, source: Sequences, target: Sequences) -> Float[Tensor, "tokens vocab"]:
        """Logits of the token after each of the target's."""
        return self.head(self.hidden(source, target))

    def loss(self, batch: PairBatch, player: str = "model") -> Loss:
        """Cross-entropy to smoothed targets in nats, summed and divided by the count of the whole step; the part `nats` is
        without smoothing."""
        total, nats = smoothed_cross_entropy(
            self.hidden(batch.source, batch.target), self.head_weight, batch.targets, IGNORE, 1 / batch.moment.count,
            self.config.label_smoothing if self.training else 0.0,
            None if self.output_bias is None else self.output_bias[0],
        )  # fmt: skip
        return Loss(total, {"nats": nats})

    @torch.no_grad()
    def log_likelihood(self, batch: PairBatch) -> Float64[Tensor, " rows"]:
        """Log-likelihood of each row's targets, in nats; the softmax is taken in float64."""
        hidden, targets = self.hidden(batch.source, batch.target), batch.targets
        found = []
        for some, asked in zip(torch.split(hidden, _JUDGED), torch.split(targets, _JUDGED), strict=True):
            logits, known = self.head(some).double(), asked != IGNORE
            chosen = logits.gather(1, asked.where(known, 0)[:, None])[:, 0]
            found.append((chosen - logits.logsumexp(1)) * known)
        likelihoods = torch.cat(found)
        return likelihoods.new_zeros(len(batch.target)).index_add(0, batch.target.packing.rows, likelihoods)

    @property
    def token_tables(self) -> list[nn.Embedding]:
        """The tables with a vector for each token."""
        return [self.embedding]

    def flops_per_token(self, context: int) -> float:
        """Operations of a training step per token read or written, where a pair has as many of either: six per weight of a
        matrix product, and attention's own."""
        config = self.config
        read, written = (
            sum(module.weight.numel() for module in stack.modules() if isinstance(module, nn.Linear))
            for stack in (self.encoder, self.decoder)
        )
        attended = config.heads * config.head_width * context * (config.depth + 1.5 * config.decoder_depth)
        return (6.0 * (read + written + self.head_weight.numel()) + 12.0 * attended) / 2


def _embedding_deviation(config: TranslatorConfig) -> float:
    """States begin at unit size, as what blocks add to them is: learned faster than from small ones, though a tied output layer
    at first expects the token that was just read. A T5 that ties its tables has no scale for it."""
    return 0.02 / config.output_scale if config.architecture == "t5" and config.tied else 1 / config.embedding_scale


def _norm(config: TranslatorConfig) -> nn.Module:
    if config.architecture == "marian":
        return LayerNorm(config.width, config.norm_eps)
    return RMSNorm(config.width, config.norm_eps, gain=config.architecture == "t5")


def _last_norm(config: TranslatorConfig) -> nn.Module:
    return nn.Identity() if config.architecture == "marian" else _norm(config)


def _self_attention(config: TranslatorConfig, kind: type[Attention]) -> Attention:
    shape, marian = (config.heads, config.heads, config.head_width), config.architecture == "marian"
    return kind(
        config.width,
        *shape,
        bias=marian,
        out_bias=marian,
        norm=QueryKeyNorm(*shape, config.norm_eps, gain=False) if config.architecture == "rotary" else None,
        scale=1.0 if config.architecture == "t5" else None,
    )


def _cross_attention(config: TranslatorConfig) -> CrossAttention:
    rotary = config.architecture == "rotary"
    query_norm, key_norm = (
        RMSNorm(config.head_width, config.norm_eps, gain=False) if rotary else None for _ in range(2)
    )
    return CrossAttention(
        config.width,
        config.heads,
        config.head_width,
        bias=config.architecture == "marian",
        query_norm=query_norm,
        key_norm=key_norm,
        scale=1.0 if config.architecture == "t5" else None,
    )


def _mlp(config: TranslatorConfig) -> nn.Module:
    kind = GatedMLP if config.gated else PlainMLP
    return kind(config.width, config.mlp_width, ACTIVATIONS[config.activation], config.architecture == "marian")


def _encoder_block(config: TranslatorConfig) -> Block:
    return (PostNormBlock if config.architecture == "marian" else Block)(
        _norm(config), _self_attention(config, Attention), _norm(config), _mlp(config), config.dropout
    )


def _decoder_block(config: TranslatorConfig) -> Block:
    return (PostNormDecoderBlock if config.architecture == "marian" else DecoderBlock)(
        _norm(config), _self_attention(config, CausalAttention), _norm(config), _cross_attention(config),
        _norm(config), _mlp(config), config.dropout,
    )  # fmt: skip
