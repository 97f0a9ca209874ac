"""Tests of prompts as a YAML file of the shape that promptfoo's users know: prompts x models x cases, each with assertions.

Everything is read, checked and rendered before a model is loaded or asked: a mistake names its line and column and costs
nothing.

- a prompt is a text, a list of messages, or a file of either; its variables are Jinja's, in its sandbox
- values never become template code, and each message is rendered by itself: no value can begin a turn
- code (`javascript`, `python`, transforms as functions) is not run: a transform is a template of `output`
"""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from pydantic import Field

from daedal.codecs.jinja import Sandbox
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.prompt_tests.assertions import KINDS, NOT, check_pattern, check_schema, loads
from daedal.files import read_bytes
from daedal.marked_yaml import Document, Place, read
from daedal.prompting.respondent import Prompt, Wording

_MOST_BYTES = 64 * 2**20
_MOST_CASES = 100_000
_FILE = "file://"
_CODE = ("javascript", "python", "ruby", "webhook")
_EXPECTED = re.compile(r"(?P<type>[a-z-]+)(?:\((?P<threshold>[\d.]+)\))?(?::\s*(?P<value>.*))?", re.S)
_ROLES = ("system", "user", "assistant")


class _Message(Config):
    role: Literal["system", "user", "assistant"]
    content: str


class _PromptEntry(Config):
    id: str | None = None
    raw: str | None = None
    messages: tuple[_Message, ...] | None = None
    label: str | None = None
    config: Wording = Wording()


class _Provider(Config):
    id: str
    label: str | None = None
    config: Wording = Wording()


class _Assert(Config):
    type: str
    value: Any = None
    threshold: float | None = None
    weight: float = Field(1.0, ge=0)
    metric: str | None = None
    transform: str | None = None
    provider: str | None = None


class _Options(Config):
    transform: str | None = None
    prefix: str = ""
    suffix: str = ""
    provider: str | None = None
    disable_var_expansion: bool = Field(False, alias="disableVarExpansion")


class _Case(Config):
    description: str | None = None
    vars: dict[str, Any] | str = Field(default_factory=dict)
    asserts: tuple[_Assert, ...] = Field((), alias="assert")
    threshold: float | None = Field(None, ge=0, le=1)
    target: float | None = Field(None, gt=0, le=1)
    options: _Options = _Options()
    metadata: dict[str, Any] = Field(default_factory=dict)


class _Evaluation(Config):
    repeat: int = Field(1, ge=1)


class _Suite(Config):
    description: str | None = None
    prompts: list[Any] | str
    providers: list[Any] | str | None = None
    default: _Case = Field(_Case(), alias="defaultTest")
    tests: list[Any] | str = Field(default_factory=list)
    evaluation: _Evaluation = Field(_Evaluation(), alias="evaluateOptions")
    tags: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class Template(NamedTuple):
    """A prompt before its variables have values.

    Attributes:
        turns: roles and texts; one text without a role is a text to go on with.
        wording: what it sets of how answers are worded.
        where: it stands.
    """

    label: str
    turns: tuple[tuple[str | None, str], ...]
    wording: Mapping[str, Any]
    where: str

    def render(self, values: Mapping[str, Any], before: str = "", after: str = "") -> Prompt:
        """The prompt with values.

        Raises:
            DaedalError: a variable has none, or the template fails.
        """
        said = [render(text, values, self.where) for _, text in self.turns]
        said[-1] = before + said[-1] + after
        roles = [role for role, _ in self.turns]
        if roles == [None]:
            return said[0]
        return tuple({"role": role, "content": text} for role, text in zip(roles, said, strict=True))


class Provider(NamedTuple):
    """A model to test with.

    Attributes:
        place: a run folder, the id of a model on the Hub, or a URL.
    """

    place: str
    label: str
    wording: Mapping[str, Any]


class Assertion(NamedTuple):
    """What an answer of a case must be; the value has its variables filled in.

    Attributes:
        judge: of `llm-rubric`, where the file names one.
    """

    type: str
    value: Any
    threshold: float | None
    weight: float
    metric: str | None
    transform: str | None
    judge: str | None


