"""Pictures in time: a clip that saves itself as GIF, WebP, MP4, or a strip of all frames."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from daedal.codecs.sheet import GAP, enlarged, grid, lay_out
from daedal.errors import DaedalError
from daedal.files import write_json
from daedal.inference.picture import opaque, save_image
from daedal.inference.provenance import ClipProvenance, FilmProvenance
from daedal.safety.marking import Marked, Marking

FORMATS = (".gif", ".webp", ".mp4", ".png")
_SIDE = 256
"""Pixels that tiny frames are enlarged to, at most: players blur what they enlarge themselves."""
_MOST_SIDE, _MOST_PIXELS = 16_000, 2**28
"""Pixels of a side of a film, as WebP and H.264 have them, and of all its frames, at most."""


@dataclass(frozen=True, repr=False)
class Clip:
    """Frames, and how many of them are shown in a second."""

    frames: tuple[Image.Image, ...]
    fps: float = 15
    provenance: ClipProvenance | FilmProvenance | None = None

    def __repr__(self) -> str:
        width, height = self.frames[0].size
        return f"<a clip of {len(self.frames):,} frames of {width} x {height} pixels, {self.fps:g} a second>"

    def __post_init__(self) -> None:
        if not self.frames:
            raise DaedalError("A clip without frames shows nothing", "Give at least one")
        check_rate(self.fps)

    def save(self, path: Path | str, scale: int | None = None, marking: Marking | None = None) -> Path:
        """Write the clip in the format that the name's end says, and beside it `<path>.json`, which says where it comes from.
        A `.png` is a strip of all frames. Every format says so in itself too.

        Args:
            scale: how many pixels wide and high each pixel becomes; as many as make tiny frames visible unless given.
            marking: puts in a watermark, signs and notes it.

        Raises:
            DaedalError: the name ends in no known format, the file cannot be written, or `.mp4` needs PyAV.
        """
        path = Path(path)
        kind = clip_format(path)
        record = self.record
        if kind == ".png":
            return save_image(grid(self.frames, len(self.frames), scale), path, record, marking)
        self._file(kind, scale, marking).write(path)
        write_json(path.with_name(path.name + ".json"), record)
        return path

    def encoded(self, form: str, scale: int | None = None, marking: Marking | None = None) -> bytes:
        """The clip as the file that `save` would write.

        Args:
            form: "gif", "webp" or "mp4".
            marking: puts in a watermark, signs and notes it.

        Raises:
            DaedalError: there is no such format, or `mp4` needs PyAV.
        """
        return self._file(clip_format(Path(f"clip.{form}")), scale, marking).data

    def _file(self, kind: str, scale: int | None, marking: Marking | None) -> Marked:
        def encode(frames: Sequence[Image.Image]) -> bytes:
            with TemporaryDirectory() as folder:  # what makes an MP4 easy to stream reads the file again
                path = Path(folder) / f"clip{kind}"
                _write(frames, self.fps, kind, path, json.dumps(self.record))
                return path.read_bytes()

        return (Marking() if marking is None else marking).clip(self._enlarged(scale), self.record, kind, encode)

    @property
    def record(self) -> dict[str, Any]:
        """Where it comes from, and how long it is."""
        record = {} if self.provenance is None else self.provenance.model_dump(mode="json")
        return record | {"frames": len(self.frames), "fps": self.fps}

    def _repr_html_(self) -> str:
        return f'<img src="data:image/webp;base64,{base64.b64encode(self.encoded("webp")).decode()}">'

    def _enlarged(self, scale: int | None) -> list[Image.Image]:
        scale = scale or shown_at(*self.frames[0].size)
        return [enlarged(frame, scale) for frame in self.frames]


def check_rate(fps: float) -> None:
    """
    Raises:
        DaedalError: no clip shows so many frames in a second.
    """
    if not 0.1 <= fps <= 240:
        raise DaedalError(f"A clip cannot show {fps} frames a second", "Choose 0.1 to 240")


def check_one_file(path: Path, count: int, frames: int, width: int, height: int) -> None:
    """Make sure, before they are made, that so many clips can be written into one file, as `save_together` does.

    Raises:
        DaedalError: few programs would open it, or it takes more memory than is sane.
    """
    if clip_format(path) == ".png":
        lay_out(count * frames, width, height, frames)
        return
    columns, rows = lay_out(count, width, height)
    scale = _scale_of_several(width, height) if count > 1 else shown_at(width, height)
    across, down = (each * (side * scale + GAP) - GAP for each, side in ((columns, width), (rows, height)))
    if max(across, down) > _MOST_SIDE or across * down * frames > _MOST_PIXELS:
        raise DaedalError(
            f"{path}: {count:,} clips of {frames:,} frames side by side are frames of {across:,} x {down:,} pixels, "
            "more than programs show",
            "Ask for fewer, or for a folder of them by a name without an ending",
        )


def save_together(clips: Sequence[Clip], path: Path, marking: Marking | None = None) -> Path:
    """Write clips of one length into one file: side by side, or as PNG a row of frames for each.

    Raises:
        DaedalError: as `Clip.save`.
    """
    if clip_format(path) == ".png":
        frames = [frame for clip in clips for frame in clip.frames]
        return save_image(grid(frames, len(clips[0].frames)), path, clips[0].record, marking)
    return side_by_side(clips).save(path, marking=marking)


def side_by_side(clips: Sequence[Clip]) -> Clip:
    """Clips of one length as one, in a grid; with the provenance of the first, whose seed is that of all."""
    if len(clips) == 1:
        return clips[0]
    scale = _scale_of_several(*clips[0].frames[0].size)
    frames = tuple(grid(shown, scale=scale) for shown in zip(*(clip.frames for clip in clips), strict=True))
    return Clip(frames, clips[0].fps, clips[0].provenance)


def _scale_of_several(width: int, height: int) -> int:
    return max(1, _SIDE // (2 * max(width, height)))


def shown_at(width: int, height: int) -> int:
    """By how much frames are enlarged."""
    return max(1, _SIDE // max(width, height))


def clip_format(path: Path) -> str:
    """The format that a file's name asks for: its end.

    Raises:
        DaedalError: there is none of that name, or it cannot be written here.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise DaedalError(f"{path}: no clip is written as {kind or 'such'}", f"Choose {', '.join(FORMATS)}")
    if kind == ".mp4":
        _video_library()
    return kind


