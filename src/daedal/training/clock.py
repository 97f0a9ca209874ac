"""How fast the steps of a run are."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class StepClock:
    """The speed of the steps, pauses left out. The first two steps, which warm up caches and kernels, do not count.

    Args:
        memory: seconds of steps that can be looked back on.
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory
        self._steps = self._count = 0
        self._since = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])  # seconds of steps, and how many steps they took

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def count(self, count: int) -> None:
        """A step that learned from `count` things is done."""
        self._steps += 1
        if self._steps == 2:
            self._since = time.monotonic()
        elif self._steps > 2:
            self._count += count
            seconds = self._seconds
            if seconds - self._marks[-1][0] > self._memory / 100:
                self._marks.append((seconds, self._steps - 2))
            while len(self._marks) > 2 and self._marks[1][0] < seconds - self._memory:
                self._marks.popleft()

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._since += time.monotonic() - start

    def seconds_per_step(self, memory: float | None = None) -> float | None:
        """Of the steps of late: other work on the machine comes and goes. None as long as no step counts.

        Args:
            memory: seconds of steps to look back on; all that can be, unless given.
        """
        if self._steps < 3:
            return None
        since = self._seconds - (self._memory if memory is None else memory)
        seconds, steps = self._marks[max(0, bisect_right(self._marks, (since, 0)) - 1)]
        return (self._seconds - seconds) / max(1, self._steps - 2 - steps)

    def per_second(self) -> float | None:
        """Things learned from in a second, since the clock began. None as long as no step counts."""
        return self._count / max(1e-9, self._seconds) if self._steps > 2 else None
