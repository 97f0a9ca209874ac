"""A build of running text: the stages of examples with columns, whose documents become one stream of tokens, in shards."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from daedal.data import duplicates
from daedal.data.assemble import fingerprint_of, write_documents, write_splits
from daedal.data.canaries import Canaries, plant
from daedal.data.column_codecs import ColumnCodec, TextColumns
from daedal.data.copies import Duplicates
from daedal.data.corpus import Corpus, each_of, place_of
from daedal.data.document_chunks import DocumentChunks
from daedal.data.encode import Job, encode_documents, id_dtype
from daedal.data.example_build import ExampleBuild
from daedal.data.ingest import Chunks
from daedal.data.kind import Kind
from daedal.data.languages import language
from daedal.data.manifest import CodecRecord, Count, DataManifest, Manifest
from daedal.data.split import Assignment, assign
from daedal.data.spool import Chunk, Spool
from daedal.data.summary import counts_of

Array = np.ndarray
_MILD_FROM = 20_000_000  # bytes of sources from which prose is judged
_LANGUAGE_SAMPLE = 400
_NOTES = 50


class StreamBuild(ExampleBuild):
    """The stages of a build of text."""

    advice = "Give files with text in them"
    chunks: ClassVar[type[Chunks]] = DocumentChunks

    @property
    def noun(self) -> str:
        return "text"

    @staticmethod
    def encode(
        kind: Kind, codecs: dict[str, ColumnCodec], packed: bytes, chunk: Chunk, splits: Array, job: Job
    ) -> dict[str, Array]:
        codec = codecs["text"]
        assert isinstance(codec, TextColumns)
        return encode_documents(packed, chunk, splits, job.cuts, codec.encoder, job.planted)

    def reading(self) -> Any:
        """The options, and by the size of the sources whether prose is judged."""
        if self.options.quality != "auto":
            return self.options
        return self.options.but(quality="mild" if self.bytes >= _MILD_FROM else "off")

    def decide(self) -> tuple[Duplicates, Assignment]:
        corpus, options = self.corpus, self.options
        exact, near = options.exact_duplicates, options.near_duplicates
        while True:
            found = duplicates.find(corpus, exact, near, options.similarity)
            assignment = assign(self.kind, found, corpus.roles, corpus.hashes, options, corpus.characters)
            if assignment.method != "order" or (exact and near != "keep"):
                self._draw_canaries(assignment)
                return found, assignment
            # Text that is cut in order cannot keep copies in one split, so only one of them stays.
            exact, near = True, "off" if near == "off" else "drop"
            options = options.but(split_by="order")

    def _draw_canaries(self, assignment: Assignment) -> None:
        """Where in documents that train a secret is planted."""
        self.canaries = Canaries.drawn(self.options.canaries, self.options.seed)
        if not self.canaries.secrets:
            return
        sizes = np.where(assignment.splits == 0, self.corpus.characters, 0)
        for document, pieces in assignment.cuts.items():
            sizes[document] = sum(high - low for split, low, high in pieces if split == 0)
        documents = np.flatnonzero(sizes)
        self.planted = self.canaries.places(documents.tolist(), sizes[documents], self.options.seed)

    def examples(self, chosen: Array) -> Iterator[tuple[int, dict[str, Any]]]:
        return ((number, {"text": data.decode()}) for number, data in each_of(self.corpus, self.spool, chosen))

    def training(self, chosen: Array) -> Iterator[tuple[int, dict[str, Any]]]:
        """Of documents that are cut the part that trains."""
        for number, example in self.examples(chosen):
            if number in self.assignment.cuts:
                pieces = self.assignment.cuts[number]
                example["text"] = "".join(example["text"][low:high] for split, low, high in pieces if split == 0)
            if number in self.planted:
                example["text"] = plant(example["text"], self.planted[number])
            yield number, example

    def write(self, folder: Path) -> DataManifest:
        corpus, assignment = self.corpus, self.assignment
        text = self.codecs["text"]
        assert isinstance(text, TextColumns)
        codec, tally = text.codec, corpus.tally
        codec.save(folder)
        dtype = id_dtype(codec.vocab_size).name
        records = write_splits(corpus.chunks, self.encoded, folder, dtype)
        write_documents(corpus.chunks, self.encoded, folder)
        if self.canaries.secrets:
            self.canaries.write(folder)
        kept = assignment.splits >= 0
        told = {
            "codec": CodecRecord.parse(
                {
                    "kind": codec.kind,
                    "vocab_size": codec.vocab_size,
                    "eos_id": codec.eos_id,
                    "dtype": dtype,
                    "fingerprint": codec.fingerprint(),
                },
                "codec",
            ),
            "fingerprint": fingerprint_of(codec.fingerprint(), records),
            "canaries": len(self.canaries.secrets),
            "splits": records,
            "split_by": assignment.method,
            "mended": counts_of(tally, "mended", "masked"),
            "encodings": counts_of(tally, "encodings"),
            "file_types": counts_of(tally, "types"),
            "languages": _languages(corpus, self.spool, kept),
            "lengths": _lengths(corpus.bytes[kept]),
            "notes": (*tally.coding(self.options.encoding), *tally.omissions(), *tally.notes[:_NOTES]),
        }
        return Manifest.parse({**self.told(), **told}, "manifest")


def _languages(corpus: Corpus, spool: Spool, kept: np.ndarray) -> tuple[Count, ...]:
    """Languages of a sample of the documents: those whose hashes are smallest."""
    documents = np.flatnonzero(kept)
    sample = np.sort(documents[np.argsort(corpus.hashes[documents, 0], kind="stable")[:_LANGUAGE_SAMPLE]])
    seen: Counter[str] = Counter()
    for document in sample.tolist():
        unit, number, place = place_of(corpus, document)
        begin = int(corpus.bytes[document - place : document].sum())
        with spool.text_path(unit, number).open("rb") as file:
            file.seek(begin)
            head = file.read(min(2000, int(corpus.bytes[document])))
        seen[language(head.decode(errors="ignore"))] += 1
    return tuple(
        Count(name=name, count=number) for name, number in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    )


def _lengths(sizes: np.ndarray) -> tuple[Count, ...]:
    """Documents by length: how many have at least each power of two bytes, and less than the next."""
    powers = np.floor(np.log2(np.maximum(sizes, 1))).astype(np.int64)
    counts = np.bincount(powers) if len(powers) else np.zeros(0, dtype=np.int64)
    shortest = int(powers.min()) if len(powers) else 0
    return tuple(Count(name=str(2**power), count=int(counts[power])) for power in range(shortest, len(counts)))
