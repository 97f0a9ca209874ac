"""What an answer is worth: a rule, a reward model, a classifier, or a function of a person's own.

`rule:NAME` or `rule:NAME:ARGUMENT`

    length:N           -|characters - N| / N
    contains:TEXT      1 where the answer has it, whatever the case
    regex:PATTERN      1 where the whole answer matches
    json               1 where it is JSON
    arithmetic         1 where the last number of the answer is what the last sum of the prompt comes to
    exact              1 where it is the data's own answer
    tests              1 where the program that it is passes the data's own answer, which is Python's asserts; in the sandbox
    tests:share        the share of them that it passes, up to the first that it fails
    class:LABEL:RUN    the log-odds that a classifier gives the label
    scenes             of a picture: 1 where the exact judge finds in it what was asked for
    scenes:graded      the same; where not all is there, up to a half for what is

`RUN` is a reward model. `module:function` is called as `function(prompts, completions, answers)`: the messages before each
answer, the answers, and the data's own; it gives a number for each.
"""

import ast
import copy
import importlib
import json
import math
import operator
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import regex
from jaxtyping import UInt8

from daedal.errors import DaedalError
from daedal.printable import printable

Picture = UInt8[np.ndarray, "height width channels"]
_PATIENCE = 120.0  # seconds that a function may take over the answers of a rollout
_PATTERN_PATIENCE = 5.0  # seconds that a pattern may take over an answer
_MOST = 1e12  # a reward: the squares of a few more would be infinite in float32
_PLAIN = re.compile(r"[\w.]+:\w+")
_SUM = re.compile(r"\(?-?\d[\d\s.()+*/-]*[+*/-][\d\s.()+*/-]*\d\)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Asked(NamedTuple):
    """An answer and what it answers.

    Attributes:
        messages: before it.
        text: of the answer.
        known: the data's own answer, where there is one; what a picture is to show.
        picture: the answer, where it is one.
    """

    messages: Sequence[Mapping[str, Any]]
    text: str
    known: Any = None
    picture: Picture | None = None


class Reward(Protocol):
    def __call__(self, answers: Sequence[Asked]) -> list[float]:
        """What each is worth."""


def reward_of(said: str) -> Reward:
    """The reward that a person names.

    Raises:
        DaedalError: there is none of that name, or it cannot be opened.
    """
    if said.startswith("rule:"):
        _, name, *rest = said.split(":", 2)
        if name not in _RULES:
            raise DaedalError(f"There is no rule {name!r}", f"Choose one of {', '.join(_RULES)}")
        return checked(_RULES[name](rest[0] if rest else ""), said)
    if Path(said).is_dir() or not _PLAIN.fullmatch(said):
        return checked(_of_model(said), said)
    return checked(_of_function(said), said, patient=False)


def checked(reward: Reward, said: str, patient: bool = True) -> Reward:
    """A reward whose faults are told in a line: it raises, or gives what is no number for each answer; or, where nobody is
    `patient`, it hangs. A model takes as long as it takes."""

    def found(answers: Sequence[Asked]) -> list[float]:
        given: Future[Any] = Future()
        # a thread of its own each time: one that hangs is left behind, also by a process that ends
        threading.Thread(target=_give, args=(given, reward, answers), name="reward", daemon=True).start()
        try:
            values = given.result(None if patient else _PATIENCE)
        except Late:
            raise DaedalError(
                f"The reward {said} gave no answer in {_PATIENCE:.0f} s", "Make it faster; the last checkpoint is kept"
            ) from None
        except DaedalError:
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # a person's own function
            raise DaedalError(
                f"The reward {said} failed ({_told(error)})", "Mend it; the last checkpoint is kept"
            ) from None
        return _numbers(values, len(answers), said)

    return found


def _give(given: Future[Any], reward: Reward, answers: Sequence[Asked]) -> None:
    """Ask a reward; a function that ends the process, or that a person stops, has failed too."""
    try:
        values = reward(answers)
        given.set_result(list(values) if isinstance(values, Iterable) else values)
    except BaseException as error:
        given.set_exception(error)


def _told(error: BaseException) -> str:
    """What a person's own code says of its fault, in a line."""
    return printable(f"{type(error).__name__}: {error}".rstrip(": "))[:300]


def _numbers(values: Any, count: int, said: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count:
        raise DaedalError(f"The reward {said} does not give a number for each answer", "Let it return a list of them")
    wrong = [place for place, number in enumerate(numbers) if not math.isfinite(number)]
    if wrong:
        raise DaedalError(
            f"The reward {said} is {numbers[wrong[0]]} for an answer", "Let it return finite numbers alone"
        )
    if numbers and max(map(abs, numbers)) > _MOST:
        raise DaedalError(
            f"The reward {said} is {max(numbers, key=abs):.3g} for an answer", f"Let it return at most {_MOST:.0e}"
        )
    return numbers


# -- rules -----------------------------------------------------------------------------------------------------------------


def _one_by_one(score: Callable[[Asked], float]) -> Reward:
    return lambda answers: [score(each) for each in answers]


def _length(argument: str) -> Reward:
    if not argument.isdecimal() or len(argument) > 9 or int(argument) < 1:
        raise DaedalError(f"rule:length needs a number of characters, and {argument!r} is none", "Say rule:length:80")
    wanted = int(argument)
    return _one_by_one(lambda each: -abs(len(each.text) - wanted) / wanted)


def _contains(argument: str) -> Reward:
    if not argument:
        raise DaedalError("rule:contains needs a text", "Say rule:contains:please")
    return _one_by_one(lambda each: float(argument.lower() in each.text.lower()))


def _regex(argument: str) -> Reward:
    try:
        pattern = regex.compile(argument, regex.DOTALL)
    except (regex.error, RecursionError, OverflowError) as error:
        raise DaedalError(f"rule:regex: {argument!r:.100} is no regular expression ({error})", "Correct it") from None

    def score(each: Asked) -> float:
        try:  # re would hold all threads, also the one that waits for it
            return float(pattern.fullmatch(each.text.strip(), timeout=_PATTERN_PATIENCE) is not None)
        except TimeoutError:
            raise DaedalError(
                f"rule:regex: {argument!r:.100} takes more than {_PATTERN_PATIENCE:.0f} s over an answer",
                "Write it without repeats inside of repeats, as in (a+)+",
            ) from None

    return _one_by_one(score)


def _json(argument: str) -> Reward:
    def score(each: Asked) -> float:
        try:
            json.loads(each.text)
        except (ValueError, RecursionError):
            return 0.0
        return 1.0

    return _one_by_one(score)


def _exact(argument: str) -> Reward:
    return _one_by_one(lambda each: float(each.known is not None and each.text.strip() == each.known.strip()))


def _arithmetic(argument: str) -> Reward:
    def score(each: Asked) -> float:
        asked = " ".join(str(message.get("content") or "") for message in each.messages[-1:])
        sums = _SUM.findall(asked)
        wanted = _value(sums[-1]) if sums else None
        said = _NUMBER.findall(each.text)
        return float(wanted is not None and bool(said) and abs(float(said[-1]) - wanted) < 1e-6)

    return _one_by_one(score)


_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


def _value(said: str) -> float | None:
    """What a sum comes to; None where it is none."""

    def of(node: ast.AST) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.BinOp():
                return _OPERATORS[type(node.op)](of(node.left), of(node.right))
            case ast.UnaryOp():
                return _OPERATORS[type(node.op)](of(node.operand))
        raise ValueError

    try:
        return of(ast.parse(said.strip(), mode="eval").body) if len(said) < 200 else None
    except (ValueError, KeyError, SyntaxError, ArithmeticError, RecursionError):
        return None


def _scenes(argument: str) -> Reward:
    from daedal.evaluation.worlds.composition import fits, share_shown

    if argument not in ("", "graded"):
        raise DaedalError(f"rule:scenes has no {argument!r}", "Say rule:scenes or rule:scenes:graded")
    judge = share_shown if argument else fits

    def score(each: Asked) -> float:
        if each.picture is None:
            raise DaedalError("rule:scenes judges pictures, and the answers are texts", "Choose another rule")
        return float(judge(each.known, each.picture))

    return _one_by_one(score)


def _tests(argument: str) -> Reward:
    from daedal.evaluation.code.problems import problem_of_tests
    from daedal.evaluation.code.program import Program
    from daedal.evaluation.code.sandbox import Sandbox

    if argument not in ("", "share"):
        raise DaedalError(f"rule:tests has no {argument!r}", "Say rule:tests or rule:tests:share")
    sandbox = Sandbox(option="")

    def score(answers: Sequence[Asked]) -> list[float]:
        programs = []
        for each in answers:
            asked = str(each.messages[-1].get("content") or "") if each.messages else ""
            problem = problem_of_tests(asked, str(each.known or ""))
            programs.append(Program(problem.program(each.text), problem.tests))
        found = [0.0] * len(programs)
        for place, outcome in sandbox.run(programs):
            steps = len(programs[place].tests.steps)
            found[place] = outcome.passed / steps if argument else float(outcome.ending == "passed")
        return found

    return score


def _class(argument: str) -> Reward:
    label, _, run = argument.partition(":")
    if not run:
        raise DaedalError("rule:class needs a label and a classifier", "Say rule:class:positive:RUN")
    from daedal.inference.generator import Generator

    judge = Generator.open(run)
    if "classify" not in judge.capabilities or label not in getattr(judge.model.config, "labels", ()):
        labels = ", ".join(getattr(judge.model.config, "labels", ())[:20])
        raise DaedalError(
            f"{run} tells no class {label!r}", f"Name a classifier and one of its labels{labels and f': {labels}'}"
        )

    def score(answers: Sequence[Asked]) -> list[float]:
        chances = [each.probabilities[label] for each in judge.classify([each.text or " " for each in answers])]
        return [math.log(max(1e-6, chance) / max(1e-6, 1 - chance)) for chance in chances]

    return score


_RULES: dict[str, Callable[[str], Reward]] = {
    "length": _length, "contains": _contains, "regex": _regex, "json": _json, "arithmetic": _arithmetic,
    "exact": _exact, "tests": _tests, "class": _class, "scenes": _scenes,
}  # fmt: skip


# -- models and functions --------------------------------------------------------------------------------------------------


def _of_model(said: str) -> Reward:
    from daedal.inference.generator import Generator

    judge = Generator.open(said)
    if "reward" not in judge.capabilities:
        raise DaedalError(
            f"{said} is a {judge.model.family}, which tells no rewards", "Name a run of daedal train reward"
        )

    def score(answers: Sequence[Asked]) -> list[float]:
        found: list[float] = judge.reward(
            [[*each.messages, {"role": "assistant", "content": each.text}] for each in answers]
        )
        return found

    return score


def _of_function(said: str) -> Reward:
    module, _, name = said.partition(":")
    sys.path.insert(0, "")  # beside where the command is given
    try:
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a person's own module
        raise DaedalError(
            f"The reward {said} cannot be imported ({_told(error)})",
            "Name it as module:function, or a rule, or a run of daedal train reward",
        ) from None
    finally:
        if "" in sys.path:
            sys.path.remove("")

    def score(answers: Sequence[Asked]) -> list[float]:
        given: list[float] = function(
            prompts=[copy.deepcopy(list(each.messages)) for each in answers],  # it may change what it is given
            completions=[each.text if each.picture is None else each.picture for each in answers],
            answers=[each.known for each in answers],
        )
        return given

    return score
