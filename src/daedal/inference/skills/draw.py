"""New pictures, and the best of several. What is asked for is a `PictureRequest`; several that are drawn in the same way are
one batch, and what each gets is what it would get alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.conditions import Chosen, Labels, Prompts
from daedal.inference.input_picture import AnyPicture
from daedal.inference.picture import Picture
from daedal.inference.skills.pictures import ASKING, PictureSkill, Pixels, Progress
from daedal.models.image import ImageSampling, Sketch
from daedal.models.model import Capability
from daedal.nn.noise import Noise


@dataclass(frozen=True)
class PictureRequest:
    """Pictures to draw.

    Attributes:
        noise: their chance.
        labels: their classes or captions.
        source: what tells the picture that they are made of, and its mask, from any other; None where they are new.
        known: of a picture of which something stays its values, and where: 1 as it is, 0 nothing of it.
        near: of a picture whose latents are varied what finds them, and how far to go from there.
    """

    noise: Noise
    labels: Chosen
    how: ImageSampling
    source: str | None = None
    known: tuple[Float[Tensor, "channels height width"], Float[Tensor, "1 height width"]] | None = None
    near: tuple[Callable[[], Float[Tensor, "*latent"]], float] | None = None

    def fits(self, other: "PictureRequest") -> bool:
        """Whether both can be drawn as one batch: families begin an edit from where the least is known."""
        mine, others = (
            (one.labels is None, one.how, None if one.known is None else float(one.known[1].min()), id(one.near))
            for one in (self, other)
        )
        return mine == others

    def part(self, start: int, stop: int) -> "PictureRequest":
        """Some of its pictures."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, noise=self.noise.part(start, stop), labels=labels)


@dataclass(frozen=True)
class Drawing:
    """Requests whose pictures are being drawn as one batch."""

    requests: Sequence[PictureRequest]
    sketches: Iterator[Sketch[Tensor]]


class RequestSkill(PictureSkill):
    """Draws what requests ask for."""

    @torch.no_grad()
    def begin(self, requests: Sequence[PictureRequest]) -> Drawing:
        """Begin what several ask for, as one batch; all of them `fit` the first. What each gets is what it would get alone."""
        noise, how, near = Noise.join([one.noise for one in requests]), requests[0].how, requests[0].near
        labels = [one.labels for one in requests if one.labels is not None]
        told = torch.cat(labels) if labels else None
        if near is not None:
            return Drawing(requests, self._nearby(noise, *near))
        given = [[part.expand(one.noise.count, -1, -1, -1) for part in one.known] for one in requests if one.known]
        if not given:
            return Drawing(requests, self._model.drawing(noise, told, how))
        images, known = (torch.cat(parts) for parts in zip(*given, strict=True))
        return Drawing(requests, self._model.editing(images, known, noise, told, how))

    @torch.no_grad()
    def go_on(self, several: Sequence[Drawing]) -> list[Sketch[list[list[Picture]]]]:
        """Take the next step of each, together as far as the family can; shows the pictures of each request."""
        sketches = self._model.abreast([drawing.sketches for drawing in several])
        return [
            Sketch(sketch.done, partial(self._shown, drawing.requests, sketch))
            for drawing, sketch in zip(several, sketches, strict=True)
        ]

    def _carry_out(self, request: PictureRequest, progress: Progress | None) -> list[Picture]:
        def work(part: Noise, chosen: Chosen) -> Tensor:
            *_, last = self.begin([replace(request, noise=part, labels=chosen)]).sketches
            return last.show()

        return self._of(request, self._draw(request.noise, request.labels, progress, work))

    def _nearby(
        self, noise: Noise, find: Callable[[], Float[Tensor, "*latent"]], strength: float
    ) -> Iterator[Sketch[Tensor]]:
        latent, others = find(), self._model.prior(noise)
        drawn = self._model.decode(torch.stack([self._model.mix(latent, other, strength) for other in others]))
        yield Sketch(1.0, lambda: drawn)

    def _shown(self, requests: Sequence[PictureRequest], sketch: Sketch[Tensor]) -> list[list[Picture]]:
        pixels = iter(self._codec.decode_batch(sketch.show()))
        return [self._of(one, islice(pixels, one.noise.count)) for one in requests]

    def _of(self, request: PictureRequest, drawn: Iterable[Pixels]) -> list[Picture]:
        """What was drawn for a request."""
        noise, task = request.noise, "generate" if request.source is None else "edit"
        sources = [request.source] * noise.count
        return self._pictures(drawn, task, noise.seed, noise.first, request.labels, request.how, sources)


class Draw(RequestSkill):
    """New pictures."""

    name = "draw"
    needs = ("sample",)
    verb = "draw new pictures"

    @classmethod
    def words(cls) -> dict[Capability, str]:
        return {**super().words(), **ASKING}

    def generate(self, n: int = 1, *, progress: Progress | None = None, **asked: Any) -> list[Picture]:
        """`n` new pictures. Picture number i of a seed is the same whatever `n` and `first` are.

        Args:
            asked: as `request` has it.
        """
        return self._carry_out(self.request(n, **asked), progress)

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
        """Pictures to draw, checked.

        Args:
            seed: drawn unless given, and told by the pictures.
            label: a class by name or number; several are taken in turn. A model of classes draws them unless given.
            prompt: what to draw, in words; several are taken in turn. A model of captions draws anything unless given.
            first: the number of the first picture.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: there is no such class or option, or `n` is no number.
        """
        if isinstance(n, str):
            raise DaedalError(f"How many pictures to draw is a number, not {n!r}", "Say what to draw as prompt=...")
        how, noise = self._how(options, prompt), self._noise(seed, first, n)
        return PictureRequest(noise, self._asked(label, noise, prompt, draws=True), how)


class Judge(Protocol):
    """A CLIP, or a model that says what pictures show and so can judge its own."""

    def choose(self, text: str, pictures: Sequence[AnyPicture]) -> int:
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
