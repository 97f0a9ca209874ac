"""The server's end of the line to the process of a model: commands go out, events come in, a line of JSON each."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from daedal.serving.commands import LAST, Event
from daedal.serving.errors import ApiError, clean


class Call:
    """A command that is being carried out, and its events until somebody takes them.

    Pieces of text that nobody has taken are joined: a client that reads slowly costs the memory of its text, not of its events.
    """

    def __init__(self, id: int, op: str) -> None:
        self.id, self.op = id, op
        self._events: deque[Event | ApiError] = deque()
        self._last: dict[int, Event] = {}
        self._news = asyncio.Event()

    def put(self, event: Event | ApiError) -> None:
        """An event has come, or the end."""
        if isinstance(event, dict) and event["event"] == "text":
            waiting = self._last.get(event["index"])
            if waiting is not None:
                waiting["text"] += event["text"]
                waiting["count"] += event["count"]
                if "tokens" in event:
                    waiting.setdefault("tokens", []).extend(event["tokens"])
                return
            self._last[event["index"]] = event
        self._events.append(event)
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        """The events until the last, as they come.

        Raises:
            ApiError: the command cannot be carried out.
        """
        while True:
            while not self._events:
                self._news.clear()
                await self._news.wait()
            event = self._events.popleft()
            if isinstance(event, ApiError):
                raise event
            if event["event"] == "text":
                self._last.pop(event["index"], None)
            elif event["event"] == "error":
                message = clean(event["message"])
                raise ApiError(event["status"], message, param=event.get("param"), code=event.get("code"))
            yield event
            if event["event"] in LAST:
                return
