"""What makes generated things recognisable, as functions: keys and marks of this installation, and finding them again."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.safety.mark_finding import MarkFinding
    from daedal.safety.text_marks.text_mark import TextMark
    from daedal.safety.watermark_keys import WatermarkKey


def watermark_keys() -> "list[WatermarkKey]":
    """The keys of this installation's watermarks, the newest first, which marks; none where nothing was marked yet.

    Raises:
        DaedalError: they cannot be read.
    """
    from daedal.safety.watermark_keys import watermark_keys as known

    return known()


def new_watermark_key() -> "WatermarkKey":
    """Make a key that marks from now on; what older ones marked is still found.

    Raises:
        DaedalError: the installation's folder cannot be written.
    """
    from daedal.safety.watermark_keys import new_watermark_key as new

    return new()


def text_mark() -> "TextMark":
    """What sampled text is marked with: `load(...).generate(..., watermark=text_mark())`. A key is made where there is none.

    Raises:
        DaedalError: the installation's folder cannot be read or written.
    """
    from daedal.safety.text_marks.text_mark import TextMark
    from daedal.safety.watermark_keys import watermark_key

    return TextMark(watermark_key())


def find_text_mark(text: str, run_or_hub_id: str | Path) -> "list[MarkFinding]":
    """Whether a text carries a mark of this installation: what is found of each scheme and key, the most certain first.

    Args:
        run_or_hub_id: a model with the tokenizer that the text was written with; nothing else of it is read.

    Raises:
        DaedalError: there is no such tokenizer, or the keys cannot be read.
    """
    from daedal.codecs.text import TextCodec
    from daedal.models.checkpoint import resolve
    from daedal.safety.text_marks.detection import find_text_mark as find

    return find(text, watermark_keys(), TextCodec.load(resolve(run_or_hub_id)))
