"""A candidate of a prompt search: an instruction, examples in an order, and a strategy; and the task as it is asked by it."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

from daedal.errors import DaedalError
from daedal.evaluation.tasks.definition import Definition, Filters, FilterStep
from daedal.evaluation.tasks.task import Row, Task

Strategy = Literal["plain", "chain-of-thought", "vote"]
STRATEGIES: tuple[Strategy, ...] = ("plain", "chain-of-thought", "vote")

_THINK = "Let's think step by step."
_SO = "The answer is"
_VOTE_TEMPERATURE = 0.7  # Wang et al. 2023, arXiv:2203.11171
_LONGER = 8  # times as many tokens for thoughts as for an answer


class Candidate(NamedTuple):
    """What is compared.

    Attributes:
        instruction: what stands before everything; a template, as the description of a task is.
        examples: places in the pool, in the order in which they stand.
        votes: answers of which the most frequent counts; 1 but for the strategy `vote`.
        origin: of the instruction: "start", "file" or "proposed".
    """

    instruction: str
    examples: tuple[int, ...] = ()
    strategy: Strategy = "plain"
    votes: int = 1
    origin: str = "start"

    @property
    def calls(self) -> int:
        """For an item."""
        return self.votes

    @property
    def simplicity(self) -> tuple[int, int, bool, int]:
        """By which the first of equals is chosen."""
        return self.calls, len(self.examples), self.origin == "proposed", len(self.instruction)

    @property
    def says(self) -> str:
        """What it is, in a few words."""
        shots = f"{len(self.examples)} examples" if len(self.examples) != 1 else "1 example"
        how = "" if self.strategy == "plain" else f", {self.strategy}{f' of {self.votes}' if self.votes > 1 else ''}"
        told = " ".join(self.instruction.split())
        short = told if len(told) <= 60 else told[:59] + "…"
        return f"{short!r}, {shots}{how}" if short else f"no instruction, {shots}{how}"


def asked_by(task: Task, candidate: Candidate, rows: Mapping[str, Sequence[Row]], split: str) -> Task:
    """The task as a candidate puts it, measured on a split of `rows`.

    Raises:
        DaedalError: the strategy does not go with the task.
    """
    own = task.definition
    instruction = candidate.instruction
    if instruction and candidate.origin != "start" and not instruction[-1].isspace():
        instruction += own.fewshot_delimiter
    changes: dict[str, Any] = {
        "description": instruction, "test_split": split, "validation_split": None, "training_split": "examples",
        "fewshot_split": None,
    }  # fmt: skip
    if candidate.strategy != "plain":
        changes |= _by_writing(own, candidate)
    return Task(own.but(**changes), lambda: rows, task.located, task.origin)


def _by_writing(own: Definition, candidate: Candidate) -> dict[str, Any]:
    """What the strategies change: a chain of thought is asked for and its end read, votes are drawn and counted."""
    if own.output_type != "generate_until":
        raise DaedalError(f"{own.task} is no task of written answers", f"Leave {candidate.strategy} out")
    filters = own.filter_list or (Filters(name="none", filter=()),)
    steps = [[each for each in pipeline.filter if each.function != "take_first"] for pipeline in filters]
    changes: dict[str, Any] = {}
    how = own.generation_kwargs.model_dump()
    if candidate.strategy == "chain-of-thought":
        if own.gen_prefix is not None:
            raise DaedalError(f"{own.task} begins answers with its own gen_prefix", "Leave chain-of-thought out")
        shots = own.fewshot_config.model_dump() | {"gen_prefix": f"{_THINK} {_SO}"}
        changes |= {"gen_prefix": _THINK, "fewshot_config": shots}
        until = own.fewshot_delimiter if own.generation_kwargs.until is None else own.generation_kwargs.until
        # one line may hold a thought: only what separates examples ends it
        kept = [each for each in ([until] if isinstance(until, str) else until) if each != "\n"]
        how |= {"max_gen_toks": _LONGER * own.generation_kwargs.max_gen_toks, "until": kept or [own.fewshot_delimiter]}
        ends = [FilterStep.parse(each, "chain-of-thought") for each in _READ_END]
        steps = [[*ends, *each] for each in steps]
    if candidate.votes > 1:
        how |= {"do_sample": True, "temperature": _VOTE_TEMPERATURE}
        changes["repeats"] = candidate.votes
        steps = [[*each, FilterStep(function="majority_vote")] for each in steps]
    steps = [[*each, FilterStep(function="take_first")] for each in steps]
    changes["generation_kwargs"] = how
    changes["filter_list"] = [
        {"name": pipeline.name, "filter": [each.model_dump() for each in own_steps]}
        for pipeline, own_steps in zip(filters, steps, strict=True)
    ]
    return changes


_READ_END: list[dict[str, Any]] = [
    # after the last "answer is", or else the last line
    {
        "function": "regex", "regex_pattern": r"(?is)^.*(?:answer is:?|answer:)\s*([^\n]*?)\.?\s*(?:\n.*)?$|([^\n]*)\s*$",
        "group_select": 0, "fallback": "",
    },
]  # fmt: skip


def draw_examples(labels: Sequence[str], count: int, draw: Random) -> tuple[int, ...]:
    """Places of examples, as many of each class as can be, in an order of chance."""
    order = list(range(len(labels)))
    draw.shuffle(order)
    classes: dict[str, list[int]] = {}
    for place in order:
        classes.setdefault(labels[place], []).append(place)
    chosen: list[int] = []
    while len(chosen) < min(count, len(labels)):
        for places in classes.values():
            if places and len(chosen) < count:
                chosen.append(places.pop())
    draw.shuffle(chosen)
    return tuple(chosen)


def candidates(
    start: Candidate,
    instructions: Sequence[tuple[str, str]],
    labels: Sequence[str],
    *,
    count: int,
    shots: Sequence[int],
    strategies: Sequence[tuple[Strategy, int]],
    seed: int,
    allowed: Callable[[Candidate], bool] = lambda candidate: True,
) -> list[Candidate]:
    """The start and others, all different: every instruction, number of examples and strategy comes about as often.

    Args:
        instructions: with their origins; the start's own is one of them.
        labels: of the pool of examples, by which a draw is balanced.
        strategies: each with its votes.
    """
    draw = Random(seed)
    kinds = [
        (said, origin, number, strategy, votes)
        for said, origin in ((start.instruction, start.origin), *instructions)
        for number in sorted({min(each, len(labels)) for each in shots})
        for strategy, votes in strategies
    ]
    found = {start: None}
    idle = 0
    while len(found) < count and idle < 3:  # few kinds without examples are soon exhausted
        before = len(found)
        draw.shuffle(kinds)
        for said, origin, number, strategy, votes in kinds:
            each = Candidate(said, draw_examples(labels, number, draw), strategy, votes, origin)
            if len(found) < count and allowed(each):
                found.setdefault(each)
        idle = idle + 1 if len(found) == before else 0
    return list(found)
