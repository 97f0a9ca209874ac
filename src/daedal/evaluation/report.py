"""What `daedal evaluate` gives: what was measured on what, the numbers beside their baselines, and blocks to look at, as one
record.

It becomes `evaluation.json`, the model card `README.md` and the page `report.html` in a run folder, and tables in the terminal.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from daedal.config import Config
from daedal.data.manifest import SourceRecord
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Note, Numbers, Ranking, Table, Texts
from daedal.evaluation.measurement import Measurement
from daedal.files import read_json
from daedal.printable import harmless
from daedal.training.overfitting import verdict

JSON, CARD, PAGE = "evaluation.json", "README.md", "report.html"
OWN = "this model"


class ModelFacts(Config):
    """The model that was measured; what else is known of one of its kind stands beside.

    Attributes:
        hash: SHA-256 of its weights.
        says: what it is, in a line.
    """

    model_config = ConfigDict(extra="allow")
    name: str
    parameters: int
    hash: str
    says: str


class DataFacts(Config):
    """What it was measured on; what else is known of data of its kind stands beside.

    Attributes:
        name: of the split, the folder or the file.
        says: how much of what it is.
        trained: the same of what it learned from.
        notes: how files were read.
    """

    model_config = ConfigDict(extra="allow")
    name: str
    hash: str
    says: str
    trained: str = ""
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def origin(sources: Sequence[SourceRecord]) -> dict[str, Any]:
    """The sources of data and their licences, as `DataFacts` has them."""
    return {
        "sources": tuple(Path(each.source).name or each.source for each in sources),
        "licences": tuple(sorted({each.licence or "unknown" for each in sources})),
    }


class Presentation(Config):
    """What the card and the page say of models of a kind.

    Attributes:
        what: it is, as a sentence begins: "A qwen3 language model".
        data: the type of what it learns, as the Hub names it.
        task: the Hub's, as is the library.
        tag: of the family or the architecture.
        use: how to use it, in Markdown.
        limits: of its use.
        headlines: the quantities that are told first.
    """

    what: str
    data: str
    task: str
    tag: str
    library: str = ""
    use: str
    limits: str
    headlines: tuple[str, ...]


class Baseline(Config):
    """Something simple, measured against the same data in the same way."""

    name: str
    why: str
    measurements: tuple[Measurement, ...]


class Predictor(Config):
    """A simple predictor, measured on the same bytes. Compressors have no tokens, hence no loss per token."""

    name: str
    bits_per_byte: Measurement
    loss: Measurement | None = None

    @property
    def why(self) -> str:
        return ""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return (self.bits_per_byte,) if self.loss is None else (self.bits_per_byte, self.loss)


class Curve(Config):
    """A value over the steps of training, as it was logged then."""

    name: str
    train: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]


class Report(Config):
    """Everything that was measured.

    Attributes:
        missing: what was not measured, and why.
        sampling: how the samples were drawn.
        plan: the training run's plan, if there is one.
        seconds: how long measuring took.
        files: what is to be looked at, as PNG or an animated WebP, and listened to, by their names.
        written: the files that hold this report.
        unwritten: why there are none, where there were to be some.
    """

    format: Literal["daedal-evaluation"] = "daedal-evaluation"
    version: Literal[2] = 2
    daedal: str
    model: ModelFacts
    data: DataFacts
    presentation: Presentation
    measurements: tuple[Measurement, ...]
    baselines: tuple[Baseline | Predictor, ...] = ()
    blocks: tuple[Block, ...] = ()
    missing: tuple[str, ...] = ()
    sampling: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] | None = None
    curve: Curve | None = None
    seconds: float
    files: dict[str, bytes] = Field(default_factory=dict, exclude=True)
    written: tuple[str, ...] = Field((), exclude=True)
    unwritten: str | None = Field(None, exclude=True)

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """The report in a run folder, without its pictures and sounds.

        Raises:
            DaedalError: there is none, or an older version of Daedal wrote it.
        """
        values = read_json(folder / JSON)
        if not isinstance(values, dict) or (values.get("format"), values.get("version")) != ("daedal-evaluation", 2):
            raise DaedalError(
                f"{folder / JSON} is not an evaluation report of this version", "Evaluate the model again"
            )
        return cls.parse(values, str(folder / JSON))

    def has(self, quantity: str) -> bool:
        return self._found(quantity) is not None

    def measured(self, quantity: str) -> Measurement:
        """The model's own measurement of a quantity, such as "bits-per-byte"; "fid" finds whichever extractor's there is.

        Raises:
            DaedalError: it was not measured.
        """
        found = self._found(quantity)
        if found is None:
            raise DaedalError(f"The report has no {quantity}", "Evaluate the model again, with more samples")
        return found

    def _found(self, quantity: str) -> Measurement | None:
        names = {each.quantity.split("/")[0]: each for each in reversed(self.measurements)}
        by_extractor = next((name for name in reversed(names) if name.startswith(f"{quantity}-")), "")
        return names.get(quantity, names.get(by_extractor))

    @property
    def bits_per_byte(self) -> Measurement:
        return self.measured("bits-per-byte")

    @property
    def rankings(self) -> list[Ranking]:
        return [block for block in self.blocks if isinstance(block, Ranking)]

    def ranking(self, quantity: str = "bits-per-byte") -> list[tuple[str, Measurement]]:
        """The model and its baselines by a quantity, the best first. All are checked to be of the same data."""
        own = self.measured(quantity)
        found = [(each.name, m) for each in self.baselines for m in each.measurements if m.quantity == own.quantity]
        for _, measurement in found:
            own.beside(measurement)
        return sorted([(OWN, own), *found], key=lambda row: row[1].value, reverse=own.better == "higher")

    @property
    def columns(self) -> tuple[Baseline | Predictor, ...]:
        """The baselines that stand beside every number: those that no ranking shows."""
        return () if self.rankings else self.baselines

    def rows(self, ranked: bool = True) -> list[tuple[Measurement, list[Measurement | None]]]:
        """Each number with those of the same quantity of the `columns`. All are checked to be of the same data.

        Args:
            ranked: whether those that a ranking shows are among them.
        """
        hidden = () if ranked else tuple(f"{block.quantity}/" for block in self.rankings)
        more = [m for block in self.blocks if isinstance(block, Numbers) for m in block.measurements]
        found = []
        for own in (*(m for m in self.measurements if not m.quantity.startswith(hidden)), *more):
            beside: list[Measurement | None] = []
            for baseline in self.columns:
                same = next((m for m in baseline.measurements if m.quantity == own.quantity), None)
                if same is not None:
                    own.beside(same)
                beside.append(same)
            found.append((own, beside))
        return found

    @property
    def overfitting(self) -> str | None:
        """What the run's own validation said of it, in a line, where there is something to say."""
        kept = (self.plan or {}).get("keep") == "best"
        return verdict(self.curve.validation, self.curve.name, kept) if self.curve is not None else None

    @property
    def notes(self) -> list[str]:
        """What blocks say in a line."""
        return [block.brief for block in self.blocks if isinstance(block, Note | Table) and block.brief]

    def summary(self) -> str:
        """The result in a few lines."""
        lines = []
        for block in self.rankings:
            ranking = self.ranking(block.quantity)
            width = max(len(name) for name, _ in ranking)
            lines += [
                f"{block.of}:",
                *(f"  {name:<{width}}  {measurement.shown()}".rstrip() for name, measurement in ranking),
            ]
        lines += [] if self.rankings else [f"Measured on {self.data.says}:"]
        for own, beside in (row for row in self.rows(ranked=False) if row[0] in self.measurements):
            named = zip(self.columns, beside, strict=True)
            floor = next((f"  ({b.name} {m.value:.4g})" for b, m in named if m is not None), "")
            lines.append(f"  {own.name} {own.shown().strip()}{floor}")
        lines += [f"  {line}" for line in (*self.notes, *([self.overfitting] if self.overfitting else []))]
        lines += [f"  Not measured: {line}" for line in self.missing]
        for texts in (each for each in self.blocks if isinstance(each, Texts)):
            lines += ["", "It writes:", *(f"  {line}" for line in texts.texts[0].shown.splitlines()[:12])]
        lines += ["", f"Report: {self.written[0]}"] if self.written else []
        lines += ["", self.unwritten] if self.unwritten else []
        return harmless("\n".join(lines))
