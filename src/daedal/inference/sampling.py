"""How to generate: what a person may choose. `logits.py` does what these say."""

import secrets
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from daedal.config import Config

Quantize = Literal["draft", "int8", "int4"]
"""How the weights of a model that generates may be held, other than as they are."""


class SamplingOptions(Config):
    """How to generate.

    Attributes:
        max_tokens: tokens to generate at most; None: until the model ends the text or its context is full.
        temperature: 0 is greedy (the most likely token, no chance at all); 1 is the model's own distribution.
        top_k: only the k most likely tokens (0: all). Tokens that tie with the last of them stay.
        top_p: only the fewest most likely tokens that hold this much probability; 0 leaves the first, 1 all.
        min_p: only tokens at least this fraction as likely as the most likely one.
        repetition_penalty: divides positive logits and multiplies negative ones of tokens in the prompt or output.
        presence_penalty: taken once from the logit of each token in the output.
        frequency_penalty: taken from a token's logit once for each time that it is in the output.
        logit_bias: added to the logits of these ids; -100 or less bans a token for all practical purposes.
        stop: texts that end the generation; the text is cut before them.
        seed: the same seed, prompt and options give the same text on the same machine; None draws one (and tells it).
        logprobs: log-probabilities of the chosen token and of this many most likely ones, of the model's own
            distribution: before bias, penalties, temperature and the rest. None: not at all.
        overflow: when the context is full, "stop" ends the text; "slide" goes on from the last half of the context.
    """

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: float = Field(default=1.0, ge=0)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, ge=0, le=1)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    presence_penalty: float = Field(default=0.0, ge=-100, le=100)
    frequency_penalty: float = Field(default=0.0, ge=-100, le=100)
    logit_bias: dict[int, float] = Field(default_factory=dict)
    stop: tuple[str, ...] = ()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    logprobs: Annotated[int, Field(ge=0, le=1000)] | None = None
    overflow: Literal["stop", "slide"] = "stop"

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("stop")
    @classmethod
    def _no_empty_stop(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("an empty stop string would stop every text before it starts")
        return value

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.overflow == "slide" and self.max_tokens is None:
            raise ValueError('overflow "slide" never fills the context: give max_tokens too')
        if any(token < 0 for token in self.logit_bias):
            raise ValueError("logit_bias: a token id is never negative")
        return self

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def seeded(self) -> Self:
        """With a seed: one is drawn where none is given, so that the text can be made again."""
        return self if self.seed is not None else self.model_copy(update={"seed": secrets.randbits(32)})

    @property
    def restricts(self) -> bool:
        """Whether unlikely tokens are ruled out."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0

    @property
    def penalises(self) -> bool:
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0

    @property
    def reshapes(self) -> bool:
        """Whether the logits change before temperature is applied."""
        return self.penalises or bool(self.logit_bias)
