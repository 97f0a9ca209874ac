"""How to generate, as the chat and the text endpoints take it."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from daedal.serving.schema.base import EndUser, ModelName, Refused, Request, fault

MAX_SAMPLES, MAX_STOPS, MAX_STOP_LENGTH, MAX_BIASES, MAX_TOP = 16, 16, 1000, 4096, 20

Temperature = Annotated[
    float, Field(ge=0, le=2, description="0 always takes the most likely token; 1 is the model's own distribution")
]
TopP = Annotated[
    float, Field(ge=0, le=1, description="only the fewest most likely tokens that hold this much probability")
]
TopK = Annotated[
    int,
    Field(
        ge=-1, le=10**6, description="an extension: only the k most likely tokens; 0, or -1 as vLLM has it, takes all"
    ),
    AfterValidator(lambda value: max(0, value)),
]
MinP = Annotated[
    float, Field(ge=0, le=1, description="an extension: only tokens at least this fraction as likely as the likeliest")
]
RepetitionPenalty = Annotated[
    float,
    Field(
        gt=0, le=10, description="an extension: over 1 makes tokens of the prompt and the text less likely, once each"
    ),
]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class StreamOptions(Request):
    """What a stream carries besides the text."""

    include_usage: bool = Field(
        False, description="a last chunk with `usage` and no choices; the others have `usage: null`"
    )
    include_obfuscation: Annotated[
        Any, Refused("chunks are not padded with random characters; leave it out or give false", (False,))
    ] = None


class Sampled(Request):
    """What chat and text completions have in common."""

    model: ModelName
    frequency_penalty: Penalty = Field(0.0, description="taken from a token's logit for each time it is in the text")
    logit_bias: dict[str, float] = Field(
        default_factory=dict,
        description=f"added to the logits of these token ids, -100 to 100; at most {MAX_BIASES} of them",
    )
    min_p: MinP = 0.0
    min_tokens: int = Field(0, ge=0, description="an extension: the text does not end before it has this many tokens")
    n: int = Field(1, ge=1, le=MAX_SAMPLES, description="how many texts")
    presence_penalty: Penalty = Field(0.0, description="taken once from the logits of tokens that are in the text")
    repetition_penalty: RepetitionPenalty = 1.0
    seed: int | None = Field(
        None,
        ge=-(2**63),
        lt=2**63,
        description="from -2^63 to 2^63 - 1: the same seed gives the same text on the same machine, whatever else runs; "
        "without one each request has its own",
    )
    stop: list[str] = Field(
        default_factory=list, description=f"a text or up to {MAX_STOPS}; the answer ends before the first that comes"
    )
    stream: bool = Field(False, description="server-sent events, ending with `[DONE]`")
    stream_options: StreamOptions = Field(default_factory=StreamOptions, description="only with `stream`")
    temperature: Temperature = 1.0
    top_k: TopK = 0
    top_p: TopP = 1.0
    user: EndUser | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _stops(cls, value: Any) -> Any:
        return checked_stops([value] if isinstance(value, str) else value)

    @field_validator("logit_bias")
    @classmethod
    def _biases(cls, value: dict[str, float]) -> dict[str, float]:
        if len(value) > MAX_BIASES:
            raise fault(f"At most {MAX_BIASES} tokens can have a bias")
        if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
            raise fault('The keys are token ids, such as "50256"')
        if not all(-100 <= bias <= 100 for bias in value.values()):
            raise fault("A bias is between -100 and 100")
        return value

    @field_validator("stream_options")
    @classmethod
    def _only_streamed(cls, value: StreamOptions, info: Any) -> StreamOptions:
        if value.include_usage and not info.data.get("stream", False):
            raise fault("stream_options are allowed only with stream: true")
        return value

    def sampling(self) -> dict[str, Any]:
        """The wire's options but for `max_tokens` and `logprobs`."""
        return {
            **given_temperature(self),
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "logit_bias": self.logit_bias,
            "stop": self.stop,
            "seed": None if self.seed is None else self.seed % 2**63,
        }


def given_temperature(body: Request) -> dict[str, float]:
    """The option of the wire, where the request has it: without one, a translator searches and does not draw."""
    given: float | None = getattr(body, "temperature", None)
    return {} if given is None or "temperature" not in body.model_fields_set else {"temperature": given}


def checked_stops(value: Any) -> Any:
    """Texts that end a text: few, short, none empty."""
    if isinstance(value, list):
        if len(value) > MAX_STOPS:
            raise fault(f"At most {MAX_STOPS} stop texts are allowed")
        if any(isinstance(text, str) and not 0 < len(text) <= MAX_STOP_LENGTH for text in value):
            raise fault(f"A stop text has 1 to {MAX_STOP_LENGTH} characters")
    return value
