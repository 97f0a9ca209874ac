"""The data card of a folder of pictures, for the terminal."""

from typing import TYPE_CHECKING

from daedal.data.images.dataset import ImageDataset
from daedal.data.images.manifest import ImageManifest
from daedal.data.images.sheet import SHEET
from daedal.data.options import SPLITS
from daedal.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_CLASSES = 30


def render_card(dataset: ImageDataset) -> "RenderableType":
    """The card as something that a rich console prints."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    manifest = dataset.manifest

    def head(title: str) -> Text:
        return Text(f"\n{title}", style="bold")

    def grid(titles: list[str], rows: list[list[str]]) -> Padding:
        table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=bool(titles))
        for place in range(max(map(len, rows), default=0)):
            number = place > 0 and bool(titles)
            table.add_column(titles[place] if titles else "", justify="right" if number else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        return Padding(table, (0, 0, 0, 2))

    parts: list[RenderableType] = [
        Text(printable(str(dataset.folder)), style="bold"),
        grid([], [list(row) for row in facts(dataset)]),
        head("Splits"),
        grid(*split_table(manifest)),
    ]
    if manifest.classes:
        parts += [head("Classes"), grid(*class_table(manifest, _MOST_CLASSES))]
    for title, counts in (("Original sizes", manifest.sizes), ("Formats", manifest.formats)):
        parts += [head(title), grid([], [[each.name, f"{each.count:,}"] for each in counts])]
    parts += [head("Duplicates"), grid([], [list(row) for row in duplicate_facts(manifest)])]
    if manifest.dropped:
        parts.append(head("Left out"))
        for dropped in manifest.dropped:
            parts.append(grid([], [[f"{dropped.count:,}", dropped.reason]]))
            parts += [
                Padding(Text(printable(example), style="dim", overflow="ellipsis", no_wrap=True), (0, 0, 0, 6))
                for example in dropped.examples
            ]
    if manifest.notes:
        parts += [head("Notes"), *(Padding(Text(printable(note)), (0, 0, 0, 2)) for note in manifest.notes)]
    return Group(*parts)


def facts(dataset: ImageDataset) -> list[tuple[str, str]]:
    """Where the pictures are from, and how they were made."""
    manifest = dataset.manifest
    raster = manifest.raster
    rows = [
        (
            "source" if each.split == "train" else each.split,
            f"{each.source}: {each.files:,} file{'s' * (each.files != 1)}, {each.bytes:,} bytes,"
            f" licence {each.licence or 'unknown'}",
        )
        for each in manifest.sources
    ]
    modes = {1: "grey", 3: "RGB", 4: "RGB and opacity"}
    fits = {
        "crop": "shorter side scaled, middle cut out",
        "pad": f"longer side scaled, filled up with {raster.background}",
        "stretch": "stretched",
    }
    how = {
        "content": "each picture by a hash of its pixels",
        "dealt": "whole pictures, dealt out to meet the shares",
        "given": "as given",
    }
    ground = "" if raster.channels == 4 else f"; transparent pixels on {raster.background}"
    return [
        *rows,
        ("pictures", f"{raster.width} x {raster.height}, {modes[raster.channels]}{ground}"),
        ("other sizes", fits[raster.fit]),
        ("split by", how[manifest.split_by]),
        ("contact sheet", str(dataset.folder / SHEET)),
        ("fingerprint", manifest.fingerprint),
        ("made with", ", ".join(f"{name} {number}" for name, number in manifest.made_with.items())),
    ]


def split_table(manifest: ImageManifest) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: how many pictures each split has."""
    rows = [
        [name, f"{each.pictures:,}", f"{each.labelled:,}", f"{each.captioned:,}"]
        for name, each in ((name, manifest.splits[name]) for name in SPLITS)
    ]
    return ["split", "pictures", "with a class", "with a caption"], rows


def class_table(manifest: ImageManifest, most: int) -> tuple[list[str], list[list[str]]]:
    """Titles and rows: how many pictures of each class each split has."""
    rows = [
        [name, *(f"{manifest.splits[split].classes[number]:,}" for split in SPLITS)]
        for number, name in enumerate(manifest.classes[:most])
    ]
    if len(manifest.classes) > most:
        rows.append([f"and {len(manifest.classes) - most:,} more"])
    return ["class", *SPLITS], rows


def duplicate_facts(manifest: ImageManifest) -> list[tuple[str, str]]:
    """What was found more than once."""
    found, options = manifest.duplicates, manifest.options
    rows = [("exact", f"{found.exact:,} left out" if options.exact_duplicates else "kept, in one split")]
    if options.near_duplicates == "off":
        rows.append(("near", "not looked for"))
    else:
        what = "left out" if options.near_duplicates == "drop" else "left out, the others kept in one split"
        clusters = f"{found.clusters:,} cluster{'s' * (found.clusters != 1)}, the largest of {found.largest_cluster:,}"
        rows.append(("near", f"{found.near:,} {what}" + (f"; {clusters}" if found.clusters else "")))
    if found.held_out:
        rows.append(("held out", f"{found.held_out:,} left out: they occur in a validation or test source"))
    return rows + [("", example) for example in found.examples]
