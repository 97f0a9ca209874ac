"""A race of image models: what the benchmarks of single data sets share.

Each entrant trains in a process of its own, one thread unless told otherwise, draws pictures, and is measured on them by the
same ruler. A folder keeps the data, the runs, the drawn pictures, a grid of them and the numbers of each entrant, so that
entrants can run one at a time, today and tomorrow, and one table shows all.

Time: a peer has so many CPU seconds for its training loop alone; its data, its sampler's fit and its pictures cost it nothing.
Ours has as many seconds of the clock for the whole of `daedal.train`: planning, training, evaluation and saving; what it used
of the CPU is told.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Pictures = np.ndarray
"""uint8 [n h w c]"""


@dataclass(frozen=True)
class Setting:
    """What all entrants of a race have in common.

    Attributes:
        folder: where everything of the race is kept.
        seconds: for the training of each.
        samples: pictures that each is measured on.
        size: pixels of a side, where the data leaves it open.
        extractor: the network whose features the ruler measures in.
        quick: nothing is meant to be good.
    """

    sources: tuple[Path, ...]
    folder: Path
    seconds: float
    samples: int
    seed: int
    threads: int
    size: int | None
    extractor: str
    quick: bool

    @property
    def data(self) -> Path:
        """The data folder that ours trains on."""
        return self.folder / "data"

    def training(self) -> Pictures:
        """What ours learns from, for the peers."""
        return self.split("train")[0]

    def test(self) -> tuple[Pictures, np.ndarray]:
        """The test pictures and their labels."""
        return self.split("test")

    def split(self, name: str) -> tuple[Pictures, np.ndarray]:
        """The pictures and labels of a split."""
        from daedal.data.images import ImageDataset

        split = ImageDataset.open(self.data).split(name)
        return np.asarray(split.images), np.asarray(split.labels)


@dataclass(frozen=True)
class Finished:
    """A trained entrant.

    Attributes:
        facts: how it was trained: steps, CPU seconds, parameters.
        draws: its ways to draw pictures, by name.
        most: pictures to measure at most, where drawing is slow; a distance of fewer is a little too large.
    """

    facts: dict[str, Any]
    draws: Mapping[str, Callable[[int], Pictures]]
    most: int | None = None


STOCHASTIC = {"churn": 6.0}
"""A flow that is drawn with fresh noise at each step, at three times the default's cost."""

Entrant = Callable[[Setting], Finished]


@dataclass(frozen=True)
class Ours:
    """`daedal.train` with nothing set but the budget, the seed and what the race names.

    Attributes:
        name: of the run's folder.
        draws: ways to draw: options of `Generator.generate` by name.
    """

    family: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    draws: dict[str, dict[str, Any]] = field(default_factory=lambda: {"": {}})
    data: Callable[[Setting], Path] = lambda setting: setting.data

    def __call__(self, setting: Setting) -> Finished:
        import shutil

        import daedal
        from daedal.inference.generator import Generator

        run = setting.folder / "runs" / f"{self.name}-{setting.seconds:.0f}s-{setting.seed}"
        shutil.rmtree(run, ignore_errors=True)
        start, wall = time.process_time(), time.perf_counter()
        result = daedal.train(
            self.family,
            data=self.data(setting),
            out=run,
            budget=setting.seconds,
            seed=setting.seed,
            threads=setting.threads,
            **self.options,
        )
        facts = {
            "run": str(run),
            "steps": result.steps,
            "cpu_seconds": time.process_time() - start,
            "clock_seconds": time.perf_counter() - wall,
        }
        generator = Generator.open(run)
        facts["parameters"] = generator.model.parameter_count

        def drawn(options: dict[str, Any]) -> Callable[[int], Pictures]:
            def draw(n: int) -> Pictures:
                pictures = generator.generate(n, seed=1, **options)
                arrays = np.stack([np.asarray(picture.image) for picture in pictures])
                return arrays[..., None] if arrays.ndim == 3 else arrays

            return draw

        return Finished(facts, {name: drawn(options) for name, options in self.draws.items()})


@dataclass(frozen=True)
class Theirs:
    """A peer of `picture_peers`, with the settings that its own recipe names; `most` as for `Finished`."""

    peer: str
    options: dict[str, Any] = field(default_factory=dict)
    most: int | None = None

    def __call__(self, setting: Setting) -> Finished:
        import torch

        import picture_peers

        trained = picture_peers.PEERS[self.peer](setting.training(), setting.seconds, setting.seed, **self.options)
        torch.manual_seed(1)
        np.random.seed(1)
        facts = {"steps": trained.steps, "cpu_seconds": trained.seconds, "parameters": trained.parameters}
        return Finished(facts, trained.draws, self.most)


