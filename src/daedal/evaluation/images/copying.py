"""Whether samples are copies of what was learned, over features in which a copy is at no distance: by `memorization`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images import memorization
from daedal.evaluation.images.memorization import Nearest
from daedal.evaluation.means import WILSON
from daedal.evaluation.measurement import Measurement, define


class Copying(NamedTuple):
    """What was found.

    Attributes:
        near: the nearest learned example of each sample.
        beside: that of each held-out example.
        authentic: the share of samples that are authentic.
        tested: the probability that a sample is farther than a held-out example, and the p-value of copying.
        missing: why there is no test.
    """

    near: Nearest
    beside: Nearest
    authentic: Measurement
    tested: tuple[Measurement, ...]
    missing: tuple[str, ...]


def copying(
    samples: Float[Tensor, "samples values"],
    held: Float[Tensor, "held values"],
    learned: Float[Tensor, "learned values"],
    names: tuple[str, str],
    how: Mapping[str, Any],
    beside: Mapping[str, int],
    **about: Any,
) -> Copying:
    """The authenticity of samples, and the test for copies.

    Args:
        names: what is authentic, and what samples are farther than.
        how: of both definitions.
        beside: of that of the test, besides: how many are held out.
        about: of all measurements.
    """
    near, apart = memorization.nearest(samples, learned), memorization.nearest(held, learned)
    hit = np.unique(near.indices)
    own = Nearest(np.full(len(learned), np.inf), np.zeros(len(learned), dtype=np.int64))
    own.distances[hit] = memorization.nearest_of(learned, hit).distances
    found, common = memorization.authenticity(near, own), {"n": len(samples), "better": "higher", "unit": "", **about}
    authentic = Measurement(
        name=f"authentic {names[0]}", value=found.value, interval=found.interval, interval_method=WILSON,
        definition=define("authenticity", 1, **how), **common,
    )  # fmt: skip
    try:
        test = memorization.copy_test(near, apart)
    except DaedalError as error:
        return Copying(near, apart, authentic, (), (error.what,))
    stated = define("data-copying", 1, **how, **beside)
    farther = Measurement(
        name=f"farther than held-out {names[1]}", value=test.probability, interval=test.interval,
        interval_method=memorization.METHOD, definition=stated, **common,
    )  # fmt: skip
    p = Measurement(
        name="p-value of copying", value=test.p, definition=stated.replace("data-copying/", "data-copying-p/"), **common
    )
    return Copying(near, apart, authentic, (farther, p), ())
