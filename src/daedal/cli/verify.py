"""`daedal verify`: who made something, whether it is whole, and how sure that is."""

from pathlib import Path
from typing import TYPE_CHECKING

from daedal.cli import console
from daedal.cli.options import Switch

if TYPE_CHECKING:
    from daedal.evaluation.verification.evidence import Verification


def verify(
    given: str,
    /,
    *,
    model: str | None = None,
    detector: Path | None = None,
    trust: Path | None = None,
    json: Switch = False,
) -> None:
    """Say who made a picture, sound, video or text, whether it is whole, and how sure that is.

    Parameters
    ----------
    given
        A file, or a text.
    model
        The run that may have written a text: its watermark is judged by the tokens of that model. [default: those that the
        ledger knows]
    detector
        A folder of a calibrated detector of generated text.
    trust
        A PEM file of certificates whose signatures are to be trusted, besides this installation's.
    json
        Print what was found as JSON.
    """
    from daedal import api

    found = api.verify(given, model=model, detector=detector, trust=trust)
    if json:
        console.show_json(found)
    else:
        _show(found)


def _show(found: "Verification") -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from daedal.printable import printable

    console.show(f"{printable(found.name)}: {found.outcome}\n{found.told}.")
    signature = found.signature
    if signature.state in ("whole", "expired") and (claim := signature.claim) is not None:
        model, weights, made = map(printable, (claim.model, claim.fingerprint[:12], claim.made))
        who = "This installation" if signature.by == "this installation" else f'"{printable(signature.issuer or "")}"'
        console.show(f"{who} says that it was made by {model} (weights {weights}), {made}.")
    table = Table("part", "found", "how often that is wrong", box=SIMPLE)
    for part in found.parts:
        table.add_row(part.name, Text(part.told), Text(part.error))
    console.show(table)
