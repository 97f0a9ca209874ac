"""Differentially private training: DP-SGD (Abadi et al. 2016, arXiv:1607.00133), on the windows of a text.

    g = (1 / B) (sum over windows w of the step of  grad(w) min(1, C / ||grad(w)||)  +  S C N(0, I))

- each window of the data is in each step with the chance q = B / windows, whatever other windows are (Poisson sampling, as the
  accountant takes it), so that steps differ in size; B is their mean
- each window's gradient is found and clipped by itself, so that steps are slower than others: micro batches have one window
- (epsilon, delta) bounds what the weights of the run's end tell of any one window, whatever else anybody knows. It is told by
  the PRV accountant (Gopi et al. 2021, arXiv:2106.02848) of Opacus, for windows added or removed
- the draws come from a secret of the run, `training/privacy.key`, which resume needs and which is deleted at the end: who knew
  the noise could take it away
- not covered: the tokenizer, if it was trained on the same text; what the run folder has besides the weights, such as samples
  and measurements; and texts of many windows, which lose as many times as much
"""

import hashlib
import hmac
import math
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

FILE = "privacy.json"
_KEY, _KEY_BYTES = "privacy.key", 32


class Spent(Config):
    """What a run tells of any one window of its data.

    Attributes:
        epsilon: None where there was no noise: then nothing bounds it.
        rate: the chance of a window to be in a step.
        windows: of the data; `context` tokens each.
        accountant: what told epsilon, with its version.
    """

    format: Literal["daedal-privacy"] = "daedal-privacy"
    version: Literal[1] = 1
    epsilon: float | None
    delta: float
    clip: float
    noise: float
    rate: float
    windows: int
    context: int
    steps: int
    accountant: str

    @property
    def brief(self) -> str:
        """In a line."""
        bound = "nothing bounds what is told" if self.epsilon is None else f"epsilon {self.epsilon:.2f}"
        return (
            f"{bound} at delta {self.delta:.1e}, of any one of {self.windows:,} windows of {self.context} tokens, "
            f"after {self.steps:,} steps"
        )

    @classmethod
    def read(cls, training: Path) -> Self | None:
        """That of a run, from the folder `training`; None where it was not private, or has not ended."""
        path = training / FILE
        return cls.parse(read_json(path), str(path)) if path.is_file() else None


def epsilon(noise: float, rate: float, steps: int, delta: float) -> tuple[float | None, str]:
    """What steps of the Gaussian mechanism tell at most, each on a Poisson sample; and what accountant says so.

    Raises:
        DaedalError: Opacus is not installed.
    """
    try:
        import opacus
        from opacus.accountants import PRVAccountant
    except ImportError:
        raise DaedalError(
            "Private training needs an accountant, and Opacus is not installed", "pip install 'daedal[private]'"
        ) from None
    told = f"opacus-{opacus.__version__}/prv"
    if noise == 0:
        return None, told
    accountant = PRVAccountant()
    accountant.history = [(noise, rate, steps)]
    with np.errstate(divide="ignore"):  # where every window is in every step
        found = float(accountant.get_epsilon(delta=delta))
    return (found if math.isfinite(found) else None), told


class Privacy:
    """The draws, the clipping and the noise of a run.

    Args:
        windows: of the data.
        batch: windows of a step, on average.
        key: the run's secret.

    Raises:
        DaedalError: a step would have more windows than there are.
    """

    def __init__(self, windows: int, batch: int, clip: float, noise: float, key: bytes) -> None:
        if batch > windows:
            raise DaedalError(
                f"A private step has {batch} of {windows:,} windows on average", "Give a smaller --batch or more text"
            )
        self.windows, self.batch, self.rate = windows, batch, batch / windows
        self.clip, self.noise, self._key = clip, noise, key
        self._sums: list[Tensor] = []

    def chosen(self, step: int) -> Int64[np.ndarray, " windows"]:
        """The windows of the step after `step` steps."""
        drawn = np.random.Generator(np.random.Philox(key=self._seed("windows", step))).random(self.windows)
        return np.flatnonzero(drawn < self.rate)

    def add(self, parameters: Sequence[nn.Parameter]) -> None:
        """Take the gradient of one window, clipped; what is no number counts as nothing."""
        found = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(found)).double())
        factor = float(min(1.0, self.clip / max(float(norm), 1e-30))) if bool(torch.isfinite(norm)) else 0.0
        if not self._sums:
            self._sums = [torch.zeros_like(p) for p in parameters]
        if factor > 0.0:
            torch._foreach_add_(self._sums, found, alpha=factor)
        for parameter in parameters:
            parameter.grad = None

    def finish(self, parameters: Sequence[nn.Parameter], step: int) -> None:
        """Leave the gradient of the step in the parameters: the sum with its noise, over the windows of a step on average."""
        sums = self._sums or [torch.zeros_like(p) for p in parameters]
        draws = torch.Generator().manual_seed(int(self._seed("noise", step)) % 2**63)
        for parameter, total in zip(parameters, sums, strict=True):
            noise = torch.randn(total.shape, generator=draws, dtype=torch.float64) * (self.noise * self.clip)
            parameter.grad = (total + noise.to(total)) / self.batch
        self._sums = []

    def _seed(self, of: str, step: int) -> int:
        return int.from_bytes(hmac.new(self._key, f"{of} {step}".encode(), hashlib.sha256).digest()[:16], "big")


def run_key(training: Path) -> bytes:
    """The secret of a run, which is made where there is none; readable by its owner alone.

    Raises:
        DaedalError: it cannot be kept.
    """
    path = training / _KEY
    try:
        if not path.exists():
            descriptor, temporary = tempfile.mkstemp(dir=training, prefix=f".{_KEY}.")  # which is made with mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            os.replace(temporary, path)
        key = path.read_bytes()
    except OSError as error:
        raise DaedalError(f"{path} cannot be kept ({error.strerror})", "Check the folder and its permissions") from None
    if len(key) != _KEY_BYTES:
        raise DaedalError(f"{path} is damaged: the noise of this run would be no secret", "Train anew")
    return key


def end(training: Path, plan: Any, privacy: Privacy, steps: int) -> Spent:
    """Write down what the run has told, and forget its secret."""
    found, accountant = epsilon(privacy.noise, privacy.rate, steps, plan.private_delta)
    spent = Spent(
        epsilon=found, delta=plan.private_delta, clip=privacy.clip, noise=privacy.noise, rate=privacy.rate,
        windows=privacy.windows, context=plan.context, steps=steps, accountant=accountant,
    )  # fmt: skip
    write_json(training / FILE, spent.model_dump(mode="json"))
    (training / _KEY).unlink(missing_ok=True)
    return spent
