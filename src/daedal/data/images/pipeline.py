"""A build of pictures from end to end: read, annotate, bring to one size, find duplicates, split, write.

Batches of treated pictures are kept beside the target, in `.NAME.build`: a build that was stopped goes on from them, and ends
with the same bytes. The target appears at the end, whole, or not at all.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from daedal.data.images import duplicates
from daedal.data.images.annotate import Annotated, annotate, natural, wanted_tables
from daedal.data.images.assemble import fingerprint_of, write_splits
from daedal.data.images.batch import Batcher
from daedal.data.images.builtin import BUILTINS
from daedal.data.images.dataset import ImageDataset, images_path
from daedal.data.images.events import Event
from daedal.data.images.example_table import Seen
from daedal.data.images.options import ImageOptions
from daedal.data.images.picture_array import Gallery, gather
from daedal.data.images.readers import Place, Reading, read_item
from daedal.data.images.resize import Treatment
from daedal.data.images.rows import Columns
from daedal.data.images.sheet import SHEET, write_sheet
from daedal.data.images.split import Assignment, assign
from daedal.data.images.summary import Outcome, summarise
from daedal.data.images.workers import Workers
from daedal.data.manifest import MANIFEST
from daedal.data.options import SPLITS
from daedal.data.request import hash_of, refuse_broken, resolve_all, told, versions
from daedal.data.sources import Item, Named, Role, resolve_path
from daedal.data.workarea import holds_request, request_of, work_area, work_path
from daedal.data.worlds.emoji_scenes import EMOJI_SCENES, read_emoji_scenes, resolve_emoji_scenes
from daedal.errors import DaedalError
from daedal.files import atomic_folder, disk_error, make_folder, write_json

Progress = Callable[[str, int, int | None], None]
STAGES = ("read", "arrange", "deduplicate", "write")


def build(
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    options: ImageOptions | None = None,
    *,
    workers: int | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> ImageDataset:
    """Build a data folder of pictures.

    Args:
        sources: files, folders, archives, `digits`, `scenes` or `hf:NAME[:SPLIT]`.
        out: the folder to write.
        options: how; see `ImageOptions`.
        workers: processes that read pictures; as many as there are cores (at most 8) where not given. The outcome is the same
            whatever their number.
        replace: write over a data folder, or drop an unfinished build, that was made otherwise.
        progress: called with a stage (one of `STAGES`), what of it is done, and of how much (`None` while unknown): bytes,
            or after `read` pictures.

    Returns:
        The dataset, opened. One that was built before from the same sources with the same options is opened only.

    Raises:
        DaedalError: a source is missing, unreadable or broken, labels or captions do not fit, there are too few pictures, or
            `out` is something else or cannot be written, or holds data that was built otherwise.
    """
    options = options or ImageOptions()
    out = Path(out).expanduser()
    named = resolve_all(sources, options, out.absolute(), _resolve, BUILTINS)
    treatment = treatment_of(options)
    request = hash_of(named, _said(options), options.model_dump(mode="json"), _versions())
    work = work_path(out)
    if holds_request(out, request, replace) and (done := _whole(out)) is not None:
        if request_of(work) == request:  # stopped between the last step and the clearing up
            shutil.rmtree(work, ignore_errors=True)
        return done
    with work_area(work, request, replace):
        holds_request(out, request, replace)  # another build may have ended there since
        try:
            count = max(1, workers or min(8, os.cpu_count() or 1))
            _Build(named, options, treatment, request, work, count, progress or _quiet).run(out.absolute())
        except OSError as error:
            raise disk_error(error, out) from error
    return ImageDataset.open(out)


def treatment_of(options: ImageOptions) -> Treatment:
    """What the options say about every picture.

    Raises:
        DaedalError: the background is no colour.
    """
    from daedal.codecs.raster import colour_name

    try:
        background = colour_name(options.background)
    except ValueError as error:
        raise DaedalError(f"--background {options.background}: {error}") from None
    channels = None if options.channels == "auto" else int(options.channels)
    values = {"channels": channels, "size": options.size, "fit": options.fit, "background": background}
    return Treatment.parse(values, "data build")


class _Build:
    def __init__(
        self,
        named: list[Named],
        options: ImageOptions,
        treatment: Treatment,
        request: str,
        work: Path,
        workers: int,
        progress: Progress,
    ) -> None:
        self.named = named
        self.options = options
        self.treatment = treatment
        self.request = request
        self.work = work
        self.workers = workers
        self.progress = progress
        self.spool = make_folder(work / "spool")

    def run(self, out: Path) -> None:
        seen, batches = self._read()
        self._check(seen)
        annotated = annotate(seen, self.options)
        gallery = gather(
            seen,
            batches,
            self.spool,
            self.treatment,
            annotated.keep,
            self.work / "pixels.npy",
            lambda done: self.progress("arrange", done, len(seen)),
        )
        refuse_broken(self.named, seen.tally)
        roles = self._roles(seen)[gallery.places]
        found = self._deduplicate(gallery, roles, annotated)
        assignment = assign(found, roles, gallery.hashes, self.options)
        self._write(out, seen, annotated, gallery, found, assignment)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Seen, int]:
        seen, batcher, place = Seen(), Batcher(self.treatment), Place()
        items = sorted(
            ((each.role, item) for each in self.named for item in each.items),
            key=lambda pair: (pair[0], pair[1].label, pair[1].path),
        )
        total = sum(item.bytes for _, item in items) or None
        done = 0
        self.progress("read", 0, total)
        with Workers(self.treatment, self.spool, self.workers) as workers:
            for role, item in items:
                for event in self._events(item, place):
                    if (found := seen.take(event, role)) is None:
                        continue
                    if (batch := batcher.add(found.picture)) is not None:
                        workers.give(batch)
                        self.progress("read", done + min(place.bytes(), item.bytes), total)
                done += item.bytes
            if (batch := batcher.rest()) is not None:
                workers.give(batch)
            workers.finish()
        self.progress("read", done, done)
        for each in self.named:
            for label, reason, detail, size, _ in each.lost:
                seen.tally.drop(reason, size, f"{label}: {detail}")
        return seen, batcher.number

    def _events(self, item: Item, place: Place) -> Iterator[Event]:
        options = self.options
        if item.kind == "pictures" and item.path.partition(":")[0] == EMOJI_SCENES:
            return read_emoji_scenes(item.path, options.size, options.seed)
        captions = options.caption_column if options.captions is None else None
        labels = options.label_column if options.labels is None else None
        return read_item(
            item,
            Reading(
                columns=Columns(options.image_column, labels, captions),
                tables=wanted_tables(options),
                sidecars=options.captions == "sidecar",
                metadata=options.captions == "metadata",
                size=options.size,
                seed=options.seed,
            ),
            place,
        )

    def _check(self, seen: Seen) -> None:
        """Refuse sources without a picture, and such as are one broken file."""
        refuse_broken(self.named, seen.tally)
        if len(seen):
            return
        raise DaedalError(
            f"There is no picture in {', '.join(each.source for each in self.named)}{told(seen.tally)}",
            "Give PNG, JPEG, WebP, GIF, BMP or TIFF files, folders or archives of them, IDX or Parquet",
        )

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _roles(self, seen: Seen) -> np.ndarray:
        """Of each picture the split that the user or its folder says; with --split folders say nothing."""
        roles, found = np.array(seen.roles, dtype=np.int8), np.array(seen.found, dtype=np.int8)
        if self.options.split is not None:
            if (found > 0).any():
                seen.tally.note("the sources have splits of their own; --split was given, so they were drawn anew")
            return roles
        return np.where((roles == 0) & (found > 0), found, roles)

    def _deduplicate(self, gallery: Gallery, roles: np.ndarray, annotated: Annotated) -> duplicates.Duplicates:
        self.progress("deduplicate", 0, len(gallery))
        pairs = [(annotated.labels[place], annotated.captions[place]) for place in gallery.places.tolist()]
        known = np.array([sum(each is not None for each in pair) for pair in pairs], dtype=np.int64)
        options = self.options

        def more(done: int) -> None:
            self.progress("deduplicate", done, len(gallery))

        found = duplicates.find(gallery, roles, known, options.exact_duplicates, options.near_duplicates, more)
        self.progress("deduplicate", len(gallery), len(gallery))
        return found

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(
        self,
        out: Path,
        seen: Seen,
        annotated: Annotated,
        gallery: Gallery,
        found: duplicates.Duplicates,
        assignment: Assignment,
    ) -> None:
        self.progress("write", 0, len(gallery))
        places = gallery.places.tolist()
        names = [annotated.labels[place] for place in places]
        kept = (assignment.splits >= 0).tolist()
        classes = tuple(
            sorted({name for name, stays in zip(names, kept, strict=True) if stays and name is not None}, key=natural)
        )
        numbers = {name: number for number, name in enumerate(classes)}
        labels = np.array([-1 if name is None else numbers.get(name, -1) for name in names], dtype=np.int64)
        texts = {
            "name": [str(seen.origins[place]) for place in places],
            "caption": [annotated.captions[place] or "" for place in places],
            "truth": [seen.truths[place] or "" for place in places],
        }
        with atomic_folder(out) as folder:
            gallery.raster.save(folder)
            records = write_splits(folder, gallery, assignment.splits, labels, len(classes), texts)
            outcome = Outcome(seen, annotated, gallery, found, assignment, classes, records)
            fingerprint = fingerprint_of(gallery.raster, classes, records)
            manifest = summarise(self.named, self.options, self.request, _versions(), outcome, fingerprint)
            write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
            train = np.load(images_path(folder, SPLITS[0]), mmap_mode="r", allow_pickle=False)
            write_sheet(folder / SHEET, train, labels[assignment.splits == 0], classes)
        self.progress("write", len(gallery), len(gallery))


def _resolve(source: str, role: Role, out: Path) -> Named:
    if source.startswith("hf:"):
        return Named(source=source, role=role, items=(Item(kind="hub", label=source, path=source),))
    if source.partition(":")[0] == EMOJI_SCENES:
        return resolve_emoji_scenes(source, role, out)
    if source.partition(":")[0] in BUILTINS:
        return Named(source=source, role=role, items=(Item(kind="pictures", label=source, path=source),))
    return resolve_path(source, role, BUILTINS, out)


def _said(options: ImageOptions) -> list[list[int]]:
    """Size and time of the files that the options name."""
    said = []
    for each in (options.labels, options.captions):
        if each is not None and Path(each).expanduser().is_file():
            status = Path(each).expanduser().stat()
            said.append([status.st_size, status.st_mtime_ns])
    return said


def _versions() -> dict[str, str]:
    return versions("numpy", "pillow", "pyarrow")


def _whole(out: Path) -> ImageDataset | None:
    """The dataset in `out`, unless files of it have gone."""
    dataset = ImageDataset.open(out)
    return dataset if all(images_path(out, name).exists() for name in dataset.manifest.splits) else None


def _quiet(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""
