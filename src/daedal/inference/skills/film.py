"""New clips: of what a prompt says or of a class, from a picture or a clip on, and on to a picture. Frames that are known are
taken as they are; longer clips than the model sees at once are written in pieces, each after the last frames of the one
before."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from daedal.codecs.clip import ClipCodec
from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.inference.clip import Clip, check_rate
from daedal.inference.conditions import Labels, Prompts, listed
from daedal.inference.input_clip import AnyClip, input_frames
from daedal.inference.input_picture import AnyPicture, fit
from daedal.inference.provenance import FilmProvenance
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.film import TokenFilm
from daedal.models.film_model import FilmModel
from daedal.models.film_sampling import FilmSampling
from daedal.models.vqvae3d import COLOURS
from daedal.nn.causal_video import frames_of, groups_of
from daedal.nn.noise import Noise
from daedal.training.clip_pictures import pixels_of, to_frames, to_pictures

Frames = UInt8[np.ndarray, "clips frames height width 3"]
Progress = Callable[[float, int], None]
"""Told how many clips are done, parts of them too, and of how many."""
LONGEST = 1000
"""Frames of a clip that is written."""
_TOGETHER = 8
_SECONDS = 2.0  # that a clip of the model's own length lasts, unless told otherwise


class MakeClips(Skill):
    """Clips."""

    name = "film"
    learned = FilmModel
    needs = ("film",)
    verb = "make clips"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, FilmModel)
        assert isinstance(subject.codec, ClipCodec)
        self._model, self._codec = subject.model, subject.codec
        self._pixels = pixels_of(subject.codec)

    @torch.no_grad()
    def generate(
        self,
        n: int = 1,
        *,
        prompt: Prompts = None,
        seed: int | None = None,
        first: int = 0,
        label: Labels = None,
        picture: AnyPicture | None = None,
        to_picture: AnyPicture | None = None,
        clip: AnyClip | None = None,
        frames: int | None = None,
        fps: float | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Clip]:
        """`n` clips. Clip number i of a seed is the same whatever `n` and `first` are.

        Args:
            prompt: what happens, in words; several are taken in turn.
            label: the class, by name or number; several are taken in turn.
            seed: drawn unless given, and told by the clips.
            first: the number of the first.
            picture: the first frame.
            to_picture: the last frame, of a clip as long as those that the model learned.
            clip: the first frames; half of a clip's length follows unless `frames` is given.
            frames: of each, those that are given included; as many as the model learned unless given.
            fps: frames shown in a second; such that a clip of the length that was learned lasts two seconds unless given.
            options: `temperature`, `guidance` and more: the fields of `FilmSampling` that the model takes.

        Raises:
            DaedalError: an option makes no sense, a picture cannot be read, or the model learned no captions or classes.
        """
        how = self._how(options)
        begin, end = self._given(picture, clip), None if to_picture is None else self._frame(to_picture)
        length = self._codec.frames
        count = frames
        if count is None:
            count = length if clip is None or begin is None else max(length, len(begin) + length // 2)
        if not isinstance(n, int) or n < 1 or first < 0:
            raise DaedalError(f"There are no {n!r} clips from number {first} on", "Ask for 1 or more")
        fewest = 1 if begin is None else len(begin)
        if not fewest <= count <= LONGEST:
            told = "" if begin is None else f", of which {len(begin)} are given,"
            raise DaedalError(f"A clip of {count:,} frames{told} cannot be written", f"Ask for {fewest} to {LONGEST:,}")
        if end is not None and (count != length or (begin is not None and len(begin) >= length)):
            raise DaedalError(
                f"The model leads to a picture in {length} frames",
                "Leave --frames away, and give fewer than that before",
            )
        seed = secrets.randbits(32) if seed is None else seed
        rate = length / _SECONDS if fps is None else fps
        check_rate(rate)
        given = 0 if begin is None or picture is not None else len(begin)
        made: list[Clip] = []
        for place in range(0, n, _TOGETHER):
            some = min(_TOGETHER, n - place)
            noise = Noise(seed, first + place, some, self._subject.device)
            labels = self._labels(label, prompt, noise)
            known = None if begin is None else np.repeat(begin[None], some, axis=0)

            def tell(share: float, done: int = len(made), some: int = some) -> None:
                if progress is not None:
                    progress(done + share * some, n)

            shown = self._written(noise, labels, how, known, count, end, tell)
            for number, one in enumerate(shown):
                signed = self._subject.signed(
                    FilmProvenance, seed=seed, number=first + place + number, options=how,
                    prompt=None if prompt is None else self._subject.conditions.said(labels[number]),
                    label=None if label is None else self._subject.conditions.said(labels[number]),
                    picture=picture is not None, to_picture=to_picture is not None, given=given,
                )  # fmt: skip
                made.append(Clip(tuple(to_image(frame) for frame in one), rate, signed))
        return made

    @torch.no_grad()
    def through_tokens(self, clips: Frames) -> Frames:
        """Clips as they come back from the model's tokens: what a model that writes perfectly shows of them.

        Raises:
            DaedalError: they are of another size or length than the model's.
        """
        codec = self._model.codec
        back = [codec.decode_ids(codec.encode_ids(video)) for video in self._videos(clips)]
        return np.concatenate([to_frames(self._pixels.decode_batch(each)) for each in back])

    @torch.no_grad()
    def token_log_likelihoods(self, clips: Frames, said: Sequence[str | None] = ()) -> Float[np.ndarray, " clips"]:
        """Log-likelihoods of the tokens of clips, in nats: not of their pixels, which many clips of the same tokens share.

        Args:
            said: the caption of each, or its class, whichever the model knows; None for nothing. Of none unless given.

        Raises:
            DaedalError: they are of another size or length than the model's, or the model tells no likelihoods.
        """
        subject, found = self._subject, list[float]()
        subject.require("score")
        assert isinstance(self._model, TokenFilm)
        for video in self._videos(clips):
            told = said[len(found) : len(found) + len(video)] or [None] * len(video)
            if subject.captions is not None:
                labels = subject.captions.encode([each or "" for each in told])
            else:
                known = {name: number for number, name in enumerate(subject.classes)}
                labels = torch.tensor([known.get(each or "", -1) for each in told])
            found += self._model.token_log_likelihood(video, labels.to(video.device)).tolist()
        return np.array(found)

    def _how(self, values: dict[str, Any]) -> FilmSampling:
        """How to make clips: what is left open, as the family makes them best."""
        how, model = FilmSampling.parse(values, "film"), self._model
        refused = sorted(name for name, value in how if value is not None and name not in model.options)
        if refused:
            raise DaedalError(
                f"{self._subject.kind} does not take {listed(refused)}: it takes {listed(sorted(model.options))}",
                "Leave it out" if len(refused) == 1 else "Leave them out",
            )
        return model.prompted.but(**how.model_dump(exclude_none=True))

    def _videos(self, clips: Frames) -> Iterator[Tensor]:
        """Clips as the model sees them, some at once."""
        shape = (self._codec.frames, self._codec.height, self._codec.width, 3)
        if clips.shape[1:] != shape:
            raise DaedalError(
                f"The clips are {clips.shape[1:]}, and the model's {shape}", "Build the data at that size"
            )
        for place in range(0, len(clips), _TOGETHER):
            yield self._pixels.encode_batch(to_pictures(clips[place : place + _TOGETHER])).to(self._subject.device)

    def _given(
        self, picture: AnyPicture | None, clip: AnyClip | None
    ) -> UInt8[np.ndarray, "frames height width 3"] | None:
        """The first frames, where any are given."""
        if picture is not None and clip is not None:
            raise DaedalError("A clip goes on from a picture or from a clip", "Give one of them")
        if clip is not None:
            return input_frames(clip, self._codec)
        return None if picture is None else self._frame(picture)

    def _frame(self, picture: AnyPicture) -> UInt8[np.ndarray, "1 height width 3"]:
        return fit(picture, PixelCodec(COLOURS, self._codec.height, self._codec.width)).pixels[None]

    def _labels(self, label: Labels, prompt: Prompts, noise: Noise) -> Tensor:
        if label is not None and prompt is not None:
            raise DaedalError("A clip is asked for by a class or by a prompt", "Give one of them")
        asked = self._subject.conditions.asked(label, prompt, noise)
        if asked is not None:
            return asked
        window = self._model.layout.window
        return torch.full((noise.count, window) if window else (noise.count,), -1, device=noise.device)

    def _written(
        self,
        noise: Noise,
        labels: Tensor,
        how: FilmSampling,
        known: Frames | None,
        count: int,
        end: UInt8[np.ndarray, "1 height width 3"] | None,
        tell: Callable[[float], None],
    ) -> Frames:
        """So many frames, of which the first and the last may be known; `tell` is told which share is written."""
        length, stride = self._codec.frames, self._model.codec.config.stride
        # of a piece, before the next is written
        most = min(frames_of(groups_of(length, stride) // 2 + 1, stride), length - 1)
        empty = np.zeros((noise.count, 0, self._codec.height, self._codec.width, 3), np.uint8)
        clip = empty if known is None else known
        piece = 0
        while clip.shape[1] < count:
            before = clip if end is not None else clip[:, clip.shape[1] - _whole(min(clip.shape[1], most), stride) :]
            part = Noise((noise.seed + piece * 2**32) % 2**64, noise.first, noise.count, noise.device)

            def within(share: float, done: int = clip.shape[1], new: int = length - before.shape[1]) -> None:
                tell(min(1.0, (done + share * new) / count))

            whole = self._piece(part, labels, how, before, end, within)
            clip = np.concatenate([clip, whole[:, before.shape[1] :]], axis=1)
            piece += 1
        if end is not None:
            clip[:, -1] = end
        return clip[:, :count]

    def _piece(
        self,
        noise: Noise,
        labels: Tensor,
        how: FilmSampling,
        before: Frames,
        end: UInt8[np.ndarray, "1 height width 3"] | None,
        tell: Callable[[float], None],
    ) -> Frames:
        """Frames of the length that was learned, after the given ones; of these, those of whole groups are told."""
        told = before[:, : _whole(before.shape[1], self._model.codec.config.stride)]
        known = self._video(told, noise) if told.shape[1] else None
        last = None if end is None else self._video(np.repeat(end[None], noise.count, axis=0), noise)
        for sketch in self._model.write(noise, labels, how, known, last):
            tell(sketch.done)
        return to_frames(self._pixels.decode_batch(self._model.codec.decode_ids(sketch.show())))

    def _video(self, frames: Frames, noise: Noise) -> Tensor:
        return self._pixels.encode_batch(to_pictures(frames)).to(noise.device)


def _whole(frames: int, stride: int) -> int:
    """The most frames, of so many, that are whole groups."""
    return 1 + (frames - 1) // stride * stride if frames else 0
