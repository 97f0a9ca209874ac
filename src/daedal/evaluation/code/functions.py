"""The built-in code task `functions`: held-out functions of `daedal.data.worlds.functions`, of families that were seen and of
new ones. A model that was trained on `python-functions` has seen none of them.
"""

from daedal.data.worlds import functions
from daedal.evaluation.code.problems import CodeTask, Problem
from daedal.evaluation.code.program import Tests

FUNCTIONS = "functions"
_EACH = 100
_STOPS = ("\ndef", "\n\n")
_TOKENS = 160


def function_task(count: int = _EACH) -> CodeTask:
    """So many problems of either part, in turns."""
    found = functions.problems(count)
    problems = [_problem(number, each) for number, each in enumerate(found)]
    names: dict[str, frozenset[str]] = {
        part: frozenset(p.name for p, f in zip(problems, found, strict=True) if f.part == part) for part in _PARTS
    }
    in_turns = tuple(each for pair in zip(problems[:count], problems[count:], strict=True) for each in pair)
    return CodeTask(
        FUNCTIONS,
        "small functions by their docstrings",
        in_turns,
        _STOPS,
        _TOKENS,
        parts=names,
        definition="prompt=function,shots=0",
    )


_PARTS: tuple[functions.Part, ...] = ("seen families", "new families")


def _problem(number: int, each: functions.FunctionProblem) -> Problem:
    made = each.function
    reference = made.head + made.body
    return Problem(
        name=f"{number + 1}: {', '.join(made.family)}",
        asked=f"Complete this function. Answer with the whole function, in a code block.\n\n```python\n{made.head}```",
        prompt=made.head, begun=made.head, entry=made.name,
        tests=Tests.of(each.tests, reference=reference, names=[made.name]), reference=reference,
    )  # fmt: skip
