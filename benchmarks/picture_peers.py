"""Other people's image models, trained as their own scripts train them, for so many CPU seconds.

- pythae's VAE: its networks for MNIST and CIFAR-10 or its default MLP, its trainer, its latent of 16 (32 for colour), Adam at
  its scripts' rate, batches of 100; drawn by its NormalSampler and its GaussianMixtureSampler.
- DCGAN (Radford et al. 2015, arXiv:1511.06434) in the form of the PyTorch examples: transposed convolutions with batch norm,
  the 2014 loss, Adam 2e-4 with beta1 0.5, one level fewer for 32 pixels than for 64.
- diffusers' UNet2DModel under the recipe of its unconditional example: DDPMScheduler with 1000 steps, noise as the target,
  AdamW (0.95, 0.999), weight decay 1e-6, clipped at 1, warm-up and cosine, its EMA. The networks and rates are those that the
  Hugging Face course trains at that size (28 or 32 pixels), and a smaller one.

Each gets arrays uint8 [n h w c] and a number of CPU seconds of its own process, counted over its training loop alone, and gives
functions that draw new arrays. Where a recipe counts in epochs, its time here is the budget, and schedules are stretched to it.
"""

import contextlib
import importlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Draw = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Peer:
    """A trained peer.

    Attributes:
        draws: ways to draw pictures from it, by name; each gives uint8 [n h w c].
        model: the network, for what else is to be measured.
    """

    name: str
    steps: int
    seconds: float
    draws: dict[str, Draw]
    model: nn.Module

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


class Clock:
    """A budget of CPU seconds of this process, from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.start = seconds, time.process_time()

    @property
    def used(self) -> float:
        return time.process_time() - self.start

    @property
    def fraction(self) -> float:
        return self.used / self.seconds

    @property
    def over(self) -> bool:
        return self.used >= self.seconds


class Deck:
    """Batches of a data set, shuffled anew each epoch, as floats from -1 to 1."""

    def __init__(self, pictures: np.ndarray, batch: int, size: int) -> None:
        self.pictures, self.batch, self.size, self.order = pictures, batch, size, np.empty(0, np.int64)

    def deal(self) -> Tensor:
        if len(self.order) < self.batch:
            self.order = np.random.permutation(len(self.pictures))
        rows, self.order = self.order[: self.batch], self.order[self.batch :]
        floats = torch.from_numpy(self.pictures[np.sort(rows)]).permute(0, 3, 1, 2).float() / 127.5 - 1
        margin = self.size - floats.shape[-1]
        return F.pad(floats, (margin // 2, margin - margin // 2) * 2, value=-1.0)


def to_bytes(floats: Tensor, low: float = -1.0, size: int | None = None) -> np.ndarray:
    """Floats `[n c h w]` from `low` to 1 as uint8 [n h w c], the middle `size` pixels of each."""
    if size is not None:
        first = (floats.shape[-1] - size) // 2
        floats = floats[..., first : first + size, first : first + size]
    scaled = ((floats - low) / (1.0 - low)).clamp(0, 1) * 255
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def in_parts(draw: Callable[[int], np.ndarray], part: int) -> Draw:
    """The same, so many pictures at a time."""
    return lambda n: np.concatenate([draw(min(part, n - first)) for first in range(0, n, part)])


# pythae


class Spent(Exception):
    """The budget is used up."""


class Flips(torch.utils.data.Dataset):
    """Digits made black and white anew each time that they are seen (pythae's scripts for dynamically binarised MNIST)."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.data = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int):
        from pythae.data.datasets import DatasetOutput

        shades = self.data[index]
        return DatasetOutput(data=(shades > torch.rand_like(shades)).float())


def pythae_vae(
    pictures: np.ndarray,
    seconds: float,
    seed: int,
    network: str = "mlp",
    loss: str = "bce",
    rate: float = 1e-3,
    latent: int = 16,
    binary: bool = False,
) -> Peer:
    """pythae's VAE through its own training pipeline.

    `network` is `conv` (that of its benchmark for MNIST, CIFAR-10 or CelebA, by size) or `mlp` (its default).
    """
    from pythae.models import VAE, VAEConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.samplers import GaussianMixtureSampler, NormalSampler
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    size, channels = pictures.shape[1], pictures.shape[3]
    config = VAEConfig(input_dim=(channels, size, size), latent_dim=latent, reconstruction_loss=loss)
    parts = {}
    if network == "conv":
        kind = {28: "mnist", 32: "cifar", 64: "celeba"}[size]
        room = importlib.import_module(f"pythae.models.nn.benchmarks.{kind}")
        parts = {
            "encoder": getattr(room, f"Encoder_Conv_VAE_{kind.upper()}")(config),
            "decoder": getattr(room, f"Decoder_Conv_AE_{kind.upper()}")(config),
        }
    torch.manual_seed(seed)
    model = VAE(model_config=config, **parts)

    class Budget(TrainingCallback):
        def __init__(self) -> None:
            self.clock, self.steps = Clock(seconds), 0

        def on_train_step_end(self, training_config, **arguments) -> None:
            self.steps += 1
            if self.clock.over:
                raise Spent

    with tempfile.TemporaryDirectory() as folder:
        recipe = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=100,
            num_epochs=10_000,
            learning_rate=rate,
            optimizer_cls="Adam",
            steps_saving=None,
            steps_predict=None,
            no_cuda=True,
            seed=seed,
        )
        data = Flips(pictures) if binary else pictures.transpose(0, 3, 1, 2) / np.float32(255)
        budget = Budget()
        with contextlib.suppress(Spent):
            TrainingPipeline(model=model, training_config=recipe)(train_data=data, callbacks=[budget])
    used = budget.clock.used
    model.eval()

    def drawn(sampler) -> Draw:
        return lambda n: to_bytes(sampler.sample(num_samples=n, batch_size=500, return_gen=True), low=0.0)

    draws = {"normal sampler": drawn(NormalSampler(model=model))}
    if not binary:
        mixture = GaussianMixtureSampler(model=model)
        mixture.fit(pictures[:20_000].transpose(0, 3, 1, 2) / np.float32(255))
        draws["mixture sampler"] = drawn(mixture)
    return Peer(f"pythae VAE, {network}, {loss}", budget.steps, used, draws, model)


