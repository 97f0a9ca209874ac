"""What a model did on tasks, as measurements and blocks: numbers beside baselines, what they cannot show, and some items."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from daedal import __version__
from daedal.data.contamination import contaminated
from daedal.evaluation.blocks import Block, Lines, Note, Table
from daedal.evaluation.intervals import LEVEL, normal
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline, DataFacts, ModelFacts, Presentation, Report
from daedal.evaluation.tasks.group import mean_of_group
from daedal.evaluation.tasks.items import ItemResults, Scored
from daedal.evaluation.tasks.paired import POWER, Difference, difference, holm, verdict
from daedal.evaluation.tasks.run import Job, TaskOptions
from daedal.evaluation.tasks.sensitivity import preferred_places, sensitivity
from daedal.evaluation.tasks.simple import simple_baselines
from daedal.printable import counted
from daedal.prompting.respondent import Respondent

_SHOWN = 8
_CHARACTERS = 400


class TaskReport:
    """What a model did on tasks, as measurements and blocks."""

    def __init__(
        self,
        respondent: Respondent,
        jobs: Sequence[Job],
        results: Sequence[ItemResults],
        options: TaskOptions,
        train: Callable[[], Iterable[str]] | None = None,
        variants: Sequence[tuple[Job, ItemResults]] = (),
    ) -> None:
        self.respondent, self.jobs, self.results, self.options, self.train = respondent, jobs, results, options, train
        self.variants = variants

    def report(
        self, says: str, parameters: int, against: Respondent | None, others: Sequence[ItemResults], started: float
    ) -> Report:
        tasks = list(dict.fromkeys(job.task.title for job in self.jobs))
        items = sum(len(job) for job in {job.task.name: job for job in self.jobs}.values())
        named = ", ".join(tasks[:6]) + (f" and {len(tasks) - 6} more" if len(tasks) > 6 else "")
        every = hashlib.sha256("".join(_hash(each.hashes) for each in self.results).encode()).hexdigest()
        measurements = [
            self._measurement(job, scored, self.respondent)
            for job, result in zip(self.jobs, self.results, strict=True)
            for scored in result.scores.values()
        ]
        headline = tuple(each.quantity.split("/")[0] for each in measurements[:3])
        return Report(
            daedal=__version__,
            model=ModelFacts(
                name=self.respondent.name, parameters=parameters, hash=self.respondent.identity, says=says or "a language model"
            ),
            data=DataFacts(
                name=named, hash=every, says=f"{named}: {items:,} items", notes=tuple(self._notes()),
            ),
            presentation=Presentation(
                what="A language model, asked", data="tasks", task="text-generation", tag="tasks", use="", limits="",
                headlines=headline,
            ),
            measurements=(*self._groups(), *measurements), baselines=tuple(self._baselines()),
            blocks=tuple(self._blocks(against, others)), seconds=round(time.monotonic() - started, 2),
            sampling={"seed": self.options.seed, "chat": self.options.chat, "limit": self.options.limit},
        )  # fmt: skip

    def _measurement(self, job: Job, scored: Scored, of: Respondent) -> Measurement:
        found = scored.number(self.options.seed)
        return Measurement(
            **self._of(job, scored),
            value=found.value,
            interval=found.interval,
            interval_method=found.how if found.interval else "",
            model_hash=of.identity,
        )

    def _of(self, job: Job, scored: Scored) -> dict[str, Any]:
        """What is the same of a number, whoever it is of."""
        place = self.jobs.index(job)
        return {
            "name": f"{job.task.title} {scored.name}"
            + (f", {counted(job.shots, 'shot')}" if self._shown_shots else ""),
            "unit": scored.metric.unit,
            "n": len(job),
            "pieces": "items",
            "definition": definition(job, scored, self.options),
            "data_hash": _hash(self.results[place].hashes),
            "seed": self.options.seed if job.shots else None,
            "better": scored.better,
        }

    @property
    def _shown_shots(self) -> bool:
        return any(job.shots for job in self.jobs)

    def _groups(self) -> list[Measurement]:
        """Means over the tasks of a group."""
        found = []
        members: dict[tuple[str, int], list[int]] = {}
        for place, job in enumerate(self.jobs):
            if job.task.group:
                members.setdefault((job.task.group, job.shots), []).append(place)
        for (group, shots), places in members.items():
            if len(places) < 2:
                continue
            names = [
                name for name in self.results[places[0]].scores if all(name in self.results[p].scores for p in places)
            ]
            for name in names:
                scores = [self.results[place].scores[name] for place in places]
                if not all(each.metric.mean for each in scores):
                    continue
                number = mean_of_group([each.values for each in scores])
                found.append(
                    Measurement(
                        name=f"{group} {name}, mean of {len(places)}"
                        + (f", {counted(shots, 'shot')}" if self._shown_shots else ""),
                        value=number.value, unit=scores[0].metric.unit, interval=number.interval, interval_method=number.how,
                        n=sum(len(each.values) for each in scores), pieces="items", better=scores[0].better,
                        definition=define(_slug(f"{group}-{name}-{shots}-shots"), 1, mean=f"{len(places)}-tasks",
                            chat="yes" if self.options.chat else "no"),
                        model_hash=self.respondent.identity,
                        data_hash=_hash([_hash(self.results[place].hashes) for place in places]),
                    )
                )  # fmt: skip
        return found

    def _baselines(self) -> list[Baseline]:
        """Simple answers to the same items, scored in the same way."""
        found: dict[str, tuple[str, list[Measurement]]] = {}
        for job, result in zip(self.jobs, self.results, strict=True):
            for baseline in simple_baselines(job, result, self.options.seed):
                measurements = found.setdefault(baseline.name, (baseline.why, []))[1]
                for name, number in baseline.numbers.items():
                    ends = {"interval": number.interval, "interval_method": number.how if number.interval else ""}
                    measurements.append(
                        Measurement(**self._of(job, result.scores[name]), value=number.value, **ends, model_hash="")
                    )
        return [Baseline(name=name, why=why, measurements=tuple(each)) for name, (why, each) in found.items()]

    def _notes(self) -> list[str]:
        """What was done with the prompts."""
        chat = (
            "as turns of the model's own chat template"
            if self.options.chat
            else "as plain text, without a chat template"
        )
        notes = [f"asked {chat}"]
        samplers = {job.task.definition.fewshot_config.sampler for job in self.jobs if job.shots}
        said = {
            "default": "drawn for each item as lm-eval draws them", "first_n": "the first of their split",
            "own": "those that each item brings",
            "balanced": "balanced by class, the same for all items but where one is an item or nearly one",
        }  # fmt: skip
        notes += [f"examples: {said[each]}, seed {self.options.seed}" for each in sorted(samplers)]
        for job, result in zip(self.jobs, self.results, strict=True):
            if result.truncated:
                notes.append(
                    f"{job.called}: {result.truncated:,} of {len(job) * job.task.definition.repeats:,} "
                    f"answers were cut at {job.task.definition.generation_kwargs.max_gen_toks} tokens"
                )
        return notes

    def _blocks(self, against: Respondent | None, others: Sequence[ItemResults]) -> list[Block]:
        paired = [] if against is None else self._paired(against, others)
        return [*paired, *self._sensitivity(), *self._contaminated(), *self._warnings(), *self._curves(), *self._said()]

    def _sensitivity(self) -> list[Block]:
        """How much the examples matter."""
        rows = []
        for job, own in zip(self.jobs, self.results, strict=True):
            whats = (("draw", "which examples"), ("order", "their order"), ("place", "the place of the right choice"))
            for variant, of in whats:
                others = [
                    result
                    for each, result in self.variants
                    if (each.task.name, each.shots, each.variant) == (job.task.name, job.shots, variant)
                ]
                for name, scored in own.scores.items() if others else ():
                    if scored.metric.mean:
                        found = sensitivity([scored.values, *(each.values(name) for each in others)])
                        rows.append(
                            (
                                self._of(job, scored)["name"], of, 1 + len(others), found.deviation, *found.interval,
                                found.beyond, found.p, found.least, found.most,
                            )
                        )  # fmt: skip
        says = (
            "Over draws of examples, or orders of the same ones, of the same items: the standard deviation of the number with "
            "its 95 % interval, what of it is not single items going this way or that, how often as much comes by chance, and "
            "the worst and the best."
        )
        head = ("", "of", "draws", "deviation", "from", "to", "beyond items", "p", "worst", "best")
        table = Table(title="How much the examples matter", says=says, head=head, rows=tuple(rows))
        return [table, *self._places()] if rows else []

    def _places(self) -> list[Block]:
        """Which places are chosen when every choice has stood in each."""
        notes: list[Block] = []
        for job, own in zip(self.jobs, self.results, strict=True):
            rotated = [
                (each, result)
                for each, result in self.variants
                if (each.task.name, each.shots, each.variant) == (job.task.name, job.shots, "place")
            ]
            if not rotated:
                continue
            said = [
                [list(item.choices).index(text) for item, text in zip(each.items, result.answers, strict=True)]
                for each, result in ((job, own), *rotated)
            ]
            found = preferred_places(np.array(said), len(said))
            shares = ", ".join(f"{share:.0%}" for share in found.chosen)
            notes.append(
                Note(
                    brief=f"{job.called}: with every choice once in each place, the places are chosen "
                    f"in {shares} of cases, and {found.steady:.0%} of items have the same choice wherever it stands"
                )
            )
        return notes

    def _paired(self, against: Respondent, others: Sequence[ItemResults]) -> list[Block]:
        """The model beside another, item by item."""
        found: list[tuple[str, Difference]] = []
        for job, own, other in zip(self.jobs, self.results, others, strict=True):
            for name, scored in own.scores.items():
                if scored.metric.mean:
                    sign = 1.0 if scored.better == "higher" else -1.0
                    both = sign * scored.values, sign * other.values(name)
                    found.append((self._of(job, scored)["name"], difference(name, *both, self.options.seed)))
        corrected = holm([each.p for _, each in found])
        rows = tuple(
            (
                name, float(each.value), *((float(end) for end in each.interval) if each.interval else ("", "")), float(p),
                float(each.detectable), verdict(each, p),
            )
            for (name, each), p in zip(found, corrected, strict=True)
        )  # fmt: skip
        says = (
            f"{self.respondent.name} minus {against.name} over the same items, more is better: the ends of the paired "
            "bootstrap's 95 % interval, p by McNemar's exact test (paired t where answers are not right or wrong) and Holm "
            "over all rows, and the smallest difference that so many items show with a power of 80 %."
        )
        head = ("", "difference", "from", "to", "p", "detectable", "verdict")
        noise = sum(row[-1] == "within noise" for row in rows)
        told = Note(brief=f"{noise} of {len(rows)} differences to {against.name} are within noise")
        return [Table(title=f"Beside {against.name}", says=says, head=head, rows=rows), told] if rows else []

    def _contaminated(self) -> list[Block]:
        """How many items stand in the training data, and the numbers without them."""
        if self.train is None:
            return [
                Note(brief="the training data are not known here, so whether items stand in them is not known either")
            ]
        every = [
            (job, result, place)
            for job, result in zip(self.jobs, self.results, strict=True)
            for place in range(len(job))
        ]
        tasks = {job.task.name: job for job, _, _ in every}
        texts = [text for job in tasks.values() for text in job.task.queries(len(job))]
        flags = contaminated(self.train(), texts)
        found, start = {}, 0
        for name, job in tasks.items():
            found[name] = flags[start : start + len(job)]
            start += len(job)
        if not flags.any():
            return [Note(brief=f"none of the {len(flags):,} items stands in the training data (13 words in a row)")]
        rows = []
        for job, result in zip(self.jobs, self.results, strict=True):
            clean = ~found[job.task.name]
            if clean.all() or not clean.any():
                continue
            for scored in result.scores.values():
                number = scored.metric.number(scored.statistics[clean], self.options.seed)
                ends = number.interval or ("", "")
                rows.append(
                    (self._of(job, scored)["name"], int((~clean).sum()), scored.number().value, number.value, *ends)
                )
        told = f"{int(flags.sum()):,} of {len(flags):,} items stand in the training data (13 words in a row)"
        head = ("", "items in it", "all items", "without them", "from", "to")
        return [
            Note(brief=told),
            Table(title="Without items that stand in the training data", head=head, rows=tuple(rows)),
        ]

    def _warnings(self) -> list[Block]:
        """What these items cannot show."""
        notes: list[Block] = []
        alike = []
        for job, result in zip(self.jobs, self.results, strict=True):
            chance = next(
                (each for each in simple_baselines(job, result, self.options.seed) if each.name == "chance"), None
            )
            for name, number in chance.numbers.items() if chance else ():
                ends = result.scores[name].number(self.options.seed).interval
                if ends is not None and ends[0] <= number.value <= ends[1]:
                    alike.append(self._of(job, result.scores[name])["name"])
        if alike:
            shown = "; ".join(alike[:4]) + (f"; and {len(alike) - 4} more" if len(alike) > 4 else "")
            notes.append(Note(brief=f"within noise of chance: {shown}"))
        fewest = min(self.jobs, key=len)
        if len(fewest) > 1:
            half = (normal((1 + LEVEL) / 2) + normal(POWER)) * (2 * 0.25 / len(fewest)) ** 0.5
            told = (
                f"{len(fewest):,} items ({fewest.task.title}) tell apart two models, each right on items of its own, whose "
                f"accuracies near one half differ by {half:.2g} or more; --against compares item by item, which needs less"
            )
            notes.append(Note(brief=told))
        return notes

    def _curves(self) -> list[Block]:
        """Values over shots, where there are several."""
        blocks: list[Block] = []
        for name in dict.fromkeys(job.task.name for job in self.jobs):
            places = [place for place, job in enumerate(self.jobs) if job.task.name == name]
            if len(places) < 2:
                continue
            lines = []
            for metric in self.results[places[0]].scores:
                numbers = [self.results[place].scores[metric].number(self.options.seed) for place in places]
                shots = [float(self.jobs[place].shots) for place in places]
                lines.append((metric, tuple(zip(shots, (each.value for each in numbers), strict=True))))
                ends = [each.interval for each in numbers if each.interval is not None]
                if len(ends) == len(numbers):
                    lines += [
                        (f"{metric}, {which}", tuple(zip(shots, (each[end] for each in ends), strict=True)))
                        for end, which in enumerate(("lower end", "upper end"))
                    ]
            title = f"{self.jobs[places[0]].task.title} by shots"
            blocks.append(
                Lines(title=title, says="With the ends of the 95 % intervals.", across="shots", lines=tuple(lines))
            )
        return blocks

    def _said(self) -> list[Block]:
        """The first items of each task, and what the model said."""
        rows = []
        for job, result in zip(self.jobs, self.results, strict=True):
            for place, said in enumerate(result.answers[: max(1, _SHOWN // len(self.jobs))]):
                item, prompt = job.items[place], job.prompts[place][0] if job.prompts[place] else ""
                asked = prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {m['content']}" for m in prompt)
                right = ", ".join(item.choices[each] for each in item.gold) or ", ".join(item.targets)
                rows.append((job.called, _cut(asked, end=True), _cut(said), _cut(right)))
        brief = "the page shows the first items and what was said of them"
        head = ("task", "asked", "said", "right")
        return (
            [Table(title="The first items", says="Not chosen.", head=head, rows=tuple(rows), brief=brief)]
            if rows
            else []
        )


def definition(job: Job, scored: Scored, options: TaskOptions) -> str:
    """What a number is, so that two of the same definition may be compared."""
    task = job.task.definition
    state = json.dumps(task.model_dump(mode="json", exclude={"dataset_kwargs"}), sort_keys=True, default=str)
    conditions: dict[str, object] = {"task": hashlib.sha256(state.encode()).hexdigest()[:12]}
    if task.output_type != "loglikelihood_rolling":
        conditions["prompt"] = "chat-template" if options.chat else "text"
    if job.shots:
        conditions |= {"examples": task.fewshot_config.sampler, "seed": options.seed}
    if options.limit is not None:
        conditions["items"] = f"first-{len(job)}"
    return define(_slug(f"{job.task.name}-{scored.name}-{job.shots}-shots"), 1, **conditions)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "task"


def _hash(hashes: Sequence[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _cut(text: str, end: bool = False) -> str:
    if len(text) <= _CHARACTERS:
        return text
    return f"…{text[-_CHARACTERS:]}" if end else f"{text[:_CHARACTERS]}…"
