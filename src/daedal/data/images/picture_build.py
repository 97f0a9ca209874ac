"""The stages of a build of pictures: read, annotate, bring to one size, drop copies, split, write.

Their size is known when all were seen, and tables and files beside them speak of them: so the sources are read by one process,
which gives batches of pictures to others, and a build that was stopped reads them again, but treats only what is left.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daedal.data import any_build
from daedal.data.any_build import Build
from daedal.data.columns import natural
from daedal.data.copies import Duplicates
from daedal.data.images import duplicates
from daedal.data.images.annotate import annotate, missing
from daedal.data.images.assemble import fingerprint_of, write_splits
from daedal.data.images.batch import Batch, Batcher
from daedal.data.images.dataset import ImageDataset, images_path
from daedal.data.images.events import Found
from daedal.data.images.example_table import Seen
from daedal.data.images.manifest import ImageManifest, ImageSplitRecord
from daedal.data.images.options import ImageOptions
from daedal.data.images.picture import Picture
from daedal.data.images.picture_array import gather
from daedal.data.images.readers import Place
from daedal.data.images.resize import Treatment
from daedal.data.images.sheet import SHEET, write_sheet
from daedal.data.manifest import Count, DataManifest
from daedal.data.opt_out import REASON, opt_out_list
from daedal.data.options import SPLITS
from daedal.data.request import refuse_broken
from daedal.data.split import assign, patterns_of, role_of
from daedal.data.summary import duplicates_of
from daedal.data.workers import Workers
from daedal.errors import DaedalError
from daedal.files import make_folder

_MOST = 12  # sizes and formats that are told
_MOST_NOTES = 50
_ALONE = 2.0  # seconds of work below which starting processes takes longer than it saves


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


def build(
    sources: Sequence[str | Path] | str | Path, out: str | Path, options: ImageOptions | None = None, **running: Any
) -> ImageDataset:
    """Build a data folder of pictures; `running` is how to go about it: see `daedal.data.build`."""
    dataset: ImageDataset = any_build.build(sources, out, options, kind="pictures", **running)
    return dataset


class PictureBuild(Build):
    """The stages of a build of pictures."""

    stages = ("read", "arrange", "deduplicate", "write")
    advice = "Give PNG, JPEG, WebP, GIF, BMP or TIFF files, folders or archives of them, IDX or Parquet"

    def __post_init__(self) -> None:
        self.treatment = treatment_of(self.options)
        self.spool = make_folder(self.work / "spool")
        self.seen = Seen()
        self.listed = None if self.options.opt_out is None else opt_out_list(self.options.opt_out)

    def run(self, out: Path) -> None:
        batches = self._read()
        self.check_any(len(self.seen), self.seen.tally)
        self.annotated = annotate(self.seen, self.options)
        self.gallery = gather(
            self.seen,
            batches,
            self.spool,
            self.treatment,
            self.annotated.keep,
            self.work / "pixels.npy",
            lambda done: self.progress("arrange", done, len(self.seen)),
        )
        refuse_broken(self.named, self.seen.tally)
        roles = self._roles()[self.gallery.places]
        self.found = self._deduplicate(roles)
        self.assignment = assign(self.kind, self.found, roles, self.gallery.hashes, self.options)
        self.publish(out, len(self.gallery))

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> int:
        """Read the sources; gives how many batches of pictures were treated."""
        batcher, place = Batcher(self.treatment), Place()
        items = sorted(
            ((each.role, item) for each in self.named for item in each.items),
            key=lambda pair: (pair[0], pair[1].label, pair[1].path),
        )
        total = sum(item.bytes for _, item in items) or None
        done = 0
        self.progress("read", 0, total)

        def batches() -> Iterator[Batch]:
            nonlocal done
            for role, item in items:
                for event in self.kind.read([item], self.options, place):
                    if isinstance(event, Found) and self._opted_out(event.picture):
                        continue
                    if (found := self.seen.take(event, role)) is None:
                        continue
                    if (batch := batcher.add(found.picture)) is not None:
                        yield batch
                        self.progress("read", done + min(place.bytes(), item.bytes), total)
                done += item.bytes
            if (batch := batcher.rest()) is not None:
                yield batch

        bench = {"treatment": self.treatment.model_dump(mode="json"), "folder": str(self.spool)}
        with Workers("daedal.data.images.batch:BatchWork", bench, self.processes_for(0, 0), _ALONE) as workers:
            workers.run(batches(), lambda size: None)
        self.progress("read", done, done)
        return batcher.number

    def _opted_out(self, picture: Picture) -> bool:
        """Whether the list names the picture, or the hash of its file, which may be inside an archive or a table."""
        if self.listed is None:
            return False
        line = self.listed.file(picture.name)
        if line is None and picture.encoded and self.listed.has_hashes:
            line = self.listed.digest(hashlib.sha256(picture.encoded).hexdigest())
        if line is not None:
            self.seen.tally.drop(REASON, len(picture.encoded), f"{picture.name}: line {line} of the list")
            self.seen.tally.count(REASON, str(line))
        return line is not None

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _roles(self) -> np.ndarray:
        """Of each picture the split that the user or its folder says; with --split folders say nothing."""
        seen = self.seen
        roles, found = np.array(seen.roles, dtype=np.int8), np.array(seen.found, dtype=np.int8)
        if patterns := patterns_of(self.options):
            asked = np.array([role_of(str(origin), patterns) for origin in seen.origins], dtype=np.int8)
            roles = np.where(roles == 0, asked, roles)
        if self.options.split is not None:
            if (found > 0).any():
                seen.tally.note("the sources have splits of their own; --split was given, so they were drawn anew")
            return roles
        return np.where((roles == 0) & (found > 0), found, roles)

    def _deduplicate(self, roles: np.ndarray) -> Duplicates:
        gallery, annotated = self.gallery, self.annotated
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

    def write(self, folder: Path) -> DataManifest:
        seen, annotated, gallery, splits = self.seen, self.annotated, self.gallery, self.assignment.splits
        places = gallery.places.tolist()
        names = [annotated.labels[place] for place in places]
        kept = (splits >= 0).tolist()
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
        gallery.raster.save(folder)
        records = write_splits(folder, gallery, splits, labels, len(classes), texts)
        train = np.load(images_path(folder, SPLITS[0]), mmap_mode="r", allow_pickle=False)
        write_sheet(folder / SHEET, train, labels[splits == 0], classes)
        return self._manifest(classes, records)

    def _manifest(self, classes: tuple[str, ...], records: dict[str, ImageSplitRecord]) -> ImageManifest:
        seen, annotated, gallery, found = self.seen, self.annotated, self.gallery, self.found
        from_where = [f"classes are from {annotated.labels_from}"] if classes else []
        from_where += [f"captions are from {annotated.captions_from}"] if annotated.captions_from else []
        kept = gallery.places[self.assignment.splits >= 0].tolist()
        told = (*from_where, *missing(annotated, seen, kept), *gallery.notes, *annotated.notes, *seen.tally.notes)
        notes = list(dict.fromkeys(told))
        if len(notes) > _MOST_NOTES:  # as of a thousand Parquet files, each with its guesses
            notes[_MOST_NOTES:] = [f"and {len(notes) - _MOST_NOTES:,} more notes of this kind"]
        examples = (
            "{} is nearly {} (they differ by {:.1f} of 255)".format(
                *(seen.origins[int(gallery.places[each])] for each in pair), difference
            )
            for *pair, difference in found.pairs
        )
        own = {
            "fingerprint": fingerprint_of(gallery.raster, classes, records),
            "raster": gallery.raster,
            "classes": classes,
            "splits": records,
            "split_by": self.assignment.method,
            "duplicates": duplicates_of(found, examples),
            "sizes": _most(Counter(f"{width} x {height}" for width, height in gallery.sizes.tolist()), "other sizes"),
            "formats": _most(gallery.formats, "others"),
            "notes": tuple(notes),
        }
        return ImageManifest.parse({**self.manifest_parts(seen.tally), **own}, "manifest")


def _most(counter: Counter[str], rest: str) -> tuple[Count, ...]:
    """The most frequent, and how many others there are."""
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = [Count(name=name, count=number) for name, number in ordered[:_MOST]]
    if left := sum(number for _, number in ordered[_MOST:]):
        counts.append(Count(name=rest, count=left))
    return tuple(counts)
