"""A GPT over the codes of sounds: it writes recordings after what they are to say, or goes on with one (Borsos et al. 2022,
arXiv:2209.03143; Copet et al. 2023, arXiv:2306.05284).

- a place holds a code of each book of a tokenizer, laid by the delay pattern (`daedal.nn.delay`); their vectors are summed, and
  each book has logits of its own
- before the sound stand the ids of what is said and by whom, as a caption before a picture (`TokenLayout`); beside them the
  other books have nothing
- where a sound is over, the first book says nothing, and each of the others once it has said its last code
- `SoundModel` joins it with the tokenizer: steps that are known are taken as they are, the others are written after them
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.image import ImageSampling
from daedal.models.layout import TokenLayout
from daedal.models.model import IGNORE, Capability, Loss, Model, TokenBatch
from daedal.models.sayable import Sayable
from daedal.models.soundtokens import MOST_CODES, SoundTokens
from daedal.models.token_tables import smooth_tables, token_table
from daedal.nn.cache import KVCache
from daedal.nn.delay import Pattern
from daedal.nn.fused import linear_cross_entropy
from daedal.nn.guidance import ClassifierFree
from daedal.nn.noise import Noise

Codes = Int[Tensor, "steps books"]


class SoundGPTConfig(Sayable, GPTConfig):
    """The shape of a GPT over the codes of sounds.

    Attributes:
        books: codes of a step.
        codes: how many a book has; one more stands for nothing.
        words: ids of what is said; 0 where the model was told nothing.
        window: places of what is said.
        length: steps of the longest sound that was learned.
    """

    books: int = Field(ge=1, le=16)
    codes: int = Field(ge=2, le=MOST_CODES)
    words: int = Field(default=0, ge=0)
    window: int = Field(default=0, ge=0)
    length: int = Field(ge=1)

    @model_validator(mode="after")
    def _whole(self) -> "SoundGPTConfig":
        if self.grid is not None:
            raise ValueError("sounds have no grid")
        if self.vocab_size != self.layout.vocab_size or self.context < self.places(self.length):
            raise ValueError("the vocabulary and the context are those of what is said and of the longest sound")
        return self

    @property
    def nothing(self) -> int:
        """The code that stands for none."""
        return self.codes

    @property
    def pattern(self) -> Pattern:
        """How the books lie side by side."""
        return Pattern.one_by_one(self.books)

    @property
    def layout(self) -> TokenLayout:
        """The ids of the first book, and of what is said."""
        return TokenLayout(self.codes + 1, self.length, words=self.words, window=self.window)

    @property
    def opening(self) -> int:
        """Places before the sound."""
        return self.window + 1

    def places(self, steps: int) -> int:
        """Of a sound of so many steps, with what stands before it and its end."""
        return self.opening + steps + self.pattern.most + 1


class SoundGPT(GPT):
    """A GPT over several books of codes."""

    family = "soundgpt"
    capabilities = frozenset[Capability]({"speak"})
    config: SoundGPTConfig

    def _assemble(self, config: GPTConfig) -> None:
        super()._assemble(config)
        assert isinstance(config, SoundGPTConfig)
        self.finer = nn.ModuleList(token_table(config.codes + 1, config.width) for _ in range(config.books - 1))

    def hidden(
        self,
        ids: Int[Tensor, "batch time books"],
        cache: KVCache | None = None,
        first: Int[Tensor, " batch"] | None = None,
        beside: Float[Tensor, "batch time width"] | None = None,
    ) -> Float[Tensor, "batch time width"]:
        for table, own in zip(self.finer, ids.unbind(-1)[1:], strict=True):
            beside = table(own) if beside is None else beside + table(own)
        return super().hidden(ids[..., 0], cache, first, beside)

    @property
    def finer_tables(self) -> list[nn.Embedding]:
        """The vectors of the codes of all books but the first."""
        return [table for table in self.finer if isinstance(table, nn.Embedding)]

    @property
    def _heads(self) -> list[Float[Tensor, "codes width"]]:
        """The vectors of the codes of each book, and of nothing."""
        return [self.head_weight[: self.config.codes + 1], *(table.weight for table in self.finer_tables)]

    def head(self, hidden: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch books codes"]:
        """Logits of the next code of each book."""
        return torch.stack([F.linear(hidden, weight) for weight in self._heads], -2)

    def loss(self, batch: Any, player: str = "model") -> Loss:
        """Cross-entropy in nats, summed over the targets of all books and divided by the count of the whole step."""
        hidden, scale = self.hidden(batch.inputs).flatten(0, 1), 1 / batch.moment.count
        found = [
            linear_cross_entropy(hidden, weight, targets.flatten(), IGNORE, scale)
            for weight, targets in zip(self._heads, batch.targets.unbind(-1), strict=True)
        ]
        return Loss(torch.stack(found).sum())

    def batch(self, sounds: Sequence[Codes], labels: Int[Tensor, "batch window"], ends: Sequence[bool]) -> TokenBatch:
        """Sounds to learn, each after what it says; what stands behind one is nothing, and not learned.

        Args:
            ends: whether a sound is over with its codes, which is learned too.
        """
        config, longest = self.config, max(map(len, sounds))
        nothing, most = config.nothing, config.pattern.most
        rows = torch.stack([F.pad(each, (0, 0, 0, longest + 1 - len(each)), value=nothing) for each in sounds])
        laid = config.pattern.laid(rows, nothing)
        whole = torch.cat((self.opened(labels), laid), 1)
        lengths = torch.tensor([len(each) for each in sounds])[:, None, None]
        over = torch.tensor(list(ends))[:, None, None]
        steps = torch.arange(longest + 1 + most)[None, :, None] - torch.tensor(config.pattern.delays)
        learned = (steps >= 0) & (steps < lengths + (over & (torch.arange(config.books) == 0)))
        targets = laid.masked_fill(~learned.expand_as(laid), IGNORE)
        unasked = targets.new_full((len(rows), config.opening - 1, config.books), IGNORE)
        return TokenBatch(whole[:, :-1], torch.cat((unasked, targets), 1))

    def opened(self, labels: Int[Tensor, "batch window"]) -> Int[Tensor, "batch opening books"]:
        """What stands before a sound; -1 is no word."""
        opening = self.config.layout.opening(labels if self.config.words else labels[:, 0])
        return F.pad(opening[..., None], (0, self.config.books - 1), value=self.config.nothing)


class SoundModel(Model):
    """A GPT over the codes of sounds, and the tokenizer that makes sounds of them."""

    family: ClassVar[str] = "soundgpt"
    options: ClassVar[frozenset[str]] = frozenset({"temperature", "top_k", "guidance"})
    prompted: ClassVar[ImageSampling] = ImageSampling(guidance=2.0, temperature=0.6)
    """How it speaks unless told otherwise."""
    config: SoundGPTConfig

    def __init__(self, inner: SoundGPT, codec: SoundTokens) -> None:
        super().__init__()
        config = inner.config
        if (config.books, config.codes) != (codec.config.books, codec.vocab_size):
            raise DaedalError(
                f"The model writes {config.books} books of {config.codes} codes, and its tokenizer has "
                f"{codec.config.books} of {codec.vocab_size}",
                "Restore the folder from a copy",
            )
        self.inner, self.codec = inner, codec.requires_grad_(False)
        self.config = config
        self.capabilities = inner.capabilities  # type: ignore[misc]

    @property
    def layout(self) -> TokenLayout:
        """The ids of the first book, and of what is said."""
        return self.config.layout

    @property
    def longest(self) -> int:
        """Samples of the longest sound that is made at once."""
        return self.codec.config.samples(self.config.length)

    @property
    def way(self) -> str:
        """What makes sound of what it writes."""
        return "the tokenizer"

    def copy(self, samples: Float[Tensor, " samples"]) -> Float[Tensor, " copied"]:
        """A recording as it comes back from its codes: no better can it speak."""
        (copied,) = self.codec.decode_ids(self.codec.encode_ids([samples]))
        return copied[: len(samples)].cpu()

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        return self.inner.players

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights of the GPT anew. Codes that stand for nearly the same begin with nearly the same vectors."""
        self.inner.initialise(generator)
        first, *finer = self.codec.quantizer.all_books
        smooth_tables(self.inner.token_tables, first, generator)
        for table, book in zip(self.inner.finer_tables, finer, strict=True):
            smooth_tables([table], book, generator)

    def loss(self, batch: object, player: str = "model") -> Loss:
        raise TypeError("a model over codes learns codes: ask the inner model for its loss")

    @torch.no_grad()
    def write(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch window"],
        how: ImageSampling,
        known: Sequence[Codes] | None = None,
        steps: int | None = None,
    ) -> list[Codes]:
        """The codes of sounds.

        Args:
            labels: ids of what is asked for; -1 before them, and for nothing.
            known: the first steps of each sound.
            steps: how long they are, where the model is not to say; at most `config.length`.
        """
        config, inner = self.config, self.inner
        pattern, nothing = config.pattern, config.nothing
        most = config.length if steps is None else steps
        start = [F.pad(each, (0, 0, 0, most - len(each)), value=UNKNOWN) for each in known or ()]
        given = torch.stack(start) if start else labels.new_full((noise.count, most, config.books), UNKNOWN)
        given = pattern.laid(given, UNKNOWN)
        for book, delay in enumerate(pattern.delays):
            given[:, :delay, book] = nothing
        asked, unasked = (torch.cat((inner.opened(said), given), 1) for said in (labels, torch.full_like(labels, -1)))
        opening = config.opening

        def limit(written: Int[Tensor, "batch written books"], logits: Tensor) -> Tensor:
            place = written.shape[1] - opening
            logits = logits.clone()
            for book, delay in enumerate(pattern.delays):
                over = torch.zeros(len(written), dtype=torch.bool, device=logits.device)
                if place > delay:  # the first book's step before is that which this one may have ended with
                    over = written[:, opening + place - max(1, delay), 0] == nothing
                logits[over, book, :nothing] = -torch.inf
                if book or place == 0 or steps is not None:
                    logits[~over, book, nothing] = -torch.inf
            return logits

        guidance = 1.0 if how.guidance is None else how.guidance
        guided = guidance not in (0.0, 1.0) and bool((labels >= 0).any())
        chances = noise.uniform("tokens", most + pattern.most, config.books)
        *_, written = write(
            TorchNetwork(inner), asked if guidance else unasked, ByChance(chances, how.temperature or 1.0, how.top_k),
            limit=limit, unasked=unasked if guided else None, guidance=ClassifierFree(guidance if guided else 1.0),
            end=nothing,
        )  # fmt: skip
        found = pattern.undone(written[:, opening:])
        counts = (found[..., 0] != nothing).long().cumprod(1).sum(1).tolist()
        return [row[:count] for row, count in zip(found, counts, strict=True)]

    def go_on(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch window"],
        how: ImageSampling,
        known: Codes,
        steps: int | None = None,
    ) -> list[Codes]:
        """The codes of sounds that begin with these; what is longer than was learned is written in pieces, each after the last
        half of what a model sees.

        Args:
            steps: of each sound; as the model wants, once, where not given.
        """
        most, found = self.config.length, [known.to(noise.device)] * noise.count
        piece = 0
        while piece == 0 or (steps is not None and len(found[0]) < steps):
            kept = min(len(found[0]), most // 2)
            whole = None if steps is None else min(most, kept + steps - len(found[0]))
            part = Noise((noise.seed + piece * 2**32) % 2**64, noise.first, noise.count, noise.device)
            begins = [each[len(each) - kept :] for each in found]
            written = self.write(part, labels, how, begins, whole)
            found = [torch.cat((one, new[kept:])) for one, new in zip(found, written, strict=True)]
            piece += 1
        return found

    def speak(
        self, noise: Noise, labels: Int[Tensor, "batch window"], how: ImageSampling
    ) -> list[Float[Tensor, " samples"]]:
        """Sounds that say what labels say."""
        return self.codec.decode_ids(self.write(noise, labels, how))
