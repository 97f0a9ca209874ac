"""What a build of sounds may be asked for besides what every build may."""

from typing import Literal

from pydantic import Field

from daedal.codecs.sound import HIGHEST, LOWEST
from daedal.config import Config
from daedal.data.example_options import ExampleOptions
from daedal.data.options import CodecKind


class SoundFields(Config):
    """
    Attributes:
        rate: samples in a second; recordings of other rates are resampled. Not given: what most of them have.
        transcripts: what is said: a table (CSV, TSV, JSON Lines) with a row for each recording, `beside` (`a.txt` beside
            `a.wav`) or `none`. Not given: tables and texts that are found in the sources.
    """

    rate: int | None = Field(default=None, ge=LOWEST, le=HIGHEST)
    transcripts: str | None = Field(default=None, min_length=1)


class SoundOptions(ExampleOptions, SoundFields):
    """
    Attributes:
        labels: where classes come from: `folders`, `names` (`7_theo_3.wav` is class 7, said by theo) or `none`. Not given:
            folders or names that look like classes.
        codec: how transcripts become tokens; characters, unless something else is asked for.
        longest: seconds; longer recordings are left out.
        cut: recordings are cut into pieces of so many seconds; those with a transcript are left whole.
        trim: whether silence at both ends is cut off.
        loudness: the root mean square that every sound is brought to, in decibels of full scale, as -23.
    """

    labels: Literal["folders", "names", "none"] | None = None
    codec: CodecKind = "char"
    longest: float = Field(default=60.0, gt=0, le=3600)
    cut: float | None = Field(default=None, gt=0.05, le=600)
    trim: bool = False
    loudness: float | None = Field(default=None, ge=-60, le=0)

    def files(self) -> tuple[str | None, ...]:
        return (self.transcripts,)
