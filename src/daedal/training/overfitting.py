"""Learning a small data set by heart: when it will happen, what is done about it, and the line that tells it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from daedal.training.planning import Choice


class Rule(NamedTuple):
    """What a family needs where its data are seen often. A pass sees every example once.

    Attributes:
        watched: passes from which the weights of the best validation are kept, instead of the last.
        most: passes after which more only harm, with the learning rate brought down by then; infinite where none were found.
        dropout: share of features dropped where there are more than `watched` passes.
        shift: pixels by which pictures are moved there.
    """

    watched: float
    most: float = math.inf
    dropout: float = 0.0
    shift: int = 0


RULES = {
    "text": Rule(watched=5, most=30, dropout=0.1),
    "tokens": Rule(watched=10, dropout=0.1),
    "tunes": Rule(watched=4, dropout=0.2),
    "vae": Rule(watched=20, most=100, shift=1),
    "vqvae": Rule(watched=20),
    "vqvae3d": Rule(watched=20),
    "flow": Rule(watched=20),
    "clip": Rule(watched=10),
    "fine-tuning": Rule(watched=2),
    "chat": Rule(watched=2, most=6),
    "head": Rule(watched=2, most=5, dropout=0.3),
    "wide head": Rule(watched=2, most=5, dropout=0.1),
    "masked": Rule(watched=40, dropout=0.1),
    "labelled": Rule(watched=2, most=10, dropout=0.3),
    "questions": Rule(watched=2, most=10, dropout=0.1),
    "histories": Rule(watched=2, dropout=0.5),
    "reward": Rule(watched=1, most=5, dropout=0.1),
    "pairs": Rule(watched=4, dropout=0.1),
}
"""What was measured (`benchmarks/small_data.py` does it again, in full):

- 300 documents (88,498 tokens), nats a token: without guards validation was best at 2.737 after 12 passes and 3.624 after 27;
  with dropout 2.590 after 15, and in a run of 27 passes 2.564 and still falling; with twice the dropout 2.622.
- 1,800 emoji after their captions: without guards best at 2.885 after 192 steps of 1,200 and 4.390 at the end; with dropout
  2.826 after 432, 2.995 at the end.
- 809 digits, a VAE of 0.33 M weights: without guards validation was best at 104.7 nats after 100 passes and 105.4 after 126,
  where training pictures were at 82; moved by a pixel it was 101.3 after 89 and still fell.
- 6,900 sentences of SST-2, a classifier from nothing: validation was best after two or three passes (0.49 nats) and at 0.89
  after six; with dropout and hidden tokens ten passes came to the same accuracy, and more were not tried. A BERT of 2 x 64
  that had read for five minutes: 76 % of the test texts right without dropout and 80 with 0.3, best after four passes of
  ten. That of checkpoints of 256 features and more is what their papers give.
- 81,000 films that 603 people took, a recommender (NDCG at 10 among all items, and nats): after 13 passes 0.075 with a dropout
  of 0.3, its loss up from 7.49 to 7.72, and 0.080 with 0.5, its loss at 7.40 and still falling.
- 28,994 pairs of Multi30k, six passes: BLEU 37.9 without dropout and 39.0 with it; 2.7 passes without came to 36.9.
- 315 conversations of Alpaca, a GPT of 3 x 128 that had read little, nats a token of the held-out answers: 6.40 before; all
  weights: best at 4.85 after three passes and 5.04 after eight; a LoRA of rank 16: best at 5.47 after six and 5.48 after eight.

A reward model has the rule of heads, and is watched from its first pass on, as it is usual to learn preferences once.

The others are watched, and end where the time does: for them no end was measured. A GAN has no validation loss:
nothing is watched of it but its own players, which tell when they run away."""

_FEWEST = 200
"""Steps that a run may have however few its examples: with fewer nothing is learned."""


def choose_guards(choose: "Choice", kind: str, passes_a_step: float, steps: int, validated: int) -> dict[str, str]:
    """Settle what is done against overfitting in a run that is planned from a time budget, and say why; nothing where data are
    ample.

    Args:
        kind: of what is learned, one of `RULES`.
        passes_a_step: share of the examples that a step sees.
        steps: as many as fit into the time.
        validated: examples to validate on.
    """
    rule, passes = RULES.get(kind), steps * passes_a_step
    if rule is None or passes <= rule.watched:
        return {}
    reasons = [f"{passes:.0f} passes fit into the time"]
    if passes > rule.most:
        most = choose("most_steps", max(_FEWEST, math.ceil(rule.most / passes_a_step)))
        if 0 < most < steps:
            reasons.append(f"training ends after {most * passes_a_step:.0f}, before it overfits")
    if rule.dropout and choose("dropout", rule.dropout):
        reasons.append(f"{choose.values['dropout']:.0%} of the features are dropped")
    if rule.shift and choose("shift", rule.shift):
        reasons.append(
            f"pictures are moved by up to {choose.values['shift']} pixel{'s' * (choose.values['shift'] > 1)}"
        )
    if validated > 1 and choose("keep", "best") == "best":
        reasons.append("the weights that do best on validation are saved")
    return {"Small data": "; ".join(reasons)}


_HARM, _LEAST = 0.01, 0.001
"""A rise of the validation loss over its lowest that is worth a word: as a share of it, and at least what three digits show."""


def verdict(points: Sequence[tuple[int, float]], name: str, kept: bool) -> str | None:
    """What the validations of a run say of it, in a line; None where the last was the best.

    Args:
        points: steps and values, in order.
        name: of the value: "bits_per_byte" or a loss.
        kept: whether the best weights are those that were saved, and not the last.
    """
    known = [(step, value) for step, value in points if math.isfinite(value)]
    if not known:
        return None
    (step, lowest), (end, last) = min(known, key=lambda point: point[1]), known[-1]
    rise = last - lowest > max(_HARM * abs(lowest), _LEAST)
    if step == end or not (rise or kept):
        return None
    unit = "" if name.endswith("loss") else f" {name.replace('_', ' ')}"
    line = f"validation was best at step {step} ({lowest:.3f}{unit})"
    if rise:
        line += f"; later steps overfit ({last:.3f} at step {end})"
    return line + ("; those weights are saved" if kept else "; the last weights are saved: --keep best saves those")
