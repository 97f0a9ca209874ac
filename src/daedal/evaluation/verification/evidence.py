"""What the parts of a verification may say, and what they say together, as records."""

from typing import Literal

from pydantic import Field

from daedal.config import Config
from daedal.safety.ledger import Entry
from daedal.safety.mark_finding import MarkFinding
from daedal.safety.signing import SignatureFinding

Says = Literal["made here", "signed by another", "generated", "changed", "nothing", "not judged"]
"""What a part says: `made here` by this installation; `signed by another`; `generated`, by no matter whom; `changed` since it
was signed; `nothing`, which is no evidence of the opposite; `not judged` where it could not be looked for."""
Outcome = Literal["made here", "signed by another", "changed", "probably made here", "probably generated", "unknown"]


class Part(Config):
    """What one part says.

    Attributes:
        name: the part.
        says: in a word.
        told: what was found, in a sentence.
        error: how often it is wrong, and how that is known.
        p_value: how often something innocent looks so, where that is a number.
    """

    name: Literal["signature", "watermark", "ledger", "detector"]
    says: Says
    told: str
    error: str
    p_value: float | None = None


class Verification(Config):
    """What is known of something's origin.

    Attributes:
        name: what was verified.
        kind: of artifact.
        media_type: of its bytes.
        sha256: of its bytes.
        outcome: what the parts say together.
        told: that in a sentence or two, with what it leaves open.
        parts: each part.
        signature: what it carries, as it was read.
        mark: the watermark that was looked for, where one could be.
        entries: rows of the ledger that it fits, the surest first.
    """

    name: str
    kind: Literal["picture", "clip", "sound", "tune", "text"]
    media_type: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    outcome: Outcome
    told: str
    parts: tuple[Part, ...]
    signature: SignatureFinding
    mark: MarkFinding | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def marked_entry(self) -> Entry | None:
        """The row of the ledger that a watermark which was found names by its number."""
        if self.mark is None or self.mark.payload is None or self.part("watermark").says != "made here":
            return None
        number = f"{self.mark.payload:08x}"
        return next((entry for entry in self.entries if entry.id.startswith(number)), None)

    def part(self, name: str) -> Part:
        """One of the parts."""
        return next(part for part in self.parts if part.name == name)
