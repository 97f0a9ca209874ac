"""How near samples of a model are to held-out pictures: the evaluator that draws them, over `metrics`, and what a classifier
sees in them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid
from daedal.evaluation.blocks import Note, Sheet, Table
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.baselines import gaussian_pictures, spread
from daedal.evaluation.images.classifier import ClassifierExtractor
from daedal.evaluation.images.features import Features, extract
from daedal.evaluation.images.metrics import Compared, all_metrics
from daedal.evaluation.images.speeds import largest
from daedal.evaluation.kinds.pictures import REFERENCE, Drawn, PictureSubject
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

SAMPLES = "samples.png"
_BATCH = 64
_SHOWN = 64
_BASELINES = {
    "training pictures": "as many pictures of the training split: a model that is as good is perfect, or copies",
    "Gaussian over pixels": "draws from a Gaussian with the pixels' own mean and covariance: no model at all",
}


class Distances(Evaluator[PictureSubject]):
    """Fréchet and kernel distances, precision and recall, classes: of samples, of training pictures, of what is no model."""

    needs, columns, weight = frozenset({"sample"}), frozenset({"pictures"}), 50.0
    sizes, share = (100, 250, 500, 1000, 2000, 5000), 0.7

    def each(self, subject: PictureSubject) -> float:
        return 1 / subject.speeds.draws + 3 / subject.speeds.features + 2e-3

    def count(self, subject: PictureSubject, within: float) -> int:
        return subject.asked.samples or super().count(subject, within)

    def reference(self, subject: PictureSubject, within: float) -> int:
        """How many held-out pictures the samples are set beside."""
        return max(self.count(subject, within), largest(REFERENCE, 0.25 * within * subject.speeds.features))

    def seconds(self, subject: PictureSubject, within: float) -> float:
        return super().seconds(subject, within) + self.reference(subject, within) / subject.speeds.features

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        by, generator, reference, seed = subject.extractor, subject.generator, subject.reference, subject.asked.seed
        assert by is not None
        count, held = self.count(subject, within), subject.take(self.reference(subject, within))
        told = reference.told(count) if "prompt" in subject.can else ()
        drawn = subject.drawn = draw(
            generator, count, seed, lambda done: tell(0.6 * done / count, "drawing samples"), told
        )
        tell(0.6, "reading features")
        held_features, features = extract(by, held.pictures), extract(by, drawn.pictures)

        def compare(some: Features, of: str = "") -> Findings:
            return all_metrics(Compared(
                by, some, held_features, reference.name, reference.fingerprint, of, seed
            ))  # fmt: skip

        found = compare(features, subject.hash)
        tell(0.85, "baselines")
        baselines: tuple[Baseline, ...] = ()
        if (train := reference.train_pictures) is not None:
            others = (np.asarray(train[spread(len(train), count)]), gaussian_pictures(train, count, seed))
            baselines = tuple(
                Baseline(name=name, why=why, measurements=compare(extract(by, pictures)).measurements)
                for (name, why), pictures in zip(_BASELINES.items(), others, strict=True)
            )
        sampling = {"pictures": count, "seed": seed, **({"captions": reference.name} if told else {})}
        stated = ", ".join(f"{name} {value}" for name, value in sampling.items())
        sheet = Sheet(title="What it draws", says=f"The first ones drawn, not chosen: {stated}", file=SAMPLES)
        shown = grid([to_image(each) for each in drawn.pictures[:_SHOWN]])
        found += Findings((), baselines, (sheet, Note(brief=by.note)), (), sampling, {SAMPLES: shown})
        if isinstance(by, ClassifierExtractor):
            found += classes(subject, by, features, drawn, held_features, held.labels)
        return found


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
    subject: PictureSubject, by: ClassifierExtractor, samples: Features, drawn: Drawn, reference: Features,
    labels: Int[np.ndarray, " n"],
) -> Findings:  # fmt: skip
    """What the classifier sees: whether samples are of the class that was asked for, how evenly the classes come, and how
    often the classifier itself is right."""
    assert samples.logits is not None
    assert reference.logits is not None
    said, known = samples.logits.argmax(1).numpy(), reference.logits.argmax(1).numpy()
    count, name, unasked = len(by.names), subject.reference.name, not (drawn.labels >= 0).any()
    shares, wanted = (np.bincount(each, minlength=count) / len(each) for each in (said, known))
    found, sampled = list[Measurement](), {**by.conditions, "samples": len(said)}
    for title, quantity, right, asked, how in (
        (
            "classifier's own accuracy",
            "classifier-accuracy",
            known == labels,
            labels >= 0,
            {**by.conditions, "on": name},
        ),
        ("class as asked for", "class-accuracy", said == drawn.labels, drawn.labels >= 0, sampled),
    ):
        if asked.any():
            found.append(Measurement.parse({
                "name": title, "unit": "", "pieces": "pictures", "better": "higher", "definition": define(quantity, 1, **how),
                **share_of(int(right[asked].sum()), int(asked.sum())), **subject.about,
            }, title))  # fmt: skip
    about: dict[str, Any] = {"n": len(said), "pieces": "pictures", **subject.about}
    found.append(Measurement(
        name="imbalance of classes", value=0.5 * float(np.abs(shares - wanted).sum()), unit="",
        definition=define("class-balance", 1, **sampled, **{name: len(known)}), **about,
    ))  # fmt: skip
    found.append(Measurement(
        name="classes drawn", value=int((shares > 0).sum()), unit=f"of {int((wanted > 0).sum())}", better="higher",
        definition=define("class-coverage", 1, **sampled), **about,
    ))  # fmt: skip
    rows = tuple(
        (
            by.names[each], float(wanted[each]), float(shares[each]),
            *(() if unasked else (int(((said == each) & (drawn.labels == each)).sum()), int((drawn.labels == each).sum()))),
        )
        for each in range(count)
    )  # fmt: skip
    head = ("class", f"share of {name}", "share of samples", *(() if unasked else ("right", "asked for")))
    return Findings(
        tuple(found), blocks=(Table(title="Classes", says="As the classifier sees them.", head=head, rows=rows),)
    )
