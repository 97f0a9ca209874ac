"""`daedal card`: the card of a model or of data, with what was measured of its risks."""

from pathlib import Path

from daedal.cli import console
from daedal.cli.options import Switch


def card(folder: Path, /, *, json: Switch = False) -> None:
    """Write the card of a run or of data: intended use, limits, what was measured of its risks, licences, how it is recognised.

    It becomes README.md, with the header that the Hugging Face Hub reads, and card.json for machines, in the folder itself.

    Parameters
    ----------
    folder
        A run folder that was measured, or a data folder. What daedal audit and daedal bias wrote there is shown.
    json
        Print the card as JSON.
    """
    from daedal import api

    written = api.card(folder)
    if json:
        console.show_json(written)
    else:
        console.show(written.markdown)
    console.note(f"The card is in {' and '.join(written.written)}")
