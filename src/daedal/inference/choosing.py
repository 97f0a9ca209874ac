"""The best of several drawings: what a judge finds nearest to its prompt is kept."""

from collections.abc import Callable, Sequence
from typing import Protocol

from daedal.errors import DaedalError
from daedal.inference.input_picture import Given, Source
from daedal.inference.picture import Picture


class Judge(Protocol):
    """A CLIP, or a model that says what pictures show and so can judge its own."""

    def choose(self, text: str, pictures: Sequence[Source | Given]) -> int:
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
