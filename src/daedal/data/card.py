"""The data card: what a data folder holds and what was left out, for the terminal."""

from typing import TYPE_CHECKING

from daedal.data.manifest import Count, Duplicates, Manifest, SourceRecord
from daedal.data.options import SPLITS
from daedal.data.shards import Dataset
from daedal.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_BARS = 40
HOW_SPLIT = {
    "content": "each by a hash of what it says",
    "dealt": "whole ones, dealt out to meet the shares",
    "order": "all text in its order, cut at the shares",
    "given": "as given: all of each source is in one split",
    "class": "each class has its share of every split",
    "time": "the last ones are held out",
}


def render_card(dataset: Dataset) -> "RenderableType":
    """The card as something that a rich console prints."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    manifest = dataset.manifest

    def head(title: str) -> Text:
        return Text(f"\n{title}", style="bold")

    def listing(rows: list[tuple[str, str]]) -> Padding:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for left, right in rows:
            table.add_row(Text(printable(left)), Text(printable(right)))
        return Padding(table, (0, 0, 0, 2))

    splits = Table(box=None, pad_edge=False, padding=(0, 2))
    for title in ("split", "documents", "bytes", "characters", "tokens", "characters per token"):
        splits.add_column(title, justify="left" if title == "split" else "right")
    for name in SPLITS:
        each = manifest.splits[name]
        splits.add_row(
            name,
            f"{each.documents:,}",
            f"{each.bytes:,}",
            f"{each.characters:,}",
            f"{each.tokens:,}",
            f"{per_token(manifest, name):.2f}" if each.tokens else "",
        )
    parts: list[RenderableType] = [
        Text(printable(str(dataset.folder)), style="bold"),
        listing(facts(manifest)),
        head("Splits"),
        Padding(splits, (0, 0, 0, 2)),
        head("Length of documents, bytes"),
        listing([(label, f"{'█' * bar} {count:,}") for label, count, bar in histogram(manifest.lengths, _BARS)]),
    ]
    for title, counts in tables(manifest):
        parts += [head(title), listing([(each.name, f"{each.count:,}") for each in counts])]
    parts += [head("Duplicates"), listing(duplicate_facts(manifest))]
    if manifest.dropped:
        parts.append(head("Left out"))
        for dropped in manifest.dropped:
            parts.append(listing([(f"{dropped.count:,}", f"{dropped.reason} ({dropped.bytes:,} bytes)")]))
            parts += [
                Padding(Text(printable(example), style="dim", overflow="ellipsis", no_wrap=True), (0, 0, 0, 6))
                for example in dropped.examples
            ]
    if manifest.notes:
        parts += [head("Notes"), *(Padding(Text(printable(note)), (0, 0, 0, 2)) for note in manifest.notes)]
    return Group(*parts)


def facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Where the data is from, and how it was made."""
    codec = manifest.codec
    rows = [(left, right) for left, right in source_rows(manifest.sources)]
    return [
        *rows,
        ("codec", f"{codec.kind}, {codec.vocab_size:,} tokens"),
        ("split by", HOW_SPLIT.get(manifest.split_by, manifest.split_by)),
        ("fingerprint", manifest.fingerprint),
        ("made with", ", ".join(f"{name} {number}" for name, number in manifest.made_with.items())),
    ]


def source_rows(sources: tuple[SourceRecord, ...]) -> list[list[str]]:
    """A line for each source."""
    return [
        [
            "source" if each.split == "train" else each.split,
            f"{each.source}: {each.files:,} file{'s' * (each.files != 1)}, {each.bytes:,} bytes,"
            f" licence {each.licence or 'unknown'}",
        ]
        for each in sources
    ]


def duplicate_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """What was found more than once."""
    return [(left, right) for left, right in duplicate_rows(manifest.duplicates, manifest.options.near_duplicates)]


def duplicate_rows(found: Duplicates, near: str) -> list[list[str]]:
    """What was found more than once; `near` is the option of a build."""
    rows = [["exact", f"{found.exact:,} left out"]]
    if near == "off":
        rows.append(["near", "not looked for"])
    else:
        what = "left out" if near == "drop" else "left out, the others kept in one split"
        clusters = f"{found.clusters:,} cluster{'s' * (found.clusters != 1)}, the largest of {found.largest_cluster:,}"
        rows.append(["near", f"{found.near:,} {what}" + (f"; {clusters}" if found.clusters else "")])
    if found.held_out:
        rows.append(["held out", f"{found.held_out:,} left out of train: they occur in validation or test"])
    return rows + [["", example] for example in found.examples]


def tables(manifest: Manifest) -> list[tuple[str, tuple[Count, ...]]]:
    """Titles and counts that are shown as they are; empty ones are not."""
    sampled = sum(each.count for each in manifest.languages)
    every = [
        ("File types, documents", manifest.file_types),
        (f"Languages of {sampled:,} documents" + (", drawn by hash" if sampled >= 400 else ""), manifest.languages),
        ("Encodings", manifest.encodings),
        ("Mended and masked", manifest.mended),
    ]
    return [(title, counts) for title, counts in every if counts]


def per_token(manifest: Manifest, split: str) -> float:
    """Characters per token; ends of documents are no characters, so they are no tokens here."""
    each = manifest.splits[split]
    return each.characters / max(1, each.tokens - each.documents)


def histogram(counts: tuple[Count, ...], width: int) -> list[tuple[str, int, int]]:
    """Label, count and length of the bar for each power of two."""
    most = max((each.count for each in counts), default=1)
    return [
        (f"{int(each.name):,} to {2 * int(each.name) - 1:,}", each.count, -(-each.count * width // most))
        for each in counts
    ]
