"""The data card of examples with columns, as blocks that the terminal and a page of HTML show alike."""

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from daedal.data.card import HOW_SPLIT, duplicate_rows, source_rows
from daedal.data.examples import ExampleDataset
from daedal.data.options import SPLITS
from daedal.data.page import table, whole_page
from daedal.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_CLASSES = 30
_SHOWN = 160  # characters of a value


class Block(NamedTuple):
    """A part of a card.

    Attributes:
        head: of its table.
        lines: behind the table; examples and remarks.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    lines: list[str]


def blocks_of(dataset: ExampleDataset) -> list[Block]:
    """What the card shows."""
    manifest, kind = dataset.manifest, dataset.kind
    facts = [
        *source_rows(manifest.sources),
        ["kind", f"{manifest.kind}: {kind.line.says}"],
        *([f"codec {name}", codec.described] for name, codec in manifest.codecs.items()),
        ["split by", HOW_SPLIT.get(manifest.split_by, manifest.split_by)],
        ["fingerprint", manifest.fingerprint],
        ["made with", ", ".join(f"{name} {number}" for name, number in manifest.made_with.items())],
    ]
    ragged = [name for name, record in manifest.columns.items() if record.stored == "ragged"]
    learned = [name for name in ragged if any(name in each.learned for each in manifest.splits.values())]
    head = [
        "split",
        kind.nouns,
        "bytes",
        *(f"ids of {name}" for name in ragged),
        *(f"learned of {name}" for name in learned),
    ]
    splits = [
        [
            name, f"{each.examples:,}", f"{each.bytes:,}", *(f"{each.ids.get(column, 0):,}" for column in ragged),
            *(f"{each.learned.get(column, 0):,}" for column in learned),
        ]
        for name, each in ((name, manifest.splits[name]) for name in SPLITS)
    ]  # fmt: skip
    blocks = [Block("", [], facts, []), Block("Splits", head, splits, [])]
    for name, record in manifest.columns.items():
        if record.stored == "classes":
            per_split = [manifest.splits[split].classes.get(name, ()) for split in SPLITS]
            rows = [
                [each, *(f"{of[number]:,}" if of else "0" for of in per_split)]
                for number, each in enumerate(record.names)
            ]
            more = [f"and {len(rows) - _MOST_CLASSES:,} more"] if len(rows) > _MOST_CLASSES else []
            blocks.append(Block(f"Classes of {name}", ["class", *SPLITS], rows[:_MOST_CLASSES], more))
    if (shown := _first(dataset)) is not None:
        blocks.append(Block("The first of the train split", [], shown, []))
    blocks.append(Block("Duplicates", [], duplicate_rows(manifest.duplicates, str(manifest.options.get("near_duplicates"))), []))
    for title, counts in (("Encodings", manifest.encodings), ("Mended and masked", manifest.mended)):
        if counts:
            blocks.append(Block(title, [], [[each.name, f"{each.count:,}"] for each in counts], []))
    blocks += [
        Block(f"Left out: {each.count:,} {each.reason}", [], [], list(each.examples)) for each in manifest.dropped
    ]
    if manifest.notes:
        blocks.append(Block("Notes", [], [], list(manifest.notes)))
    return blocks


def _first(dataset: ExampleDataset) -> list[list[str]] | None:
    split = dataset.split("train")
    if not len(split):
        return None
    rows = []
    for name, column in dataset.kind.columns.items():
        value = split.first(name)
        if value is not None:
            text = (
                " ".join(column.words(value).split())
                if not column.structured
                else " | ".join(column.words(value).split("\n"))
            )
            if text:
                rows.append([name, text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."])
    return rows


def render_card(dataset: ExampleDataset) -> "RenderableType":
    """The card as something that a rich console prints."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(printable(str(dataset.folder)), style="bold")]
    for block in blocks_of(dataset):
        if block.title:
            parts.append(Text(f"\n{printable(block.title)}", style="bold"))
        if block.rows:
            shown = Table(box=None, pad_edge=False, padding=(0, 2), show_header=bool(block.head))
            for place in range(max(map(len, block.rows))):
                right = place > 0 and bool(block.head)
                shown.add_column(
                    block.head[place] if block.head else "", justify="right" if right else "left", overflow="fold"
                )
            for row in block.rows:
                shown.add_row(*(Text(printable(cell)) for cell in row))
            parts.append(Padding(shown, (0, 0, 0, 2)))
        parts += [Padding(Text(printable(line)), (0, 0, 0, 2)) for line in block.lines]
    return Group(*parts)


def card_html(dataset: ExampleDataset) -> str:
    """The card as a page of HTML; everything in it that came from outside is escaped."""
    title = f"Data card: {dataset.folder.name}"
    body = [f"<h1>{escape(title)}</h1>"]
    for block in blocks_of(dataset):
        body += [f"<h2>{escape(block.title)}</h2>"] if block.title else []
        body += [table(block.head, block.rows)] if block.rows else []
        body += [f'<p class="example">{escape(line)}</p>' for line in block.lines]
    return whole_page(title, body)
