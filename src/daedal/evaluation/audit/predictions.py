"""What a language model says of every token of passages: one pass over them, which extraction and membership both rest on."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int

from daedal.errors import DaedalError
from daedal.evaluation.audit.passages import Passages
from daedal.evaluation.evaluator import Tell
from daedal.models.gpt import GPT

Array = np.ndarray
_TOKENS = {"cpu": 2048, "cuda": 2**16}
"""Of passages that are read at once: what a CPU reads stays in its cache."""
_LOGITS = {"cpu": 2**18, "cuda": 2**25}


@dataclass(frozen=True)
class Predictions:
    """
    Attributes:
        nats: natural log-probability of each token after those before it.
        likeliest: whether no other token is likelier.
        mean, deviation: of the log-probability over the model's own distribution at that place.
    """

    nats: Float64[Array, "passages length"]
    likeliest: Bool[Array, "passages length"]
    mean: Float[Array, "passages length"]
    deviation: Float[Array, "passages length"]

    def __len__(self) -> int:
        return len(self.nats)


@torch.inference_mode()
def predict(model: GPT, passages: Passages, tell: Tell | None = None) -> Predictions:
    """
    Raises:
        DaedalError: the predictions are no numbers.
    """
    device = model.embedding.weight.device
    at_once = max(1, _TOKENS.get(device.type, _TOKENS["cuda"]) // passages.length)
    training = model.training
    model.eval()
    parts = []
    try:
        for first in range(0, len(passages), at_once):
            if tell is not None:
                tell(first / len(passages), "reading passages")
            parts.append(_read(model, passages.rows[first : first + at_once]))
    finally:
        model.train(training)
    nats, likeliest, mean, deviation = (np.concatenate(each) for each in zip(*parts, strict=True))
    if not np.isfinite(nats).all():
        raise DaedalError(
            "The model's predictions are not finite numbers",
            "Its training diverged or its weights are damaged: use an earlier checkpoint",
        )
    return Predictions(nats, likeliest, mean, deviation)


def _read(model: GPT, rows: Int[Array, "rows length_and_one"]) -> tuple[Array, Array, Array, Array]:
    device = model.embedding.weight.device
    ids = torch.from_numpy(rows).to(device)
    hidden = model.hidden(ids[:, :-1]).flatten(0, 1)
    targets = ids[:, 1:].flatten()
    found: list[tuple[torch.Tensor, ...]] = []
    step = max(1, _LOGITS.get(device.type, _LOGITS["cuda"]) // model.config.vocab_size)
    for first in range(0, len(targets), step):
        logits, asked = model.head(hidden[first : first + step]).float(), targets[first : first + step, None]
        logs = logits.log_softmax(1)
        chances = logs.exp()
        mean = (chances * logs).sum(1)
        deviation = (chances * (logs - mean[:, None]).square()).sum(1).sqrt()
        found.append((logs.gather(1, asked)[:, 0].double(), logits.argmax(1) == asked[:, 0], mean, deviation))
    shape = len(rows), rows.shape[1] - 1
    one, two, three, four = (torch.cat(each).reshape(shape).cpu().numpy() for each in zip(*found, strict=True))
    return one, two, three, four
