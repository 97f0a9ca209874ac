"""What all answers share: ids, the time, the fingerprint, how tokens are counted, and JSON."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from starlette.responses import Response


def new_id(prefix: str) -> str:
    """An id that nobody can guess: `prefix` and 128 random bits."""
    return prefix + secrets.token_hex(16)


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


@dataclass(frozen=True)
class Head:
    """What a completion and each of its chunks begin with.

    Attributes:
        fingerprint: of the model's weights and settings: with the same one, a seed gives the same text.
    """

    id: str
    created: int
    model: str
    fingerprint: str

    @classmethod
    def new(cls, prefix: str, model: str, info: Mapping[str, Any]) -> Self:
        return cls(new_id(prefix), now(), model, f"fp_{str(info['fingerprint'])[:16]}")

    def fields(self, kind: str) -> dict[str, Any]:
        """As JSON has them."""
        own = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return {**own, "system_fingerprint": self.fingerprint}


def usage(prompt: int, cached: int, written: int) -> dict[str, Any]:
    """Tokens as the OpenAI API counts them."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def read_usage(tokens: Sequence[int]) -> dict[str, int]:
    """Tokens as the API counts them where nothing is written."""
    counted = sum(tokens)
    return {"prompt_tokens": counted, "total_tokens": counted}


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, headers, "application/json")
