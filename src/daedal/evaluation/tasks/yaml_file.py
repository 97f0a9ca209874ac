"""Task files in the YAML of lm-evaluation-harness, those that run no Python, so that its tasks run here as they are.

Every mistake is told with the file, the line and the column. `!function`, which names Python to run, is refused.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from daedal import marked_yaml
from daedal.errors import DaedalError
from daedal.evaluation.tasks.definition import Definition
from daedal.files import read_bytes
from daedal.marked_yaml import Place

_MOST = 2**24
_PYTHON = {
    "process_docs": "prepare the rows in the file", "process_results": "name a built-in metric",
    "custom_dataset": "name a file in dataset_kwargs", "use_prompt": "write the prompt as doc_to_text",
    "doc_to_image": "ask of texts alone", "doc_to_audio": "ask of texts alone",
}  # fmt: skip
_OF_GROUPS = ("group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata", "include")
_IGNORED = ("unsafe_code", "group_alias", "task_alias")
_TASK_FILES = (".yaml", ".yml")


class Mark(NamedTuple):
    """A place in a file; lines and columns from 1 on."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, column {self.column}"


class Located:
    """The values of a file and of those that it includes, and where each stands.

    Attributes:
        keys, marks: where the name of a value stands, and itself.
        texts: of the files, to find a word behind a place.
    """

    def __init__(
        self, values: dict[str, Any], keys: dict[Place, Mark], marks: dict[Place, Mark], texts: dict[Path, str]
    ) -> None:
        self.values, self.keys, self.marks, self.texts = values, keys, marks, texts

    def mark(self, path: Place, key: bool = False) -> Mark | None:
        """Where a value stands, or what it is part of."""
        known = self.keys if key else self.marks
        return next((known[path[:length]] for length in range(len(path), -1, -1) if path[:length] in known), None)

    def word(self, path: Place, word: str) -> Mark | None:
        """Where a word stands in a value, or the value."""
        mark = self.mark(path)
        if mark is None:
            return None
        lines = self.texts[mark.file].splitlines(keepends=True)
        start = sum(map(len, lines[: mark.line - 1])) + mark.column - 1
        text = self.texts[mark.file]
        found = re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text[start:])
        if found is None:
            return mark
        before = text[: start + found.start()]
        return Mark(mark.file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)

    def fault(self, path: Place, what: str, fix: str, word: str | None = None) -> DaedalError:
        """A mistake at a value, or at a word of it."""
        mark = self.mark(path) if word is None else self.word(path, word)
        return DaedalError(f"{mark}: {what}" if mark else what, fix)


class Group(NamedTuple):
    """Tasks under a name.

    Attributes:
        tasks: names, or the fields of a task, those of a named one changed.
    """

    name: str
    tasks: tuple[str | Mapping[str, Any], ...]


def read(path: Path) -> Located:
    """The values of a YAML file with those that it includes, which its own replace.

    Raises:
        DaedalError: it cannot be read, is no mapping, runs Python, or includes itself.
    """
    return _read(path, ())


def _read(path: Path, above: tuple[Path, ...]) -> Located:
    if path.resolve() in above:
        raise DaedalError(f"{path} includes itself", "Break the circle of include")
    document = marked_yaml.read(
        path, refused={"!function": "Task files run no Python: use Jinja, or a built-in metric"}
    )
    if not isinstance(document.value, dict):
        raise DaedalError(f"{path} is no task: its YAML is no mapping of fields", "Begin with task: NAME")
    values = dict(document.value)
    keys = {place: Mark(path, mark.line + 1, mark.column + 1) for place, mark in document.marks.items()}
    marks = {place: Mark(path, mark.text_line + 1, mark.text_column + 1) for place, mark in document.marks.items()}
    texts = {path: read_bytes(path, _MOST).decode("utf-8-sig")}
    included = values.pop("include", None)
    for name in included if isinstance(included, list) else [] if included is None else [included]:
        if not isinstance(name, str):
            raise document.error(("include",), f"{str(name)[:60]!r} is no file", "Include a file by its name")
        below = _read(path.parent / name, (*above, path.resolve()))
        for field, value in below.values.items():
            if field not in values:
                values[field] = value
                keys |= {each: mark for each, mark in below.keys.items() if each[:1] == (field,)}
                marks |= {each: mark for each, mark in below.marks.items() if each[:1] == (field,)}
        texts |= below.texts
    return Located(values, keys, marks, texts)


def group_of(found: Located) -> Group | None:
    """The group that a file defines, or None where it defines a task."""
    values = found.values
    tasks = values.get("task")
    if "group" not in values and not isinstance(tasks, list):
        return None
    for field in values:
        if field not in _OF_GROUPS:
            raise _unknown(found, (field,), _OF_GROUPS, "a group")
    if not isinstance(tasks, list) or not tasks:
        raise found.fault(("task",), "a group needs a list of tasks", "Write task: [NAME, NAME]")
    for place, each in enumerate(tasks):
        if not isinstance(each, str | dict):
            raise found.fault(("task", place), f"{each!r} is no task", "Name a task, or write its fields")
    return Group(str(values.get("group") or found.values.get("tag") or "group"), tuple(tasks))


def definition_of(found: Located, changes: Mapping[str, Any] | None = None) -> Definition:
    """The task that a file defines.

    Args:
        changes: fields in place of its own.

    Raises:
        DaedalError: a field is not known, or has no sense; with its line and column.
    """
    values = {**found.values, **(changes or {})}
    for field, fix in _PYTHON.items():
        if values.get(field) is not None:
            raise found.fault((field,), f"{field} is not supported", fix[:1].upper() + fix[1:])
    for field in _IGNORED:
        values.pop(field, None)
    if not isinstance(values.get("task"), str) or not values["task"].strip():
        raise found.fault(("task",), "the task has no name", "Write task: NAME")
    try:
        return Definition.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # Of a union, pydantic adds which member it tried
        path = tuple(part for part in first["loc"] if (*first["loc"],)[:1] != ("",))
        if first["type"] == "extra_forbidden":
            raise _unknown(found, path, _known(path), f"task {values['task']}") from None
        message = first["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in path) or "the task"
        raise found.fault(path, f"{name}: {message}", "Correct that value") from None


def _known(path: Place) -> tuple[str, ...]:
    """The fields where an unknown one was found."""
    model: Any = Definition
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        model = None if field is None else _model_in(field.annotation)
        if model is None:
            return ()
    return tuple(model.model_fields)


def _model_in(annotation: Any) -> Any:
    """The configuration that an annotation names."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next((found for each in getattr(annotation, "__args__", ()) if (found := _model_in(each))), None)


def _unknown(found: Located, path: Place, known: tuple[str, ...], of: str) -> DaedalError:
    name = str(path[-1])
    near = difflib.get_close_matches(name, known, n=1)
    fix = f"Did you mean {near[0]}?" if near else "Remove it"
    return DaedalError(f"{found.mark(path, key=True)}: {of} has no field {name}", fix)


def siblings(folder: Path) -> dict[str, Path]:
    """The task files of a folder and those below it, by the names of their tasks and groups."""
    found: dict[str, Path] = {}
    for file in sorted(each for each in folder.rglob("*") if each.suffix in _TASK_FILES and each.is_file()):
        for name in re.findall(r"^(?:task|group):[ \t]*[\"']?([^\s\"'#\[]+)", file.read_text("utf-8", "replace"), re.M):
            found.setdefault(name, file)
    return found
