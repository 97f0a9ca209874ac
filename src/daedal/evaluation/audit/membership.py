"""Whether it can be told which texts a model has learned: attacks by its predictions, beside attacks that never see it.

- members are passages of the training documents, the others of held-out documents of the same build: nothing else tells them
  apart, unless the attacks that see the text alone succeed too (Das et al. 2024, arXiv:2406.16201; Meeus et al. 2024,
  arXiv:2406.17975). Then the two differ as texts, and no number here is about the model
- those are the length of the document, and a classifier of words that learns from half of the documents and judges the other
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from daedal.evaluation.audit.attacks import ATTACKS
from daedal.evaluation.audit.passages import Passages
from daedal.evaluation.audit.predictions import Predictions
from daedal.evaluation.audit.roc import METHOD, Separation, separation
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.predictors.bigram_classifier import BigramClassifier

Array = np.ndarray
RATE = 1e-3
"""Of false positives."""
LENGTH, WORDS = "length of the document", "words alone"
_JUDGED = 500
"""Passages of each sort that the classifier of words learns from and judges."""
_CHANCE = 0.025
"""That one of the attacks would do as well by chance, from which it is told: Bonferroni's, over them."""
_LEAST = 4
"""Documents of each sort for that."""


@dataclass(frozen=True)
class Side:
    """Passages of a split, what a model says of them, and their texts."""

    documents: Documents
    passages: Passages
    said: Predictions

    def texts(self) -> list[bytes]:
        documents, rows = self.documents, self.passages.rows[:, 1:]
        if documents.exact:
            return [documents.table.decode(row).tobytes() for row in rows]
        return [documents.codec.decode(row.tolist()).encode("utf-8", "replace") for row in rows]

    def lengths(self) -> Float[Array, " passages"]:
        found: Float[Array, " passages"] = self.documents.tokens[self.passages.document].astype(np.float64)
        return found


def membership(members: Side, others: Side, baseline: Any, seed: int = 0, **about: Any) -> Findings:
    """
    Args:
        baseline: makes one of measurements: where the blind attacks stand.
        about: of all measurements.
    """
    texts = members.texts(), others.texts()
    tell = partial(_tell, members.passages, others.passages, seed)
    own = {
        name: tell(attack(members.said, texts[0]), attack(others.said, texts[1])) for name, attack in ATTACKS.items()
    }
    blind = {LENGTH: _either_way(tell, members.lengths(), others.lengths())}
    words = _by_words(members.passages, others.passages, texts, seed)
    if words is not None:
        blind[WORDS] = words
    how = {"passage": members.passages.length, "members": len(texts[0]), "others": len(texts[1])}
    measurements = _measured(own, how, about)
    best = max(blind.values(), key=lambda each: each.auc)
    beside = tuple(
        each for name in own for each in _measured({name: best}, {**how, "blind": "yes"}, {**about, "model_hash": ""})
    )
    return Findings(
        measurements,
        (baseline(beside),),
        (*_notes(own, blind, len(texts[1])), _table(own, blind)),
        sampling={"seed": seed},
    )


def _tell(
    members: Passages, others: Passages, seed: int, one: Float[Array, " members"], other: Float[Array, " others"]
) -> Separation:
    return separation(one, other, members.document, others.document, RATE, seed)


def _either_way(
    tell: Callable[[Array, Array], Separation], one: Float[Array, " members"], other: Float[Array, " others"]
) -> Separation:
    """By a score of which nobody says whether more of it makes a member: it has two chances."""
    found = max((tell(sign * one, sign * other) for sign in (1, -1)), key=lambda each: each.auc)
    return replace(found, chance=min(1.0, 2 * found.chance))


