"""Whether what a command makes carries the watermark of this installation."""

from typing import TYPE_CHECKING

from daedal.cli import console
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.safety.text_marks.text_mark import TextMark


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
