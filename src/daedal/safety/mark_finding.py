"""What looking for a watermark found: the same record for texts, pictures, sounds and clips."""

from typing import Literal

from daedal.config import Config


class MarkFinding(Config):
    """Whether something carries a watermark of a key.

    Attributes:
        scheme: how it was looked for, with its version, such as "tournament/1".
        key: the id of the key.
        p_value: how often something without the mark of this key looks at least as marked; exact, and corrected for all
            that was tried (keys, places, windows). None where there is too little to judge.
        payload: what the mark says, where it has room for a payload and that could be read.
        judged: of how many units (tokens, bits) it was judged.
        unit: of `judged`.
        note: why nothing could be judged, or which part carries the mark.
    """

    scheme: str
    key: str
    p_value: float | None
    payload: int | None = None
    judged: int = 0
    unit: Literal["tokens", "bits"] = "bits"
    note: str | None = None
