"""How much an accuracy depends on what should not matter: the order of the examples, which examples were drawn, the place
where the right choice stands (Lu et al. 2022; Zhao et al. 2021; Zheng et al. 2024).

The same items are asked in several arrangements. Their means differ by chance too, as each arrangement gets some items right
that another gets wrong; what goes beyond that is the standard deviation of the arrangements in an analysis of variance with
random effects of items and arrangements. Its interval and its test are those of the F distribution (Searle, Casella and
McCulloch 1992, section 3.6).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.blocks import Block, Note, Table
from daedal.evaluation.intervals import LEVEL
from daedal.evaluation.tasks.items import ItemResults
from daedal.evaluation.tasks.rotation import rotated
from daedal.evaluation.tasks.run import Job, TaskOptions, job_of, run
from daedal.evaluation.tasks.shots import examples
from daedal.prompting.respondent import Respondent


class Spread(NamedTuple):
    """How far arrangements of the same items are apart.

    Attributes:
        value: the standard deviation of their true means, 0 where the items alone explain what is seen.
        interval: of it.
        p: how often arrangements that do not matter differ as much.
        least, most: the lowest and the highest mean.
    """

    value: float
    interval: tuple[float, float] | None
    p: float
    least: float
    most: float
    arrangements: int


def spread(scores: Float[np.ndarray, "arrangements items"]) -> Spread:
    """Of scores of the same items in several arrangements, of which there are two or more."""
    from scipy.special import fdtr, fdtri

    k, n = scores.shape
    means = scores.mean(1)
    least, most = float(means.min()), float(means.max())
    if n < 2:
        return Spread(0.0, None, 1.0, least, most, k)
    between = n * float(((means - scores.mean()) ** 2).sum()) / (k - 1)
    rest = scores - means[:, None] - scores.mean(0) + scores.mean()
    freedom = (k - 1) * (n - 1)
    within = float((rest**2).sum()) / freedom
    if within < 1e-12:
        # All items change together, or none does
        value = math.sqrt(between / n)
        return Spread(value, (value, value) if value == 0 else None, 1.0 if value == 0 else 0.0, least, most, k)
    ratio = between / within
    ends = [
        math.sqrt(max(0.0, (ratio / float(fdtri(k - 1, freedom, share)) - 1) * within / n))
        for share in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    ]
    value = math.sqrt(max(0.0, (between - within) / n))
    return Spread(value, (ends[0], ends[1]), 1 - float(fdtr(k - 1, freedom, ratio)), least, most, k)


class Places(NamedTuple):
    """Whether a model prefers a place, whatever stands there.

    Attributes:
        chosen: how often each place was chosen, a share; all the same for a model without a preference.
        spread: of the accuracy over rotations.
        steady: the share of items whose choice is the same text in all rotations.
    """

    chosen: Float[np.ndarray, " places"]
    spread: Spread
    steady: float


def places(said: Int[np.ndarray, "rotations items"], right: Int[np.ndarray, "rotations items"], count: int) -> Places:
    """Of the places that were chosen and those that were right, where rotation `r` moved choices by `r` of `count` places."""
    shares = np.bincount(said.ravel(), minlength=count) / said.size
    original = (said + np.arange(len(said))[:, None]) % count
    steady = float((original == original[0]).all(0).mean())
    return Places(shares, spread((said == right).astype(np.float64)), steady)


def orders(job: Job, options: TaskOptions, count: int) -> Iterator[Job]:
    """A job with its examples in other orders, the same permutation for all items."""
    shown = list(examples(job.task, job.shots, range(len(job)), options.seed))
    for number in range(count):
        order = Random(f"{options.seed} {number}").sample(range(job.shots), job.shots)
        other = [[rows[place] for place in order] for rows in shown]
        yield job_of(job.task, job.shots, job.items, other, job.chat)


def draws(job: Job, options: TaskOptions, count: int) -> Iterator[Job]:
    """A job with other examples."""
    for number in range(count):
        other = list(examples(job.task, job.shots, range(len(job)), options.seed + 1 + number))
        yield job_of(job.task, job.shots, job.items, other, job.chat)


def drawn(job: Job) -> bool:
    """Whether another seed gives a job other examples."""
    return job.shots > 0 and job.task.definition.fewshot_config.sampler in ("default", "balanced")


def rotations(job: Job, options: TaskOptions) -> list[Job]:
    """A job with its choices moved by 0, 1, 2, ... places; nothing where its rows do not say which they are, or where items
    have different numbers of them."""
    counts = {len(item.choices) for item in job.items}
    if job.task.definition.output_type != "multiple_choice" or len(counts) != 1 or min(counts) < 2:
        return []
    shown = list(examples(job.task, job.shots, range(len(job)), options.seed))
    found = []
    for by in range(counts.pop()):
        items = [rotated(job.task, item, by) for item in job.items]
        known = [item for item in items if item is not None]
        if len(known) < len(items):
            return []
        found.append(job_of(job.task, job.shots, known, shown, job.chat))
    return found if found[0].prompts != found[1].prompts else []  # choices that are not shown have no places


def sensitivity_table(
    respondent: Respondent,
    jobs: Sequence[Job],
    options: TaskOptions,
    count: int,
    tell: Callable[[str], None] | None = None,
) -> list[Block]:
    """Ask the jobs in other arrangements, and tell how far their numbers are apart.

    Args:
        count: orders of the examples, and draws.
        tell: told what is asked.

    Raises:
        DaedalError: as the respondent.
    """
    rows: list[tuple[str | int | float, ...]] = []
    notes: list[Block] = []

    def ask(job: Job, what: str) -> ItemResults:
        if tell is not None:
            tell(f"{job.task.title}, {job.shots} shots, {what}")
        return run(respondent, job)

    for job in jobs:
        arrangements: list[tuple[str, list[Job]]] = []
        if job.shots > 1:
            arrangements.append(("order of examples", list(orders(job, options, count))))
        if drawn(job):
            arrangements.append(("choice of examples", list(draws(job, options, count))))
        arrangements.append(("place of the right choice", rotations(job, options)))
        for what, arranged in arrangements:
            if not arranged:
                continue
            results = [ask(each, what) for each in arranged]
            name = next((name for name, scored in results[0].scores.items() if scored.metric.mean), None)
            if name is None:
                continue
            scores = np.stack([each.values(name) for each in results])
            found = spread(scores)
            rows.append((f"{job.task.title}, {job.shots} shots, {name}", what, len(arranged), *_told(found)))
            if what.startswith("place"):
                notes.append(_preferred(job, arranged, results))
    says = (
        "The same items in several arrangements: the lowest and the highest mean; the standard deviation of the arrangements "
        "beyond what the items alone explain, with its 95 % interval and p (analysis of variance, F)."
    )
    head = ("", "what changes", "arrangements", "lowest", "highest", "sd", "from", "to", "p")
    return [Table(title="What should not matter", says=says, head=head, rows=tuple(rows)), *notes] if rows else []


def _told(found: Spread) -> tuple[str | float, ...]:
    ends: tuple[str | float, ...] = ("", "") if found.interval is None else found.interval
    return (found.least, found.most, found.value, *ends, found.p)


def _preferred(job: Job, arranged: Sequence[Job], results: Sequence[ItemResults]) -> Note:
    """Which place is chosen when every choice has stood in each."""
    said = np.array(
        [
            [list(item.choices).index(text) for item, text in zip(each.items, result.answers, strict=True)]
            for each, result in zip(arranged, results, strict=True)
        ]
    )
    right = np.array([[item.gold[0] for item in each.items] for each in arranged])
    found = places(said, right, len(arranged))
    shares = ", ".join(f"{share:.0%}" for share in found.chosen)
    return Note(
        brief=f"{job.task.title}, {job.shots} shots: with every choice once in each place, the places are chosen in {shares} "
        f"of cases, and {found.steady:.0%} of items have the same choice wherever it stands"
    )
