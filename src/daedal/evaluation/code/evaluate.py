"""A model that writes programs: asks it each problem several times, runs what it answers, and counts what passed.

Answers are run while others are still written. A program that was run before is not run again: it fares the same.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Int
from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Note, Sample, Table, Texts
from daedal.evaluation.code.problems import CodeTask, Problem
from daedal.evaluation.code.program import Ending, Outcome, Program
from daedal.evaluation.code.sandbox import Sandbox
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.pass_at_k import measured
from daedal.prompting.respondent import Question, Respondent, Wording

KS = (1, 5, 10, 100)
_SHOWN = 4
_SAYS: Mapping[Ending, str] = {
    "passed": "passed", "failed": "gave a wrong value", "raised": "raised an exception", "no Python": "did not parse",
    "ended": "ended early", "timeout": "took too long",
}  # fmt: skip

Tell = Callable[[int, int], None]


class CodeOptions(Config):
    """How programs are asked for.

    Attributes:
        samples: of each problem.
        temperature: 0 for one sample, 0.8 for more, unless given (Chen et al. 2021 measure pass@100 at that).
        limit: of problems, the first ones.
        max_tokens: of an answer; as many as the task says unless given.
        chat: problems are asked as a conversation, not as a text to go on with.
        seed: of the samples.
    """

    samples: int = Field(1, ge=1, le=1000)
    temperature: float | None = Field(None, ge=0)
    limit: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    chat: bool = False
    seed: int = Field(0, ge=0, lt=2**31)

    @property
    def warmth(self) -> float:
        """The temperature."""
        return (0.0 if self.samples == 1 else 0.8) if self.temperature is None else self.temperature


@dataclass(frozen=True)
class CodeFindings:
    """What was found.

    Attributes:
        passed: of each problem, how many of its programs passed; for paired comparisons.
        hashes: of the problems.
        outcomes: of each problem, of each of its samples.
    """

    measurements: tuple[Measurement, ...]
    blocks: tuple[Block, ...]
    passed: Int[np.ndarray, " problems"]
    hashes: tuple[str, ...]
    outcomes: tuple[tuple[Outcome, ...], ...]


def evaluate_code(
    respondent: Respondent, task: CodeTask, options: CodeOptions, sandbox: Sandbox, tell: Tell | None = None
) -> CodeFindings:
    """Measure pass@k.

    Args:
        tell: told how many programs of how many are written.

    Raises:
        DaedalError: no problem can be solved here, or as the respondent.
    """
    problems, faulty = _sound(task.first(options.limit).problems, sandbox)
    if not problems:
        raise DaedalError(f"No problem of {task.name} passes its own tests here", "Look at what its solutions import")
    samples = options.samples
    wording = Wording(
        max_tokens=options.max_tokens or task.max_tokens, temperature=options.warmth, seed=options.seed,
        stop=() if options.chat else task.stops,
    )  # fmt: skip
    questions = [Question(task.question(each, options.chat), n) for each in problems for n in range(samples)]
    sources = [""] * len(questions)
    running: dict[tuple[int, str], Future[Outcome]] = {}
    found: list[Future[Outcome] | None] = [None] * len(questions)
    cut = 0
    pool = ThreadPoolExecutor(sandbox.workers, thread_name_prefix="programs")
    try:
        for done, (place, reply) in enumerate(respondent.answer(questions, wording), 1):
            at = place // samples
            cut += reply.finish_reason != "stop"
            source = sources[place] = problems[at].program(reply.text, wording.stop)
            if (at, source) not in running:
                running[at, source] = pool.submit(sandbox.one, Program(source, problems[at].tests))
            found[place] = running[at, source]
            if tell is not None:
                tell(done, len(questions))
        outcomes = [each.result() for each in found if each is not None]
    finally:
        pool.shutdown(cancel_futures=True)
    by_problem = tuple(tuple(outcomes[n : n + samples]) for n in range(0, len(outcomes), samples))
    passed = np.array([sum(each.ending == "passed" for each in own) for own in by_problem], dtype=np.int64)
    hashes = tuple(_digest(each) for each in problems)
    measurements = _measurements(respondent, task, options, problems, by_problem, passed, hashes)
    return CodeFindings(
        measurements, _blocks(task, problems, by_problem, sources, faulty, cut, sandbox), passed, hashes, by_problem
    )


def _sound(problems: Sequence[Problem], sandbox: Sandbox) -> tuple[list[Problem], list[str]]:
    """Those whose own solution passes here, or that have none; and the names of the others."""
    solved = [each for each in problems if each.reference]
    outcomes = dict(sandbox.run([Program(each.reference, each.tests) for each in solved]))
    faulty = {id(each) for place, each in enumerate(solved) if outcomes[place].ending != "passed"}
    return [p for p in problems if id(p) not in faulty], [p.name for p in problems if id(p) in faulty]


def _digest(problem: Problem) -> str:
    return hashlib.sha256(
        problem.model_dump_json(include={"prompt", "tests"}).encode("utf-8", "surrogatepass")
    ).hexdigest()


def _measurements(
    respondent: Respondent, task: CodeTask, options: CodeOptions, problems: Sequence[Problem],
    outcomes: Sequence[Sequence[Outcome]], passed: Int[np.ndarray, " problems"], hashes: Sequence[str],
) -> tuple[Measurement, ...]:  # fmt: skip
    conditions = f"samples={options.samples},temperature={options.warmth:g}"
    if task.definition:
        conditions += f",{task.definition}" if not options.chat else ",prompt=chat"
    data = hashlib.sha256("".join(hashes).encode()).hexdigest()
    common = {
        "unit": "",
        "better": "higher",
        "model_hash": respondent.identity,
        "data_hash": data,
        "seed": options.seed,
    }
    written = np.full(len(problems), options.samples)
    whole = np.ones(len(problems), dtype=np.bool_)
    parts = {part: np.array([each.name in names for each in problems]) for part, names in task.parts.items()}
    found = []
    for k in (k for k in KS if k <= options.samples):
        for part, own in (("", whole), *parts.items()):
            if not own.any():
                continue
            condition = f",part={part.replace(' ', '-')}" if part else ""
            found.append(
                Measurement(
                    name=f"pass@{k}, {part}" if part else f"pass@{k}", pieces="problems",
                    definition=f"{define(f'pass-at-{k}', 1)}@{conditions}{condition}",
                    **measured(written[own], passed[own], k), **common,
                )
            )  # fmt: skip
    counts = np.array([sum(each.ending != "no Python" for each in own) for own in outcomes], dtype=np.float64)
    parsed = Measurement(
        name="programs that parse", definition=f"{define('programs-that-parse', 1)}@{conditions}", pieces="problems",
        n=len(problems), **share_of_pieces(counts, written.astype(np.float64), "problems"), **common,
    )  # fmt: skip
    return (*found, parsed)


def _blocks(
    task: CodeTask, problems: Sequence[Problem], outcomes: Sequence[Sequence[Outcome]], sources: Sequence[str],
    faulty: Sequence[str], cut: int, sandbox: Sandbox,
) -> tuple[Block, ...]:  # fmt: skip
    every = [each for own in outcomes for each in own]
    counts = Counter(each.ending for each in every)
    rows = [(_SAYS[each], counts[each], 100 * counts[each] / len(every)) for each in get_args(Ending) if counts[each]]
    table = Table(
        title="What became of the programs", head=("Programs that", "count", "%"), rows=tuple(rows),
        says=f"{len(every):,} programs for {len(problems):,} problems; {sandbox.says}",
        brief=f"of {len(every):,} programs " + ", ".join(f"{count:,} {says}" for says, count, _ in rows),
    )  # fmt: skip
    samples = len(outcomes[0])
    solved_once = sum(any(each.ending == "passed" for each in own) for own in outcomes)
    solved = Table(
        title="Problems", says="the first of them, with what was wrong with the first program",
        head=("problem", "passed", "fault"),
        brief=f"{solved_once:,} of {len(problems):,} problems were solved by one of {samples} programs or more",
        rows=tuple(
            (problem.name, f"{sum(each.ending == 'passed' for each in own)} of {samples}", _fault(own[0]))
            for problem, own in list(zip(problems, outcomes, strict=True))[:200]
        ),
    )  # fmt: skip
    texts = Texts(
        title="Programs", says="the first program of the first problems, not chosen",
        texts=tuple(
            Sample(prompt=f"# {problem.name}: {_SAYS[own[0].ending]}\n", text=sources[place * samples])
            for place, (problem, own) in enumerate(zip(problems[:_SHOWN], outcomes, strict=False))
        ),
    )  # fmt: skip
    notes = []
    if faulty:
        names = ", ".join(faulty[:8]) + (", ..." if len(faulty) > 8 else "")
        notes.append(
            Note(brief=f"{len(faulty)} problems are left out, since their own solution does not pass here: {names}")
        )
    if cut:
        notes.append(Note(brief=f"{cut:,} of {len(every):,} answers were cut at the most tokens"))
    if sandbox.isolation == "none":
        notes.append(Note(brief=sandbox.says))
    return (*notes, table, solved, texts)


def _fault(outcome: Outcome) -> str:
    return "" if outcome.ending == "passed" else f"{outcome.ending}: {outcome.message}".rstrip(": ")
