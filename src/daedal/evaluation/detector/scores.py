"""The scores that tell generated text from human text by models that read it; higher is more as a model writes.

- curvature (Fast-DetectGPT, Bao et al. 2024, arXiv:2310.05130), by one model p, in its exact form: what a text's tokens are
  likelier than tokens of the model's own drawing, in standard deviations,

      sum_t (log p(x_t) - E_p log p) / sqrt(sum_t Var_p log p)

- binoculars (Hans et al. 2024, arXiv:2401.12070), by an observer q and a performer p of one tokenizer: the cross-entropy of p
  under q beside the surprise of p at the text,

      - sum_t -log p(x_t) / sum_t -E_q log p

Both are sums over tokens, so that one reading gives the score of every beginning of a text.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from daedal.models.gpt import GPT

Method = Literal["curvature", "binoculars"]
Statistics = Float[np.ndarray, "tokens 3"]
"""Of each token log p(x), and of log p the mean and the variance under who draws."""
_LOGITS = 2**22
"""That are held at once."""


class _Window(NamedTuple):
    """A part of a text that is read at once.

    Attributes:
        ids: its tokens, one more than are read.
        first: of them, the first that no window before has judged.
        place: of that one among those of the text that are judged.
    """

    row: int
    ids: list[int]
    first: int
    place: int


def score(statistics: Statistics, lengths: Sequence[int], method: Method) -> Float[np.ndarray, " lengths"]:
    """The score of a text's beginnings of these many tokens."""
    sums = np.cumsum(statistics, axis=0)[np.asarray(lengths) - 1]
    told, mean, variance = sums[:, 0], sums[:, 1], sums[:, 2]
    if method == "binoculars":
        return np.asarray(-told / np.minimum(mean, -1e-12))
    return np.asarray((told - mean) / np.sqrt(np.maximum(variance, 1e-12)))


@torch.inference_mode()
def token_statistics(
    model: GPT,
    texts: Sequence[Sequence[int]],
    prefix: int | None,
    performer: GPT | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Statistics]:
    """What scores are made of, of every token of some texts; of the first one only where there is a prefix.

    What is longer than the context is read in windows that overlap by half.

    Args:
        model: who draws; it also judges, unless a performer does.
        prefix: the token that begins a text.
        performer: another model of the same tokens.
    """
    context = min(each.config.context for each in (model, performer or model))
    rows = [[*([] if prefix is None else [prefix]), *text] for text in texts]
    windows = [window for number, ids in enumerate(rows) for window in _windows(number, ids, context)]
    windows.sort(key=lambda window: len(window.ids))
    found = [np.zeros((max(0, len(ids) - 1), 3)) for ids in rows]
    begin = 0
    while begin < len(windows):
        longest = len(windows[min(begin + 63, len(windows) - 1)].ids)
        some = windows[begin : begin + max(1, min(64, 4096 // longest))]
        width = max(len(window.ids) for window in some)
        ids = torch.zeros(len(some), width, dtype=torch.int64, device=model.embedding.weight.device)
        for row, window in enumerate(some):
            ids[row, : len(window.ids)] = torch.tensor(window.ids)
        states = [each.hidden(ids[:, :-1]) for each in (model, performer) if each is not None]
        for row, window in enumerate(some):
            last = len(window.ids) - 1
            some_states = [each[row, window.first - 1 : last] for each in states]
            own = _read(model, performer, some_states, ids[row, window.first : last + 1])
            found[window.row][window.place : window.place + len(own)] = own
        begin += len(some)
        if progress is not None:
            progress(begin, len(windows))
    return found


def _windows(row: int, ids: list[int], context: int) -> list[_Window]:
    windows, given = [], 1
    while given < len(ids):
        begin = 0 if given <= context else given - context // 2 - 1
        end = min(len(ids), begin + context + 1)
        windows.append(_Window(row, ids[begin:end], given - begin, given - 1))
        given = end
    return windows


def _read(
    model: GPT, performer: GPT | None, states: Sequence[Float[Tensor, "places width"]], targets: Int[Tensor, " places"]
) -> Float64[np.ndarray, "places 3"]:
    """The statistics of some places."""
    made = []
    step = max(1, _LOGITS // model.config.vocab_size)
    for begin in range(0, len(targets), step):
        asked = targets[begin : begin + step]
        drawn = model.head(states[0][begin : begin + step]).log_softmax(-1)
        judged = drawn if performer is None else performer.head(states[1][begin : begin + step]).log_softmax(-1)
        chances, logs = drawn.double().exp(), judged.double()
        mean = (chances * logs).sum(-1)
        variance = (chances * (logs - mean[:, None]) ** 2).sum(-1)
        made.append(torch.stack([logs.gather(1, asked[:, None])[:, 0], mean, variance], 1))
    return torch.cat(made).cpu().numpy()
