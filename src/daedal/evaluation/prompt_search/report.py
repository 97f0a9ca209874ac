"""What a search came to, as a report: the gain on items that nothing had seen beside the one on those that chose the winner,
and all candidates, round by round."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from daedal import __version__
from daedal.evaluation.blocks import Block, Note, Table
from daedal.evaluation.bootstrap import method
from daedal.evaluation.intervals import LEVEL, normal
from daedal.evaluation.means import WILSON, mean_interval, student, wilson
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.prompt_search.candidate import Candidate
from daedal.evaluation.prompt_search.prompt_file import prompt_file
from daedal.evaluation.prompt_search.search import Found, Round, Values
from daedal.evaluation.report import Baseline, DataFacts, ModelFacts, Presentation, Report
from daedal.evaluation.report_folder import keep
from daedal.evaluation.tasks.paired import POWER
from daedal.files import write_text
from daedal.prompting.respondent import Respondent

NAME, PROMPT = "search", "prompt.md"


def report(found: Found, respondent: Respondent, says: str, parameters: int, seed: int) -> Report:
    """The report.

    Args:
        says: what the model is, in a line.
        parameters: of it; 0 where that is not known.
    """
    task, splits = found.task, found.splits
    notes = [f"{splits.left_out:,} near copies across them are left out"] if splits.left_out else []
    sides = (
        f"{task.title}: {len(splits.held_out):,} items held out, {len(splits.selection):,} to select on, "
        f"{len(splits.examples):,} for examples"
    )
    start = found.start.candidate
    return Report(
        daedal=__version__,
        model=ModelFacts(
            name=f"prompt search for {task.title} by {respondent.name}", parameters=parameters, hash=respondent.identity,
            says=f"{says}: {len(found.rounds[0].standings) + len(found.dropped):,} prompts in {found.calls[0]:,} calls, and "
            f"{found.calls[1]:,} to measure the end",
        ),
        data=DataFacts(name=task.title, hash=splits.hash, says=sides, notes=tuple(notes)),
        presentation=Presentation(
            what="A prompt search", data="prompts", task="text-generation", tag="prompt-search", use="", limits="",
            headlines=("prompt-gain", "optimistic-prompt-gain"),
        ),
        measurements=_measurements(found, respondent.identity, seed),
        baselines=(
            Baseline(
                name="the start", why=f"the prompt that one began with, {start.says}",
                measurements=(_score(found, found.held_start, respondent.identity, seed),),
            ),
        ),
        blocks=tuple(_blocks(found)),
        missing=(f"proposed instructions ({found.unproposed})",) if found.unproposed else (),
        seconds=round(found.seconds, 2),
    )  # fmt: skip


def verdict(found: Found) -> str:
    """What the gain is, in a sentence."""
    if not found.changed:
        return "no prompt was better than the start on the items to select on: keep it"
    value, interval = found.honest
    optimistic = found.optimistic[0]
    told = f"{found.metric} {value:+.3f} where nothing was seen, {optimistic:+.3f} where it was chosen"
    if interval is None or interval[0] <= 0 <= interval[1]:
        return f"the gain is within noise ({told}): with so many items {_detectable(found):.3f} could have been shown"
    if value * found.sign > 0:
        return f"the gain is more than noise ({told})"
    return f"the winner is worse than the start where nothing was seen ({told}): keep the start"


def _detectable(found: Found) -> float:
    """The smallest difference that so many items show in four cases of five."""
    differences = found.held_winner - found.held_start
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    return (normal((1 + LEVEL) / 2) + normal(POWER)) * spread / math.sqrt(len(differences))


def _measurements(found: Found, model_hash: str, seed: int) -> tuple[Measurement, ...]:
    better: Any = "higher" if found.sign > 0 else "lower"
    how = method("items, paired")
    (value, interval), (hoped, between) = found.honest, found.optimistic
    chosen_on = len(found.start.values)
    about = {
        "unit": "",
        "better": better,
        "model_hash": model_hash,
        "seed": seed,
        "interval_method": how,
        "pieces": "items",
    }
    return (
        Measurement(
            name="gain, held out", value=value, interval=interval, n=len(found.held_start), data_hash=found.splits.hash,
            definition=define("prompt-gain", 1, metric=found.metric, items="held-out"), **about,
        ),
        Measurement(
            name="gain, where it was chosen", value=hoped, interval=between, n=chosen_on,
            definition=define("optimistic-prompt-gain", 1, metric=found.metric, items="selection"), **about,
        ),
        _score(found, found.held_winner, model_hash, seed),
    )  # fmt: skip


def _score(found: Found, values: Values, model_hash: str, seed: int) -> Measurement:
    shares = bool(np.isin(values, (0.0, 1.0)).all())
    interval = wilson(float(values.sum()), len(values)) if shares else mean_interval(values)
    return Measurement(
        name=found.metric, value=float(values.mean()), unit="", interval=interval,
        interval_method=WILSON if shares else student("items"), n=len(values), pieces="items",
        definition=define(found.metric.replace("_", "-"), 1, task=found.task.name.replace("@", "-"), items="held-out"),
        model_hash=model_hash, data_hash=found.splits.hash, seed=seed, better="higher" if found.sign > 0 else "lower",
    )  # fmt: skip


def _blocks(found: Found) -> list[Block]:
    blocks: list[Block] = [
        Note(brief=verdict(found)),
        Note(brief=f"the winner: {found.winner.candidate.says}"),
        Note(brief=f"the start: {found.start.candidate.says}"),
    ]
    for number, each in enumerate(found.rounds, 1):
        blocks.append(_table(found, number, each))
    if found.dropped:
        failed = tuple((each.candidate.says, each.failed) for each in found.dropped)
        blocks.append(Table(title="Dropped", says="These could not be asked.", head=("prompt", "why"), rows=failed))
    if found.proposed:
        rows = tuple((each,) for each in found.proposed)
        blocks.append(
            Table(title="Proposed instructions", says="As a model gave them.", head=("instruction",), rows=rows)
        )
    return blocks


def _table(found: Found, number: int, each: Round) -> Table:
    last = number == len(found.rounds)
    means = ", ".join(f"{standing.mean * found.sign:.3f}" for standing in each.standings[:3])
    return Table(
        title=f"Round {number}", says=f"{found.metric} on {each.items:,} items to select on.",
        head=("prompt", "instruction", found.metric),
        rows=tuple(
            (
                standing.candidate.says + (" (start)" if standing.candidate == found.start.candidate else ""),
                standing.candidate.origin, standing.mean * found.sign,
            )
            for standing in each.standings
        ),
        brief="" if last else f"round {number}: {len(each.standings)} prompts on {each.items:,} items, the best {means}",
    )  # fmt: skip


def write(found: Found, told: Report, folder: Path, chat: bool) -> Report:
    """Write the record, the page and the winner as a prompt file; gives the report that knows where they are.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    record: dict[str, object] = {
        "winner": _plain(found, found.winner.candidate), "start": _plain(found, found.start.candidate),
    }  # fmt: skip
    kept = keep(told, folder, NAME, record)
    text = prompt_file(found.task, found.winner.candidate, found.splits, verdict(found), chat)
    if text is None:
        return kept
    write_text(folder / PROMPT, text)
    return kept.model_copy(update={"written": (str(folder / PROMPT), *kept.written)})


def _plain(found: Found, candidate: Candidate) -> dict[str, Any]:
    """A candidate as JSON, with its examples written out."""
    examples = [dict(found.splits.examples[place]) for place in candidate.examples]
    return {**candidate._asdict(), "examples": examples}
