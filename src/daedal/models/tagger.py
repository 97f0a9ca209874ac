"""A tagger: an encoder that tells what each token is, as for the names in a text (Devlin et al. 2019, section 5.3)."""

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from daedal.models.encoder import EncoderConfig, EncoderModel, PredictionHead
from daedal.models.model import IGNORE, START, Loss, Moment
from daedal.models.sequences import Sequences, TargetBatch


class TaggerConfig(EncoderConfig):
    """The shape of a tagger.

    Attributes:
        labels: names of the tags.
        weights: of each tag in the loss; equal unless given.
        smoothing: of the tag: what share goes to all alike.
    """

    labels: tuple[str, ...] = Field(min_length=1, max_length=2**20)
    weights: tuple[PositiveFloat, ...] | None = None
    smoothing: float = Field(default=0.0, ge=0, lt=1)


class Tagger(EncoderModel):
    """A token classifier, with the head that Transformers gives each architecture."""

    family = "tagger"
    capabilities = frozenset({"tag"})
    config: TaggerConfig

    def _assemble(self) -> None:
        config = self.config
        self.transform = PredictionHead(config) if config.architecture == "modernbert" else None
        self.output = nn.Linear(config.width, len(config.labels))

    def forward(self, sequences: Sequences, moment: Moment = START) -> Float[Tensor, "tokens labels"]:
        """Logits of each token's tags."""
        x = self.states(sequences, moment)
        assert self.output is not None
        out: Tensor = self.output(self.drop(x if self.transform is None else self.transform(x)))
        return out

    def loss(self, batch: TargetBatch, player: str = "model") -> Loss:
        """Cross-entropy in nats, summed over the tokens that have a tag and divided by the count of the whole step."""
        logits, config = self(batch.sequences, batch.moment).float(), self.config
        weights = None if config.weights is None else logits.new_tensor(config.weights)
        total = F.cross_entropy(
            logits, batch.targets, weights, ignore_index=IGNORE, reduction="sum", label_smoothing=config.smoothing
        )
        return Loss(total / batch.moment.count)