@dataclass(frozen=True)
class Ruler:
    """What is measured of drawn pictures, in the features of one network.

    Attributes:
        reference: the split that drawn pictures are compared with.
        views: pictures that a classifier is shown while it is trained.
        kernel: tell the kernel distance beside the Frechet distance.
        classes: tell how the classes are met, by an extractor that tells them apart.
        memory: tell whether pictures are copies of training pictures.
    """

    reference: str = "test"
    views: int | None = None
    kernel: bool = False
    classes: bool = False
    memory: bool = False

    def prepare(self, setting: Setting) -> None:
        """Make the network and read the pictures to compare with, once for all entrants."""
        from daedal.evaluation.images.classifier import ClassifierExtractor, accuracy

        extractor, test = self._open(setting), self._seen(setting, "test")
        if isinstance(extractor, ClassifierExtractor):
            right, of = accuracy(extractor, test, setting.test()[1])
            print(f"The classifier is right on {right:,} of {of:,} test pictures", flush=True)
        if self.memory:
            self._seen(setting, "train")

    def __call__(self, setting: Setting, pictures: Pictures) -> dict[str, Any]:
        """The numbers by name."""
        from daedal.evaluation.images.features import extract
        from daedal.evaluation.images.frechet import frechet_distance, frechet_interval
        from daedal.evaluation.images.kernel import kernel_distance
        from daedal.evaluation.images.memorization import authenticity, copy_test, nearest, nearest_of

        found, reference = extract(self._open(setting), pictures), self._seen(setting, self.reference)
        value = frechet_distance(found.values, reference.values)
        interval = frechet_interval(found.values, reference.values, value, 0)
        numbers: dict[str, Any] = {"samples": len(pictures), "distance": value, "distance_interval": list(interval)}
        if self.kernel:
            kernel = kernel_distance(found.values, reference.values, size=min(1000, len(pictures)))
            numbers |= {"kernel": 1000 * kernel.value, "kernel_interval": [1000 * end for end in kernel.interval]}
        if self.classes and found.logits is not None:
            counts = np.bincount(found.logits.argmax(1).numpy(), minlength=found.logits.shape[1])
            shares = counts / counts.mean()
            numbers |= {"met": int((shares > 0.1).sum()), "rarest": float(shares.min()), "most": float(shares.max())}
        if self.memory:
            train = self._seen(setting, "train").values
            drawn, own = nearest(found.values, train), nearest_of(train, np.arange(len(train)))
            copies = copy_test(drawn, nearest(self._seen(setting, "test").values, train))
            share = authenticity(drawn, own).value
            numbers |= {"authentic": share, "farther": copies.probability, "copies_p": copies.p}
        return numbers

    @cache  # noqa: B019  one ruler for each process
    def _open(self, setting: Setting) -> Any:
        from daedal.data.images import ImageDataset
        from daedal.evaluation.images.extractors import open_extractor
        from daedal.evaluation.images.features import Request

        views = min(self.views or 15_000, 15_000) if setting.quick else self.views
        return open_extractor(setting.extractor, Request(dataset=ImageDataset.open(setting.data), views=views))

    @cache  # noqa: B019
    def _seen(self, setting: Setting, split: str) -> Any:
        """What the network sees in the pictures of a split; kept in the folder."""
        import torch
        from safetensors.torch import load_file, save_file

        from daedal.evaluation.images.features import Features, extract

        extractor = self._open(setting)
        name = "-".join([split, extractor.name, *extractor.conditions.values()])
        kept = setting.folder / f"{name}.safetensors"
        if not kept.exists():
            seen = extract(extractor, setting.split(split)[0])
            logits = torch.empty(len(seen.values), 0) if seen.logits is None else seen.logits
            save_file({"values": seen.values.contiguous(), "logits": logits.contiguous()}, kept)
        held = load_file(kept)
        return Features(held["values"], held["logits"])


def grid(pictures: Pictures, columns: int, enlarged: int = 1) -> "Any":
    """Pictures side by side as one."""
    from PIL import Image

    rows = len(pictures) // columns
    _, height, width, channels = pictures.shape
    sheet = pictures[: rows * columns].reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    image = Image.fromarray(np.ascontiguousarray(sheet.reshape(rows * height, columns * width, channels).squeeze()))
    return image.resize((image.width * enlarged, image.height * enlarged), Image.Resampling.NEAREST)


