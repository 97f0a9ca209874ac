"""The data card of a folder of pictures as one HTML page, its contact sheet inside."""

import base64
from html import escape

from daedal.data.images.card import class_table, duplicate_facts, facts, split_table
from daedal.data.images.dataset import ImageDataset
from daedal.data.images.sheet import SHEET
from daedal.data.page import ending, table, whole_page

_MOST_CLASSES = 1000


def card_html(dataset: ImageDataset) -> str:
    """The card as a page of HTML; everything in it that came from outside is escaped."""
    manifest = dataset.manifest
    title = f"Data card: {dataset.folder.name}"
    body = [f"<h1>{escape(title)}</h1>", table([], [list(row) for row in facts(dataset)])]
    sheet = dataset.folder / SHEET
    if sheet.is_file():
        data = base64.b64encode(sheet.read_bytes()).decode()
        body.append(f'<p class="scroll"><img alt="pictures of the train split" src="data:image/png;base64,{data}"></p>')
    body += ["<h2>Splits</h2>", table(*split_table(manifest))]
    if manifest.classes:
        body += ["<h2>Classes</h2>", table(*class_table(manifest, _MOST_CLASSES))]
    for heading, counts in (("Original sizes", manifest.sizes), ("Formats", manifest.formats)):
        body += [f"<h2>{heading}</h2>", table([], [[each.name, f"{each.count:,}"] for each in counts])]
    body += ["<h2>Duplicates</h2>", table([], [list(row) for row in duplicate_facts(manifest)])]
    if manifest.dropped:
        body.append("<h2>Left out</h2>")
        for dropped in manifest.dropped:
            body.append(f"<p>{dropped.count:,} × {escape(dropped.reason)}</p>")
            body += [f'<p class="example">{escape(example)}</p>' for example in dropped.examples]
    return whole_page(title, [*body, *ending(manifest.notes, manifest.options)])
