"""What a finished build tells of itself, from what was counted on the way: the parts of the manifests of all kinds."""

from collections import Counter
from collections.abc import Iterable

from daedal.data import library
from daedal.data.copies import Duplicates as Found
from daedal.data.hub import hub_licence
from daedal.data.licence_ledger import LicenceLedger
from daedal.data.licence_search import find_licences
from daedal.data.manifest import Count, Dropped, Duplicates, SourceRecord
from daedal.data.options import CommonOptions
from daedal.data.sources import Named
from daedal.data.spool import EXAMPLES, Tally

_LICENCES = {**dict.fromkeys(library.BUILTINS, library.LICENCE), "digits": "CC-BY-4.0"}


def ledger_of(named: Iterable[Named], options: CommonOptions, tally: Tally) -> LicenceLedger:
    """The licences of all sources."""
    named = list(named)
    known = {}
    if options.licence is None:  # else nobody need be asked
        known = {each.source: licence for each in named if (licence := _own_licence(each.source)) is not None}
    return find_licences(named, options.licence, known, tally.counts.get("archived licences"))


def _own_licence(source: str) -> str | None:
    """What a source that has no files of its own says of itself."""
    return _LICENCES.get(source) or (hub_licence(source) if source.startswith("hf:") else None)


def source_of(each: Named, ledger: LicenceLedger) -> SourceRecord:
    """What a source held."""
    size = sum(item.bytes for item in each.items)
    return SourceRecord(
        source=each.source, split=each.role, files=len(each.items), bytes=size, licence=ledger.of(each.source)
    )


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
