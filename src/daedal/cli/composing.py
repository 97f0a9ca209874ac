"""What `daedal generate` does with a model of tunes: its options, where the tunes go, and what is said of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from daedal.cli import console
from daedal.cli.drawing import check_place, run_name
from daedal.config import Config
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.inference.generator import Generator
    from daedal.safety.marking import Marking

_SAID = ("key", "metre", "instrument", "style")


class TuneFlags(Config):
    """What may be asked of a model of tunes.

    Attributes:
        seconds: how long the tunes or sounds are to be. [default: as long as the model wants, two minutes at most]
        begin: a MIDI file to go on with; a recording, of a model of tokens of sounds; a clip, of one of clips.
        harmonise: a MIDI file whose highest notes are kept; the voices below are written.
        infill: a MIDI file some of whose bars are written anew.
        bars: which, counted from 1, as 3:5 or 4.
        key: as C, Ebm or F#, of those that the model was told of.
        metre: as 4/4 or 6/8.
        instrument: a family of instruments, as piano or strings.
        style: the name of a folder that the model learned from.
        sound_font: an SF2 or SF3 file whose instruments play what is written as sound.
    """

    seconds: float | None = None
    begin: Annotated[Path | None, Parameter(name="--continue")] = None
    harmonise: Path | None = None
    infill: Path | None = None
    bars: str | None = Field(None)
    key: str | None = None
    metre: str | None = None
    instrument: str | None = None
    style: str | None = None
    sound_font: Path | None = None


def compose(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking"
) -> None:
    """Write tunes: into a file where one is asked for, else into a folder, as MIDI and as sound. For `daedal generate`."""
    from daedal.inference.sound_font import check_font
    from daedal.inference.tune import save_each, tune_format

    n, tries = 1 if n is None else n, asked.pop("best_of", None)
    out, replace = asked.pop("out", None), asked.pop("replace", False)
    said = {name: asked.pop(name) for name in _SAID if name in asked}
    font = asked.pop("sound_font", None)
    if font is not None:
        check_font(font)
    if out is not None and out.suffix:
        if tune_format(out) != ".wav" and font is not None:
            raise DaedalError(f"A sound font has no part in {out}", "Name a .wav file or a folder")
        if n > 1:
            raise DaedalError(f"{out} holds one tune, and {n} are asked for", "Name a folder")
    if out is not None:
        check_place(out, replace, folder=not out.suffix)
    gap = _gap(asked.pop("infill", None), asked.pop("bars", None))
    with console.progress() as progress:
        tunes = generator.generate(
            n, said=said, begin=asked.pop("begin", None), melody=asked.pop("harmonise", None), gap=gap,
            progress=lambda done, total: progress("composing", done, total), tries=tries, **asked,
        )  # fmt: skip
    seed = tunes[0].provenance.seed
    if out is not None and out.suffix:
        files = [str(tunes[0].save(out, font, marking))]
    else:
        out = out or _free(f"tunes-{run_name(run)}-{seed}")
        files = [str(path) for path in save_each(tunes, out, font, marking)]
    if json:
        console.show_json([{"file": file, **tune.record} for file, tune in zip(files, tunes, strict=True)])
    else:
        count = "1 tune" if n == 1 else f"{n} tunes"
        length = sum(tune.tune.seconds for tune in tunes) / n
        console.show(f"{count} of seed {seed}, {length:.0f} s{' each' * (n > 1)}, in {out}")


def _gap(infill: Path | None, bars: str | None) -> tuple[Path, tuple[int, int]] | None:
    if (infill is None) != (bars is None):
        raise DaedalError("Bars are filled in of a tune", "Give --infill A.mid --bars 3:5")
    if infill is None or bars is None:
        return None
    first, _, last = bars.partition(":")
    try:
        return infill, (int(first), int(last or first))
    except ValueError:
        raise DaedalError(f"--bars {bars}: there are no such bars", "Write them as 3:5, counted from 1") from None


def _free(name: str) -> Path:
    """The name, or with a number the first that nothing here has."""
    path, number = Path(name), 2
    while path.exists():
        path, number = Path(f"{name}-{number}"), number + 1
    return path
