"""`daedal edit`: parts of a picture drawn anew."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli.drawing import (
    Class,
    Destination,
    Drawing,
    drawing,
    fit,
    open_pictures,
    require_turns,
    tell,
    tell_prompts,
)
from daedal.cli.options import Switch, given


def edit(
    run: str,
    /,
    *,
    image: Path,
    mask: Path | None = None,
    strength: float = 1.0,
    n: Annotated[int, Parameter(alias="-n")] = 4,
    seed: int | None = None,
    label: Class = None,
    prompt: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Path | None = None,
    columns: int | None = None,
    replace: Switch = False,
    json: Switch = False,
    how: Drawing = None,
) -> None:
    """Draw parts of a picture anew, to fit the rest.

    Parameters
    ----------
    run
        A run folder of a model of images.
    image
        The picture.
    mask
        A picture of the same size: what is white or transparent in it is drawn anew, what is black is kept. [default: all
        is drawn anew, with a strength under 1]
    strength
        How little of the picture is left where it is drawn anew: 1 nothing, 0.4 its layout and colours.
    n
        How many versions.
    seed
        Decides all chance; one is drawn, and told, if none is given.
    label
        What to draw, by name or number; give several to take them in turn. [default: what fits]
    prompt
        What to draw, in words; give several to take them in turn. [default: what fits]
    out
        A file for a sheet of all (.png, .webp, .jpg ...), or a folder for one PNG each and an index. [default: a new file here]
    columns
        Pictures side by side on the sheet. [default: as many as rows]
    replace
        Overwrite files that are there.
    json
        Print where they are as JSON, with their provenance.
    """
    require_turns(n, {"prompts": prompt, "classes": label}, "Ask for at least -n {}")
    destination = Destination(out, f"edits-{image.stem}", replace)
    generator = open_pictures(run, "edit")
    destination.expect(n, generator, columns)
    given_picture = fit(generator, image)
    tell_prompts(generator, prompt)
    asked = {"seed": seed, "label": label, "prompt": prompt, **given(how)}
    with drawing() as progress:
        pictures = generator.edit(given_picture, mask, n, strength=strength, progress=progress, **asked)
    tell(pictures, destination.write(pictures, columns), destination, json)
