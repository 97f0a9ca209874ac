"""New clips: of what a prompt says, and from a picture on. Frames that are known are taken as they are; longer clips than the
model sees at once are written in pieces, each after the last frames of the one before."""

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
from daedal.inference.clip import Clip
from daedal.inference.conditions import Prompts
from daedal.inference.input_picture import AnyPicture, fit
from daedal.inference.provenance import FilmProvenance
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.film import FilmModel, FilmSampling, Groups
from daedal.nn.noise import Noise
from daedal.training.clip_groups import group_frames, to_frames, to_groups

Frames = UInt8[np.ndarray, "clips frames height width 3"]
Progress = Callable[[int, int], None]
"""Told how many clips are done, and of how many."""
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
        self._pixels = PixelCodec(3 * subject.model.stride, subject.codec.height, subject.codec.width)

    @torch.no_grad()
    def generate(
        self,
        n: int = 1,
        *,
        prompt: Prompts = None,
        seed: int | None = None,
        first: int = 0,
        picture: AnyPicture | None = None,
        frames: int | None = None,
        fps: float | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Clip]:
        """`n` clips. Clip number i of a seed is the same whatever `n` and `first` are.

        Args:
            prompt: what happens, in words; several are taken in turn.
            seed: drawn unless given, and told by the clips.
            first: the number of the first.
            picture: the first frame.
            frames: of each; as many as the model learned unless given.
            fps: frames shown in a second; such that a clip of the length that was learned lasts two seconds unless given.
            options: the fields of `FilmSampling`.

        Raises:
            DaedalError: an option makes no sense, the picture cannot be read, or the model learned no captions.
        """
        how = FilmSampling.parse(options, "film")
        count = self._codec.frames if frames is None else frames
        if n < 1 or first < 0:
            raise DaedalError(f"There are no {n} clips from number {first} on", "Ask for 1 or more")
        if not 1 <= count <= LONGEST:
            raise DaedalError(f"A clip of {count:,} frames cannot be written", f"Ask for 1 to {LONGEST:,}")
        seed = secrets.randbits(32) if seed is None else seed
        begin = None if picture is None else self._frame(picture)
        rate = self._codec.frames / _SECONDS if fps is None else fps
        made: list[Clip] = []
        for place in range(0, n, _TOGETHER):
            some = min(_TOGETHER, n - place)
            noise = Noise(seed, first + place, some, self._subject.device)
            labels = self._labels(prompt, noise)
            known = None if begin is None else np.repeat(begin[None], some, axis=0)
            shown = self._written(noise, labels, how, known, count)
            for number, clip in enumerate(shown):
                signed = self._subject.signed(
                    FilmProvenance, seed=seed, number=first + place + number, options=how,
                    prompt=self._subject.conditions.said(labels[number]) if prompt is not None else None,
                    picture=picture is not None,
                )  # fmt: skip
                made.append(Clip(tuple(to_image(frame) for frame in clip), rate, signed))
            if progress is not None:
                progress(len(made), n)
        return made

    @torch.no_grad()
    def through_tokens(self, clips: Frames) -> Frames:
        """Clips as they come back from the model's tokens: what a model that writes perfectly shows of them.

        Raises:
            DaedalError: they are of another size or length than the model's.
        """
        back = [self._model.decode_ids(self._model.encode_ids(part)) for part in self._parts(clips)]
        return np.concatenate([self._frames(groups) for groups in back])

    @torch.no_grad()
    def token_log_likelihoods(self, clips: Frames, prompts: Sequence[str | None] = ()) -> Float[np.ndarray, " clips"]:
        """Log-likelihoods of the tokens of clips, in nats: not of their pixels, which many clips of the same tokens share.

        Args:
            prompts: what is said of each, None for nothing; of none unless given.

        Raises:
            DaedalError: they are of another size or length than the model's.
        """
        layout, first, found = self._model.layout, 0, list[float]()
        told = self._subject.captions
        for part in self._parts(clips):
            labels = torch.full((len(part), layout.window) if layout.words else (len(part),), -1)
            if told is not None and prompts:
                labels = told.encode([prompt or "" for prompt in prompts[first : first + len(part)]])
            found += self._model.token_log_likelihood(part, labels.to(part.device)).tolist()
            first += len(part)
        return np.array(found)

    def _parts(self, clips: Frames) -> Iterator[Groups]:
        """Clips as groups of frames, some at once."""
        shape = (self._codec.frames, self._codec.height, self._codec.width, 3)
        if clips.shape[1:] != shape:
            raise DaedalError(
                f"The clips are {clips.shape[1:]}, and the model's {shape}", "Build the data at that size"
            )
        for place in range(0, len(clips), _TOGETHER):
            yield self._groups(clips[place : place + _TOGETHER]).to(self._subject.device)

    def _frame(self, picture: AnyPicture) -> UInt8[np.ndarray, "1 height width 3"]:
        return fit(picture, PixelCodec(3, self._codec.height, self._codec.width)).pixels[None]

    def _labels(self, prompt: Prompts, noise: Noise) -> Tensor:
        asked = self._subject.conditions.asked(None, prompt, noise)
        if asked is not None:
            return asked
        window = self._model.layout.window
        return torch.full(
            (noise.count, window) if self._model.layout.words else (noise.count,), -1, device=noise.device
        )

    def _written(self, noise: Noise, labels: Tensor, how: FilmSampling, known: Frames | None, count: int) -> Frames:
        """So many frames, of which the first may be known."""
        length, stride = self._codec.frames, self._model.stride
        clip = (
            known
            if known is not None
            else np.zeros((noise.count, 0, self._codec.height, self._codec.width, 3), np.uint8)
        )
        kept = 1 + stride * (len(group_frames(length, stride)) // 2)  # of a piece, before the next is written
        piece = 0
        while clip.shape[1] < count or piece == 0:
            before = clip[:, -min(kept, clip.shape[1]) :] if clip.shape[1] else None
            part = Noise((noise.seed + piece * 2**32) % 2**64, noise.first, noise.count, noise.device)
            whole = self._piece(part, labels, how, before)
            clip = np.concatenate([clip, whole[:, 0 if before is None else before.shape[1] :]], axis=1)
            piece += 1
        return clip[:, :count]

    def _piece(self, noise: Noise, labels: Tensor, how: FilmSampling, before: Frames | None) -> Frames:
        """Frames of the length that was learned, the first as given."""
        known = None if before is None else self._groups(before).to(noise.device)
        clip = self._frames(self._model.sample(noise, labels, how, known))
        if before is not None:
            clip[:, : before.shape[1]] = before
        return clip

    def _groups(self, clips: Frames) -> Groups:
        groups = to_groups(clips, self._model.stride)
        pictures = self._pixels.encode_batch(groups.reshape(-1, *groups.shape[2:]))
        return pictures.view(*groups.shape[:2], *pictures.shape[1:])

    def _frames(self, groups: Groups) -> Frames:
        pixels = self._pixels.decode_batch(groups.flatten(0, 1))
        return to_frames(pixels.reshape(len(groups), -1, *pixels.shape[1:]), self._codec.frames)
