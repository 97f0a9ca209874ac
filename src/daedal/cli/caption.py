"""`daedal caption`: what pictures show, in words, by a model that draws what captions say."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.drawing import drawing, fit, open_pictures
from daedal.cli.options import Switch


def caption(
    run: str,
    pictures: Annotated[list[Path], Parameter(name="PICTURE", negative=())],
    /,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    json: Switch = False,
) -> None:
    """Say what pictures show, with a model that draws what captions say.

    Parameters
    ----------
    run
        A run folder of a GPT over the tokens of pictures that was trained with captions.
    pictures
        The pictures.
    temperature
        0 takes the likeliest word each time, 1 draws them as the model finds them likely.
    seed
        Decides the words that are drawn.
    json
        Print the captions as JSON.
    """
    generator = open_pictures(run, "caption")
    given = [fit(generator, picture) for picture in pictures]
    with drawing() as progress:
        found = generator.caption(given, temperature=temperature, seed=seed, progress=progress)
    if json:
        console.show_json([{"picture": one.name, "caption": text} for one, text in zip(given, found, strict=True)])
        return
    for one, text in zip(given, found, strict=True):
        console.show(text if len(given) == 1 else f"{one.name}: {text}")
