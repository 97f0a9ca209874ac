"""A model of the codes of clips and the tokenizer that makes frames of them: what the families have in common."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from daedal.models.film_sampling import FilmSampling
from daedal.models.image import Sketch
from daedal.models.layout import TokenLayout
from daedal.models.model import Capability, Loss, Model
from daedal.models.vqvae3d import VQVAE3D
from daedal.nn.causal_video import Video
from daedal.nn.noise import Noise

Ids = Int[Tensor, "batch rows columns"]
"""The tokens of the groups of clips, one below the other."""


class FilmModel(Model):
    """A model of codes of clips, together with their tokenizer, which is not trained.

    Attributes:
        options: the fields of `FilmSampling` that it honours.
        prompted: how it makes clips, unless told otherwise.
        layout: how many tokens a clip has, and what is said of it.
    """

    options: ClassVar[frozenset[str]]
    prompted: ClassVar[FilmSampling]

    def __init__(self, inner: Any, codec: VQVAE3D, layout: TokenLayout) -> None:
        super().__init__()
        self.family = inner.family  # type: ignore[misc]
        self.config = inner.config
        self.inner, self.codec, self.layout = inner, codec.requires_grad_(False), layout

    @property
    def capabilities(self) -> frozenset[Capability]:  # type: ignore[override]
        unable: set[Capability] = set() if self.layout.words else {"prompt"}
        found: frozenset[Capability] = self.inner.capabilities
        return found - unable - (set() if self.layout.classes else {"class"})

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        found: dict[str, list[nn.Parameter]] = self.inner.players
        return found

    def initialise(self, generator: torch.Generator) -> None:
        self.inner.initialise(generator)

    def loss(self, batch: object, player: str = "model") -> Loss:
        raise TypeError("a model over codes learns codes: ask the inner model for its loss")

    @torch.no_grad()
    def encode_ids(self, video: Video) -> Ids:
        """The tokens of clips, or of their first frames."""
        return self.codec.encode_ids(video)

    @abstractmethod
    def write(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch *window"],
        how: FilmSampling,
        known: Video | None = None,
        last: Video | None = None,
    ) -> Iterator[Sketch[Ids]]:
        """Clips' tokens, as far as they are made each time; at the end all of them.

        Args:
            labels: ids of what is asked for, -1 before them and for nothing; or classes.
            known: the first frames of each clip, as many as whole groups have; they come back as they are.
            last: the last frame.
        """

    def sample(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch *window"],
        how: FilmSampling | None = None,
        known: Video | None = None,
        last: Video | None = None,
    ) -> Video:
        """Clips."""
        *_, made = self.write(noise, labels, how or self.prompted, known, last)
        return self.codec.decode_ids(made.show())
