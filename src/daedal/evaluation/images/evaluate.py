"""Measure a model of images: samples beside a reference, likelihood, reconstruction, classes, and what the samples copy."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from daedal import __version__
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.evaluation.evaluate import Progress, silence
from daedal.evaluation.images import parts
from daedal.evaluation.images.baselines import gaussian_pictures, spread
from daedal.evaluation.images.classifier import ClassifierExtractor
from daedal.evaluation.images.extractors import Extractor, Features, Request, default_extractor, extract, open_extractor
from daedal.evaluation.images.metrics import Compared, all_metrics
from daedal.evaluation.images.parts import Drawn
from daedal.evaluation.images.reference import Reference, of_scenes, open_reference
from daedal.evaluation.images.report import (
    NEIGHBOURS,
    RECONSTRUCTIONS,
    SAMPLES,
    ExtractorFacts,
    ImageBaseline,
    ImageModelFacts,
    ImageReport,
)  # fmt: skip
from daedal.evaluation.images.sheets import grid_png, pairs_png
from daedal.evaluation.images.sizes import SECONDS, Sizes
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.subject import kept, plan_facts, run_folder, subject_name
from daedal.inference.generator import Generator
from daedal.models.coded import TokenModel
from daedal.models.image import ImageModel

_SHOWN = 64
_TRIED = 8
"""Pictures that are drawn to see how fast that is."""


def evaluate_images(
    run: str | Path | Generator,
    against: str | Path | ImageDataset | None = None,
    *,
    samples: int | None = None,
    extractor: str | None = None,
    resize: str | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
    progress: Progress | None = None,
) -> ImageReport:
    """Measure a model of images against held-out pictures, and write the report into its run folder.

    The report is written where a run is measured on the data of its plan: numbers of other data are given, not kept.

    Args:
        run: a run folder, the id of a model on the Hugging Face Hub, or a loaded generator.
        against: a data folder, or a folder of pictures; the test split of the run's own data unless given, or the
            validation split
            where there is no test split to speak of.
        samples: how many pictures to draw; what fits into `seconds` unless given.
        extractor: `inception`, `mobilenet@PATH`, `classifier` or `random`; what the data allows unless given.
        resize: the rule by which pictures are brought to the extractor's size; its usual one unless given.
        seconds: about how long it may take.
        seed: of the samples and of every choice.

    Raises:
        DaedalError: there is no such run, data or extractor, or there are too few pictures.
    """
    started = time.monotonic()
    tell: Progress = progress or silence
    tell(0, 100, "loading")
    generator = run if isinstance(run, Generator) else Generator.open(str(run))
    folder = None if isinstance(run, Generator) else run_folder(Path(run))
    reference = open_reference(against, folder, generator.codec)
    own = folder is not None and reference.own
    work = _Work(generator, reference, seed, tell)

    by = work.extractor(extractor, resize, seconds)
    # a classifier that had to be trained leaves less time, but not so little that nothing could be said
    left = max(seconds / 3, seconds - (time.monotonic() - started))
    chosen = Sizes.within(left, work.speeds, False, math.prod(generator.codec.shape))
    sizes = chosen if samples is None else chosen.but(samples=samples, reference=max(samples, chosen.reference))
    found, baselines, missing = work.measure(by, sizes)
    report = ImageReport(
        daedal=__version__,
        model=_model_facts(generator),
        data=reference.facts(min(sizes.reference, len(reference.pictures))),
        extractor=None
        if by is None
        else ExtractorFacts(name=by.name, title=by.title, note=by.note, conditions=by.conditions),
        measurements=tuple(found),
        baselines=tuple(baselines),
        classes=work.class_rows,
        missing=tuple(missing),
        sampling=work.sampling,
        plan=plan_facts(folder),
        curve=parts.curve(folder) if folder is not None else None,
        seconds=round(time.monotonic() - started, 2),
        pictures=work.sheets,
    )
    tell(100, 100, "done")
    return kept(report, folder if own else None)


def expected_seconds(model: ImageModel, dataset: ImageDataset, within: float = SECONDS) -> float:
    """About how long `evaluate_images(..., seconds=within)` will take for a model that draws and scores as fast as this
    one. Two batches are timed."""
    pixels = math.prod(dataset.codec.shape)
    labelled = default_extractor(dataset) == "classifier"
    speeds = parts.model_speeds(model, _TRIED, of_scenes(dataset))
    return Sizes.within(within, speeds, labelled, pixels).seconds(speeds, labelled, pixels)


class _Work:
    """One evaluation: what is drawn once and used by several parts."""

    def __init__(self, generator: Generator, reference: Reference, seed: int, tell: Progress) -> None:
        self.generator, self.reference, self.seed, self.tell = generator, reference, seed, tell
        self.sheets: dict[str, bytes] = {}
        self.sampling: dict[str, Any] = {}
        self.class_rows: tuple[Any, ...] = ()
        self._can = generator.capabilities
        self.speeds = parts.model_speeds(generator.model, _TRIED, reference.scenes)

    def extractor(self, name: str | None, resize: str | None, seconds: float) -> Extractor | None:
        """What the samples are seen by; None where the model draws none."""
        if "sample" not in self._can:
            return None
        dataset, held_out = self.reference.train_data, self.reference.pictures
        name = name or default_extractor(dataset)
        trains = name == "classifier" and dataset is not None
        views = Sizes.within(seconds, self.speeds, trains, math.prod(self.generator.codec.shape)).views
        self.tell(5, 100, "making the extractor")
        by = open_extractor(name, Request(
            dataset=dataset, resize=resize, views=views, device=self.generator.device,
            progress=lambda share: self.tell(5 + 25 * share, 100, "training the classifier"),
        ))  # fmt: skip
        self.speeds = self.speeds.but(features=parts.extractor_speed(by, np.asarray(held_out[:_TRIED])))
        return by

    def measure(self, by: Extractor | None, sizes: Sizes) -> tuple[list[Measurement], list[ImageBaseline], list[str]]:
        """Everything that the model can be measured by; what was left out, and why."""
        found: list[Measurement] = []
        baselines: list[ImageBaseline] = []
        missing: list[str] = []
        held_out = self.reference
        kept = spread(len(held_out.pictures), sizes.reference)
        pictures, labels = np.asarray(held_out.pictures[kept]), held_out.labels[kept]
        if by is not None:
            found, baselines, missing = self._drawn(by, sizes, pictures, labels)
        if "score" in self._can and sizes.scored:
            self.tell(88, 100, "scoring held-out pictures")
            found += _unless_missing(
                missing, lambda: parts.likelihood(self.generator, pictures, labels, sizes.scored, held_out, self.seed)
            )
        if isinstance(self.generator.model, TokenModel):
            self.tell(90, 100, "scoring tokens of held-out pictures")
            some = spread(len(pictures), sizes.samples)
            said = [held_out.captions[place] for place in kept[some]] if held_out.captions else []
            found += _unless_missing(
                missing, lambda: parts.written(self.generator, pictures[some], labels[some], said, held_out)
            )
        if "reconstruct" in self._can and sizes.reconstructed:
            self.tell(94, 100, "reconstructing")
            some = spread(len(pictures), sizes.reconstructed)
            more, back = parts.reconstruct(self.generator, pictures[some], labels[some], held_out, self.seed)
            found += more
            self.sheets[RECONSTRUCTIONS] = pairs_png(pictures[some][:16], back[:16])
        if "match" in self._can:
            self.tell(50, 100, "matching pictures and texts")
            told = [held_out.captions[place] for place in kept]
            more, chance = parts.matched(self.generator, pictures, told, held_out)
            found, baselines = found + more, [*baselines, chance]
        if not found and missing:
            raise DaedalError(missing[0], "Evaluate another model")
        if not found:
            raise DaedalError("This model can neither draw, nor score, nor reconstruct pictures", "Evaluate another")
        return found, baselines, missing

    def _drawn(
        self, by: Extractor, sizes: Sizes, pictures: np.ndarray, labels: np.ndarray
    ) -> tuple[list[Measurement], list[ImageBaseline], list[str]]:
        """What samples tell, beside the baselines."""
        held_out, model_hash = self.reference, self.generator.fingerprint
        told = held_out.told(sizes.samples) if "prompt" in self._can else ()
        drawn = parts.draw(
            self.generator, sizes.samples, self.seed,
            lambda done: self.tell(30 + 30 * done / sizes.samples, 100, "drawing samples"),
            told,
        )  # fmt: skip
        self.sampling = {"pictures": sizes.samples, "seed": self.seed, **({"captions": held_out.name} if told else {})}
        self.sheets[SAMPLES] = grid_png(drawn.pictures[:_SHOWN])
        self.tell(60, 100, "reading features")
        reference_features, sample_features = extract(by, pictures), extract(by, drawn.pictures)

        def compare(features: Features, of: str) -> tuple[list[Measurement], list[str]]:
            return all_metrics(Compared(
                by, features, reference_features, held_out.name, held_out.fingerprint, of, seed=self.seed
            ))  # fmt: skip

        found, missing = compare(sample_features, model_hash)
        self.tell(75, 100, "baselines")
        baselines = self._baselines(by, sizes.samples, compare)
        if isinstance(by, ClassifierExtractor):
            more, self.class_rows = parts.classes(
                by, sample_features, drawn, reference_features, labels, held_out.name, model_hash, held_out.fingerprint
            )
            found += more
        if held_out.scenes:
            found += parts.scenes(drawn.pictures, model_hash, held_out.fingerprint, self.seed)
            if "prompt" in self._can and sizes.prompts:
                self.tell(78, 100, "composing")
                found += parts.composed(self.generator, held_out.learned_scenes(), sizes.prompts, self.seed)
        return found + self._copies(drawn, pictures, model_hash, missing, sizes), baselines, missing

    def _baselines(
        self, by: Extractor, count: int, compare: Callable[[Features, str], tuple[list[Measurement], list[str]]]
    ) -> list[ImageBaseline]:
        train = self.reference.train_pictures
        if train is None:
            return []
        real = np.asarray(train[spread(len(train), count)])
        noise = gaussian_pictures(train, count, self.seed)
        named = (
            (
                "training pictures",
                "as many pictures of the training split: a model that is as good is perfect, or copies",
                real,
            ),
            (
                "Gaussian over pixels",
                "draws from a Gaussian with the pixels' own mean and covariance: no model at all",
                noise,
            ),
        )
        return [
            ImageBaseline(name=name, why=why, measurements=tuple(compare(extract(by, pictures), "")[0]))
            for name, why, pictures in named
        ]

    def _copies(
        self, drawn: Drawn, held_out: np.ndarray, model_hash: str, missing: list[str], sizes: Sizes
    ) -> list[Measurement]:
        train = self.reference.train_pictures
        if train is None:
            missing.append("What was copied: the training pictures are not at hand")
            return []
        self.tell(82, 100, "looking for copies")
        learned = np.asarray(train[spread(len(train), sizes.train)])
        found, near = parts.copies(drawn.pictures, held_out, learned, self.reference, model_hash, missing)
        closest = np.argsort(near.distances, kind="stable")[:16]
        self.sheets[NEIGHBOURS] = pairs_png(drawn.pictures[closest], learned[near.indices[closest]])
        return found


def _unless_missing(missing: list[str], measure: Callable[[], list[Measurement]]) -> list[Measurement]:
    """What is measured; where that cannot be, nothing, and why among what is missing."""
    try:
        return measure()
    except DaedalError as error:
        missing.append(error.what)
        return []


def _model_facts(generator: Generator) -> ImageModelFacts:
    model = generator.model
    channels, height, width = generator.codec.shape
    return ImageModelFacts(
        name=subject_name(generator.name), family=model.family,
        parameters=model.parameter_count, channels=channels, height=height, width=width, classes=generator.classes,
        capabilities=tuple(sorted(generator.capabilities)), hash=generator.fingerprint,
    )  # fmt: skip
