"""MNIST: our VAE, GAN and flow beside pythae's VAE, a DCGAN and diffusers' DDPM, each trained for the same CPU seconds.

    python benchmarks/mnist_race.py PATH/TO/mnist [--seconds 600] [--only vae,pythae] [--threads 1] [--quick]

- Pictures: Frechet distance between 5,000 drawn and the 10,000 test digits in the features of a digit classifier trained here,
  how many digits are drawn, and the share of the rarest and of the most frequent one, 1 being a tenth.
- `vae-bits` and `pythae-bits`: log-likelihood of the test digits, made black and white by chance with their shade as the
  probability, by importance sampling with 500 draws from the model's own posterior, in nats per digit, higher is better.
  500 draws on 1,000 of the digits and 10 on all 10,000: the mean of all plus the mean gain of those 1,000.

The folder given by `--out` keeps all; what it has already is not run again. The rules of time are in `picture_race.py`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from picture_race import Finished, Ours, Race, Ruler, Setting, Theirs

FEW, MANY = 10, 500

# --- likelihood

Score = Callable[["Any", int], "Any"]
"""Log-likelihood in nats of black and white digits, `[n 1 28 28]` of 0 and 1, by so many importance samples."""


def log_likelihood(setting: Setting, score: Score) -> dict[str, Any]:
    """The mean over the test digits and its 95 % interval."""
    import torch

    digits = setting.test()[0][: 2 * setting.samples]
    chance = np.random.default_rng(0)
    bits = torch.from_numpy((digits > 255 * chance.random(digits.shape)).astype(np.float32)).permute(0, 3, 1, 2)
    some = torch.from_numpy(chance.permutation(len(bits))[: setting.samples // 5])

    def scored(x: "Any", samples: int, part: int) -> np.ndarray:
        return torch.cat([score(x[first : first + part], samples) for first in range(0, len(x), part)]).double().numpy()

    low, high = scored(bits, FEW, 250), scored(bits[some], MANY, 10)
    gain = high - low[some]
    value = float(low.mean() + gain.mean())
    error = math.sqrt(high.var(ddof=1) / len(low) + gain.var(ddof=1) * (1 / len(some) - 1 / len(low)))
    return {"nats": value, "nats_interval": [value - 1.96 * error, value + 1.96 * error]}


def our_bits(setting: Setting) -> Finished:
    import torch

    from daedal.inference.generator import Generator
    from daedal.models.image import ImageBatch
    from daedal.nn.noise import Noise

    trained = Ours("vae", "vae-bits", {"likelihood": "bernoulli"})(setting)
    model = Generator.open(trained.facts["run"]).model

    def score(x: torch.Tensor, samples: int) -> torch.Tensor:
        noise = Noise(int(x.sum()), 0, len(x))
        return model.log_likelihood(ImageBatch(2 * x - 1, torch.full((len(x),), -1), noise), samples)

    return Finished({**trained.facts, **log_likelihood(setting, score)}, {})


def pythae_bits(setting: Setting) -> Finished:
    import torch
    import torch.nn.functional as F

    import picture_peers

    trained = picture_peers.pythae_vae(setting.training(), setting.seconds, setting.seed, binary=True)

    @torch.no_grad()
    def score(x: torch.Tensor, samples: int) -> torch.Tensor:
        seen = trained.model.encoder(x)
        mean, log_variance = (v.repeat_interleave(samples, 0) for v in (seen.embedding, seen.log_covariance))
        noise = torch.randn_like(mean)
        z = mean + (0.5 * log_variance).exp() * noise
        shades = trained.model.decoder(z)["reconstruction"].flatten(1)
        target = x.flatten(1).repeat_interleave(samples, 0)
        weights = -F.binary_cross_entropy(shades, target, reduction="none").sum(1)
        weights = weights + 0.5 * (noise**2 + log_variance - z**2).sum(1)
        return weights.double().unflatten(0, (len(x), samples)).logsumexp(1) - math.log(samples)

    facts = {"steps": trained.steps, "cpu_seconds": trained.seconds, "parameters": trained.parameters}
    return Finished({**facts, **log_likelihood(setting, score)}, {})


# --- the race


def build(setting: Setting) -> None:
    import daedal

    daedal.build_data(setting.sources, setting.data)


ENTRANTS = {
    "vae": Ours("vae", "vae"),
    "gan": Ours("gan", "gan"),
    "flow": Ours("flow", "flow"),
    "pythae": Theirs("pythae", {"network": "mlp", "loss": "bce", "rate": 1e-3}),
    "pythae-conv": Theirs("pythae", {"network": "conv", "loss": "mse", "rate": 1e-3}),
    "dcgan": Theirs("dcgan", {"width": 32}),
    "dcgan-64": Theirs("dcgan", {"width": 64}),
    "ddpm": Theirs("ddpm", {"network": "tiny", "rate": 1e-3, "batch": 16}, most=1000),
    "ddpm-small": Theirs("ddpm", {"network": "small", "rate": 1e-3, "batch": 16}, most=1000),
    "ddpm-large": Theirs("ddpm", {"network": "large", "rate": 4e-4, "batch": 16}, most=1000),
    "vae-bits": our_bits,
    "pythae-bits": pythae_bits,
}
USUAL = ["vae", "gan", "flow", "pythae", "dcgan", "ddpm", "vae-bits", "pythae-bits"]
COLUMNS = {
    "distance": "distance",
    "distance_interval": "95 %",
    "met": "digits",
    "rarest": "rarest",
    "most": "most",
    "nats": "nats",
    "nats_interval": "95 %",
}

if __name__ == "__main__":
    Race(
        __doc__,
        __file__,
        folder="mnist-race",
        seconds=600,
        samples=5000,
        entrants=ENTRANTS,
        usual=USUAL,
        build=build,
        ruler=Ruler(views=240_000, classes=True),
        columns=COLUMNS,
    ).main()
