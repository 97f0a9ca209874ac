"""What a model gives away of its training data, in one report: open the run with its data, run the measures of its kind, write.

- a language model: samples that copy, passages that come back, membership, planted secrets, duplicates against memorization
- a model of pictures, clips, speech or tunes: what it makes beside what it learned from
- of all: the licences of the data; of a language model also how it leans
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from daedal import __version__
from daedal.data.manifest import MANIFEST, values_of
from daedal.data.shards import Dataset
from daedal.duration import parse_duration
from daedal.errors import DaedalError
from daedal.evaluation.audit.artifacts import MEASURES, OPTIONS, audit_artifacts
from daedal.evaluation.audit.fitting import without_dropped
from daedal.evaluation.audit.sections import leanings, licences
from daedal.evaluation.blocks import Table
from daedal.evaluation.evaluate import as_png, plan_facts, run_folder, subject_class, subject_of
from daedal.evaluation.evaluator import Findings, NotMeasurable, Subject, Tell, part_of
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.report import Report
from daedal.evaluation.report_folder import keep, require_folder
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.training.run import RunFolder

NAME = "audit"
BUDGET = 60.0
"""Seconds that it takes unless told otherwise."""
_HEADLINES = (
    "extractable", "copies-of-more-than-50-tokens", "membership-auc-loss", "exposure-extrapolated", "authenticity",
    "data-copying-p", "longest-copy-from-training-tunes",
)  # fmt: skip
_OPENING, _LAST = 0.1, 0.95  # of the progress bar


def audit(
    run: str | Path | Generator,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    budget: str | float = BUDGET,
    seed: int = 0,
    progress: Callable[[float, float | None, str], None] | None = None,
) -> Report:
    """Measure what a model gives away of its training data.

    The report is written to `out`; into the folder of the run unless given, as `audit.json` and `audit.html`.

    Args:
        run: a run folder, the id of a model on the Hugging Face Hub, or a loaded generator.
        data: the data folder that it learned from; what its plan says unless given.
        budget: about how long it may take: seconds, or a text such as "2m".
        seed: of every choice.
        progress: told how much of the whole is done, of how much, and what is being done.

    Raises:
        DaedalError: there is no such run, its data are gone or others, or nothing audits a model of its kind.
    """
    started = time.monotonic()
    seconds = parse_duration(budget)
    if not 0 <= seed < 2**63:
        raise DaedalError(f"The seed is {seed}", "Give one of at least 0 and below 2**63")

    def tell(share: float, doing: str) -> None:
        if progress is not None:
            progress(100 * share, 100, doing)

    tell(0, "loading")
    folder = run_folder(run)
    place = Path(out) if out is not None else (folder.path if folder is not None else None)
    if out is not None:
        require_folder(Path(out), NAME)
    if not isinstance(run, Generator) and (Path(run) / MANIFEST).is_file():
        raise DaedalError(f"{run} holds data", f"Audit it by daedal audit data {run}, or name a run")
    generator = run if isinstance(run, Generator) else Generator.open(run)
    source = learned(data, folder)
    name = subject_of(generator.model)
    if name not in MEASURES and name != "text":
        raise NotMeasurable(
            f"Nothing audits a {generator.model.family} yet", "Audit a model of text, pictures, clips, speech or tunes"
        )
    subject = _opened(generator, source, name, seconds, seed, part_of(tell, 0, _OPENING))
    left_out = without_dropped(subject, source.learned, folder) if isinstance(subject, TextSubject) else ()
    within = max(1.0, seconds - (time.monotonic() - started))
    rest = part_of(tell, _OPENING, _LAST)
    if isinstance(subject, TextSubject):
        from daedal.evaluation.audit.text import audit_text

        assert isinstance(source.learned, Dataset)
        findings = audit_text(subject, source.learned, within, seed, rest)
        findings += leanings(generator, part_of(tell, _LAST, 1))
    else:
        findings = audit_artifacts(name, subject, within, rest)
    assert source.learned is not None
    findings += Findings(missing=left_out)
    findings += licences(Path(source.learned.folder))
    report = _report(subject, findings, folder, time.monotonic() - started)
    tell(1, "done")
    return _kept(report, place, folder)


def learned(data: str | Path | None, folder: RunFolder | None) -> Source:
    """The data that a model has learned from.

    Raises:
        DaedalError: none is named and no run says which; it is no data folder; or the run learned from another.
    """
    if data is None and folder is None:
        raise DaedalError(
            "This model has no training run that says what it learned from", "Name that data folder by --data"
        )
    if data is not None:
        values_of(Path(data))
    source = Source.open(data, folder)
    if folder is not None and not source.own:
        raise DaedalError(
            f"{data} is not what this run was trained on: what it has not learned it cannot give away",
            "Name the data folder that it was trained on",
        )
    return source


def _opened(generator: Generator, source: Source, name: str, budget: float, seed: int, tell: Tell) -> Subject:
    kind = subject_class(generator.model)
    wanted: dict[str, Any] = {"seed": seed, "seconds": budget, **OPTIONS.get(name, {})}
    options = {field: value for field, value in wanted.items() if field in kind.options.model_fields}
    subject = kind.open(generator, source, kind.options.parse(options, NAME), tell)
    if isinstance(subject, TextSubject) and subject.train is None:
        raise DaedalError("What this model learned from is no text", "Name the data folder that it learned from")
    return subject


def _report(subject: Subject, findings: Findings, folder: RunFolder | None, seconds: float) -> Report:
    facts = subject.data_facts
    says = f"{facts.trained} that it learned from, beside {facts.says}" if facts.trained else facts.says
    shown: Mapping[str, Any] = {
        name: each if isinstance(each, bytes) else as_png(each) for name, each in findings.pictures.items()
    }
    return Report(
        daedal=__version__, model=subject.model_facts, data=facts.model_copy(update={"says": says}),
        presentation=subject.presentation.but(headlines=_HEADLINES), measurements=findings.measurements,
        baselines=findings.baselines, missing=findings.missing, sampling=dict(findings.sampling), plan=plan_facts(folder),
        blocks=tuple(block for block in findings.blocks if not isinstance(block, Table) or block.shown),
        seconds=round(seconds, 2), files={**shown, **findings.files},
    )  # fmt: skip


def _kept(report: Report, place: Path | None, folder: RunFolder | None) -> Report:
    """A report that was written where it is to be; where that cannot be, it says why, and nothing is lost."""
    if place is None:
        return report
    if folder is not None and place == folder.path and (trainer := folder.trainer) is not None:
        return report.model_copy(
            update={"unwritten": f"{place} is being trained by {trainer}: nothing is written there"}
        )
    try:
        return keep(report, place, NAME)
    except DaedalError as error:
        return report.model_copy(update={"unwritten": f"The report could not be written: {error}"})
