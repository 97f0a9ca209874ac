"""The body of POST /v1/completions."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from daedal.serving.schema.base import fault
from daedal.serving.schema.sampling import MAX_TOP, Sampled

MAX_PROMPTS, MAX_BEST_OF, MAX_SEQUENCES = 256, 20, 512

Prompt = str | list[int]


def listed_prompts(value: Any) -> Any:
    """One prompt is a list of one."""
    if isinstance(value, str) or (isinstance(value, list) and value and not isinstance(value[0], (str, list))):
        return [value]
    if isinstance(value, list):
        for prompt in value:
            if type(prompt) is not type(value[0]):
                raise fault("Prompts are all texts or all lists of token ids")
    return value


def checked_prompts(value: Any) -> list[Prompt]:
    """Texts, or lists of token ids, none of them without a token."""
    if not isinstance(value, list) or not value:
        raise fault("A prompt is a text, a list of texts, a list of token ids, or a list of such lists")
    for prompt in value:
        if isinstance(prompt, str):
            continue
        if not isinstance(prompt, list) or not prompt:
            raise fault("A prompt is a text or a list of at least one token id")
        if not all(type(id) is int and 0 <= id < 2**31 for id in prompt):
            raise fault("A token id is a whole number that is not negative")
    return value


class CompletionRequest(Sampled):
    """Texts to go on with."""

    prompt: Annotated[Any, Field()] = Field(
        description=f"a text, a list of texts, a list of token ids, or a list of such lists; at most {MAX_PROMPTS}"
    )
    best_of: int | None = Field(
        None,
        ge=1,
        le=MAX_BEST_OF,
        description="writes this many texts and answers with the `n` of highest mean log-probability; not streamed",
    )
    echo: bool = Field(False, description="the prompt before the text; with `logprobs`, those of its tokens too")
    logprobs: int | None = Field(
        None,
        ge=0,
        le=MAX_TOP,
        description="log-probabilities of the tokens and of this many likely ones",
    )
    max_tokens: int = Field(16, ge=0, description="tokens at most; 0 only with `echo`")
    suffix: str | None = Field(
        None,
        description="what comes after the text, which then fills the hole between `prompt` and this: for models that learned "
        "to fill in (`daedal train gpt --fim`, Qwen2.5-Coder, StarCoder2); others refuse it unless it is empty",
    )

    @field_validator("prompt", mode="before")
    @classmethod
    def _prompts(cls, value: Any) -> list[Prompt]:
        prompts = checked_prompts(listed_prompts(value))
        if len(prompts) > MAX_PROMPTS:
            raise fault(f"At most {MAX_PROMPTS} prompts are allowed")
        return prompts

    @field_validator("best_of")
    @classmethod
    def _best(cls, value: int | None, info: Any) -> int | None:
        if value is not None and value < info.data.get("n", 1):
            raise fault("best_of is at least n")
        if value is not None and value > info.data.get("n", 1) and info.data.get("stream"):
            raise fault("The best of several texts cannot be streamed")
        return value

    @field_validator("max_tokens")
    @classmethod
    def _something(cls, value: int, info: Any) -> int:
        if value == 0 and not info.data.get("echo", True):
            raise fault("max_tokens: 0 is for reading a prompt, with echo: true")
        if value == 0 and max(info.data.get("n", 1), info.data.get("best_of") or 1) > 1:
            raise fault("Texts of no tokens are all alike: with max_tokens: 0, n is 1")
        return value

    @model_validator(mode="after")
    def _written_between(self) -> Self:
        if self.suffix and self.echo and (self.logprobs is not None or self.max_tokens == 0):
            raise fault("The prompt's own log-probabilities, by echo, are told without a suffix only")
        return self

    @property
    def prompts(self) -> list[Prompt]:
        return list(self.prompt)

    @property
    def samples(self) -> int:
        """Texts that are written for each prompt."""
        return max(self.n, self.best_of or 1)
