"""What generation gives: a text with all that it takes to make it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daedal.config import Config
from daedal.files import write_json, write_text
from daedal.inference.sampling import SamplingOptions


class TokenLogprob(Config):
    """Natural log-probability of one generated token, and of the most likely ones, in the model's own distribution."""

    id: int
    text: str
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Provenance(Config):
    """Where a text comes from.

    Attributes:
        model: the name that the model was opened by.
        fingerprint: SHA-256 of its weights.
        codec: SHA-256 of its vocabulary.
        quantize: the kind of weights that generated, if they were not the model's own.
        prompt: SHA-256 of the prompt, in UTF-8.
        seed: the seed that was given or drawn; None where chance played no part.
        sample: the number of this sample among those of its prompt.
        version: of Daedal.
    """

    model: str
    fingerprint: str
    codec: str
    quantize: str | None
    prompt: str
    seed: int | None
    sample: int
    options: SamplingOptions
    version: str


class Completion(Config):
    """A generated text; `str()` gives it without its prompt.

    Attributes:
        ids: every generated token, also those of a stop string that `text` is cut before.
        finish_reason: "stop" (the model ended the text, or a stop string came), "length" (max_tokens), or "context" (no
            room is left).
        stop: the stop string that came.
        logprobs: one for each id, if asked for.
        forgotten: how many of the oldest messages of a conversation did not fit the context and were left out.
    """

    prompt: str
    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length", "context"]
    stop: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    forgotten: int = 0
    provenance: Provenance

    def __str__(self) -> str:
        return self.text

    def save(self, path: Path | str) -> Path:
        """Write the text, and beside it all else as `<path>.json`; for a path that ends in `.json`, all in that file."""
        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.model_dump(mode="json"))
        else:
            write_text(path, self.prompt + self.text)
            write_json(path.with_name(path.name + ".json"), self.model_dump(mode="json"))
        return path


@dataclass(frozen=True)
class Chunk:
    """A piece of a text that is being written.

    Attributes:
        text: the new text: whole characters, and never a part of a stop string.
        completion: with the last piece, the whole.
    """

    text: str
    completion: Completion | None = None

    def __str__(self) -> str:
        return self.text


class TokenScore(Config):
    """Natural log-likelihood of one token of a text."""

    id: int
    text: str
    log_likelihood: float


class Score(Config):
    """How likely a text is. Likelihoods are in nats, their softmax taken in float64.

    Attributes:
        log_likelihood: of the whole text.
        bytes: of the text in UTF-8.
        loss: nats per token.
        perplexity: e to the loss.
        bits_per_byte: does not depend on the vocabulary, so models can be compared by it.
    """

    log_likelihood: float
    bytes: int
    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: tuple[TokenScore, ...]
