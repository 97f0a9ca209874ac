"""The body of POST /v1/rerank, as Jina, Cohere and vLLM have it."""

from typing import Annotated, Any

from pydantic import Field, Tag

from daedal.serving.schema.base import NOT_USED, TEXT_OR_OBJECT, EndUser, ModelName, Refused, Request, Unused

MAX_DOCUMENTS = 2048


class Document(Request):
    """A document to rank."""

    text: str = Field(min_length=1)


Text = Annotated[Annotated[str, Tag("str"), Field(min_length=1)] | Annotated[Document, Tag("Object")], TEXT_OR_OBJECT]


class RerankRequest(Request):
    """Documents to put in order."""

    model: ModelName
    query: str = Field(min_length=1, description="what is looked for")
    documents: list[Text] = Field(
        min_length=1, max_length=MAX_DOCUMENTS, description=f"texts, or objects with a `text`; at most {MAX_DOCUMENTS}"
    )
    top_n: int | None = Field(None, ge=0, description="only the best so many; 0, as vLLM has it, or nothing takes all")
    return_documents: bool = Field(True, description="their texts are in the answer")
    user: EndUser | None = None
    activation: Annotated[Any, Refused("scores are the model's own", (True,))] = None
    max_chunks_per_doc: Annotated[Any, Refused("documents are read whole")] = None
    max_tokens_per_doc: Annotated[Any, Refused("documents are read whole")] = None
    priority: Annotated[Any, Unused("priority", (0,)), Field(description=NOT_USED)] = None
    rank_fields: Annotated[Any, Refused("documents have a text alone")] = None
    truncate_prompt_tokens: Annotated[Any, Refused("documents are read whole", (-1,))] = None
    use_activation: Annotated[Any, Refused("scores are the model's own", (True,))] = None

    @property
    def texts(self) -> list[str]:
        """Of the documents."""
        return [each if isinstance(each, str) else each.text for each in self.documents]
