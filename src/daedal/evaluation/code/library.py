"""Finding code tasks: the built-in one by its name, and files of rows whose columns are MBPP's or HumanEval's."""

from pathlib import Path

from daedal.errors import DaedalError
from daedal.evaluation.code.functions import FUNCTIONS, function_task
from daedal.evaluation.code.problems import CodeTask, code_task, layout_of
from daedal.evaluation.tasks.data_files import FORMATS, rows
from daedal.printable import counted

BUILTIN = {FUNCTIONS: function_task}


def find(name: str | Path) -> CodeTask | None:
    """The code task of a name or a file; None where that is something else.

    Raises:
        DaedalError: a problem is faulty.
    """
    if str(name) in BUILTIN:
        return BUILTIN[str(name)]()
    path = Path(name)
    plain = path.name.removesuffix(".gz")
    if Path(plain).suffix.lower() not in FORMATS or not path.is_file():
        return None
    try:
        first = next(rows(path), None)
    except DaedalError:
        return None  # whoever reads it as something else says what is wrong
    if first is None or layout_of(list(first)) is None:
        return None
    return code_task(plain.rsplit(".", 1)[0], list(rows(path)), str(path))


def shown(task: CodeTask) -> str:
    """A task for people to read: its first problem, and what a program has to pass."""
    problem = task.problems[0]
    parts = [f"{len(names):,} of {part}" for part, names in task.parts.items()]
    lines = [
        f"{task.name}: {task.title}, {counted(len(task.problems), 'problem')}, {counted(task.shots, 'shot')}",
        *([", ".join(parts)] if parts else []),
        "  pass@k: whether one of k programs passes all tests of its problem, by the unbiased estimate",
        "",
        "asked:",
        str(task.question(problem, chat=False)),
        "",
        f"answers end at {', '.join(map(repr, task.stops))}",
        "",
        "tests:",
        *([problem.tests.setup.strip()] if problem.tests.setup.strip() else []),
        *problem.tests.steps,
    ]
    return "\n".join(lines)
