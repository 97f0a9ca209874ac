"""The parts of an evaluation of a model of images, each giving measurements."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from daedal.codecs.caption import tidy
from daedal.data.worlds.scenes import Scene
from daedal.errors import DaedalError
from daedal.evaluation.images import memorization
from daedal.evaluation.images.classifier import ClassifierExtractor
from daedal.evaluation.images.extractors import Extractor, Features, as_planes
from daedal.evaluation.images.intervals import STUDENT, WILSON, mean_interval, wilson
from daedal.evaluation.images.memorization import Nearest
from daedal.evaluation.images.reconstruction import MOST_DECIBELS, errors
from daedal.evaluation.images.reference import Reference
from daedal.evaluation.images.report import ClassRow, ImageBaseline, LossCurve
from daedal.evaluation.images.sizes import Speeds
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.subject import curve_points
from daedal.inference.generator import Generator
from daedal.models.coded import TokenModel
from daedal.models.image import ImageBatch, ImageModel, ImageSampling
from daedal.nn.noise import Noise
from daedal.training.run import RunFolder

Pictures = UInt8[np.ndarray, "n height width channels"]
_BATCH = 64
_LONG = 0.5  # seconds for a picture
_SCORED = 32
_JUDGED = 250
_COPY_SIDE = 16
"""Pixels of a side at which pictures are compared to find copies."""
_LEAST_CONTRAST = 0.02


@dataclass(frozen=True)
class Drawn:
    """Samples and the classes that were asked for, -1 for none."""

    pictures: Pictures
    labels: Int[np.ndarray, " n"]


@torch.no_grad()
def model_speeds(model: ImageModel, count: int, scenes: bool = False) -> Speeds:
    """How many pictures a second the model draws, scores and reconstructs; a first picture warms it up.

    Args:
        scenes: whether composition can be judged, if the model draws from words.
    """
    device = next(model.parameters()).device
    if device.type == "cuda":
        count *= 8  # which take no longer
    noise = Noise(0, 0, count, device)
    labels = noise.integers("class", model.config.classes) if model.config.classes else None
    shown = torch.zeros(count, *model.config.shape, device=device)

    def draw(some: int) -> Tensor:
        return model.sample(noise.part(0, some), None if labels is None else labels[:some])

    def score(some: int) -> Tensor:
        unknown, _, _ = model.condition(some, None, ImageSampling())
        return model.log_likelihood(ImageBatch(shown[:some], unknown, noise.part(0, some)))

    was_training = model.training
    model.eval()
    try:
        draws = _rate(draw, count, device) if "sample" in model.capabilities else None
        scores = _rate(score, count, device) if "score" in model.capabilities else None
        back = (
            _rate(lambda some: model.reconstruct(shown[:some]), count, device)
            if "reconstruct" in model.capabilities
            else None
        )
    finally:
        model.train(was_training)
    composes = draws / 2 if draws and scenes and model.config.words else None  # guidance doubles the work
    return Speeds(draws=draws, scores=scores, reconstructs=back, composes=composes)


def _rate(work: Callable[[int], Tensor], count: int, device: torch.device) -> float:
    """Of so many, after one that warms up; of one, where that takes long. What a GPU does first tells nothing: it loads."""

    def seconds(some: int) -> float:
        started = time.perf_counter()
        float(work(some).sum())
        return max(1e-6, time.perf_counter() - started)

    alone = seconds(1)
    if alone > _LONG and device.type == "cuda":
        alone = seconds(1)
    return 1 / alone if alone > _LONG else count / seconds(count)


def extractor_speed(extractor: Extractor, pictures: Pictures) -> float:
    """Pictures a second that an extractor sees; a first one warms it up."""
    return _rate(lambda some: extractor(pictures[:some]).values, len(pictures), torch.device("cpu"))


def scenes(pictures: Pictures, model_hash: str, data_hash: str, seed: int) -> tuple[Measurement, ...]:
    """What the judge of scenes says of the first pictures: it knows exactly."""
    from daedal.evaluation.worlds.scene_scores import scene_scores

    return scene_scores(pictures[:_JUDGED], model_hash=model_hash, data_hash=data_hash, seed=seed)[1]


def composed(generator: Generator, scenes: Iterable[Scene], per_task: int, seed: int) -> tuple[Measurement, ...]:
    """How well a model that draws from words composes, on what it can have seen and on what `scenes`, which it learned
    from, leave out."""
    from daedal.evaluation.worlds.composition import composition, never_trained
    from daedal.evaluation.worlds.prompts import MAIN_TASKS

    def show(prompts: Sequence[str], seed: int) -> list[UInt8[np.ndarray, "side side 3"]]:
        drawn = generator.generate(len(prompts), prompt=list(prompts), seed=seed)
        return [generator.codec.lay(picture.image) for picture in drawn]

    asked = ("seen", *never_trained(scenes))
    return composition(
        show, generator.codec.height, per_task, seed, tasks=MAIN_TASKS, parts=asked, model_hash=generator.fingerprint
    ).measurements


def draw(
    generator: Generator, count: int, seed: int, progress: Callable[[int], None], prompts: Sequence[str] = ()
) -> Drawn:
    """The first pictures of a seed; a model of classes draws those too, and one of captions what `prompts` say, of long ones
    as much as it can learn."""
    pictures, labels = [], []
    prompts = [generator.captions.shortened(prompt) for prompt in prompts] if generator.captions else ()
    numbers = {name: number for number, name in enumerate(generator.classes)}
    for start in range(0, count, _BATCH):
        for picture in generator.generate(min(_BATCH, count - start), seed=seed, first=start, prompt=prompts or None):
            pictures.append(generator.codec.lay(picture.image))
            labels.append(numbers.get(picture.provenance.label or "", -1))
        progress(len(pictures))
    return Drawn(np.stack(pictures), np.array(labels))


def classes(
    by: ClassifierExtractor, samples: Features, drawn: Drawn, reference: Features, labels: Int[np.ndarray, " n"],
    name: str, model_hash: str, data_hash: str,
) -> tuple[list[Measurement], tuple[ClassRow, ...]]:  # fmt: skip
    """What the classifier sees: whether samples are of the class that was asked for, how evenly the classes come, and how
    often the classifier itself is right."""
    assert samples.logits is not None
    assert reference.logits is not None
    said, known = samples.logits.argmax(1).numpy(), reference.logits.argmax(1).numpy()
    count = len(by.names)
    shares, wanted = (np.bincount(each, minlength=count) / len(each) for each in (said, known))
    about = {"model_hash": model_hash, "data_hash": data_hash}
    found = []
    labelled = labels >= 0
    if labelled.any():
        right = int((known[labelled] == labels[labelled]).sum())
        found.append(_share(
            "classifier's own accuracy", "classifier-accuracy", right, int(labelled.sum()), about,
            {**by.conditions, "on": name}, "pictures",
        ))  # fmt: skip
    asked = drawn.labels >= 0
    if asked.any():
        right = int((said[asked] == drawn.labels[asked]).sum())
        found.append(_share(
            "class as asked for", "class-accuracy", right, int(asked.sum()), about,
            {**by.conditions, "samples": len(said)}, "pictures",
        ))  # fmt: skip
    apart = 0.5 * float(np.abs(shares - wanted).sum())
    found.append(Measurement(
        name="imbalance of classes", value=apart, unit="", n=len(said), pieces="pictures",
        definition=define("class-balance", 1, **by.conditions, samples=len(said), **{name: len(known)}), **about,
    ))  # fmt: skip
    present = int((shares > 0).sum())
    found.append(Measurement(
        name="classes drawn", value=present, unit=f"of {int((wanted > 0).sum())}", n=len(said),
        pieces="pictures", better="higher",
        definition=define("class-coverage", 1, **by.conditions, samples=len(said)), **about,
    ))  # fmt: skip
    rows = tuple(
        ClassRow(
            name=by.names[each], reference=float(wanted[each]), samples=float(shares[each]),
            asked=int((drawn.labels == each).sum()), right=int(((drawn.labels == each) & (said == each)).sum()),
        )
        for each in range(count)
    )  # fmt: skip
    return found, rows


def copies(
    samples: Pictures, held_out: Pictures, train: Pictures, reference: Reference, model_hash: str, missing: list[str]
) -> tuple[list[Measurement], Nearest]:
    """Authenticity and the test for copies, and the nearest training picture of each sample, over small pictures of equal
    contrast."""
    learned, drawn, other = (_alike(pictures) for pictures in (train, samples, held_out))
    near = memorization.nearest(drawn, learned)
    hit = np.unique(near.indices)
    own = memorization.nearest_of(learned, hit)
    spread = Nearest(np.full(len(train), np.inf), np.zeros(len(train), dtype=np.int64))
    spread.distances[hit] = own.distances
    about = {"model_hash": model_hash, "data_hash": reference.fingerprint}
    how = {"space": f"contrast-at-{_COPY_SIDE}-pixels", "train": len(train), "samples": len(samples)}
    found = memorization.authenticity(near, spread)
    measured = [Measurement(
        name="authentic samples", value=found.value, unit="", interval=found.interval, interval_method=WILSON,
        n=len(samples), pieces="pictures", better="higher", definition=define("authenticity", 1, **how), **about,
    )]  # fmt: skip
    try:
        test = memorization.copy_test(near, memorization.nearest(other, learned))
    except DaedalError as error:
        missing.append(error.what)
        return measured, near
    stated = define("data-copying", 1, **how, **{reference.name: len(held_out)})
    measured.append(Measurement(
        name="farther than held-out pictures", value=test.probability, unit="",
        interval=test.interval, interval_method=memorization.METHOD, n=len(samples), pieces="pictures",
        better="higher", definition=stated, **about,
    ))  # fmt: skip
    measured.append(Measurement(
        name="p-value of copying", value=test.p, unit="", n=len(samples), pieces="pictures",
        better="higher", definition=stated.replace("data-copying/", "data-copying-p/"), **about,
    ))  # fmt: skip
    return measured, near


@torch.no_grad()
def likelihood(
    generator: Generator,
    pictures: Pictures,
    labels: Int[np.ndarray, " n"],
    count: int,
    reference: Reference,
    seed: int,
) -> list[Measurement]:
    """Nats of a picture and bits of a value, of held-out pictures.

    Raises:
        DaedalError: a picture's likelihood is NaN or infinite.
    """
    model, device = generator.model, generator.device
    chosen = np.arange(min(count, len(pictures))) * len(pictures) // min(count, len(pictures))
    nats: list[float] = []
    for start in range(0, len(chosen), _SCORED):
        some = chosen[start : start + _SCORED]
        shown = generator.codec.encode_batch(pictures[some]).to(device)
        told = torch.from_numpy(np.array(labels[some])).to(device) if "class" in generator.capabilities else None
        known, _, _ = model.condition(len(some), told, ImageSampling())
        batch = ImageBatch(shown, known, Noise(seed, start, len(some), device))
        nats += model.log_likelihood(batch).double().tolist()
    values = _finite(-np.array(nats))
    dimensions = math.prod(generator.codec.shape)
    of = getattr(model.config, "likelihood", None)
    how: dict[str, object] = {"draws": 1, reference.name: len(values), **({"likelihood": of} if of else {})}
    about: dict[str, Any] = {"model_hash": generator.fingerprint, "data_hash": reference.fingerprint, "seed": seed}
    found = []
    # Whole values have a probability, which is at most 1; a density may be anything
    possible = (-math.inf if of == "gaussian" else 0.0, math.inf)
    for name, unit, quantity, scale in (
        ("bits per dimension", "bits", "bits-per-dimension", dimensions * math.log(2)),
        ("nats per picture", "nats", "nats-per-picture", 1.0),
    ):
        interval = mean_interval(values / scale, possible)
        found.append(Measurement(
            name=name, value=float(values.mean() / scale), unit=unit, interval=interval, interval_method=STUDENT,
            n=len(values), pieces="pictures", definition=define(quantity, 1, **how), **about,
        ))  # fmt: skip
    return found


@torch.no_grad()
def written(
    generator: Generator,
    pictures: Pictures,
    labels: Int[np.ndarray, " n"],
    captions: Sequence[str],
    reference: Reference,
) -> list[Measurement]:
    """Nats of the tokens of held-out pictures after what is said of them, and how many more without."""
    model, device = generator.model, generator.device
    assert isinstance(model, TokenModel)
    said, given = "nothing", torch.from_numpy(np.array(labels))
    if generator.captions is not None and any(captions):
        said, given = "caption", generator.captions.encode(captions)
    elif generator.classes and bool((given >= 0).any()):
        said = "class"
    found: dict[str, list[float]] = {"after": [], "without": []}
    for start in range(0, len(pictures), _SCORED):
        shown = generator.codec.encode_batch(pictures[start : start + _SCORED]).to(device)
        told = given[start : start + _SCORED].to(device)
        found["after"] += model.token_log_likelihood(shown, told if said != "nothing" else None).tolist()
        found["without"] += model.token_log_likelihood(shown).tolist() if said != "nothing" else []
    after, without = (_finite(-np.array(values)) for values in found.values())
    about: dict[str, Any] = {"model_hash": generator.fingerprint, "data_hash": reference.fingerprint}
    how: dict[str, object] = {"after": said, "tokens": model.layout.places, reference.name: len(pictures)}
    measured = {"nats of a picture's tokens": ("token-nats-per-picture", after, "lower", (0.0, math.inf))}
    if said != "nothing":
        saved = ("token-nats-saved", without - after, "higher", (-math.inf, math.inf))
        measured[f"nats that a {said} saves"] = saved
    return [
        Measurement.parse({
            "name": name, "value": float(values.mean()), "unit": "nats", "interval": mean_interval(values, possible),
            "interval_method": STUDENT, "n": len(values), "pieces": "pictures", "better": better,
            "definition": define(quantity, 1, **how), **about,
        }, name)
        for name, (quantity, values, better, possible) in measured.items()
    ]  # fmt: skip


@torch.no_grad()
def reconstruct(
    generator: Generator, pictures: Pictures, labels: Int[np.ndarray, " n"], reference: Reference, seed: int
) -> tuple[list[Measurement], Pictures]:
    """Errors of pictures that went through the model's latents, and what came back."""
    model, device, back = generator.model, generator.device, []
    for start in range(0, len(pictures), _BATCH):
        shown = generator.codec.encode_batch(pictures[start : start + _BATCH]).to(device)
        known = torch.from_numpy(np.array(labels[start : start + _BATCH])).to(device)
        given = known if generator.classes and bool((known >= 0).all()) else None
        back.append(generator.codec.decode_batch(model.reconstruct(shown, given)))
    returned = np.concatenate(back)
    found = errors(pictures, returned)
    about = {"model_hash": generator.fingerprint, "data_hash": reference.fingerprint, "n": len(pictures)}
    return [
        Measurement.parse({
            "name": f"{name} of reconstructions", "unit": unit, "value": float(values.mean()), "better": better,
            "interval": mean_interval(values, possible), "interval_method": STUDENT, "pieces": "pictures", **about,
            "definition": define(f"reconstruction-{name.lower()}", 1, **{reference.name: len(pictures)}),
        }, name)
        for name, unit, values, better, possible in (
            ("PSNR", "dB", found.psnr, "higher", (0.0, MOST_DECIBELS)), ("SSIM", "", found.ssim, "higher", (-1.0, 1.0)),
            ("MSE", "", found.mse, "lower", (0.0, 1.0)),
        )
    ], returned  # fmt: skip


