"""What the data card of sounds says besides what it says of all examples with columns: how long each split is."""

import numpy as np

from daedal.data.card import Block, Own
from daedal.data.example_card import of_examples
from daedal.data.examples import ExampleDataset
from daedal.data.options import SPLITS


def of_sounds(dataset: ExampleDataset) -> Own:
    """The facts and blocks of a data folder of sounds."""
    own = of_examples(dataset)
    rate = dataset.codec("sound").codec.rate  # type: ignore[attr-defined]
    rows = []
    for name in SPLITS:
        seconds = np.diff(dataset.split(name).ragged("sound").borders) / rate
        if len(seconds):
            low, middle, high = np.quantile(seconds, (0, 0.5, 1))
            rows.append((name, f"{seconds.sum() / 60:,.1f}", f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}"))
    head = ("split", "minutes", "shortest (s)", "median (s)", "longest (s)")
    return Own(own.facts, (own.blocks[0], Block("Sound", head, tuple(rows)), *own.blocks[1:]))
