"""Sources -> a data folder: read and clean, find duplicates, split, learn a codec, encode, assemble.

The work is done in a folder beside the target, `.NAME.build`, in steps that leave whole files: a build that was stopped goes on
from them, and ends with the same bytes. The target appears at the end, whole, or not at all.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from daedal.data import corpus as corpora
from daedal.data import duplicates
from daedal.data.assemble import fingerprint_of, write_documents, write_splits
from daedal.data.corpus import Corpus
from daedal.data.decode import known_encoding
from daedal.data.documents.formats import packages_for
from daedal.data.encode import ASSIGNED, Job, id_dtype
from daedal.data.ingest import Cleaning
from daedal.data.library import BUILTINS
from daedal.data.manifest import MANIFEST
from daedal.data.options import BuildOptions
from daedal.data.quality import Preset
from daedal.data.request import hash_of, refuse_broken, resolve_all, told, versions
from daedal.data.shards import Dataset, shard_path
from daedal.data.sources import Named, plan_units, resolve
from daedal.data.split import Assignment, assign
from daedal.data.spool import Spool
from daedal.data.summary import summarise
from daedal.data.vocabulary import make_codec
from daedal.data.workarea import holds_request, request_of, work_area, work_path
from daedal.data.workers import Bench, Workers
from daedal.errors import DaedalError
from daedal.files import atomic_folder, atomic_path, disk_error, make_folder, write_json

Progress = Callable[[str, int, int | None], None]
STAGES = ("read", "deduplicate", "learn codec", "encode", "write")
_PARALLEL_FROM = 24_000_000  # bytes of sources below which starting processes takes longer than it saves
_MILD_FROM = 20_000_000


def build(
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    options: BuildOptions | None = None,
    *,
    workers: int | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Build a data folder.

    Args:
        sources: files, folders, `python-docs`, `python-code` or `hf:NAME[:SPLIT]`.
        out: the folder to write.
        options: how; see `BuildOptions`.
        workers: processes that read and encode; as many as there are cores (at most 8) where not given. The outcome is
            the same whatever their number.
        replace: write over a data folder, or drop an unfinished build, that was made otherwise.
        progress: called with a stage (one of `STAGES`), what of it is done, and of how much (`None` while unknown): bytes,
            or for `deduplicate` and `write` documents.

    Returns:
        The dataset, opened. One that was built before from the same sources with the same options is opened only.

    Raises:
        DaedalError: a source is missing, unreadable or broken, there is too little text, `out` is something else or cannot be
            written, or holds data that was built otherwise.
    """
    options = options or BuildOptions()
    if options.encoding is not None:
        known_encoding(options.encoding)
    out = Path(out).expanduser()
    named = resolve_all(sources, options, out.absolute(), resolve, BUILTINS)
    request = hash_of(named, options.model_dump(mode="json"), _versions(named))
    work = work_path(out)
    if holds_request(out, request, replace) and (done := _whole(out)) is not None:
        if request_of(work) == request:  # stopped between the last step and the clearing up
            shutil.rmtree(work, ignore_errors=True)
        return done
    with work_area(work, request, replace):
        holds_request(out, request, replace)  # another build may have ended there since
        try:
            _Build(named, options, request, work, workers, progress or _quiet).run(out.absolute())
        except OSError as error:
            raise disk_error(error, out) from error
    return Dataset.open(out)


