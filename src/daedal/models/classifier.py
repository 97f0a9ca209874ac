"""A classifier: an encoder that tells what a text is, by the state of its first token (Devlin et al. 2019, section 4)."""

from typing import Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor, nn

from daedal.models.encoder import EncoderConfig, EncoderModel, PredictionHead
from daedal.models.model import START, Loss, Moment
from daedal.models.sequences import LabelBatch, Sequences

Problem = Literal["one", "several", "number"]


class ClassifierConfig(EncoderConfig):
    """The shape of a classifier.

    Attributes:
        labels: names of what a text may be.
        problem: whether a text has one of them, or any number; or is a number, which has one name.
        pooling: what of a text is told apart: its first token's state, or the mean of all (modernbert alone has both).
        weights: of each label in the loss; equal unless given.
        smoothing: of the one label: what share goes to all alike (Szegedy et al. 2016).
    """

    labels: tuple[str, ...] = Field(min_length=1, max_length=2**20)
    problem: Problem = "one"
    pooling: Literal["first", "mean"] = "first"
    weights: tuple[PositiveFloat, ...] | None = None
    smoothing: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("two labels have one name")
        if self.problem == "one" and len(self.labels) < 2:
            raise ValueError("one label leaves nothing to tell apart")
        if self.problem == "number" and len(self.labels) > 1:
            raise ValueError("a number has one name")
        if self.weights is not None and len(self.weights) != len(self.labels):
            raise ValueError(f"{len(self.weights)} weights are not of {len(self.labels)} labels")
        if self.pooling == "mean" and self.architecture != "modernbert":
            raise ValueError(f"{self.architecture} is told apart by its first token")
        return self


class Classifier(EncoderModel):
    """A sequence classifier, with the head that Transformers gives each architecture."""

    family = "classifier"
    capabilities = frozenset({"classify"})
    config: ClassifierConfig

    def _assemble(self) -> None:
        config = self.config
        self.transform = self.pooler = None
        if config.architecture == "modernbert":
            self.transform = PredictionHead(config)
        else:
            self.pooler = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, len(config.labels))

    def forward(self, sequences: Sequences, moment: Moment = START) -> Float[Tensor, "rows labels"]:
        """Logits of each row's labels; or its number."""
        states, config = self.states(sequences, moment), self.config
        packing = sequences.packing
        x = packing.mean(states) if config.pooling == "mean" else states[packing.first]
        if self.transform is not None:
            x = self.transform(x)
        elif self.pooler is not None:
            x = self.pooler(self.drop(x) if config.architecture == "roberta" else x)
            x = F.relu(x) if config.architecture == "distilbert" else torch.tanh(x)
        assert self.output is not None
        out: Tensor = self.output(self.drop(x))
        return out

    def loss(self, batch: LabelBatch, player: str = "model") -> Loss:
        """Summed over the rows and divided by the count of the whole step: cross-entropy in nats; binary cross-entropy, a mean
        over the labels; or the squared error of the number."""
        logits, labels, config = self(batch.sequences, batch.moment).float(), batch.labels, self.config
        weights = None if config.weights is None else logits.new_tensor(config.weights)
        if config.problem == "one":
            total = F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=config.smoothing)
        elif config.problem == "several":
            total = F.binary_cross_entropy_with_logits(
                logits, labels.to(logits.dtype), reduction="sum", pos_weight=weights
            ) / len(config.labels)
        else:
            total = F.mse_loss(logits[:, 0], labels.to(logits.dtype), reduction="sum")
        return Loss(total / batch.moment.count)
