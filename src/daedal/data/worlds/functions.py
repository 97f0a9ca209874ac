'''Small Python functions without end, each with a docstring that says what it does, for small models to learn from.

    def solve(n):
        """Take n, add 3, then multiply by 4."""
        n = n + 3
        return n * 4

- a function is one to three steps (`STEPS`), each of a kind with its own parameter; they lead from a number, a text or a list
  through such values to another
- a **family** is the kinds of its steps in their order. One pair of kinds in eight is held out, by a hash, and with it the
  families where one follows the other: what they do is seen, but never together
- of every other family that has parameters one function in eight is held out, by a hash of its steps and their parameters,
  whatever it is called and however it is told
- function `number` of a seed is a pure function of both. The source `python-functions:N` gives N documents of functions that
  are not held out; `problems` gives those that are, with tests
'''

import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, Literal, NamedTuple

DOCUMENT = 12
_TESTS = 6
_ONE_PAIR_IN, _ONE_FUNCTION_IN = 8, 8

Type = Literal["number", "text", "list", "truth"]
Part = Literal["seen families", "new families"]

_NAMES = ("f", "g", "solve", "compute", "make", "change", "run", "work", "answer", "result")
_ARGUMENTS: dict[Type, tuple[str, ...]] = {
    "number": ("n", "x", "number", "value"), "text": ("s", "text", "word", "line"),
    "list": ("items", "values", "numbers", "xs"),
}  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORDS = (
    "an", "be", "cat", "dog", "egg", "fog", "go", "hen", "ink", "jam", "key", "lamp", "man", "nut", "oak", "pin", "red", "sun",
    "tea", "up", "van", "wax", "yes", "zoo", "ship", "moon", "tree", "bird", "fish", "rain",
)  # fmt: skip


class Step(NamedTuple):
    """A kind of step.

    Attributes:
        takes, gives: types of values.
        says: phrasings in the imperative, with `{p}` and `{q}` for its parameters.
        code: an expression of the value, `{v}`.
        does: the same, done.
        draw: parameters, or none.
    """

    takes: Type
    gives: Type
    says: tuple[str, ...]
    code: str
    does: Callable[..., Any]
    draw: Callable[[Random], tuple[Any, ...]] = lambda _: ()


def _up_to(most: int, least: int = 1) -> Callable[[Random], tuple[int]]:
    return lambda random: (random.randint(least, most),)


def _word(random: Random) -> tuple[str]:
    return (random.choice(_WORDS),)


def _letter(random: Random) -> tuple[str]:
    return (random.choice(_LETTERS),)


def _letters(random: Random) -> tuple[str, ...]:
    return tuple(random.sample(_LETTERS, 2))


