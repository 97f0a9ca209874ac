"""Tests of prompts: prompts x models x cases, each case with assertions. `suite_file.py` reads them from a file.

Templates are Jinja's, in its sandbox. Values never become template code, and each message is rendered by itself: no value can
begin a turn.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError

from daedal.codecs.jinja import Sandbox
from daedal.errors import DaedalError
from daedal.evaluation.prompt_tests.assertions import loads
from daedal.prompting.respondent import Prompt
from daedal.prompting.template import PromptTemplate


class Template(NamedTuple):
    """A prompt before its variables have values.

    Attributes:
        turns: roles and texts; one text without a role is a text to go on with.
        wording: what it sets of how answers are worded.
        where: it stands.
        file: a prompt file, whose turns and variables are its own.
    """

    label: str
    turns: tuple[tuple[str | None, str], ...]
    wording: Mapping[str, Any]
    where: str
    file: PromptTemplate | None = None

    def render(self, values: Mapping[str, Any], before: str = "", after: str = "") -> Prompt:
        """The prompt with values.

        Raises:
            DaedalError: a variable has none, or the template fails.
        """
        if self.file is not None:
            own = {name: value for name, value in values.items() if name in self.file.variables}
            prompt = self.file.render(own)
            if isinstance(prompt, str):
                return before + prompt + after
            last = {**prompt[-1], "content": before + str(prompt[-1]["content"]) + after}
            return (*prompt[:-1], last)
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


def render(text: str, values: Mapping[str, Any], where: str) -> str:
    """A template with values; `where` names it in errors.

    Raises:
        DaedalError: a variable has no value, or the template fails.
    """
    try:
        return SANDBOX.from_string(text).render(values)
    except TemplateSyntaxError as error:
        raise DaedalError(f"{where}: line {error.lineno} of the template: {error.message}", "Correct it") from None
    except (TemplateError, SecurityError, ArithmeticError, TypeError, ValueError, KeyError, AttributeError) as error:
        told = f"{where}: {error}"
        raise DaedalError(told, "Give it under vars:, or correct the template") from None
    except (RecursionError, MemoryError):
        raise DaedalError(f"{where}: the template needs too much", "Write it without such loops") from None


SANDBOX = Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)
SANDBOX.filters["fromjson"] = loads
