"""Film: a GPT that writes clips, as the tokens of groups of frames, one group after the other (VideoGPT; Yan et al. 2021,
arXiv:2104.10157).

- a clip is a tall grid: the rows of the first group, those of the second, and so on (`GPTConfig.grid`); the place of a token is
  told by three tables, of its group, row and column
- besides what stands above a token the model is told what stood in its place a group before, right of that and below it: what
  stands still or moves on is found from the first layer on
- before all may stand the tokens of the last frame as a picture: then it writes what leads there, and at each place is told
  what comes to stand in it. So whatever is known of a clip's frames is known to what is written
- `TokenFilm` joins it with the tokenizer: frames that are known are taken as they are, the others are written after them
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.film_model import FilmModel, Ids
from daedal.models.film_sampling import FilmSampling
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.image import Sketch
from daedal.models.layout import TokenLayout
from daedal.models.model import IGNORE, Capability, TokenBatch
from daedal.models.token_tables import earlier_vectors, smooth_tables, token_table
from daedal.models.vqvae3d import VQVAE3D
from daedal.nn.causal_video import Video
from daedal.nn.guidance import ClassifierFree
from daedal.nn.noise import Noise


class FilmConfig(GPTConfig):
    """The shape of a GPT over clips; `grid` is the rows of all groups together, and columns. The first positions are those of
    the tokens of a last frame.

    Attributes:
        groups: of frames that a clip has.
        window: tokens of a caption; 0 where it was learned without.
    """

    groups: int = Field(ge=1)
    window: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _whole_groups(self) -> "FilmConfig":
        if self.grid is None or self.grid[0] % self.groups:
            raise ValueError("the rows of a clip's grid are those of whole groups")
        if self.grid_at != self.group + self.window:
            raise ValueError("before a clip stand a last frame and a caption")
        return self

    @property
    def group(self) -> int:
        """Tokens of a group."""
        assert self.grid is not None
        return self.grid[0] // self.groups * self.grid[1]


class Film(GPT):
    """A GPT over the tokens of clips."""

    family = "film"
    capabilities = frozenset[Capability]({"film", "prompt", "class", "score"})
    config: FilmConfig

    def _assemble(self, config: GPTConfig) -> None:
        super()._assemble(config)
        assert isinstance(config, FilmConfig)
        assert config.grid is not None
        self.moments = token_table(config.groups, config.width)
        self.rows = token_table(config.grid[0] // config.groups, config.width)
        self.earlier = nn.ModuleList(token_table(config.vocab_size, config.width) for _ in range(3))
        self.ending = token_table(config.vocab_size, config.width)

    def _places(self) -> Float[Tensor, "places width"]:
        return (self.moments.weight[:, None] + super()._places()).flatten(0, 1)

    def _around(
        self,
        ids: Int[Tensor, "batch total"],
        positions: Int[Tensor, "*batch time"],
        columns: Int[Tensor, "*batch time"],
    ) -> Float[Tensor, "batch time width"]:
        found = super()._around(ids, positions, columns)
        config = self.config
        assert config.grid is not None
        rows, across = config.grid
        place = positions - config.grid_at
        later = (place >= config.group) & (place < rows * across)
        for table, ahead in zip(self.earlier, (0, 1, across), strict=True):
            assert isinstance(table, nn.Embedding)
            # ids end with the token before the place; what is beyond the group before is of this one, and already there
            found = found + earlier_vectors(table, ids, config.group - 1 - ahead, later)
        if ids.shape[1] < config.group:
            return found
        # tokens of a last frame begin a row, which then begins at position 0
        led = (place >= 0) & (place < rows * across) & (positions == columns)
        wanted = ids[:, : config.group].gather(1, (place % config.group).expand(len(ids), -1))
        to_come: Tensor = self.ending(wanted)
        return found + to_come * led[..., None]


class TokenFilm(FilmModel):
    """A GPT over the tokens of clips, and the tokenizer that makes frames of them."""

    options: ClassVar[frozenset[str]] = frozenset({"temperature", "guidance", "top_k"})
    prompted: ClassVar[FilmSampling] = FilmSampling(temperature=0.7, guidance=2.0)
    config: FilmConfig

    def __init__(self, inner: Film, codec: VQVAE3D) -> None:
        config = inner.config
        mine, theirs = (config.grid, config.groups), (codec.grid, codec.config.groups)
        if mine != theirs or config.vocab_size <= codec.vocab_size:
            raise DaedalError(
                f"The model writes grids of {mine[0]} in {mine[1]} groups, of {config.vocab_size} ids, and its tokenizer has "
                f"{theirs[0]} in {theirs[1]}, of {codec.vocab_size}",
                "Restore the folder from a copy",
            )
        rest, places = config.vocab_size - codec.vocab_size - 1, config.group * config.groups
        said = {"words": rest - 1, "window": config.window} if config.window else {"classes": rest}
        super().__init__(inner, codec, TokenLayout(codec.vocab_size, places, **said))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        smooth_tables(self.inner.token_tables, self.codec.quantizer, generator)

    def to_learn(
        self,
        ids: Int[Tensor, "batch places"],
        labels: Int[Tensor, "batch *window"],
        last: Int[Tensor, "batch group"] | None = None,
    ) -> TokenBatch:
        """Sequences that teach to write clips, after their captions or classes; and before all, after their last frames."""
        batch, group = self.layout.to_draw(ids, labels), self.config.group
        if last is None:
            return TokenBatch(batch.inputs, batch.targets, first=ids.new_full((len(ids),), group))
        inputs, targets = (torch.cat(parts, 1) for parts in ((last, batch.inputs), (last, batch.targets)))
        targets[:, :group] = IGNORE
        return TokenBatch(inputs, targets, first=ids.new_zeros(len(ids)))

    @torch.no_grad()
    def token_log_likelihood(self, video: Video, labels: Int[Tensor, "batch *window"]) -> Float[Tensor, " batch"]:
        """Log-likelihood of the tokens of clips after what is asked for, in nats."""
        layout = self.layout
        batch = self.to_learn(self.encode_ids(video).flatten(1), labels)
        places = slice(layout.window, layout.window + layout.places)
        logits = self.inner(batch.inputs, first=batch.first)[:, places, : layout.tokens].double()
        found: Tensor = logits.log_softmax(-1).gather(2, batch.targets[:, places, None])[..., 0].sum(1)
        return found

    @torch.no_grad()
    def write(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch *window"],
        how: FilmSampling,
        known: Video | None = None,
        last: Video | None = None,
    ) -> Iterator[Sketch[Ids]]:
        """Group after group."""
        layout, config = self.layout, self.config
        assert config.grid is not None
        given = labels.new_full((noise.count, layout.places), UNKNOWN)
        if known is not None:
            ids = self.encode_ids(known).flatten(1)
            given[:, : ids.shape[1]] = ids
        led = [] if last is None else [self.encode_ids(last).flatten(1)]
        nothing = torch.full_like(labels, -1)
        asked, unasked = (torch.cat((*led, layout.opening(said), given), 1) for said in (labels, nothing))
        strength, temperature = (1.0 if each is None else each for each in (how.guidance, how.temperature))
        guided = strength not in (0.0, 1.0) and bool((labels >= 0).any())
        choose = ByChance(noise.uniform("tokens", layout.places), temperature, how.top_k)
        written = write(
            TorchNetwork(self.inner), asked if strength else unasked, choose, allowed=slice(layout.tokens),
            unasked=unasked if guided else None, guidance=ClassifierFree(strength if guided else 1.0),
            first=0 if led else config.group,
        )  # fmt: skip
        opening = asked.shape[1] - layout.places
        for codes in written:
            done = codes.shape[1] - opening
            if done and done % config.group == 0:
                yield Sketch(done / layout.places, partial(codes[:, opening:].view, len(codes), -1, config.grid[1]))
