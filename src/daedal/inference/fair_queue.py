"""Whose turn it is: who has been given least comes next.

Virtual token counters: Sheng et al. 2024, arXiv:2401.00588.
"""

from collections.abc import Collection, Iterable


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