class Case(NamedTuple):
    """Values of the variables, and what must hold of the answer.

    Attributes:
        threshold: the weighted score that a sample must reach; without one all assertions must hold.
        target: the share of samples that must pass.
    """

    name: str
    values: Mapping[str, Any]
    assertions: tuple[Assertion, ...]
    threshold: float | None
    target: float | None
    transform: str | None
    before: str
    after: str


class Suite(NamedTuple):
    """A file of tests.

    Attributes:
        hash: SHA-256 of the file's bytes.
    """

    name: str
    hash: str
    templates: tuple[Template, ...]
    providers: tuple[Provider, ...]
    cases: tuple[Case, ...]
    repeat: int

    @classmethod
    def read(cls, path: Path) -> "Suite":
        """The tests in a YAML file.

        Raises:
            DaedalError: a mistake in it, with its line and column.
        """
        import hashlib

        document = read(path, core=True, refused={"!function": "Code is not run: write an assertion that needs none"})
        if not isinstance(document.value, dict):
            raise DaedalError(f"{path} holds no tests of prompts", "Write prompts: and tests: into it")
        found = _Reader(document, path).suite()
        return found._replace(hash=hashlib.sha256(path.read_bytes()).hexdigest())


def render(text: str, values: Mapping[str, Any], where: str) -> str:
    """A template with values; `where` names it in errors.

    Raises:
        DaedalError: a variable has no value, or the template fails.
    """
    try:
        return _SANDBOX.from_string(text).render(values)
    except TemplateSyntaxError as error:
        raise DaedalError(f"{where}: line {error.lineno} of the template: {error.message}", "Correct it") from None
    except (TemplateError, SecurityError, ArithmeticError, TypeError, ValueError, KeyError, AttributeError) as error:
        told = f"{where}: {error}"
        raise DaedalError(told, "Give it under vars:, or correct the template") from None
    except (RecursionError, MemoryError):
        raise DaedalError(f"{where}: the template needs too much", "Write it without such loops") from None


_SANDBOX = Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)
_SANDBOX.filters["fromjson"] = loads


