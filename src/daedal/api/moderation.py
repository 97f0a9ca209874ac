"""Answering for what a model makes, as functions: moderation and the detector of generated text."""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.evaluation.detector.detector import Detector, DetectorFinding
    from daedal.evaluation.moderation.over_refusal import Judge
    from daedal.evaluation.report import Report
    from daedal.safety.moderation.verdict import Verdict


_HUMAN = 2000
"""Held-out documents that a detector is calibrated on, at most: with them p goes down to 0.0005."""


def moderate(
    texts: str | Sequence[str],
    *,
    classifier: str | Path | None = None,
    labels: Mapping[str, str] | None = None,
    rules: str | Path | None = None,
    threshold: float = 0.5,
) -> "list[Verdict]":
    """What moderation says of each text.

    Args:
        classifier: a run of the classifier family.
        labels: categories of its labels, where their names do not say them.
        rules: a file of them, or "builtin"; the built-in ones where there is no classifier either.
        threshold: probability from which on a text is of a category.

    Raises:
        DaedalError: the classifier cannot moderate, or the rules cannot be read.
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    return _judge(classifier, labels, rules, threshold).moderator.judge(given)


def measure_moderation(
    run: str | Path,
    *,
    classifier: str | Path | None = None,
    labels: Mapping[str, str] | None = None,
    rules: str | Path | None = None,
    threshold: float = 0.5,
    samples: int = 100,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[str, float, float | None], None] | None = None,
) -> "Report":
    """How many harmless prompts moderation refuses, and how many texts of a language model it flags; of a classifier, how it
    moderates itself. See `daedal.evaluation.moderation.over_refusal`.

    Args:
        out: a folder for the report.

    Raises:
        DaedalError: as `moderate`; or the run writes no text and is no classifier.
    """
    from daedal.api.models import load
    from daedal.evaluation.moderation.over_refusal import NAME, over_refusal
    from daedal.evaluation.report_folder import keep, require_folder

    if out is not None:
        require_folder(Path(out), NAME)
    generator = load(run)
    if "classify" in generator.skills:
        if classifier is not None:
            raise DaedalError(f"{run} is a classifier itself", "Leave out --classifier, or name a language model")
        report = over_refusal(_judge(run, labels, rules, threshold), progress=progress)
    elif "write" in generator.skills:
        judge = _judge(classifier, labels, rules, threshold)
        report = over_refusal(judge, generator, samples=samples, seed=seed, progress=progress)
    else:
        raise DaedalError(f"{run} writes no text, and classifies none", "Name a language model or a classifier")
    return report if out is None else keep(report, Path(out), NAME)


def _judge(
    classifier: str | Path | None, labels: Mapping[str, str] | None, rules: str | Path | None, threshold: float
) -> "Judge":
    from daedal.evaluation.moderation.over_refusal import Judge
    from daedal.safety.moderation.categories import ModerationCategories
    from daedal.safety.moderation.rules import BUILTIN, Rules
    from daedal.safety.moderation.verdict import Moderator

    if not 0 < threshold <= 1:
        raise DaedalError(f"The threshold is {threshold:g}", "Give a probability above 0, at most 1")
    read = None if rules is None and classifier is not None else Rules.read(BUILTIN if rules is None else rules)
    says = [] if read is None else [f"{read.count:,} {'built-in rules' if rules in (None, BUILTIN) else 'rules'}"]
    hashes = [] if read is None else [read.fingerprint]
    if classifier is None:
        if labels:
            raise DaedalError("Labels are mapped, and there is no classifier", "Name one with --classifier")
        return Judge(Moderator(read, threshold=threshold), " and ".join(says), hashes[0])
    from daedal.api.models import load

    generator = load(classifier)
    _ = generator.classify  # refused in one line, before anything is read
    problem = generator.model.config.problem
    categories = ModerationCategories.of(generator.labels, problem, labels or {})

    def probabilities(texts: Sequence[str]) -> list[list[float]]:
        found: Any = generator.classify(texts)
        return [[one.probabilities[name] for name in generator.labels] for one in found]

    says.append(f"the classifier {generator.name}")
    hashes.append(generator.fingerprint)
    whole = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    return Judge(Moderator(read, probabilities, categories, threshold), " and ".join(says), whole)


def calibrate_detector(
    run: str | Path,
    human: str | Path | Sequence[str],
    out: str | Path,
    *,
    performer: str | Path | None = None,
    progress: Callable[[str, float, float | None], None] | None = None,
) -> "Detector":
    """A detector of generated text, calibrated on human text and kept in a folder; see `daedal.evaluation.detector.detector`.

    Args:
        human: texts; or a data folder, whose held-out documents are taken.
        performer: another model of the same tokenizer.

    Raises:
        DaedalError: a model writes no text, there is too little human text, or the folder cannot be written.
    """
    from daedal.evaluation.detector.detector import FILE, Detector
    from daedal.files import require_place

    require_place(Path(out) / FILE)
    texts = _held_out(Path(human)) if isinstance(human, str | Path) else human
    detector = Detector.calibrate(run, texts, performer, progress)
    detector.save(out)
    return detector


def detect(
    detector: str | Path,
    texts: str | Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> "list[DetectorFinding]":
    """What a detector says of each text.

    Raises:
        DaedalError: there is no detector, or a model that it needs has changed.
    """
    from daedal.evaluation.detector.detector import Detector

    return Detector.load(detector).judge_all([texts] if isinstance(texts, str) else texts, progress)


def _held_out(folder: Path) -> list[str]:
    """The documents of a data folder of text that no model has learned; some of them, drawn by chance, where there are many."""
    from daedal.data.shards import Dataset

    data = Dataset.open(folder)
    splits = [data.split(name) for name in ("validation", "test") if name in data.manifest.splits]
    every = [(split, number) for split in splits for number in range(split.documents)]
    drawn = sorted(random.Random(0).sample(range(len(every)), min(len(every), _HUMAN)))
    return [every[place][0].text(every[place][1]) for place in drawn]
