"""What `daedal evaluate` gives: the measurements of a model, its baselines, its samples and what they copy, as one record.

It becomes `evaluation.json`, the model card `README.md` and the page `report.html` in a run folder,
and a table in the terminal.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.baselines import Baseline
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.memorization import Memorization
from daedal.files import read_json, write_json, write_text
from daedal.printable import harmless
from daedal.training.overfitting import verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

JSON, CARD, PAGE = "evaluation.json", "README.md", "report.html"


class ModelFacts(Config):
    """The model that was measured; `hash` is the SHA-256 of its weights."""

    name: str
    architecture: str
    parameters: int
    depth: int
    width: int
    heads: int
    context: int
    vocab_size: int
    codec: str
    hash: str


class DataFacts(Config):
    """What it was measured on, and what its baselines learned from; with notes on how its files were read."""

    name: str
    documents: int
    bytes: int
    tokens: int
    hash: str
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    train_documents: int = 0
    train_bytes: int = 0
    train_tokens: int = 0
    notes: tuple[str, ...] = ()


class Sample(Config):
    """Something that the model wrote on from a prompt; the prompt is not part of the text."""

    prompt: str
    text: str


class Curve(Config):
    """Bits per byte over the steps of training, as they were logged then."""

    train: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]


class EvaluationReport(Config):
    """Everything that was measured.

    Attributes:
        sampling: how the samples were drawn.
        plan: the training run's plan, if there is one.
        seconds: how long measuring took.
        written: the files that hold this report.
        unwritten: why there are none, where there were to be some.
    """

    format: Literal["daedal-evaluation"] = "daedal-evaluation"
    version: Literal[1] = 1
    daedal: str
    model: ModelFacts
    data: DataFacts
    measurements: tuple[Measurement, ...]
    baselines: tuple[Baseline, ...] = ()
    memorization: Memorization | None = None
    samples: tuple[Sample, ...] = ()
    sampling: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] | None = None
    curve: Curve | None = None
    seconds: float
    written: tuple[str, ...] = Field((), exclude=True)
    unwritten: str | None = Field(None, exclude=True)

    def measured(self, quantity: str) -> Measurement:
        """The model's own measurement of a quantity, such as "bits-per-byte"."""
        for measurement in self.measurements:
            if measurement.quantity.startswith(f"{quantity}/"):
                return measurement
        raise DaedalError(f"The report has no {quantity}", "Evaluate the model again")

    @property
    def bits_per_byte(self) -> Measurement:
        return self.measured("bits-per-byte")

    def write(self, folder: Path) -> "EvaluationReport":
        """Write the record, the model card and the page; gives the report that knows where they are."""
        from daedal.evaluation.card import model_card
        from daedal.evaluation.page import report_page

        write_json(folder / JSON, self.model_dump(mode="json"))
        write_text(folder / CARD, model_card(self))
        write_text(folder / PAGE, report_page(self))
        return self.but(written=tuple(str(folder / name) for name in (PAGE, CARD, JSON)))

    @classmethod
    def read(cls, folder: Path) -> "EvaluationReport":
        """The report that `write` left in a run folder."""
        values = read_json(folder / JSON)
        if not isinstance(values, dict) or values.get("format") != "daedal-evaluation":
            raise DaedalError(f"{folder / JSON} is not an evaluation report", "Evaluate the model again")
        return cls.parse(values, str(folder / JSON))

    def ranking(self) -> list[tuple[str, Measurement]]:
        """The model and its baselines by bits per byte, the best first. All are checked to be the same quantity of the same
        data."""
        rows = [("this model", self.bits_per_byte), *((each.name, each.bits_per_byte) for each in self.baselines)]
        for _, measurement in rows[1:]:
            self.bits_per_byte.beside(measurement)
        return sorted(rows, key=lambda row: row[1].value)

    def text(self) -> "RenderableType":
        """The report for a terminal."""
        from daedal.evaluation.terminal import render

        return render(self)

    @property
    def overfitting(self) -> str | None:
        """What the run's own validation said of it, in a line, where there is something to say."""
        kept = (self.plan or {}).get("keep") == "best"
        return verdict(self.curve.validation, "bits_per_byte", kept) if self.curve is not None else None

    def summary(self) -> str:
        """The result in a few lines."""
        width = max(len(name) for name, _ in self.ranking())
        lines = [f"Bits per byte of the {self.data.name} text, less is better:"]
        lines += [f"  {name:<{width}}  {measurement.shown()}" for name, measurement in self.ranking()]
        lines.append(f"  {self.measured('nats-per-token')}")
        if self.overfitting is not None:
            lines.append("  " + self.overfitting)
        if self.memorization is not None and self.memorization.samples:
            lines.append("  " + copied(self.memorization))
        if self.samples:
            lines += ["", "It writes:", *(f"  {line}" for line in shown(self.samples[0]).splitlines()[:12])]
        if self.written:
            lines += ["", f"Report: {self.written[0]}"]
        if self.unwritten:
            lines += ["", self.unwritten]
        return harmless("\n".join(lines))


def copied(memorization: Memorization) -> str:
    """What was copied, in one line."""
    longest = max(copy.characters for copy in memorization.samples)
    line = f"longest copy from the training text in {len(memorization.samples)} samples: {longest} characters"
    if memorization.held_out:
        line += f" (in held-out text as long: {max(copy.characters for copy in memorization.held_out)})"
    return line


def counted(number: int, thing: str) -> str:
    """`1 document`, `2,000 documents`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def shown(sample: Sample) -> str:
    """A sample as it reads."""
    return harmless(sample.prompt + sample.text)