STEPS: dict[str, Step] = {
    "add": Step("number", "number", ("add {p}", "increase it by {p}"), "{v} + {p}", lambda v, p: v + p, _up_to(60)),
    "subtract": Step("number", "number", ("subtract {p}", "take away {p}"), "{v} - {p}", lambda v, p: v - p, _up_to(60)),
    "multiply": Step("number", "number", ("multiply by {p}",), "{v} * {p}", lambda v, p: v * p, _up_to(20, 2)),
    "remainder": Step("number", "number", ("take the remainder by {p}",), "{v} % {p}", lambda v, p: v % p, _up_to(20, 2)),
    "at most": Step("number", "number", ("keep it at most {p}",), "min({v}, {p})", lambda v, p: min(v, p), _up_to(60, 5)),
    "at least": Step("number", "number", ("keep it at least {p}",), "max({v}, {p})", lambda v, p: max(v, p), _up_to(60, 5)),
    "square": Step("number", "number", ("square it",), "{v} ** 2", lambda v: v**2),
    "digit sum": Step(
        "number", "number", ("sum its digits",), "sum(int(d) for d in str(abs({v})))",
        lambda v: sum(int(d) for d in str(abs(v))),
    ),
    "as text": Step("number", "text", ("write it as text",), "str({v})", str),
    "divisible": Step(
        "number", "truth", ("tell whether {p} divides it",), "{v} % {p} == 0", lambda v, p: v % p == 0, _up_to(9, 2)
    ),
    "greater": Step(
        "number", "truth", ("tell whether it is greater than {p}",), "{v} > {p}", lambda v, p: v > p, _up_to(60)
    ),
    "reverse text": Step("text", "text", ("reverse it",), "{v}[::-1]", lambda v: v[::-1]),
    "upper": Step("text", "text", ("put it in upper case",), "{v}.upper()", lambda v: v.upper()),
    "repeat": Step("text", "text", ("repeat it {p} times",), "{v} * {p}", lambda v, p: v * p, _up_to(6, 2)),
    "first letters": Step("text", "text", ("keep the first {p} letters",), "{v}[:{p}]", lambda v, p: v[:p], _up_to(6, 2)),
    "last letters": Step("text", "text", ("keep the last {p} letters",), "{v}[-{p}:]", lambda v, p: v[-p:], _up_to(6, 2)),
    "without letters": Step("text", "text", ("drop the first {p} letters",), "{v}[{p}:]", lambda v, p: v[p:], _up_to(5, 2)),
    "append": Step("text", "text", ("append '{p}'", "put '{p}' behind it"), "{v} + '{p}'", lambda v, p: v + p, _word),
    "prepend": Step("text", "text", ("prepend '{p}'", "put '{p}' before it"), "'{p}' + {v}", lambda v, p: p + v, _word),
    "replace": Step(
        "text", "text", ("replace '{p}' by '{q}'",), "{v}.replace('{p}', '{q}')", lambda v, p, q: v.replace(p, q), _letters
    ),
    "remove": Step("text", "text", ("remove every '{p}'",), "{v}.replace('{p}', '')", lambda v, p: v.replace(p, ""), _letter),
    "length": Step("text", "number", ("take its length",), "len({v})", len),
    "count letter": Step("text", "number", ("count the letter '{p}'",), "{v}.count('{p}')", lambda v, p: v.count(p), _letter),
    "contains": Step("text", "truth", ("tell whether '{p}' is in it",), "'{p}' in {v}", lambda v, p: p in v, _letter),
    "add to each": Step(
        "list", "list", ("add {p} to each",), "[i + {p} for i in {v}]", lambda v, p: [i + p for i in v], _up_to(60)
    ),
    "multiply each": Step(
        "list", "list", ("multiply each by {p}",), "[i * {p} for i in {v}]", lambda v, p: [i * p for i in v], _up_to(20, 2)
    ),
    "keep greater": Step(
        "list", "list", ("keep those greater than {p}",), "[i for i in {v} if i > {p}]", lambda v, p: [i for i in v if i > p],
        _up_to(40),
    ),
    "keep smaller": Step(
        "list", "list", ("keep those smaller than {p}",), "[i for i in {v} if i < {p}]", lambda v, p: [i for i in v if i < p],
        _up_to(60, 10),
    ),
    "keep divisible": Step(
        "list", "list", ("keep those that {p} divides",), "[i for i in {v} if i % {p} == 0]",
        lambda v, p: [i for i in v if i % p == 0], _up_to(6, 2),
    ),
    "sort": Step("list", "list", ("sort it",), "sorted({v})", sorted),
    "sort down": Step(
        "list", "list", ("sort it downwards",), "sorted({v}, reverse=True)", lambda v: sorted(v, reverse=True)
    ),
    "reverse list": Step("list", "list", ("turn it round",), "{v}[::-1]", lambda v: v[::-1]),
    "first items": Step("list", "list", ("keep the first {p}",), "{v}[:{p}]", lambda v, p: v[:p], _up_to(6, 2)),
    "last items": Step("list", "list", ("keep the last {p}",), "{v}[-{p}:]", lambda v, p: v[-p:], _up_to(6, 2)),
    "append item": Step("list", "list", ("append {p}",), "{v} + [{p}]", lambda v, p: [*v, p], _up_to(60)),
    "sum": Step("list", "number", ("sum it up",), "sum({v})", sum),
    "count items": Step("list", "number", ("count them",), "len({v})", len),
    "largest": Step("list", "number", ("take the largest, or 0",), "max({v}, default=0)", lambda v: max(v, default=0)),
    "smallest": Step("list", "number", ("take the smallest, or 0",), "min({v}, default=0)", lambda v: min(v, default=0)),
    "has item": Step("list", "truth", ("tell whether {p} is in it",), "{p} in {v}", lambda v, p: p in v, _up_to(40)),
}  # fmt: skip

Family = tuple[str, ...]


class Function(NamedTuple):
    """A function.

    Attributes:
        steps: kinds and parameters.
        head: up to the end of its docstring's line.
        body: the lines below.
    """

    steps: tuple[tuple[str, tuple[Any, ...]], ...]
    name: str
    head: str
    body: str

    @property
    def family(self) -> Family:
        return tuple(kind for kind, _ in self.steps)

    def __call__(self, value: Any) -> Any:
        """What it gives."""
        for kind, parameters in self.steps:
            value = STEPS[kind].does(value, *parameters)
        return value


class FunctionProblem(NamedTuple):
    """A function that is held out, with the asserts that tell it from others."""

    function: Function
    part: Part
    tests: tuple[str, ...]


@cache
def _from(type_: Type) -> tuple[str, ...]:
    return tuple(kind for kind, step in STEPS.items() if step.takes == type_)


def _share(what: Any, one_in: int) -> bool:
    return int.from_bytes(hashlib.sha256(json.dumps(what).encode()).digest()[:8]) % one_in == 0


