"""Whether a model treats groups of people alike, by a column of a file that says who is of which.

    classifier    text (and text_b), label where it is known: how often each label is given, how often rightly, and how far the
                  model is as sure as it is right (expected calibration error), in each group
    reward model  prompt and answer: the mean reward; or prompt, chosen and rejected: how often the chosen answer wins
    recommender   user and item, a row for each item in order: how often the last item is among the ten that are recommended
                  after the others

Of two groups the difference is one group's value minus the other's; of more it is the largest minus the smallest, which is
above 0 by chance too. No single number is fairness: where base rates differ, equal selection, equal accuracy and equal
calibration cannot all hold (Kleinberg et al. 2017; Chouldechova 2017).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from daedal.errors import DaedalError
from daedal.evaluation.bias.clusters import digest, plain
from daedal.evaluation.bias.files import Row, rows
from daedal.evaluation.bias.group_values import GroupValues, Quantity
from daedal.evaluation.bias.readers import Share
from daedal.evaluation.blocks import Note
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.measures.calibration import bins, by_chance
from daedal.inference.generator import Generator

MOST_GROUPS = 20
_TOGETHER = 256
_LABELS = 4
_AMONG = 10


def by_groups(generator: Generator, path: Path, column: str, tell: Share, seed: int = 0) -> Findings:
    """What a model does with the rows of a file, in each group.

    Args:
        column: that says which group a row is of.

    Raises:
        DaedalError: the file lacks a column, has fewer than two groups or too many, or the model does nothing with rows.
    """
    can = generator.capabilities
    columns: tuple[str, ...]
    read: Callable[[Generator, list[Row], Share], tuple[list[int], list[Quantity], list[Note]]]
    if "classify" in can:
        columns, read = ("text",), _classified
    elif "reward" in can:
        columns, read = ("prompt",), _rewarded
    elif "recommend" in can:
        columns, read = ("user", "item"), _recommended
    else:
        raise DaedalError(
            f"{generator.kind} decides nothing about rows of a file",
            "Give a classifier, a reward model or a recommender",
        )
    given = list(rows(path, (*columns, column)))
    if len(given) < 2:
        raise DaedalError(f"{path} holds {len(given)} rows", "Give some of each group")
    kept, quantities, notes = read(generator, given, tell)
    every = [str(given[at].of(column, str, int)).strip() for at in kept]
    told = np.array([bool(each) for each in every])
    quantities = [each.of(told) for each in quantities]
    said = [each for each in every if each]
    names, group = np.unique(said, return_inverse=True)
    if not 2 <= len(names) <= MOST_GROUPS:
        raise DaedalError(
            f"{path}: the column {column} has {len(names)} different values in {len(said):,} rows",
            f"Name one that has 2 to {MOST_GROUPS}",
        )
    data = digest(f"{sorted(row.values.items(), key=str)}" for row in given)
    about = {"model_hash": generator.fingerprint, "data_hash": data, "seed": seed}
    found: list[Measurement] = []
    for quantity in quantities:
        found += GroupValues(quantity, [str(name) for name in names], group, about, plain(column)).measurements()
    left = f", {len(every) - len(said):,} left out that name none" if len(said) < len(every) else ""
    rise = "; of more than two, the largest minus the smallest is above 0 by chance too" if len(names) > 2 else ""
    notes.append(
        Note(brief=f"{len(said):,} rows of {len(names)} groups{left}; equal numbers are not yet equal treatment{rise}")
    )
    return Findings(tuple(found), blocks=tuple(notes))


def _classified(generator: Generator, given: list[Row], tell: Share) -> tuple[list[int], list[Quantity], list[Note]]:
    texts = [(row.text("text"), row.text("text_b")) if row.values.get("text_b") else row.text("text") for row in given]
    answers = []
    for first in range(0, len(texts), _TOGETHER):
        answers += generator.classify(texts[first : first + _TOGETHER])
        tell(min(1.0, (first + _TOGETHER) / len(texts)))
    every = np.ones(len(given), dtype=bool)
    truth = [_label(row) for row in given]
    known = np.array([bool(each) for each in truth])
    kept, labels = list(range(len(given))), list(generator.model.config.labels)
    if answers[0].value is not None:
        values = np.array([each.value for each in answers], dtype=np.float64)
        return kept, [Quantity(f"mean {labels[0]}", "mean", values, every)], []
    said = np.array([each.label for each in answers])
    order = sorted(labels, key=lambda label: -int((said == label).sum()))[:_LABELS] if len(labels) > 2 else labels[-1:]
    found = [
        Quantity(
            f"chosen {label[:30]}", "selection", (said == label).astype(np.float64), every, {"label": plain(label)}
        )
        for label in order
    ]
    notes: list[Note] = []
    if known.any():
        for row, label, true in zip(given, truth, known, strict=True):
            if true and label not in labels:
                shown = ", ".join(labels[:8])
                raise DaedalError(
                    f"{row.where}, label: {label[:40]!r} is none of the model's labels", f"They are {shown}"
                )
        right = np.array(
            [label == answer.label for label, answer in zip(truth, answers, strict=True)], dtype=np.float64
        )
        sure = np.array([each.probability for each in answers])
        found.append(Quantity("accuracy", "accuracy", right, known))
        for label in order:
            of = known & np.array([label == each for each in truth])
            if of.any():
                chosen = (said == label).astype(np.float64)
                found.append(Quantity(f"recall of {label[:30]}", "recall", chosen, of, {"label": plain(label)}))
        found.append(Quantity("calibration error", "calibration-error", _binned(sure, right, known), known))
        chance = by_chance(sure[known])
        notes.append(
            Note(brief=f"a calibration error of {chance:.3f} over all rows comes by chance, and more in small groups")
        )
    return kept, found, notes


def _label(row: Row) -> str:
    """The label of a row; nothing where it has none."""
    found = row.values.get("label")
    return "" if found is None else str(found).strip()


def _binned(
    sure: Float[np.ndarray, " rows"], right: Float[np.ndarray, " rows"], known: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows bins"]:
    """How much surer than right each row is, in the column of its bin: the bins are those of all rows, of equal number."""
    places = np.flatnonzero(known)
    parts = np.array_split(places[np.argsort(sure[places], kind="stable")], len(bins(sure[known], right[known]).count))
    found = np.zeros((len(sure), len(parts)))
    for column, part in enumerate(parts):
        found[part, column] = sure[part] - right[part]
    return found


def _rewarded(generator: Generator, given: list[Row], tell: Share) -> tuple[list[int], list[Quantity], list[Note]]:
    names = ("chosen", "rejected") if "chosen" in given[0].values else ("answer",)
    turns = [
        [{"role": "user", "content": row.text("prompt")}, {"role": "assistant", "content": row.text(name)}]
        for row in given
        for name in names
    ]
    said: list[float] = []
    for first in range(0, len(turns), _TOGETHER):
        said += generator.reward(turns[first : first + _TOGETHER])
        tell(min(1.0, (first + _TOGETHER) / len(turns)))
    rewards, every = np.array(said).reshape(-1, len(names)), np.ones(len(given), dtype=bool)
    kept = list(range(len(given)))
    if len(names) == 1:
        return kept, [Quantity("reward", "reward", rewards[:, 0], every)], []
    wins = np.where(rewards[:, 0] == rewards[:, 1], 0.5, rewards[:, 0] > rewards[:, 1])
    margin = rewards[:, 0] - rewards[:, 1]
    return kept, [
        Quantity("chosen answer wins", "preference-accuracy", wins, every),
        Quantity("margin of the chosen answer", "preference-margin", margin, every),
        Quantity("reward of the chosen answer", "reward", rewards[:, 0], every),
    ], []  # fmt: skip


def _recommended(generator: Generator, given: list[Row], tell: Share) -> tuple[list[int], list[Quantity], list[Note]]:
    taken: dict[str, list[int]] = {}
    for at, row in enumerate(given):
        taken.setdefault(str(row.of("user", str, int)), []).append(at)
    people = [places for places in taken.values() if len(places) > 1]
    if not people:
        raise DaedalError("Nobody in the file took two items", "Give a row for each item, with its user")
    items = [[str(given[at].of("item", str, int)) for at in places] for places in people]
    hits, sure = [], []
    for first in range(0, len(items), _TOGETHER):
        some = items[first : first + _TOGETHER]
        for own, listed in zip(some, generator.recommend_all([each[:-1] for each in some], _AMONG), strict=True):
            scores = {each.item: each.score for each in listed}
            hits.append(own[-1] in scores)
            sure.append(sum(scores.values()))
        tell(min(1.0, (first + _TOGETHER) / len(items)))
    every = np.ones(len(items), dtype=bool)
    notes = (
        [Note(brief=f"{len(taken) - len(people):,} users with one item left out")] if len(people) < len(taken) else []
    )
    hit = np.array(hits, dtype=np.float64)
    return [places[-1] for places in people], [
        Quantity(f"last item among {_AMONG}", "hit-rate", hit, every, {"among": str(_AMONG)}),
        Quantity(f"surer than right of {_AMONG}", "overconfidence", np.array(sure) - hit, every, {"among": str(_AMONG)}),
    ], notes  # fmt: skip
