"""Prompt files: a text with typed variables, as Jinja in its sandbox, under YAML front matter that says what they are.

    ---
    description: A poem about something
    variables:
      topic: string
      lines: {type: integer, default: 4}
    temperature: 0.7
    ---
    # system
    You write poems.
    # user
    Write {{ lines }} lines about {{ topic }}.

- lines `# system`, `# user` and `# assistant` begin turns; without them the whole is a text to go on with
- turns are parted before values are filled in, each is rendered by itself, and values never become template code: whatever a
  value says, it stays in its turn (and what it says of special tokens is plain text, see `codecs/conversation.py`)
- one newline at the end of a turn, or of the file, is not of the prompt
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import jinja2
from jinja2 import StrictUndefined, meta, nodes
from pydantic import BeforeValidator, Field, model_validator

from daedal.codecs.jinja import Sandbox
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_bytes
from daedal.marked_yaml import Document, parse
from daedal.printable import printable
from daedal.prompting.respondent import Prompt, Wording

_MOST_BYTES = 16 * 2**20
_TURN = re.compile(r"^# (system|user|assistant)[ \t]*$", re.M)
_FRONT = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.M | re.S)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDING = ("max_tokens", "temperature", "stop", "seed")
_SANDBOX = Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)


class Variable(Config):
    """What a variable may be.

    Attributes:
        type: of its values; an `enum` has one of `values`.
        default: where none is given; without one it must be.
    """

    type: Literal["string", "integer", "number", "boolean", "list", "enum"] = "string"
    default: Any = None
    description: str = ""
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.type == "enum") != bool(self.values):
            raise ValueError("an enum has values, and no other type has them")
        if self.default is not None and not self.takes(self.default):
            raise ValueError(f"the default is {self.says_not}")
        return self

    @property
    def says(self) -> str:
        """The type, in words."""
        return f"one of {', '.join(self.values)}" if self.type == "enum" else self.type

    @property
    def says_not(self) -> str:
        return f"not {self.says}" if self.type == "enum" else f"no {self.says}"

    def takes(self, value: Any) -> bool:
        """Whether it may be this."""
        match self.type:
            case "string":
                return isinstance(value, str)
            case "integer":
                return isinstance(value, int) and not isinstance(value, bool)
            case "number":
                return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            case "boolean":
                return isinstance(value, bool)
            case "list":
                return isinstance(value, list | tuple)
            case "enum":
                return isinstance(value, str) and value in self.values

    def read(self, text: str) -> Any:
        """The value that a text stands for, as on a command line; a text that stands for none is given as it is."""
        if self.type in ("string", "enum"):
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if self.type == "list" and not isinstance(value, list):
            return [each.strip() for each in text.split(",")]
        return value


def _variable(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class _Head(Config):
    """The front matter."""

    description: str = ""
    variables: dict[str, Annotated[Variable, BeforeValidator(_variable)]] | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0)
    stop: tuple[str, ...] | str | None = None
    seed: int | None = Field(None, ge=0, lt=2**31)
    answer_schema: dict[str, Any] | None = Field(None, alias="schema")


class Turn(NamedTuple):
    """A turn before its variables have values.

    Attributes:
        role: empty where the whole is a text to go on with.
        line: of the file where it begins, from 1.
    """

    role: str
    source: str
    line: int


class PromptTemplate:
    """A prompt with variables.

    Attributes:
        name: of the file, as messages name it.
        hash: SHA-256 of the file.
        variables: by name; each variable that a file without a list of them uses is a string.
        wording: what the file says of how answers are to be worded.
        answer_schema: that answers must match.

    Raises:
        DaedalError: the front matter, a turn or a variable makes no sense; the line and the column are named.
    """

    def __init__(self, text: str, name: str = "the prompt") -> None:
        text = text.replace("\r\n", "\n")
        self.name = name
        self.hash = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        front = _FRONT.match(text)
        if front is None and re.match(r"---[ \t]*\n", text):
            raise DaedalError(f"{name}, line 1: the front matter has no end", "End it by a line of ---")
        # a line above, so that lines are those of the file
        document = parse("\n" + front[1], name, core=True) if front else Document(name, None, {})
        head = document.parse(_Head, value=document.value or {})
        self.description = head.description
        chosen = {each: getattr(head, each) for each in _WORDING if getattr(head, each) is not None}
        if isinstance(head.stop, str):
            chosen["stop"] = (head.stop,)
        self.wording: dict[str, Any] = chosen
        self.answer_schema = head.answer_schema
        body, first = (text[front.end() :], text.count("\n", 0, front.end()) + 1) if front else (text, 1)
        self.turns = tuple(self._turns(body, first))
        self._templates = [self._compiled(turn) for turn in self.turns]
        used: dict[str, str] = {}
        for turn in self.turns:
            for each, where in self._used(turn):
                used.setdefault(each, where)
        if head.variables is None:
            self.variables = {each: Variable() for each in used}
        else:
            for each in head.variables:
                if not _NAME.fullmatch(each):
                    raise document.error(
                        ("variables", each), f"{printable(each)[:40]} is no name", "Use letters, digits and _"
                    )
            unknown = next(((each, where) for each, where in used.items() if each not in head.variables), None)
            if unknown is not None:
                known = ", ".join(head.variables) or "none"
                raise DaedalError(
                    f"{name}, {unknown[1]}: there is no variable {unknown[0]}",
                    f"Add it to variables, which has {known}",
                )
            self.variables = dict(head.variables)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """That of a file.

        Raises:
            DaedalError: it cannot be read, or as `PromptTemplate`.
        """
        try:
            text = read_bytes(Path(path), _MOST_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DaedalError(f"{path} is not UTF-8 (byte {error.start})", "Save it as UTF-8") from None
        return cls(text, str(path))

    def render(self, values: Mapping[str, Any] | None = None) -> Prompt:
        """The prompt with these values.

        Raises:
            DaedalError: one is missing, of another type, or of no variable; or the template fails with them.
        """
        filled = self._filled(values or {})
        said = [
            self._rendered(template, turn, filled) for template, turn in zip(self._templates, self.turns, strict=True)
        ]
        if not self.turns[0].role:
            return said[0]
        return tuple({"role": turn.role, "content": text} for turn, text in zip(self.turns, said, strict=True))

    def named(self, pairs: Mapping[str, str]) -> dict[str, Any]:
        """Values that are written as texts, such as those of a command line, by the types of their variables."""
        return {
            name: self.variables[name].read(text) if name in self.variables else text for name, text in pairs.items()
        }

    def worded(self, **given: Any) -> Wording:
        """How answers are to be worded: what is given, or else what the file says."""
        chosen = {name: value for name, value in given.items() if value is not None}
        return Wording.parse({"answer_schema": self.answer_schema, **self.wording, **chosen}, self.name)

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        for name, value in values.items():
            variable = self.variables.get(name)
            if variable is None:
                known = ", ".join(self.variables) or "none"
                raise DaedalError(f"{self.name} has no variable {printable(name)[:60]}", f"It has {known}")
            if not variable.takes(value):
                shown = printable(repr(value))[:60]
                raise DaedalError(f"{self.name}: {name} is {shown}, which is {variable.says_not}", "Give another value")
        filled = {}
        for name, variable in self.variables.items():
            value = values.get(name, variable.default)
            if value is None:
                says = f" ({variable.description})" if variable.description else ""
                raise DaedalError(f"{self.name}: {name} has no value{says}", f"Give one with --set {name}=VALUE")
            filled[name] = value
        return filled

    def _turns(self, body: str, first: int) -> Iterator[Turn]:
        marks = list(_TURN.finditer(body))
        if not marks:
            if not body.strip():
                raise DaedalError(f"{self.name} has no prompt", "Write one after the front matter")
            yield Turn("", body.removesuffix("\n"), first)
            return
        if body[: marks[0].start()].strip():
            raise DaedalError(
                f"{self.name}, line {first}: there is text before the first turn", f"Put it after {marks[0][0].strip()}"
            )
        ends = [mark.start() for mark in marks[1:]] + [len(body)]
        for mark, end in zip(marks, ends, strict=True):
            begins = min(mark.end() + 1, end)
            yield Turn(mark[1], body[begins:end].removesuffix("\n"), first + body.count("\n", 0, begins))

    def _compiled(self, turn: Turn) -> jinja2.Template:
        try:
            return _SANDBOX.from_string(turn.source)
        except jinja2.TemplateSyntaxError as error:
            line = turn.line + error.lineno - 1
            raise DaedalError(f"{self.name}, line {line}: {error.message}", "Correct the template") from None
        except (jinja2.TemplateError, RecursionError, ValueError, OverflowError) as error:
            raise DaedalError(
                f"{self.name}, line {turn.line}: {printable(str(error))[:100]}", "Simplify the template"
            ) from None

    def _used(self, turn: Turn) -> Iterator[tuple[str, str]]:
        """Variables that a turn uses, and where."""
        tree = _SANDBOX.parse(turn.source)
        free = meta.find_undeclared_variables(tree) - set(_SANDBOX.globals)
        lines = turn.source.split("\n")
        for node in sorted(tree.find_all(nodes.Name), key=lambda each: each.lineno):
            if node.name in free:
                line = lines[node.lineno - 1] if node.lineno <= len(lines) else ""
                found = re.search(rf"(?<![\w.]){re.escape(node.name)}\b", line)
                column = f", column {found.start() + 1}" if found else ""
                yield node.name, f"line {turn.line + node.lineno - 1}{column}"

    def _rendered(self, template: jinja2.Template, turn: Turn, values: Mapping[str, Any]) -> str:
        where = f"{self.name}, line {turn.line}"
        try:
            text = template.render(values)
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            said = printable(getattr(error, "message", None) or str(error))[:120]
            raise DaedalError(f"{where}: the template fails: {said}", "Correct the template or the value") from None
        except (RecursionError, MemoryError):
            raise DaedalError(f"{where}: the template needs too much", "Write it without such loops") from None
        if len(text) > _MOST_BYTES:
            raise DaedalError(f"{where}: the prompt has {len(text):,} characters", "Make it shorter")
        return text
