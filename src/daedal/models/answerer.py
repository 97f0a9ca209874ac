"""An answerer: an encoder that finds where in a text the answer to a question begins and ends (Devlin et al. 2019, section
4.2).

A text that does not answer has its answer at the row's first token (Rajpurkar et al. 2018).
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from daedal.models.encoder import EncoderConfig, EncoderModel, PredictionHead
from daedal.models.model import START, Loss, Moment
from daedal.models.sequences import Sequences, SpanBatch
from daedal.nn.packing import Packing


class AnswererConfig(EncoderConfig):
    """The shape of an answerer.

    Attributes:
        none_threshold: how much more than the best answer "none" must score to be given.
    """

    none_threshold: float = 0.0


class Answerer(EncoderModel):
    """A finder of spans, with the head that Transformers gives each architecture."""

    family = "answerer"
    capabilities = frozenset({"answer"})
    config: AnswererConfig

    def _assemble(self) -> None:
        config = self.config
        self.transform = PredictionHead(config) if config.architecture == "modernbert" else None
        self.output = nn.Linear(config.width, 2)

    def forward(self, sequences: Sequences, moment: Moment = START) -> Float[Tensor, "tokens 2"]:
        """Logits of each token to be the first of the answer, and the last."""
        x = self.states(sequences, moment)
        assert self.output is not None
        out: Tensor = self.output(self.drop(x if self.transform is None else self.transform(x)))
        return out

    def loss(self, batch: SpanBatch, player: str = "model") -> Loss:
        """Cross-entropy in nats of the first and of the last token, their mean; summed over the rows and divided by the count
        of the whole step."""
        packing = batch.sequences.packing
        logits = self(batch.sequences, batch.moment).float()
        likelihoods = log_softmax_of_rows(logits, packing, batch.allowed)
        first = likelihoods[packing.first + batch.starts, 0]
        last = likelihoods[packing.first + batch.ends, 1]
        return Loss((first + last).sum() / (-2 * batch.moment.count))


def log_softmax_of_rows(
    logits: Float[Tensor, "tokens kinds"], packing: Packing, allowed: Bool[Tensor, " tokens"]
) -> Float[Tensor, "tokens kinds"]:
    """Log-probabilities of each row's allowed tokens; minus infinity for others. Each row has an allowed token."""
    rows: Int[Tensor, "tokens kinds"] = packing.rows[:, None].expand_as(logits)
    logits = logits.masked_fill(~allowed[:, None], float("-inf"))
    highest = logits.new_full((len(packing), logits.shape[1]), float("-inf"))
    highest = highest.scatter_reduce(0, rows, logits.detach(), "amax")
    above = logits - highest.gather(0, rows)
    sums = logits.new_zeros(highest.shape).index_add(0, packing.rows, above.exp())
    return above - sums.log().gather(0, rows)
