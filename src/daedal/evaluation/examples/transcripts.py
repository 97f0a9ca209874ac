"""How far what was heard is from what was said: word and character error rates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measures.edit_distance import edit_distance


def error_rates(heard: Sequence[str], said: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of words and of characters: the fewest edits that make what was said of what was heard, a word or character that was
    said, as fields of a measurement; the interval is that of a ratio over the recordings."""
    found = {}
    for name, parts in (("word", str.split), ("character", list)):
        edits = np.array([edit_distance(parts(one), parts(two)) for one, two in zip(heard, said, strict=True)])
        sizes = np.array([len(parts(each)) for each in said], dtype=np.float64)
        most = max(1.0, float(edits.sum() / max(1.0, sizes.sum())))
        found[name] = share_of_pieces(edits.astype(np.float64), sizes, "sounds", most)
    return found
