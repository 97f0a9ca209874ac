"""A program with its tests, what it may use, and how it fared: what goes into a `Sandbox` and what comes out."""

import ast
import builtins
import sys
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field

from daedal.config import Config

Ending = Literal["passed", "failed", "raised", "no Python", "ended", "timeout"]


class Limits(Config):
    """What a program may use.

    Attributes:
        seconds: by the clock, its tests included, and of processor time for each of its processes.
        memory: bytes of address space of each of its processes.
        processes: and threads, all together.
        files: that are open at once in a process.
        file_bytes: of a file, and of all that it prints.
        scratch_bytes: of all files together.
        output_bytes: of what it prints that are kept.
    """

    seconds: float = Field(5.0, gt=0, le=3600)
    memory: int = Field(2**29, ge=2**26)
    processes: int = Field(8, ge=1, le=1000)
    files: int = Field(64, ge=16, le=1000)
    file_bytes: int = Field(2**24, ge=2**12)
    scratch_bytes: int = Field(2**25, ge=2**12)
    output_bytes: int = Field(2**14, ge=0)


class Tests(Config):
    """What a program has to pass.

    Attributes:
        steps: statements, each a test: an `assert`, or a call of a function that `setup` defines.
        setup: what is run before them, in their process.
        names: what the program is to define; its own functions and classes are called from the tests' process.
        imports: statements; those of what is not installed are left out.
        modules: of the standard library, under their names.
    """

    __test__ = False  # it is none of pytest's
    steps: tuple[str, ...] = ()
    setup: str = ""
    names: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @classmethod
    def of(cls, steps: Sequence[str], setup: str = "", reference: str = "", names: Sequence[str] = ()) -> Self:
        """Tests that say only what they say: what they use and do not define themselves is the program's.

        A name of Python's own or of a module never is the program's unless the reference defines it, or else a program could
        say what `set` and `math.isclose` do.

        Args:
            reference: a program that passes, if there is one: tests may use what it imports.
            names: the program's for sure, also where Python has them too.

        Raises:
            SyntaxError: they are no Python.
        """
        imports = _imports(reference)
        known = {name for each in imports for name in _bound(ast.parse(each))}
        trees = [ast.parse(each) for each in (setup, *steps)]
        bound = {name for tree in trees for name in _bound(tree)}
        used = {
            n.id for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
        }
        free = used - bound - known
        defined = (free & set(_defined(reference))) | set(names)
        modules = (free & sys.stdlib_module_names) - defined
        rest = free - modules - set(vars(builtins))
        return cls(
            steps=tuple(steps), setup=setup, names=tuple(sorted(rest | defined)), imports=imports,
            modules=tuple(sorted(modules)),
        )  # fmt: skip


class Program(NamedTuple):
    """A program and its tests."""

    source: str
    tests: Tests = Tests()


class Outcome(Config):
    """How a program fared.

    Attributes:
        ending: "passed"; "failed" an assertion; "raised" an exception; "no Python" where it does not parse; "ended" of itself,
            or killed by a limit; "timeout".
        passed: how many steps of its tests.
        message: what went wrong.
        seconds: by the clock.
        output: what it printed, cut.
    """

    ending: Ending
    passed: int = 0
    message: str = ""
    seconds: float = 0.0
    output: str = ""


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return []


def _imports(source: str) -> tuple[str, ...]:
    """The imports of a program, each as a statement."""
    return tuple(
        ast.unparse(each)
        for each in _statements(source)
        if isinstance(each, ast.Import) or (isinstance(each, ast.ImportFrom) and each.module != "__future__")
    )


def _defined(source: str) -> Iterator[str]:
    """Functions, classes and names that a program has at its top."""
    for each in _statements(source):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            yield from _bound(each)


def _bound(tree: ast.AST) -> Iterator[str]:
    """Names that something defines or sets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for each in node.names:
                yield (each.asname or each.name).split(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