# DCGAN


def dcgan(pictures: np.ndarray, seconds: float, seed: int, width: int = 64, batch: int = 64) -> Peer:
    """The DCGAN of the PyTorch examples; pictures of 28 pixels are padded to 32 for it, as is usual."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    size, channels, noise = pictures.shape[1], pictures.shape[3], 100
    side = 32 if size <= 32 else 64
    levels = int(math.log2(side)) - 3

    def initialised(network: nn.Sequential) -> nn.Sequential:
        for module in network:
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        return network

    up, down = [nn.ConvTranspose2d(noise, width << levels, 4, 1, 0, bias=False)], []
    for level in range(levels, 0, -1):
        up += [nn.BatchNorm2d(width << level), nn.ReLU(True)]
        up += [nn.ConvTranspose2d(width << level, width << (level - 1), 4, 2, 1, bias=False)]
    up += [nn.BatchNorm2d(width), nn.ReLU(True), nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh()]
    down = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for level in range(levels):
        down += [nn.Conv2d(width << level, width << (level + 1), 4, 2, 1, bias=False)]
        down += [nn.BatchNorm2d(width << (level + 1)), nn.LeakyReLU(0.2, True)]
    down += [nn.Conv2d(width << levels, 1, 4, 1, 0, bias=False), nn.Flatten(0)]
    generator, critic = initialised(nn.Sequential(*up)), initialised(nn.Sequential(*down))
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (critic, generator)]
    deck, clock, steps = Deck(pictures, batch, side), Clock(seconds), 0
    yes, no = torch.ones(batch), torch.zeros(batch)
    while not clock.over:
        real, fake = deck.deal(), generator(torch.randn(batch, noise, 1, 1))
        optimizers[0].zero_grad()
        told = F.binary_cross_entropy_with_logits(critic(real), yes)
        (told + F.binary_cross_entropy_with_logits(critic(fake.detach()), no)).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        F.binary_cross_entropy_with_logits(critic(fake), yes).backward()
        optimizers[1].step()
        steps += 1

    @torch.no_grad()
    def draw(n: int) -> np.ndarray:
        # As the example draws: batch norm stays by the batch. By its running averages the pictures are far worse.
        return to_bytes(generator(torch.randn(n, noise, 1, 1)), size=size)

    return Peer(f"DCGAN, width {width}", steps, clock.used, {"generator": in_parts(draw, 500)}, generator)


# diffusers

UNETS = {
    # The course's networks for MNIST at 28 pixels (small) and for butterflies at 32 (large). A CPU thread shows them 20,000 and
    # 4,000 pictures in ten minutes; tiny, with half the channels and attention at its lowest level alone, sees more.
    "tiny": ((16, 32, 64), ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")),
    "small": ((32, 64, 64), ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")),
    "large": ((64, 128, 128, 256), ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")),
}


def ddpm(
    pictures: np.ndarray,
    seconds: float,
    seed: int,
    network: str = "small",
    rate: float = 1e-4,
    batch: int = 64,
) -> Peer:
    """diffusers' UNet2DModel under the recipe of its example `train_unconditional.py`; in fp32, its default: bf16 is half
    as fast for it on a CPU."""
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
    from diffusers.training_utils import EMAModel

    torch.manual_seed(seed)
    np.random.seed(seed)
    size, channels = pictures.shape[1], pictures.shape[3]
    widths, down = UNETS[network]
    side = -(-size // 2 ** (len(widths) - 1)) * 2 ** (len(widths) - 1)
    unet = UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=2,
        block_out_channels=widths,
        down_block_types=down,
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        norm_num_groups=min(32, widths[0]),
    )
    schedule = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", prediction_type="epsilon")
    optimizer = torch.optim.AdamW(unet.parameters(), rate, (0.95, 0.999), 1e-8, weight_decay=1e-6)
    average = EMAModel(unet.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    deck, clock, steps = Deck(pictures, batch, side), Clock(seconds), 0
    while not clock.over:
        # The example warms up for 500 steps; where the budget allows few, a twentieth of it is enough.
        share = min(1.0, clock.fraction)
        warm = min(1.0, (steps + 1) / 500, share / 0.05 + 1e-3)
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * 0.5 * (1 + math.cos(math.pi * share))
        clean = deck.deal()
        noise, times = torch.randn_like(clean), torch.randint(0, 1000, (batch,))
        loss = F.mse_loss(unet(schedule.add_noise(clean, noise, times), times).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.step(unet.parameters())
        steps += 1
    used = clock.used
    average.copy_to(unet.parameters())
    unet.eval()

    def drawn(scheduler, count: int) -> Draw:
        @torch.no_grad()
        def draw(n: int) -> np.ndarray:
            scheduler.set_timesteps(count)
            pictures = torch.randn(n, channels, side, side)
            for moment in scheduler.timesteps:
                pictures = scheduler.step(unet(pictures, moment).sample, moment, pictures).prev_sample
            return to_bytes(pictures, size=size)

        return in_parts(draw, 100)

    solver = DPMSolverMultistepScheduler.from_config(schedule.config)
    draws = {
        "DDIM, 50 steps": drawn(DDIMScheduler.from_config(schedule.config), 50),
        "DPM-Solver++, 20 steps": drawn(solver, 20),
    }
    return Peer(f"diffusers DDPM, {network} U-Net", steps, used, draws, unet)


PEERS: dict[str, Callable[..., Peer]] = {"pythae": pythae_vae, "dcgan": dcgan, "ddpm": ddpm}
