"""Measure a model: open it with its data, run the evaluators that apply within the time, and report. It is what training ends
with, and what `daedal evaluate` does."""

import io
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from daedal import __version__
from daedal.errors import DaedalError
from daedal.evaluation.accounts import accounts_of
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.card import model_card
from daedal.evaluation.evaluator import Evaluator, Findings, NotMeasurable, Subject, part_of
from daedal.evaluation.page import report_page
from daedal.evaluation.report import CARD, JSON, PAGE, Curve, Report
from daedal.evaluation.source import Source
from daedal.families import part
from daedal.files import atomic_path, write_json, write_text
from daedal.inference.generator import Generator
from daedal.models.model import Model
from daedal.training.learned_data import Data
from daedal.training.plan import Plan
from daedal.training.private import Spent
from daedal.training.run import RunFolder


class Measured(NamedTuple):
    """A subject in the table: what a model can that is one, and where the subject's class is."""

    capabilities: frozenset[str]
    home: str


def _able(home: str, *capabilities: str) -> Measured:
    return Measured(frozenset(capabilities), f"daedal.evaluation.kinds.{home}")


SUBJECTS = {
    "labelled": _able("examples:LabelledSubject", "classify"),
    "tagged": _able("examples:TaggedSubject", "tag"),
    "sounds": _able("examples:SoundSubject", "transcribe"),
    "speech": _able("speech:SpeechSubject", "speak"),
    "vocoders": _able("speech:VocoderSubject", "vocode"),
    "questions": _able("examples:QuestionSubject", "answer"),
    "translations": _able("examples:PairSubject", "translate"),
    "masked": _able("masked:MaskedSubject", "fill"),
    "pairs": _able("examples:PairSubject", "embed"),
    "tunes": _able("tunes:TuneSubject", "compose"),
    "histories": _able("histories:HistorySubject", "recommend"),
    "clips": _able("clips:ClipSubject", "film"),
    "preferences": _able("examples:PreferenceSubject", "reward"),
    "text": _able("text:TextSubject", "complete"),
    "pictures": _able(
        "pictures:PictureSubject", "sample", "match", "reconstruct", "score", "edit", "interpolate", "caption"
    ),
}
"""What is measured, by what a model can do: a model is the first of these of which it can anything. Each is imported where it
is used."""
EVALUATORS = {
    "labelled": ("daedal.evaluation.examples.classification:Classification",),
    "tagged": ("daedal.evaluation.examples.tagging:Tagging",),
    "sounds": ("daedal.evaluation.examples.listening:Listening",),
    "speech": (
        "daedal.evaluation.sounds.speaking:Speaking",
        "daedal.evaluation.sounds.recognition:Recognition",
        "daedal.evaluation.sounds.resemblance:Resemblance",
        "daedal.evaluation.sounds.copying:SoundCopies",
    ),
    "vocoders": ("daedal.evaluation.sounds.vocoding:Vocoding",),
    "questions": ("daedal.evaluation.examples.answering:Answering",),
    "translations": ("daedal.evaluation.examples.translating:Translating",),
    "preferences": ("daedal.evaluation.examples.preferences:Preferring",),
    "masked": ("daedal.evaluation.masking:Masking",),
    "pairs": ("daedal.evaluation.examples.embedding:Embedding",),
    "tunes": (
        "daedal.evaluation.tunes.prediction:TunePrediction",
        "daedal.evaluation.tunes.composing:Composing",
    ),
    "histories": ("daedal.evaluation.examples.recommending:Recommending",),
    "clips": (
        "daedal.evaluation.clips.filming:Filming",
        "daedal.evaluation.clips.motions:Motions",
        "daedal.evaluation.clips.distances:ClipDistances",
        "daedal.evaluation.clips.copies:ClipCopies",
        "daedal.evaluation.clips.prediction:ClipPrediction",
        "daedal.evaluation.clips.steady:Steadiness",
    ),
    "text": (
        "daedal.evaluation.prediction:Prediction",
        "daedal.evaluation.infilling:FillingIn",
        "daedal.evaluation.writing:Writing",
    ),
    "pictures": (
        "daedal.evaluation.images.distances:Distances",
        "daedal.evaluation.worlds.scene_scores:SceneScores",
        "daedal.evaluation.worlds.composition:Composing",
        "daedal.evaluation.images.copies:Copies",
        "daedal.evaluation.images.reconstruction:Reconstruction",
        "daedal.evaluation.images.likelihood:Likelihood",
        "daedal.evaluation.images.likelihood:TokenLikelihood",
        "daedal.evaluation.images.retrieval:Matching",
    ),
}
"""Those of a subject that apply to the model and its data are run in this order, and the first must succeed. What stands later
has first claim on the time, and the first, which draws, has what is left."""


