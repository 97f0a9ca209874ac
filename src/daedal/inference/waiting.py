"""Rows that wait for a slot; owners take turns."""

from collections import deque
from collections.abc import Collection

from daedal.inference.fair_queue import Turns
from daedal.inference.row import Row


class Waiting:
    """Rows in the order in which they are to be read."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Row]] = {}
        self._back: deque[Row] = deque()
        self._turns = Turns()

    def __len__(self) -> int:
        return len(self._back) + sum(map(len, self._queues.values()))

    def add(self, row: Row, running: Collection[str]) -> None:
        """A new row comes last of its owner's.

        Args:
            running: owners of rows that have a slot.
        """
        self._turns.join(row.request.owner, {*self._queues, *running})
        self._queues.setdefault(row.request.owner, deque()).append(row)

    def give_back(self, row: Row) -> None:
        """A row that had begun, and must read its text again, comes before all others."""
        self._back.appendleft(row)

    def charge(self, row: Row, tokens: int) -> None:
        """A row's owner was given so many tokens."""
        self._turns.charge(row.request.owner, tokens)

    def first(self) -> Row | None:
        """The row that comes next."""
        if self._back:
            return self._back[0]
        if not self._queues:
            return None
        return self._queues[self._turns.next(self._queues)][0]

    def twin(self, row: Row) -> Row | None:
        """The owner's next row, if it has the same text to read and nothing else is wanted of the reading."""
        queue = self._queues.get(row.request.owner)
        if not queue or queue[0].ids != row.ids or queue[0].request.echo is not None or not queue[0].request.writes:
            return None
        return queue[0]

    def others(self, row: Row) -> int:
        """Rows of other owners, and those that had begun."""
        return len(self) - len(self._queues.get(row.request.owner, ()))

    def take(self, row: Row) -> None:
        """Take a row out, if it is here."""
        owner = row.request.owner
        for queue in (self._back, self._queues.get(owner)):
            if queue is not None and row in queue:
                queue.remove(row)
        if not self._queues.get(owner, True):
            del self._queues[owner]
