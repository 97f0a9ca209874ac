"""`daedal match`: which of some texts fits a picture, or which of some pictures fits a text, by a CLIP."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.drawing import fit, open_pictures, tell_prompts
from daedal.cli.options import Switch


def match(
    run: str,
    pictures: Annotated[list[Path], Parameter(name="PICTURE", negative=())],
    /,
    *,
    text: Annotated[list[str], Parameter(negative=())],
    json: Switch = False,
) -> None:
    """Say which text fits a picture: several texts with their probabilities, or one with the pictures from the nearest on.

    Parameters
    ----------
    run
        A run folder of a CLIP.
    pictures
        The pictures.
    text
        What a picture may show; give several to choose between them.
    json
        Print the numbers as JSON.
    """
    matcher = open_pictures(run, "match")
    tell_prompts(matcher, text)
    given = [fit(matcher, picture) for picture in pictures]
    if len(text) == 1:
        ranked = matcher.rank(text[0], given)
        if json:
            console.show_json([{"picture": given[at].name, "similarity": near} for at, near in ranked])
        else:
            console.show("\n".join(f"{near:6.3f}  {given[at].name}" for at, near in ranked))
        return
    found = matcher.classify(given, text)
    if json:
        console.show_json([
            {"picture": one.name, "probabilities": each} for one, each in zip(given, found, strict=True)
        ])  # fmt: skip
        return
    for one, each in zip(given, found, strict=True):
        console.show("\n".join([one.name, *(f"  {chance:6.1%}  {said}" for said, chance in each.items())]))
