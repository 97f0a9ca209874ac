"""What became of tests of prompts, as one record: each case by each model and prompt, its samples, and what they come to.

A sample passes where all assertions hold. Of `k` samples of a case a share passes, and the case has a target, the share that is
to pass (1 unless the file says otherwise):

- **passed**: the share that passed reaches the target
- **unsure**: it falls short, but its interval still holds the target: ask more often
- **failed**: it falls short, and its interval excludes the target
- **flaky**: some samples passed and some did not, whatever the target
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import computed_field, model_validator

from daedal.config import Config
from daedal.evaluation.means import share_of_pieces, wilson
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.prompt_tests.assertions import Check

Status = Literal["passed", "unsure", "failed"]


class Sample(Config):
    """An answer and what was found of it.

    Attributes:
        text: as it came.
        judged: as the transform left it, where that is something else.
        score: the weighted mean of the scores of the assertions.
    """

    text: str
    judged: str | None = None
    passed: bool
    score: float
    checks: tuple[Check, ...]
    finish_reason: str
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    cost: float | None = None


class Outcome(Config):
    """A case by a model and a prompt.

    Attributes:
        asked: the prompt as it was put, a text or messages.
        same: every sample would have been this one, a greedy answer on this machine, so that one was asked.
    """

    model: str
    prompt: str
    case: str
    values: dict[str, Any]
    asked: Any
    target: float
    samples: tuple[Sample, ...]
    same: bool = False

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: dict[str, Any]) -> dict[str, Any]:
        """What was computed from the rest is computed again."""
        return {name: value for name, value in values.items() if name not in cls.model_computed_fields}

    @property
    def passes(self) -> int:
        return sum(each.passed for each in self.samples)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rate(self) -> float:
        """The share of samples that passed."""
        return self.passes / len(self.samples)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Wilson's; a point where all samples are the same."""
        return (self.rate, self.rate) if self.same else wilson(self.passes, len(self.samples)) or (0.0, 1.0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def status(self) -> Status:
        if self.rate >= self.target:
            return "passed"
        return "unsure" if self.interval[1] >= self.target else "failed"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def flaky(self) -> bool:
        return 0 < self.passes < len(self.samples)

    @property
    def name(self) -> str:
        return f"{self.case} [{self.prompt}] [{self.model}]"

    @property
    def reasons(self) -> list[str]:
        """Why samples did not pass, each once."""
        failed = (each for sample in self.samples if not sample.passed for each in sample.checks)
        return list(dict.fromkeys(each.reason for each in failed if not each.passed and each.weight))


class ModelUsed(Config):
    """A model that was tested with.

    Attributes:
        name: as the user named it.
        identity: SHA-256 of its weights, or of an endpoint's address and its model's name.
    """

    name: str
    identity: str


class TestReport(Config):
    """Everything that was asked and found.

    Attributes:
        name: of the tests.
        file_hash: SHA-256 of the file that holds them.
        repeat: samples of each case.
        likeness: how `similar` measures.
        judges: who `llm-rubric` asks.
        measurements: the share of samples that passed, for each model and prompt.
    """

    __test__ = False  # of Daedal, not of pytest
    format: Literal["daedal-prompt-test"] = "daedal-prompt-test"
    version: Literal[1] = 1
    daedal: str
    name: str
    file_hash: str
    repeat: int
    seed: int
    models: tuple[ModelUsed, ...]
    likeness: str | None = None
    judges: tuple[ModelUsed, ...] = ()
    outcomes: tuple[Outcome, ...]
    measurements: tuple[Measurement, ...] = ()
    seconds: float

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in cls.model_computed_fields}

    def of(self, status: Status) -> list[Outcome]:
        return [each for each in self.outcomes if each.status == status]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether no case failed."""
        return not self.of("failed")

    @property
    def flaky(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.flaky]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Models and prompts, in their order."""
        return list(dict.fromkeys((each.model, each.prompt) for each in self.outcomes))

    @property
    def sentence(self) -> str:
        """What it comes to."""
        counts = [(len(self.of(status)), status) for status in ("passed", "unsure", "failed")]
        said = ", ".join(f"{count:,} {status}" for count, status in counts if count)
        flaky = len(self.flaky)
        return f"{said}{f'; {flaky:,} flaky' if flaky else ''}; {len(self.outcomes):,} in all"

    @property
    def cost(self) -> float | None:
        """In dollars, where all prices are known."""
        costs = [sample.cost for each in self.outcomes for sample in each.samples]
        return None if None in costs else sum(each for each in costs if each is not None)


def measured(outcomes: Sequence[Outcome], hashes: dict[str, str], file_hash: str, seed: int) -> tuple[Measurement, ...]:
    """The share of samples that passed by each model and prompt; the cases are the independent pieces."""
    found = []
    for model, prompt in dict.fromkeys((each.model, each.prompt) for each in outcomes):
        own = [each for each in outcomes if (each.model, each.prompt) == (model, prompt)]
        hits = np.array([each.passes for each in own], dtype=np.float64)
        sizes = np.array([len(each.samples) for each in own], dtype=np.float64)
        found.append(
            Measurement(
                name=f"samples that pass, {prompt}, {model}", unit="", better="higher", n=len(own), pieces="cases",
                definition=define("prompt-pass-rate", 1, samples=int(sizes.max())), model_hash=hashes.get(model, ""),
                data_hash=file_hash, seed=seed, **share_of_pieces(hits, sizes, "cases"),
            )
        )  # fmt: skip
    return tuple(found)
