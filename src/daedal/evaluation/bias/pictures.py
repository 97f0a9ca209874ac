"""Whether a model of pictures has the variety of its data: what it draws of itself, and what it draws of words that leave it
free.

Scenes have an exact judge, so nothing here rests on a network's opinion: without a prompt, the shapes, colours and numbers
of things beside those of the data; with `counterfactual`, "a circle", "a star" and so on, which say no colour: are the
colours and sizes those that the data's circles and stars have, or fewer? Labelled pictures are told by a small classifier
that learned the data's own labels (`images/classifier.py`), which errs, as its accuracy in `daedal evaluate` says: then only
the balance of classes is measured.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from daedal.data.images.captions import Phrasing, describe
from daedal.data.worlds.scenes import COLOURS, MOST_THINGS, SIZES, Scene, Thing
from daedal.data.worlds.shapes import SHAPES, Shape
from daedal.errors import DaedalError
from daedal.evaluation.bias.balance import Counted, compared
from daedal.evaluation.bias.readers import Share
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.images.classifier import ClassifierExtractor
from daedal.evaluation.images.distances import draw
from daedal.evaluation.images.features import Request
from daedal.evaluation.images.reference import Reference, open_reference
from daedal.evaluation.report import Baseline
from daedal.evaluation.source import Source
from daedal.evaluation.worlds.judge import Reading, read
from daedal.inference.generator import Generator

SAMPLES = 200
"""Pictures without a prompt, and over all prompts together, unless more or fewer are asked for."""
_LEAST_SEEN = 5  # things of a prompt, or it is left out
_LEAST_ALONE = 100  # scenes of one thing, or the data's other things are counted too
_SCENES = 20_000  # of the data, at most
_CHANCE = Baseline(name="data", why="as many samples of the data itself", measurements=())


def pictures(
    generator: Generator, source: Source, tell: Share, *, counterfactual: bool, samples: int = SAMPLES, seed: int = 0
) -> Findings:
    """What a model draws, beside what it learned from.

    Args:
        counterfactual: whether to ask for what leaves the model free.
        samples: pictures to draw of each of the two.

    Raises:
        DaedalError: the model draws nothing or takes no words, or its data have neither scenes nor classes.
    """
    if "sample" not in generator.capabilities:
        raise generator.refusal("draw pictures")
    reference = open_reference(source, generator.codec)
    about = {"model_hash": generator.fingerprint, "data_hash": reference.fingerprint}
    if not reference.scenes:
        if counterfactual:
            raise DaedalError(
                "What pictures show can be judged of scenes alone, and the model's data are none",
                "Leave --counterfactual out, to measure the balance of classes",
            )
        return _classes(generator, reference, tell, samples, seed, about)
    learned = _spread(list(reference.learned_scenes()))
    if not counterfactual:
        return _free(generator, learned, tell, samples, seed, about)
    if "prompt" not in generator.capabilities:
        raise DaedalError(
            f"{generator.kind} takes no words", "Leave --counterfactual out, to measure what it draws of itself"
        )
    half = _halves(tell)
    found = _free(generator, learned, half[0], samples, seed, about)
    return found + _asked(generator, learned, half[1], samples, seed, about)


def _halves(tell: Share) -> tuple[Share, Share]:
    return lambda share: tell(share / 2), lambda share: tell(0.5 + share / 2)


def _spread(scenes: Sequence[Scene]) -> list[Scene]:
    step = max(1, len(scenes) // _SCENES)
    return list(scenes[::step])


def _free(
    generator: Generator, learned: Sequence[Scene], tell: Share, samples: int, seed: int, about: dict[str, str]
) -> Findings:
    """Without a prompt: shapes, colours and numbers of things."""
    drawn = draw(generator, samples, seed, lambda done: tell(done / samples))
    valid = [reading for reading in map(read, drawn.pictures) if reading.valid]
    if len(valid) < _LEAST_SEEN:
        return Findings(
            missing=(f"what is drawn without a prompt: the judge reads {len(valid)} of {samples} pictures",)
        )
    things = [thing for reading in valid for thing in reading.things]
    known = [thing for scene in learned for thing in scene.things]
    numbers = range(1, MOST_THINGS + 1)
    parts = (
        ("shapes", "drawn-shapes", _counted("", SHAPES, things, known, lambda thing: thing.shape)),
        ("colours", "drawn-colours", _counted("", COLOURS, things, known, lambda thing: thing.colour)),
        ("numbers of things", "drawn-numbers", _counted("", numbers, valid, learned, lambda each: len(each.things))),
    )
    found = _numbers([(what, slug, [counts]) for what, slug, counts in parts], seed, about)
    return found + Findings(
        blocks=(Note(brief=f"the judge reads {len(valid):,} of {samples:,} pictures without a prompt"),)
    )


def _asked(
    generator: Generator, learned: Sequence[Scene], tell: Share, samples: int, seed: int, about: dict[str, str]
) -> Findings:
    """Of "a circle" and the other shapes: colours and sizes."""
    alone = [scene.things[0] for scene in learned if len(scene.things) == 1]
    known = alone if len(alone) >= _LEAST_ALONE else [thing for scene in learned for thing in scene.things]
    shapes = [shape for shape in SHAPES if any(thing.shape == shape for thing in known)]
    each, read_of = max(1, samples // len(shapes)), 0
    colours, sizes, rows = list[Counted](), list[Counted](), list[tuple[str | int | float, ...]]()
    for place, shape in enumerate(shapes):
        prompt = _prompt(shape)
        drawn = generator.generate(each, prompt=prompt, seed=seed + 1 + place)
        seen = [_one(read(generator.codec.lay(picture.image)), shape) for picture in drawn]
        things, own = [thing for thing in seen if thing is not None], [thing for thing in known if thing.shape == shape]
        read_of += len(things)
        tell((place + 1) / len(shapes))
        if len(things) < _LEAST_SEEN:
            continue
        colours.append(_counted(prompt, COLOURS, things, own, lambda thing: thing.colour))
        sizes.append(_counted(prompt, SIZES, things, own, lambda thing: thing.size))
        top = int(colours[-1].drawn.argmax())
        shares = [float(counts[top] / counts.sum()) for counts in (colours[-1].drawn, colours[-1].learned)]
        rows.append((prompt, len(things), COLOURS[top], *shares, int((colours[-1].drawn > 0).sum())))
    if not colours:
        return Findings(missing=(f"pictures of prompts: the judge finds what was asked for in {read_of} of {samples}",))
    parts = [("colours of what is asked for", "prompted-colours", colours), ("its sizes", "prompted-sizes", sizes)]
    head = ("prompt", "read", "commonest colour", "share drawn", "share in data", "colours drawn")
    says = "What leaves the colour free, and the colour that is drawn most."
    table = Table(title="Prompts that say no colour", says=says, head=head, rows=tuple(rows))
    note = Note(
        brief=f"the judge finds what was asked for in {read_of:,} of {each * len(shapes):,} pictures of prompts"
    )
    return _numbers(parts, seed, about) + Findings(blocks=(table, note))


def _prompt(shape: Shape) -> str:
    """What asks for a shape, and says nothing else."""
    thing = Thing(shape=shape, colour="red", size="medium", x=0.5, y=0.5)
    return describe(Scene(things=(thing,)), Phrasing(colours=False))


def _one(reading: Reading, shape: Shape) -> Thing | None:
    """The one thing of a picture, where it is what was asked for."""
    fits = reading.valid and len(reading.things) == 1 and reading.things[0].shape == shape
    return reading.things[0] if fits else None


def _counted(
    asked: str, values: Iterable[Any], drawn: Sequence[Any], learned: Sequence[Any], of: Callable[[Any], Any]
) -> Counted:
    one, other, listed = Counter(map(of, drawn)), Counter(map(of, learned)), list(values)
    return Counted(asked, np.array([one[value] for value in listed]), np.array([other[value] for value in listed]))


def _numbers(parts: Sequence[tuple[str, str, list[Counted]]], seed: int, about: dict[str, str]) -> Findings:
    """The numbers of each part, and beside them those of chance."""
    found, chance = [], []
    for what, slug, counts in parts:
        own, null = compared(counts, what, slug, seed, **about)
        found += own
        chance += null
    return Findings(tuple(found), (_CHANCE.model_copy(update={"measurements": tuple(chance)}),))


def _classes(
    generator: Generator, reference: Reference, tell: Share, samples: int, seed: int, about: dict[str, str]
) -> Findings:
    """The balance of classes, by a classifier of the data's own labels."""
    data = reference.train_data
    if data is None or len(data.classes) < 2:
        raise DaedalError(
            "The model's data have neither scenes nor classes, so nothing tells what its pictures show",
            "Build the data with labels, or measure it with daedal evaluate",
        )
    first, second = _halves(tell)
    by = ClassifierExtractor.open(Request(dataset=data, device=generator.device, progress=first))
    drawn = draw(generator, samples, seed, lambda done: second(done / samples))
    logits = by(drawn.pictures).logits
    assert logits is not None
    said, labels = logits.argmax(1).cpu().numpy(), np.asarray(data.split("train").labels)
    count = len(by.names)
    counts = Counted("", np.bincount(said, minlength=count), np.bincount(labels[labels >= 0], minlength=count))
    rows = tuple(
        (name, float(one / counts.drawn.sum()), float(other / counts.learned.sum()))
        for name, one, other in zip(by.names, counts.drawn, counts.learned, strict=True)
    )
    table = Table(
        title="Classes",
        says="As a small classifier tells them.",
        head=("class", "share drawn", "share in data"),
        rows=rows,
    )
    return _numbers([("classes", f"drawn-classes-by-{by.fingerprint[:8]}", [counts])], seed, about) + Findings(
        blocks=(table,)
    )
