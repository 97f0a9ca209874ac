"""Features without weights: a convolutional network whose filters were drawn once, by a seed that never changes. How
pictures differ in colour, edges and texture at four scales is seen; what they show is not."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from daedal.evaluation.images.features import Features, Pictures, as_planes

SEED = 20260101
WIDTH = 16
SCALES = 4


class RandomExtractor:
    """Four scales, each half the last: convolutions of three pixels with orthogonal filters of their own, rectified; of
    each the mean and the deviation over the picture: 128 features."""

    name, title = "random", "random"
    note = "Features of a fixed random network: good to compare models of the same data here, not Inception FID."

    def __init__(self) -> None:
        self.conditions = {"seed": str(SEED), "resize": "none"}

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> Features:
        x = as_planes(pictures) / 127.5 - 1
        found = []
        for scale in range(SCALES):
            filters = _filters(scale, x.shape[1])
            x = F.leaky_relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), filters), 0.2) * math.sqrt(2)
            found += [x.mean(dim=(2, 3)), x.std(dim=(2, 3), correction=0)]
            if min(x.shape[2:]) >= 4:
                x = F.avg_pool2d(x, 2)
        return Features(torch.cat(found, 1))


def _filters(scale: int, inputs: int) -> Float[Tensor, "outputs inputs 3 3"]:
    """Filters of unit length; orthogonal where there is room for as many."""
    generator = np.random.Generator(np.random.Philox(key=[SEED, 1000 * scale + inputs]))
    rows = generator.standard_normal((WIDTH, inputs * 9))
    if inputs * 9 >= WIDTH:
        rows = np.linalg.qr(rows.T)[0].T
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32)).view(WIDTH, inputs, 3, 3)