class _Build:
    def __init__(
        self,
        named: list[Named],
        options: BuildOptions,
        request: str,
        work: Path,
        workers: int | None,
        progress: Progress,
    ) -> None:
        self.named = named
        self.options = options
        self.request = request
        self.work = work
        self.progress = progress
        self.units = plan_units(named)
        self.bytes = sum(unit.bytes for unit in self.units)
        self.spool = Spool(make_folder(work / "spool"))
        self.encoded = make_folder(work / "encoded")
        self.cleaning = Cleaning(options=options, prose_rules=self._rules(), sketches=options.near_duplicates != "off")
        few = self.bytes < _PARALLEL_FROM and not any(item.kind == "hub" for unit in self.units for item in unit.items)
        self.workers = max(1, workers or (1 if few else min(8, os.cpu_count() or 1)))

    def run(self, out: Path) -> None:
        bench = Bench(
            spool=str(self.spool.folder),
            encoded=str(self.encoded),
            codec=str(self.work / "codec"),
            cleaning=self.cleaning,
        )
        with Workers(bench, self.workers) as workers:
            self._read(workers)
            corpus = corpora.gather(self.spool, len(self.units), self.work / "sketches.bin")
            self._check_any(corpus)
            found, assignment = self._decide(corpus)
            self._codec(corpus, assignment)
            self._encode(workers, corpus, assignment)
        from daedal.codecs.text import TextCodec

        codec = TextCodec.load(self.work / "codec")
        self.progress("write", 0, len(corpus))
        with atomic_folder(out) as folder:
            codec.save(folder)
            dtype = id_dtype(codec.vocab_size).name
            records = write_splits(corpus.chunks, self.encoded, folder, dtype)
            write_documents(corpus.chunks, self.encoded, folder)
            manifest = summarise(
                named=self.named,
                options=self.options,
                request=self.request,
                made_with=_versions(self.named),
                corpus=corpus,
                spool=self.spool,
                duplicates=found,
                assignment=assignment,
                codec=codec,
                dtype=dtype,
                records=records,
                fingerprint=fingerprint_of(codec.fingerprint(), records),
            )
            write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
        self.progress("write", len(corpus), len(corpus))

    def _rules(self) -> Preset:
        if self.options.quality != "auto":
            return self.options.quality
        return "mild" if self.bytes >= _MILD_FROM else "off"

    def _read(self, workers: Workers) -> None:
        done = 0
        total = self.bytes or None

        def more(size: int) -> None:
            nonlocal done
            done += size
            self.progress("read", done, max(done, total) if total else None)

        self.progress("read", 0, total)
        unread = []
        for unit in self.units:
            if self.spool.finished(unit.number) is None:
                unread.append(unit)
            else:
                done += unit.bytes
        workers.run(unread, more)
        self.progress("read", done, done)

    def _check_any(self, corpus: Corpus) -> None:
        refuse_broken(self.named, corpus.tally)
        if len(corpus):
            return
        raise DaedalError(
            f"There is no text in {', '.join(each.source for each in self.named)}{told(corpus.tally)}",
            "Give files with text in them",
        )

    def _decide(self, corpus: Corpus) -> tuple[duplicates.Duplicates, Assignment]:
        options = self.options
        self.progress("deduplicate", 0, len(corpus))
        found = duplicates.find(corpus, options.exact_duplicates, options.near_duplicates, options.similarity)

        def draw(found: duplicates.Duplicates, method: str) -> Assignment:
            return assign(
                found.keep,
                corpus.roles,
                found.groups,
                corpus.hashes,
                corpus.characters,
                options.shares(),
                method,
                options.seed,
            )

        assignment = draw(found, options.split_by)
        if assignment.method == "order" and (not options.exact_duplicates or options.near_duplicates == "keep"):
            # Text that is cut in order cannot keep copies in one split, so only one of them stays.
            near = "off" if options.near_duplicates == "off" else "drop"
            found = duplicates.find(corpus, True, near, options.similarity)
            assignment = draw(found, "order")
        self.progress("deduplicate", len(corpus), len(corpus))
        with atomic_path(self.encoded / ASSIGNED) as path, path.open("wb") as file:
            np.save(file, assignment.splits, allow_pickle=False)
        return found, assignment

    def _codec(self, corpus: Corpus, assignment: Assignment) -> None:
        if (self.work / "codec").is_dir():
            return
        codec = make_codec(
            self.options,
            corpus,
            assignment,
            self.spool,
            lambda done, total: self.progress("learn codec", done, total),
        )
        with atomic_folder(self.work / "codec") as folder:
            codec.save(folder)

    def _encode(self, workers: Workers, corpus: Corpus, assignment: Assignment) -> None:
        total = int(corpus.bytes.sum())
        done = 0

        def more(size: int) -> None:
            nonlocal done
            done += size
            self.progress("encode", done, total)

        self.progress("encode", 0, total)
        jobs = []
        for place, (unit, number) in enumerate(corpus.chunks):
            first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
            cuts = {document - first: cut for document, cut in assignment.cuts.items() if first <= document < last}
            jobs.append(Job(unit=unit, number=number, first=first, cuts=cuts))
        workers.run(jobs, more)


def _versions(named: list[Named]) -> dict[str, str]:
    labels = (item.label for each in named for item in each.items)
    return versions("numpy", "pyarrow", "rensa", "tokenizers", *packages_for(labels))


def _whole(out: Path) -> Dataset | None:
    """The dataset in `out`, unless files of it have gone."""
    dataset = Dataset.open(out)
    splits = dataset.manifest.splits.items()
    there = all((out / shard_path(Path(), name, 0)).exists() for name, each in splits if each.shards)
    return dataset if there else None


def _quiet(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""
