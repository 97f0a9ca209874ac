"""What a report shows beside its table of numbers. Evaluators make them; `terminal`, `card` and `page` show them."""

from typing import Annotated, Literal

from pydantic import Field

from daedal.config import Config
from daedal.evaluation.measurement import Measurement
from daedal.printable import harmless
from daedal.printable import sentence as sentence


class Note(Config):
    """A sentence, without its full stop."""

    kind: Literal["note"] = "note"
    brief: str


class Ranking(Config):
    """The model among its baselines by a quantity, such as "bits-per-byte": bars, the best first."""

    kind: Literal["ranking"] = "ranking"
    quantity: str
    of: str


class Numbers(Config):
    """Measurements of something else than the model: copies in held-out text, say. They stand in the table of all."""

    kind: Literal["numbers"] = "numbers"
    measurements: tuple[Measurement, ...]


class Table(Config):
    """Rows under a head.

    Attributes:
        brief: a sentence for where a table takes too much room: then the page alone shows the rows.
    """

    kind: Literal["table"] = "table"
    title: str
    says: str = ""
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    brief: str = ""

    @property
    def shown(self) -> bool:
        """Whether there is anything to show: a model without mistakes has no table of them."""
        return bool(self.rows or self.brief)


class Lines(Config):
    """Lines over something, such as a reward over how far a model has gone; for the page alone.

    Attributes:
        across: what the points are over, in words.
        lines: the name of each and its points.
    """

    kind: Literal["lines"] = "lines"
    title: str
    says: str
    across: str
    lines: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]


class Sheet(Config):
    """Pictures on one sheet, in a grid or in pairs above one another, or clips: the PNG or WebP is in the report under the name
    of its file."""

    kind: Literal["sheet"] = "sheet"
    title: str
    says: str
    file: str


class Audio(Config):
    """A sound to listen to. Its WAV is in the report under the name of its file."""

    kind: Literal["audio"] = "audio"
    title: str
    says: str
    file: str


class Sample(Config):
    """Something that a model wrote on from a prompt, which is no part of the text; and what of the text it has copied."""

    prompt: str
    text: str
    copied: str = ""

    @property
    def shown(self) -> str:
        """As it reads."""
        return harmless(self.prompt + self.text)


class Texts(Config):
    """What a model wrote, the first ones drawn, not chosen."""

    kind: Literal["texts"] = "texts"
    title: str
    says: str
    texts: tuple[Sample, ...]

    @property
    def varied(self) -> list[Sample]:
        """One from nothing and one from a prompt."""
        return [*[s for s in self.texts if not s.prompt][:1], *[s for s in self.texts if s.prompt][:1]]


class Pair(Config):
    """What two models answered to a prompt, and what a judge says of the two."""

    prompt: str
    one: str
    other: str
    verdict: str = ""


class Beside(Config):
    """Answers of two models, side by side; the terminal shows the first ones.

    Attributes:
        one, other: what the models are called.
    """

    kind: Literal["beside"] = "beside"
    title: str
    says: str
    one: str
    other: str
    pairs: tuple[Pair, ...]


Block = Annotated[
    Note | Ranking | Numbers | Table | Lines | Sheet | Audio | Texts | Beside, Field(discriminator="kind")
]


def cell(value: str | int | float) -> str:
    """A value of a table as it is shown."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
