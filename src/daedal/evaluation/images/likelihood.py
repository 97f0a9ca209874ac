"""How likely a model finds held-out pictures, and a GPT their tokens: the evaluators over `log_likelihood`."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from daedal.errors import DaedalError
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.means import Interval, mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.models.coded import TokenModel
from daedal.models.image import ImageBatch, ImageSampling
from daedal.nn.noise import Noise

_BATCH = 32


class Likelihood(Evaluator[PictureSubject]):
    """Nats of a picture and bits of a value."""

    needs, columns = frozenset({"score"}), frozenset({"pictures"})
    sizes, share = (16, 64, 256, 1000), 0.25

    def each(self, subject: PictureSubject) -> float:
        return 1 / subject.speeds.scores

    @torch.no_grad()
    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        """
        Raises:
            DaedalError: a picture's likelihood is NaN or infinite.
        """
        tell(0, "scoring held-out pictures")
        generator, held, seed = subject.generator, subject.held.some(self.count(subject, within)), subject.asked.seed
        model, device, nats = subject.model, generator.device, list[float]()
        for start in range(0, len(held.pictures), _BATCH):
            part = slice(start, start + _BATCH)
            shown = generator.codec.encode_batch(held.pictures[part]).to(device)
            told = torch.from_numpy(np.array(held.labels[part])).to(device) if "class" in subject.can else None
            known, _, _ = model.condition(len(shown), told, ImageSampling())
            batch = ImageBatch(shown, known, Noise(seed, start, len(shown), device))
            nats += model.log_likelihood(batch).double().tolist()
        values = _numbers(-np.array(nats))
        of = getattr(model.config, "likelihood", None)
        how = {"draws": 1, subject.reference.name: len(values), **({"likelihood": of} if of else {})}
        # Whole values have a probability, which is at most 1; a density may be anything
        possible = (-math.inf if of == "gaussian" else 0.0, math.inf)
        bits = math.prod(generator.codec.shape) * math.log(2)
        return Findings(tuple(
            _mean(name, unit, quantity, values / scale, possible, how, {**subject.about, "seed": seed})
            for name, unit, quantity, scale in (
                ("bits per dimension", "bits", "bits-per-dimension", bits),
                ("nats per picture", "nats", "nats-per-picture", 1.0),
            )
        ))  # fmt: skip


class TokenLikelihood(Evaluator[PictureSubject]):
    """Nats of the tokens of pictures after what is said of them, and how many more without."""

    needs, columns = frozenset({"sample", "tokens"}), frozenset({"pictures"})

    @torch.no_grad()
    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        """
        Raises:
            DaedalError: a picture's likelihood is NaN or infinite.
        """
        tell(0, "scoring tokens of held-out pictures")
        generator, model = subject.generator, subject.model
        assert subject.drawn is not None
        assert isinstance(model, TokenModel)
        held, device = subject.held.some(len(subject.drawn.pictures)), generator.device
        said, given = "nothing", torch.from_numpy(np.array(held.labels))
        if generator.captions is not None and any(held.captions):
            said, given = "caption", generator.captions.encode(held.captions)
        elif generator.classes and bool((given >= 0).any()):
            said = "class"
        found: dict[str, list[float]] = {"after": [], "without": []}
        for start in range(0, len(held.pictures), _BATCH):
            shown = generator.codec.encode_batch(held.pictures[start : start + _BATCH]).to(device)
            told = given[start : start + _BATCH].to(device)
            found["after"] += model.token_log_likelihood(shown, told if said != "nothing" else None).tolist()
            found["without"] += model.token_log_likelihood(shown).tolist() if said != "nothing" else []
        after, without = (_numbers(-np.array(values)) for values in found.values())
        how = {"after": said, "tokens": model.layout.places, subject.reference.name: len(held.pictures)}
        name, quantity = "nats of a picture's tokens", "token-nats-per-picture"
        measured = [_mean(name, "nats", quantity, after, (0.0, math.inf), how, subject.about)]
        if said != "nothing":
            name, anything = f"nats that a {said} saves", (-math.inf, math.inf)
            saved = _mean(name, "nats", "token-nats-saved", without - after, anything, how, subject.about)
            measured.append(saved.but(better="higher"))
        return Findings(tuple(measured))


def _mean(
    name: str, unit: str, quantity: str, values: Float[np.ndarray, " pictures"], possible: Interval,
    how: dict[str, Any], about: dict[str, Any],
) -> Measurement:  # fmt: skip
    return Measurement(
        name=name, value=float(values.mean()), unit=unit, interval=mean_interval(values, possible),
        interval_method=student("pictures"),
        n=len(values), pieces="pictures", definition=define(quantity, 1, **how), **about,
    )  # fmt: skip


def _numbers(nats: Float[np.ndarray, " pictures"]) -> Float[np.ndarray, " pictures"]:
    """The same; a model that gives no number for a picture has no mean over pictures."""
    if bad := int((~np.isfinite(nats)).sum()):
        raise DaedalError(
            f"The likelihood of {bad:,} of {len(nats):,} held-out pictures is NaN or infinite",
            "Train anew, more slowly",
        )
    return nats
