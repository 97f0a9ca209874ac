"""The body of POST /v1/recommendations, our own."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from daedal.serving.schema.base import ModelName, Request, fault

MAX_HISTORY, MAX_RECOMMENDED = 4096, 1000
Title = Annotated[str, Field(min_length=1, max_length=1024)]


class RecommendationRequest(Request):
    """Whom to recommend to, and how much."""

    model: ModelName
    history: list[Title] | None = Field(
        None,
        max_length=MAX_HISTORY,
        description="items in the order in which somebody took them, by their titles; after none, what is popular is "
        f"recommended; at most {MAX_HISTORY}",
    )
    liked: list[Title] | None = Field(
        None, min_length=1, max_length=MAX_HISTORY, description="in place of it, titles that somebody likes"
    )
    user: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="in place of both, somebody whose history is in the data that the model learned from, where the server has "
        "them",
    )
    n: int = Field(10, ge=1, le=MAX_RECOMMENDED, description="how many items")
    again: bool = Field(False, description="also what the person had before")
    exclude: list[Title] = Field([], max_length=MAX_HISTORY, description="titles that are not to be recommended")

    @model_validator(mode="after")
    def _one_person(self) -> Self:
        if sum(each is not None for each in (self.history, self.liked, self.user)) != 1:
            raise fault("Give one of `history`, `liked` and `user`")
        return self
