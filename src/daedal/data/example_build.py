"""The stages of a build of examples with columns: read, drop copies, split, learn codecs, encode, write.

Each leaves whole files in the work area. Running text does the same but for what `daedal.data.stream_build` says.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from daedal.data import duplicates
from daedal.data.any_build import Build
from daedal.data.canaries import Places
from daedal.data.column_codecs import CODECS, ColumnCodec, Train, codec_of, names_of
from daedal.data.columns import Classes, Column, Dense, Numbers, Ragged, Sets, Tags, natural, natural_tags
from daedal.data.copies import Duplicates, among, together
from daedal.data.corpus import Corpus, each_of, gather, name_of
from daedal.data.decode import known_encoding
from daedal.data.encode import ASSIGNED, Job, id_dtype
from daedal.data.example_chunks import ExampleChunks, unpack
from daedal.data.example_facts import look
from daedal.data.example_files import encode_examples, write_examples
from daedal.data.example_manifest import CodecOfColumns, ColumnRecord, ExampleManifest
from daedal.data.ingest import Chunks
from daedal.data.kind import InTime, Kind, Stratified, Survey
from daedal.data.manifest import DataManifest
from daedal.data.options import SPLITS
from daedal.data.split import Assignment, assign
from daedal.data.spool import Chunk, Spool
from daedal.data.summary import counts_of, duplicates_of
from daedal.data.windows import mix
from daedal.data.workers import Workers
from daedal.files import atomic_folder, atomic_path, make_folder

Array = np.ndarray
_PARALLEL_FROM = 24_000_000  # bytes of sources below which starting processes takes longer than it saves
_PIECE = 2**20  # characters of a text that a codec is given at once
_NOTES = 50


class ExampleBuild(Build):
    """The stages of a build of examples with columns."""

    stages = ("read", "deduplicate", "learn codec", "encode", "write")
    chunks: ClassVar[type[Chunks]] = ExampleChunks

    def __post_init__(self) -> None:
        if self.options.encoding is not None:
            known_encoding(self.options.encoding)
        self.columns: dict[str, Column] = dict(self.kind.columns)
        self.units = self.kind.units(self.named)
        self.planted: dict[int, Places] = {}
        self.bytes = sum(unit.bytes for unit in self.units)
        self.spool = Spool(make_folder(self.work / "spool"))
        self.encoded = make_folder(self.work / "encoded")

    @staticmethod
    def encode(
        kind: Kind, codecs: dict[str, ColumnCodec], packed: bytes, chunk: Chunk, splits: Array, job: Job
    ) -> dict[str, Array]:
        """The examples of a chunk that go to a split, encoded. It runs in any process."""
        return encode_examples(kind, codecs, packed, chunk, splits)

    def reading(self) -> Any:
        """The options that readers are given."""
        return self.options

    def run(self, out: Path) -> None:
        bench = {"kind": self.kind.name, "options": self.reading().model_dump(mode="json"), "work": str(self.work)}
        processes = self.processes_for(self.bytes, _PARALLEL_FROM)
        with Workers("daedal.data.chunk_work:ChunkWork", bench, processes) as workers:
            self._read(workers)
            self.corpus = self._gather()
            count = len(self.corpus)
            self.progress("deduplicate", 0, count)
            self.found, self.assignment = self.decide()
            self.progress("deduplicate", count, count)
            with atomic_path(self.encoded / ASSIGNED) as path, path.open("wb") as file:
                np.save(file, self.assignment.splits, allow_pickle=False)
            self.codecs = self._fit()
            self._encode(workers)
        self.publish(out, count)

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

    def _gather(self) -> Corpus:
        corpus = gather(self.spool, len(self.units), self.work / "sketches.bin")
        tally, options = corpus.tally, self.options
        self.check_any(len(corpus), tally)
        for role, given in (("validation", options.validation), ("test", options.test)):
            if given and not (corpus.roles == SPLITS.index(role)).any():
                self.refuse_empty(map(str, given), tally, f"Give other files with --{role}")
        if not (corpus.roles == 0).any() and not (options.validation or options.test):
            tally.note("all of the sources is of one split by its name: splits are drawn anew")
            tally.counts.pop("own splits", None)
            return replace(corpus, roles=np.zeros_like(corpus.roles))
        return corpus

    # -- deciding ----------------------------------------------------------------------------------------------------

    def decide(self) -> tuple[Duplicates, Assignment]:
        """Drop copies, and draw the splits."""
        corpus, options = self.corpus, self.options
        able = self._survey()
        self.facts = look(self.kind, self.columns, self.examples(able), len(corpus))
        mine = corpus if able.all() else corpus.only(able)
        found = duplicates.find(mine, options.exact_duplicates, options.near_duplicates, options.similarity)
        found = found if able.all() else among(found, able)
        found = together(found, self.facts.same)
        by = self.kind.split
        there = isinstance(by, InTime | Stratified) and by.column in self.columns
        values = self.facts.by(by) if there else None  # type: ignore[arg-type]
        assignment = assign(self.kind, found, corpus.roles, corpus.hashes, options, values=values)
        numbers = isinstance(by, Stratified) and isinstance(self.columns.get(by.column), Numbers)
        if numbers and assignment.method == "class":
            assignment = replace(assignment, method="number")
        return found, assignment

    def _survey(self) -> Array:
        """See what the examples are together: the types of columns, and which examples may stay."""
        kind, tally = self.kind, self.corpus.tally
        able = np.ones(len(self.corpus), dtype=bool)
        survey = Survey() if kind.survey is None else kind.survey(self.examples(able), self.options, self.corpus.roles)
        there = tally.counts.get("columns", Counter())
        self.columns = {
            name: survey.columns.get(name, column)
            for name, column in kind.columns.items()
            if not column.omissible or there[name]
        }
        able[list(survey.left_out)] = False
        for number, example in self.examples(~able):
            said = " ".join(" ".join(kind.columns[name].words(each) for name, each in example.items() if each).split())
            tally.drop(survey.left_out[number], 0, f"{name_of(self.corpus, self.spool, number)}: {said[:80]}")
        if not able.any():
            self.refuse_empty((each.source for each in self.named), tally, self.advice)
        for note in survey.notes:
            tally.note(note)
        return able

    def examples(self, chosen: Array) -> Iterator[tuple[int, dict[str, Any]]]:
        """The examples that are chosen, in order, each with its number."""
        return ((number, unpack(self.kind, data)) for number, data in each_of(self.corpus, self.spool, chosen))

    # -- codecs ------------------------------------------------------------------------------------------------------

    def _fit(self) -> dict[str, ColumnCodec]:
        """Learn the codecs from the train split, or open those that a stopped build has learned."""
        train = self.assignment.splits == 0
        codecs = {}
        for name in names_of(self.columns):
            folder = make_folder(self.work / "codecs") / name
            if folder.is_dir():
                codecs[name] = CODECS[name].load(folder)
                continue
            chosen = train if name == "items" or self.options.codec == "char" else self._sample(train)
            codecs[name] = self._learn(name, chosen)
            with atomic_folder(folder) as target:
                codecs[name].save(target)
        return codecs

    def _learn(self, name: str, chosen: Array) -> ColumnCodec:
        corpus = self.corpus
        mine = {each: column for each, column in self.kind.columns.items() if codec_of(column) == name}
        total = int(corpus.bytes[chosen].sum())
        self.progress("learn codec", 0, total)

        def cells() -> Iterator[tuple[Column, Any]]:
            done = 0
            for number, example in self.training(chosen):
                for each, column in mine.items():
                    if example[each] is not None:
                        yield column, example[each]
                done += int(corpus.bytes[number])
                self.progress("learn codec", done, total)

        def values() -> Iterator[Any]:
            return (value for _, value in cells())

        def texts() -> Iterator[str]:
            for column, value in cells():
                text = column.words(value)
                for begin in range(0, len(text), _PIECE):
                    yield text[begin : begin + _PIECE]

        size = int(corpus.bytes[self.assignment.splits == 0].sum())
        return CODECS[name].fit(Train(values, texts, size, self.options))

    def training(self, chosen: Array) -> Iterator[tuple[int, dict[str, Any]]]:
        """What of the chosen examples a codec may learn from."""
        return self.examples(chosen)

    def _sample(self, train: Array) -> Array:
        """The examples that a codec is learned from: all that train, or as many of them as make the sample's size."""
        corpus, limit = self.corpus, self.options.codec_sample_mb * 1e6
        if corpus.bytes[train].sum() <= limit:
            return train
        order = np.argsort(mix(corpus.hashes[:, 1]), kind="stable")
        order = order[train[order]]
        chosen = np.zeros(len(corpus), dtype=bool)
        chosen[order[np.cumsum(corpus.bytes[order]) - corpus.bytes[order] < limit]] = True
        return chosen

    def _encode(self, workers: Workers) -> None:
        corpus, assignment = self.corpus, self.assignment
        total, done = int(corpus.bytes.sum()), 0

        def more(size: int) -> None:
            nonlocal done
            done += size
            self.progress("encode", done, total)

        self.progress("encode", 0, total)
        jobs = []
        for place, (unit, number) in enumerate(corpus.chunks):
            first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
            cuts = {each - first: cut for each, cut in assignment.cuts.items() if first <= each < last}
            planted = {each - first: what for each, what in self.planted.items() if first <= each < last}
            jobs.append(Job(unit=unit, number=number, first=first, cuts=cuts, planted=planted))
        workers.run(jobs, more)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, folder: Path) -> DataManifest:
        corpus, assignment = self.corpus, self.assignment
        for codec in self.codecs.values():
            codec.save(folder)
        tally, kind, kept = corpus.tally, self.kind, assignment.splits >= 0
        columns = self._records()
        records = write_examples(
            folder, kind, self.spool, corpus, assignment.splits, self.encoded, self.columns, columns
        )
        own = tally.counts.get("own splits", Counter())
        if own and self.options.split is not None:
            tally.note("the sources have splits of their own; --split was given, so they were drawn anew")
        elif own:
            tally.note(f"splits are the sources' own: {', '.join(name for name in SPLITS if name in own)}")
        if self.guessed:
            tally.notes.insert(0, f"guessed: {kind.name}, {kind.line.says} (--kind chooses another)")
        checked = [line for check in kind.checks for line in check(self._typed(kept))]
        made = {
            name: CodecOfColumns(described=each.described, vocab_size=each.vocab_size, fingerprint=each.fingerprint())
            for name, each in self.codecs.items()
        }
        whole = [
            kind.name,
            [each.fingerprint for each in made.values()],
            [records[name].fingerprint for name in SPLITS],
        ]
        told = {
            "kind": kind.name,
            "fingerprint": hashlib.sha256(json.dumps(whole).encode()).hexdigest(),
            "columns": columns,
            "codecs": made,
            "splits": records,
            "split_by": assignment.method,
            "mended": counts_of(tally, "mended", "masked"),
            "encodings": counts_of(tally, "encodings"),
            "notes": (*tally.notes[:_NOTES], *tally.coding(self.options.encoding), *checked),
        }
        return ExampleManifest.parse({**self.told(), **told}, "manifest")

    def told(self) -> dict[str, Any]:
        """What the manifests of all kinds say that are read in chunks."""
        corpus, found = self.corpus, self.found
        examples = (
            f"{name_of(corpus, self.spool, left)} agrees with {name_of(corpus, self.spool, right)} ({similarity:.0%})"
            for left, right, similarity in found.pairs
        )
        return {**self.manifest_parts(corpus.tally), "duplicates": duplicates_of(found, examples)}

    def _typed(self, chosen: Array) -> Iterator[dict[str, Any]]:
        """The examples that are chosen, each value as its column has it."""
        for _, example in self.examples(chosen):
            yield {**example, **{name: column.of(example[name]) for name, column in self.columns.items()}}

    def _records(self) -> dict[str, ColumnRecord]:
        records = {}
        for name, column in self.columns.items():
            if isinstance(column, Ragged):
                dtype = id_dtype(self.codecs[column.codec].vocab_size).name
                records[name] = ColumnRecord.parse(
                    {"stored": "ragged", "codec": column.codec, "dtype": dtype}, "column"
                )
            elif isinstance(column, Classes):
                records[name] = ColumnRecord(stored="classes", names=self._classes(name))
            elif isinstance(column, Sets):
                names = self._classes(name)
                records[name] = ColumnRecord.parse(
                    {"stored": "sets", "names": names, "dtype": id_dtype(len(names)).name}, "column"
                )
            elif isinstance(column, Tags):
                names = tuple(sorted(self._classes(name), key=natural_tags))
                records[name] = ColumnRecord(stored="tags", names=names)
            else:
                stored = {Numbers: "numbers", Dense: "dense"}.get(type(column), "strings")
                records[name] = ColumnRecord.parse({"stored": stored}, "column")
        return records

    def _classes(self, column: str) -> tuple[str, ...]:
        """The classes that the train split has; others are told."""
        names = list(self.facts.names[column])
        train, held = (each.tolist() for each in self.facts.found(column, self.assignment.splits))
        unknown = {
            each: more
            for each, few, more in zip(names, train, held, strict=True)
            if more and not few and each is not None
        }
        if unknown:
            some = ", ".join(map(repr, islice(unknown, 5)))
            named = column if column.endswith("s") else f"a {column}"
            self.corpus.tally.note(
                f"{sum(unknown.values()):,} held-out {self.kind.nouns} have {named} that train lacks ({some}): "
                "they are of no class"
            )
        known = (each for each, count in zip(names, train, strict=True) if count and each is not None)
        return tuple(sorted(known, key=natural))