def matched(
    generator: Generator, pictures: Pictures, captions: Sequence[str], reference: Reference
) -> tuple[list[Measurement], ImageBaseline]:
    """What a CLIP finds among held-out pictures that have a caption and their captions, and what chance would."""
    from daedal.evaluation.images.retrieval import distinct, retrieval

    known = [place for place, caption in enumerate(captions) if tidy(caption)]
    texts, right = distinct([captions[place] for place in known])
    return retrieval(
        generator.embed_pictures([pictures[place] for place in known]).cpu(), generator.embed_texts(texts).cpu(), right,
        model_hash=generator.fingerprint, data_hash=reference.fingerprint,
    )  # fmt: skip


def curve(folder: RunFolder) -> LossCurve | None:
    """The loss as it was logged; of several players the first."""
    records = folder.records("metrics.jsonl")
    names = {name for record in records for name in record}
    name = next((name for name in ("loss", *sorted(n for n in names if n.endswith("loss"))) if name in names), None)
    train = curve_points(records, name) if name else ()
    validation = curve_points(records, f"validation_{name}") if name else ()
    return LossCurve(name=name or "loss", train=train, validation=validation) if train or validation else None


def _finite(nats: Float[np.ndarray, " pictures"]) -> Float[np.ndarray, " pictures"]:
    """The same; a model that gives no number for a picture has no mean over pictures."""
    if bad := int((~np.isfinite(nats)).sum()):
        raise DaedalError(
            f"The likelihood of {bad:,} of {len(nats):,} held-out pictures is NaN or infinite",
            "Train anew, more slowly",
        )
    return nats


def _share(
    name: str, quantity: str, hits: int, n: int, about: dict[str, str], how: dict[str, Any], pieces: str
) -> Measurement:
    return Measurement.parse({
        "name": name, "value": hits / n, "unit": "", "interval": wilson(hits, n), "interval_method": WILSON, "n": n,
        "pieces": pieces, "better": "higher", "definition": define(quantity, 1, **how), **about,
    }, name)  # fmt: skip


def _alike(pictures: Pictures) -> Float[Tensor, "n values"]:
    """Pictures averaged over squares until a side has at most sixteen pixels, then brought to one brightness and contrast: else
    a pale or blurred picture would be near to every other."""
    x = as_planes(pictures) / 255
    times = math.ceil(max(x.shape[2:]) / _COPY_SIDE)
    values = (F.avg_pool2d(x, times, ceil_mode=True) if times > 1 else x).flatten(1)
    values = values - values.mean(1, keepdim=True)
    return values / values.std(1, correction=0, keepdim=True).clamp_min(_LEAST_CONTRAST) / math.sqrt(values.shape[1])