_MOST = 0.5  # of the budget of a run
_OPENING = 0.25  # of the progress bar
_CURVE_POINTS = 400


def evaluate(
    run: str | Path | Generator,
    data: str | Path | Data | None = None,
    *,
    progress: Callable[[float, float | None, str], None] | None = None,
    **options: Any,
) -> Report:
    """Measure a model on held-out examples of its own data, or on other data, and write the report into its run folder.

    The report is written where a run is measured on the data of its plan: numbers of other data are given, not kept.

    Args:
        run: a run folder, the id of a model on the Hugging Face Hub, or a loaded generator.
        data: a data folder, or any files or folder of text or of pictures; a run's own data unless given.
        progress: told how much of the whole is done, of how much, and what is being done.
        options: the fields of `TextOptions` or `PictureOptions`.

    Raises:
        DaedalError: there is no such run, data or option, or it cannot be measured.
    """
    started = time.monotonic()

    def tell(share: float, doing: str) -> None:
        if progress is not None:
            progress(100 * share, 100, doing)

    tell(0, "loading")
    generator = run if isinstance(run, Generator) else Generator.open(run)
    folder = run_folder(run)
    kind = subject_class(generator.model)
    source = Source.open(data, folder)
    subject = kind.open(generator, source, kind.options.parse(options, "evaluate"), part_of(tell, 0, _OPENING))
    chosen, missing = applicable(subject)
    if not chosen:
        why = next(iter(missing), "This model can nothing that is measured")
        raise DaedalError(why, "Evaluate another model, or on other data")
    findings = Findings(missing=missing)
    left, done = subject.seconds_left(time.monotonic() - started), _OPENING
    # Where time does not decide what is measured, nobody need ask for it: some find it by trying
    times = [within for within, _ in allotted(subject, chosen, left)] if math.isfinite(left) else [left] * len(chosen)
    for evaluator, within in zip(chosen, times, strict=True):
        after = done + (1 - _OPENING) * evaluator.weight / sum(each.weight for each in chosen)
        try:
            findings += evaluator.measure(subject, within, part_of(tell, done, after))
        except DaedalError as error:
            if evaluator is chosen[0]:
                raise
            findings += Findings(missing=(error.what,))
        done = after
    sheets = {name: shown if isinstance(shown, bytes) else as_png(shown) for name, shown in findings.pictures.items()}
    blocks = tuple(block for block in findings.blocks if not isinstance(block, Table) or block.shown)
    private = None if folder is None else Spent.read(folder.training)
    if private is not None:
        blocks = (*blocks, Note(brief=f"trained privately: {private.brief}"))
    report = Report(
        daedal=__version__, model=subject.model_facts, data=subject.data_facts, presentation=subject.presentation,
        measurements=findings.measurements, baselines=findings.baselines, blocks=blocks,
        missing=findings.missing, sampling=dict(findings.sampling), plan=plan_facts(folder),
        curve=_curve(folder), seconds=round(time.monotonic() - started, 2), files={**sheets, **findings.files},
    )  # fmt: skip
    tell(1, "done")
    return _kept(report, folder if source.own else None)


def subject_of(model: Model) -> str:
    """Which of the subjects a model is.

    Raises:
        NotMeasurable: it can nothing that is measured.
    """
    for name, measured in SUBJECTS.items():
        if not measured.capabilities.isdisjoint(model.capabilities):
            return name
    raise NotMeasurable(f"Nothing measures a {model.family} yet", "Look at its loss on the validation split")


def subject_class(model: Model) -> type[Subject]:
    """The class of that subject."""
    found: type[Subject] = part(SUBJECTS[subject_of(model)].home)
    return found


def applicable(subject: Subject) -> tuple[list[Evaluator[Any]], tuple[str, ...]]:
    """The evaluators for a model and its data, and what is left out for what the data lack."""
    places = EVALUATORS[subject_of(subject.model)]
    able: list[Evaluator[Any]] = [each for each in (part(place)() for place in places) if each.needs <= subject.can]
    chosen = [each for each in able if each.columns <= subject.has]
    return chosen, tuple(each.lacking for each in able if each not in chosen and each.lacking)


def allotted(subject: Subject, chosen: list[Evaluator[Any]], left: float) -> list[tuple[float, float]]:
    """For each the seconds that it may choose its size by, and those that it will take."""
    found = []
    for evaluator in reversed(chosen):
        taken = evaluator.seconds(subject, left)
        found.append((left, taken))
        left -= taken
    return found[::-1]


# -- at the end of training --------------------------------------------------------------------------------------------


def seconds_for(plan: Plan) -> float:
    """What measuring may take where time decides how much is measured: a tenth of the run, within what is worth while."""
    expected = plan.steps * plan.predicted.seconds_per_step if plan.predicted else 300.0
    return min(60.0, max(5.0, 0.1 * (plan.budget or expected)))


