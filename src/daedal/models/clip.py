"""CLIP: pictures and texts as directions that agree where one tells of the other (Radford et al. 2021).

- a convolutional tower for pictures, the one text encoder for captions, a learned temperature
- pictures of a batch whose captions are equal are all right for each other, and none a false negative (Yang et al. 2022); what
  is learned is the chance of any right one (Miech et al. 2020), so that the loss ends at 0
- the picture tower is that of our GAN's discriminator: its last layer looks at each place of a grid, so that it can tell where
  things are
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from daedal.config import Config
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, Images
from daedal.models.model import Loss, assembling
from daedal.nn.convolution import initialise
from daedal.nn.pyramid import Pyramid, Residual, Shrinker
from daedal.nn.text_encoder import TextEncoder, filled

_HEAD = 32
_FIRST_TEMPERATURE, _LEAST_TEMPERATURE = 0.07, 0.01


class CLIPShape(Config):
    """What a person may choose of a CLIP."""

    breadth: int = Field(16, ge=4, le=1024, description="channels at the finest grid; they double with each halving")
    widest: int = Field(128, ge=4, le=4096, description="channels of any grid at most")
    depth: int = Field(1, ge=1, le=16, description="residual blocks of each grid")
    patch: int = Field(2, ge=1, le=16, description="side in pixels of a cell of the finest grid")
    features: int = Field(256, ge=8, le=4096, description="features of a picture")
    text_width: int = Field(96, ge=32, le=4096, multiple_of=32, description="features of a word of a caption")
    text_depth: int = Field(2, ge=1, le=64, description="Transformer blocks that read a caption")
    embedding: int = Field(128, ge=2, le=4096, description="numbers of the vector that stands for a picture or a text")


class CLIPConfig(CLIPShape, ImageConfig):
    """A CLIP of pictures of one shape and captions of one codec."""

    words: int = Field(ge=1, le=2**24, description="ids of captions")
    window: int = Field(ge=1, le=4096, description="ids of a caption")


class CLIP(ImageModel):
    """See the file. `CLIP(config)` under `torch.device("meta")` allocates and initialises nothing."""

    family = "clip"
    capabilities = frozenset({"match"})

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config: CLIPConfig = config
        with assembling(self):
            pyramid = Pyramid.of(config.height, config.width, config.breadth, config.widest, config.patch)
            self.tower = Shrinker(pyramid, config.channels, config.features, config.depth)
            self.to_picture = nn.Linear(config.features, config.embedding)
            width = config.text_width
            self.text = TextEncoder(config.words, config.window, width, config.text_depth, width // _HEAD)
            self.to_text = nn.Linear(width, config.embedding)
            self.log_temperature = nn.Parameter(torch.empty(()))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)
        self.text.initialise(generator)
        for module in self.tower.modules():
            if isinstance(module, Residual):
                module.last.weight.zero_()
        self.log_temperature.fill_(math.log(_FIRST_TEMPERATURE))

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """Cosine similarities over this are logits."""
        return self.log_temperature.exp().clamp_min(_LEAST_TEMPERATURE)

    def embed_pictures(self, images: Images) -> Float[Tensor, "batch embedding"]:
        """Directions of pictures, of length 1."""
        return F.normalize(self.to_picture(self.tower(images)).float(), dim=1)

    def embed_texts(self, ids: Int[Tensor, "batch window"]) -> Float[Tensor, "batch embedding"]:
        """Directions of captions, of length 1."""
        return F.normalize(self.to_text(filled(self.text(ids), ids).mean(1)).float(), dim=1)

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        """For each picture, how surprised the model is that a right caption is right, among those of the batch; and for each
        caption of pictures. The mean of both, in nats, summed over pairs and divided by the step's count; a picture without a
        caption is passed over. `matched` is the share of pictures whose nearest caption is right."""
        told = (batch.labels >= 0).any(1)
        pictures, texts = self.embed_pictures(batch.images)[told], self.embed_texts(batch.labels)[told]
        with torch.autocast(pictures.device.type, enabled=False):  # what differs little is what there is to learn
            logits = pictures @ texts.mT / self.temperature
        labels = batch.labels[told]
        right = same(labels, labels)
        among = logits.masked_fill(~right, -torch.inf)
        surprise = [logits.logsumexp(side) - among.logsumexp(side) for side in (0, 1)]
        matched = (among.amax(1) >= logits.amax(1)).sum() if len(labels) else logits.new_zeros(())
        return Loss(torch.stack(surprise).sum() / (2 * batch.moment.count), {"matched": matched / batch.moment.count})

    def health(self) -> dict[str, float]:
        return {"temperature": float(self.temperature.detach())}


def same(one: Int[Tensor, "n window"], other: Int[Tensor, "m window"]) -> Bool[Tensor, "n m"]:
    """Which captions are equal."""
    return (one[:, None] == other).all(2)
