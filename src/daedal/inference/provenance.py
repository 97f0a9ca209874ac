"""Where an artifact comes from: what every kind of them tells, and with its own facts the record that is saved with it."""

from typing import Literal

from pydantic import Field

from daedal.config import Config
from daedal.inference.compose_options import ComposeOptions
from daedal.inference.sampling import SamplingOptions
from daedal.models.film_sampling import FilmSampling
from daedal.models.image_sampling import ImageSampling
from daedal.safety.text_marks.text_mark import TextMarkRecord


class Provenance(Config):
    """With a model of these weights and these facts it can be made again.

    Attributes:
        model: the name that the model was opened by.
        fingerprint: SHA-256 of its weights.
        version: of Daedal.
    """

    model: str
    fingerprint: str
    version: str


class TextProvenance(Provenance):
    """Where a text comes from.

    Attributes:
        codec: SHA-256 of its vocabulary.
        quantize: the kind of weights that generated, if they were not the model's own.
        prompt: SHA-256 of the prompt, in UTF-8.
        seed: the seed that was given or drawn; None where chance played no part.
        sample: the number of this sample among those of its prompt.
        watermark: what the text is marked with; without its key it cannot be made again.
    """

    codec: str
    quantize: str | None
    prompt: str
    seed: int | None
    sample: int
    options: SamplingOptions
    watermark: TextMarkRecord | None = None


class PictureProvenance(Provenance):
    """Where a picture comes from.

    Attributes:
        task: whether it is new, or made of a given picture.
        seed: the seed that was given or drawn; None where chance played no part.
        number: of this picture among those of its seed.
        label: the class that was asked for, or drawn.
        source: SHA-256 of the pixels of the picture (and mask) that it is made of.
        options: how it was drawn.
    """

    task: Literal["generate", "edit", "reconstruct"]
    seed: int | None
    number: int
    label: str | None
    source: str | None = None
    options: ImageSampling


class SpeechProvenance(Provenance):
    """Where a spoken sound comes from.

    Attributes:
        task: whether all of it is new, a passage of a recording, or what goes on with one.
        prompt: what it says; None where the model was not told.
        speaker: in whose voice; None for anybody's.
        number: of this sound among those of its seed.
        source: SHA-256 of the samples of the recording that it is made of.
    """

    task: Literal["generate", "edit", "continue"]
    prompt: str | None
    speaker: str | None
    seed: int
    number: int
    source: str | None = None
    options: ImageSampling


class TuneProvenance(Provenance):
    """Where a tune comes from.

    Attributes:
        codec: SHA-256 of what makes codes of tunes.
        task: whether it is new, or made of a given tune.
        number: of this tune among those of its seed.
        said: the key, metre, instrument and style that were asked for.
        source: SHA-256 of the codes of the tune that it is made of.
        tries: of how many it is the one that fits best what was given.
    """

    codec: str
    task: Literal["new", "continue", "harmonise", "infill"]
    seed: int
    number: int
    said: dict[str, str] = Field(default_factory=dict)
    source: str | None = None
    tries: int = 1
    options: ComposeOptions


class FilmProvenance(Provenance):
    """Where a clip comes from that a model of clips wrote.

    Attributes:
        number: of this clip among those of its seed.
        prompt: what was asked for.
        label: the class that was asked for.
        picture: whether its first frame was given.
        to_picture: whether its last frame was.
        given: first frames that were given as a clip.
    """

    seed: int
    number: int
    prompt: str | None = None
    label: str | None = None
    picture: bool = False
    to_picture: bool = False
    given: int = 0
    options: FilmSampling


class ClipProvenance(Provenance):
    """Where a clip comes from.

    Attributes:
        points: what it goes through: seeds, or the SHA-256 of given pictures' pixels.
        loop: whether it goes back to the first.
        direction: SHA-256 of the way from the point to the last frame, where it goes along a direction.
        label: the class of all frames.
    """

    points: tuple[int | str, ...]
    loop: bool = False
    direction: str | None = None
    label: str | None
    options: ImageSampling
