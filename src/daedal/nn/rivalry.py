"""How a generator and its discriminator stand against each other.

The generator's diversity is how far each of its pictures lies from the nearest other of its batch, over the same among real
pictures. Pictures that are all alike lie at no distance at all, and a generator that knows a few kinds of many gives pairs that
are nearly the same. Distances are of pictures shrunk to 8 pixels a side, so that noise and fine texture do not count.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIDE = 8
COLLAPSED = 0.35
"""Diversity under which the generator is called collapsed: see docs/gan.md for what healthy ones have."""
BEATEN = 0.99
"""Accuracy over which the discriminator is called too strong."""
EARLY = 0.1
"""Until this much of a run is done, a generator may draw one thing: it has not learned yet."""


def nearest_distances(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, " batch"]:
    """How far each picture, shrunk, is from the nearest other."""
    small = F.adaptive_avg_pool2d(images.float(), SIDE).flatten(1)
    return torch.cdist(small, small).fill_diagonal_(float("inf")).amin(1)


class Rivalry:
    """Sums over what was watched since they were last taken: pictures, verdicts on real and on generated ones, pairs that
    were told apart, and nearest distances among real and among generated ones."""

    def __init__(self) -> None:
        self.warning: str | None = None
        self._new: Tensor | None = None
        self._sums: Tensor | None = None
        self._fraction = 0.0

    @torch.no_grad()
    def watch(
        self,
        real: Float[Tensor, " batch"],
        fake: Float[Tensor, " batch"],
        real_images: Float[Tensor, "batch channels height width"],
        fake_images: Float[Tensor, "batch channels height width"],
    ) -> None:
        """Add a batch: the verdicts on real and generated pictures, and the pictures."""
        distances = [nearest_distances(images).sum() for images in (real_images, fake_images)]
        if len(real) < 2:
            distances = [torch.zeros_like(distance) for distance in distances]
        count = torch.full_like(real[:1], len(real)).squeeze(0)
        sums = torch.stack([count, real.sum(), fake.sum(), (real > fake).sum(), *distances])
        self._new = sums if self._new is None else self._new + sums

    def gather(self, total: Callable[[Tensor], Tensor], fraction: float) -> None:
        """Add what all processes watched in a step, `fraction` through the run."""
        self._fraction = fraction
        if self._new is not None:
            sums = total(self._new)
            self._sums, self._new = sums if self._sums is None else self._sums + sums, None

    def take(self) -> dict[str, float]:
        """The means, and start anew; `warning` then says what is wrong with them."""
        if self._sums is None:
            return {}
        count, real, fake, right, among_real, among_fake = self._sums.tolist()
        self._sums = None
        measures = {"gap": (real - fake) / count, "accuracy": right / count}
        if among_real > 0:
            measures["diversity"] = among_fake / among_real
        self.warning = _warning(measures) if self._fraction >= EARLY else None
        return measures


def _warning(measures: dict[str, float]) -> str | None:
    diversity = measures.get("diversity", 1.0)
    if diversity < COLLAPSED:
        return (
            f"the generator has collapsed: its pictures differ {100 * diversity:.0f} % as much as real ones do. "
            "Try another seed, a larger penalty or a lower learning rate"
        )
    if measures["accuracy"] > BEATEN:
        return (
            f"the discriminator tells {100 * measures['accuracy']:.1f} % of pairs apart: the generator learns little from "
            "it. Try a larger penalty"
        )
    return None
