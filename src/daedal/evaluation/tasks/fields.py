"""What the fields of a task say of an item: a column, a Jinja template, a number or a list, by lm-eval's rules."""

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jinja2
import regex
from jinja2 import meta

from daedal.codecs.jinja import Sandbox
from daedal.errors import DaedalError
from daedal.evaluation.tasks.definition import Definition, Template
from daedal.evaluation.tasks.yaml_file import Located
from daedal.printable import printable

Row = Mapping[str, Any]
SECONDS = 5.0
"""What a regular expression of a task file may take."""


def regex_replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    """Jinja's filter of lm-eval."""
    return str(regex.sub(pattern, replacement, text, count=count, timeout=SECONDS))


def _said(error: Exception) -> str:
    return printable(str(error) or type(error).__name__)[:200]


def _is_number(text: str) -> bool:
    """Whether a text is the number of a choice: `"²".isdigit()` is true, and `int` refuses thousands of digits."""
    return text.isdecimal() and len(text) < 10


@cache
def environment() -> Sandbox:
    """Jinja for task files."""
    found = Sandbox(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    found.filters["regex_replace"] = regex_replace
    return found


class Fields:
    """The fields of a task, ready to be asked of items.

    Args:
        columns: that the items have.
        located: where the fields stand, for what is said of mistakes.

    Raises:
        DaedalError: a template is faulty, or uses what is no column.
    """

    def __init__(self, definition: Definition, columns: Sequence[str], located: Located | None = None) -> None:
        self.definition, self.columns, self.located = definition, frozenset(columns), located
        shots = definition.fewshot_config
        self._text = self._compile(("doc_to_text",), definition.doc_to_text)
        self._target = self._compile(("doc_to_target",), definition.doc_to_target)
        self._choices = self._compile(("doc_to_choice",), definition.doc_to_choice, choices=True)
        self._prefix = self._compile(("gen_prefix",), definition.gen_prefix)
        self._description = self._compile(("description",), definition.description)
        query = definition.doc_to_decontamination_query
        self._query = self._text if query is None else self._compile(("doc_to_decontamination_query",), query)
        in_shots = ("fewshot_config",)
        self._shot_text = self._text if shots.doc_to_text is None else self._compile(
            (*in_shots, "doc_to_text"), shots.doc_to_text
        )  # fmt: skip
        self._shot_target = self._target if shots.doc_to_target is None else self._compile(
            (*in_shots, "doc_to_target"), shots.doc_to_target
        )  # fmt: skip
        self._shot_choices = self._choices if shots.doc_to_choice is None else self._compile(
            (*in_shots, "doc_to_choice"), shots.doc_to_choice, choices=True
        )  # fmt: skip

    def text(self, row: Row, of_example: bool = False) -> str | int:
        """The question; the number of the right choice, where the choices are the questions."""
        found = (self._shot_text if of_example else self._text)(row)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        text = str(found)
        return int(text) if _is_number(text) and self._made("doc_to_text") else text

    def target(self, row: Row, of_example: bool = False) -> int | str | list[Any]:
        """The right answer, the number of a choice, or several."""
        found = (self._shot_target if of_example else self._target)(row)
        if not self._made("doc_to_target") or not isinstance(found, str):
            if isinstance(found, bool):
                return int(found)
            if isinstance(found, int | list):
                return found
            return str(found)
        if _is_number(found) and self.definition.doc_to_choice is not None:
            return int(found)
        if len(found) >= 2 and found[0] == "[" and found[-1] == "]":
            try:
                return list(ast.literal_eval(found))
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                return found
        return found

    def choices(self, row: Row, of_example: bool = False) -> list[str] | None:
        """The choices, or None where there are none."""
        if self.definition.doc_to_choice is None:
            return None
        found = (self._shot_choices if of_example else self._choices)(row)
        if isinstance(found, str):
            try:
                found = ast.literal_eval(found)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                found = None
        if isinstance(found, dict):
            found = list(found.values())
        if not isinstance(found, list | tuple):
            raise self._fault(("doc_to_choice",), "doc_to_choice gives no list of choices", "Give a list")
        return [each if isinstance(each, str) else str(each) for each in found]

    def prefix(self, row: Row) -> str | None:
        """With which an answer begins."""
        return None if self.definition.gen_prefix is None else str(self._prefix(row))

    def description(self, row: Row) -> str:
        """What stands before all examples."""
        return str(self._description(row))

    def query(self, row: Row) -> str:
        """The text of an item that may stand in training data."""
        return str(self._query(row))

    def _made(self, field: str) -> bool:
        """Whether a field is a template, and no column."""
        value = getattr(self.definition, field)
        return isinstance(value, str) and value not in self.columns

    def _compile(self, path: tuple[str, ...], value: Template | None, choices: bool = False) -> Callable[[Row], Any]:
        if not isinstance(value, str):
            return lambda row: value
        if value in self.columns:
            return lambda row: row[value]
        if "{" not in value:
            return lambda row: value
        try:
            parsed = environment().parse(value)
            unknown = sorted(meta.find_undeclared_variables(parsed) - self.columns - set(environment().globals))
            if unknown:
                raise self._fault(
                    path, f"{'.'.join(path)} uses {unknown[0]}, which is no column",
                    f"The columns are {', '.join(sorted(self.columns)) or 'none'}", unknown[0],
                )  # fmt: skip
            whole = value.strip()
            if choices and whole.startswith("{{") and whole.endswith("}}") and whole.count("{{") == 1:
                # The list itself, without the way over its text
                expression = environment().compile_expression(whole[2:-2].strip("-+"), undefined_to_none=False)
                return self._guarded(path, lambda row: expression(row))
            template = environment().from_string(value)
        except jinja2.TemplateSyntaxError as error:
            mark = None if self.located is None else self.located.mark(path)
            line = f", line {error.lineno} of it" if error.lineno and error.lineno > 1 else ""
            raise DaedalError(
                f"{mark}: {'.'.join(path)} is no template{line}: {error.message}" if mark
                else f"{'.'.join(path)} is no template{line}: {error.message}", "Correct its Jinja",
            ) from None  # fmt: skip
        except (RecursionError, MemoryError, ValueError, OverflowError) as error:
            raise self._fault(path, f"{'.'.join(path)} is no template: {_said(error)}", "Simplify it") from None
        return self._guarded(path, lambda row: template.render(row))

    def _guarded(self, path: tuple[str, ...], render: Callable[[Row], Any]) -> Callable[[Row], Any]:
        def ask(row: Row) -> Any:
            try:
                return render(row)
            except (
                jinja2.TemplateError,
                TypeError,
                ValueError,
                KeyError,
                IndexError,
                OverflowError,
                ZeroDivisionError,
                RecursionError,
                MemoryError,
                AttributeError,
                TimeoutError,
                regex.error,
            ) as error:
                shown = ", ".join(f"{name}={value!r:.40}" for name, value in row.items())[:120]
                raise self._fault(
                    path,
                    f"{'.'.join(path)} fails at an item ({_said(error)}): {shown}",
                    "Correct the template or the item",
                ) from None

        return ask

    def _fault(self, path: tuple[str, ...], what: str, fix: str, word: str | None = None) -> DaedalError:
        return DaedalError(what, fix) if self.located is None else self.located.fault(path, what, fix, word)
