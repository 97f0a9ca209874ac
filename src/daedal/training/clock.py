"""How fast the steps of a run are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepClock:
    """The speed of the steps, pauses left out. The first two steps, which warm up caches and kernels, do not count."""

    def __init__(self) -> None:
        self._steps = self._count = 0
        self._since = time.monotonic()

    def count(self, count: int) -> None:
        self._steps += 1
        if self._steps == 2:
            self._since = time.monotonic()
        elif self._steps > 2:
            self._count += count

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._since += time.monotonic() - start

    def seconds_per_step(self) -> float:
        return (time.monotonic() - self._since) / max(1, self._steps - 2)

    def per_second(self) -> float:
        return self._count / max(1e-9, time.monotonic() - self._since)
