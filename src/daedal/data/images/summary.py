"""The manifest of a finished build of pictures, from what was counted on the way."""

from collections import Counter
from dataclasses import dataclass

from daedal.data.hub import hub_licence
from daedal.data.images.annotate import Annotated, missing
from daedal.data.images.duplicates import Duplicates as Found
from daedal.data.images.example_table import Seen
from daedal.data.images.manifest import ImageManifest, ImageSplitRecord
from daedal.data.images.options import ImageOptions
from daedal.data.images.picture_array import Gallery
from daedal.data.images.split import Assignment
from daedal.data.manifest import Count, Dropped, Duplicates, SourceRecord
from daedal.data.sources import Named
from daedal.data.spool import EXAMPLES

_MOST = 12
_MOST_NOTES = 50
_LICENCES = {"digits": "CC-BY-4.0"}


@dataclass(frozen=True)
class Outcome:
    """Everything that a build found and decided."""

    seen: Seen
    annotated: Annotated
    gallery: Gallery
    duplicates: Found
    assignment: Assignment
    classes: tuple[str, ...]
    records: dict[str, ImageSplitRecord]


def summarise(
    named: list[Named],
    options: ImageOptions,
    request: str,
    made_with: dict[str, str],
    outcome: Outcome,
    fingerprint: str,
) -> ImageManifest:
    """The manifest."""
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
    return ImageManifest(
        fingerprint=fingerprint,
        request=request,
        made_with=made_with,
        options=options,
        sources=tuple(_source(each, options) for each in named),
        raster=gallery.raster,
        classes=outcome.classes,
        splits=outcome.records,
        split_by=outcome.assignment.method,
        dropped=tuple(
            Dropped(reason=reason, count=number, bytes=size, examples=tuple(examples[:EXAMPLES]))
            for reason, (number, size, examples) in sorted(
                outcome.seen.tally.dropped.items(), key=lambda pair: (-pair[1][0], pair[0])
            )
        ),
        duplicates=_duplicates(outcome),
        sizes=_most(sizes, "other sizes"),
        formats=_most(gallery.formats, "others"),
        notes=tuple(notes),
    )


def _source(each: Named, options: ImageOptions) -> SourceRecord:
    licence = options.licence or _LICENCES.get(each.source)
    if licence is None and each.source.startswith("hf:"):
        licence = hub_licence(each.source)
    size = sum(item.bytes for item in each.items)
    return SourceRecord(source=each.source, split=each.role, files=len(each.items), bytes=size, licence=licence)


def _most(counter: Counter[str], rest: str) -> tuple[Count, ...]:
    """The most frequent, and how many others there are."""
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = [Count(name=name, count=number) for name, number in ordered[:_MOST]]
    if left := sum(number for _, number in ordered[_MOST:]):
        counts.append(Count(name=rest, count=left))
    return tuple(counts)


def _duplicates(outcome: Outcome) -> Duplicates:
    found, origins = outcome.duplicates, outcome.seen.origins
    places = outcome.gallery.places

    def name(picture: int) -> str:
        return str(origins[int(places[picture])])

    return Duplicates(
        exact=found.exact,
        near=found.near,
        clusters=found.clusters,
        largest_cluster=found.largest,
        held_out=found.held_out,
        examples=tuple(
            f"{name(one)} is nearly {name(other)} (they differ by {difference:.1f} of 255)"
            for one, other, difference in found.pairs
        ),
    )
