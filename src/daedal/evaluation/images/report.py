"""What `daedal evaluate` gives for a model of images: measurements, baselines, classes, what was copied, and pictures to
look at.

It becomes `evaluation.json`, the model card `README.md`, the page `report.html` and sheets of pictures in a run folder.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import CARD, JSON, PAGE
from daedal.files import atomic_path, read_json, write_json, write_text
from daedal.printable import harmless
from daedal.training.overfitting import verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

SAMPLES, NEIGHBOURS, RECONSTRUCTIONS = "samples.png", "neighbours.png", "reconstructions.png"
FORMAT = "daedal-image-evaluation"


class ImageModelFacts(Config):
    """The model that was measured; `hash` is the SHA-256 of its weights."""

    name: str
    family: str
    parameters: int
    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    hash: str


class ImageDataFacts(Config):
    """What it was measured against, and what it learned from."""

    name: str
    pictures: int
    used: int
    hash: str
    train_pictures: int = 0
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


class ExtractorFacts(Config):
    """What the features are; `note` says it in a sentence."""

    name: str
    title: str
    note: str
    conditions: dict[str, str] = Field(default_factory=dict)


class ImageBaseline(Config):
    """Other pictures, measured against the same reference in the same way."""

    name: str
    why: str
    measurements: tuple[Measurement, ...]


class ClassRow(Config):
    """One class: its share of the reference and, as the classifier sees them, of the samples; and how many of the samples
    that were asked for are of it."""

    name: str
    reference: float
    samples: float
    asked: int = 0
    right: int = 0

    @property
    def told(self) -> str:
        """How many were right, in words."""
        return f"{self.right} of {self.asked}" if self.asked else ""


class LossCurve(Config):
    """A loss over the steps of training, as it was logged then."""

    name: str
    train: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]


class ImageReport(Config):
    """Everything that was measured.

    Attributes:
        extractor: by what the samples were seen; None where none were drawn.
        missing: what was not measured, and why.
        sampling: how the samples were drawn.
        seconds: how long measuring took.
        pictures: sheets to look at, as PNG, by the name of their file.
        written: the files that hold this report.
        unwritten: why there are none, where there were to be some.
    """

    format: Literal["daedal-image-evaluation"] = "daedal-image-evaluation"
    version: Literal[1] = 1
    daedal: str
    model: ImageModelFacts
    data: ImageDataFacts
    extractor: ExtractorFacts | None = None
    measurements: tuple[Measurement, ...]
    baselines: tuple[ImageBaseline, ...] = ()
    classes: tuple[ClassRow, ...] = ()
    missing: tuple[str, ...] = ()
    sampling: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] | None = None
    curve: LossCurve | None = None
    seconds: float
    pictures: dict[str, bytes] = Field(default_factory=dict, exclude=True)
    written: tuple[str, ...] = Field((), exclude=True)
    unwritten: str | None = Field(None, exclude=True)

    def measured(self, quantity: str) -> Measurement:
        """The model's own measurement of a quantity, such as "fid-classifier"; "fid" finds whichever extractor's there
        is."""
        for measurement in self.measurements:
            name = measurement.quantity.split("/")[0]
            if name in self._names(quantity):
                return measurement
        raise DaedalError(f"The report has no {quantity}", "Evaluate the model again, with more samples")

    def has(self, quantity: str) -> bool:
        names = {each.quantity.split("/")[0] for each in self.measurements}
        return bool(names & self._names(quantity))

    @property
    def note(self) -> str:
        """What the features are, in a sentence."""
        return "" if self.extractor is None else self.extractor.note

    def _names(self, quantity: str) -> set[str]:
        return {quantity} if self.extractor is None else {quantity, f"{quantity}-{self.extractor.name}"}

    def rows(self) -> list[tuple[Measurement, list[Measurement | None]]]:
        """Each measurement with the baselines' of the same quantity, in their order. All are checked to be of the same
        data."""
        found = []
        for own in self.measurements:
            beside: list[Measurement | None] = []
            for baseline in self.baselines:
                same = next((m for m in baseline.measurements if m.quantity == own.quantity), None)
                if same is not None:
                    own.beside(same)
                beside.append(same)
            found.append((own, beside))
        return found

    def write(self, folder: Path) -> "ImageReport":
        """Write the record, the model card, the page and the sheets; gives the report that knows where they are."""
        from daedal.evaluation.images.card import image_model_card
        from daedal.evaluation.images.page import image_report_page

        for name, data in self.pictures.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(data)
        write_json(folder / JSON, self.model_dump(mode="json"))
        write_text(folder / CARD, image_model_card(self))
        write_text(folder / PAGE, image_report_page(self))
        names = (PAGE, CARD, JSON, *self.pictures)
        return self.model_copy(update={"written": tuple(str(folder / name) for name in names)})

    @classmethod
    def read(cls, folder: Path) -> "ImageReport":
        """The report that `write` left in a run folder, without its pictures."""
        values = read_json(folder / JSON)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DaedalError(f"{folder / JSON} is not an evaluation of a model of images", "Evaluate the model again")
        return cls.parse(values, str(folder / JSON))

    def text(self) -> "RenderableType":
        """The report for a terminal."""
        from daedal.evaluation.images.terminal import render

        return render(self)

    @property
    def overfitting(self) -> str | None:
        """What the run's own validation said of it, in a line, where there is something to say."""
        kept = (self.plan or {}).get("keep") == "best"
        return verdict(self.curve.validation, self.curve.name, kept) if self.curve is not None else None

    def summary(self) -> str:
        """The result in a few lines."""
        lines = [f"Measured against {self.data.used:,} {self.data.name} pictures:"]
        for own, beside in self.rows():
            floor = next(
                (f"  ({b.name} {m.value:.4g})" for b, m in zip(self.baselines, beside, strict=True) if m is not None),
                "",
            )
            lines.append(f"  {own.name} {own.shown().strip()}{floor}")
        if self.note:
            lines.append(f"  {self.note}")
        lines += [f"  {self.overfitting}"] if self.overfitting is not None else []
        lines += [f"  Not measured: {line}" for line in self.missing]
        if self.written:
            lines += ["", f"Report: {self.written[0]}"]
        if self.unwritten:
            lines += ["", self.unwritten]
        return harmless("\n".join(lines))
