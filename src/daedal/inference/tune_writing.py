"""Codes of tunes, of which some are known, written side by side; and how likely known codes are.

What is longer than the model sees at once is written in windows, each behind the last half of what was written before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64

from daedal.codecs.tune_codec import TuneCodec
from daedal.data.tune_windows import TuneWindows
from daedal.inference.compose_options import ComposeOptions
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.music import Music
from daedal.nn.noise import Noise
from daedal.training.tune_likelihood import code_log_likelihoods

Array = np.ndarray


def _never(codes: Array) -> bool:
    return False


def _nobody(share: float) -> None:
    pass


@dataclass(frozen=True)
class Draft:
    """What is known of a tune that is to be written.

    Attributes:
        known: its first codes, and `UNKNOWN` where one is to be written.
        most: codes that there may be, at most.
        ends: whether the model may end it before.
        done: whether codes that have no gap are enough.
    """

    known: Int64[Array, " codes"]
    most: int
    ends: bool = False
    done: Callable[[Array], bool] = _never


@torch.no_grad()
def write_tunes(
    model: Music,
    codec: TuneCodec,
    opening: Int64[Array, " opening"],
    draft: Draft,
    noise: Noise,
    how: ComposeOptions,
    tell: Callable[[float], None] = _nobody,
) -> list[Int64[Array, " codes"]]:
    """The codes of as many tunes as the noise is of; each is what it would be alone.

    Args:
        tell: told after each window which share of the codes is written, at least.
    """
    layout, network = codec.layout, TorchNetwork(model)
    length = network.context - len(opening) + 1
    rows = [draft.known.copy() for _ in range(noise.count)]
    begins = [0] * len(rows)
    live, piece = list(range(len(rows))), 0
    while live:
        window = min(length, max(draft.most - begins[place] for place in live))
        codes = torch.full((len(live), len(opening) + window), UNKNOWN, device=network.device)
        codes[:, : len(opening)] = torch.from_numpy(opening)
        for row, place in enumerate(live):
            known = rows[place][begins[place] : begins[place] + window]
            codes[row, len(opening) : len(opening) + len(known)] = torch.from_numpy(known)
        chances = noise.uniform(f"codes {piece}", window)[live].to(network.device)
        choose = ByChance(chances, how.temperature, how.top_k or None, how.top_p)
        end = codec.end if draft.ends else None
        *_, written = write(network, codes, choose, allowed=slice(0, layout.size + draft.ends), end=end)
        going = []
        for row, place in enumerate(live):
            found = written[row, len(opening) :].cpu().numpy()
            over = np.flatnonzero(found == codec.end)[:1].tolist()
            found = found[: over[0]] if over else found
            begun, rest = rows[place][: begins[place]], rows[place][begins[place] + window :]
            rows[place] = np.concatenate((begun, found, rest))
            size = len(begun) + len(found)
            if not over and not draft.done(rows[place][:size]) and _open(rows[place], draft.most):
                later = layout.cuts(rows[place][:size])
                later = later[later >= size - length // 2]
                begins[place] = int(later[0]) if len(later) else size - length // 2
                going.append(place)
        live, piece = going, piece + 1
        tell(min((begins[place] for place in live), default=draft.most) / draft.most)
    return [codes[: draft.most] for codes in rows]


def _open(codes: Array, most: int) -> bool:
    """Whether something is still to be written."""
    return len(codes) < most or bool((codes == UNKNOWN).any())


def likelihoods(
    model: Music,
    codec: TuneCodec,
    opening: Int64[Array, " opening"],
    tunes: Sequence[Int64[Array, " codes"]],
    judged: Sequence[Bool[Array, " codes"]],
) -> list[float]:
    """How likely those codes of tunes are that are to be judged, in nats, each given all before it."""
    rows = [np.concatenate((opening, codes, [codec.end])) for codes in tunes]
    windows = TuneWindows(rows, codec, model.config.context - len(opening) + 1)
    found = code_log_likelihoods(model, windows)
    return [float(nats[:-1][wanted].sum()) for nats, wanted in zip(found, judged, strict=True)]