def _whole(task: Any) -> Model:
    """The model that is measured: one that learns codes, together with what makes them."""
    whole: Model = getattr(task, "whole", task.model)
    return whole


def options_for(task: Any, plan: Plan) -> dict[str, Any]:
    """What is asked of the evaluation of a run when it ends."""
    timed = "seconds" in subject_class(_whole(task)).options.model_fields
    return {"seconds": seconds_for(plan)} if timed else {}


def seconds_to_leave(task: Any, plan: Plan) -> float:
    """Seconds of a run's budget to leave for its measurement; 0 where there is no budget.

    Raises:
        NotMeasurable: nothing is held out to measure on, or it would take most of the budget.
    """
    kind = subject_class(_whole(task))
    kind.require_held_out(task.dataset)
    if plan.budget is None:
        return 0.0
    seconds = expected_seconds(kind.of_task(task, seconds_for(plan)))
    if options_for(task, plan) and seconds > _MOST * plan.budget:
        raise NotMeasurable(
            f"That would take {seconds:.0f} s of a budget of {plan.budget:g} s",
            "Measure it afterwards with daedal evaluate",
        )
    return seconds


def expected_seconds(subject: Subject) -> float:
    """About how long it takes to measure a model that is as fast as this one."""
    chosen, _ = applicable(subject)
    taken = allotted(subject, chosen, subject.seconds_left(subject.opening_seconds))
    return subject.fixed + subject.opening_seconds + sum(seconds for _, seconds in taken)


# -- parts of a report -------------------------------------------------------------------------------------------------


def write(report: Report, folder: Path) -> Report:
    """Write the record, the model card, the page, and its pictures and sounds; gives the report that knows where they are."""
    for name, data in report.files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(data)
    write_json(folder / JSON, report.model_dump(mode="json"))
    write_text(folder / CARD, model_card(report, accounts_of(folder, report)))
    write_text(folder / PAGE, report_page(report))
    names = (PAGE, CARD, JSON, *report.files)
    return report.model_copy(update={"written": tuple(str(folder / name) for name in names)})


def as_png(sheet: Image.Image) -> bytes:
    """A sheet as a report has it."""
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _kept(report: Report, folder: RunFolder | None) -> Report:
    """A report that was written into the folder of its run; where that cannot be, it says why, and nothing is lost."""
    if folder is None:
        return report
    if (trainer := folder.trainer) is not None:
        why = f"{folder.path} is being trained by {trainer}: the report is not written there"
        return report.model_copy(update={"unwritten": why})
    try:
        return write(report, folder.path)
    except DaedalError as error:
        return report.model_copy(update={"unwritten": f"The report could not be written: {error}"})


def run_folder(run: str | Path | Generator) -> RunFolder | None:
    """The folder of the run that is named by its path, where a training run says so."""
    named = not isinstance(run, Generator) and (Path(run) / "training" / "plan.json").is_file()
    return RunFolder(Path(run)) if named else None


def plan_facts(folder: RunFolder | None) -> dict[str, Any] | None:
    """The plan of a run, with the steps that its budget allowed in the end, in which a folder goes by its name."""
    if folder is None:
        return None
    facts = folder.plan.model_dump(mode="json")
    places = {
        name: Path(facts[name]).name for name in ("data", "init", "codec") if Path(facts[name] or "").is_absolute()
    }
    steps = [{"steps": record["steps"]} for record in folder.records("horizon.jsonl")[-1:]]
    return facts | places | (steps[0] if steps else {})


def _curve(folder: RunFolder | None) -> Curve | None:
    """Bits per byte, or the loss, as they were logged; of several players' the first."""
    records = folder.records("metrics.jsonl") if folder is not None else []
    names = {name for record in records for name in record}
    wanted = ("bits_per_byte", "lost_gain", "loss", *sorted(name for name in names if name.endswith("loss")))
    name = next((name for name in wanted if not names.isdisjoint((name, f"validation_{name}"))), "")
    train, validation = (_points(records, each) for each in (name, f"validation_{name}"))
    return Curve(name=name, train=train, validation=validation) if train or validation else None


def _points(records: Iterable[Mapping[str, Any]], name: str) -> tuple[tuple[int, float], ...]:
    """Steps and the finite values of `name`, averaged in groups where they are many."""
    found = [(int(r["step"]), float(r[name])) for r in records if isinstance(r.get(name), int | float)]
    found = [(step, value) for step, value in found if math.isfinite(value)]
    size = max(1, -(-len(found) // _CURVE_POINTS))
    groups = [found[start : start + size] for start in range(0, len(found), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)
