"""How well a listener hears: classes and speakers told right, and word and character error rates of transcripts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from daedal.codecs.mel import MelCodec
from daedal.data.columns import Signal
from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.bootstrap import method
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.one_class import table_of_classes
from daedal.evaluation.examples.transcripts import error_rates
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.confusion import confusion, macro_f1, macro_f1_interval
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator
from daedal.inference.skills.listen import Transcript
from daedal.training.listening import plain

Array = np.ndarray
_SECONDS_PER_FEATURE = 2e-4  # of a recording, on one core of 2023
_MOST = 5000  # recordings from which centroids are made
_MISTAKES = 8


class Listening(ExampleEvaluator):
    """Classes, speakers and transcripts beside the true ones, and beside simple predictors'."""

    needs, columns = frozenset({"transcribe"}), frozenset({"sound"})
    passes = 2.0  # reading and resampling included

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        return list(generator.transcribe(examples["sound"]))

    def rest(self, subject: ExampleSubject) -> float:
        return 0.5 + _SECONDS_PER_FEATURE * (0 if subject.train is None else min(_MOST, len(subject.train)))

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, said = self.answers(subject, within, tell, "listening to held-out recordings")
        train = subject.learned((1 - self.share) * within, _SECONDS_PER_FEATURE, _MOST)
        found, config = Findings(), subject.model.config
        told = (
            Told("label", "class", config.labels, [each.label for each in said]),
            Told("speaker", "speaker", config.speakers, [each.speaker for each in said]),
        )
        for each in told:
            if len(each.names) > 1 and each.column in subject.has:
                found += _classes(each, examples, train, subject)
        if config.characters and "transcript" in subject.has:
            found += _transcripts(examples, said, train, subject)
        return found


class Told(NamedTuple):
    """What is told of recordings.

    Attributes:
        what: it is called.
        names: that the model knows.
        said: by it.
    """

    column: str
    what: str
    names: tuple[str, ...]
    said: Sequence[str]


def _classes(told: Told, examples: Examples, train: Examples | None, subject: ExampleSubject) -> Findings:
    known = [place for place, value in enumerate(examples[told.column]) if value is not None]
    true = [str(examples[told.column][place]) for place in known]
    names = (*told.names, *sorted(set(true) - set(told.names)))
    place = {name: at for at, name in enumerate(names)}
    truth = np.array([place[each] for each in true])
    said = np.array([place[told.said[at]] for at in known])
    prefix = "" if told.column == "label" else f"{told.what} "
    quantity = prefix.replace(" ", "-")

    def measured(said: Int[Array, " n"], model_hash: str, predictor: str) -> tuple[Measurement, ...]:
        matrix = confusion(truth, said, len(names))
        about: dict[str, Any] = {
            **subject.about, "model_hash": model_hash, "unit": "", "pieces": "sounds", "better": "higher",
        }  # fmt: skip
        return (
            Measurement(
                name=f"{prefix}accuracy", definition=define(f"{quantity}accuracy", 1, predictor=predictor),
                **share_of(int((said == truth).sum()), len(truth)), **about,
            ),
            Measurement(
                name=f"{prefix}macro-F1", value=float(macro_f1(matrix)), n=len(truth), seed=subject.asked.seed,
                interval=macro_f1_interval(matrix, subject.asked.seed), interval_method=method("sounds"),
                definition=define(f"{quantity}macro-f1", 1, predictor=predictor), **about,
            ),
        )  # fmt: skip

    learned = truth if train is None else np.array([place.get(str(each), -1) for each in train[told.column]])
    usual = int(np.bincount(learned[learned >= 0], minlength=len(names)).argmax())
    baselines = [
        Baseline(
            name="majority", why=f"says of every sound the {told.what} that is most frequent",
            measurements=measured(np.full(len(truth), usual), "", "majority"),
        )
    ]  # fmt: skip
    if train is not None:
        nearest = _nearest(train["sound"], learned, [examples["sound"][at] for at in known], subject.model.config.mel)
        why = f"says the {told.what} whose mean spectrum is nearest"
        of = f"nearest-centroid-of-mel,trained-on={len(train)}-sounds"
        baselines.append(Baseline(name="nearest centroid", why=why, measurements=measured(nearest, "", of)))
    blocks: list[Block] = [
        Ranking(quantity=f"{quantity}accuracy", of=f"{told.what.capitalize()}es told right, more is better")
        if told.column == "label"
        else Ranking(quantity=f"{quantity}accuracy", of="Speakers told right, more is better"),
        table_of_classes(confusion(truth, said, len(names)), names, "sounds", told.what),
    ]
    if told.column == "label" and "speaker" in subject.has:
        blocks.append(_by_speaker([examples["speaker"][at] for at in known], said == truth))
    return Findings(measured(said, subject.hash, "listener"), tuple(baselines), tuple(blocks))


