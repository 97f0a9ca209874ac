"""Film: a GPT that writes clips, as the tokens of groups of frames, one group after the other (VideoGPT; Yan et al. 2021,
arXiv:2104.10157).

- a clip is a tall grid: the rows of the first group, those of the second, and so on (`GPTConfig.grid`)
- besides what stands above a token the model is told what stood in its place a group before, right of that and below it: what
  stands still or moves on is found from the first layer on
- `FilmModel` joins it with the tokenizer: frames that are known are taken as they are, the others are written after them
"""

from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.film_sampling import FilmSampling as FilmSampling
from daedal.models.gpt import GPT, GPTConfig, earlier_vectors, token_table
from daedal.models.layout import TokenLayout
from daedal.models.model import Capability, Loss, Model
from daedal.models.token_tables import smooth_tables
from daedal.models.vqvae import VQVAE
from daedal.nn.guidance import ClassifierFree
from daedal.nn.noise import Noise

Ids = Int[Tensor, "batch groups rows columns"]
Groups = Float[Tensor, "batch groups channels height width"]


class FilmConfig(GPTConfig):
    """The shape of a GPT over clips; `grid` is the rows of all groups together, and columns.

    Attributes:
        groups: of frames that a clip has.
    """

    groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _whole_groups(self) -> "FilmConfig":
        if self.grid is None or self.grid[0] % self.groups:
            raise ValueError("the rows of a clip's grid are those of whole groups")
        return self

    @property
    def group(self) -> int:
        """Tokens of a group."""
        assert self.grid is not None
        return self.grid[0] // self.groups * self.grid[1]


class Film(GPT):
    """A GPT over the tokens of clips."""

    family = "film"
    capabilities = frozenset[Capability]({"film", "prompt"})
    config: FilmConfig

    def _assemble(self, config: GPTConfig) -> None:
        super()._assemble(config)
        self.earlier = nn.ModuleList(token_table(config.vocab_size, config.width) for _ in range(3))

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
        return found


class FilmModel(Model):
    """A GPT over the tokens of clips, and the tokenizer that makes frames of them."""

    family: ClassVar[str] = "film"
    config: FilmConfig

    def __init__(self, inner: Film, codec: VQVAE) -> None:
        super().__init__()
        self.inner, self.codec = inner, codec.requires_grad_(False)
        self.config = inner.config
        assert inner.config.grid is not None
        self.layout = TokenLayout.of(inner.config, codec.vocab_size, inner.config.grid[0] * inner.config.grid[1])

    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]
        return self.inner.capabilities if self.layout.words else self.inner.capabilities - {"prompt"}

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        return self.inner.players

    @property
    def stride(self) -> int:
        """Frames of a group."""
        return self.codec.config.channels // 3

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        self.inner.initialise(generator)
        smooth_tables(self.inner.token_tables, self.codec.quantizer, generator)

    def loss(self, batch: object, player: str = "model") -> Loss:
        raise TypeError("a model over codes learns codes: ask the inner model for its loss")

    @torch.no_grad()
    def encode_ids(self, groups: Groups) -> Ids:
        """The tokens of groups of frames."""
        ids = self.codec.encode_ids(groups.flatten(0, 1))
        return ids.view(*groups.shape[:2], *ids.shape[1:])

    @torch.no_grad()
    def decode_ids(self, ids: Ids) -> Groups:
        """The groups of frames of tokens."""
        groups = self.codec.decode_ids(ids.flatten(0, 1))
        return groups.view(*ids.shape[:2], *groups.shape[1:])

    @torch.no_grad()
    def write(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch window"],
        how: FilmSampling,
        known: Groups | None = None,
    ) -> Iterator[Ids]:
        """Clips' tokens, group after group.

        Args:
            labels: ids of what is asked for; -1 before them, and for nothing.
            known: the first groups of each clip.
        """
        layout, config = self.layout, self.config
        assert config.grid is not None
        given = labels.new_full((noise.count, layout.places), UNKNOWN)
        if known is not None:
            ids = self.encode_ids(known).flatten(1)
            given[:, : ids.shape[1]] = ids
        asked, unasked = (torch.cat((layout.opening(said), given), 1) for said in (labels, torch.full_like(labels, -1)))
        guided = how.guidance not in (0.0, 1.0) and bool((labels >= 0).any())
        choose = ByChance(noise.uniform("tokens", layout.places), how.temperature, how.top_k)
        written = write(
            TorchNetwork(self.inner), asked if how.guidance else unasked, choose, allowed=slice(layout.tokens),
            unasked=unasked if guided else None, guidance=ClassifierFree(how.guidance if guided else 1.0),
        )  # fmt: skip
        opening = asked.shape[1] - layout.places
        for codes in written:
            done = codes.shape[1] - opening
            if done and done % config.group == 0:
                yield codes[:, opening:].view(len(codes), done // config.group, -1, config.grid[1])

    def sample(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch window"],
        how: FilmSampling | None = None,
        known: Groups | None = None,
    ) -> Groups:
        """Clips, as groups of frames."""
        *_, ids = self.write(noise, labels, how or FilmSampling(), known)
        return self.decode_ids(ids)
