"""What `daedal generate` does with a model of clips: its options, where the clips go, and what is said of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.cli import console
from daedal.cli.drawing import check_place, free, require_turns, run_name, tell_prompts
from daedal.config import Config

if TYPE_CHECKING:
    from daedal.codecs.clip import ClipCodec
    from daedal.inference.clip import Clip
    from daedal.inference.generator import Generator
    from daedal.inference.input_picture import InputPicture
    from daedal.safety.marking import Marking

_TOGETHER = 8
"""Clips that are made before the first of them is written."""


class ClipFlags(Config):
    """What may be asked of a model of clips.

    Attributes:
        from_picture: a picture that is the first frame.
        to_picture: a picture that is the last frame.
        frames: of each clip. [default: as many as the model learned]
        fps: frames shown in a second. [default: the model's clips last two seconds]
    """

    from_picture: Path | None = None
    to_picture: Path | None = None
    frames: int | None = None
    fps: float | None = None


def make_clips(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking"
) -> None:
    """Write clips: several of them side by side into one file, or each into one of a folder as soon as it is made. For
    `daedal generate`."""
    from daedal.inference.clip import check_one_file, clip_format, save_together

    prompts, classes = asked.get("prompt"), asked.pop("class", None)
    several = {"prompts": prompts, "classes": classes}
    if n is None:
        n = max(1, *(len(one or ()) for one in several.values()))
    require_turns(n, several, "Ask for at least -n {}", "clip")
    replace, out = asked.pop("replace", False), asked.pop("out", None) or free(f"clips-{run_name(run)}.gif")
    codec = generator.codec
    if out.suffix:
        clip_format(out)
        check_one_file(out, max(1, n), max(1, asked.get("frames") or codec.frames), codec.width, codec.height)
    check_place(out, replace, folder=not out.suffix)
    tell_prompts(generator, prompts)
    pictures = {name: asked.pop(f"{end}_picture", None) for name, end in (("picture", "from"), ("to_picture", "to"))}
    asked |= {name: _fitted(codec, picture) for name, picture in pictures.items() if picture is not None}
    clips = _made(generator, n, label=classes, clip=asked.pop("begin", None), **asked)
    if out.suffix:
        together = list(clips)
        files, records = [str(save_together(together, out, marking))], [clip.record for clip in together]
    else:
        files, records = [], []
        for number, clip in enumerate(clips):
            files.append(str(clip.save(out / f"{number:04d}.gif", marking=marking)))
            records.append(clip.record)
    if json:
        console.show_json({"files": files, "clips": records})
    else:
        count = "1 clip" if n == 1 else f"{n} clips"
        console.show(f"{count} of seed {records[0]['seed']}, {records[0]['frames']} frames each, in {out}")


def _made(generator: "Generator", n: int, seed: int | None = None, **asked: Any) -> "Iterator[Clip]":
    """So many clips, some at once."""
    with console.progress() as progress:
        for first in range(0, max(1, n), _TOGETHER):

            def tell(done: float, _: int, first: int = first) -> None:
                progress("filming", first + done, n)

            some = generator.generate(min(n - first, _TOGETHER), first=first, seed=seed, progress=tell, **asked)
            seed = some[0].record["seed"]
            yield from some


def _fitted(codec: "ClipCodec", picture: Path) -> "InputPicture":
    """A picture as the model sees it; says what was changed."""
    from daedal.codecs.image import PixelCodec
    from daedal.inference.input_picture import fit

    given = fit(picture, PixelCodec(3, codec.height, codec.width))
    if given.note:
        console.note(given.note)
    return given
