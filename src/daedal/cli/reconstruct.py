"""`daedal reconstruct`: pictures and clips as they come through a model, and how far off they are."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.drawing import (
    Class,
    Destination,
    check_place,
    drawing,
    fit,
    free,
    open_pictures,
    require_turns,
    run_name,
)
from daedal.cli.marking import Marks, marking
from daedal.cli.options import Switch
from daedal.cli.speaking import reconstruct_sounds
from daedal.errors import DaedalError
from daedal.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

    from daedal.inference.generator import Generator
    from daedal.inference.skills.reconstruct import Reconstruction
    from daedal.inference.skills.reconstruct_clips import ClipReconstruction
    from daedal.safety.marking import Marking


def reconstruct(
    run: str,
    pictures: Annotated[list[Path], Parameter(name="PICTURE", negative=())],
    /,
    *,
    label: Class = None,
    out: Path | None = None,
    replace: Switch = False,
    json: Switch = False,
    marks: Marks = None,
) -> None:
    """Show how pictures, recordings or clips come back through a model's latents, and measure the error.

    Parameters
    ----------
    run
        A run folder of a VAE, a tokenizer, or another model that can.
    pictures
        The pictures; of a tokenizer of sounds, recordings; of one of clips, clips.
    label
        The class of the pictures, by name or number; give several to take them in turn. [default: none]
    out
        A file in which each picture stands above its reconstruction, or a folder for a file of each pair; of recordings a
        sound file for one, or a folder; of clips a .gif, .webp or .mp4, or a folder. [default: a new file here]
    replace
        Overwrite files that are there.
    json
        Print the errors as JSON.
    """
    marked = marking(marks, run)
    generator = open_pictures(run, "reconstruct")
    if "reconstruct-sounds" in generator.skills:
        if label is not None:
            raise DaedalError("Recordings come back without a class", "Leave --class out")
        return reconstruct_sounds(generator, run, pictures, out, replace, json, marked)
    marked = dataclasses.replace(marked, key=None)  # beside each stands what was given, which nobody's mark may claim
    require_turns(len(pictures), {"classes": label}, "Name a class for each picture, or one for all")
    if "reconstruct-clips" in generator.skills:
        return _clips(generator, run, pictures, out, replace, json, marked)
    destination = Destination(out, f"reconstructions-{run_name(run)}", replace, marked)
    given = [fit(generator, picture) for picture in pictures]
    with drawing() as progress:
        found = generator.reconstruct(given, label=label, progress=progress)
    destination.write_pairs(found)
    if json:
        console.show_json([one.record() for one in found])
    else:
        console.show(_table("picture", [(one.original.name, one) for one in found]))
        console.show(f"Each picture and its reconstruction are in {destination.path}")
    return None


def _clips(
    generator: "Generator",
    run: str,
    clips: list[Path],
    out: Path | None,
    replace: bool,
    json: bool,
    marking: "Marking",
) -> None:
    """Each clip beside what becomes of it."""
    from daedal.inference.clip import clip_format, save_together

    out = out or free(f"reconstructions-{run_name(run)}.gif")
    if out.suffix:
        clip_format(out)
    check_place(out, replace, folder=not out.suffix)
    found = generator.reconstruct(clips)
    pairs = [one.pair for one in found]
    if out.suffix:
        save_together(pairs, out, marking)
    else:
        for number, (clip, pair) in enumerate(zip(clips, pairs, strict=True)):
            pair.save(out / f"{number:05}-{clip.stem}.gif", marking=marking)
    if json:
        console.show_json(
            [{"clip": str(clip), "mse": one.mse, "psnr": one.psnr} for clip, one in zip(clips, found, strict=True)]
        )
    else:
        console.show(_table("clip", list(zip(map(str, clips), found, strict=True))))
        console.show(f"Each clip and its reconstruction are in {out}")


def _table(what: str, found: "Sequence[tuple[str, Reconstruction | ClipReconstruction]]") -> "Table":
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(what, box=SIMPLE)
    table.add_column("mean squared error", justify="right")
    table.add_column("PSNR", justify="right")
    for name, one in found:
        ratio = "exact" if math.isinf(one.psnr) else f"{one.psnr:.2f} dB"
        table.add_row(Text(printable(name)), f"{one.mse:.5f}", ratio)
    return table
