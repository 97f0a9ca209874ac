"""Batches made ready by a thread while the model computes."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Calls `make(step)` for the steps from `first` on, `ahead` of them in advance, in order."""

    def __init__(self, make: Callable[[int], T], first: int, ahead: int = 3) -> None:
        self._make, self._next, self._ahead = make, first, ahead
        # With OpenMP threads of its own the worker would have those of training sleep between any two operations: more of them
        # than cores do not wait awake. That made a step on two cores twice as long.
        self._worker = ThreadPoolExecutor(
            1, thread_name_prefix="prefetch", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._ready: deque[Future[T]] = deque()

    def get(self) -> T:
        """What belongs to the next step."""
        while len(self._ready) < self._ahead:
            self._ready.append(self._worker.submit(self._make, self._next))
            self._next += 1
        return self._ready.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)
