"""How near pictures come back through a model's latents: mean squared error, PSNR and SSIM, a value for each picture, and the
evaluator over them."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import pairs
from daedal.evaluation.blocks import Sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define

RECONSTRUCTIONS = "reconstructions.png"
_BATCH = 64
_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
MOST_DECIBELS = 100.0


class Reconstruction(Evaluator[PictureSubject]):
    """Errors of held-out pictures that went through the model's latents."""

    needs, columns = frozenset({"reconstruct"}), frozenset({"pictures"})
    sizes, share = (16, 64, 256), 0.15

    def each(self, subject: PictureSubject) -> float:
        return 1 / subject.speeds.reconstructs

    @torch.no_grad()
    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        tell(0, "reconstructing")
        generator, held, back = subject.generator, subject.held.some(self.count(subject, within)), []
        for start in range(0, len(held.pictures), _BATCH):
            shown = generator.codec.encode_batch(held.pictures[start : start + _BATCH]).to(generator.device)
            known = torch.from_numpy(np.array(held.labels[start : start + _BATCH])).to(generator.device)
            given = known if generator.classes and bool((known >= 0).all()) else None
            back.append(generator.codec.decode_batch(subject.model.reconstruct(shown, given)))
        returned, n = np.concatenate(back), len(held.pictures)
        found = errors(held.pictures, returned)
        measured = tuple(
            Measurement.parse({
                "name": f"{name} of reconstructions", "unit": unit, "value": float(values.mean()), "better": better,
                "interval": mean_interval(values, possible), "interval_method": student("pictures"), "n": n,
                "pieces": "pictures",
                "definition": define(f"reconstruction-{name.lower()}", 1, **{subject.reference.name: n}), **subject.about,
            }, name)
            for name, unit, values, better, possible in (
                ("PSNR", "dB", found.psnr, "higher", (0.0, MOST_DECIBELS)),
                ("SSIM", "", found.ssim, "higher", (-1.0, 1.0)), ("MSE", "", found.mse, "lower", (0.0, 1.0)),
            )
        )  # fmt: skip
        shown = [to_image(each) for each in held.pictures[:16]], [to_image(each) for each in returned[:16]]
        says = "Held-out pictures, each above what comes back through the model's latents."
        return Findings(
            measured, blocks=(Sheet(title="What comes back", says=says, file=RECONSTRUCTIONS),),
            pictures={RECONSTRUCTIONS: pairs(*shown)},
        )  # fmt: skip


@dataclass(frozen=True)
class Errors:
    """A value for each picture; PSNR in decibels, at most 100."""

    mse: Float[np.ndarray, " n"]
    psnr: Float[np.ndarray, " n"]
    ssim: Float[np.ndarray, " n"]


def errors(
    originals: UInt8[np.ndarray, "n height width channels"], back: UInt8[np.ndarray, "n height width channels"]
) -> Errors:
    """Of pictures as bytes; the errors are of values from 0 to 1."""
    one, other = (
        torch.from_numpy(np.array(pictures.transpose(0, 3, 1, 2), order="C")).double() / 255
        for pictures in (originals, back)
    )
    mse = (one - other).square().mean((1, 2, 3))
    psnr = (-10 * mse.clamp_min(1e-10).log10()).clamp_max(MOST_DECIBELS)
    return Errors(mse.numpy(), psnr.numpy(), _ssim(one, other).numpy())


def _ssim(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Wang et al. 2004, with their Gaussian window of eleven pixels (less where the picture has less), where it fits."""
    size = min(_WINDOW, *one.shape[2:])
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-(places**2) / (2 * _DEVIATION**2))
    line = line / line.sum()

    def blurred(x: Tensor) -> Tensor:
        """By the Gaussian's line along the one side, then along the other."""
        planes = x.flatten(0, 1)[:, None]
        across = F.conv2d(F.conv2d(planes, line.view(1, 1, 1, size)), line.view(1, 1, size, 1))
        return across.view(*x.shape[:2], *across.shape[2:])

    mean_one, mean_other = blurred(one), blurred(other)
    spread_one = blurred(one * one) - mean_one**2
    spread_other = blurred(other * other) - mean_other**2
    together = blurred(one * other) - mean_one * mean_other
    alike = (2 * mean_one * mean_other + _C1) * (2 * together + _C2)
    apart = (mean_one**2 + mean_other**2 + _C1) * (spread_one + spread_other + _C2)
    return (alike / apart).mean((1, 2, 3))
