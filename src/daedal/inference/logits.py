"""How the next token is chosen: pure functions on logits.

In the order in which they act: logit bias; repetition penalty (Keskar et al. 2019; over prompt and output, as Hugging
Face has it); presence and frequency penalties (over the output only, as OpenAI has them); temperature; top-k; top-p
(Holtzman et al. 2020); min-p (Nguyen et al. 2024). Then the Gumbel-max trick draws from what is left: the noise of a
token belongs to its place in the text, not to the order of computation, so another way to the same logits gives the
same text.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.sampling import SamplingOptions

_NUCLEUS_GUESS = 256
"""Most nuclei are smaller than this."""
_DEPTH, _RANGES = 40.0, 4096
"""How far below the likeliest token logits are told apart, and in how many ranges: what lies deeper holds less than 1e-12."""

COOL = 1e-3
"""Temperatures from here on cannot make logits overflow."""


class NothingLeft(DaedalError):
    """What was asked for rules out every token."""


def penalise(
    logits: Float[Tensor, "batch vocab"],
    seen: Bool[Tensor, "batch vocab"],
    counts: Float[Tensor, "batch vocab"],
    *,
    repetition: float = 1.0,
    presence: float = 0.0,
    frequency: float = 0.0,
) -> Float[Tensor, "batch vocab"]:
    """Make what was said before less likely.

    Args:
        seen: tokens in the prompt or output.
        counts: how often each token is in the output.
    """
    if repetition != 1:
        weaker = torch.where(logits > 0, logits / repetition, logits * repetition)
        most = torch.finfo(logits.dtype).max / 4
        logits = torch.where(seen, weaker.clamp(-most, most), logits)  # so that no penalty overflows
    if presence or frequency:
        logits = logits - counts * frequency - (counts > 0) * presence
    return logits


def tempered(logits: Float[Tensor, "batch vocab"], temperature: float) -> Float[Tensor, "batch vocab"]:
    """Logits divided by a temperature above 0; the largest becomes 0 first, so that no temperature overflows."""
    return (logits - logits.amax(-1, keepdim=True)) / max(temperature, torch.finfo(logits.dtype).tiny)


def top_k(logits: Float[Tensor, "batch vocab"], k: int) -> Float[Tensor, "batch vocab"]:
    """Keep the `k` largest logits and what ties with the last of them; the rest becomes minus infinity."""
    if not 0 < k < logits.shape[-1]:
        return logits
    least = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def top_p(logits: Float[Tensor, "batch vocab"], p: float) -> Float[Tensor, "batch vocab"]:
    """Keep the fewest most likely tokens that hold probability `p` together, and what ties with the last of them."""
    if p >= 1:
        return logits
    total = logits.logsumexp(-1, keepdim=True)
    best = logits.topk(min(_NUCLEUS_GUESS, logits.shape[-1])).values
    least, beyond = _nucleus(best, total, p)
    for row in beyond[:, 0].nonzero()[:, 0].tolist():
        least[row] = _end_of_nucleus(logits[row], p)
    return logits.masked_fill(logits < least, -math.inf)


def _nucleus(
    best: Float[Tensor, "batch likeliest"], total: Float[Tensor, "batch 1"], p: float
) -> tuple[Float[Tensor, "batch 1"], Bool[Tensor, "batch 1"]]:
    """The least logit of the nucleus, as far as it is among the likeliest, in order; and whether it goes beyond them.

    Args:
        total: the logarithm of what all hold.
    """
    # It ends at the first place where the probability held reaches p
    last = ((best - total).exp().cumsum(-1) < p).sum(-1, keepdim=True)
    most = best.shape[-1]
    return best.gather(-1, last.clamp_max(most - 1)), last == most


def _end_of_nucleus(logits: Float[Tensor, " vocab"], p: float) -> Float[Tensor, ""]:
    """The least logit of a large nucleus. Sums over narrow ranges of logits tell in which it ends, so that only the few of
    that range have to be sorted: a third of the time that sorting all takes."""
    below = (logits.amax() - logits).clamp_max_(_DEPTH)
    chances = logits.double().softmax(-1)
    ranges = (below * (_RANGES / _DEPTH)).long()
    reached = torch.bincount(ranges, weights=chances, minlength=_RANGES + 1).cumsum(-1)
    end = int((reached < p).sum())
    if end > _RANGES:  # rounding keeps all together below p
        return logits.amin()
    inside = ranges == end
    last = logits[inside].sort(descending=True).values
    held = chances[inside].sort(descending=True).values.cumsum(-1) + (reached[end - 1] if end else 0.0)
    return last[(held < p).sum().clamp_max_(len(last) - 1)]


def min_p(logits: Float[Tensor, "batch vocab"], p: float) -> Float[Tensor, "batch vocab"]:
    """Keep tokens at least `p` times as likely as the most likely one."""
    if p <= 0:
        return logits
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(p), -math.inf)


def restrict(scores: Float[Tensor, "batch vocab"], options: SamplingOptions) -> Float[Tensor, "batch vocab"]:
    """Rule unlikely tokens out, as top-k, top-p and min-p say; the others keep their scores."""
    return min_p(top_p(top_k(scores, options.top_k), options.top_p), options.min_p)


def gumbel(generator: np.random.Generator, vocab: int) -> Float[Tensor, " vocab"]:
    """Standard Gumbel noise from the generator's next `vocab` numbers (drawn on the CPU: the same on every device). NumPy
    takes half the time that PyTorch does."""
    noise = generator.random(vocab, dtype=np.float32)
    noise += 2**-26  # so that none is 0; the largest, 1 - 2**-24, stays what it is
    for _ in range(2):
        np.log(noise, out=noise)
        np.negative(noise, out=noise)
    return torch.from_numpy(noise)


def argmax(logits: Float[Tensor, "batch vocab"]) -> list[int]:
    """The first largest entry of each row. NumPy's is an order of magnitude faster than torch's on a CPU.

    Raises:
        DaedalError: a row's largest entry is not a finite number, so there is nothing to choose.
    """
    if logits.device.type == "cpu":
        values = logits.detach().float().numpy()
        picked: list[int] = values.argmax(-1).tolist()
        tops = [float(row[id]) for row, id in zip(values, picked, strict=True)]
    else:
        top, index = logits.max(-1)
        picked, tops = index.tolist(), top.tolist()
    if not all(math.isfinite(top) for top in tops):
        _unusable(tops)
    return picked


def choose(
    logits: Float[Tensor, "batch vocab"], options: SamplingOptions, noise: Float[Tensor, "batch vocab"] | None
) -> list[int]:
    """One token for each row, from logits that bias and penalties have already changed.

    Args:
        noise: standard Gumbel noise; None only where the options are greedy.

    Raises:
        DaedalError: the logits of a row hold NaN or +infinity, or are all minus infinity.
    """
    if options.greedy or noise is None:
        return argmax(logits)
    if options.temperature >= COOL and not options.restricts:
        return argmax(torch.add(noise, logits.float(), alpha=1 / options.temperature))
    require_usable(logits)
    scores = tempered(logits.float(), options.temperature)
    found = _among_likeliest(scores, options, noise)
    if not found:
        return argmax(restrict(scores, options).add_(noise))
    open = [row for row in range(len(scores)) if row not in found]
    if open:
        found |= zip(open, argmax(restrict(scores[open], options).add_(noise[open])), strict=True)
    return [found[row] for row in range(len(scores))]


def _among_likeliest(
    scores: Float[Tensor, "batch vocab"], options: SamplingOptions, noise: Float[Tensor, "batch vocab"]
) -> dict[int, int]:
    """What `_restrict` and the noise choose, by row, found among the likeliest tokens alone, which takes a fraction of the
    time; without rows of which others may be left too."""
    vocab = scores.shape[-1]
    limited = 0 < options.top_k < vocab
    count = options.top_k + 1 if limited else _NUCLEUS_GUESS
    if count >= vocab or not (limited or options.top_p < 1):
        return {}
    best, ids = scores.topk(count)
    beyond = best[:, -1:]
    if limited:
        best, ids = best[:, :-1], ids[:, :-1]
    least = best[:, -1:]
    if options.top_p < 1:
        total = (best if limited else scores).exp().sum(-1, keepdim=True)  # the largest is 0, so that none overflows
        least, _ = _nucleus(best, total.log(), options.top_p)
    if options.min_p > 0:
        least = least.clamp_min(math.log(options.min_p))
    drawn = best.masked_fill(best < least, -math.inf).add_(noise.gather(-1, ids))
    chosen = ids.gather(-1, drawn.argmax(-1, keepdim=True))[:, 0].tolist()
    more = ((beyond >= least) & (beyond > -math.inf))[:, 0].tolist()
    return {row: id for row, id in enumerate(chosen) if not more[row]}


def log_probabilities(
    logits: Float[Tensor, "batch vocab"], chosen: Int[Tensor, " batch"], top: int
) -> tuple[list[float], list[list[tuple[int, float]]]]:
    """Natural log-probabilities, the softmax taken in float64: of the chosen token and of the `top` most likely."""
    total = logits.double().logsumexp(-1)
    of_chosen = logits.gather(-1, chosen[:, None])[:, 0].double() - total
    if not top:
        return of_chosen.tolist(), [[] for _ in range(len(chosen))]
    values, ids = logits.topk(min(top, logits.shape[-1]))
    best = (values.double() - total[:, None]).tolist()
    return of_chosen.tolist(), [list(zip(i, v, strict=True)) for i, v in zip(ids.tolist(), best, strict=True)]


def require_usable(logits: Float[Tensor, "batch vocab"]) -> None:
    """
    Raises:
        DaedalError: the logits of a row hold NaN or +infinity, or are all minus infinity.
    """
    largest = logits.amax(-1)
    if not bool(largest.isfinite().all()):
        _unusable(largest.tolist())


def _unusable(tops: list[float]) -> None:
    if all(top == -math.inf for top in tops if not math.isfinite(top)):
        raise NothingLeft("Every token is ruled out: nothing is left to choose", "Loosen the logit bias or the mask")
    raise DaedalError(
        "The model's logits are not finite numbers (NaN or infinity)",
        "Its weights are damaged or its training diverged: use an earlier checkpoint, or load it as float32",
    )
