"""New pictures, and the best of several. What is asked for is a `PictureRequest`; several that are drawn in the same way are
one batch, and what each gets is what it would get alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.conditions import Chosen, Labels, Prompts
from daedal.inference.input_picture import InputPicture, Source
from daedal.inference.picture import Picture
from daedal.inference.skills.pictures import ASKING, PictureSkill, Pixels, Progress
from daedal.models.image import ImageSampling, Sketch
from daedal.models.model import Capability
from daedal.nn.noise import Noise


@dataclass(frozen=True)
class KnownPart:
    """A picture of which something stays.

    Attributes:
        known: where it stays as it is, 1; where nothing of it does, 0.
        source: what tells this picture with this mask from any other.
    """

    image: Float[Tensor, "channels height width"]
    known: Float[Tensor, "1 height width"]
    source: str

    @property
    def least(self) -> float:
        """How much is known of what is drawn anew: from there a family may begin, which those of a batch do together."""
        return float(self.known.min())

    def repeated(self, count: int) -> tuple[Tensor, Tensor]:
        """The picture and what is known of it, for a batch."""
        return self.image.expand(count, -1, -1, -1), self.known.expand(count, -1, -1, -1)


@dataclass(frozen=True)
class PictureRequest:
    """Pictures to draw: their chance, their classes or captions, how, and from which picture where from one."""

    noise: Noise
    labels: Chosen
    how: ImageSampling
    kept: KnownPart | None = None

    def fits(self, other: "PictureRequest") -> bool:
        """Whether both can be drawn as one batch."""
        least, others = (None if one.kept is None else one.kept.least for one in (self, other))
        return (self.labels is None) == (other.labels is None) and least == others and self.how == other.how

    def part(self, start: int, stop: int) -> "PictureRequest":
        """Some of its pictures."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, noise=self.noise.part(start, stop), labels=labels)


@dataclass(frozen=True)
class Drawing:
    """Requests whose pictures are being drawn as one batch."""

    requests: Sequence[PictureRequest]
    sketches: Iterator[Sketch]


@dataclass(frozen=True)
class Drawn:
    """Pictures of several requests that are being drawn.

    Attributes:
        done: how much of the work is done; 1 at the end.
        show: what is known of each request's pictures so far; at the end, the pictures.
    """

    done: float
    show: Callable[[], list[list[Picture]]]


class RequestSkill(PictureSkill):
    """Draws what requests ask for."""

    def _carry_out(self, request: PictureRequest, progress: Progress | None) -> list[Picture]:
        def work(part: Noise, chosen: Chosen) -> Tensor:
            if request.kept is None:
                return self._model.sample(part, chosen, request.how)
            return self._model.edit(*request.kept.repeated(part.count), part, chosen, request.how)

        return self._of(request, self._draw(request.noise, request.labels, progress, work))

    def _of(self, request: PictureRequest, drawn: Iterable[Pixels]) -> list[Picture]:
        """What was drawn for a request."""
        noise, kept = request.noise, request.kept
        sources = None if kept is None else [kept.source] * noise.count
        task: Literal["generate", "edit"] = "generate" if kept is None else "edit"
        return self._pictures(drawn, task, noise.seed, noise.first, request.labels, request.how, sources)


class Draw(RequestSkill):
    """New pictures."""

    name = "draw"
    needs = ("sample",)
    verb = "draw new pictures"

    @classmethod
    def words(cls) -> dict[Capability, str]:
        return {**super().words(), **ASKING}

    def generate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Picture]:
        """`n` new pictures. Picture number i of a seed is the same whatever `n` and `first` are.

        Args:
            seed: drawn unless given, and told by the pictures.
            label: a class by name or number; several are taken in turn. A model of classes draws them unless given.
            prompt: what to draw, in words; several are taken in turn. A model of captions draws anything unless given.
            first: the number of the first picture.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: there is no such class or option.
        """
        return self._carry_out(self.request(n, seed=seed, label=label, prompt=prompt, first=first, **options), progress)

    def request(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        **options: Any,
    ) -> PictureRequest:
        """Pictures to draw, checked; see `generate`."""
        how, noise = self._how(options, prompt), self._noise(seed, first, n)
        return PictureRequest(noise, self._asked(label, noise, prompt, draws=True), how)

    @torch.no_grad()
    def begin(self, requests: Sequence[PictureRequest]) -> Drawing:
        """Begin what several ask for, as one batch; all of them `fit` the first. What each gets is what `generate` or `edit`
        draws for it alone."""
        noise, how = Noise.join([one.noise for one in requests]), requests[0].how
        labels = [one.labels for one in requests if one.labels is not None]
        kept = [one.kept.repeated(one.noise.count) for one in requests if one.kept is not None]
        told = torch.cat(labels) if labels else None
        if not kept:
            return Drawing(requests, self._model.drawing(noise, told, how))
        images, known = (torch.cat(parts) for parts in zip(*kept, strict=True))
        return Drawing(requests, self._model.editing(images, known, noise, told, how))

    @torch.no_grad()
    def go_on(self, several: Sequence[Drawing]) -> list[Drawn]:
        """Take the next step of each, together as far as the family can."""
        sketches = self._model.abreast([drawing.sketches for drawing in several])
        return [
            Drawn(sketch.done, partial(self._shown, drawing.requests, sketch))
            for drawing, sketch in zip(several, sketches, strict=True)
        ]

    def _shown(self, requests: Sequence[PictureRequest], sketch: Sketch) -> list[list[Picture]]:
        pixels = iter(self._codec.decode_batch(sketch.show()))
        return [self._of(one, islice(pixels, one.noise.count)) for one in requests]


class Judge(Protocol):
    """A CLIP, or a model that says what pictures show and so can judge its own."""

    def choose(self, text: str, pictures: Sequence[Source | InputPicture]) -> int:
        """The place of the picture that fits the text best."""


def draw_best(
    draw: Callable[..., list[Picture]],
    judge: Judge,
    n: int,
    *,
    best_of: int,
    prompt: str | Sequence[str],
    first: int = 0,
    **options: object,
) -> list[Picture]:
    """`n` pictures, each that of `best_of` drawn for its prompt which the judge finds best. What a picture's provenance says
    draws that picture again, alone.

    Args:
        draw: `generate` of a model that draws what a text says, or another with its arguments.
        prompt: several are taken in turn.
        first: the number of the first picture.
        options: of `draw`.

    Raises:
        DaedalError: there is nothing to choose from, or as `draw` and the judge.
    """
    if best_of < 2:
        raise DaedalError(f"best_of is {best_of}: there is nothing to choose from", "Draw at least 2 for each")
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    each = [text for text in prompts for _ in range(best_of)]
    drawn = draw(n=n * best_of, prompt=each, first=first * best_of, **options)
    several = [drawn[start : start + best_of] for start in range(0, len(drawn), best_of)]
    return [those[judge.choose(prompts[number % len(prompts)], those)] for number, those in enumerate(several, first)]
