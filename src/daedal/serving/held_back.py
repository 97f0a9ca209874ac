"""Texts are held back until they were judged, and go on as they came: the same events, a little later.

- rules let through at once what cannot become something that they forbid: what they hold is a phrase that has begun, and the
  last 64 characters where there are patterns
- a classifier reads a window when so many tokens wait, or the first of them for so long; the model goes on writing meanwhile.
  It sees what stands before the window too
- so a token waits at most for the delay and two judgements. A text that is flagged ends there: what was let through stays, and
  nothing of what was held back is told
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from daedal.safety.moderation.rules import RuleStream
from daedal.safety.moderation.verdict import OVERLAP
from daedal.serving.commands import Event
from daedal.serving.moderation import CODE, Moderation

_AHEAD = 8
"""Windows that a model may be ahead of the classifier."""
_NEVER = float("inf")


class _Text:
    """A text that is being written.

    Attributes:
        written: all of it.
        waiting: tokens that the classifier has not judged.
        since: when the first of them came.
        end: the event that ends it, once it came.
        over: whether that was told.
    """

    def __init__(self, moderation: Moderation) -> None:
        self._rules = None if moderation.rules is None else RuleStream(moderation.rules)
        self._classified = moderation.name is not None
        self._held: deque[tuple[Event, int, float]] = deque()  # with where it ends in the text, and when it came
        self._clear = self._judged = 0  # up to where rules, and the classifier, let it through
        self.written, self.told, self.waiting, self.since = "", 0, 0, 0.0
        self.end: Event | None = None
        self.over = False

    def take(self, event: Event) -> str | None:
        """More of it, or its end; the category of a rule that it fits now."""
        now, final = time.perf_counter(), event["event"] == "finished"
        if final:
            self.end = event
        else:
            self.written += event["text"]
            self._held.append((event, len(self.written), now))
            self.since = self.since if self.waiting else now
            self.waiting += event["count"]
        if self._rules is None:
            self._clear = len(self.written)
            return None
        matches, self._clear = self._rules.read("" if final else event["text"], final)
        return matches[0].category if matches else None

    def due(self, window: int, delay: float) -> float:
        """Seconds until it is to be judged; none is due where nothing waits."""
        if self.over or not self._classified or self._judged == len(self.written):
            return _NEVER
        if self.end is not None or self.waiting >= window:
            return 0.0
        return max(0.0, self.since + delay - time.perf_counter())

    def window(self) -> tuple[str, int]:
        """What the classifier is to read now, and up to where it goes."""
        self.waiting = 0
        return self.written[max(0, self._judged - OVERLAP) :], len(self.written)

    def pass_to(self, place: int) -> None:
        """The classifier lets it through up to there."""
        self._judged = place

    def release(self) -> Iterator[tuple[Event, float]]:
        """What may be told now, with how long it was held."""
        upto = min(self._clear, self._judged) if self._classified else self._clear
        while self._held and self._held[0][1] <= upto and not self.over:
            event, _, came = self._held.popleft()
            self.told += event["count"]
            yield event, time.perf_counter() - came
        if self.end is not None and not self._held and not self.over:
            self.over = True
            yield self.end, 0.0

    def refuse(self, index: int) -> Event:
        """The event that ends it here."""
        self.over = True
        self._held.clear()
        return {"event": "finished", "index": index, "reason": CODE, "stop": None, "tokens": self.told}


async def held_back(
    moderation: Moderation, events: AsyncGenerator[Event], name: str, asker: str, count: int
) -> AsyncGenerator[Event]:
    """The events of a generation, of which texts are judged before they are told.

    Args:
        name: of the model that writes.
        count: of the texts that it writes.

    Raises:
        ApiError: as the generation itself; or the classifier cannot be asked.
    """
    texts = [_Text(moderation) for _ in range(count)]
    reading: asyncio.Future[Event | None] | None = None
    judging: asyncio.Task[list[tuple[int, int, str]]] | None = None
    window, ended = moderation.window, False

    async def judge(due: list[tuple[int, str, int]]) -> list[tuple[int, int, str]]:
        """Of each text up to where it was judged, and the category that it is flagged for."""
        scores = await moderation.scores([text for _, text, _ in due], asker)
        worst = [max(each.items(), key=lambda one: one[1], default=("", 0.0)) for each in scores]
        return [
            (index, end, category if score >= moderation.threshold else "")
            for (index, _, end), (category, score) in zip(due, worst, strict=True)
        ]

    def refused(index: int, category: str) -> Event:
        moderation.metrics.refusals.labels(name, "output", category).inc()
        return texts[index].refuse(index)

    async with aclosing(events):
        try:
            while not all(text.over for text in texts):
                wait = _NEVER if judging else min(text.due(window, moderation.delay) for text in texts)
                if wait == 0.0:
                    due = [
                        (index, *text.window())
                        for index, text in enumerate(texts)
                        if text.due(window, moderation.delay) == 0.0
                    ]
                    judging = asyncio.create_task(judge(due))
                if not (reading or ended) and max(text.waiting for text in texts) < _AHEAD * window:
                    reading = asyncio.ensure_future(anext(events, None))
                tasks = [task for task in (reading, judging) if task is not None]
                if not tasks:
                    break  # it ended without an end
                patience = None if judging or wait == _NEVER else wait
                await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if judging is not None and judging.done():
                    for index, end, category in judging.result():
                        if category and not texts[index].over:
                            yield refused(index, category)
                        texts[index].pass_to(end)
                    judging = None
                if reading is not None and reading.done():
                    event, reading = reading.result(), None
                    if event is None or event["event"] == "done":
                        ended = True
                    elif event["event"] not in ("text", "finished"):
                        yield event
                    elif not (text := texts[event["index"]]).over and (found := text.take(event)) is not None:
                        yield refused(event["index"], found)
                for text in texts:
                    for told, seconds in text.release():
                        moderation.metrics.held.observe(seconds)
                        yield told
            yield {"event": "done"}
        finally:
            tasks = [task for task in (reading, judging) if task is not None and not task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
