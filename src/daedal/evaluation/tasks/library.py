"""Finding tasks: built-in ones by name, files of YAML or of rows by path, and the groups of both."""

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.evaluation.tasks import recognised
from daedal.evaluation.tasks.builtin import BUILTIN
from daedal.evaluation.tasks.data_files import FORMATS, splits
from daedal.evaluation.tasks.task import Task
from daedal.evaluation.tasks.yaml_file import Located, Mark, definition_of, group_of, read, siblings
from daedal.marked_yaml import Place

_YAML = (".yaml", ".yml")
_PACKED = (".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z")


def find(name: str | Path) -> list[Task]:
    """The tasks of a name or a path: one, or those of a group or a folder.

    Args:
        name: a built-in task or a group of them, a pattern such as `in-context/*`, a file or a folder.

    Raises:
        DaedalError: there are none, or a file is wrong.
    """
    text = str(name)
    if text in BUILTIN:
        return [BUILTIN[text]()]
    if found := [make() for each, make in BUILTIN.items() if each.startswith(f"{text}/") or fnmatchcase(each, text)]:
        for task in found:
            task.group = text.removesuffix("/*")
        return found
    path = Path(name)
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix in _YAML and not each.name.startswith("_"))
        if not files:
            raise DaedalError(f"{path} holds no task files", "Put tasks there that end in .yaml")
        return [task for file in files if not _is_group(file) for task in of_file(file)]
    if path.is_file():
        return of_file(path)
    if path.suffix in _YAML or path.suffix in FORMATS or "/" in text:
        raise DaedalError(f"There is no task file {text}", "Correct the path, or see: daedal tasks")
    near = difflib.get_close_matches(text, [*BUILTIN, *groups()], n=1)
    raise DaedalError(f"There is no task {text}", f"Did you mean {near[0]}?" if near else "See: daedal tasks")


def groups() -> list[str]:
    """The names of groups of built-in tasks."""
    return sorted({name.rsplit("/", 1)[0] for name in BUILTIN if "/" in name})


def of_file(path: Path) -> list[Task]:
    """The tasks of a file."""
    if (path.suffix not in _YAML and path.name.removesuffix(".gz") != path.name) or path.suffix in FORMATS:
        return [recognised.read(path)]
    if path.suffix not in _YAML and path.suffix.lower() in _PACKED:
        raise DaedalError(
            f"{path} is no file of tasks or rows", f"Unpack it, and name a file in it: {', '.join(FORMATS)} or .yaml"
        )
    located = read(path)
    group = group_of(located)
    if group is None:
        return [_task(located, path, {})]
    found: list[Task] = []
    near = siblings(path.parent)
    for place, each in enumerate(group.tasks):
        changes: Mapping[str, Any] = {} if isinstance(each, str) else each
        name = each if isinstance(each, str) else str(each.get("task", ""))
        if isinstance(each, str) and name in BUILTIN:
            found.append(BUILTIN[name]())
        elif name in near and near[name] != path:
            below = of_file(near[name])
            found += below if not changes else [_task(read(near[name]), near[name], {**changes, "task": name})]
        elif not isinstance(each, str) and len(changes) > 1:
            at = ("task", place)
            inline = Located(dict(changes), _below(located.keys, at), _below(located.marks, at), located.texts)
            found.append(_task(inline, path, {}))
        else:
            raise located.fault(("task", place), f"there is no task {name} beside {path.name}", "Put its file there")
    for task in found:
        task.group = task.group or group.name
    return found


def _below(marks: Mapping[Place, Mark], path: Place) -> dict[Place, Mark]:
    """The marks below a value."""
    return {each[len(path) :]: mark for each, mark in marks.items() if each[: len(path)] == path}


def _is_group(path: Path) -> bool:
    return group_of(read(path)) is not None


def _task(located: Located, path: Path, changes: Mapping[str, Any]) -> Task:
    definition = definition_of(located, changes)
    if definition.dataset_path is None:
        raise located.fault((), f"task {definition.task} names no data", "Write dataset_path: json and data_files")
    folder = path.parent

    def rows() -> Mapping[str, Any]:
        assert definition.dataset_path is not None
        try:
            return splits(definition.dataset_path, definition.dataset_name, definition.dataset_kwargs, folder)
        except DaedalError as error:
            raise located.fault(("dataset_kwargs",), error.what, error.fix) from None

    return Task(definition, rows, located, str(path))
