"""Two processes of the sandbox: one runs a program and then answers calls, the other runs the tests and calls it.

The program's process never has the tests in its memory, and the judge's has no object of the program's: what it tests are
values that it made itself of the data that came (`values.py`), and the verdict goes to `server.py` by a pipe that the program
has not. So to leave early, to print "ok", to change what a module or `__eq__` does, or to look for the tests gains a program
nothing: it has to give the right values.

They run inside of the sandbox, so they need the standard library alone.
"""

import builtins
import contextlib
import importlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from daedal.evaluation.code.values import Line, decode, encode

PASSED, FAILED, RAISED, UNPARSED, ENDED = "passed", "failed", "raised", "no Python", "ended"
_PROGRAM, _TESTS = "<program>", "<tests>"
_SHOWN = 300  # characters of a message


class Fault(Exception):
    """An exception of the program's, of a type that is not Python's own."""


# -- the program -----------------------------------------------------------------------------------------------------------


def run_program(source: str, line: Line) -> None:
    """Run a program, and do what the judge asks until it is gone."""
    namespace: dict[str, Any] = {"__name__": "program", "__builtins__": builtins}
    try:
        code = compile(source, _PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        line.say([UNPARSED, _said(error)])
        return
    try:
        exec(code, namespace)
    except SystemExit:
        _flush()
        line.say([ENDED, "the program ended itself"])
        return
    except BaseException as error:
        _flush()
        line.say([RAISED, _said(error)])
        return
    _flush()
    line.say(["ready"])
    _Kept(namespace, line).answer()


class _Kept:
    """The program's side: what it defined, and the objects that the judge has handles on."""

    def __init__(self, namespace: dict[str, Any], line: Line) -> None:
        self._namespace, self._line = namespace, line
        self._objects: list[Any] = []

    def answer(self) -> None:
        while True:
            try:
                request = self._line.hear()
            except EOFError:
                return
            try:
                answer = self._do(*request)
                _flush()
                self._line.say(answer)
            except Exception as error:
                _flush()
                self._line.say(["raised", [each.__name__ for each in type(error).__mro__], _text(error)])

    def _do(self, what: str, *rest: Any) -> list[Any]:
        if what == "name":
            if rest[0] not in self._namespace:
                return ["none"]
            return ["is", encode(self._namespace[rest[0]], self._keep)]
        one = self._objects[rest[0]]
        if what == "get":
            return ["is", encode(getattr(one, rest[1]), self._keep)]
        if what == "set":
            setattr(one, rest[1], decode(rest[2], self._kept))
            return ["is", None]
        if what == "next":
            try:
                return ["is", encode(next(one), self._keep)]
            except StopIteration:
                return ["none"]
        arguments = decode(rest[1], self._kept)
        named = decode(rest[2], self._kept)
        made = encode(one(*arguments, **named), self._keep)
        after = encode(arguments, self._keep)
        return ["is", made] if after == rest[1] else ["is", made, after]

    def _keep(self, value: object) -> list[Any]:
        try:
            truth = bool(value)
        except Exception:
            truth = True
        self._objects.append(value)
        return ["handle", len(self._objects) - 1, truth, isinstance(value, Iterator)]

    def _kept(self, value: list[Any]) -> Any:
        if value[0] != "handle":
            raise ValueError(value[0])
        return self._objects[value[1]]


# -- the judge -------------------------------------------------------------------------------------------------------------


class StandIn:
    """The judge's side of an object that is the program's: it can be called, asked for attributes, and gone through. It equals
    nothing but itself."""

    __slots__ = ("_handle", "_line", "_truth")

    def __init__(self, line: Line, handle: int, truth: bool) -> None:
        for name, value in (("_line", line), ("_handle", handle), ("_truth", truth)):
            object.__setattr__(self, name, value)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        found = _ask(self._line, ["call", self._handle, encode(list(arguments), _handle), encode(named, _handle)])
        if len(found) > 2:
            for own, changed in zip(arguments, decode(found[2], _reader(self._line)), strict=True):
                _change(own, changed)
        return decode(found[1], _reader(self._line))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return decode(_ask(self._line, ["get", self._handle, name])[1], _reader(self._line))

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self._line, ["set", self._handle, name, encode(value, _handle)])

    def __bool__(self) -> bool:
        return bool(self._truth)


