"""What an alignment came to: the model beside the one that it began as, on held-out prompts, with the way that it went."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daedal.alignment.comparison import compare
from daedal.alignment.learner import AlignmentTask
from daedal.alignment.offline import PairTask
from daedal.alignment.pictures import PictureTask
from daedal.alignment.plans import AlignmentPlan, OnlinePlan
from daedal.alignment.rollout import generate
from daedal.data.prompts import questions
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Lines, Note, Table
from daedal.evaluation.evaluate import plan_facts, write
from daedal.evaluation.kinds.text import presentation
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Curve, Presentation, Report
from daedal.files import read_json
from daedal.models.huggingface import read_config
from daedal.training.learned_data import own_data
from daedal.training.metrics import Listener
from daedal.training.run import RunFolder

Progress = Callable[[float, float | None, str], None]
_SHARE = 0.1  # of a budget, for the answers of both models
_FEWEST, _MOST, _TRIED = 16, 200, 8
_ANSWER = 64
_CLEARLY = 2.0  # standard errors by which a gold reward fell


def measured(task: AlignmentTask, listener: Listener) -> tuple[float, Callable[[Path], str]]:
    """The seconds of a budget to leave, and what then measures the run; see `daedal.training.session.Measure`."""
    plan: AlignmentPlan = task.plan
    if isinstance(task, PictureTask):
        return 0.0, lambda run: f"Measure what it draws by daedal evaluate {run}. Aligned"
    most = longest_answer(plan)
    try:
        seconds = _seconds_an_answer(task, plan, most)
    except DaedalError as error:
        why = str(error)
        return 0.0, lambda run: f"Not measured: {why}\nAligned"
    fit = int(_SHARE * plan.budget / seconds / 2) if plan.budget else _MOST
    count = min(_MOST, max(_FEWEST, fit))

    def report(run: Path) -> str:
        listener.noted("measuring")
        try:
            found = measure(RunFolder(run), plan, plan.data, count)
        except DaedalError as error:
            return f"Not measured: {error}\nAligned"
        more = {"measurements": (*found.measurements, *_preferred(task, found))}
        return f"{write(found.model_copy(update=more), run).summary()}\nAligned and measured"

    return 2 * count * seconds + 2.0 if plan.budget else 0.0, report


def measure(folder: RunFolder, plan: AlignmentPlan, data: str | Path, count: int = _MOST, **how: Any) -> Report:
    """A run beside the model that it began as.

    Args:
        data: of which held-out prompts are answered.
        count: prompts, at most.

    Raises:
        DaedalError: there are no prompts that fit, or the reward fails.
    """
    judge, most = plan.reward if isinstance(plan, OnlinePlan) else None, longest_answer(plan)
    found = compare(folder.reference, folder.path, data, judge, n=count, answer=most, seed=plan.seed, **how)
    more = {
        "blocks": (*_way(folder), *found.blocks),
        "model": found.model.model_copy(
            update={"name": folder.path.resolve().name, "says": f"aligned by {plan.family}"}
        ),
        "presentation": _presented(folder, plan, found),
        "plan": plan_facts(folder),
        "curve": _curve(folder),
    }
    return found.model_copy(update=more)


def measured_again(run: str | Path, progress: Progress | None = None, **options: Any) -> Report:
    """The same of a run that is done, on its own data; the report is written into its folder.

    Raises:
        DaedalError: its data are gone or have changed, an option is of other evaluations, or as `measure`.
    """
    if options:
        raise DaedalError(
            f"--{next(iter(options))} says nothing of what was aligned, which is set beside what it began as",
            "Leave it out, or name other data by --data",
        )
    folder = RunFolder.open(run)
    plan = folder.plan
    assert isinstance(plan, AlignmentPlan)
    return write(measure(folder, plan, own_data(folder).folder, progress=progress), folder.path)


def longest_answer(plan: AlignmentPlan) -> int:
    """Tokens of an answer, at most."""
    return plan.answer if isinstance(plan, OnlinePlan) else min(_ANSWER, max(1, plan.context // 2))


def _presented(folder: RunFolder, plan: AlignmentPlan, found: Report) -> Presentation:
    """What the card says of the model: what it says of every GPT of conversations, with the numbers of the comparison first."""
    config: Any = read_config(read_json(folder.path / "config.json"), str(folder.path))
    own = presentation(config.architecture, found.model.parameters, chats=True)
    what = f"{own.what} aligned by {plan.family.upper()}"
    return own.model_copy(update={"what": what, "headlines": found.presentation.headlines})


def _seconds_an_answer(task: AlignmentTask, plan: AlignmentPlan, most: int) -> float:
    """What an answer takes, told from a few."""
    subject = task.subject
    asked = (subject.fitting(each.messages, plan.context - most) for each in questions(plan.data).drawn(plan.seed))
    some = [ids for ids, _ in zip((ids for ids in asked if ids is not None), range(_TRIED), strict=False)]
    if not some:
        raise DaedalError("no held-out prompt leaves room for an answer", "Give a longer context")
    start = time.monotonic()
    generate(subject.gpt, some, most=most, stop_ids=subject.stop_ids, seed=plan.seed)
    return (time.monotonic() - start) / len(some)


def _preferred(task: AlignmentTask, report: Any) -> tuple[Measurement, ...]:
    """Of held-out pairs, how often the chosen answer has become likelier than the rejected one, beside the reference."""
    if not isinstance(task, PairTask):
        return ()
    right, count = task.told_apart()
    about = {"model_hash": report.model.hash, "data_hash": report.data.hash}
    return (
        Measurement(
            name="preferences told apart", unit="", better="higher", pieces="pairs",
            definition=define("preference-accuracy", 1, by="implicit-reward"), **share_of(right, count), **about,
        ),
    )  # fmt: skip


def _way(folder: RunFolder) -> list[Block]:
    """Reward and gold over the root of the divergence, as validation found them; and whether the reward was exploited."""
    records = [each for each in folder.records("metrics.jsonl") if "validation_reward" in each]
    if not records:
        return []
    gold = "validation_gold" in records[-1]
    rows = tuple(
        (each["step"], math.sqrt(max(0.0, each["validation_kl"])), each["validation_reward"])
        + ((each["validation_gold"],) if gold else ())
        for each in records
    )
    names = ("gold", "reward") if gold else ("reward",)
    table = Table(
        title="The way", says="On held-out prompts; the divergence in nats an answer.",
        head=("step", "root of the divergence", "reward", *names[:-1]), rows=rows,
    )  # fmt: skip
    chart = Lines(
        title="Reward over how far it went",
        says="A reward that still rises where the gold one falls is exploited (Gao et al. 2023).",
        across="root of the divergence, nats an answer",
        lines=tuple((name, tuple((row[1], row[2 if name == "reward" else 3]) for row in rows)) for name in names),
    )
    return [chart, table, *_exploited(records)] if gold else [chart, table]


def _exploited(records: list[dict[str, Any]]) -> list[Block]:
    best, last = max(records, key=lambda each: each["validation_gold"]), records[-1]
    fell = best["validation_gold"] - last["validation_gold"]
    noise = math.hypot(best["validation_gold_error"], last["validation_gold_error"])
    if fell <= _CLEARLY * noise or last["validation_reward"] < best["validation_reward"]:
        return []
    return [
        Note(
            brief=f"the gold reward was best at step {best['step']} ({best['validation_gold']:.3f}) and is "
            f"{last['validation_gold']:.3f} now, while the reward rose: it is exploited. Fewer steps, or a larger --beta"
        )
    ]


def _curve(folder: RunFolder) -> Curve | None:
    """The loss over the steps, where it tells something: of preferences, and not of answers that are ever new."""
    records = folder.records("metrics.jsonl")
    train, validation = (
        tuple((each["step"], float(each[which])) for each in records if math.isfinite(each.get(which, math.nan)))
        for which in ("loss", "validation_loss")
    )
    return Curve(name="loss", train=train, validation=validation) if validation else None
