"""What is said in recordings, as models that speak are told it: prompts, and the codec that makes ids of them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from daedal.codecs.caption import CaptionCodec, tidy
from daedal.codecs.pronunciations import Pronunciations, spelled
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.models.sayable import Sayable
from daedal.training.listening import characters_of, plain

Array = np.ndarray
_LISTED = 8
_WINDOW = 512
"""Ids of the longest transcript that is told whole."""


def sayable_of(dataset: ExampleDataset, pronunciations: Pronunciations | None = None) -> dict[str, Any]:
    """What recordings say: the fields of `Sayable`. Transcripts go before classes.

    Raises:
        DaedalError: two classes, or two speakers, are the same prompt.
    """
    transcripts = dataset.has("transcript")
    return {
        "labels": _apart(dataset, "label") if dataset.has("label") and not transcripts else (),
        "speakers": _apart(dataset, "speaker") if dataset.has("speaker") else (),
        "characters": characters_of(dataset.split("train"), pronunciations) if transcripts else (),
    }


def _apart(dataset: ExampleDataset, column: str) -> tuple[str, ...]:
    """The names of a column's classes, which are told from each other as prompts are read: in small letters."""
    names = dataset.classes(column)
    told: dict[str, str] = {}
    for name in names:
        if (other := told.setdefault(tidy(name), name)) != name:
            what = "classes" if column == "label" else "speakers"
            raise DaedalError(
                f"The {what} {other} and {name} of {dataset.folder} are one to a model that is told prompts in small letters",
                "Give both one name, or names that differ in more, and build the data again",
            )
    return names


def said_in(split: Any, config: Sayable, pronunciations: Pronunciations | None = None) -> list[Sequence[str] | None]:
    """What is said in the recordings of a split: the symbols of their transcripts, or their classes."""
    if not config.characters:
        return list(split.values("label"))
    texts = split.values("transcript")
    return [None if each is None else spelled(plain(each), pronunciations) for each in texts]


def speakers_in(split: Any, config: Sayable) -> list[str | None]:
    """Who speaks in the recordings of a split, as far as the model knows them."""
    known = split.values("speaker") if config.speakers else [None] * len(split)
    return [each if each in config.speakers else None for each in known]


def captions_of(said: Sequence[Sequence[str] | None], config: Sayable) -> CaptionCodec:
    """What makes ids of prompts, learned from what is said in training."""
    told = [each for each in said if each is not None]
    some: Sequence[str] = told[0] if told else ""
    prompts = {config.prompt(each, None) for each in told}
    prompts |= {config.prompt(some, each) for each in config.speakers}
    codec = CaptionCodec.train(sorted(prompts))
    longest = min(_WINDOW, max(codec.lengths(sorted(prompts))))
    return CaptionCodec(codec.text, max(codec.window, longest), codec.words)


def read_pronunciations(path: str | None, dataset: ExampleDataset) -> Pronunciations | None:
    """The dictionary that a plan names.

    Raises:
        DaedalError: it cannot be read, or nothing is spelled in the recordings.
    """
    if path is None:
        return None
    if not dataset.has("transcript"):
        raise DaedalError(
            f"The recordings in {dataset.folder} have no transcripts that could be pronounced",
            "Leave --pronunciations away, or build the data with --transcripts",
        )
    return Pronunciations.read(path)


def spelled_words(dataset: ExampleDataset, pronunciations: Pronunciations | None) -> dict[str, str]:
    """What a plan tells of the words that a dictionary lacks."""
    if pronunciations is None:
        return {}
    counts: Counter[str] = Counter()
    words = 0
    for text in dataset.split("train").values("transcript"):
        words += len(plain(text or "").split())
        counts.update(pronunciations.unknown(plain(text or "")))
    if not counts:
        return {"Said": f"all {words:,} words are in the dictionary"}
    some = ", ".join(word for word, _ in counts.most_common(_LISTED))
    return {"Said": f"{counts.total():,} of {words:,} words are not in the dictionary, and are spelled: {some}"}


def left_out(dataset: ExampleDataset, fits: Bool[Array, " recordings"]) -> dict[str, str]:
    """What a plan tells of recordings that are not learned.

    Args:
        fits: which recordings of the train split are not too long.
    """
    train = dataset.split("train")
    said = train.values("transcript" if dataset.has("transcript") else "label")
    long, silent = int((~fits).sum()), sum(each is None for each, fit in zip(said, fits, strict=True) if fit)
    told = [f"{count:,} {why}" for count, why in ((long, "are longer"), (silent, "say nothing")) if count]
    cut = sum(len(each or "") > _WINDOW for each in said) if dataset.has("transcript") else 0
    return ({"Left out": f"of {len(fits):,} recordings {' and '.join(told)}"} if told else {}) | (
        {"Cut": f"{cut:,} transcripts have more than {_WINDOW} characters, and are told that far"} if cut else {}
    )


def require_same(planned: Sequence[str], found: Sequence[str], path: str) -> None:
    """Make sure that a dictionary is still the one that a run was planned with.

    Raises:
        DaedalError: it is not.
    """
    if tuple(planned) != tuple(found):
        raise DaedalError(f"{path} is not what it was when the run began", "Restore it, or train anew")
