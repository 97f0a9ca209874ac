"""The numbers of samples beside a reference set, of pictures or clips, each a `Measurement` that says exactly what it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from daedal.errors import DaedalError
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.images import frechet, inception_score, kernel, manifold
from daedal.evaluation.images.features import Extractor, Features
from daedal.evaluation.images.intervals import student_around
from daedal.evaluation.means import Interval
from daedal.evaluation.measurement import Measurement, define


@dataclass(frozen=True)
class Compared:
    """Two sets of features by one extractor.

    Attributes:
        reference_name: of the reference pictures, such as `test`.
        data_hash: of the reference pictures.
        model_hash: of what drew the samples.
        of: what samples are: the Fréchet distance of clips is called FVD (Unterthiner et al. 2018), the kernel distance KVD.
    """

    extractor: Extractor
    samples: Features
    reference: Features
    reference_name: str
    data_hash: str
    model_hash: str
    seed: int
    of: Literal["pictures", "clips"] = "pictures"

    @property
    def letter(self) -> str:
        """What FID has for pictures and FVD for clips."""
        return "i" if self.of == "pictures" else "v"

    @property
    def fewest(self) -> int:
        return min(len(self.samples), len(self.reference))

    @property
    def suffix(self) -> str:
        """What must follow a name that is not by Inception, as in FID-MobileNet."""
        return "" if self.extractor.name == "inception" else f"-{self.extractor.title}"

    def measured(
        self, quantity: str, name: str, value: float, interval: Interval | None, method: str, *, n: int | None = None,
        seed: int | None = None, better: Literal["lower", "higher"] = "lower", **conditions: object,
    ) -> Measurement:  # fmt: skip
        """A number of this comparison, under further conditions."""
        sizes = {"samples": len(self.samples), self.reference_name: len(self.reference)}
        return Measurement(
            name=name, value=value, unit="", n=self.fewest if n is None else n, pieces=self.of, better=better,
            interval=None if interval is None else (min(interval[0], value), max(interval[1], value)),
            interval_method=method if interval else "",
            definition=define(f"{quantity}-{self.extractor.name}", 1, **{**self.extractor.conditions, **sizes, **conditions}),
            model_hash=self.model_hash, data_hash=self.data_hash, seed=self.seed if seed is None else seed,
        )  # fmt: skip


def fid(compared: Compared) -> Iterator[Measurement]:
    """The Fréchet distance."""
    x, y = compared.samples.values, compared.reference.values
    value = frechet.frechet_distance(x, y)
    interval = frechet.frechet_interval(x, y, value, compared.seed)
    name = f"f{compared.letter}d"
    yield compared.measured(name, f"{name.upper()}{compared.suffix}", value, interval, frechet.JACKKNIFE)


def fid_infinity(compared: Compared) -> Iterator[Measurement]:
    """The Fréchet distance extrapolated to infinitely many pictures of both kinds."""
    x, y = compared.samples.values, compared.reference.values
    found = frechet.extrapolate(x, y, compared.seed)
    error = (frechet.frechet_error(x, y, compared.seed) ** 2 + found.error**2) ** 0.5
    interval = student_around(found.value, error, frechet.GROUPS - 1)
    yield compared.measured(
        "fid-infinity", f"FID{compared.suffix} at infinity", found.value, interval,
        f"{frechet.JACKKNIFE}; with the error of the line", points=frechet.POINTS,
        shares=f"{found.smallest:.2g}-to-1-of-both",
    )  # fmt: skip


def kid(compared: Compared) -> Iterator[Measurement]:
    """The kernel distance, by subsets of the published 1000 pictures where there are as many."""
    size = min(kernel.SUBSET, compared.fewest)
    found = kernel.kernel_distance(compared.samples.values, compared.reference.values, size=size)
    name = f"k{compared.letter}d"
    yield compared.measured(
        name, f"{name.upper()}{compared.suffix}", found.value, found.interval, kernel.METHOD, seed=kernel.SEED, kernel="cubic",
        subsets=f"{kernel.SUBSETS}-of-{size}",
    )  # fmt: skip


def inception_scores(compared: Compared) -> Iterator[Measurement]:
    """The Inception Score of the samples, by the extractor's classes."""
    if compared.samples.logits is None:
        raise DaedalError(
            f"The extractor {compared.extractor.name} knows no classes, so there is no Inception Score", "Use another"
        )
    found = inception_score.inception_score(compared.samples.logits)
    name = "Inception Score" if not compared.suffix else f"Inception Score by {compared.extractor.title}"
    yield compared.measured(
        "inception-score", name, found.value, found.interval, inception_score.METHOD, n=len(compared.samples),
        seed=inception_score.SEED, better="higher", splits=inception_score.SPLITS,
    )  # fmt: skip


def manifolds(compared: Compared) -> Iterator[Measurement]:
    """Precision, recall, density and coverage."""
    found = manifold.manifold(compared.samples.values, compared.reference.values, seed=compared.seed)
    values = (found.precision, found.recall, found.density, found.coverage)
    ks = (manifold.K, manifold.K, manifold.DENSITY_K, manifold.DENSITY_K)
    names = ("precision", "recall", "density", "coverage")
    for name, value, interval, k in zip(names, values, found.intervals, ks, strict=True):
        yield compared.measured(
            name, f"{name}{compared.suffix}", value, interval, manifold.METHOD, better="higher", k=k
        )


Metric = Callable[[Compared], Iterator[Measurement]]


def all_metrics(
    compared: Compared, metrics: Sequence[Metric] = (fid, fid_infinity, kid, inception_scores, manifolds)
) -> Findings:
    """All numbers that there are pictures enough for, and a line for each that there are not."""
    found, missing = list[Measurement](), list[str]()
    for measure in metrics:
        try:
            found += measure(compared)
        except DaedalError as error:
            missing.append(error.what)
    return Findings(tuple(found), missing=tuple(missing))
