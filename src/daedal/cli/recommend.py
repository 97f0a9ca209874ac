"""`daedal recommend`: what somebody may like next, by a recommender."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.errors import DaedalError

Titles = Annotated[list[str] | None, Parameter(negative=())]


def recommend(
    run: str,
    /,
    *,
    user: str | None = None,
    liked: Titles = None,
    n: Annotated[int, Parameter(alias="-n")] = 10,
    again: Switch = False,
    exclude: Titles = None,
    data: Path | None = None,
    json: Switch = False,
) -> None:
    """Say what somebody may like next, with a recommender.

    Parameters
    ----------
    run
        A run folder of a recommender.
    user
        Somebody whose history is in the data that the recommender learned from.
    liked
        A title that somebody likes, who is in no data; any number of these.
    n
        How many items.
    again
        Also what was taken before.
    exclude
        A title that is not to be recommended; any number of these.
    data
        The data folder of the user, where it is not the run's own.
    json
        Print everything as JSON.
    """
    from daedal import api

    if (user is None) == (not liked):
        raise DaedalError("Whom to recommend to is not said, or twice", "Give --user, or --liked")
    if liked and data is not None:
        raise DaedalError("--data is that of a --user", "Leave it away")
    generator = api.load(run)
    found = generator.recommend(liked or None, n, user=user, again=again, exclude=exclude or (), data=data)
    if json:
        console.show_json([each.model_dump() for each in found])
        return
    if not found:
        console.note("Nothing is left to recommend.")
    for each in found:
        console.show(f"{each.rank:>3}  {each.score:6.2%}  {each.item}")
