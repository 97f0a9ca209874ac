"""GPT: a Transformer that predicts the next token (Radford et al. 2018, 2019; Touvron et al. 2023).

- one class for the architectures gpt2, llama, mistral, qwen2 and qwen3, which open elsewhere, and swift, which learns
  faster and does not: `_block` says what each is made of
- a cache of keys and values, whose rows may be of unequal length
- initialisation in one place, the same on every device
"""

import math
from typing import Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.models.model import IGNORE, Loss, Model, TokenBatch, assembling
from daedal.models.sequences import Sequences, TargetBatch
from daedal.models.token_tables import earlier_vectors, token_table
from daedal.nn.attention import CausalAttention, Frame, ValueEmbedding
from daedal.nn.cache import KVCache
from daedal.nn.fused import linear_cross_entropy
from daedal.nn.mlp import ACTIVATIONS, GatedMLP, PlainMLP
from daedal.nn.norm import LayerNorm, QueryKeyNorm, RMSNorm
from daedal.nn.position import RopeScaling, Rotary
from daedal.nn.transformer import Block, OriginBlock, Transformer

Architecture = Literal["gpt2", "llama", "mistral", "qwen2", "qwen3", "swift"]
_JUDGED = 128
"""Places whose logits are in memory at once."""


class GPTConfig(Config):
    """The shape of a GPT. Lengths are in tokens, widths in channels.

    Attributes:
        grid: rows and columns of a picture's tokens; the model is told the place of each, and what stands above it.
        grid_at: the position from which the picture is written; what comes before is its caption.
    """

    architecture: Architecture = "qwen3"
    vocab_size: int = Field(ge=1, le=2**24)
    width: int = Field(ge=1, le=2**17)
    depth: int = Field(ge=1, le=2**12)
    heads: int = Field(ge=1, le=2**12)
    kv_heads: int = Field(ge=1, le=2**12)
    head_width: int = Field(ge=2, le=2**12)
    mlp_width: int = Field(ge=1, le=2**19)
    context: int = Field(ge=1, le=2**27)
    activation: Literal["gelu", "gelu_tanh", "silu", "relu", "relu_squared"] = "silu"
    norm_eps: float = Field(default=1e-6, gt=0)
    rope_theta: float = Field(default=10000.0, gt=1)
    rope_scaling: RopeScaling | None = None
    sliding_window: int | None = Field(default=None, ge=1)
    window_from: int = Field(default=0, ge=0)
    tied: bool = True
    grid: tuple[PositiveInt, PositiveInt] | None = None
    grid_at: int = Field(default=0, ge=0)
    attention_bias: bool = False
    mlp_bias: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.architecture != "gpt2" and self.head_width % 2:
            raise ValueError(f"head_width ({self.head_width}) must be even for rotary positions")
        if self.architecture == "gpt2" and (self.kv_heads != self.heads or self.head_width * self.heads != self.width):
            raise ValueError("gpt2 needs kv_heads = heads and head_width x heads = width")
        if self.grid is not None and self.grid_at + math.prod(self.grid) > self.context:
            raise ValueError(f"a grid of {self.grid} from {self.grid_at} does not fit a context of {self.context}")
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
        kv_heads: int | None = None,
        **changes: object,
    ) -> Self:
        """The usual proportions: an MLP of 4 times the width where it is plain, of 8/3 where it is gated."""
        gpt2, plain = architecture == "gpt2", architecture in ("gpt2", "swift")
        values: dict[str, object] = {
            "architecture": architecture,
            "vocab_size": vocab_size,
            "width": width,
            "depth": depth,
            "heads": heads,
            "kv_heads": kv_heads or heads,
            "head_width": max(1, width // heads),
            "context": context,
            "mlp_width": 4 * width if plain else -(-8 * width // 3 // 32) * 32,
            "activation": "gelu_tanh" if gpt2 else "relu_squared" if plain else "silu",
            "norm_eps": 1e-5 if gpt2 else 1e-6,
            "attention_bias": architecture in ("gpt2", "qwen2"),
            "mlp_bias": gpt2,
        }
        return cls.parse({**values, **changes}, "model")


class GPT(Model):
    """A causal language model. `GPT(config)` under `torch.device("meta")` allocates and initialises nothing."""

    family = "gpt"
    capabilities = frozenset({"sample", "complete", "score", "stream"})

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config: GPTConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: GPTConfig) -> None:
        self.embedding = token_table(config.vocab_size, config.width)
        self.embedding_norm = _norm(config, config.width) if config.architecture == "swift" else None
        self.positions: nn.Embedding | None = None
        self.rotary: Rotary | None = None
        if config.architecture == "gpt2":
            self.positions = token_table(config.context, config.width)
        else:
            self.rotary = Rotary(config.head_width, config.rope_theta, config.context, config.rope_scaling)
        self.rows = self.columns = self.above = self.before = None
        if config.grid is not None:
            self.rows, self.columns = (token_table(count, config.width) for count in config.grid)
            self.above, self.before = (token_table(config.vocab_size, config.width) for _ in range(2))
        blocks = (_block(config, layer) for layer in range(config.depth))
        self.transformer = Transformer(blocks, _norm(config, config.width))
        self.unembedding = None if config.tied else nn.Linear(config.width, config.vocab_size, bias=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device."""

        def normal(weight: Tensor, deviation: float) -> None:
            weight.copy_(torch.randn(weight.shape, generator=generator) * deviation)

        outputs: list[Tensor] = []
        tables = [module.embedding for module in self.modules() if isinstance(module, ValueEmbedding)]
        for module in self.modules():
            if isinstance(module, nn.Linear):
                normal(module.weight, module.in_features**-0.5)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                normal(module.weight, 1.0 if module in tables else 0.02)  # values have unit size
            elif isinstance(module, QueryKeyNorm):
                for gain in module.parameters():
                    gain.fill_(1.0)
            elif isinstance(module, RMSNorm | LayerNorm) and module.weight is not None:
                module.weight.fill_(1.0)
                if isinstance(module, LayerNorm) and module.bias is not None:
                    module.bias.zero_()
            if isinstance(module, CausalAttention):
                # Each block starts as the identity: gradients reach every layer from the first step (Zhang et al. 2019)
                outputs.append(module.out.weight)
            elif isinstance(module, PlainMLP | GatedMLP):
                outputs.append(module.down.weight)
            if isinstance(module, OriginBlock):
                module.mix.copy_(torch.tensor([1.0, 0.1]))
            elif isinstance(module, ValueEmbedding):
                module.gain.fill_(0.5)
        for weight in outputs:
            weight.zero_()
        if self.unembedding is not None:
            normal(self.unembedding.weight, 0.02)

    def new_cache(self, batch: int, capacity: int, dtype: torch.dtype | None = None) -> KVCache:
        """An empty cache for `batch` rows of at most `capacity` tokens."""
        weight, config = self.embedding.weight, self.config
        return KVCache(
            config.depth, batch, config.kv_heads, capacity, config.head_width, dtype or weight.dtype, weight.device
        )

    def hidden(
        self,
        ids: Int[Tensor, "batch time"],
        cache: KVCache | None = None,
        first: Int[Tensor, " batch"] | None = None,
        beside: Float[Tensor, "batch time width"] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """The state above the last block, after its norm.

        Args:
            cache: earlier columns, of each row as many as it has; the new ones are added to it.
            first: the position of each row's first token, where it is not 0; a cache has it.
            beside: vectors of what else stands at each place, which are added to those of the tokens.
        """
        time, past, lengths = ids.shape[1], 0, None
        if cache is not None:
            past, first = cache.length, cache.first
            if past + time > cache.capacity:
                raise DaedalError(
                    f"{past + time} tokens do not fit a cache of {cache.capacity}", "Make the cache larger"
                )
            if not cache.even:
                lengths = torch.tensor(cache.lengths, device=ids.device)
        positions = torch.arange(time, device=ids.device) + (past if lengths is None else lengths[:, None])
        columns = positions
        if first is not None:
            positions = positions + first[:, None]
        x = self.embedding(ids) if beside is None else self.embedding(ids) + beside
        turns = None
        if self.positions is not None:
            if past + time > self.config.context and int(positions.max()) >= self.config.context:
                raise DaedalError(
                    f"{past + time} tokens are more than this model's context of {self.config.context}",
                    "Shorten the text, or slide the window",
                )
            x = x + self.positions(positions)
        if self.config.grid is not None:
            places = self._places()
            after = self.config.context - len(places) - self.config.grid_at
            x = x + F.pad(places, (0, 0, self.config.grid_at, after))[positions]
            if lengths is not None:
                raise DaedalError("Rows of pictures are written together", "Give each row as many tokens")
            known = ids if cache is None else cache.remember(ids)
            x = x + self._around(known, positions, columns)
        if self.rotary is not None:
            turns = self.rotary.turns(positions, past + time if first is None else self.config.context)
        if self.config.dropout and self.training:
            x = F.dropout(x, self.config.dropout)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        frame = Frame(time, past, lengths, turns, cache, x.device, x.dtype, ids, x)
        out: Tensor = self.transformer(x, frame)
        return out

    def branching(
        self,
        ids: Int[Tensor, "batch time"],
        positions: Int[Tensor, "batch time"],
        seen: Float[Tensor, "batch 1 time total"],
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch time width"]:
        """The same of rows that branch: texts that begin alike, whose common beginning is read once.

        Args:
            positions: of each token in its text.
            seen: 0 where a token sees another, those of the cache first; minus infinity elsewhere.
            cache: what stands before all of them; the rows are added to it.

        Raises:
            DaedalError: the model sees only a window, or writes pictures.
        """
        if self.config.grid is not None or self.config.sliding_window is not None:
            raise DaedalError("This model reads texts one by one", "Do not let them branch")
        past = 0 if cache is None else cache.length
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + self.positions(positions)
        turns = None if self.rotary is None else self.rotary.turns(positions, int(positions.max()) + 1)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        frame = Frame(ids.shape[1], past, None, turns, cache, x.device, x.dtype, ids, x, seen=seen)
        out: Tensor = self.transformer(x, frame)
        return out

    def states(self, sequences: Sequences) -> Float[Tensor, "tokens width"]:
        """The same of rows that lie one after the other, each of which sees itself alone.

        Raises:
            DaedalError: a row is longer than the context, or the model writes pictures.
        """
        config, packing, ids = self.config, sequences.packing, sequences.ids[None]
        if config.grid is not None:
            raise DaedalError("This model writes the tokens of pictures, whose rows are of one length", "Give it those")
        if (longest := max(packing.lengths)) > config.context:
            raise DaedalError(
                f"{longest} tokens are more than this model's context of {config.context}", "Shorten the text"
            )
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + self.positions(packing.positions)
        turns = None if self.rotary is None else self.rotary.turns(packing.positions, longest)
        if config.dropout and self.training:
            x = F.dropout(x, config.dropout)
        if self.embedding_norm is not None:
            x = self.embedding_norm(x)
        frame = Frame(packing.tokens, turns=turns, device=x.device, dtype=x.dtype, ids=ids, origin=x, packing=packing)
        out: Tensor = self.transformer(x, frame)[0]
        return out

    def _places(self) -> Float[Tensor, "places width"]:
        """The vectors of the places of a grid."""
        assert self.rows is not None
        assert self.columns is not None
        return (self.rows.weight[:, None] + self.columns.weight).flatten(0, 1)

    def _around(
        self,
        ids: Int[Tensor, "batch total"],
        positions: Int[Tensor, "*batch time"],
        columns: Int[Tensor, "*batch time"],
    ) -> Float[Tensor, "batch time width"]:
        """The vectors of tokens that stand near the places to predict."""
        return self._above(ids, positions) + self._before(ids, columns)

    def _above(
        self, ids: Int[Tensor, "batch total"], positions: Int[Tensor, "*batch time"]
    ) -> Float[Tensor, "batch time width"]:
        """The vectors of the tokens above the places to predict; none for the first row of a picture, and outside of it.

        Attention finds them too, but only after much training.
        """
        assert self.above is not None
        assert self.config.grid is not None
        rows, columns = self.config.grid
        place = positions - self.config.grid_at
        return earlier_vectors(self.above, ids, columns - 1, (place >= columns) & (place < rows * columns))

    def _before(
        self, ids: Int[Tensor, "batch total"], columns: Int[Tensor, "*batch time"]
    ) -> Float[Tensor, "batch time width"]:
        """The vectors of the tokens before those of some columns of a row; none for its first.

        So a noun of a caption has its adjective with it from the first layer on, and what is drawn in red finds the red noun.
        """
        assert self.before is not None
        return earlier_vectors(self.before, ids, 1, columns > 0)

    @property
    def head_weight(self) -> Float[Tensor, "vocab width"]:
        return self.embedding.weight if self.unembedding is None else self.unembedding.weight

    def head(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocab"]:
        """Logits of the next token."""
        if self.unembedding is None:
            return F.linear(hidden, self.embedding.weight)
        logits: Tensor = self.unembedding(hidden)
        return logits

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        cache: KVCache | None = None,
        first: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits of the token after each position; see `hidden`."""
        return self.head(self.hidden(ids, cache, first))

    def loss(self, batch: TokenBatch | TargetBatch, player: str = "model") -> Loss:
        """Cross-entropy in nats, summed over the targets and divided by the count of the whole step."""
        targets = batch.targets.flatten()
        if isinstance(batch, TargetBatch):
            learned = (targets != IGNORE).nonzero()[:, 0]  # of a conversation about half: the others need no logits
            hidden, targets = self.states(batch.sequences).index_select(0, learned), targets.index_select(0, learned)
        else:
            hidden = self.hidden(batch.inputs, first=batch.first).flatten(0, 1)
        return Loss(linear_cross_entropy(hidden, self.head_weight, targets, IGNORE, 1 / batch.moment.count))

    @property
    def token_tables(self) -> list[nn.Embedding]:
        """The tables with a vector for each token."""
        tables = (module for module in self.modules() if isinstance(module, nn.Embedding))
        return [table for table in tables if table.num_embeddings == self.config.vocab_size]

    @torch.no_grad()
    def token_log_likelihoods(
        self, ids: Int[Tensor, "batch time"], targets: Int[Tensor, "batch time"]
    ) -> Float64[Tensor, "batch time"]:
        """Log-probability of each target in nats, 0 where it is ignored; see `judge`."""
        known = targets != IGNORE
        found = torch.zeros(targets.shape, dtype=torch.float64, device=targets.device)
        found[known], _ = self.judge(self.hidden(ids)[known], targets[known])
        return found

    @torch.no_grad()
    def judge(
        self, states: Float[Tensor, "places width"], targets: Int[Tensor, " places"]
    ) -> tuple[Float64[Tensor, " places"], Bool[Tensor, " places"]]:
        """Log-probability of what follows some states, the softmax taken in float64; and whether nothing is likelier."""
        found = []
        for some, asked in zip(torch.split(states, _JUDGED), torch.split(targets, _JUDGED), strict=True):
            logits = self.head(some).double()
            found.append((logits.gather(1, asked[:, None])[:, 0] - logits.logsumexp(1), logits.argmax(1) == asked))
        likelihoods, likeliest = zip(*found, strict=True)
        return torch.cat(likelihoods), torch.cat(likeliest)

    @torch.no_grad()
    def log_likelihood(self, batch: TokenBatch) -> Float64[Tensor, " batch"]:
        """Log-likelihood of each row's targets, in nats."""
        return self.token_log_likelihoods(batch.inputs, batch.targets).sum(1)

    def flops_per_token(self, context: int) -> float:
        """Operations of a training step per token: six per weight of a matrix product, and attention's own."""
        config = self.config
        linear = [module for module in self.transformer.modules() if isinstance(module, nn.Linear)]
        weights = sum(module.weight.numel() for module in linear) + self.head_weight.numel()
        seen = min(context, config.sliding_window or context)
        return 6.0 * weights + 12.0 * config.depth * config.heads * config.head_width * seen / 2


def _norm(config: GPTConfig, width: int) -> nn.Module:
    if config.architecture == "gpt2":
        return LayerNorm(width, config.norm_eps)
    return RMSNorm(width, config.norm_eps, gain=config.architecture != "swift")


def _block(config: GPTConfig, layer: int) -> Block:
    """What a layer of each architecture is made of."""
    name, heads = config.architecture, (config.heads, config.kv_heads, config.head_width)
    normed, odd = name in ("qwen3", "swift"), layer % 2 == 1
    attention = CausalAttention(
        config.width,
        *heads,
        bias=config.attention_bias,
        out_bias=config.attention_bias and name != "qwen2",
        window=config.sliding_window if layer >= config.window_from else None,
        norm=QueryKeyNorm(*heads, config.norm_eps, gain=name != "swift") if normed else None,
        values=ValueEmbedding(config.vocab_size, *heads[1:]) if name == "swift" and odd else None,
        dropout=config.dropout,
    )
    mlp = PlainMLP if name in ("gpt2", "swift") else GatedMLP
    return (OriginBlock if name == "swift" else Block)(
        _norm(config, config.width),
        attention,
        _norm(config, config.width),
        mlp(config.width, config.mlp_width, ACTIVATIONS[config.activation], config.mlp_bias),
        config.dropout,
    )
