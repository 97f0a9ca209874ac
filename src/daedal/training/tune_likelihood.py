"""How likely a model of tunes finds codes: what validation, evaluation and the choice among several tries have in common."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64

from daedal.data.tune_windows import TuneWindows, Window
from daedal.models.music import Music

Array = np.ndarray
_TOGETHER = 16  # windows


@torch.no_grad()
def code_log_likelihoods(
    model: Music, windows: TuneWindows, places: Sequence[Window] | None = None
) -> list[Float64[Array, " codes"]]:
    """The log-likelihood of each code of each tune, its end included, in nats, given as much before it as its window holds;
    0 for codes in none of the windows, which are all unless given."""
    places = windows.judged() if places is None else places
    found = [np.zeros(len(codes)) for codes in windows.codes]
    device, begin = next(model.parameters()).device, windows.codec.opening - 1
    for first in range(0, len(places), _TOGETHER):
        some = places[first : first + _TOGETHER]
        inputs, targets = (torch.from_numpy(each).to(device) for each in windows.rows_of(some))
        nats = model.token_log_likelihoods(inputs, targets).cpu().numpy()
        for row, (tune, start, judged, last) in zip(nats, some, strict=True):
            found[tune][judged:last] = row[begin + judged - start : begin + last - start]
    return found