def is_new(family: Family) -> bool:
    """Whether a family is held out as a whole: two of its kinds that follow one another are."""
    return any(_share(pair, _ONE_PAIR_IN) for pair in pairwise(family))


def part_of(function: Function) -> Part | None:
    """The part of the test problems that a function belongs to; None where it may be learned from."""
    if is_new(function.family):
        return "new families"
    varied = any(parameters for _, parameters in function.steps)
    return "seen families" if varied and _share(function.steps, _ONE_FUNCTION_IN) else None


def function(number: int, seed: int) -> Function:
    """A function by chance."""
    random = Random(f"python-functions/{seed}/{number}")
    type_: Type = random.choice(("number", "text", "list"))
    argument = random.choice(_ARGUMENTS[type_])
    steps: list[tuple[str, tuple[Any, ...]]] = []
    for _ in range(random.choices((1, 2, 3), (2, 5, 3))[0]):
        kind = random.choice([each for each in _from(type_) if not steps or each != steps[-1][0]])
        steps.append((kind, STEPS[kind].draw(random)))
        type_ = STEPS[kind].gives
        if type_ == "truth":
            break
    return _written(tuple(steps), argument, random)


def _written(steps: tuple[tuple[str, tuple[Any, ...]], ...], argument: str, random: Random) -> Function:
    said, lines = [], []
    for kind, parameters in steps:
        values = dict(zip("pq", parameters, strict=False))
        said.append(random.choice(STEPS[kind].says).format(**values))
        lines.append(STEPS[kind].code.format(v=argument, **values))
    name = random.choice(_NAMES)
    head = f'def {name}({argument}):\n    """Take {argument}, {", then ".join(said)}."""\n'
    body = "".join(f"    {argument} = {line}\n" for line in lines[:-1]) + f"    return {lines[-1]}\n"
    return Function(steps, name, head, body)


def problems(count: int, seed: int = 0) -> list[FunctionProblem]:
    """Functions that are held out, so many of each part, and no two of the same steps and parameters."""
    found: dict[Part, dict[Any, FunctionProblem]] = {"seen families": {}, "new families": {}}
    number = 0
    while any(len(each) < count for each in found.values()):
        made = function(number, seed)
        number += 1
        part = part_of(made)
        if part is None or len(found[part]) >= count or made.steps in found[part]:
            continue
        tests = _tests(made, Random(f"tests/{seed}/{number}"))
        if tests is not None:
            found[part][made.steps] = FunctionProblem(made, part, tests)
    return [each for part in found.values() for each in part.values()]


def _tests(made: Function, random: Random) -> tuple[str, ...] | None:
    """Asserts that a function fails which always gives the same, or leaves out a step; None where none were found."""
    for _ in range(20):
        inputs = [_input(STEPS[made.steps[0][0]].takes, made, random) for _ in range(_TESTS)]
        outputs = [made(each) for each in inputs]
        fewer = [made._replace(steps=made.steps[:n] + made.steps[n + 1 :]) for n in range(len(made.steps))]
        if len({repr(each) for each in outputs}) > 1 and all(_differs(each, inputs, outputs) for each in fewer):
            return tuple(
                f"assert {made.name}({one!r}) == {other!r}" for one, other in zip(inputs, outputs, strict=True)
            )
    return None


def _differs(other: Function, inputs: list[Any], outputs: list[Any]) -> bool:
    try:
        return [other(each) for each in inputs] != outputs
    except (TypeError, AttributeError):  # the types do not fit without that step
        return True


def _input(type_: Type, made: Function, random: Random) -> Any:
    parameters = [each for _, values in made.steps for each in values]
    numbers = [each for each in parameters if isinstance(each, int)]
    if type_ == "number":
        return (
            random.choice(numbers) + random.randint(-2, 2)
            if numbers and random.random() < 0.3
            else random.randint(-50, 150)
        )
    if type_ == "list":
        near = [each + random.randint(-1, 1) for each in numbers]
        near += [random.randint(-20, 80) for _ in range(random.randint(3, 9))]
        return random.sample(near, len(near))
    letters = [letter for each in parameters if isinstance(each, str) for letter in each]
    drawn = [random.choice(_LETTERS) for _ in range(random.randint(4, 10))] + random.choices(
        letters, k=3 * bool(letters)
    )
    return "".join(random.sample(drawn, len(drawn)))


# -- documents ---------------------------------------------------------------------------------------------------------------


def document(number: int) -> str:
    """Some functions that are not held out, one after the other."""
    texts: list[str] = []
    at = number * 1000
    while len(texts) < DOCUMENT:
        made = function(at, 1)
        at += 1
        if part_of(made) is None:
            texts.append(made.head + made.body)
    return "\n\n".join(texts)
