"""What may stand in a file of tests of prompts, entry by entry; `suite_file.py` reads them."""

from typing import Any, Literal

from pydantic import Field

from daedal.config import Config
from daedal.prompting.respondent import Wording


class MessageEntry(Config):
    role: Literal["system", "user", "assistant"]
    content: str


class PromptEntry(Config):
    id: str | None = None
    raw: str | None = None
    messages: tuple[MessageEntry, ...] | None = None
    label: str | None = None
    config: Wording = Wording()


class ProviderEntry(Config):
    id: str
    label: str | None = None
    config: Wording = Wording()


class AssertEntry(Config):
    type: str
    value: Any = None
    threshold: float | None = None
    weight: float = Field(1.0, ge=0)
    metric: str | None = None
    transform: str | None = None
    provider: str | None = None


class OptionsEntry(Config):
    transform: str | None = None
    prefix: str = ""
    suffix: str = ""
    provider: str | None = None
    disable_var_expansion: bool = Field(False, alias="disableVarExpansion")


class CaseEntry(Config):
    description: str | None = None
    vars: dict[str, Any] | str = Field(default_factory=dict)
    asserts: tuple[AssertEntry, ...] = Field((), alias="assert")
    threshold: float | None = Field(None, ge=0, le=1)
    target: float | None = Field(None, gt=0, le=1)
    options: OptionsEntry = OptionsEntry()
    metadata: dict[str, Any] = Field(default_factory=dict)


class EvaluationEntry(Config):
    repeat: int = Field(1, ge=1)


class SuiteEntry(Config):
    description: str | None = None
    prompts: list[Any] | str
    providers: list[Any] | str | None = None
    default: CaseEntry = Field(CaseEntry(), alias="defaultTest")
    tests: list[Any] | str = Field(default_factory=list)
    evaluation: EvaluationEntry = Field(EvaluationEntry(), alias="evaluateOptions")
    tags: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
