"""One of Anthropic's messages as it is written: the events that tell a stream of it, as bytes."""

from typing import Any

import orjson

from daedal.serving.answers import new_id
from daedal.serving.calls import Piece
from daedal.serving.generation import Generated

_TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":'
)
_JSON = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"input_json_delta","partial_json":'
)
_END = b"}}\n\n"


def usage(generated: Generated) -> dict[str, Any]:
    """Tokens as Anthropic counts them: those from the cache apart."""
    return {
        "input_tokens": generated.prompt_tokens - generated.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": generated.cached_tokens,
        "output_tokens": generated.written,
        "service_tier": "standard",
    }


class MessageWriter:
    """
    Attributes:
        message: the object before there is any content.
    """

    def __init__(self, id: str, model: str) -> None:
        self.message: dict[str, Any] = {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        self._index = -1
        self._open: str | None = None  # the type of the block that is being written

    def begin(self, generated: Generated) -> bytes:
        """The prompt has been read."""
        message = {**self.message, "usage": usage(generated)}
        return _event("message_start", message=message) + _event("ping")

    def piece(self, piece: Piece) -> bytes:
        """Words or a part of a call."""
        if piece.kind == "words":
            before = b"" if self._open == "text" else self._next({"type": "text", "text": ""})
            return before + _TEXT % self._index + orjson.dumps(piece.text) + _END
        if piece.kind == "name":
            return self._next({"type": "tool_use", "id": new_id("toolu_"), "name": piece.text, "input": {}})
        return _JSON % self._index + orjson.dumps(piece.text) + _END

    def finish(self, reason: str, stop: str | None, generated: Generated) -> bytes:
        """The end of the message."""
        before = self._next({"type": "text", "text": ""}) if self._index < 0 else b""
        ended = {"stop_reason": reason, "stop_sequence": stop}
        counted = usage(generated)
        del counted["service_tier"]
        return before + self._close() + _event("message_delta", delta=ended, usage=counted) + _event("message_stop")

    def _next(self, block: dict[str, Any]) -> bytes:
        before = self._close()
        self._index, self._open = self._index + 1, block["type"]
        return before + _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _event("content_block_stop", index=self._index)


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"