def _write(frames: Sequence[Image.Image], fps: float, kind: str, path: Path, comment: str) -> None:
    """Write an animation or a film; the file carries the comment."""
    if kind == ".mp4":
        _write_video(frames, fps, path, comment)
    else:
        _write_animation(frames, fps, "GIF" if kind == ".gif" else "WEBP", path, comment)


def _write_animation(
    frames: Sequence[Image.Image], fps: float, kind: str, to: Path | io.BytesIO, comment: str = ""
) -> None:
    """An animation that is shown round and round."""
    milliseconds = 1000 / fps
    options: dict[str, Any] = {"lossless": True, "xmp": _xmp(comment)} if kind == "WEBP" else {"comment": comment}
    if kind == "GIF":  # it counts in hundredths of a second, and browsers slow down what is under two
        frames = [opaque(frame) for frame in frames]
        milliseconds = max(2, round(milliseconds / 10)) * 10
    frames[0].save(
        to, format=kind, save_all=True, append_images=frames[1:], duration=round(milliseconds), loop=0, **options
    )


def _xmp(comment: str) -> bytes:
    """A comment as programs find it in pictures (ISO 16684-1)."""
    if not comment:
        return b""
    said = f'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>{escape(comment)}</dc:source></rdf:Description>'
    rdf = f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{said}</rdf:RDF>'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>'.encode()


def writes_mp4() -> bool:
    """Whether what writes MP4 is installed."""
    return find_spec("av") is not None


def _video_library() -> Any:
    try:
        import av
    except ImportError:
        raise DaedalError(
            "Writing .mp4 needs PyAV, which is not installed",
            "Choose .gif or .webp, or install it with: pip install 'daedal[video]'",
        ) from None
    return av


def _write_video(frames: Sequence[Image.Image], fps: float, path: Path, comment: str) -> None:
    av = _video_library()
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        # players expect halved colour, and that needs even sides
        stream.width, stream.height = (side + side % 2 for side in frames[0].size)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "12"} if codec == "libx264" else {"qscale": "2"}
        for frame in frames:
            whole = Image.new("RGB", (stream.width, stream.height))
            whole.paste(opaque(frame))
            container.mux(stream.encode(av.VideoFrame.from_image(whole)))
        container.mux(stream.encode())
