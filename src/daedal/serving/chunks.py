"""The chunks of a streamed completion, as bytes of server-sent events.

All of a chunk but its text is the same for a whole stream, so it is written once: building a chunk is joining three strings.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from daedal.serving.answers import Head, new_id
from daedal.serving.calls import Piece
from daedal.serving.logprobs import Token, chat_logprobs

DONE = b"data: [DONE]\n\n"
_END = b"\n\n"


class ChatChunks:
    """Chunks of one chat completion.

    Args:
        counted: the last chunk has `usage`, so the others have it as null.
    """

    def __init__(self, head: Head, counted: bool = False) -> None:
        fields = {**head.fields("chat.completion.chunk"), "service_tier": "default"}
        self._head = b"data: " + orjson.dumps(fields)[:-1]
        self._tail = (b',"usage":null}' if counted else b"}") + _END
        self._after = b'},"logprobs":null,"finish_reason":null}]' + self._tail
        self._texts: list[bytes] = []

    def text(self, index: int, text: str) -> bytes:
        """More words of one choice."""
        while index >= len(self._texts):
            self._texts.append(self._head + b',"choices":[{"index":%d,"delta":{"content":' % len(self._texts))
        return self._texts[index] + orjson.dumps(text) + self._after

    def role(self, index: int) -> bytes:
        """The first chunk of one choice."""
        return self._chunk(index, {"role": "assistant", "content": "", "refusal": None}, (), None)

    def piece(self, index: int, piece: Piece, tokens: Sequence[Token]) -> bytes:
        """Words or a part of a call, and the log-probabilities of the tokens that they came with."""
        if piece.kind == "words":
            return (
                self.text(index, piece.text)
                if not tokens
                else self._chunk(index, {"content": piece.text}, tokens, None)
            )
        if piece.kind == "name":
            call = {"id": new_id("call_"), "type": "function", "function": {"name": piece.text, "arguments": ""}}
        else:
            call = {"function": {"arguments": piece.text}}
        return self._chunk(index, {"tool_calls": [{"index": piece.call, **call}]}, tokens, None)

    def finish(self, index: int, reason: str, tokens: Sequence[Token]) -> bytes:
        """The last chunk of one choice."""
        return self._chunk(index, {}, tokens, reason)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The last chunk of the stream, without choices."""
        return self._head + b',"choices":[],"usage":' + orjson.dumps(usage) + b"}" + _END

    def _chunk(self, index: int, delta: dict[str, Any], tokens: Sequence[Token], reason: str | None) -> bytes:
        logprobs = {"content": chat_logprobs(tokens), "refusal": None} if tokens else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._head + b',"choices":[' + orjson.dumps(choice) + b"]" + self._tail


class TextChunks:
    """Chunks of one text completion: its choices are those of all prompts."""

    def __init__(self, head: Head, counted: bool = False) -> None:
        self._head = b"data: " + orjson.dumps(head.fields("text_completion"))[:-1]
        self._tail = (b',"usage":null}' if counted else b"}") + _END
        self._after = b',"logprobs":null,"finish_reason":null}]' + self._tail

    def text(self, index: int, text: str, logprobs: dict[str, Any] | None = None) -> bytes:
        """More text of one choice."""
        if logprobs is None:
            return self._head + b',"choices":[{"index":%d,"text":' % index + orjson.dumps(text) + self._after
        return self._chunk(index, text, logprobs, None)

    def finish(self, index: int, reason: str) -> bytes:
        """The last chunk of one choice."""
        return self._chunk(index, "", None, reason)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The last chunk of the stream, without choices."""
        return self._head + b',"choices":[],"usage":' + orjson.dumps(usage) + b"}" + _END

    def _chunk(self, index: int, text: str, logprobs: dict[str, Any] | None, reason: str | None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return self._head + b',"choices":[' + orjson.dumps(choice) + b"]" + self._tail