class Race:
    """The command line of a race.

    Args:
        about: the benchmark's docstring.
        entrants: by the name that `--only` knows them by.
        usual: the entrants that run unless `--only` names some.
        build: makes the data folder `setting.data`, unless it is there.
        columns: what the table shows of the numbers, and how it calls them.
    """

    def __init__(
        self,
        about: str,
        script: str,
        *,
        folder: str,
        seconds: float,
        samples: int,
        entrants: Mapping[str, Entrant],
        usual: Sequence[str],
        build: Callable[[Setting], Any],
        ruler: Ruler,
        columns: Mapping[str, str],
        extractor: str = "classifier",
        sizes: Sequence[int] = (),
    ) -> None:
        self.script, self.entrants, self.usual = script, entrants, usual
        self.build, self.ruler, self.columns = build, ruler, columns
        self.parser = argparse.ArgumentParser(description=about.splitlines()[0])
        add = self.parser.add_argument
        add("sources", type=Path, nargs="+", help="the data set's files")
        add("--out", type=Path, default=Path("runs") / folder, help="where everything of the race is kept")
        add("--only", default="", help=f"some of {', '.join(entrants)}, with commas between")
        add("--seconds", type=float, default=seconds, help="for the training of each")
        add("--samples", type=int, default=samples, help="pictures that each is measured on")
        add("--seed", type=int, default=0)
        add("--threads", type=int, default=1)
        add("--extractor", default=extractor, help="the network whose features measure, NAME or NAME@PATH")
        if sizes:
            add("--size", type=int, default=sizes[0], choices=sizes, help="pixels of a side")
        add("--again", action="store_true", help="run entrants anew that the folder has already")
        add("--quick", action="store_true", help="a minute each at most: only to see that it runs")
        add("--one", help=argparse.SUPPRESS)

    def main(self) -> None:
        given = self.parser.parse_args()
        if given.quick:
            given.seconds, given.samples = min(given.seconds, 60.0), min(given.samples, 200)
        size = getattr(given, "size", None)
        setting = Setting(
            tuple(given.sources),
            given.out if size is None else given.out / f"{size}",
            given.seconds,
            given.samples,
            given.seed,
            given.threads,
            size,
            given.extractor,
            given.quick,
        )
        if given.one:
            self._one(given.one, setting)
            return
        names = given.only.split(",") if given.only else list(self.usual)
        unknown = [name for name in names if name not in self.entrants]
        if unknown:
            self.parser.error(f"no entrant {unknown[0]!r}; there are {', '.join(self.entrants)}")
        setting.folder.mkdir(parents=True, exist_ok=True)
        self.build(setting)
        self.ruler.prepare(setting)
        for name in names:
            if given.again or not self._record(name, setting).exists():
                self._alone(name, setting.threads)
        self._tell(setting)
        missing = [name for name in names if not self._record(name, setting).exists()]
        if missing:
            sys.exit(f"Without numbers: {', '.join(missing)}")

    def _record(self, name: str, setting: Setting) -> Path:
        return setting.folder / f"{name}-{setting.seconds:.0f}s-{setting.seed}.json"

    def _alone(self, name: str, threads: int) -> None:
        """Run an entrant in a process of its own, with the options of this one."""
        print(f"{name}:", flush=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, self.script, *sys.argv[1:], "--one", name], env=environment, check=False)

    def _one(self, name: str, setting: Setting) -> None:
        import torch

        torch.set_num_threads(setting.threads)
        finished = self.entrants[name](setting)
        ways = {}
        for way, draw in finished.draws.items():
            start = time.process_time()
            pictures = draw(min(setting.samples, finished.most or setting.samples))
            spent = 1000 * (time.process_time() - start) / len(pictures)
            label = f"{self._record(name, setting).stem}{'-' * bool(way)}{way.replace(' ', '-').replace(',', '')}"
            np.savez_compressed(setting.folder / f"{label}.npz", pictures=pictures)
            grid(pictures, 10 if len(pictures) >= 100 else len(pictures)).save(setting.folder / f"{label}.png")
            ways[way] = {"cpu_ms_per_picture": spent, **self.ruler(setting, pictures)}
            print(f"  {way or name}: {json.dumps(_short(ways[way]))}", flush=True)
        record = {"entrant": name, "seconds": setting.seconds, "seed": setting.seed, **finished.facts, "ways": ways}
        self._record(name, setting).write_text(json.dumps(record, indent=1))

    def _tell(self, setting: Setting) -> None:
        """One table of all that the folder has for this time and seed, and a JSON of it."""
        records = [
            json.loads(path.read_text()) for name in self.entrants if (path := self._record(name, setting)).exists()
        ]
        (setting.folder / f"results-{setting.seconds:.0f}s-{setting.seed}.json").write_text(
            json.dumps(records, indent=1)
        )
        columns = {
            "steps": "steps",
            "cpu_seconds": "CPU s",
            "cpu_ms_per_picture": "ms each",
            "samples": "samples",
            **self.columns,
        }
        head = ["entrant", *columns.values()]
        rows = []
        for record in records:
            for way, numbers in (record["ways"] or {"": {}}).items():
                found = {**record, **numbers}
                rows.append([f"{record['entrant']}{', ' * bool(way)}{way}", *(_told(found.get(c)) for c in columns)])
        widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
        for row in [head, *rows]:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _short(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.5g}") if isinstance(value, float) else value for name, value in numbers.items()}


def _told(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " to ".join(f"{part:.4g}" for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
