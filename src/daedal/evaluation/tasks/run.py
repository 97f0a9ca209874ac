"""Asking a model the items of tasks: everything is prepared, and so checked, before anything is asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.tasks.calibration import CONTENT_FREE, emptied
from daedal.evaluation.tasks.items import ItemResults, Scored
from daedal.evaluation.tasks.outcomes import Chosen, Outcome, Predicted, Written
from daedal.evaluation.tasks.rotation import rotated
from daedal.evaluation.tasks.shots import examples
from daedal.evaluation.tasks.task import Item, Row, Task, digest
from daedal.printable import counted
from daedal.prompting.memory import unwrapped
from daedal.prompting.respondent import Bounded, Likelihood, Prompt, Question, Respondent, Wording

_SHOWN = 200
Tell = Callable[[int], None]


class TaskOptions(Config):
    """How tasks are put to a model.

    Attributes:
        shots: numbers of examples before each item, each measured by itself; as the task says unless given.
        limit: items of each task, the first ones.
        seed: of the draw of examples.
        draws, orders: how often examples are drawn, and put into another order, to see how much that matters.
        rotate: ask with the choices in every place too, where they are shown, to see whether a place is preferred.
        chat: questions and answers as turns of a conversation, by the model's own chat template.
    """

    shots: tuple[int, ...] | None = None
    limit: int | None = Field(None, ge=1)
    seed: int = Field(1234, ge=0, lt=2**31)
    draws: int = Field(1, ge=1, le=100)
    orders: int = Field(1, ge=1, le=100)
    rotate: bool = False
    chat: bool = False


@dataclass(frozen=True)
class Job:
    """A task with so many shots, ready to be asked.

    Attributes:
        prompts: of each item, one for each of its questions.
        variant: "draw" or "order" where it is asked after other examples than the task's own, or after these in another order;
            "place" where its choices stand in other places.
        free: of each item, the same with nothing in its texts, for calibration.
    """

    task: Task
    shots: int
    items: list[Item]
    prompts: list[list[Prompt]]
    chat: bool
    variant: str = ""
    free: list[list[Prompt]] | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def called(self) -> str:
        """The task and its shots, as people read them."""
        return f"{self.task.title}, {counted(self.shots, 'shot')}"


def prepare(tasks: Sequence[Task], options: TaskOptions) -> list[Job]:
    """All that is to be asked.

    Raises:
        DaedalError: a task, an item or a number of shots makes no sense.
    """
    jobs = []
    for task in tasks:
        places = range(min(len(task.rows), options.limit or len(task.rows)))
        items = [task.item(place) for place in places]
        for count in options.shots or (task.definition.num_fewshot or 0,):
            for variant, chosen in _chosen(task, count, places, options):
                jobs.append(_job(task, count, items, chosen, options.chat, variant))
                if options.rotate and not variant:
                    jobs += _rotations(jobs[-1], chosen)
    return jobs


def _job(
    task: Task, shots: int, items: list[Item], chosen: Sequence[Sequence[Row]], chat: bool, variant: str = ""
) -> Job:
    """Items after their examples."""
    prompts = [task.prompt(item, rows, chat) for item, rows in zip(items, chosen, strict=True)]
    free = None
    if any(metric.name == "acc_calibrated" for metric, _, _ in task.metrics):
        free = [
            [task.prompt(_emptied(task, item, text), rows, chat)[0] for text in CONTENT_FREE]
            for item, rows in zip(items, chosen, strict=True)
        ]
    return Job(task, shots, items, prompts, chat, variant, free)


def _emptied(task: Task, item: Item, text: str) -> Item:
    """An item that asks nothing."""
    if item.several_questions:
        raise DaedalError(
            f"{task.name} asks a question for each choice, and there is nothing to calibrate",
            "Leave acc_calibrated out",
        )
    row = emptied(item.row, text)
    return item._replace(row=row, asked=(str(task.fields.text(row)),))


def _rotations(job: Job, chosen: Sequence[Sequence[Row]]) -> list[Job]:
    """A job with its choices moved by 1, 2, ... places; nothing where its rows do not say which they are, where they are not
    shown, or where items have different numbers of them."""
    counts = {len(item.choices) for item in job.items}
    if job.task.definition.output_type != "multiple_choice" or len(counts) != 1 or min(counts) < 2:
        return []
    found = []
    for by in range(1, counts.pop()):
        items = [other for item in job.items if (other := rotated(job.task, item, by)) is not None]
        if len(items) < len(job.items):
            return []
        found.append(_job(job.task, job.shots, items, chosen, job.chat, "place"))
    return found if found[0].prompts != job.prompts else []


def _chosen(
    task: Task, count: int, places: Sequence[int], options: TaskOptions
) -> Iterator[tuple[str, list[list[Row]]]]:
    """The examples of the items, and then other draws and orders of them."""
    own = list(examples(task, count, places, options.seed))
    yield "", own
    for number in range(1, options.draws if count else 1):
        yield "draw", list(examples(task, count, places, options.seed + number))
    for number in range(1, options.orders if count > 1 else 1):
        order = Random(options.seed + number).sample(range(count), count)
        yield "order", [[rows[place] for place in order] for rows in own]


def require_likelihoods(respondent: Respondent, jobs: Sequence[Job]) -> None:
    """See that a respondent can be asked all of it, before it is asked any.

    Raises:
        DaedalError: it cannot, with the task that it cannot be asked.
    """
    asked = unwrapped(respondent)
    if not isinstance(asked, Bounded):
        return
    for job in jobs:
        kind = job.task.definition.output_type
        if kind == "generate_until":
            continue
        try:
            whole = kind == "loglikelihood_rolling"
            asked.require_likelihoods(None if whole else [context for context, _ in _pairs(job)[0]])
        except DaedalError as error:
            raise DaedalError(f"{job.task.title}: {error.what}", error.fix) from None


def run(respondent: Respondent, job: Job, tell: Tell | None = None) -> ItemResults:
    """Ask the items of a job and score the answers.

    Args:
        tell: told how many items are done.

    Raises:
        DaedalError: as the respondent.
    """
    kind = job.task.definition.output_type
    if kind == "generate_until":
        return _written(respondent, job, tell)
    asked, owners = _pairs(job) if kind != "loglikelihood_rolling" else ([], list(range(len(job))))
    texts = [item.targets[0] if item.targets else "" for item in job.items]
    answers = respondent.rolling(texts) if kind == "loglikelihood_rolling" else respondent.likelihoods(asked)
    found: list[Likelihood | None] = [None] * len(owners)
    for place, each in _counted(answers, owners, len(job), tell):
        found[place] = each
    known = [each for each in found if each is not None]
    outcomes: list[Outcome] = []
    if kind != "multiple_choice":
        outcomes = [Predicted(each.nats, each.greedy, text) for each, text in zip(known, texts, strict=True)]
    else:
        start = 0
        for item, count in zip(job.items, np.bincount(owners, minlength=len(job)).tolist(), strict=True):
            own, choices = known[start : start + count], len(item.choices)
            start += count
            nats = np.array([each.nats for each in own])
            rest = nats[choices:].reshape(-1, choices)
            free = None if job.free is None else rest[len(rest) - len(CONTENT_FREE) :]
            alone = rest[0] if len(rest) > (0 if free is None else len(free)) else None
            greedy = [each.greedy for each in own[:choices]]
            outcomes.append(Chosen(item.choices, nats[:choices], greedy, item.gold, alone, free))
    scores = {}
    for metric, options, higher in job.task.metrics:
        scores[metric.name] = Scored(metric, metric.scored(outcomes, options), better=_better(metric.better, higher))
    said = tuple(
        each.choices[int(np.argmax(each.nats))] if isinstance(each, Chosen) else f"{each.nats:.4f} nats"
        for each in outcomes
        if isinstance(each, Chosen | Predicted)
    )
    return ItemResults(job.task.name, job.shots, _hashes(job), scores, answers=said)


def _better(own: str, higher: bool | None) -> str:
    """Which way is better, as the task says, or the metric."""
    return own if higher is None else "higher" if higher else "lower"


def _hashes(job: Job) -> tuple[str, ...]:
    return tuple(digest(item.row) for item in job.items)


def _counted(answers: Any, owners: Sequence[int], items: int, tell: Tell | None) -> Iterator[tuple[int, Any]]:
    """The answers, while items are counted whose answers are all there."""
    left, done = np.bincount(owners, minlength=items) if len(owners) else np.zeros(items, dtype=int), 0
    for place, each in answers:
        left[owners[place]] -= 1
        if left[owners[place]] == 0:
            done += 1
            if tell is not None:
                tell(done)
        yield place, each


def _pairs(job: Job) -> tuple[list[tuple[Prompt, str]], list[int]]:
    """What is asked for its likelihood, and the item of each."""
    task = job.task
    delimiter = "" if job.chat else task.definition.target_delimiter
    alone = any(metric.name == "acc_mutual_info" for metric, _, _ in task.metrics)
    pairs: list[tuple[Prompt, str]] = []
    owners: list[int] = []
    for place, (item, prompts) in enumerate(zip(job.items, job.prompts, strict=True)):
        if task.definition.output_type == "loglikelihood":
            own: list[tuple[Prompt, str]] = [(prompts[0], item.targets[0])]
        elif item.several_questions:
            own = [(prompt, f"{delimiter}{item.targets[0]}") for prompt in prompts]
        else:
            own = [(prompts[0], f"{delimiter}{choice}") for choice in item.choices]
        if alone:
            own += [("", f"{delimiter}{choice}") for choice in item.choices]
        if job.free is not None:
            own += [(prompt, f"{delimiter}{choice}") for prompt in job.free[place] for choice in item.choices]
        pairs += own
        owners += [place] * len(own)
    return pairs, owners


def _written(respondent: Respondent, job: Job, tell: Tell | None) -> ItemResults:
    """The same of answers that are written."""
    task, how = job.task, job.task.definition.generation_kwargs
    repeats = task.definition.repeats
    wording = Wording(max_tokens=how.max_gen_toks, temperature=how.sampled, stop=task.stops)
    questions, owners = [], []
    for place, prompts in enumerate(job.prompts):
        questions += [Question(prompts[0], sample) for sample in range(repeats)]
        owners += [place] * repeats
    said: list[list[str]] = [[""] * repeats for _ in job.items]
    cut = 0
    for number, reply in _counted(respondent.answer(questions, wording), owners, len(job), tell):
        said[owners[number]][number % repeats] = reply.text
        cut += reply.finish_reason != "stop"
    scores = {}
    for filters, apply in task.filters:
        outcomes = [
            Written(apply(list(answers), item.row), item.targets, item.row)
            for answers, item in zip(said, job.items, strict=True)
        ]
        for metric, options, higher in task.metrics:
            scored = Scored(
                metric, metric.scored(outcomes, options), filters.name if len(task.filters) > 1 else "",
                _better(metric.better, higher),
            )  # fmt: skip
            scores[scored.name] = scored
    return ItemResults(task.name, job.shots, _hashes(job), scores, cut, tuple(each[0] for each in said))
