"""What `daedal generate` does with a model of clips: its options, where the clips go, and what is said of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.cli import console
from daedal.cli.drawing import check_new, run_name
from daedal.config import Config
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.inference.generator import Generator


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


def make_clips(generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool) -> None:
    """Write clips: several of them side by side into one file, or each into one of a folder. For `daedal generate`."""
    from daedal.inference.clip import clip_format, side_by_side

    n, replace = 1 if n is None else n, asked.pop("replace", False)
    out = asked.pop("out", None) or Path(f"clips-{run_name(run)}.gif")
    if out.suffix:
        clip_format(out)
        check_new(out, replace)
    elif out.is_dir() and any(out.iterdir()) and not replace:
        raise DaedalError(f"{out} is not empty", "Choose a new folder, or --replace what is in the way")
    with console.progress() as progress:
        clips = generator.generate(
            n, picture=asked.pop("from_picture", None), clip=asked.pop("begin", None), label=asked.pop("class", None),
            progress=lambda done, total: progress("filming", done, total), **asked,
        )  # fmt: skip
    if out.suffix:
        files = [str(side_by_side(clips).save(out))]
    else:
        files = [str(clip.save(out / f"{number:04d}.gif")) for number, clip in enumerate(clips)]
    records = [clip.provenance.model_dump(mode="json") for clip in clips]
    if json:
        console.show_json({"files": files, "clips": records})
    else:
        count = "1 clip" if n == 1 else f"{n} clips"
        console.show(f"{count} of seed {records[0]['seed']}, {len(clips[0].frames)} frames each, in {out}")
