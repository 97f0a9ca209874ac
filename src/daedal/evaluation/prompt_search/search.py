"""A prompt search that tells its gain honestly: candidates are halved on items to select on, and the winner is measured once,
beside the prompt that one began with, on items that nothing has seen.

The best of many candidates is the best on the items that chose it also by luck: its gain there is the optimistic one (the
winner's curse). The honest gain is the same difference on the items that were held out, with the paired bootstrap's interval.

- successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): in each round all that are left answer more items, and the
  worse half is dropped; answers of earlier rounds count on, and the start is never dropped, so that all are compared on the
  same items
- the budget is calls, or seconds, of which a quarter is kept for the end; a call is one prompt put to the model, answers or
  likelihoods of the choices, and a vote of k has k
- a vote of several answers costs as much as so many prompts, and is tried with the best before the last round alone
- of equals the simplest wins, and so nothing is changed for nothing
"""

import math
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.prompt_search.candidate import (
    STRATEGIES,
    Candidate,
    Strategy,
    asked_by,
    candidates,
    draw_examples,
)
from daedal.evaluation.prompt_search.propose import propose
from daedal.evaluation.prompt_search.splits import LEAST, Splits, split
from daedal.evaluation.tasks.paired import mean_difference
from daedal.evaluation.tasks.run import Job, run
from daedal.evaluation.tasks.task import Task
from daedal.prompting.respondent import Question, Respondent, Wording

Values = Float[np.ndarray, " items"]
Tell = Callable[[float, float | None, str], None]

_FOR_THE_END = 0.25  # of the seconds
_TRIED = 4  # items by which the time of a call is known
_MOST_ITEMS = 100  # of the first round: more tells little of so many candidates
VOTES = 5


class SearchOptions(Config):
    """How is searched.

    Attributes:
        calls: of the search, at most; the two measurements at its end are not among them.
        seconds: of everything, about; one of the two is given.
        count: candidates, the start among them.
        shots: numbers of examples that are tried.
        proposals: instructions that a model is asked for.
        strategies: that are tried where a task has written answers.
        held_out: items that are held out, at most.
        chat: prompts are put as conversations.
    """

    calls: int | None = None
    seconds: float | None = None
    count: int = 16
    shots: tuple[int, ...] = (0, 1, 2, 4, 8)
    proposals: int = 4
    strategies: tuple[Strategy, ...] = STRATEGIES
    held_out: int = 500
    seed: int = 0
    chat: bool = False


class Standing(NamedTuple):
    """A candidate and what it got on the items that it has answered.

    Attributes:
        values: of the metric, more is better.
        failed: why it was dropped without an answer.
    """

    candidate: Candidate
    values: Values
    failed: str = ""

    @property
    def mean(self) -> float:
        return float(self.values.mean()) if len(self.values) else -math.inf


class Round(NamedTuple):
    """One round of halving.

    Attributes:
        items: that each has answered after it.
        standings: the best first.
    """

    items: int
    standings: list[Standing]


class Found(NamedTuple):
    """What a search came to.

    Attributes:
        metric: that it goes by; `sign` is -1 where less of it is better.
        start, winner: on the items to select on.
        held_start, held_winner: on the items that were held out; of the metric's own sign.
        calls: of the search, and of the measurements at its end.
        unproposed: why no instructions were proposed, where some were to be.
    """

    task: Task
    metric: str
    sign: int
    splits: Splits
    rounds: list[Round]
    start: Standing
    winner: Standing
    held_start: Values
    held_winner: Values
    calls: tuple[int, int]
    proposed: list[str]
    dropped: list[Standing]
    unproposed: str
    seconds: float

    @property
    def changed(self) -> bool:
        """Whether another prompt won."""
        return self.winner.candidate != self.start.candidate

    @property
    def optimistic(self) -> tuple[float, tuple[float, float] | None]:
        """The gain on the items that chose the winner."""
        return mean_difference((self.winner.values - self.start.values) * self.sign)

    @property
    def honest(self) -> tuple[float, tuple[float, float] | None]:
        """The gain on the items that were held out."""
        return mean_difference(self.held_winner - self.held_start)


