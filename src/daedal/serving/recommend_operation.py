"""What people may like next, by a recommender."""

from typing import Any, NamedTuple, Self

from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.skills.recommend import Recommendation
from daedal.serving.commands import Command, Refused
from daedal.serving.operation import Operation


class _Person(NamedTuple):
    """Somebody to recommend to: what was taken, how many items, and which not."""

    history: list[str]
    n: int
    banned: list[str]


class Recommend(Operation):
    """`recommend`: `n` items after a `history`, or after that of a `user` of the data; not those to `exclude`, and only with
    `again` those that are in it."""

    op, skill = "recommend", "recommend"
    together = 16384

    @classmethod
    def of(cls, generator: Generator, command: Command) -> Self:
        history = (
            _found("user", lambda: generator.known_of(command["user"]))
            if command["history"] is None
            else _found("history", lambda: generator.named(command["history"]))
        )
        banned = _found("exclude", lambda: generator.named(command["exclude"]))
        banned = banned if command["again"] else [*banned, *history]
        read = min(len(history), generator.model.config.context) + 1
        return cls(generator, command, [_Person(history, command["n"], banned)], [read])

    def read(self, texts: list[Any]) -> list[list[Recommendation]]:
        most = max(person.n for person in texts)
        histories, banned = [person.history for person in texts], [person.banned for person in texts]
        found = self.generator.recommend_all(histories, most, again=True, exclude=banned)
        return [each[: person.n] for each, person in zip(found, texts, strict=True)]

    def result(self, found: list[list[Recommendation]]) -> dict[str, Any]:
        return {"found": [each.model_dump() for each in found[0]]}


def _found(param: str, read: Any) -> list[str]:
    """The items that a field names."""
    try:
        items: list[str] = read()
    except DaedalError as error:
        raise Refused(400, str(error), "invalid_value", param) from None
    return items
