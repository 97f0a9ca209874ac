"""One response as it is written: its output items, and the events that tell a stream of them.

The order is the official one: created, in_progress; of each item added, its deltas, done; and completed, incomplete or failed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from daedal.serving.answers import now
from daedal.serving.calls import Piece
from daedal.serving.logprobs import Token, chat_logprobs
from daedal.serving.moderation import CODE
from daedal.serving.response_items import new_call, new_message, output_text

_DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d'


class ResponseWriter:
    """
    Args:
        response: the object, without output.
        logprobs: whether the output tells log-probabilities.
    """

    def __init__(self, response: dict[str, Any], logprobs: bool) -> None:
        self.response = response
        self._logprobs = logprobs
        self._sent = 0
        self._open: dict[str, Any] | None = None  # the item that is being written
        self._words: list[str] = []
        self._tokens: list[dict[str, Any]] = []
        self._untold: list[Token] = []  # tokens whose text is not certain yet
        self._before = b""  # of a delta's event, between its number and its text

    def begin(self) -> list[bytes]:
        """The response is there."""
        return [self._whole("response.created"), self._whole("response.in_progress")]

    def take(self, pieces: Iterable[Piece], tokens: Sequence[Token] = ()) -> list[bytes]:
        """What came, and the tokens that it came with."""
        events: list[bytes] = []
        if self._logprobs:
            self._untold.extend(tokens)
        for piece in pieces:
            logprobs, self._untold = chat_logprobs(self._untold), []
            if piece.kind == "words":
                if self._open is None or self._open["type"] != "message":
                    events.extend(self._close("completed"))
                    events.extend(self._open_message())
                self._words.append(piece.text)
                self._tokens.extend(logprobs)
                events.append(self._delta(piece.text, logprobs))
            elif piece.kind == "name":
                events.extend(self._close("completed"))
                self._open = new_call(piece.text)
                self._words = []
                events.append(self._event("response.output_item.added", item=self._open))
            elif self._open is not None:
                self._words.append(piece.text)
                events.append(
                    self._event("response.function_call_arguments.delta", item_id=self._open["id"], delta=piece.text)
                )
        return events

    def finish(self, reason: str, usage: dict[str, Any]) -> list[bytes]:
        """The end, but for the last event.

        Args:
            reason: "stop", "length", "context" or "content_filter".
        """
        whole = reason == "stop"
        empty = self._open_message() if self._open is None and not self.response["output"] else []
        events = [*empty, *self._last_tokens(), *self._close("completed" if whole else "incomplete")]
        ended = {"status": "completed" if whole else "incomplete", "completed_at": now() if whole else None}
        self.response.update(ended, usage=usage)
        if not whole:
            self.response["incomplete_details"] = {"reason": reason if reason == CODE else "max_output_tokens"}
        return events

    def fail(self, code: str, message: str) -> bytes:
        """The engine broke down, or the response could not be kept."""
        self.response.update(status="failed", error={"code": code, "message": message})
        self.response.update(completed_at=None, incomplete_details=None)
        return self._whole("response.failed")

    def end(self) -> bytes:
        """The last event, which has the whole response."""
        return self._whole(f"response.{self.response['status']}")

    def _open_message(self) -> list[bytes]:
        self._open, self._words, self._tokens = new_message(), [], []
        index = len(self.response["output"])
        rest = {"item_id": self._open["id"], "output_index": index, "content_index": 0}
        self._before = b"," + orjson.dumps(rest)[1:-1] + b',"delta":'
        return [
            self._event("response.output_item.added", item=self._open),
            self._event("response.content_part.added", **rest, part=output_text("")),
        ]

    def _last_tokens(self) -> list[bytes]:
        """Those that ended the text and added nothing to it: the end of the text, a stop text."""
        if not self._untold or self._open is None or self._open["type"] != "message":
            return []
        logprobs, self._untold = chat_logprobs(self._untold), []
        self._tokens.extend(logprobs)
        return [self._delta("", logprobs)]

    def _close(self, status: str) -> list[bytes]:
        """The item that is being written is whole."""
        item, text = self._open, "".join(self._words)
        if item is None:
            return []
        self._open, self._words = None, []
        item["status"] = status
        if item["type"] == "message":
            part = output_text(text, self._tokens)
            item["content"] = [part]
            place = {"item_id": item["id"], "content_index": 0}
            events = [
                self._event("response.output_text.done", **place, text=text, logprobs=self._tokens),
                self._event("response.content_part.done", **place, part=part),
            ]
        else:
            item["arguments"] = text
            own = {"item_id": item["id"], "name": item["name"], "arguments": text}
            events = [self._event("response.function_call_arguments.done", **own)]
        events.append(self._event("response.output_item.done", item=item))
        self.response["output"].append(item)
        return events

    def _delta(self, text: str, logprobs: list[dict[str, Any]]) -> bytes:
        number = self._sent
        self._sent += 1
        told = orjson.dumps(logprobs) if logprobs else b"[]"
        return b"".join((_DELTA % number, self._before, orjson.dumps(text), b',"logprobs":', told, b"}\n\n"))

    def _event(self, kind: str, **fields: Any) -> bytes:
        fields.setdefault("output_index", len(self.response["output"]))
        return self._written(kind, fields)

    def _whole(self, kind: str) -> bytes:
        return self._written(kind, {"response": self.response})

    def _written(self, kind: str, fields: dict[str, Any]) -> bytes:
        event = {"type": kind, "sequence_number": self._sent, **fields}
        self._sent += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
