"""A watermark of text as a request carries it: a scheme with a key. Neither its text form nor a record of it tells the key."""

from dataclasses import dataclass, field
from functools import cached_property

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tournament import Tournament
from daedal.safety.watermark_keys import WatermarkKey

PAYLOADS = 16
"""Numbers that a mark of text may say, one of them."""


class TextMarkRecord(Config):
    """What is told of a mark beside a text.

    Attributes:
        scheme: the scheme with its version.
        key: the id of the key, which tells nothing of it.
        payload: the number that the mark says.
    """

    scheme: str
    key: str
    payload: int | None = None


@dataclass(frozen=True)
class TextMark:
    """How the chance of a text is bound to a key.

    Attributes:
        payload: a number below `PAYLOADS` that the mark says, which a detector finds by trying all of them.
    """

    key: WatermarkKey = field(repr=False)
    scheme: Scheme = field(default_factory=Tournament)
    payload: int | None = None

    def __post_init__(self) -> None:
        if self.payload is not None and not 0 <= self.payload < PAYLOADS:
            raise DaedalError(f"A mark of text says no {self.payload}", f"Give a payload from 0 to {PAYLOADS - 1}")

    @cached_property
    def seed(self) -> int:
        """64 bits of the key for this scheme and payload alone."""
        purpose = f"text {self.scheme.label} {'' if self.payload is None else self.payload}"
        return int.from_bytes(self.key.derived(purpose)[:8], "little")

    @property
    def record(self) -> TextMarkRecord:
        return TextMarkRecord(scheme=self.scheme.name, key=self.key.id, payload=self.payload)
