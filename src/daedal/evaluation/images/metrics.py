"""The numbers of a set of samples beside a reference set, each a `Measurement` that says exactly what it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from daedal.errors import DaedalError
from daedal.evaluation.images import frechet, inception_score, kernel, manifold
from daedal.evaluation.images.features import Extractor, Features
from daedal.evaluation.images.intervals import student_around
from daedal.evaluation.measurement import Measurement, define


@dataclass(frozen=True)
class Compared:
    """Two sets of features by one extractor.

    Attributes:
        reference_name: of the reference pictures, such as `test`.
        data_hash: of the reference pictures.
        model_hash: of what drew the samples.
    """

    extractor: Extractor
    samples: Features
    reference: Features
    reference_name: str = "reference"
    data_hash: str = ""
    model_hash: str = ""
    seed: int = 0

    @property
    def sizes(self) -> dict[str, object]:
        return {"samples": len(self.samples), self.reference_name: len(self.reference)}


def fid(compared: Compared) -> Measurement:
    """The Fréchet distance."""
    x, y = compared.samples.values, compared.reference.values
    value = frechet.frechet_distance(x, y)
    interval = frechet.frechet_interval(x, y, value, compared.seed)
    return _measurement(
        compared,
        "fid",
        f"FID{_suffix(compared)}",
        value,
        interval,
        frechet.JACKKNIFE,
        _fewest(compared),
        "pictures",
        {},
    )


def fid_infinity(compared: Compared, plain: Measurement | None = None) -> Measurement:
    """The Fréchet distance extrapolated to infinitely many pictures of both kinds.

    Args:
        plain: `fid` of the same, where it is known already.
    """
    x, y = compared.samples.values, compared.reference.values
    found = frechet.extrapolate(x, y, compared.seed)
    error = (frechet.frechet_error(x, y, compared.seed) ** 2 + found.error**2) ** 0.5
    low, high = student_around(found.value, error, frechet.GROUPS - 1)
    conditions = {"points": frechet.POINTS, "shares": f"{found.smallest:.2g}-to-1-of-both"}
    method = frechet.JACKKNIFE + "; with the error of the line"
    return _measurement(
        compared, "fid-infinity", f"FID{_suffix(compared)} at infinity", found.value, (low, high), method,
        _fewest(compared), "pictures", conditions,
    )  # fmt: skip


def kid(compared: Compared) -> Measurement:
    """The kernel distance."""
    size = min(kernel.SUBSET, _fewest(compared))
    found = kernel.kernel_distance(compared.samples.values, compared.reference.values, size=size)
    conditions = {"kernel": "cubic", "subsets": f"{kernel.SUBSETS}-of-{size}"}
    return _measurement(
        compared, "kid", f"KID{_suffix(compared)}", found.value, found.interval, kernel.METHOD, _fewest(compared),
        "pictures", conditions, seed=kernel.SEED,
    )  # fmt: skip


def inception_scores(compared: Compared) -> Measurement:
    """The Inception Score of the samples, by the extractor's classes."""
    if compared.samples.logits is None:
        raise DaedalError(
            f"The extractor {compared.extractor.name} knows no classes, so there is no Inception Score", "Use another"
        )
    found = inception_score.inception_score(compared.samples.logits)
    name = "Inception Score" if not _suffix(compared) else f"Inception Score by {compared.extractor.title}"
    return _measurement(
        compared, "inception-score", name, found.value, found.interval, inception_score.METHOD, len(compared.samples),
        "pictures", {"splits": inception_score.SPLITS}, seed=inception_score.SEED, better="higher",
    )  # fmt: skip


def manifolds(compared: Compared) -> list[Measurement]:
    """Precision, recall, density and coverage."""
    found = manifold.manifold(compared.samples.values, compared.reference.values, seed=compared.seed)
    values = (found.precision, found.recall, found.density, found.coverage)
    ks = (manifold.K, manifold.K, manifold.DENSITY_K, manifold.DENSITY_K)
    names = ("precision", "recall", "density", "coverage")
    return [
        _measurement(
            compared, name, f"{name}{_suffix(compared)}", value, interval, manifold.METHOD, _fewest(compared),
            "pictures", {"k": k}, better="higher",
        )
        for name, value, interval, k in zip(names, values, found.intervals, ks, strict=True)
    ]  # fmt: skip


def all_metrics(compared: Compared) -> tuple[list[Measurement], list[str]]:
    """All numbers that there are pictures enough for, and a line for each that there are not."""
    found: list[Measurement] = []
    missing: list[str] = []
    for measure in (fid, fid_infinity, kid, inception_scores, manifolds):
        try:
            measured = measure(compared)
        except DaedalError as error:
            missing.append(error.what)
            continue
        found += measured if isinstance(measured, list) else [measured]
    return found, missing


def _measurement(
    compared: Compared, quantity: str, name: str, value: float, interval: tuple[float, float] | None, method: str,
    n: int, pieces: str, conditions: Mapping[str, object], seed: int | None = None, better: str = "lower",
) -> Measurement:  # fmt: skip
    interval = None if interval is None else (min(interval[0], value), max(interval[1], value))
    stated = {**compared.extractor.conditions, **compared.sizes, **conditions}
    return Measurement.parse(
        {
            "name": name,
            "value": value,
            "unit": "",
            "interval": interval,
            "interval_method": method if interval else "",
            "n": n,
            "pieces": pieces,
            "definition": define(f"{quantity}-{compared.extractor.name}", 1, **stated),
            "model_hash": compared.model_hash,
            "data_hash": compared.data_hash,
            "seed": compared.seed if seed is None else seed,
            "better": better,
        },
        quantity,
    )


def _fewest(compared: Compared) -> int:
    return min(len(compared.samples), len(compared.reference))


def _suffix(compared: Compared) -> str:
    """What must follow a name that is not by Inception, as in FID-MobileNet."""
    return "" if compared.extractor.name == "inception" else f"-{compared.extractor.title}"