class _Stream(StandIn):
    """An iterator of the program's."""

    __slots__ = ()

    def __iter__(self) -> "_Stream":
        return self

    def __next__(self) -> Any:
        found = _ask(self._line, ["next", self._handle])
        if found[0] == "none":
            raise StopIteration
        return decode(found[1], _reader(self._line))


def _handle(value: object) -> list[Any]:
    if isinstance(value, StandIn):
        return ["handle", value._handle]
    raise TypeError(f"a test hands over a {type(value).__name__}, which cannot leave its process")


def _reader(line: Line) -> Any:
    def read(value: list[Any]) -> StandIn:
        kind, handle, truth, stream = value
        if kind != "handle":
            raise ValueError(kind)
        return (_Stream if stream else StandIn)(line, handle, truth)

    return read


def _change(own: Any, changed: Any) -> None:
    """Let an argument be what the program made of it."""
    if isinstance(own, list | bytearray) and isinstance(changed, list | bytearray):
        own[:] = changed
    elif isinstance(own, dict | set) and type(changed) is type(own):
        own.clear()
        own.update(changed)


def _ask(line: Line, request: list[Any]) -> list[Any]:
    line.say(request)
    found: list[Any] = line.hear()
    if found[0] == "raised":
        kinds = (vars(builtins).get(name) for name in found[1])
        kind = next((each for each in kinds if isinstance(each, type) and issubclass(each, Exception)), Fault)
        try:
            raised = kind(str(found[2]))
        except TypeError:  # one that takes more than a text
            raised = Fault(str(found[2]))
        raise raised
    return found


def judge(tests: dict[str, Any], line: Line) -> list[Any]:
    """Run the tests against the program.

    Args:
        tests: `names` that the program is to define, `modules` and `setup` to have before, and the `steps`.

    Returns:
        How it ended, how many steps were passed, and what went wrong.
    """
    passed = 0
    try:
        said = line.hear()
        if said[0] != "ready":
            return [said[0] if said[0] in (UNPARSED, ENDED) else RAISED, 0, str(said[1])[:_SHOWN]]
        namespace: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
        for name in tests["modules"]:
            if name in sys.stdlib_module_names:
                namespace[name] = importlib.import_module(name)
        for statement in tests["imports"]:
            try:
                exec(statement, namespace)
            except ImportError:
                continue
        for name in tests["names"]:
            found = _ask(line, ["name", name])
            if found[0] == "is":
                namespace[name] = decode(found[1], _reader(line))
        exec(compile(tests["setup"], _TESTS, "exec"), namespace)
        for step in tests["steps"]:
            exec(compile(step, _TESTS, "exec"), namespace)
            passed += 1
    except AssertionError as error:
        return [FAILED, passed, (_said(error) if str(error) else _step(tests, passed))[:_SHOWN]]
    except (EOFError, BrokenPipeError):
        return [ENDED, passed, "the program's process ended"]
    except BaseException as error:
        return [RAISED, passed, _said(error)]
    return [PASSED, passed, ""]


def _flush() -> None:
    """Have written what the program printed: it may be killed at any time."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()


def _step(tests: dict[str, Any], passed: int) -> str:
    return str(tests["steps"][passed]).strip() if passed < len(tests["steps"]) else "the setup of the tests"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_SHOWN]
    except Exception:
        return ""


def _said(error: BaseException) -> str:
    """An exception in a line; making it one may run what the program wrote."""
    try:
        return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1][:_SHOWN]
    except Exception:
        return type(error).__name__[:_SHOWN]
