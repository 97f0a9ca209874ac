"""What drawing gives: a picture that knows how it was made, how to save itself and how to show itself. And several together: on
one sheet, or in a folder with an index."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from daedal.codecs import sheet
from daedal.codecs.sheet import enlarged, visible_scale
from daedal.errors import DaedalError
from daedal.files import make_folder, read_json, write_json, write_text
from daedal.inference.provenance import PictureProvenance
from daedal.safety.marking import Marked, Marking

FORMATS = {
    ".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF",
    ".tiff": "TIFF",
}  # fmt: skip
"""How a picture is written, by the end of its file's name."""
_OPAQUE = {"JPEG", "BMP"}
_LOSSLESS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}
INDEX = "index.jsonl"
"""In a folder of pictures: a line for each, with its file and where it comes from."""
_KEY = "daedal"
"""Of the PNG's text that says where it comes from."""


@dataclass(frozen=True)
class Picture:
    """A picture that a model drew."""

    image: Image.Image
    provenance: PictureProvenance

    def save(self, path: Path | str, marking: Marking | None = None) -> Path:
        """Write the picture, in the format that the name's end says. A PNG says in itself where it comes from; beside a picture
        of another format, `<path>.json` does.

        Args:
            marking: puts in a watermark, signs and notes it.

        Raises:
            DaedalError: the name ends in no known format, or the file cannot be written.
        """
        return save_image(self.image, path, self.provenance.model_dump(mode="json"), marking)

    def encoded(self, form: str = "png", quality: int | None = None, marking: Marking | None = None) -> bytes:
        """The picture as the file that `save` would write; a PNG says in itself where it comes from.

        Args:
            form: "png", "jpeg" or "webp".
            quality: percent, of a picture that is kept with loss; as `save` has it unless given.
            marking: puts in a watermark, signs and notes it.
        """
        record = self.provenance.model_dump(mode="json")
        return picture_file(self.image, f".{form.lower()}", record, quality, marking).data

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """A picture that was saved.

        Raises:
            DaedalError: it is no picture, or it does not say where it comes from.
        """
        path = Path(path)
        try:
            with Image.open(path, formats=sorted(set(FORMATS.values()))) as file:
                file.load()
                image, text = file.copy(), getattr(file, "text", {}).get(_KEY)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DaedalError(f"{path} is not a picture that can be read ({error})", "Check the path") from None
        beside = path.with_name(path.name + ".json")
        if text is None and not beside.exists():
            raise DaedalError(f"{path} does not say where it comes from", "Open a picture that Daedal has saved")
        try:
            record = read_json(beside) if text is None else json.loads(text)
        except ValueError:
            record = None
        if not isinstance(record, Mapping):
            raise DaedalError(f"What {path} says of where it comes from is damaged", "Draw it again")
        return cls(image, PictureProvenance.parse(record, str(path)))

    def _repr_png_(self) -> bytes:
        return png(self.image)


def save_image(image: Image.Image, path: Path | str, record: Mapping[str, Any], marking: Marking | None = None) -> Path:
    """Write an image, and `record` of where it comes from: inside a PNG, beside any other as `<path>.json`.

    Args:
        marking: puts in a watermark, signs and notes it.

    Raises:
        DaedalError: the name ends in no known format, or the file cannot be written.
    """
    path = Path(path)
    kind = picture_format(path)
    try:
        made = picture_file(image, path.suffix.lower(), record, marking=marking)
    except (ValueError, SyntaxError, OSError) as error:  # larger than the format can hold
        raise DaedalError(f"{path} cannot be written as {kind} ({error})", "Choose .png") from None
    made.write(path)
    if kind != "PNG":
        write_json(path.with_name(path.name + ".json"), dict(record))
    return path


def picture_file(
    image: Image.Image, end: str, record: Mapping[str, Any], quality: int | None = None, marking: Marking | None = None
) -> Marked:
    """The image as the bytes of a file; a PNG says in itself where it comes from.

    Args:
        end: of the file's name.
        quality: percent, of a format that keeps with loss; what `save` has unless given.
    """
    kind = FORMATS[end]

    def encode(image: Image.Image) -> bytes:
        options: dict[str, Any] = dict(_LOSSLESS.get(kind, {})) if quality is None else {"quality": quality}
        if kind == "PNG":
            options["pnginfo"] = _told(record)
        buffer = io.BytesIO()
        (opaque(image) if kind in _OPAQUE else image).save(buffer, format=kind, **options)
        return buffer.getvalue()

    return (Marking() if marking is None else marking).picture(image, record, end, encode)


def _told(record: Mapping[str, Any]) -> PngInfo:
    text = PngInfo()
    text.add_itxt(_KEY, json.dumps(record, ensure_ascii=False), zip=True)
    return text


def png_file(image: Image.Image, record: Mapping[str, Any], marking: Marking | None = None) -> bytes:
    """The image as a PNG that says in itself where it comes from."""
    return picture_file(image, ".png", record, marking=marking).data


def picture_format(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        DaedalError: there is none of that name.
    """
    if path.suffix.lower() not in FORMATS:
        raise DaedalError(f"{path}: no picture is written as {path.suffix or 'such'}", f"Choose {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def opaque(image: Image.Image) -> Image.Image:
    """The image without transparency: laid on white."""
    if not image.has_transparency_data:
        return image
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def png(image: Image.Image) -> bytes:
    """The image as a notebook shows it."""
    buffer = io.BytesIO()
    enlarged(image, visible_scale(*image.size)).save(buffer, format="PNG")
    return buffer.getvalue()


# -- several together ------------------------------------------------------------------------------------------------


def grid(
    pictures: Sequence[Picture | Image.Image],
    columns: int | None = None,
    scale: int | None = None,
    gap: int = sheet.GAP,
) -> Image.Image:
    """Pictures side by side: see `daedal.codecs.sheet.grid`."""
    images = [picture.image if isinstance(picture, Picture) else picture for picture in pictures]
    return sheet.grid(images, columns, scale, gap)


def save_grid(
    pictures: Sequence[Picture], path: Path | str, columns: int | None = None, marking: Marking | None = None
) -> Path:
    """Write a sheet of pictures of one seed, which says where they come from; a single picture is written as it is."""
    if len(pictures) == 1:
        return pictures[0].save(path, marking)
    record = pictures[0].provenance.model_dump(mode="json")
    labels = [picture.provenance.label for picture in pictures]
    return save_image(grid(pictures, columns), path, {**record, "count": len(pictures), "labels": labels}, marking)


def save_each(pictures: Sequence[Picture], folder: Path | str, marking: Marking | None = None) -> list[Path]:
    """Write every picture as a PNG named by its number, and an index of JSON Lines that says where each comes from."""
    folder = make_folder(Path(folder))
    paths = [picture.save(folder / name, marking) for picture, name in zip(pictures, names(pictures), strict=True)]
    records = [picture.provenance.model_dump(mode="json") for picture in pictures]
    write_index(folder, [{"file": path.name, **record} for path, record in zip(paths, records, strict=True)])
    return paths


def write_index(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write JSON Lines, a line for each picture in a folder."""
    write_text(folder / INDEX, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def names(pictures: Sequence[Picture]) -> list[str]:
    """The names that `save_each` gives the pictures: number, and class where there is one."""
    return [f"{picture.provenance.number:05}{_ending(picture.provenance.label)}.png" for picture in pictures]


def _ending(label: str | None) -> str:
    plain = "".join(c if c.isalnum() else "-" for c in label or "")[:40].strip("-")
    return f"-{plain}" if plain else ""