class Search:
    """A search.

    Args:
        instructions: that are tried beside the task's own.
        proposer: whom to ask for more; the respondent itself unless given.

    Raises:
        DaedalError: the task has too few items, no metric that is a mean, or nothing can be tried within the budget.
    """

    def __init__(
        self,
        task: Task,
        respondent: Respondent,
        options: SearchOptions,
        instructions: Sequence[str] = (),
        proposer: Respondent | None = None,
        tell: Tell | None = None,
    ) -> None:
        if (options.calls is None) == (options.seconds is None):
            raise DaedalError("A search needs calls or seconds, and one of them", "Give --calls or --budget")
        if options.count < 2:
            raise DaedalError(f"{options.count} candidates leave nothing to choose", "Ask for 2 at least")
        if task.definition.output_type not in ("multiple_choice", "generate_until"):
            raise DaedalError(f"{task.name} asks for no answers", "Name a task of choices or of written answers")
        self.task, self.respondent, self.options = task, respondent, options
        self.instructions, self.proposer = tuple(instructions), proposer or respondent
        self.metric, self.sign = _metric(task)
        self.splits = split(task, options.held_out)
        self.calls = 0
        self._began = time.monotonic()
        self._tell = tell
        self._dropped: list[Standing] = []
        self._unproposed = ""

    def run(self) -> Found:
        """Search.

        Raises:
            DaedalError: the model cannot be asked, or the budget is too small.
        """
        labels = self._labels()
        number = self.task.definition.num_fewshot or 0

        start = Candidate(self.task.definition.description, draw_examples(labels, number, Random(self.options.seed)))
        standing = self._more(Standing(start, np.zeros(0)), min(_TRIED, len(self.splits.selection)))
        if standing.failed:
            raise DaedalError(f"The prompt that the task has cannot be asked: {standing.failed}", "Shorten it")
        proposed = self._proposed()
        named = [(each, "file") for each in self.instructions] + [(each, "proposed") for each in proposed]
        every = candidates(
            start, named, labels, count=self.options.count, shots=self.options.shots, strategies=self._strategies(),
            seed=self.options.seed,
        )  # fmt: skip
        rounds = self._halved([standing, *(Standing(each, np.zeros(0)) for each in every[1:])])
        last = rounds[-1].standings
        own = next(each for each in last if each.candidate == start)
        winner = last[0]
        searched = self.calls
        held = [self._held_out(own.candidate)]
        held.append(held[0] if winner is own else self._held_out(winner.candidate))
        return Found(
            self.task, self.metric, self.sign, self.splits, rounds, own, winner, held[0], held[1],
            (searched, self.calls - searched), proposed, self._dropped, self._unproposed, time.monotonic() - self._began,
        )  # fmt: skip

    # -- what is tried -------------------------------------------------------------------------------------------------

    def _labels(self) -> list[str]:
        task = asked_by(self.task, Candidate(""), self.splits.rows, "selection")
        return [task.label_of(row) for row in self.splits.examples]

    def _strategies(self) -> list[tuple[Strategy, int]]:
        definition = self.task.definition
        found: list[tuple[Strategy, int]] = []
        for each in self.options.strategies:
            if each != "plain" and definition.output_type != "generate_until":
                continue
            if each == "vote":
                continue  # it costs as much as several: the best may have it at the end
            if each == "chain-of-thought" and (definition.gen_prefix is not None or self.options.chat):
                continue  # it begins the answer
            found.append((each, 1))
        return found or [("plain", 1)]

    def _proposed(self) -> list[str]:
        count = self.options.proposals
        if self.options.calls is not None:
            count = min(count, self.options.calls // 20)  # what is asked for them is not asked of candidates
        if not count:
            return []
        self._told("proposing")
        task = asked_by(self.task, Candidate(""), self.splits.rows, "selection")
        self.calls += count
        try:
            return propose(task, self.splits.examples, self.proposer, count, self.options.seed, self.options.chat)
        except DaedalError as error:
            self._require_alive(error)
            self._unproposed = error.what
            return []

    # -- halving -------------------------------------------------------------------------------------------------------

    def _halved(self, standings: list[Standing]) -> list[Round]:
        """Rounds until the start and one other are left, or the budget is spent."""
        rounds: list[Round] = []
        standings = self._affordable(standings)
        first = math.ceil(math.log2(len(standings)))
        for number in range(first):
            if rounds and number == first - 1:
                standings = self._with_a_vote(standings, rounds[-1].items)
            items = self._items(standings, first - number)
            if rounds and items <= rounds[-1].items:
                break
            answered = []
            for each in standings:
                if rounds and self._late():
                    break  # what is half asked is no round
                answered.append(self._more(each, items))
            if len(answered) < len(standings):
                break
            if answered[0].failed:
                raise DaedalError(f"The prompt that the task has cannot be asked: {answered[0].failed}", "Shorten it")
            kept = [each for each in answered if not each.failed]
            self._dropped += [each for each in answered if each.failed]
            start = kept[0]
            kept.sort(key=lambda each: (-each.mean, each is not start, each.candidate.simplicity))
            rounds.append(Round(items, kept))
            others = [each for each in kept if each is not start]
            # the start stands at the head, whatever it got
            standings = [start, *others[: max(1, math.ceil(len(standings) / 2) - 1)]]
            if not others:
                break
        return rounds

    def _with_a_vote(self, standings: list[Standing], known: int) -> list[Standing]:
        """The best so far with a vote beside them, where there is enough left for it to answer more than so many items."""
        if "vote" not in self.options.strategies or self.task.definition.output_type != "generate_until":
            return standings
        best = max(standings, key=lambda each: each.mean).candidate
        how = "vote" if best.strategy == "plain" else best.strategy
        more = [*standings, Standing(best._replace(strategy=how, votes=VOTES), np.zeros(0))]
        return more if self._items(more, 1) > known else standings

    def _affordable(self, standings: list[Standing]) -> list[Standing]:
        """As many candidates as can answer enough items in the first round."""
        while len(standings) > 2:
            if self._items(standings, math.ceil(math.log2(len(standings)))) >= LEAST:
                return standings
            standings = standings[:-1]
        if self._items(standings, 1) < LEAST:
            raise DaedalError("The budget is too small to compare two prompts", "Give more calls or seconds")
        return standings

    def _items(self, standings: Sequence[Standing], rounds_left: int) -> int:
        """How many items all are to have answered after this round: an equal part of what is left of the budget."""
        each = sum(standing.candidate.calls for standing in standings)
        known = sum(len(standing.values) * standing.candidate.calls for standing in standings)
        affordable = int((self._left() / rounds_left + known) // each)
        most = len(self.splits.selection)
        if rounds_left > 1:
            most = min(most, _MOST_ITEMS * 2 ** (math.ceil(math.log2(self.options.count)) - rounds_left))
        return min(most, affordable)

    def _left(self) -> float:
        """Calls that are left of the budget; by how long calls took, where it is seconds."""
        if self.options.calls is not None:
            return self.options.calls - self.calls
        assert self.options.seconds is not None
        gone = time.monotonic() - self._began
        rate = self.calls / max(gone, 1e-3)
        return max(0.0, self.options.seconds * (1 - _FOR_THE_END) - gone) * rate

    def _late(self) -> bool:
        seconds = self.options.seconds
        return seconds is not None and time.monotonic() - self._began > seconds * (1 - _FOR_THE_END)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _more(self, standing: Standing, items: int) -> Standing:
        """A candidate that has answered so many items."""
        known = len(standing.values)
        if items <= known or standing.failed:
            return standing
        try:
            values = self._values(standing.candidate, "selection", range(known, items))
        except DaedalError as error:
            self._require_alive(error)
            return standing._replace(failed=error.what)
        return standing._replace(values=np.concatenate([standing.values, self.sign * values]))

    def _require_alive(self, error: DaedalError) -> None:
        """A prompt that is too long for the model drops a candidate; a model that answers nothing any more ends the search."""
        probe = Question("a", sample=self.calls + 1)  # which nobody remembers
        try:
            if self.task.definition.output_type == "generate_until":
                list(self.respondent.answer([probe], Wording(max_tokens=1, seed=self.options.seed)))
            else:
                list(self.respondent.likelihoods([("a", f" {self.calls}")]))
        except DaedalError:
            raise error from None

    def _values(self, candidate: Candidate, side: str, places: range) -> Values:
        """What the metric gives for items of a side."""
        task = asked_by(self.task, candidate, self.splits.rows, side)
        shown = [self.splits.examples[place] for place in candidate.examples]
        items = [task.item(place) for place in places]
        prompts = [task.prompt(item, shown, self.options.chat) for item in items]
        job = Job(task, len(shown), items, prompts, self.options.chat)
        before = self.calls

        def counted(done: int) -> None:
            self.calls = before + done * candidate.calls
            self._told(f"{candidate.says}")

        results = run(self.respondent, job, counted)
        self.calls = before + len(items) * candidate.calls
        return next(each for each in results.scores.values() if each.metric.name == self.metric).values

    def _held_out(self, candidate: Candidate) -> Values:
        return self._values(candidate, "held-out", range(len(self.splits.held_out)))

    def _told(self, doing: str) -> None:
        if self._tell is None:
            return
        if self.options.calls is not None:
            ends = 2 * len(self.splits.held_out)
            self._tell(self.calls, max(self.options.calls + ends, self.calls), doing)
        else:
            gone = time.monotonic() - self._began
            self._tell(gone, max(self.options.seconds or 0, gone), doing)


def _metric(task: Task) -> tuple[str, int]:
    """The first metric of a task that is a mean over items, and whether more of it is better."""
    for metric, _, higher in task.metrics:
        if metric.mean:
            better = metric.better == "higher" if higher is None else higher
            return metric.name, 1 if better else -1
    raise DaedalError(
        f"{task.name} has no metric that is a mean over items", "Add one to metric_list: acc, exact_match or f1"
    )
