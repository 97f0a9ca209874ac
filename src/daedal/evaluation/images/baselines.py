"""What a model's numbers stand beside: training pictures as the best there is, a Gaussian over pixels as what is no model
at all."""

import numpy as np
from jaxtyping import UInt8

Pictures = UInt8[np.ndarray, "n height width channels"]
_FITTED = 1000


def spread(count: int, most: int) -> np.ndarray:
    """The numbers of `most` of `count` pictures, evenly from first to last."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def gaussian_pictures(train: Pictures, count: int, seed: int) -> Pictures:
    """Draws from the Gaussian that has the mean and the covariance of the first pictures' pixels: mixtures of them with
    random weights, so that the covariance is never written out."""
    fitted = np.asarray(train[spread(len(train), _FITTED)]).astype(np.float32)
    mean = fitted.mean(0)
    centred = (fitted - mean).reshape(len(fitted), -1)
    weights = np.random.default_rng(seed).standard_normal((count, len(fitted)), dtype=np.float32)
    drawn = weights @ centred / np.sqrt(max(1, len(fitted) - 1)) + mean.reshape(-1)
    found: Pictures = np.rint(np.clip(drawn, 0, 255)).astype(np.uint8).reshape(count, *train.shape[1:])
    return found
