"""Making clips, as jobs of `/v1/videos` ask for it: what is asked for is looked at before a job is kept, and again when it is
worked on, which may be after the server was started anew."""

from collections.abc import Iterator
from typing import Any

from daedal.codecs.image import PixelCodec
from daedal.codecs.sheet import enlarged, grid
from daedal.inference.clip import Clip, shown_at, writes_mp4
from daedal.inference.generator import Generator
from daedal.inference.input_picture import fit
from daedal.inference.picture import picture_file, png_file
from daedal.models.film_sampling import FilmSampling
from daedal.nn.noise import Noise
from daedal.safety.marking import Marking
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.given import as_base64, checked, given_bytes, given_picture
from daedal.serving.making import Making, Tell

OPTIONS = ("steps", "guidance", "temperature", "top_k")
_SECONDS = 2.0  # that a clip of the model's own length lasts
_LONGEST = 1000
"""Frames."""
_SIDE, _SHOWN = 2048, 2**27
"""Pixels of a side of a video, and of all its frames."""
_COLUMNS = 8
"""Frames of a row of the sheet of all of them."""


class CheckClip(Making):
    """Whether a clip can be made, and all that is settled of it: how many frames, how fast they are shown, by how much they are
    enlarged, and the first as the model sees it."""

    op, skill, at_once = "check_film", "film", True

    def __init__(self, generator: Generator, command: Command) -> None:
        super().__init__(generator, command)
        codec = generator.codec
        options = {name: command[name] for name in OPTIONS if command.get(name) is not None}
        checked(lambda: FilmSampling.parse(options, "film"), next(iter(options), "prompt"))
        prompt = command.get("prompt")
        if prompt is not None:
            asked = {"label": None, "prompt": None} | _said(generator, prompt)
            checked(lambda: generator.conditions.asked(**asked, noise=Noise(0, 0, 1)), "prompt")
        own = codec.frames / _SECONDS
        fps = command.get("fps") or own
        seconds = command.get("seconds")
        frames = codec.frames if seconds is None else max(1, round(seconds * fps))
        if frames > _LONGEST:
            said = f"That is {frames:,} frames at {fps:g} a second, and a clip has at most {_LONGEST:,}"
            raise Refused(400, said, "invalid_value", "seconds")
        self.settled = {
            "frames": frames,
            "fps": fps,
            "scale": _scale(command.get("size"), codec.width, codec.height, frames),
            "picture": None if command.get("picture") is None else _fitted(command["picture"], generator),
        }
        captions = generator.captions
        self.unknown = captions.unknown(prompt) if captions is not None and prompt is not None else ()

    def pieces(self, tell: Tell) -> Iterator[Event]:
        yield {"event": "result", **self.settled, "unknown": self.unknown}


class MakeClip(Making):
    """A clip of what was settled: a video, a picture of it, and a sheet of all frames."""

    op = skill = "film"

    def __init__(self, generator: Generator, command: Command) -> None:
        super().__init__(generator, command)
        self._command = command

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        codec = generator.codec
        return {
            "kind": "videos",
            "size": [codec.height, codec.width],
            "frames": codec.frames,
            "conditions": "caption" if generator.captions is not None else "class" if generator.classes else None,
            "options": sorted(set(OPTIONS) & generator.model.options),
        }

    def pieces(self, tell: Tell) -> Iterator[Event]:
        asked = self._command
        options = {name: asked[name] for name in OPTIONS if asked.get(name) is not None}
        picture = None if asked["picture"] is None else given_bytes(asked["picture"], "picture")
        (clip,) = self.generator.generate(
            1, seed=asked["seed"], picture=picture, frames=asked["frames"], fps=asked["fps"],
            **_said(self.generator, asked["prompt"]),
            progress=lambda done, total: tell({"event": "progress", "done": done / total}), **options,
        )  # fmt: skip
        yield {
            "event": "result",
            "seconds": len(clip.frames) / clip.fps,
            "contents": _contents(clip, asked["scale"], self.marking),
        }


def _said(generator: Generator, prompt: str | None) -> dict[str, str]:
    """What a prompt is to a model: what happens, or a class."""
    if prompt is None:
        return {}
    return {"prompt": prompt} if generator.captions is not None or not generator.classes else {"label": prompt}


def _contents(clip: Clip, scale: int, marking: Marking | None) -> dict[str, Any]:
    """What can be fetched of a clip: by name the type of content, and the bytes in base64. The video is an animated WebP where
    nothing here writes an MP4."""
    form, kind = ("mp4", "video/mp4") if writes_mp4() else ("webp", "image/webp")
    thumbnail = picture_file(enlarged(clip.frames[0], scale), ".webp", clip.record, marking=marking)
    sheet = picture_file(grid(clip.frames, min(_COLUMNS, len(clip.frames))), ".png", clip.record, marking=marking)
    made = {
        "video": (kind, clip.encoded(form, scale, marking)),
        "thumbnail": ("image/webp", thumbnail.data),
        "spritesheet": ("image/png", sheet.data),
    }
    return {name: {"type": type, "data": as_base64(data)} for name, (type, data) in made.items()}


def _scale(size: str | None, width: int, height: int, frames: int) -> int:
    """By how much frames are enlarged.

    Raises:
        Refused: the size is no multiple of theirs, or so many frames of it are too much.
    """
    if size is None:
        return shown_at(width, height)
    wide, high = (int(side) for side in size.split("x"))
    scale = wide // width
    if not scale or (scale * width, scale * height) != (wide, high) or max(wide, high) > _SIDE:
        raise Refused(
            400,
            f"The model films {width}x{height} pixels: ask for that, or for a multiple of it such as {4 * width}x{4 * height}, "
            f"up to {_SIDE} a side",
            "invalid_value",
            "size",
        )
    if frames * wide * high > _SHOWN:
        raise Refused(400, f"{frames:,} frames of {size} pixels are too much", "invalid_value", "size")
    return scale


def _fitted(encoded: str, generator: Generator) -> str:
    """A picture as the model sees it, as a PNG in base64.

    Raises:
        Refused: it is none that can be read, or too large for that.
    """
    data, codec = given_picture(encoded, "picture"), generator.codec
    shown = checked(lambda: fit(data, PixelCodec(3, codec.height, codec.width)), "picture", "invalid_image")
    return as_base64(png_file(shown.image, {}))
