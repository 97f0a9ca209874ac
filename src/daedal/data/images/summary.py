"""The manifest of a finished build of pictures, from what was counted on the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daedal.data.copies import Duplicates
from daedal.data.images.annotate import Annotated, missing
from daedal.data.images.assemble import fingerprint_of
from daedal.data.images.example_table import Seen
from daedal.data.images.manifest import ImageManifest, ImageSplitRecord
from daedal.data.images.picture_array import Gallery
from daedal.data.manifest import Count
from daedal.data.split import Assignment
from daedal.data.summary import duplicates_of

_MOST = 12
_MOST_NOTES = 50


@dataclass(frozen=True)
class Outcome:
    """Everything that a build found and decided."""

    seen: Seen
    annotated: Annotated
    gallery: Gallery
    duplicates: Duplicates
    assignment: Assignment
    classes: tuple[str, ...]
    records: dict[str, ImageSplitRecord]


def summarise(told: Mapping[str, Any], outcome: Outcome) -> ImageManifest:
    """The manifest; `told` is what those of all kinds say."""
    gallery, annotated = outcome.gallery, outcome.annotated
    notes: list[str] = []
    if outcome.classes:
        notes.append(f"classes are from {annotated.labels_from}")
    if annotated.captions_from:
        notes.append(f"captions are from {annotated.captions_from}")
    kept = gallery.places[outcome.assignment.splits >= 0].tolist()
    notes += [*missing(annotated, outcome.seen, kept), *gallery.notes, *annotated.notes, *outcome.seen.tally.notes]
    notes = list(dict.fromkeys(notes))
    if len(notes) > _MOST_NOTES:  # as of a thousand Parquet files, each with its guesses
        notes[_MOST_NOTES:] = [f"and {len(notes) - _MOST_NOTES:,} more notes of this kind"]
    sizes = Counter(f"{width} x {height}" for width, height in gallery.sizes.tolist())
    origins, places = outcome.seen.origins, gallery.places
    examples = (
        f"{origins[places[one]]} is nearly {origins[places[other]]} (they differ by {difference:.1f} of 255)"
        for one, other, difference in outcome.duplicates.pairs
    )
    own = {
        "fingerprint": fingerprint_of(gallery.raster, outcome.classes, outcome.records),
        "raster": gallery.raster,
        "classes": outcome.classes,
        "splits": outcome.records,
        "split_by": outcome.assignment.method,
        "duplicates": duplicates_of(outcome.duplicates, examples),
        "sizes": _most(sizes, "other sizes"),
        "formats": _most(gallery.formats, "others"),
        "notes": tuple(notes),
    }
    return ImageManifest.parse({**told, **own}, "manifest")


def _most(counter: Counter[str], rest: str) -> tuple[Count, ...]:
    """The most frequent, and how many others there are."""
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = [Count(name=name, count=number) for name, number in ordered[:_MOST]]
    if left := sum(number for _, number in ordered[_MOST:]):
        counts.append(Count(name=rest, count=left))
    return tuple(counts)
