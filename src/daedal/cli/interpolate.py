"""`daedal interpolate`: a clip that goes from picture to picture."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.drawing import Drawing, check_place, drawing, free, open_pictures, run_name
from daedal.cli.marking import Marks, marking
from daedal.cli.options import Switch, given
from daedal.errors import DaedalError


def interpolate(
    run: str,
    /,
    *,
    start: Annotated[Path | None, Parameter(name="--from")] = None,
    to: Path | None = None,
    seeds: str | None = None,
    frames: int = 30,
    fps: float = 15,
    loop: Switch = False,
    label: Annotated[str | None, Parameter(name="--class")] = None,
    out: Path | None = None,
    replace: Switch = False,
    how: Drawing = None,
    marks: Marks = None,
) -> None:
    """Morph one picture into another, or through the pictures of seeds.

    Parameters
    ----------
    run
        A run folder of a model of images.
    start
        The picture to begin with.
    to
        The picture to end with.
    seeds
        Seeds to go through instead, such as 1,2,3,4.
    frames
        How many pictures the clip has.
    fps
        How many of them are shown in a second.
    loop
        Go back to the beginning too, so that the clip can be shown round and round.
    label
        What to draw, by name or number. [default: that of the first seed]
    out
        The clip: .gif, .webp, .mp4, or .png for a strip of all frames. [default: a new .gif here]
    replace
        Overwrite a file that is there.
    """
    points = _points(start, to, seeds)
    from daedal.codecs.sheet import lay_out
    from daedal.inference.clip import clip_format

    if out is not None:
        clip_format(out)
        check_place(out, replace, folder=False)
    marked = marking(marks, run)
    generator = open_pictures(run, "interpolate")
    if out is not None and out.suffix.lower() == ".png":
        lay_out(frames, generator.codec.width, generator.codec.height, frames)
    known = [point if isinstance(point, int) else generator.fit(point) for point in points]
    for point in known:
        if not isinstance(point, int) and point.note:
            console.note(point.note)
    with drawing() as progress:
        clip = generator.interpolate(known, frames, fps=fps, loop=loop, label=label, progress=progress, **given(how))
    path = clip.save(out or free(f"interpolation-{run_name(run)}.gif"), marking=marked)
    console.show(f"{frames} frames in {path}")


def _points(start: Path | None, to: Path | None, seeds: str | None) -> list[Path] | list[int]:
    if seeds is None and start is not None and to is not None:
        return [start, to]
    if seeds is None or start is not None or to is not None:
        raise DaedalError("Between what is not said", "Give --from and --to, or --seeds such as 1,2,3,4, and not both")
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise DaedalError(f"{seeds!r} is not a list of seeds", "Write it as 1,2,3,4") from None
