"""What models that speak can be told to say, and in whose voice."""

from collections.abc import Sequence

from pydantic import Field

from daedal.config import Config

ANYBODY = "anybody"
_SAYS = "says"


class Sayable(Config):
    """What can be said: classes, or texts of certain characters; nothing of either where a model was told nothing.

    Attributes:
        labels: the classes that can be said; none where transcripts are spelled.
        speakers: the names of those who can speak; none where the data do not say.
        characters: of which a transcript may be, or phonemes; none where classes are said.
    """

    labels: tuple[str, ...] = Field(default=(), max_length=2**16)
    speakers: tuple[str, ...] = Field(default=(), max_length=2**16)
    characters: tuple[str, ...] = Field(default=(), max_length=2**16)

    def prompt(self, said: Sequence[str], speaker: str | None) -> str:
        """What the network is told: as a caption of a picture. Of a transcript its symbols, apart."""
        symbols = " ".join("_" if each == " " else each for each in said) if self.characters else str(said)
        return " ".join([*([speaker or ANYBODY] if self.speakers else []), _SAYS, symbols])
