"""Runs of a tokenizer and a GPT over its tokens, in one budget."""

from pathlib import Path
from typing import Any, ClassVar, Self

from daedal.duration import parse_duration
from daedal.files import absolute
from daedal.training.planning import DEFAULT_BUDGET
from daedal.training.run import RunFolder
from daedal.training.session import Session, TrainingResult
from daedal.training.stages import Stages

_SHARED = ("steps", "seed", "device", "threads", "precision")  # options of both stages


class TokenStages(Stages):
    """What was asked of such a run.

    Attributes:
        codec: a tokenizer that there is already; then there is no first stage.
    """

    what = ("the tokenizer", "the GPT")
    tokenizer: ClassVar[str] = "vqvae"
    """The family of the first stage."""
    writer: ClassVar[str]
    """The family of the second, where there is but one."""
    settled: ClassVar[dict[str, Any]] = {}
    """Options of the second that all such runs have."""

    codec: str | None

    @classmethod
    def asked(
        cls, data: str | Path, budget: str | float | None, codec: str | Path | None, options: dict[str, Any]
    ) -> Self:
        """What a person asked for; a budget where neither it nor steps are given."""
        return cls(
            data=absolute(data),
            budget=None if "steps" in options else parse_duration(DEFAULT_BUDGET if budget is None else budget),
            codec=None if codec is None else absolute(codec),
            options=options,
        )

    @property
    def prior(self) -> str:
        """The family of the second."""
        return self.writer

    @property
    def skips(self) -> bool:
        return self.codec is not None

    def place(self, run: RunFolder) -> Path:
        return run.tokens

    def first(self, session: Session, out: Path, budget: float | None) -> TrainingResult:
        shared = {name: self.options[name] for name in _SHARED if name in self.options}
        return session.begin(self.tokenizer, self.data, out, budget, None, None, shared)

    def second(self, session: Session, run: RunFolder, budget: float | None, spent: float) -> TrainingResult:
        codec = self.codec or str(run.tokens)
        return session.begin(
            self.prior, self.data, run.path, budget, None, codec, {**self.options, **self.settled}, spent
        )