def _by_speaker(speakers: Sequence[str | None], right: Array) -> Table:
    rows = []
    for name in sorted({each for each in speakers if each is not None}):
        mine = right[[each == name for each in speakers]]
        rows.append((name, len(mine), float(mine.mean())))
    rows.sort(key=lambda row: row[2])
    return Table(title="By speaker", says="The worst first.", head=("speaker", "sounds", "accuracy"), rows=tuple(rows))


def _nearest(
    train: Sequence[Signal], classes: Int[Array, " train"], held: Sequence[Signal], mel: MelCodec
) -> Int[Array, " held"]:
    """The class whose mean of mel spectra, each divided into three parts in time, is nearest."""
    known, asked = _spectra(train, mel), _spectra(held, mel)
    deviation = known.std(0) + 1e-6
    present = np.unique(classes[classes >= 0])
    centres = np.stack([known[classes == each].mean(0) for each in present]) / deviation
    apart = np.square(asked[:, None] / deviation - centres).sum(-1)
    nearest: Array = present[apart.argmin(1)]
    return nearest


def _spectra(sounds: Sequence[Signal], mel: MelCodec) -> Float[Array, "sounds features"]:
    made = []
    for sound in sounds:
        samples = torch.from_numpy(sound.values[:, 0].astype(np.float32) / 32768)
        frames = mel.encode(samples)
        parts = [part.mean(0) if len(part) else frames.mean(0) for part in torch.tensor_split(frames, 3)]
        made.append((torch.cat(parts) - frames.mean()).numpy())
    return np.stack(made)


def _transcripts(
    examples: Examples, said: Sequence[Transcript], train: Examples | None, subject: ExampleSubject
) -> Findings:
    known = [place for place, value in enumerate(examples["transcript"]) if value is not None]
    true = [plain(examples["transcript"][place]) for place in known]

    def measured(heard: Sequence[str], model_hash: str, predictor: str) -> tuple[Measurement, ...]:
        about: dict[str, Any] = {**subject.about, "model_hash": model_hash, "unit": "", "pieces": "sounds"}
        found = []
        for name, rate in error_rates(heard, true).items():
            found.append(
                Measurement(
                    name=f"{name} error rate", n=len(true), **rate, **about,
                    definition=define(f"{name}-error-rate", 1, predictor=predictor, normalised="lower-case"),
                )
            )  # fmt: skip
        right = sum(one == two for one, two in zip(heard, true, strict=True))
        found.append(
            Measurement(
                name="transcripts right", better="higher",
                definition=define("transcripts-right", 1, predictor=predictor, normalised="lower-case"),
                **share_of(right, len(true)), **about,
            )
        )  # fmt: skip
        return tuple(found)

    usual = Counter(plain(each) for each in (train or examples)["transcript"] if each is not None).most_common(1)[0][0]
    heard = [said[at].text for at in known]
    baseline = Baseline(
        name="usual transcript", why="says of every sound what is said most often",
        measurements=measured([usual] * len(true), "", "usual"),
    )  # fmt: skip
    wrong = [(one, two) for one, two in zip(true, heard, strict=True) if one != two]
    blocks: tuple[Block, ...] = (
        Ranking(quantity="word-error-rate", of="Words heard wrong for each that was said, less is better"),
        Table(
            title="What was heard wrong", says="The first of them.", head=("it was said", "the model heard"),
            rows=tuple(wrong[:_MISTAKES]),
        ),
    )  # fmt: skip
    return Findings(measured(heard, subject.hash, "listener"), (baseline,), blocks)
