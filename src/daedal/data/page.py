"""The data card as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from html import escape

from daedal.config import Config
from daedal.data.card import duplicate_facts, facts, per_token, tables
from daedal.data.manifest import Count
from daedal.data.options import SPLITS
from daedal.data.shards import Dataset

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
code, .example { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
.example { opacity: .75; margin: 0 0 .2rem 1.5rem; } .scroll { overflow-x: auto; }
rect { fill: #3b6ea5; }
text { fill: currentColor; font: 12px system-ui, sans-serif; }
"""


def card_html(dataset: Dataset) -> str:
    """The card of a dataset as a page of HTML; everything in it that came from outside is escaped."""
    manifest = dataset.manifest
    title = f"Data card: {dataset.folder.name}"
    rows = [
        [
            name,
            *(f"{number:,}" for number in (each.documents, each.bytes, each.characters, each.tokens)),
            f"{per_token(manifest, name):.2f}" if each.tokens else "",
        ]
        for name, each in ((name, manifest.splits[name]) for name in SPLITS)
    ]
    body = [
        f"<h1>{escape(title)}</h1>",
        table([], [list(row) for row in facts(manifest)]),
        "<h2>Splits</h2>",
        table(["split", "documents", "bytes", "characters", "tokens", "characters per token"], rows),
        "<h2>Length of documents, bytes</h2>",
        _histogram(manifest.lengths),
    ]
    for heading, counts in tables(manifest):
        body += [f"<h2>{escape(heading)}</h2>", table([], [[each.name, f"{each.count:,}"] for each in counts])]
    body += ["<h2>Duplicates</h2>", table([], [list(row) for row in duplicate_facts(manifest)])]
    if manifest.dropped:
        body.append("<h2>Left out</h2>")
        for dropped in manifest.dropped:
            body.append(f"<p>{dropped.count:,} × {escape(dropped.reason)} ({dropped.bytes:,} bytes)</p>")
            body += [f'<p class="example">{escape(example)}</p>' for example in dropped.examples]
    return whole_page(title, [*body, *ending(manifest.notes, manifest.options)])


def ending(notes: tuple[str, ...], options: Config) -> list[str]:
    """The end of a card: what else is to be told, and the options that are not the usual ones."""
    lines = ["<h2>Notes</h2>", *(f"<p>{escape(note)}</p>" for note in notes)] if notes else []
    told = escape(options.model_dump_json(exclude_defaults=True))
    return [*lines, "<h2>Options</h2>", f'<p class="example">{told}</p>']


def whole_page(title: str, body: list[str]) -> str:
    """A page of these lines of HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; cells that are numbers stand at the right."""

    def cell(text: str, first: bool, tag: str = "td") -> str:
        number = not first and text.replace(",", "").replace(".", "").isdigit()
        right = ' class="number"' if number or (tag == "th" and not first) else ""
        return f"<{tag}{right}>{escape(text)}</{tag}>"

    lines = ["".join(cell(text, place == 0, "th") for place, text in enumerate(head))] if head else []
    lines += ["".join(cell(text, place == 0) for place, text in enumerate(row)) for row in rows]
    return '<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"


def _histogram(counts: tuple[Count, ...]) -> str:
    """Bars, one a power of two."""
    if not counts:
        return "<p>No documents.</p>"
    most = max(each.count for each in counts)
    bars = []
    for place, each in enumerate(counts):
        width = 400 * each.count / max(1, most)
        y = 20 * place
        bars.append(f'<text x="150" y="{y + 14}" text-anchor="end">{int(each.name):,}+</text>')
        bars.append(f'<rect x="160" y="{y + 3}" width="{width:.1f}" height="14"/>')
        bars.append(f'<text x="{166 + width:.1f}" y="{y + 14}">{each.count:,}</text>')
    size = f'viewBox="0 0 660 {20 * len(counts)}" width="660" height="{20 * len(counts)}"'
    return f'<div class="scroll"><svg {size} role="img" aria-label="documents by length">{"".join(bars)}</svg></div>'
