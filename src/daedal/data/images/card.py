"""What the data card of pictures says besides: their size and mode, classes and captions, and a contact sheet."""

from daedal.data.card import Block, Own, counted
from daedal.data.images.dataset import ImageDataset
from daedal.data.images.sheet import SHEET
from daedal.data.options import SPLITS

_MODES = {1: "grey", 3: "RGB", 4: "RGB and opacity"}


def of_pictures(dataset: ImageDataset) -> Own:
    """The facts and blocks of a folder of pictures."""
    manifest = dataset.manifest
    raster, splits = manifest.raster, manifest.splits
    fits = {
        "crop": "shorter side scaled, middle cut out",
        "pad": f"longer side scaled, filled up with {raster.background}",
        "stretch": "stretched",
    }
    ground = "" if raster.channels == 4 else f"; transparent pixels on {raster.background}"
    rows = tuple(
        (name, f"{each.pictures:,}", f"{each.labelled:,}", f"{each.captioned:,}")
        for name, each in ((name, splits[name]) for name in SPLITS)
    )
    classes = tuple(
        (name, *(f"{splits[split].classes[number]:,}" for split in SPLITS))
        for number, name in enumerate(manifest.classes)
    )
    return Own(
        (
            ("pictures", f"{raster.width} x {raster.height}, {_MODES[raster.channels]}{ground}"),
            ("other sizes", fits[raster.fit]),
            ("contact sheet", str(dataset.folder / SHEET)),
        ),
        (
            Block(picture=dataset.folder / SHEET),
            Block("Splits", ("split", "pictures", "with a class", "with a caption"), rows),
            *((Block("Classes", ("class", *SPLITS), classes),) if classes else ()),
            *counted("Original sizes", manifest.sizes),
            *counted("Formats", manifest.formats),
        ),
    )
