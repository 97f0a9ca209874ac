"""What the labels of texts are, all together: a class, a set of classes or a number; and which texts have two of them.

Asked by `daedal.data.kinds.labelled` when all were read, before copies are looked for: of two near copies only one would stay.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Literal

from jaxtyping import Int8
from numpy import ndarray

from daedal.data.columns import Column, Labels, Numbers, Sets
from daedal.data.example_options import ExampleOptions
from daedal.data.kind import Survey
from daedal.data.numerals import number_of

_SEVERAL = 0.05  # of the texts have none or several classes: then they have sets of them
_VARIED = 20  # different numbers, from which on they are no classes, if some are no whole ones
_SHOWN = 60  # characters of a text
_ONE = {"class": "class", "classes": "set of classes", "number": "number"}


class LabelledOptions(ExampleOptions):
    """
    Attributes:
        label: what a label is: one `class`, several `classes` (a set of any size), a `number`; seen from all of them, and told,
            where `auto`.
        separator: what parts the classes in a cell, as "|" in "joy|anger"; nothing does unless it is said.
        conflicts: `drop` all texts that have two different labels, but those of a source's own validation or test split.
    """

    label: Literal["auto", "class", "classes", "number"] = "auto"
    separator: str | None = None
    conflicts: Literal["keep", "drop"] = "keep"


def survey(
    examples: Iterable[tuple[int, Mapping[str, Any]]], options: LabelledOptions, roles: Int8[ndarray, " examples"]
) -> Survey:
    """What the labels are, which examples have another, and what is to be told."""
    texts: dict[bytes, int] = {}  # hash of a text -> its number
    said: list[tuple[int, int, Any]] = []  # example, text, label
    shown: dict[int, str] = {}  # texts with two labels
    firsts: list[Any] = []  # of each text the first label
    for number, example in examples:
        text, label = f"{example['text']}\0{example['text_b'] or ''}", example["label"]
        of = texts.setdefault(blake2b(text.encode("utf-8", "replace"), digest_size=16).digest(), len(texts))
        if of == len(firsts):
            firsts.append(label)
        elif firsts[of] != label and of not in shown:
            shown[of] = " ".join(text[:_SHOWN].replace("\0", " ").split())
        said.append((number, of, label))
    labels = [label for _, _, label in said]
    shape = _shape(labels) if options.label == "auto" else options.label
    column, faults = _column(shape), {number: _fault(shape, label) for number, _, label in said}
    left_out = {number: fault for number, fault in faults.items() if fault is not None}
    if options.conflicts == "drop":
        left_out |= {number: "two labels for one text" for number, of, _ in said if of in shown and roles[number] == 0}
    notes = [*_told(shape, [label for number, _, label in said if number not in left_out])]
    if shown and options.conflicts == "keep":
        yes = "--set conflicts=drop leaves them out"
        first = next(iter(shown.values()))
        notes.append(f"{len(shown):,} texts have more than one {_ONE[shape]}, as {first!r} ({yes})")
    return Survey({"label": column}, left_out, tuple(notes))


def _shape(labels: list[Any]) -> str:
    """What most labels are."""
    if sum(isinstance(label, list) for label in labels) > _SEVERAL * len(labels):
        return "classes"
    numbers = [number_of(label) for label in labels]
    varied = None not in numbers and len(set(numbers)) > _VARIED
    return "number" if varied and any(number and not number.is_integer() for number in numbers) else "class"


def _column(shape: str) -> Column:
    return {"class": Labels(), "classes": Sets(), "number": Numbers()}[shape]


def _fault(shape: str, label: Any) -> str | None:
    """Why a label is none of this shape."""
    if shape == "number":
        return "no number as its label" if isinstance(label, list) or number_of(label) is None else None
    if shape == "class" and isinstance(label, list):
        return "several classes" if label else "no label"
    return None


def _told(shape: str, labels: list[Any]) -> Iterator[str]:
    """Word of what was seen that is not the usual."""
    if shape == "number" and labels:
        numbers = [float(label) for label in labels]
        yield (
            f"label is a number, from {min(numbers):g} to {max(numbers):g}, {len(set(numbers)):,} different ones "
            "(--set label=class takes them as classes)"
        )
    elif shape == "classes" and labels:
        sizes = Counter(len(label) if isinstance(label, list) else 1 for label in labels)
        mean = sum(size * count for size, count in sizes.items()) / len(labels)
        yield (
            f"label is a set of classes: {mean:.2f} of a text on average, at most {max(sizes)}; {sizes[0]:,} texts have none "
            "(--set label=class takes those of one class)"
        )
    elif shape == "class" and len(different := set(labels)) > 2:
        others = [each for each in labels if number_of(each) is None]
        if not others:
            yield f"label has {len(different):,} numbers as classes (--set label=number takes them as numbers)"
        elif len(different) > _VARIED and len(others) < len(labels) / 2:
            yield (
                f"{len(labels) - len(others):,} labels are numbers and {len(others):,} are not, as {others[0]!r}: all are "
                "taken as classes (--set label=number leaves the others out)"
            )


def balance(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Classes that have much fewer texts than others; or what is the same for all, so that nothing can be learned."""
    labels = [example["label"] for example in examples]
    if labels and isinstance(labels[0], float):
        if len(set(labels)) == 1:
            yield f"all texts have one number, {labels[0]:g}: there is nothing to learn"
        return
    several = bool(labels) and isinstance(labels[0], list)
    counts = Counter(each for label in labels for each in (label if several else (label,)))
    if len(counts) == 1 and (not several or counts.total() == len(labels)):
        yield f"all texts are of one class, {next(iter(counts))!r}: there is nothing to learn"
    elif counts and counts.most_common()[-1][1] * 10 < counts.most_common()[0][1]:
        most, least = counts.most_common()[0], counts.most_common()[-1]
        yield f"classes are of very different size: {most[0]!r} has {most[1]:,} texts, {least[0]!r} {least[1]:,}"
