"""`daedal edit`: parts of a picture drawn anew, or a passage of a recording said anew."""

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
from daedal.cli.marking import Marks, marking
from daedal.cli.options import Switch, given
from daedal.cli.speaking import say_anew
from daedal.errors import DaedalError

_SOUNDS = "Sounds"


def edit(
    run: str,
    /,
    *,
    image: Path | None = None,
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
    audio: Annotated[Path | None, Parameter(group=_SOUNDS)] = None,
    start: Annotated[float | None, Parameter(name="--from", group=_SOUNDS)] = None,
    end: Annotated[float | None, Parameter(name="--to", group=_SOUNDS)] = None,
    speaker: Annotated[str | None, Parameter(group=_SOUNDS)] = None,
    marks: Marks = None,
) -> None:
    """Draw parts of a picture anew, or say a passage of a recording anew, to fit the rest.

    Parameters
    ----------
    run
        A run folder of a model of images, or of one that speaks.
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
    audio
        A recording; of a model that speaks.
    start
        Where the passage begins that is said anew, in seconds.
    end
        Where it ends.
    speaker
        In whose voice it is said. [default: anybody's]
    """
    if audio is not None:
        if image is not None or mask is not None or label is not None:
            raise DaedalError("A recording is not a picture", "Leave --image, --mask and --class out")
        from daedal import api

        api.use_fastest_threads()
        speaking = api.load(run)
        speaking.require("speak")
        asked = {"seed": seed, **given(how)}
        say_anew(speaking, audio, (start, end), prompt or [], speaker, asked, out, replace, json, marking(marks, run))
        return
    if image is None:
        raise DaedalError("There is nothing to edit", "Name a picture by --image, or a recording by --audio")
    require_turns(n, {"prompts": prompt, "classes": label}, "Ask for at least -n {}")
    destination = Destination(out, f"edits-{image.stem}", replace, marking(marks, run))
    generator = open_pictures(run, "edit")
    destination.expect(n, generator, columns)
    given_picture = fit(generator, image)
    tell_prompts(generator, prompt)
    asked = {"seed": seed, "label": label, "prompt": prompt, **given(how)}
    with drawing() as progress:
        pictures = generator.edit(given_picture, mask, n, strength=strength, progress=progress, **asked)
    tell(pictures, destination.write(pictures, columns), destination, json)
