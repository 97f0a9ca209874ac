"""The body of POST /models/{model}, as Hugging Face's Inference API has it."""

from typing import Annotated, Any

from pydantic import Field, Tag, field_validator

from daedal.serving.schema.base import NOT_USED, TEXT_OR_OBJECT, Request, Unused

MAX_TEXTS, MAX_TOP = 1024, 100


class Question(Request):
    """A question, and the text that may say its answer."""

    question: str = Field(min_length=1, description="what is asked")
    context: str = Field(min_length=1, description="where the answer may stand")


class InferenceParameters(Request):
    """How to answer."""

    top_k: int | None = Field(
        None, ge=1, le=MAX_TOP, description="the best so many labels (all unless given), answers (1) or fillings (5)"
    )
    aggregation_strategy: Annotated[Any, Unused("aggregation_strategy", ("first",)), Field(description=NOT_USED)] = None
    align_to_words: Annotated[Any, Unused("align_to_words", (True,)), Field(description=NOT_USED)] = None
    doc_stride: Annotated[Any, Unused("doc_stride"), Field(description=NOT_USED)] = None
    function_to_apply: Annotated[Any, Unused("function_to_apply"), Field(description=NOT_USED)] = None
    handle_impossible_answer: Annotated[
        Any, Unused("handle_impossible_answer", (True,)), Field(description=NOT_USED)
    ] = None
    ignore_labels: Annotated[Any, Unused("ignore_labels"), Field(description=NOT_USED)] = None
    max_answer_len: Annotated[Any, Unused("max_answer_len"), Field(description=NOT_USED)] = None
    max_question_len: Annotated[Any, Unused("max_question_len"), Field(description=NOT_USED)] = None
    max_seq_len: Annotated[Any, Unused("max_seq_len"), Field(description=NOT_USED)] = None
    stride: Annotated[Any, Unused("stride"), Field(description=NOT_USED)] = None
    targets: Annotated[Any, Unused("targets"), Field(description=NOT_USED)] = None


class InferenceRequest(Request):
    """What a model is to say something of."""

    inputs: list[Annotated[Annotated[str, Tag("str")] | Annotated[Question, Tag("Object")], TEXT_OR_OBJECT]] = Field(
        min_length=1,
        max_length=MAX_TEXTS,
        description=f"a text, or of an answerer a question and a context; or a list of them, at most {MAX_TEXTS}",
    )
    parameters: InferenceParameters = Field(default_factory=InferenceParameters)
    options: Annotated[Any, Unused("options"), Field(description=NOT_USED)] = None

    @field_validator("inputs", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]
