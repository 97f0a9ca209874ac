"""Problems that a program solves: MBPP's and HumanEval's layouts, and Daedal's own functions.

A problem says how it is asked, where an answer ends, and what of an answer is a program; `evaluate.py` asks, `sandbox.py` runs.

- MBPP (Austin et al. 2021, arXiv:2108.07732): `text`, `code`, `task_id`, `test_list`, `test_setup_code`, `challenge_test_list`.
  Asked as in the paper, after three solved problems (2, 3 and 4); 11 to 510 are its test set.
- HumanEval (Chen et al. 2021, arXiv:2107.03374): `task_id`, `prompt`, `entry_point`, `canonical_solution`, `test`. The prompt
  is the beginning of a function, which ends where another statement begins at the margin.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.code.program import Tests
from daedal.prompting.respondent import Message, Prompt

Layout = Literal["mbpp", "humaneval"]
COLUMNS: Mapping[Layout, frozenset[str]] = {
    "mbpp": frozenset({"text", "code", "test_list"}),
    "humaneval": frozenset({"prompt", "entry_point", "test"}),
}
"""The columns that tell a layout."""

_TEST_SET = frozenset(map(str, range(11, 511)))
_EXAMPLES = (2, 3, 4)
_MBPP_STOPS = ("[DONE]", "\nYou are an expert")
_HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
_FENCE = re.compile(r"```[ \t]*(\w*)[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_ASKED = (
    "You are an expert Python programmer, and here is your task: {text} Your code should pass these tests:\n\n{tests}"
)


class Problem(Config):
    """A problem.

    Attributes:
        name: its number or name in its set.
        asked: what a conversation asks.
        prompt: what a text goes on from.
        begun: the part of `prompt` that the program begins with.
        entry: the function that the tests call, where one is named.
        reference: a program that solves it; empty where there is none.
    """

    name: str
    asked: str
    prompt: str
    begun: str = ""
    entry: str = ""
    tests: Tests
    reference: str = ""

    def program(self, answer: str, stops: Sequence[str] = ()) -> str:
        """The program that an answer is: of a code block if it has one, else up to where it stops; with what was begun before
        it, unless it has begun anew."""
        text = answer.replace("\r\n", "\n")
        blocks = [
            code for language, code in _FENCE.findall(text) if language.lower() in ("", "python", "py", "python3")
        ]
        if blocks:
            text = next((each for each in blocks if not self.entry or f"def {self.entry}" in each), blocks[0])
        else:
            for stop in stops:
                text = text.split(stop, 1)[0]
        if not self.begun:
            return text
        if self.entry and re.search(rf"^(async )?def {re.escape(self.entry)}\b", text, re.MULTILINE):
            before, _, _ = self.begun.rpartition(f"def {self.entry}")
            return before + text
        return self.begun + text


class CodeTask(NamedTuple):
    """Problems that are measured together.

    Attributes:
        stops: texts that end an answer that goes on from a prompt.
        examples: what a prompt begins with: problems that are solved.
        shots: how many.
        parts: the names of problems, by the part of the task that they are measured as besides all.
        definition: what says how they were asked.
    """

    name: str
    title: str
    problems: tuple[Problem, ...]
    stops: tuple[str, ...]
    max_tokens: int
    examples: str = ""
    shots: int = 0
    parts: Mapping[str, frozenset[str]] = {}
    definition: str = ""

    def question(self, problem: Problem, chat: bool) -> Prompt:
        """What is put to a model."""
        if chat:
            message: Message = {"role": "user", "content": problem.asked}
            return (message,)
        return self.examples + problem.prompt

    def first(self, count: int | None) -> Self:
        """The first of its problems."""
        return self._replace(problems=self.problems[:count])


def layout_of(columns: Sequence[str]) -> Layout | None:
    """The layout that rows of these columns have, if one."""
    return next((name for name, needed in COLUMNS.items() if needed <= set(columns)), None)


def code_task(name: str, rows: Sequence[Mapping[str, Any]], where: str = "") -> CodeTask:
    """The task of rows of MBPP's or HumanEval's layout.

    Args:
        where: they are from, for what is said of mistakes.

    Raises:
        DaedalError: they have neither layout, or a problem is faulty.
    """
    where = where or name
    layout = layout_of(list(rows[0])) if rows else None
    if layout is None:
        raise DaedalError(
            f"{where} holds no code problems",
            "Give MBPP's columns (text, code, test_list) or HumanEval's (prompt, entry_point, test)",
        )  # fmt: skip
    read = _mbpp_problem if layout == "mbpp" else _humaneval_problem
    problems = []
    for number, row in enumerate(rows, 1):
        try:
            problems.append(read(row))
        except (KeyError, TypeError, AttributeError) as error:
            raise DaedalError(f"{where}, row {number}: {_wrong(error)}", "Correct that problem") from None
        except (SyntaxError, ValueError, RecursionError) as error:
            raise DaedalError(f"{where}, row {number}: its tests are no Python ({error})", "Correct them") from None
    if layout == "humaneval":
        return CodeTask(
            name, "HumanEval's problems", tuple(problems), _HUMANEVAL_STOPS, 512, definition="prompt=humaneval,shots=0"
        )
    examples = [each for each in problems if each.name in map(str, _EXAMPLES)]
    shown = "".join(f"{each.prompt}{each.reference}\n[DONE]\n\n" for each in examples)
    test = [each for each in problems if each.name in _TEST_SET]
    measured = test or [each for each in problems if each not in examples] or problems
    return CodeTask(
        name, "MBPP's problems", tuple(measured), _MBPP_STOPS, 512, shown, len(examples),
        definition=f"prompt=mbpp,shots={len(examples)}",
    )  # fmt: skip


def problem_of_tests(asked: str, tests: str) -> Problem:
    """The problem of a prompt whose known answer is tests.

    Args:
        asked: the prompt; a program may begin in it with the function that is tested, for the answer to go on.
        tests: statements of Python; those that are asserts, or stand alone, are the steps.

    Raises:
        DaedalError: they are none.
    """
    try:
        body = ast.parse(tests.replace("\r\n", "\n")).body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise DaedalError(f"The tests {tests[:60]!r} are no Python ({error})", "Write asserts, one a line") from None
    steps = [ast.unparse(each) for each in body if isinstance(each, ast.Assert | ast.Expr)]
    if not steps:
        raise DaedalError(f"The answer {tests[:60]!r} has no tests", "Write asserts, one a line")
    setup = "\n".join(ast.unparse(each) for each in body if not isinstance(each, ast.Assert | ast.Expr))
    found = Tests.of(steps, setup)
    entry = found.names[0] if len(found.names) == 1 else ""
    begun = ""
    if entry and (at := re.search(rf"^def {re.escape(entry)}\b", asked, re.MULTILINE)):
        begun = asked[at.start() :].split("\n```", 1)[0].rstrip() + "\n"
    return Problem(name=entry, asked=asked, prompt=asked, begun=begun, entry=entry, tests=found)


def _wrong(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else "a column is of the wrong type"


def _mbpp_problem(row: Mapping[str, Any]) -> Problem:
    steps, more = row["test_list"], row.get("challenge_test_list") or []
    # a text would be taken for a list of letters, and a problem without tests is solved by anything
    if not all(isinstance(each, list) and all(isinstance(step, str) for step in each) for each in (steps, more)):
        raise TypeError
    if not steps:
        raise ValueError("there are none")
    reference = str(row["code"]).replace("\r\n", "\n")
    tests = Tests.of([*steps, *more], str(row.get("test_setup_code") or ""), reference)
    asked = _ASKED.format(text=str(row["text"]).strip(), tests="\n".join(steps))
    return Problem(
        name=str(row.get("task_id", "")), asked=f"{asked}\n\nAnswer with the code alone, in a code block.",
        prompt=f"{asked}\n[BEGIN]\n", tests=tests, reference=reference,
    )  # fmt: skip


def _humaneval_problem(row: Mapping[str, Any]) -> Problem:
    prompt, entry = str(row["prompt"]), str(row["entry_point"])
    if not entry.isidentifier():
        raise TypeError
    solution = row.get("canonical_solution")
    reference = prompt + str(solution) if solution else ""
    setup = str(row["test"])
    ast.parse(reference or f"{prompt.rstrip()}\n    pass\n")
    tests = Tests.of([f"check({entry})"], setup, reference or prompt + "    pass\n", [entry])
    return Problem(
        name=str(row.get("task_id", entry)),
        asked=f"Complete this function. Answer with the whole function, in a code block.\n\n```python\n{prompt}```",
        prompt=prompt, begun=prompt, entry=entry, tests=tests, reference=reference,
    )  # fmt: skip
