"""A build of examples with columns from end to end, whatever their kind: read, drop copies, split, fit codecs, encode, write.

As builds of text do, it works in `.NAME.build` beside the target, in steps that leave whole files.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from daedal.data import corpus as corpora
from daedal.data import duplicates
from daedal.data.column_codecs import CODECS, ColumnCodec, Train
from daedal.data.columns import Classes, Dense, Numbers, Ragged
from daedal.data.copies import components
from daedal.data.decode import known_encoding
from daedal.data.encode import ASSIGNED, Job, id_dtype
from daedal.data.example_files import examples_path, write_examples
from daedal.data.example_manifest import CodecOfColumns, ColumnRecord, ExampleManifest, ExampleSplitRecord
from daedal.data.example_options import ExampleOptions
from daedal.data.example_split import assign_examples
from daedal.data.example_spool import examples
from daedal.data.examples import ExampleDataset
from daedal.data.images.annotate import natural
from daedal.data.kind import InTime, Kind, Stratified
from daedal.data.manifest import MANIFEST
from daedal.data.options import SPLITS
from daedal.data.request import hash_of, refuse_broken, resolve_all, told, versions
from daedal.data.sources import Named, resolve
from daedal.data.split import Assignment
from daedal.data.spool import Spool
from daedal.data.summary import counts_of, dropped_of, duplicates_of, source_of
from daedal.data.windows import mix
from daedal.data.workarea import holds_request, request_of, work_area, work_path
from daedal.data.workers import Bench, Workers
from daedal.errors import DaedalError
from daedal.files import atomic_folder, atomic_path, disk_error, make_folder, write_json

Progress = Callable[[str, int, int | None], None]
STAGES = ("read", "deduplicate", "learn codec", "encode", "write")
_PARALLEL_FROM = 24_000_000  # bytes of sources below which starting processes takes longer than it saves
_PIECE = 2**20  # characters of a text that a codec is given at once
_NOTES = 50


def build_examples(
    kind: Kind,
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    options: ExampleOptions,
    *,
    guessed: bool = False,
    workers: int | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> ExampleDataset:
    """Build a data folder of examples of a kind.

    Args:
        sources: files, folders, archives or `hf:NAME[:SPLIT]`.
        guessed: whether nobody said that they are of this kind, which is told then.
        workers, replace, progress: as `daedal.data.pipeline.build` has them.

    Raises:
        DaedalError: a source is unreadable or broken, there are too few examples, or `out` is something else, cannot be written
            or holds data that was built otherwise.
    """
    if options.encoding is not None:
        known_encoding(options.encoding)
    out = Path(out).expanduser()
    named = resolve_all(sources, options, out.absolute(), resolve, ())
    request = hash_of(named, kind.name, options.model_dump(mode="json"), _versions())
    work = work_path(out)
    if holds_request(out, request, replace) and (done := _whole(out)) is not None:
        if request_of(work) == request:
            shutil.rmtree(work, ignore_errors=True)
        return done
    with work_area(work, request, replace):
        holds_request(out, request, replace)
        try:
            _Build(kind, named, options, guessed, request, work, workers, progress or _quiet).run(out.absolute())
        except OSError as error:
            raise disk_error(error, out) from error
    return ExampleDataset.open(out)


class _Build:
    def __init__(
        self,
        kind: Kind,
        named: list[Named],
        options: ExampleOptions,
        guessed: bool,
        request: str,
        work: Path,
        workers: int | None,
        progress: Progress,
    ) -> None:
        self.kind, self.named, self.options, self.request = kind, named, options, request
        self.guessed = guessed
        self.work, self.progress = work, progress
        self.units = kind.units(named)
        self.bytes = sum(unit.bytes for unit in self.units)
        self.spool = Spool(make_folder(work / "spool"))
        self.encoded = make_folder(work / "encoded")
        self.codecs: dict[str, ColumnCodec] = {}
        self.workers = max(1, workers or (1 if self.bytes < _PARALLEL_FROM else min(8, os.cpu_count() or 1)))

    def run(self, out: Path) -> None:
        bench = Bench(
            spool=str(self.spool.folder),
            encoded=str(self.encoded),
            codec=str(self.work / "codec"),
            kind=self.kind.name,
            options=self.options.model_dump(mode="json"),
        )
        with Workers(bench, self.workers) as workers:
            self._read(workers)
            self.corpus = corpora.gather(self.spool, len(self.units), self.work / "sketches.bin")
            self._check_any()
            found, assignment = self._decide()
            self._fit(assignment)
            self._encode(workers)
        self.progress("write", 0, len(self.corpus))
        columns = self._columns(assignment)
        with atomic_folder(out) as folder:
            for codec in self.codecs.values():
                codec.save(folder)
            records = write_examples(
                folder, self.kind, self.spool, self.corpus, assignment.splits, self.encoded, columns
            )
            manifest = self._manifest(found, assignment, columns, records)
            write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
        self.progress("write", len(self.corpus), len(self.corpus))

    def _read(self, workers: Workers) -> None:
        done, total = 0, self.bytes or None

        def more(size: int) -> None:
            nonlocal done
            done += size
            self.progress("read", done, max(done, total) if total else None)

        self.progress("read", 0, total)
        unread = [unit for unit in self.units if self.spool.finished(unit.number) is None]
        done = self.bytes - sum(unit.bytes for unit in unread)
        workers.run(unread, more)
        self.progress("read", done, done)

    def _check_any(self) -> None:
        refuse_broken(self.named, self.corpus.tally)
        if not len(self.corpus):
            raise DaedalError(
                f"There is no {self.kind.line.noun[0]} in {', '.join(each.source for each in self.named)}"
                f"{told(self.corpus.tally)}",
                "Give other sources, or say what they hold with --kind",
            )

        for role, given in (("validation", self.options.validation), ("test", self.options.test)):
            if given and not (self.corpus.roles == SPLITS.index(role)).any():
                raise DaedalError(
                    f"There is no {self.kind.line.noun[0]} in {', '.join(map(str, given))}{told(self.corpus.tally)}",
                    f"Give other files with --{role}",
                )

    def _decide(self) -> tuple[duplicates.Duplicates, Assignment]:
        corpus, options, kind = self.corpus, self.options, self.kind
        self.progress("deduplicate", 0, len(corpus))
        if len(corpus) and not (corpus.roles == 0).any() and not (options.validation or options.test):
            corpus.tally.note("all of the sources is of one split by its name: splits are drawn anew")
            corpus.tally.counts.pop("own splits", None)
            self.corpus = corpus = replace(corpus, roles=np.zeros_like(corpus.roles))
        found = duplicates.find(corpus, options.exact_duplicates, options.near_duplicates, options.similarity)
        if kind.together is not None:
            found = self._together(found, kind.together)
        strata = times = None
        every = np.ones(len(corpus), dtype=bool)
        if isinstance(kind.split, Stratified):
            numbers: dict[Any, int] = {}
            column = kind.split.column
            strata = np.array(
                [numbers.setdefault(each[column], len(numbers)) for each in self._examples(every)], np.int64
            )
        elif isinstance(kind.split, InTime):
            column = kind.split.column
            known = [each[column] for each in self._examples(every)]
            times = np.array([-np.inf if each is None else each for each in known])  # what has no time is of the past
            times = times if np.isfinite(times).any() else None
        assignment = assign_examples(kind, found, corpus, options, strata, times)
        self.progress("deduplicate", len(corpus), len(corpus))
        with atomic_path(self.encoded / ASSIGNED) as path, path.open("wb") as file:
            np.save(file, assignment.splits, allow_pickle=False)
        return found, assignment

    def _together(self, found: duplicates.Duplicates, column: str) -> duplicates.Duplicates:
        """Examples that have the same value of a column are of one group."""
        firsts: dict[Any, int] = {}
        every = self._examples(np.ones(len(self.corpus), dtype=bool))
        packed = (blake2b(self.kind.columns[column].pack(each[column]), digest_size=16).digest() for each in every)
        same = [(number, firsts.setdefault(digest, number)) for number, digest in enumerate(packed)]
        edges = found.groups[np.array(same, dtype=np.int64).reshape(-1, 2)]
        joined = components(int(found.groups.max(initial=-1)) + 1, edges[edges[:, 0] != edges[:, 1]])
        return replace(found, groups=joined[found.groups])

    def _examples(self, chosen: np.ndarray) -> Iterator[dict[str, Any]]:
        return examples(self.kind, self.spool, self.corpus, chosen)

    def _fit(self, assignment: Assignment) -> None:
        """Learn the codecs from the train split, or open those that a stopped build has learned."""
        train = assignment.splits == 0
        sample = self._sample(train)
        for name in dict.fromkeys(column.codec for column in self.kind.columns.values() if isinstance(column, Ragged)):
            folder = self.work / "codec" / name
            if folder.is_dir():
                self.codecs[name] = CODECS[name].load(folder)
                continue
            mine = {
                each: column
                for each, column in self.kind.columns.items()
                if isinstance(column, Ragged) and column.codec == name
            }
            chosen = train if name == "items" else sample
            total = int(self.corpus.bytes[chosen].sum())
            self.progress("learn codec", 0, total)

            def values(
                mine: dict[str, Ragged] = mine, chosen: np.ndarray = chosen, total: int = total
            ) -> Iterator[Any]:
                done = 0
                for example in self._examples(chosen):
                    for each, column in mine.items():
                        if example[each] is not None:
                            yield example[each]
                            done += len(column.pack(example[each]))
                    self.progress("learn codec", min(done, total), total)

            def texts(mine: dict[str, Ragged] = mine, chosen: np.ndarray = chosen) -> Iterator[str]:
                for example in self._examples(chosen):
                    for each, column in mine.items():
                        text = "" if example[each] is None else column.words(example[each])
                        for begin in range(0, len(text), _PIECE):
                            yield text[begin : begin + _PIECE]

            size = int(self.corpus.bytes[train].sum())
            self.codecs[name] = CODECS[name].fit(Train(values, texts, size, self.options))
            make_folder(self.work / "codec")
            with atomic_folder(folder) as target:
                self.codecs[name].save(target)

    def _sample(self, train: np.ndarray) -> np.ndarray:
        """The examples that a codec is learned from: all that train, or as many of them as make the sample's size."""
        limit = self.options.codec_sample_mb * 1e6
        if self.corpus.bytes[train].sum() <= limit:
            return train
        order = np.argsort(mix(self.corpus.hashes[:, 1]), kind="stable")
        order = order[train[order]]
        chosen = np.zeros(len(self.corpus), dtype=bool)
        chosen[order[np.cumsum(self.corpus.bytes[order]) - self.corpus.bytes[order] < limit]] = True
        return chosen

    def _encode(self, workers: Workers) -> None:
        total, done = int(self.corpus.bytes.sum()), 0

        def more(size: int) -> None:
            nonlocal done
            done += size
            self.progress("encode", done, total)

        self.progress("encode", 0, total)
        firsts = self.corpus.firsts.tolist()
        jobs = [
            Job(unit=unit, number=number, first=first, cuts={})
            for (unit, number), first in zip(self.corpus.chunks, firsts, strict=False)
        ]
        workers.run(jobs, more)

    def _columns(self, assignment: Assignment) -> dict[str, ColumnRecord]:
        records = {}
        for name, column in self.kind.columns.items():
            if isinstance(column, Ragged):
                dtype = id_dtype(self.codecs[column.codec].vocab_size).name
                records[name] = ColumnRecord(stored="ragged", codec=column.codec, dtype=dtype)
            elif isinstance(column, Classes):
                found = {each[name] for each in self._examples(assignment.splits == 0)} - {None}
                records[name] = ColumnRecord(stored="classes", names=tuple(sorted(found, key=natural)))
                new = Counter(each[name] for each in self._examples(assignment.splits > 0))
                if unknown := {each: count for each, count in new.items() if each not in found and each is not None}:
                    few = ", ".join(map(repr, islice(unknown, 5)))
                    self.corpus.tally.note(
                        f"{sum(unknown.values()):,} held-out {self.kind.nouns} have a {name} that train lacks ({few}): "
                        "they are of no class"
                    )
            else:
                stored = {Numbers: "numbers", Dense: "dense"}.get(type(column), "strings")
                records[name] = ColumnRecord.parse({"stored": stored}, "column")
        return records

    def _manifest(
        self,
        found: duplicates.Duplicates,
        assignment: Assignment,
        columns: dict[str, ColumnRecord],
        records: dict[str, ExampleSplitRecord],
    ) -> ExampleManifest:
        tally, kept = self.corpus.tally, assignment.splits >= 0
        for each in self.named:
            for label, reason, detail, size, _ in each.lost:
                tally.drop(reason, size, f"{label}: {detail}")
        own = tally.counts.get("own splits", Counter())
        if own and self.options.split is not None:
            tally.note("the sources have splits of their own; --split was given, so they were drawn anew")
        elif own:
            tally.note(f"splits are the sources' own: {', '.join(name for name in SPLITS if name in own)}")
        if self.guessed:
            tally.notes.insert(0, f"guessed: {self.kind.name}, {self.kind.line.says} (--kind chooses another)")
        checked = [line for check in self.kind.checks for line in check(self._examples(kept))]
        codecs = {
            name: CodecOfColumns(
                described=codec.described, vocab_size=codec.vocab_size, fingerprint=codec.fingerprint()
            )
            for name, codec in self.codecs.items()
        }
        whole = [
            self.kind.name,
            [codecs[name].fingerprint for name in codecs],
            [records[name].fingerprint for name in SPLITS],
        ]
        fingerprint = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
        return ExampleManifest(
            kind=self.kind.name,
            fingerprint=fingerprint,
            request=self.request,
            made_with=_versions(),
            options=self.options.model_dump(mode="json"),
            sources=tuple(source_of(each, self.options) for each in self.named),
            columns=columns,
            codecs=codecs,
            splits=records,
            split_by=assignment.method,
            dropped=dropped_of(tally),
            duplicates=duplicates_of(self.corpus, self.spool, found),
            mended=counts_of(tally, "mended", "masked"),
            encodings=counts_of(tally, "encodings"),
            notes=(*tally.notes[:_NOTES], *tally.coding(self.options.encoding), *checked),
        )


def _versions() -> dict[str, str]:
    return versions("numpy", "pyarrow", "rensa", "tokenizers")


def _whole(out: Path) -> ExampleDataset | None:
    """The dataset in `out`, unless files of it have gone."""
    dataset = ExampleDataset.open(out)
    return dataset if all(examples_path(out, name).exists() for name in dataset.manifest.splits) else None


def _quiet(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""