def _by_words(
    members: Passages, others: Passages, texts: tuple[list[bytes], list[bytes]], seed: int
) -> Separation | None:
    """A classifier of uni- and bigrams: each half of the documents is judged by what the other half teaches. None where there
    are too few documents to halve."""
    documents = [each.document[:_JUDGED] for each in (members, others)]
    if any(len(np.unique(each)) < _LEAST for each in documents):
        return None
    generator = np.random.default_rng(seed)
    halves = [_halves(each, generator) for each in documents]
    read = [[text.decode("utf-8", "ignore") for text in each[:_JUDGED]] for each in texts]
    scores = [np.zeros(len(each)) for each in documents]
    for half in (0, 1):
        learned = [
            [text for text, where in zip(each, side, strict=True) if where != half]
            for each, side in zip(read, halves, strict=True)
        ]
        labels = np.repeat([[True, False], [False, True]], [len(learned[0]), len(learned[1])], axis=0)
        classifier = BigramClassifier.fit([*learned[0], *learned[1]], labels)
        judged = [
            classifier.scores([text for text, where in zip(each, side, strict=True) if where == half])[:, 0]
            for each, side in zip(read, halves, strict=True)
        ]
        ranks = rankdata(np.concatenate(judged)) / (sum(map(len, judged)) + 1)  # two classifiers have two scales
        for score, side, found in zip(scores, halves, np.split(ranks, [len(judged[0])]), strict=True):
            score[side == half] = found
    return separation(scores[0], scores[1], documents[0], documents[1], RATE, seed)


def _halves(documents: Int[Array, " passages"], generator: np.random.Generator) -> Int[Array, " passages"]:
    """To which half each passage belongs: those of a document to one."""
    numbers, place = np.unique(documents, return_inverse=True)
    side = np.arange(len(numbers)) % 2
    generator.shuffle(side)
    found: Int[Array, " passages"] = side[place]
    return found


def _measured(
    found: Mapping[str, Separation], how: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[Measurement, ...]:
    told: list[Measurement] = []
    for name, each in found.items():
        slug = name.replace("++", "-plus-plus")
        for says, quantity, value, interval, more in (
            (f"AUC by {name}", "membership-auc", each.auc, each.auc_interval, {}),
            (f"found by {name}", "membership-found", each.found, each.found_interval, {"false": RATE}),
        ):
            told.append(
                Measurement(
                    name=says, value=value, unit="", interval=interval,
                    interval_method=METHOD if interval else "", n=how["members"] + how["others"], pieces="passages",
                    definition=define(f"{quantity}-{slug}", 1, **how, **more), **about,
                )
            )  # fmt: skip
    return tuple(told)


def _table(own: Mapping[str, Separation], blind: Mapping[str, Separation]) -> Table:
    says = (
        "Each attack scores passages, and an AUC of one half is no better than chance. The last rows see texts alone, and no "
        "model: where they do as well as the others, training and held-out texts differ, and no row says anything of the model."
    )
    rows = tuple(
        (
            name if name in own else f"blind: {name}", each.auc, *(each.auc_interval or ("", "")), each.found,
            *(each.found_interval or ("", "")),
        )
        for name, each in (*own.items(), *blind.items())
    )  # fmt: skip
    head = ("attack", "AUC", "from", "to", f"found at {RATE:.1%} false", "from", "to")
    return Table(title="Membership", says=says, head=head, rows=rows)


def _rival(best: Separation, blind: Mapping[str, Separation]) -> str | None:
    """The blind attack that does about as well; None where none reaches the interval."""
    low = best.auc if best.auc_interval is None else best.auc_interval[0]
    return next((name for name in sorted(blind, key=lambda name: -blind[name].auc) if blind[name].auc >= low), None)


def _notes(own: Mapping[str, Separation], blind: Mapping[str, Separation], others: int) -> tuple[Note, ...]:
    best = min(own, key=lambda name: (own[name].chance, -own[name].auc))
    said = []
    if own[best].auc_interval is None:
        said.append("membership has no interval: there are too few documents")
    elif own[best].chance * len(own) <= _CHANCE and (rival := _rival(own[best], blind)) is not None:
        said.append(
            f"{best} tells a training passage from a held-out one in {own[best].auc:.0%} of pairs, and {rival}, without the "
            f"model, in {blind[rival].auc:.0%}: what the model remembers cannot be told from how the splits differ"
        )
    elif own[best].chance * len(own) <= _CHANCE:
        said.append(
            f"what the model has learned can be told from what it has not by {best}: a training passage scores higher than a "
            f"held-out one in {own[best].auc:.0%} of pairs"
        )
    else:
        said.append("no attack tells training passages from held-out ones better than chance")
    telling = [name for name, each in blind.items() if each.chance * len(blind) <= _CHANCE]
    if telling:
        said.append(
            f"{' and '.join(telling)} tells them apart without the model: the splits differ, so that membership is overstated"
        )
    if others * RATE < 1:
        said.append(
            f"{others:,} held-out passages are too few for a rate of {RATE:.1%}: what is found scores higher than all of them"
        )
    return tuple(Note(brief=each) for each in said)
