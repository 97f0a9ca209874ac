"""Text that comes with every Python: its library's source code, and the documentation in it."""

import ast
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from daedal.data.document import Lost, Raw
from daedal.errors import DaedalError

BUILTINS = ("python-docs", "python-code")
MADE = ("python-functions", "in-context")
"""Made by name (`made_text.py`); how many documents may follow, as `python-functions:1000`."""
LICENCE = "PSF-2.0"
_NOT_LIBRARY = frozenset(("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "__phello__"))


def is_builtin_text(source: str) -> bool:
    """Whether a source is text that is built in."""
    return source in BUILTINS or source.partition(":")[0] in MADE


def library_files() -> list[tuple[str, Path]]:
    """Names, as `json/decoder.py`, and paths of the .py files of the standard library, its tests left out.

    Raises:
        DaedalError: this Python came without them.
    """
    root = sysconfig.get_paths()["stdlib"]
    files = []
    for base, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_LIBRARY]
        files += [Path(base, name) for name in names if name.endswith(".py")]
    if not files:
        raise DaedalError(f"This Python has no library source in {root}", "Give files or folders of your own")
    return sorted((path.relative_to(root).as_posix(), path) for path in files)


def read_docstrings(label: str, path: Path) -> Iterator[Raw | Lost]:
    """The docstrings of a module, its classes and functions as one document, each under its name and signature."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        yield Lost(label, "broken file", str(error)[:200], broken=False)
        return
    sections = []
    if doc := ast.get_docstring(tree):
        sections.append(doc)
    for node, owner in _definitions(tree, ""):
        if doc := ast.get_docstring(node):
            sections.append(f"{_title(node, owner)}\n\n{doc}")
    if sections:
        module = label.split("/", 1)[-1].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        yield Raw(label, -1, f"{module}\n\n" + "\n\n\n".join(sections) + "\n", "prose", "Python documentation")


def read_topics(label: str) -> Iterator[Raw]:
    """The chapters of the language reference that `help()` shows."""
    from pydoc_data.topics import topics

    for number, name in enumerate(sorted(topics)):
        yield Raw(label, number, topics[name].strip("\n") + "\n", "prose", "Python documentation")


_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _definitions(node: ast.AST, owner: str) -> Iterator[tuple[_Definition, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Definition):
            yield child, owner
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, f"{owner}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from _definitions(child, owner)


def _title(node: _Definition, owner: str) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {owner}{node.name}" + (f"({bases})" if bases else "")
    return f"{owner}{node.name}({ast.unparse(node.args)})"
