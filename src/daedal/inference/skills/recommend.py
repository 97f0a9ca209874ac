"""What people may like next, by a recommender: of the items that they took before, or of some that they say they like."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.items import END, UNKNOWN, ItemCodec
from daedal.config import Config
from daedal.data import open_data
from daedal.errors import DaedalError
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.recommender import Recommender
from daedal.models.sequences import Sequences
from daedal.training.histories import seen
from daedal.training.learned_data import own_data
from daedal.training.run import RunFolder

_TOGETHER = 256
"""Histories that are read at once."""
_NAMED = 5
MOST = 1000
"""Items that are recommended to one person, at most."""


class Recommendation(Config):
    """An item that a person may like next.

    Attributes:
        score: the probability that it is next, among all that may be recommended.
        rank: its place, from 1.
    """

    item: str
    score: float
    rank: int


class Recommend(Skill):
    """Items for people."""

    name = "recommend"
    learned: ClassVar[type[Recommender]] = Recommender
    needs = ("recommend",)
    verb = "recommend items"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        self._codec: ItemCodec = subject.codec
        self._model: Any = subject.model
        self._histories: dict[str, Mapping[str, Sequence[str]]] = {}

    def recommend(
        self,
        history: Sequence[str] | None = None,
        n: int = 10,
        *,
        user: str | None = None,
        again: bool = False,
        exclude: Iterable[str] = (),
        data: str | Path | None = None,
    ) -> list[Recommendation]:
        """What may come next, the likeliest first.

        Args:
            history: names of items in the order in which they were taken; what is popular is recommended after none.
            n: how many.
            user: in place of a history, somebody whose history is in the data that the model learned from.
            again: also what was taken before.
            exclude: what is not to be recommended.
            data: the data folder of the user, where it is not the model's own.

        Raises:
            DaedalError: there is no such item or user; the line names those that are written nearly so.
        """
        if (history is None) == (user is None):
            raise DaedalError("Whom to recommend to is not said, or twice", "Give a history, or a user")
        names = self.named(history or ()) if user is None else self.known_of(user, data)
        return self.recommend_all([names], n, again=again, exclude=[self.named(exclude)])[0]

    @torch.inference_mode()
    def recommend_all(
        self,
        histories: Sequence[Sequence[str]],
        n: int = 10,
        *,
        again: bool = False,
        exclude: Sequence[Iterable[str]] | None = None,
    ) -> list[list[Recommendation]]:
        """The same for several, a list for each; names are exact, and those that the model does not know tell it nothing."""
        if not 1 <= n <= MOST:
            raise DaedalError(f"{n} items cannot be recommended", f"Ask for 1 to {MOST}")
        without: Sequence[Iterable[str]] = [()] * len(histories) if exclude is None else exclude
        ids = [self._codec.encode(each) for each in histories]
        banned = [
            [*(() if again else own), *self._codec.encode(list(others))]
            for own, others in zip(ids, without, strict=True)
        ]
        found = []
        for first in range(0, len(ids), _TOGETHER):
            some = slice(first, first + _TOGETHER)
            logits = self.logits(ids[some])
            rows = [row for row, each in enumerate(banned[some]) for _ in each]
            logits[rows, [id for each in banned[some] for id in each]] = float("-inf")
            scores, best = logits.softmax(1).topk(min(n, logits.shape[1]))
            found += [self._named(*each) for each in zip(scores.tolist(), best.tolist(), strict=True)]
        return found

    @torch.inference_mode()
    def logits(self, histories: Sequence[Sequence[int]]) -> Float[Tensor, "histories vocab"]:
        """Logits of what follows each history of ids, on the CPU; minus infinity of what is no item.

        Raises:
            DaedalError: the model's numbers are not finite.
        """
        rows = [seen(history, self._model.config.context) for history in histories]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
        sequences = Sequences.of([rows[at] for at in order]).to(self._subject.device)
        logits: Tensor = self._model.next_items(sequences).cpu()
        if bool(logits[:, END + 1 :].isfinite().all()):
            return torch.empty_like(logits).index_copy_(0, torch.tensor(order), logits)
        raise DaedalError(
            "The model's numbers are not finite (NaN or infinity)",
            "Its weights are damaged or its training diverged: use an earlier checkpoint",
        )

    def named(self, titles: Iterable[str]) -> list[str]:
        """The items that are meant, whose titles may be written in any letters, and without what stands in brackets behind.

        Raises:
            DaedalError: there is none, or several are; the line names them.
        """
        found = []
        for title in titles:
            meant = [title] if title in self._known else self._titled.get(_plain(str(title)), [])
            if len(meant) != 1:
                near = meant or get_close_matches(_plain(str(title)), self._titled, _NAMED, 0.6)
                near = near if meant else [self._titled[each][0] for each in near]
                what = f"{len(meant)} items are called" if meant else "There is no item"
                listed = ", ".join(repr(each) for each in near[:_NAMED])
                fix = f"Name one of them: {listed}" if meant else f"Did you mean {listed}?" if near else "Name another"
                raise DaedalError(f"{what} {str(title)!r:.80}", fix)
            found += meant
        return found

    def known_of(self, user: str, data: str | Path | None = None) -> list[str]:
        """The items of somebody that the model knows; the rest is newer than it. See `history_of`."""
        return [each for each in self.history_of(user, data) if each in self._known]

    def history_of(self, user: str, data: str | Path | None = None) -> Sequence[str]:
        """The items of somebody in the data that the model learned from, or in others; all of them, also held-out ones. A run
        keeps nobody's history: the data folder does.

        Raises:
            DaedalError: there is no such user, or the data are not there.
        """
        key = "" if data is None else str(data)
        if key not in self._histories:
            self._histories[key] = self._read(data)
        histories = self._histories[key]
        if str(user) not in histories:
            near = get_close_matches(str(user), list(histories)[:100_000], 3)
            fix = f"Did you mean {', '.join(near)}?" if near else "Name another, or items that are liked"
            raise DaedalError(f"There is no user {str(user)!r:.80} in the data", fix)
        return histories[str(user)]

    def _read(self, data: str | Path | None) -> Mapping[str, Sequence[str]]:
        if data is None:
            run = Path(self._subject.name)
            if not (run / "training" / "plan.json").is_file():
                raise DaedalError(f"{run} has no run that says where its data are", "Name the data folder by --data")
            dataset: Any = own_data(RunFolder(run))
        else:
            dataset = open_data(Path(data))
        if dataset.kind_name != "histories":
            raise DaedalError(f"{dataset.folder} holds {dataset.kind_name}, not histories", "Name other data")
        found: dict[str, Sequence[str]] = {}
        for split in (dataset.split(name) for name in dataset.manifest.splits):
            users, items = split.values("user"), split.values("items")
            found |= dict(zip(map(str, users), items, strict=True))
        return found

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._codec.names)

    @cached_property
    def _titled(self) -> dict[str, list[str]]:
        """Names by what a person may write: whole, and without what stands in brackets behind."""
        found: dict[str, list[str]] = {}
        for name in self._codec.names:
            whole = _plain(name)
            for written in {whole, _plain(name.split(" (")[0])}:
                found.setdefault(written, []).append(name)
        for name in self._codec.names:
            found[_plain(name)] = [each for each in found[_plain(name)] if _plain(each) == _plain(name)]
        return found

    def _named(self, scores: Sequence[float], ids: Sequence[int]) -> list[Recommendation]:
        """What can be recommended of the best: not what is banned, or no item."""
        return [
            Recommendation(item=self._codec.decode([id])[0], score=score, rank=rank)
            for rank, (score, id) in enumerate(zip(scores, ids, strict=True), 1)
            if score > 0 and id not in (UNKNOWN, END)
        ]


def _plain(title: str) -> str:
    """A title as it is compared: in small letters and without its article, which may stand behind ("Fly, The")."""
    head, bracket, tail = " ".join(title.casefold().split()).partition(" (")
    for article in ("the", "a", "an"):
        head = head.removesuffix(f", {article}").removeprefix(f"{article} ")
    return head + bracket + tail
