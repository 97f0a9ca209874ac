"""What the commands that write artifacts share: how what they write is marked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from daedal.cli import console
from daedal.cli.options import Switch, fields
from daedal.config import Config
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.safety.marking import Marking
    from daedal.safety.text_marks.text_mark import TextMark


class MarkFlags(Config):
    """How what is written can be recognised later.

    Attributes:
        no_watermark: Put no watermark in.
        unsigned: Sign nothing: no C2PA manifest, no statement beside a file.
        no_ledger: Note nothing in the ledger of this installation.
        certificate: a PEM file with a chain of certificates and its private key, which signs in place of this installation's
            own.
        tell_prompt: Sign the prompt itself, and not its hash alone.
    """

    no_watermark: Switch = False
    unsigned: Switch = False
    no_ledger: Switch = False
    certificate: Path | None = None
    tell_prompt: Switch = False


Marks = Annotated[MarkFlags | None, fields("Recognition")]


def marking(flags: MarkFlags | None, run: str | None = None) -> "Marking":
    """How to mark what a run makes.

    Raises:
        DaedalError: the installation's folder cannot be read or written, or a certificate is not what it must be.
    """
    from daedal.safety.marking import Marking

    asked = MarkFlags() if flags is None else flags
    made = Marking.of_installation(
        watermark=not asked.no_watermark,
        signed=not asked.unsigned,
        noted=not asked.no_ledger,
        certificate=asked.certificate,
        tell_prompt=asked.tell_prompt,
    )
    return made if run is None else made.of_model(run)


def text_mark(switched_off: bool, temperature: float = 1.0) -> "TextMark | None":
    """What text is marked with; None where that is switched off, or where nothing is left to chance that could carry a mark.

    Raises:
        DaedalError: there is no key, and none can be made.
    """
    if switched_off or temperature == 0:
        return None
    from daedal import api

    try:
        first = not api.watermark_keys()
        mark = api.text_mark()
    except DaedalError as error:
        raise DaedalError(error.what, f"{error.fix}, or give --no-watermark") from None
    if first:
        console.note(
            f"Made the watermark key {mark.key.id}: what is sampled carries it, unless --no-watermark says no."
        )
    return mark
