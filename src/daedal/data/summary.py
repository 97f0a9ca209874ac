"""What a finished build tells of itself, from what was counted on the way: the parts of the manifests of all kinds."""

from collections import Counter
from collections.abc import Iterable

from daedal.data import library
from daedal.data.copies import Duplicates as Found
from daedal.data.hub import hub_licence
from daedal.data.manifest import Count, Dropped, Duplicates, SourceRecord
from daedal.data.options import CommonOptions
from daedal.data.sources import Named
from daedal.data.spool import EXAMPLES, Tally

_LICENCES = {**dict.fromkeys(library.BUILTINS, library.LICENCE), "digits": "CC-BY-4.0"}


def source_of(each: Named, options: CommonOptions) -> SourceRecord:
    """What a source held."""
    licence = options.licence or _LICENCES.get(each.source)
    if licence is None and each.source.startswith("hf:"):
        licence = hub_licence(each.source)
    size = sum(item.bytes for item in each.items)
    return SourceRecord(source=each.source, split=each.role, files=len(each.items), bytes=size, licence=licence)


def dropped_of(tally: Tally) -> tuple[Dropped, ...]:
    """What was left out, the most common reason first."""
    ordered = sorted(tally.dropped.items(), key=lambda pair: (-pair[1][0], pair[0]))
    return tuple(
        Dropped(reason=reason, count=number, bytes=size, examples=tuple(examples[:EXAMPLES]))
        for reason, (number, size, examples) in ordered
    )


def counts_of(tally: Tally, what: str, prefixed: str | None = None) -> tuple[Count, ...]:
    """What was counted under `what`, the most common first; and under `prefixed`, with that before its name."""
    ordered = sorted(tally.counts.get(what, Counter()).items(), key=lambda pair: (-pair[1], pair[0]))
    more = () if prefixed is None else counts_of(tally, prefixed)
    counts = tuple(Count(name=name, count=number) for name, number in ordered)
    return counts + tuple(Count(name=f"{prefixed} {each.name}", count=each.count) for each in more)


def duplicates_of(found: Found, examples: Iterable[str]) -> Duplicates:
    """What was found more than once, with examples."""
    return Duplicates(
        exact=found.exact,
        near=found.near,
        clusters=found.clusters,
        largest_cluster=found.largest,
        held_out=found.held_out,
        examples=tuple(examples),
    )
