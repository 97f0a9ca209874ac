"""What the judge of scenes says of many pictures, as measurements: validity, strictness, coverage of pairs of colour and
shape.

Nothing here is learned or fetched: the numbers are exact counts, and comparable between any two models of scenes.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import UInt8

from daedal.data.worlds.scenes import Pair
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.means import WILSON, wilson
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.worlds.judge import STRICT
from daedal.evaluation.worlds.validity import ALL_PAIRS, Validity, validity

_JUDGED = 250


class SceneScores(Evaluator[PictureSubject]):
    """What the judge says of a model's first samples."""

    needs, columns = frozenset({"sample"}), frozenset({"pictures", "truth"})

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        assert subject.drawn is not None
        return Findings(scene_scores(subject.drawn.pictures[:_JUDGED], seed=subject.asked.seed, **subject.about)[1])


def scene_scores(
    pictures: Iterable[UInt8[np.ndarray, "side side 3"]],
    *,
    pairs: Sequence[Pair] = ALL_PAIRS,
    model_hash: str = "",
    data_hash: str = "",
    seed: int | None = None,
) -> tuple[Validity, tuple[Measurement, ...]]:
    """What the judge counts in pictures, and the measurements of it.

    Args:
        pairs: of colour and shape that are to be covered: those of the training data.

    Raises:
        DaedalError: a picture is no square colour picture of 32 to 128 pixels.
    """
    found = validity(pictures)
    return found, scene_measurements(found, pairs=pairs, model_hash=model_hash, data_hash=data_hash, seed=seed)


def scene_measurements(
    found: Validity,
    *,
    pairs: Sequence[Pair] = ALL_PAIRS,
    model_hash: str = "",
    data_hash: str = "",
    seed: int | None = None,
) -> tuple[Measurement, ...]:
    """Validity, strictness, coverage and divergence, in this order."""
    seen = sum(many for many, _ in found.patches.values())
    passed = sum(strict for _, strict in found.patches.values())
    told = hashlib.sha256(repr(sorted(pairs)).encode()).hexdigest()[:8]
    shown = sum(found.pairs.get(pair, 0) for pair in pairs)

    def measured(name: str, value: float, unit: str, n: int, **more: object) -> Measurement:
        values = {"name": name, "value": value, "unit": unit, "n": n, "better": "higher"}
        hashes = {"model_hash": model_hash, "data_hash": data_hash, "seed": seed}
        return Measurement.parse({**values, **hashes, **more}, name)

    return (
        measured(
            "scene validity", found.share, "of pictures", found.count, pieces="pictures",
            interval=wilson(found.valid, found.count), interval_method=WILSON,
            definition=define("scene-validity", 1, overlap=STRICT),
        ),
        measured(
            "shape strictness", found.strict, "of things", seen, pieces="things seen",
            interval=wilson(passed, seen), interval_method=WILSON,
            definition=define("shape-strictness", 1, overlap=STRICT),
        ),
        measured(
            "pair coverage", found.coverage(pairs), "of pairs", shown, pieces="things in valid pictures",
            definition=define("pair-coverage", 1, pairs=len(pairs), which=told),
        ),
        measured(
            "pair divergence", found.divergence(pairs), "nats", shown, pieces="things in valid pictures", better="lower",
            definition=define("pair-divergence", 1, pairs=len(pairs), which=told, to="uniform"),
        ),
    )  # fmt: skip
