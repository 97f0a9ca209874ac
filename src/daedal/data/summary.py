"""The manifest of a finished build, from what was counted on the way."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from daedal.data import library
from daedal.data.corpus import Corpus
from daedal.data.duplicates import Duplicates as Found
from daedal.data.hub import hub_licence
from daedal.data.languages import language
from daedal.data.manifest import CodecRecord, Count, Dropped, Duplicates, Manifest, SourceRecord, SplitRecord
from daedal.data.options import BuildOptions, CommonOptions
from daedal.data.sources import Named
from daedal.data.split import Assignment
from daedal.data.spool import EXAMPLES, Spool, Tally

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

_LANGUAGE_SAMPLE = 400


def summarise(
    named: list[Named],
    options: BuildOptions,
    request: str,
    made_with: dict[str, str],
    corpus: Corpus,
    spool: Spool,
    duplicates: Found,
    assignment: Assignment,
    codec: "TextCodec",
    dtype: str,
    records: dict[str, SplitRecord],
    fingerprint: str,
) -> Manifest:
    """The manifest."""
    tally = corpus.tally
    for each in named:
        for label, reason, detail, size, _ in each.lost:
            tally.drop(reason, size, f"{label}: {detail}")
    kept = assignment.splits >= 0
    return Manifest.model_validate(
        {
            "fingerprint": fingerprint,
            "request": request,
            "made_with": made_with,
            "options": options,
            "sources": tuple(source_of(each, options) for each in named),
            "codec": CodecRecord(
                kind=codec.kind,
                vocab_size=codec.vocab_size,
                eos_id=codec.eos_id,
                dtype="uint16" if dtype == "uint16" else "uint32",
                fingerprint=codec.fingerprint(),
            ),
            "splits": records,
            "split_by": assignment.method,
            "dropped": dropped_of(tally),
            "duplicates": duplicates_of(corpus, spool, duplicates),
            "mended": counts_of(tally, "mended", "masked"),
            "encodings": counts_of(tally, "encodings"),
            "file_types": counts_of(tally, "types"),
            "languages": _languages(corpus, spool, kept),
            "lengths": _lengths(corpus.bytes[kept]),
            "notes": (*tally.coding(options.encoding), *tally.omissions(), *tally.notes[:50]),
        }
    )


def source_of(each: Named, options: CommonOptions) -> SourceRecord:
    """What a source held."""
    licence = options.licence
    if licence is None and each.source in library.BUILTINS:
        licence = library.LICENCE
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


def duplicates_of(corpus: Corpus, spool: Spool, found: Found) -> Duplicates:
    """What was found more than once, with examples."""
    examples = [
        f"{_name(corpus, spool, left)} agrees with {_name(corpus, spool, right)} ({similarity:.0%})"
        for left, right, similarity in found.examples
    ]
    return Duplicates(
        exact=found.exact,
        near=found.near,
        clusters=found.clusters,
        largest_cluster=found.largest,
        held_out=found.held_out,
        examples=tuple(examples),
    )


def _place(corpus: Corpus, document: int) -> tuple[int, int, int]:
    """The unit, the chunk and the place in the chunk of a document."""
    chunk = int(np.searchsorted(corpus.firsts, document, side="right")) - 1
    unit, number = corpus.chunks[chunk]
    return unit, number, document - int(corpus.firsts[chunk])


def _name(corpus: Corpus, spool: Spool, document: int) -> str:
    unit, number, place = _place(corpus, document)
    chunk = spool.chunk(unit, number)
    row = int(chunk.rows[place])
    return str(chunk.labels[chunk.files[place]]) + (f"#{row}" if row >= 0 else "")


def _languages(corpus: Corpus, spool: Spool, kept: np.ndarray) -> tuple[Count, ...]:
    """Languages of a sample of the documents: those whose hashes are smallest."""
    documents = np.flatnonzero(kept)
    sample = np.sort(documents[np.argsort(corpus.hashes[documents, 0], kind="stable")[:_LANGUAGE_SAMPLE]])
    seen: Counter[str] = Counter()
    for document in sample.tolist():
        unit, number, _ = _place(corpus, document)
        first = int(corpus.firsts[np.searchsorted(corpus.firsts, document, side="right") - 1])
        begin = int(corpus.bytes[first:document].sum())
        with spool.text_path(unit, number).open("rb") as file:
            file.seek(begin)
            head = file.read(min(2000, int(corpus.bytes[document])))
        seen[language(head.decode(errors="ignore"))] += 1
    return tuple(
        Count(name=name, count=number) for name, number in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _lengths(sizes: np.ndarray) -> tuple[Count, ...]:
    """Documents by length: how many have at least each power of two bytes, and less than the next."""
    powers = np.floor(np.log2(np.maximum(sizes, 1))).astype(np.int64)
    counts = np.bincount(powers) if len(powers) else np.zeros(0, dtype=np.int64)
    shortest = int(powers.min()) if len(powers) else 0
    return tuple(Count(name=str(2**power), count=int(counts[power])) for power in range(shortest, len(counts)))