class _Reader:
    """Reads a file of tests."""

    def __init__(self, document: Document, path: Path) -> None:
        self.document, self.folder = document, path.parent
        self.suite_entry = document.parse(_Suite)
        self.name = self.suite_entry.description or path.name

    def suite(self) -> Suite:
        entry = self.suite_entry
        templates = tuple(self._templates())
        if not templates:
            raise self.document.error(("prompts",), "there is no prompt", "Write one: prompts: ['Say {{ word }}']")
        labels = [each.label for each in templates]
        for label in labels:
            if labels.count(label) > 1:
                raise self.document.error(
                    ("prompts",), f"two prompts are called {label!r}", "Give each a label of its own"
                )
        cases = tuple(self._cases())
        return Suite(self.name, "", templates, tuple(self._providers()), cases, entry.evaluation.repeat)

    # -- prompts -------------------------------------------------------------------------------------------------------

    def _templates(self) -> Iterator[Template]:
        entries = self.suite_entry.prompts
        listed = [entries] if isinstance(entries, str) else entries
        for number, each in enumerate(listed):
            place: Place = ("prompts",) if isinstance(entries, str) else ("prompts", number)
            yield from self._template(each, place)

    def _template(self, value: Any, place: Place) -> Iterator[Template]:
        where = self.document.where(place)
        if isinstance(value, str):
            entry, value = _PromptEntry(raw=value), {"raw": value}
        else:
            entry = self.document.parse(_PromptEntry, place, value)
        wording = {} if "config" not in value else entry.config.model_dump(exclude_unset=True)
        if sum(each is not None for each in (entry.id, entry.raw, entry.messages)) != 1:
            raise self.document.error(place, "a prompt has one of raw, id and messages", "Keep one of them")
        if entry.messages is not None:
            turns = tuple((each.role, each.content) for each in entry.messages)
            yield Template(entry.label or _short(turns[-1][1] if turns else ""), _some(turns, where), wording, where)
            return
        text = entry.raw if entry.raw is not None else f"{_FILE}{(entry.id or '').removeprefix(_FILE)}"
        if not text.startswith(_FILE):
            yield Template(entry.label or _short(text), ((None, text),), wording, where)
            return
        path, said = self._file(text, place)
        if path.suffix == ".json":
            turns = tuple((each.role, each.content) for each in self._messages(path, said))
            yield Template(entry.label or path.name, _some(turns, str(path)), wording, str(path))
            return
        texts = re.split(r"(?m)^---\s*\n", said) if path.suffix == ".txt" else [said]
        for number, each in enumerate(texts, 1):
            label = entry.label or path.name
            yield Template(
                label if len(texts) == 1 else f"{label} {number}", ((None, each.strip("\n")),), wording, str(path)
            )

    def _messages(self, path: Path, text: str) -> list[_Message]:
        try:
            found = loads(text)
        except ValueError:
            raise DaedalError(f"{path} is no JSON", "Write a list of messages with role and content") from None
        if not isinstance(found, list):
            raise DaedalError(f"{path} holds no list of messages", 'Write [{"role": "user", "content": "..."}]')
        return [
            _Message.parse(each if isinstance(each, dict) else {"content": each}, f"{path}, message {number}")
            for number, each in enumerate(found, 1)
        ]

    # -- models --------------------------------------------------------------------------------------------------------

    def _providers(self) -> Iterator[Provider]:
        entries = self.suite_entry.providers
        listed = [] if entries is None else [entries] if isinstance(entries, str) else entries
        for number, each in enumerate(listed):
            if isinstance(each, str):
                yield Provider(each, each, {})
                continue
            entry = self.document.parse(_Provider, ("providers", number), each)
            wording = entry.config.model_dump(exclude_unset=True)
            yield Provider(entry.id, entry.label or entry.id, wording)

    # -- cases ---------------------------------------------------------------------------------------------------------

    def _cases(self) -> Iterator[Case]:
        entries = self.suite_entry.tests
        defaults = self.suite_entry.default
        if isinstance(defaults.vars, str):
            raise self.document.error(("defaultTest", "vars"), "default values are no table", "Write name: value")
        shared = self._assertions(defaults, ("defaultTest",))
        count = 0
        for case, values, assertions, place in self._listed(entries):
            options = {**defaults.options.model_dump(exclude_unset=True), **case.options.model_dump(exclude_unset=True)}
            joined = _Options.model_validate({_ALIASES.get(name, name): value for name, value in options.items()})
            self._check_transform(joined.transform, place)
            merged, expand = {**defaults.vars, **values}, not joined.disable_var_expansion
            expanded = [name for name, value in merged.items() if expand and isinstance(value, list)]
            for combination in _combinations(merged, expanded):
                count += 1
                if count > _MOST_CASES:
                    raise DaedalError(
                        f"{self.document.name} makes more than {_MOST_CASES:,} cases", "Use shorter lists"
                    )
                filled = tuple(
                    self._filled(each, place, combination, joined.provider) for each, place in (*shared, *assertions)
                )
                threshold = defaults.threshold if case.threshold is None else case.threshold
                target = defaults.target if case.target is None else case.target
                name = case.description and ": ".join(
                    filter(None, [case.description, _told({each: combination[each] for each in expanded})])
                )
                yield Case(
                    name or _told(combination) or f"case {count}", combination, filled, threshold, target,
                    joined.transform, joined.prefix, joined.suffix,
                )  # fmt: skip
        if not count:
            raise self.document.error(("tests",), "there is no test", "Write one: tests: [{vars: {}, assert: []}]")

    def _listed(
        self, entries: list[Any] | str
    ) -> Iterator[tuple[_Case, dict[str, Any], list[tuple[_Assert, Place]], Place]]:
        listed = [entries] if isinstance(entries, str) else entries
        for number, each in enumerate(listed):
            place: Place = ("tests",) if isinstance(entries, str) else ("tests", number)
            if isinstance(each, str):
                for where, row in self._rows(each, place):
                    case, values = self._of_row(row, where, place)
                    yield case, values, [(each, place) for each in case.asserts], place
                continue
            case = self.document.parse(_Case, place, each)
            assertions = self._assertions(case, place)
            if isinstance(case.vars, str):
                for where, row in self._rows(case.vars, (*place, "vars")):
                    own, values = self._of_row(row, where, place)
                    name = own.description or (case.description and f"{case.description}: {_told(values)}")
                    yield (
                        case.model_copy(update={"description": name}),
                        values,
                        [*assertions, *((each, place) for each in own.asserts)],
                        place,
                    )
                continue
            values = {
                name: self._file(value, (*place, "vars", name))[1].rstrip("\n")
                if isinstance(value, str) and value.startswith(_FILE)
                else value
                for name, value in case.vars.items()
            }
            yield case, values, assertions, place

    def _assertions(self, case: _Case, place: Place) -> list[tuple[_Assert, Place]]:
        return [(each, (*place, "assert", number)) for number, each in enumerate(case.asserts)]

    def _rows(self, name: str, place: Place) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of a table of CSV or JSON Lines, each with where it stands."""
        path, text = self._file(name, place)
        if path.suffix == ".csv":
            try:
                table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
                for row in table:
                    where = f"{path}, line {table.line_num}"
                    if None in row or None in row.values():
                        raise DaedalError(f"{where}: the row has not as many cells as the first", "Correct it")
                    yield where, dict(row)
            except csv.Error as error:
                raise DaedalError(f"{path}: this is not CSV: {error}", "Correct it") from None
            return
        if path.suffix != ".jsonl":
            raise self.document.error(place, f"{path.name} is no table that is read here", "Name a .csv or .jsonl file")
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                where = f"{path}, line {number}"
                try:
                    row = loads(line)
                except ValueError as error:
                    raise DaedalError(f"{where}: no JSON: {error}", "Write an object on each line") from None
                if not isinstance(row, dict):
                    raise DaedalError(f"{where}: no object", 'Write {"name": "value"} on each line')
                yield where, row

    def _of_row(self, row: dict[str, Any], where: str, place: Place) -> tuple[_Case, dict[str, Any]]:
        """The case of a row: its columns are variables but for those that promptfoo gives a meaning; or it is a case whole.

        What a row says of files is not followed: tables come from elsewhere.
        """
        if isinstance(row.get("vars"), dict) and row.keys() <= {"vars", "assert", "description", "threshold", "target"}:
            case = _Case.parse(row, where)
            assert isinstance(case.vars, dict)
            return case, case.vars
        values, asserts, more = {}, [], {}
        for name, value in row.items():
            if re.fullmatch(r"__expected\d*", name):
                if value not in ("", None):
                    asserts.append(_expected(str(value), where))
            elif name in ("__description", "__threshold"):
                more[name[2:]] = value
            elif name.startswith("__"):
                raise DaedalError(f"{where}: the column {name} is not read here", "Name it without __")
            else:
                values[name] = value
        return _Case.parse({"assert": asserts, **{k: v for k, v in more.items() if v != ""}}, where), values

    def _filled(self, entry: _Assert, place: Place, values: Mapping[str, Any], judge: str | None) -> Assertion:
        """An assertion with its variables filled in, once it is known to be one."""
        name, error = entry.type, self.document.error
        kind = KINDS.get(name.removeprefix(NOT))
        if kind is None:
            if name.removeprefix(NOT) in _CODE:
                raise error((*place, "type"), f"{name} would run code", "Assert it by regex, is-json or llm-rubric")
            import difflib

            near = difflib.get_close_matches(name, KINDS, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(KINDS)}, or not- before it"
            raise error((*place, "type"), f"{name!r} is no assertion that is known here", advice)
        where = self.document.where((*place, "value"))
        value = _with(entry.value, values, where)
        if kind.value in ("text", "pattern") and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if kind.value == "texts" and isinstance(value, str):
            value = [value] if name.endswith("similar") else [each.strip() for each in value.split(",")]
        if kind.value == "texts" and isinstance(value, list):
            value = [str(each) if isinstance(each, int | float) else each for each in value]
        fitting = {
            "text": isinstance(value, str), "pattern": isinstance(value, str), "any": value is not None,
            "texts": isinstance(value, list) and bool(value) and all(isinstance(each, str) and each for each in value),
            "schema": value is None or isinstance(value, dict | bool) or str(value).startswith(_FILE),
            "none": value is None,
        }[kind.value]  # fmt: skip
        if not fitting:
            wanted = {
                "text": "a text", "pattern": "a regular expression", "any": "a value", "texts": "a text, or a list of them",
                "schema": "a JSON schema, or none", "none": "a threshold, and no value",
            }[kind.value]  # fmt: skip
            raise error(place, f"{name} wants {wanted}", "Correct its value")
        if entry.threshold is not None and not kind.settable:
            raise error((*place, "threshold"), f"{name} holds or does not, and has no threshold", "Leave it out")
        if entry.threshold is None and kind.threshold is None:
            unit = {"latency": "milliseconds", "cost": "dollars"}[name.removeprefix(NOT)]
            raise error(place, f"{name} needs a threshold", f"Write threshold: the most {unit} that pass")
        self._check_value(kind.value, value, place)
        if kind.value == "schema" and isinstance(value, str):
            path, text = self._file(value, (*place, "value"))
            try:
                value = loads(text)
            except ValueError:
                raise DaedalError(f"{path} is no JSON", "Write a JSON schema into it") from None
            self._check_value("schema", value, place)
        if name.removeprefix(NOT) == "llm-rubric":
            value = {"rubric": value, "judge": entry.provider or judge}
        self._check_transform(entry.transform, (*place, "transform"))
        return Assertion(
            name, value, entry.threshold, entry.weight, entry.metric, entry.transform, entry.provider or judge
        )

    def _check_value(self, kind: str, value: Any, place: Place) -> None:
        try:
            if kind == "pattern":
                check_pattern(value)
            elif kind == "schema" and value is not None and not isinstance(value, str):
                check_schema(value)
        except DaedalError as found:
            raise self.document.error((*place, "value"), found.what, found.fix) from None

    def _check_transform(self, transform: str | None, place: Place) -> None:
        if transform is None:
            return
        if "{{" not in transform:
            what = f"the transform {transform!r} is code, which is not run"
            raise self.document.error(place, what, "Write a template of output: '{{ output | trim }}'")
        try:
            _SANDBOX.from_string(transform)
        except TemplateError as error:
            raise self.document.error(place, f"the transform is no template: {error}", "Correct it") from None

    def _file(self, name: str, place: Place) -> tuple[Path, str]:
        """A file that the tests name, beside them unless the path is absolute."""
        path = self.folder / name.removeprefix(_FILE)
        try:
            return path, read_bytes(path, _MOST_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self.document.error(place, f"{path} is not UTF-8", "Save it as UTF-8") from None
        except DaedalError as found:
            raise self.document.error(place, found.what, found.fix) from None


_ALIASES = {"disable_var_expansion": "disableVarExpansion"}


def _some(turns: tuple[tuple[str | None, str], ...], where: str) -> tuple[tuple[str | None, str], ...]:
    if not turns or turns[-1][0] != "user":
        raise DaedalError(f"{where}: the last message of a prompt is the user's", "End it with role: user")
    return turns


def _with(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """A value in which every text that is a template has its variables filled in."""
    match value:
        case str() if "{{" in value or "{%" in value:
            return render(value, values, where)
        case list():
            return [_with(each, values, where) for each in value]
        case dict():
            return {key: _with(each, values, where) for key, each in value.items()}
        case _:
            return value


def _combinations(values: Mapping[str, Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each choice of one of every list that is named, as promptfoo has it."""
    for chosen in itertools.product(*(values[name] for name in names)):
        yield {**values, **dict(zip(names, chosen, strict=True))}


def _expected(text: str, where: str) -> dict[str, Any]:
    """An assertion as promptfoo's tables write it: `contains: word`, `similar(0.8): text`; any other text is to be equal."""
    found = _EXPECTED.fullmatch(text.strip())
    if found is None or found["type"].removeprefix(NOT) not in KINDS:
        return {"type": "equals", "value": text}
    kind = KINDS[found["type"].removeprefix(NOT)]
    try:
        threshold = None if found["threshold"] is None else float(found["threshold"])
        value = found["value"] or None
        if kind.value == "schema" and value is not None:
            value = loads(value)
    except ValueError:
        raise DaedalError(f"{where}: {text!r} cannot be read", "Write type(threshold): value") from None
    return {"type": found["type"], "value": value, "threshold": threshold}


def _told(values: Mapping[str, Any]) -> str:
    """The values of a case in a few words."""
    said = ", ".join(f"{name}={_short(str(value), 30)}" for name, value in values.items())
    return _short(said, 80)


def _short(text: str, most: int = 40) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
