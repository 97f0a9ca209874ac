"""What the commands that draw share: how to draw, where the pictures go, and what is said about it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import fields
from daedal.errors import DaedalError
from daedal.files import require_place
from daedal.models.image_sampling import ImageSampling

if TYPE_CHECKING:
    from daedal.inference.generator import Generator
    from daedal.inference.input_picture import InputPicture
    from daedal.inference.picture import Picture
    from daedal.inference.skills.reconstruct import Reconstruction
    from daedal.models.model import Capability
    from daedal.safety.marking import Marking

Drawing = Annotated[ImageSampling | None, fields("Drawing")]
Class = Annotated[list[str] | None, Parameter(name="--class", negative=())]
"""A class by name or number; several are taken in turn."""


def open_pictures(run: str, needs: "Capability") -> "Generator":
    """The model of pictures in a run folder.

    Raises:
        DaedalError: there is none, it writes text, or it cannot do what is needed.
    """
    from daedal import api

    api.use_fastest_threads()
    generator = api.load(run)
    if "write" in generator.skills:
        raise DaedalError(f"{run} writes text and draws no pictures", "Name the run of a model of images")
    generator.require(needs)
    return generator


def open_judge(run: str | None, generator: "Generator") -> "Generator":
    """The CLIP in a run folder, or the model itself where it can say what pictures show.

    Raises:
        DaedalError: there is none.
    """
    if run is not None:
        return open_pictures(run, "match")
    if "caption" not in generator.skills:
        raise DaedalError(f"{generator.name} cannot tell what a picture shows", "Name a CLIP that chooses by --judge")
    return generator


@contextmanager
def drawing() -> Iterator[Callable[[int, int], None]]:
    """A callback that shows how many pictures are drawn."""
    with console.progress() as progress:
        yield lambda done, total: progress("drawing", done, total)


class Destination:
    """Where pictures go: a file for one or a sheet of several, or a folder for one file each.

    Args:
        out: as given; None for a file of a new name in this folder.
        name: what the new name is made of.
        marking: of what is written.

    Raises:
        DaedalError: it is there already and must not be replaced, or is no name of a picture.
    """

    def __init__(self, out: Path | None, name: str, replace: bool, marking: "Marking") -> None:
        from daedal.inference.picture import picture_format

        self.path, self._name, self._marking = out, name, marking
        self._folder = out is not None and (out.is_dir() or not out.suffix)
        if out is None:
            return
        if not self._folder:
            picture_format(out)
        check_place(out, replace, folder=self._folder)

    def expect(self, count: int, generator: "Generator", columns: int | None = None) -> None:
        """Make sure, before they are drawn, that so many pictures can be written.

        Raises:
            DaedalError: the sheet would be too large.
        """
        from daedal.codecs.sheet import lay_out

        if (self.path is None or not self._folder) and count > 1:
            lay_out(count, generator.codec.width, generator.codec.height, columns)

    def write(self, pictures: "Sequence[Picture]", columns: int | None = None) -> list[str]:
        """Write drawn pictures, and give the file of each."""
        from daedal.inference.picture import save_each, save_grid

        if self._folder and self.path is not None:
            return [str(path) for path in save_each(pictures, self.path, self._marking)]
        self.path = self.path or free(f"{self._name}-{pictures[0].provenance.seed}.png")
        return [str(save_grid(pictures, self.path, columns, self._marking))] * len(pictures)

    def write_pairs(self, found: "Sequence[Reconstruction]") -> None:
        """Write pictures with their reconstructions."""
        from daedal.inference.skills.reconstruct import save_each_pair, save_pairs

        if self._folder and self.path is not None:
            save_each_pair(found, self.path, self._marking)
        else:
            self.path = save_pairs(found, self.path or free(f"{self._name}.png"), self._marking)


def check_place(out: Path, replace: bool, folder: bool) -> None:
    """Make sure, before the work, that a file, or files in a folder, can be written, and nothing is overwritten unasked.

    Raises:
        DaedalError: the place is taken, or the operating system refuses.
    """
    if not folder and out.exists() and (out.is_dir() or not replace):
        fix = "Choose another name" if out.is_dir() else "Choose another name, or overwrite it with --replace"
        raise DaedalError(f"{out} exists already", fix)
    if folder and out.exists() and not out.is_dir():
        raise DaedalError(f"{out} is a file", "Choose a new folder, or give the file an end that says what it is")
    if folder and out.is_dir() and any(out.iterdir()) and not replace:
        raise DaedalError(f"{out} is not empty", "Choose a new folder, or --replace what is in the way")
    require_place(out / "0" if folder else out)


def free(name: str) -> Path:
    """The name, or with a number the first that no file here has."""
    path, number = Path(name), 2
    while path.exists():
        path, number = Path(name).with_stem(f"{Path(name).stem}-{number}"), number + 1
    return path


def run_name(run: str) -> str:
    """What a run is called in the name of a file."""
    return Path(run).resolve().name


def fit(generator: "Generator", picture: Path) -> "InputPicture":
    """A picture as the model sees it; says what was changed."""
    given: InputPicture = generator.fit(picture)
    if given.note:
        console.note(given.note)
    return given


def tell_prompts(generator: "Generator", prompts: Sequence[str] | None) -> None:
    """Say what a model cannot know of prompts: words that no caption had, and, where they are not drawn but compared, what is
    too long to be read."""
    captions = generator.captions
    if captions is None or prompts is None:
        return
    if unknown := list(dict.fromkeys(word for prompt in prompts for word in captions.unknown(prompt))):
        console.note(f"No caption that the model learned had {', '.join(unknown[:20])}")
    if "prompt" not in generator.capabilities and max(captions.lengths(prompts), default=0) > captions.window:
        console.note(f"Only the first {captions.window} tokens of a prompt are read")


def require_turns(count: int, asked: Mapping[str, Sequence[str] | None], fix: str, what: str = "picture") -> None:
    """Make sure that each of several that are taken in turn has its turn.

    Args:
        asked: what is taken in turn, by what it is called.
        fix: how to have more, where a `{}` is how many.
        what: is made.

    Raises:
        DaedalError: there are more of them than are made.
    """
    for called, several in asked.items():
        if several is not None and len(several) > count > 0:
            number = f"1 {what}" if count == 1 else f"{count} {what}s"
            raise DaedalError(
                f"{len(several)} {called} are given for {number}: {several[count]!r} would have no turn",
                fix.format(len(several)),
            )


def tell(pictures: "Sequence[Picture]", files: Sequence[str], destination: Destination, json: bool) -> None:
    """Say what was drawn and where it is."""
    if json:
        records: list[dict[str, Any]] = [
            {"file": file, **picture.provenance.model_dump(mode="json")}
            for file, picture in zip(files, pictures, strict=True)
        ]
        console.show_json(records)
    else:
        count = "1 picture" if len(pictures) == 1 else f"{len(pictures)} pictures"
        console.show(f"{count} of seed {pictures[0].provenance.seed} in {destination.path}")
