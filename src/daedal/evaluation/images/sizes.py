"""How much is measured within a time: the sizes come from a short list, so that two runs of about the same speed have the
same ones and their numbers can be compared."""

from collections.abc import Sequence

from daedal.config import Config

SECONDS = 25.0
"""What an evaluation may take unless more is given."""
_SAMPLES = (100, 250, 500, 1000, 2000, 5000)
_SCORED = (16, 64, 256, 1000)
_RECONSTRUCTED = (16, 64, 256)
_PROMPTS = (10, 25, 50, 100)
CELLS = 13
"""Tasks and parts of composition at most."""
_VIEWS = (15_000, 30_000, 60_000, 120_000, 240_000)
_REFERENCE = (250, 500, 1000, 2000)
TRAIN = 10_000
# On one core of 2023
_VIEWS_A_SECOND = 5000.0
_FIXED = 3.0


class Speeds(Config):
    """Pictures a second of the parts whose time depends on the model; None for what it cannot do.

    Attributes:
        composes: pictures a second that are drawn from prompts, where composition can be judged.
    """

    draws: float | None
    composes: float | None = None
    scores: float | None = None
    reconstructs: float | None = None
    features: float = 3000.0


class Sizes(Config):
    """How many pictures each part takes, and how many the classifier is shown while it learns; prompts are those of each task
    and part of composition."""

    samples: int
    reference: int
    scored: int
    reconstructed: int
    views: int
    prompts: int = 0
    train: int = TRAIN

    @classmethod
    def within(cls, seconds: float, speeds: Speeds, trains: bool, pixels: int) -> "Sizes":
        """The largest of the list that the time has room for.

        Args:
            trains: whether a classifier must be trained.
            pixels: of a picture, times channels: larger ones take a classifier longer.
        """
        left = max(2.0, seconds - _FIXED)
        views = _largest(_VIEWS, 0.6 * left * view_rate(pixels)) if trains else _VIEWS[2]
        left -= views / view_rate(pixels) if trains else 0.0
        scored = _largest(_SCORED, 0.25 * left * speeds.scores) if speeds.scores else 0
        left -= scored / speeds.scores if speeds.scores else 0.0
        back = _largest(_RECONSTRUCTED, 0.15 * left * speeds.reconstructs) if speeds.reconstructs else 0
        left -= back / speeds.reconstructs if speeds.reconstructs else 0.0
        prompts = _largest(_PROMPTS, 0.5 * left * speeds.composes / CELLS) if speeds.composes else 0
        left -= prompts * CELLS / speeds.composes if speeds.composes else 0.0
        rate = 1 / (1 / speeds.draws + 3 / speeds.features + 2e-3) if speeds.draws else 0.0
        samples = _largest(_SAMPLES, 0.7 * left * rate) if rate else 0
        reference = max(samples, _largest(_REFERENCE, 0.25 * left * speeds.features))
        return cls(
            samples=samples, reference=reference, scored=scored, reconstructed=back, views=views, prompts=prompts
        )

    def seconds(self, speeds: Speeds, trains: bool, pixels: int) -> float:
        """About how long an evaluation of these sizes takes."""
        total = _FIXED + (self.views / view_rate(pixels) if trains else 0.0)
        total += self.scored / speeds.scores if speeds.scores else 0.0
        total += self.reconstructed / speeds.reconstructs if speeds.reconstructs else 0.0
        total += self.samples * (1 / speeds.draws + 2e-3) if speeds.draws else 0.0
        total += self.prompts * CELLS / speeds.composes if speeds.composes else 0.0
        return total + (3 * self.samples + self.reference) / speeds.features


def view_rate(pixels: int) -> float:
    """Pictures a second that a classifier learns from; it sees large ones made small."""
    return _VIEWS_A_SECOND * float(min(1.0, 1024 / max(1, min(pixels, 3072))) ** 0.4)


def _largest(choices: Sequence[int], most: float) -> int:
    return max((choice for choice in choices if choice <= most), default=choices[0])
