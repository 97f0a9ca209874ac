"""The data card: what a data folder holds, and what was left out, as blocks that the terminal and a page of HTML show alike.

A kind adds blocks of its own: see `Kind.card`. The page needs nothing else: no script, no font, no picture from elsewhere.
"""

import base64
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from daedal.data.folder import DataFolder
from daedal.data.licence_terms import UNKNOWN
from daedal.data.manifest import Count, DataManifest
from daedal.data.sources import BUILTINS
from daedal.families import part
from daedal.printable import printable, sentence

if TYPE_CHECKING:
    from rich.console import RenderableType

_SPLIT_BY = {
    "content": "each by a hash of its content",
    "dealt": "whole ones, dealt out to meet the shares",
    "order": "all text in its order, cut at the shares",
    "given": "as given: all of each source is in one split",
    "class": "each class has its share of every split",
    "number": "small and large numbers have their share of every split",
    "time": "the last ones are held out",
}
_BARS = 40
_ROWS = (30, 1000)  # of a table that the terminal, and a page, show
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code, .example { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
.example { opacity: .75; margin: 0 0 .2rem 1.5rem; } .scroll { overflow-x: auto; }
img { max-width: 100%; height: auto; }
rect { fill: #3b6ea5; }
text { fill: currentColor; font: 12px system-ui, sans-serif; }
"""


class Block(NamedTuple):
    """A part of a card.

    Attributes:
        rows: of a table; where it has a head, numbers stand at the right, and the last of very many rows are not shown.
        bars: names and how long each is.
        lines: sentences.
        examples: what was found in sources, a line each.
        picture: a PNG, which only a page shows.
    """

    title: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    bars: tuple[tuple[str, int], ...] = ()
    lines: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    picture: Path | None = None


class Own(NamedTuple):
    """What the card of a kind says besides: facts behind the sources, and blocks behind the facts."""

    facts: tuple[tuple[str, str], ...]
    blocks: tuple[Block, ...]


def counted(title: str, counts: tuple[Count, ...]) -> tuple[Block, ...]:
    """A block of names and how often each occurs, if there are any."""
    return (Block(title, rows=tuple((each.name, f"{each.count:,}") for each in counts)),) if counts else ()


def blocks_of(dataset: DataFolder[Any, Any]) -> list[Block]:
    """What the card of a data folder shows."""
    manifest = dataset.manifest
    own: Own = part(dataset.kind.card)(dataset)
    sources = (
        (
            "source" if each.split == "train" else each.split,
            f"{each.source}: made by Daedal"
            if not each.bytes and each.source.partition(":")[0] in BUILTINS
            else f"{each.source}: {each.files:,} file{'s' * (each.files != 1)}, {each.bytes:,} bytes,"
            f" licence {each.licence or 'unknown'}",
        )
        for each in manifest.sources
    )
    facts = (
        *sources,
        *own.facts,
        ("split by", _SPLIT_BY.get(manifest.split_by, manifest.split_by)),
        ("fingerprint", manifest.fingerprint),
        ("made with", ", ".join(f"{name} {number}" for name, number in manifest.made_with.items())),
    )
    blocks = [Block(rows=facts), *own.blocks, *licences_of(manifest), _duplicates(manifest)]
    if manifest.canaries:
        line = f"{manifest.canaries:,} random secrets stand in the train split, 1 to 16 times each: canaries.json tells them."
        blocks.append(Block("Canaries", lines=(line,)))
    for number, each in enumerate(manifest.dropped):
        size = f" ({each.bytes:,} bytes)" if each.bytes else ""
        rows = ((f"{each.count:,}", f"{each.reason}{size}"),)
        blocks.append(Block("" if number else "Left out", rows=rows, examples=each.examples))
    return [*blocks, Block("Notes", lines=manifest.notes)] if manifest.notes else blocks


def licences_of(manifest: DataManifest) -> tuple[Block, ...]:
    """The ledger of licences, and what these ask together; nothing of what Daedal makes itself."""
    entries = [each for each in manifest.licences.entries if each.source.partition(":")[0] not in BUILTINS]
    rows = tuple(
        (
            *(
                "unknown" if each.licence == UNKNOWN else each.licence,
                " in ".join(filter(None, (each.how, each.where))),
            ),
            *(Path(each.source).name or each.source, f"{each.files:,}"),
        )
        for each in entries
    )
    head = ("licence", "known by", "source", "files")
    lines = tuple(sentence(line) for line in manifest.licences.obligations)
    return (Block("Licences", head, rows, lines=lines),) if rows else ()


def _options(manifest: DataManifest) -> dict[str, Any]:
    values: dict[str, Any] = manifest.model_dump(mode="json")["options"]
    return values


def _duplicates(manifest: DataManifest) -> Block:
    """What was found more than once."""
    found, options = manifest.duplicates, _options(manifest)
    near = options["near_duplicates"]
    rows = [("exact", f"{found.exact:,} left out" if options["exact_duplicates"] else "kept, in one split")]
    if near == "off":
        rows.append(("near", "not looked for"))
    else:
        what = "left out" if near == "drop" else "left out, the others kept in one split"
        clusters = f"{found.clusters:,} cluster{'s' * (found.clusters != 1)}, the largest of {found.largest_cluster:,}"
        rows.append(("near", f"{found.near:,} {what}" + (f"; {clusters}" if found.clusters else "")))
    if found.held_out:
        rows.append(("held out", f"{found.held_out:,} left out of train: they occur in validation or test"))
    return Block("Duplicates", rows=(*rows, *(("", example) for example in found.examples)))


def _rows(block: Block, most: int) -> list[tuple[str, ...]]:
    """The rows that are shown."""
    rows = list(block.rows)
    if block.head and len(rows) > most:
        rows[most:] = [(f"and {len(rows) - most:,} more",)]
    return rows


# -- for the terminal --------------------------------------------------------------------------------------------------


def render_card(dataset: DataFolder[Any, Any]) -> "RenderableType":
    """The card as something that a rich console prints."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(printable(str(dataset.folder)), style="bold")]
    for block in blocks_of(dataset):
        if block.title:
            parts.append(Text(f"\n{printable(block.title)}", style="bold"))
        most = max((length for _, length in block.bars), default=1)
        bars = [(name, f"{'█' * -(-length * _BARS // most)} {length:,}") for name, length in block.bars]
        if rows := [*_rows(block, _ROWS[0]), *bars]:
            table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=bool(block.head))
            for place in range(max(map(len, rows))):
                right = place > 0 and bool(block.head)
                title = block.head[place] if block.head else ""
                table.add_column(title, justify="right" if right else "left", overflow="fold")
            for row in rows:
                table.add_row(*(Text(printable(cell)) for cell in row))
            parts.append(Padding(table, (0, 0, 0, 2)))
        parts += [Padding(Text(printable(line)), (0, 0, 0, 2)) for line in block.lines]
        parts += [
            Padding(Text(printable(example), style="dim", overflow="ellipsis", no_wrap=True), (0, 0, 0, 6))
            for example in block.examples
        ]
    return Group(*parts)


# -- as a page ---------------------------------------------------------------------------------------------------------


def card_html(dataset: DataFolder[Any, Any]) -> str:
    """The card as a page of HTML; everything in it that came from outside is escaped."""
    title = escape(f"Data card: {dataset.folder.name}")
    usual = dataset.kind.options().model_dump(mode="json")
    unusual = {name: value for name, value in _options(dataset.manifest).items() if value != usual.get(name)}
    asked = [Block("Options", examples=(json.dumps(unusual, ensure_ascii=False),))] if unusual else []
    body = [line for block in [*blocks_of(dataset), *asked] for line in _lines(block)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _lines(block: Block) -> Iterator[str]:
    if block.title:
        yield f"<h2>{escape(block.title)}</h2>"
    if block.picture is not None and block.picture.is_file():
        data = base64.b64encode(block.picture.read_bytes()).decode()
        yield f'<p><img alt="a sheet of examples" src="data:image/png;base64,{data}"></p>'
    if block.rows:
        yield _table(block)
    if block.bars:
        yield _drawn(block)
    yield from (f"<p>{escape(line)}</p>" for line in block.lines)
    yield from (f'<p class="example">{escape(example)}</p>' for example in block.examples)


def _table(block: Block) -> str:
    """A table; cells that are numbers stand at the right."""

    def cell(text: str, first: bool, tag: str = "td") -> str:
        number = not first and text.replace(",", "").replace(".", "").isdigit()
        right = ' class="number"' if number or (tag == "th" and not first) else ""
        return f"<{tag}{right}>{escape(text)}</{tag}>"

    lines = ["".join(cell(text, place == 0, "th") for place, text in enumerate(block.head))] if block.head else []
    lines += ["".join(cell(text, place == 0) for place, text in enumerate(row)) for row in _rows(block, _ROWS[1])]
    return '<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"


def _drawn(block: Block) -> str:
    """Bars, one below the other."""
    most = max(length for _, length in block.bars)
    bars = []
    for place, (name, length) in enumerate(block.bars):
        width, y = 400 * length / max(1, most), 20 * place
        bars.append(f'<text x="150" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        bars.append(f'<rect x="160" y="{y + 3}" width="{width:.1f}" height="14"/>')
        bars.append(f'<text x="{166 + width:.1f}" y="{y + 14}">{length:,}</text>')
    size = f'viewBox="0 0 660 {20 * len(block.bars)}" width="660" height="{20 * len(block.bars)}"'
    return f'<div class="scroll"><svg {size} role="img" aria-label="{escape(block.title)}">{"".join(bars)}</svg></div>'
