"""An answerer: an encoder that finds where in a text the answer to a question begins and ends (Devlin et al. 2019, section
4.2).

A text that does not answer has its answer at the row's first token (Rajpurkar et al. 2018).
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from daedal.models.encoder import EncoderConfig, EncoderModel, PredictionHead
from daedal.models.model import START, Loss, Moment
from daedal.models.sequences import Sequences, SpanBatch
from daedal.nn.packing import Packing

_LONGEST = 30
"""Tokens of an answer, at most."""
NEVER = 1e6
"""A threshold that no model reaches."""


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

    @torch.no_grad()
    def finish(self, batches: Iterable[SpanBatch]) -> None:
        """Sets the threshold above which "none" is given to the one with which most rows are answered rightly, as SQuAD 2.0's
        evaluation does; rows that did not teach the model are the ones to give."""
        judged = [self._judged(batch) for batch in batches]
        if judged:
            margins, spans, nones = (torch.cat(parts) for parts in zip(*judged, strict=True))
            self.config = self.config.but(none_threshold=best_threshold(margins, spans, nones))

    def _judged(self, batch: SpanBatch) -> tuple[Float[Tensor, " rows"], Bool[Tensor, " rows"], Bool[Tensor, " rows"]]:
        """By how much "none" scores above the best span of each row; whether that span is right, and whether "none" is."""
        packing = batch.sequences.packing
        logits = self(batch.sequences).double().masked_fill(~batch.allowed[:, None], float("-inf"))
        margins, spans = [], []
        answers = zip(batch.starts.tolist(), batch.ends.tolist(), strict=True)
        for scores, answer in zip(torch.split(logits, list(packing.lengths)), answers, strict=True):
            found = best_spans(scores[1:], 1)
            score, first, last = found[0] if found else (float("-inf"), -1, -1)
            margins.append(float(scores[0].sum()) - score)
            spans.append((first + 1, last + 1) == answer)
        return torch.tensor(margins, dtype=torch.float64), torch.tensor(spans), batch.ends.cpu() == 0


def best_spans(scores: Float[Tensor, "tokens 2"], count: int) -> list[tuple[float, int, int]]:
    """The spans whose first and last token score most together, with that sum: none longer than `_LONGEST` tokens."""
    length = len(scores)
    longest = min(_LONGEST, length)
    ends = torch.arange(length, device=scores.device)[:, None] + torch.arange(longest, device=scores.device)
    sums = scores[:, :1] + scores[:, 1][ends.clamp(max=max(length - 1, 0))]
    sums = sums.masked_fill(ends >= length, float("-inf")).flatten()
    values, places = sums.topk(min(count, len(sums)))
    return [
        (value, place // longest, place // longest + place % longest)
        for value, place in zip(values.tolist(), places.tolist(), strict=True)
        if value > float("-inf")
    ]


def best_threshold(
    margins: Float[Tensor, " rows"], spans: Bool[Tensor, " rows"], nones: Bool[Tensor, " rows"]
) -> float:
    """The threshold with which most rows are right, where a row of a larger margin is said to have no answer.

    Args:
        margins: by how much "none" scores above the best span.
        spans, nones: whether the best span is right, and whether "none" is.
    """
    if not bool(nones.any()):
        return NEVER
    margins, order = margins.sort()
    right = torch.cat((torch.zeros(1), (spans[order].float() - nones[order].float()).cumsum(0)))  # as more are answered
    answered = int(right.argmax())
    below = float(margins[answered - 1]) if answered else float(margins[0]) - 2
    above = float(margins[answered]) if answered < len(margins) else float(margins[-1]) + 2
    return max(-NEVER, min(NEVER, (below + above) / 2))


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
