"""Whose turn it is: who has been given least comes next. And the rows that wait for a slot of the engine, by turns of their
owners.

Virtual token counters: Sheng et al. 2024, arXiv:2401.00588.
"""

from collections import deque
from collections.abc import Collection, Iterable

from daedal.inference.engine_request import Row


class Turns:
    """How much each owner has been given."""

    def __init__(self) -> None:
        self._given: dict[str, float] = {}
        self._last: dict[str, int] = {}  # when each was given something, in turns
        self._turn = 0

    def join(self, owner: str, here: Collection[str]) -> None:
        """An owner wants something.

        Args:
            here: owners that waited, or were being given something, before.
        """
        if not here:
            self._given.clear()
            self._last.clear()
        if owner not in here:
            # Who was away has not saved anything up
            least = min((self._given.get(other, 0.0) for other in here), default=0.0)
            self._given[owner] = max(self._given.get(owner, 0.0), least)

    def charge(self, owner: str, amount: float) -> None:
        """An owner was given so much."""
        self._turn += 1
        self._given[owner], self._last[owner] = self._given.get(owner, 0.0) + amount, self._turn

    def next(self, owners: Iterable[str]) -> str:
        """Whose turn it is; of those who have been given as little, whose last turn is longest ago."""
        return min(owners, key=lambda owner: (self._given.get(owner, 0.0), self._last.get(owner, 0)))


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
