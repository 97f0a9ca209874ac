"""What all answers share: ids, the time, the fingerprint, how tokens are counted, and JSON."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def new_id(prefix: str) -> str:
    """An id that nobody can guess: `prefix` and 128 random bits."""
    return prefix + secrets.token_hex(16)


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def fingerprint(info: Mapping[str, Any]) -> str:
    """Of a model's weights, settings and software: with the same one, a seed gives the same text."""
    return f"fp_{str(info['fingerprint'])[:16]}"


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


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, headers, "application/json")
