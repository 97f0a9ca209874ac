"""`daedal reconstruct`: pictures as they come through a model, and how far off they are."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.drawing import Class, Destination, drawing, fit, open_pictures, require_turns, run_name
from daedal.cli.options import Switch
from daedal.cli.speaking import reconstruct_sounds
from daedal.errors import DaedalError
from daedal.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

    from daedal.inference.skills.reconstruct import Reconstruction


def reconstruct(
    run: str,
    pictures: Annotated[list[Path], Parameter(name="PICTURE", negative=())],
    /,
    *,
    label: Class = None,
    out: Path | None = None,
    replace: Switch = False,
    json: Switch = False,
) -> None:
    """Show how pictures or recordings come back through a model's latents, and measure the error.

    Parameters
    ----------
    run
        A run folder of a VAE, a tokenizer, or another model that can.
    pictures
        The pictures; of a tokenizer of sounds, recordings.
    label
        The class of the pictures, by name or number; give several to take them in turn. [default: none]
    out
        A file in which each picture stands above its reconstruction, or a folder for a file of each pair; of recordings a
        sound file for one, or a folder. [default: a new file here]
    replace
        Overwrite files that are there.
    json
        Print the errors as JSON.
    """
    generator = open_pictures(run, "reconstruct")
    if "reconstruct-sounds" in generator.skills:
        if label is not None:
            raise DaedalError("Recordings come back without a class", "Leave --class out")
        reconstruct_sounds(generator, run, pictures, out, replace, json)
        return
    require_turns(len(pictures), {"classes": label}, "Name a class for each picture, or one for all")
    destination = Destination(out, f"reconstructions-{run_name(run)}", replace)
    given = [fit(generator, picture) for picture in pictures]
    with drawing() as progress:
        found = generator.reconstruct(given, label=label, progress=progress)
    destination.write_pairs(found)
    if json:
        console.show_json([one.record() for one in found])
    else:
        console.show(_table(found))
        console.show(f"Each picture and its reconstruction are in {destination.path}")


def _table(found: "list[Reconstruction]") -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table("picture", box=SIMPLE)
    table.add_column("mean squared error", justify="right")
    table.add_column("PSNR", justify="right")
    for one in found:
        ratio = "exact" if math.isinf(one.psnr) else f"{one.psnr:.2f} dB"
        table.add_row(Text(printable(one.original.name)), f"{one.mse:.5f}", ratio)
    return table
