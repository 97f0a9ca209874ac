"""The body of POST /v1/classify, as vLLM has it."""

from typing import Annotated, Any

from pydantic import Field, Tag, field_validator

from daedal.serving.schema.base import NOT_USED, TEXT_OR_OBJECT, EndUser, ModelName, Refused, Request, Unused

MAX_TEXTS = 2048


class TextAndPair(Request):
    """Two texts that a model reads as one."""

    text: str = Field(description="the first, such as a sentence")
    text_pair: str = Field(description="the second, such as what is claimed to follow from it")

    @property
    def command(self) -> dict[str, str]:
        """As the wire has it."""
        return {"text": self.text, "pair": self.text_pair}


class ClassifyRequest(Request):
    """Texts to classify."""

    model: ModelName
    input: list[Annotated[Annotated[str, Tag("str")] | Annotated[TextAndPair, Tag("Object")], TEXT_OR_OBJECT]] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description="a text or a list of texts; an extension: in place of a text, two of them as `text` and `text_pair`. "
        f"One that is longer than the model's context is read in windows; at most {MAX_TEXTS}",
    )
    user: EndUser | None = None
    activation: Annotated[Any, Refused("probabilities are what is told", (True,))] = None
    add_special_tokens: Annotated[Any, Refused("texts are read as the model was trained to", (True,))] = None
    messages: Annotated[Any, Refused("a classifier reads texts, not conversations")] = None
    priority: Annotated[Any, Unused("priority", (0,)), Field(description=NOT_USED)] = None
    softmax: Annotated[Any, Refused("probabilities are what is told", (True,))] = None
    truncate_prompt_tokens: Annotated[Any, Refused("a long text is read in windows, and none is cut off", (-1,))] = None
    use_activation: Annotated[Any, Refused("probabilities are what is told", (True,))] = None

    @field_validator("input", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]
