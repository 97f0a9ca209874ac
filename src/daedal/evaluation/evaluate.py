"""Measure a model: likelihood beside baselines, samples, and what the samples copy from the training text."""

import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from daedal import __version__
from daedal.codecs.text import TextCodec
from daedal.data.clean import text_of
from daedal.data.conversations import ConversationDataset, open_stream
from daedal.data.document import Raw
from daedal.data.manifest import MANIFEST
from daedal.data.readers import Reading
from daedal.data.request import told
from daedal.data.shards import Dataset
from daedal.data.sources import read_item, resolve
from daedal.data.spool import Tally
from daedal.errors import DaedalError
from daedal.evaluation.baselines import TRAIN_TOKENS, Baseline, compressors, ngram
from daedal.evaluation.documents import Documents
from daedal.evaluation.likelihood import estimate_seconds, evaluate_documents, sliding
from daedal.evaluation.memorization import SEARCHED_BYTES, Memorization, memorization
from daedal.evaluation.report import Curve, DataFacts, EvaluationReport, ModelFacts, Sample
from daedal.evaluation.subject import NotMeasurable, curve_points, kept, plan_facts, run_folder, subject_name
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT
from daedal.training.learned_data import is_own, own_data
from daedal.training.run import RunFolder

SAMPLE_TOKENS = 200
# On one core of 2023; what they are good for is to leave room in a time budget
_SECONDS_PER_COUNTED_TOKEN = 1.5e-6
_SECONDS_PER_SEARCHED_BYTE = 3e-7
_SECONDS_PER_COMPRESSED_BYTE = 1e-6


class Progress(Protocol):
    """Told how much of the whole is done, and what is being done."""

    def __call__(self, done: float, total: float | None, doing: str = "") -> None: ...


def silence(done: float, total: float | None, doing: str = "") -> None:
    """Tells nobody."""


def evaluate(
    run: str | Path | Generator,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    samples: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Measure a model on a split of its own data, or on other data, and write the report into its run folder.

    The report is written where a run is measured on the data of its plan: numbers of other data are given, not kept.

    Args:
        run: a run folder, the id of a model on the Hugging Face Hub, or a loaded generator.
        data: a data folder, or any file or folder of text; a run's own data unless given.
        split: which split of a data folder: validation, or test where that is empty, unless given.
        window: tokens that the model sees at once; its context unless given.
        stride: how far the window moves; half of it unless given.
        samples: how many texts the model writes: half from nothing, half from held-out beginnings.
        seed: of samples, prompts and held-out pieces.

    Raises:
        DaedalError: there is no such run or data, or it cannot be measured.
    """
    started = time.monotonic()
    tell: Progress = progress or silence
    tell(0, 100, "loading")
    generator = run if isinstance(run, Generator) else Generator.open(str(run))
    folder = None if isinstance(run, Generator) else run_folder(Path(run))
    source = _own_data(folder) if data is None else _data(data)
    own = folder is not None and isinstance(source, Dataset) and (data is None or is_own(source, folder))
    learned = source if own or folder is None else _learned(folder)
    documents, train, facts = _open(source, split, generator.codec, learned)
    model_hash = generator.fingerprint

    window, stride = sliding(generator.model, window, stride)
    measured = evaluate_documents(
        generator.model, documents, window, stride, model_hash=model_hash,
        progress=lambda done, total: tell(70 * done / total, 100, "predicting held-out text"),
    )  # fmt: skip
    tell(70, 100, "baselines")
    baselines = _baselines(documents, train)
    tell(80, 100, "writing samples")
    drawn, sampling = _samples(generator, documents, samples, seed)
    tell(93, 100, "looking for copies")
    copies = _copies([sample.text for sample in drawn], train, documents, model_hash, seed)
    report = EvaluationReport(
        daedal=__version__,
        model=_model_facts(generator, model_hash),
        data=facts,
        measurements=measured.measurements,
        baselines=baselines,
        memorization=copies,
        samples=drawn,
        sampling=sampling,
        plan=plan_facts(folder),
        curve=_curve(folder) if folder is not None else None,
        seconds=round(time.monotonic() - started, 2),
    )
    tell(100, 100, "done")
    return kept(report, folder if own else None)


def held_out(dataset: Dataset) -> str:
    """The split to measure on.

    Raises:
        NotMeasurable: nothing is held out.
    """
    for name in ("validation", "test"):
        if dataset.split(name).documents:
            return name
    raise NotMeasurable(
        f"{dataset.folder} holds out no text to measure on", "Build the data with a larger --split for it"
    )


def expected_seconds(model: GPT, dataset: Dataset) -> float:
    """About how long `evaluate` will take on held-out text: the likelihood timed by a batch, the rest by its size.

    Raises:
        NotMeasurable: nothing is held out.
    """
    documents = Documents.of_split(dataset.split(held_out(dataset)), dataset.codec)
    train = dataset.split("train")
    counted = min(train.tokens, TRAIN_TOKENS) + int(documents.tokens.sum())
    searched = min(train.bytes, SEARCHED_BYTES)
    compressed = int(documents.bytes.sum())
    rest = counted * _SECONDS_PER_COUNTED_TOKEN + searched * _SECONDS_PER_SEARCHED_BYTE
    return 0.8 + estimate_seconds(model, documents) + rest + compressed * _SECONDS_PER_COMPRESSED_BYTE


class Texts(NamedTuple):
    """Documents, and what is to be told of how they were read."""

    texts: list[str]
    notes: tuple[str, ...]


def read_texts(source: str | Path) -> Texts:
    """The documents in files of any kind that `daedal data build` reads, as it would read them.

    Raises:
        DaedalError: there is no text to be read.
    """
    named = resolve(str(source), "test")
    texts, tally, last = list[str](), Tally(), ("", False)
    for item in named.items:
        for event in read_item(item, Reading()):
            if isinstance(event, Raw):
                text, _ = text_of(event)
                if event.part and last == (event.label, True):
                    texts[-1] += text
                else:
                    texts.append(text)
                last = (event.label, event.part)
            else:
                tally.record(event)
    if not any(texts):
        raise DaedalError(f"There is no text in {source}{told(tally)}", "Give a file with some text in it")
    left_out = tuple(f"{entry[0]:,} left out: {reason}, as {entry[2][0]}" for reason, entry in tally.dropped.items())
    return Texts(texts, (*tally.coding(), *tally.omissions(), *tally.notes, *left_out))


def _open(
    source: Dataset | str | Path, split: str | None, codec: TextCodec, learned: Dataset | str | Path | None
) -> tuple[Documents, Documents | None, DataFacts]:
    """The documents to measure on, the training text, and the facts of both.

    Other data than the model's own leaves the training text what it was: the baselines learn from what the model learned.
    """
    notes: tuple[str, ...] = ()
    if isinstance(source, Dataset):
        documents = _split(source, split or held_out(source), codec)
        if isinstance(source, ConversationDataset):
            notes = ("conversations are measured whole, what users say and the marks of turns included",)
    else:
        texts, notes = read_texts(source)
        documents = Documents.of_texts(texts, codec, Path(source).name)
    learned = learned if isinstance(learned, Dataset) else None
    train = _split(learned, "train", codec) if learned is not None else None
    manifest = learned.manifest if learned is not None else None
    facts = DataFacts(
        name=documents.name, documents=len(documents), bytes=int(documents.bytes.sum()),
        tokens=int(documents.tokens.sum()), hash=documents.fingerprint,
        sources=tuple(Path(each.source).name or each.source for each in manifest.sources) if manifest else (),
        licences=tuple(sorted({each.licence or "unknown" for each in manifest.sources})) if manifest else (),
        languages=tuple(each.name for each in manifest.languages) if manifest else (),
        train_documents=len(train) if train else 0,
        train_bytes=int(train.bytes.sum()) if train else 0,
        train_tokens=int(train.tokens.sum()) if train else 0,
        notes=notes,
    )  # fmt: skip
    return documents, train, facts


def _split(dataset: Dataset, name: str, codec: TextCodec) -> Documents:
    """A split in the model's own tokens: encoded anew where the dataset has others."""
    split = dataset.split(name)
    if dataset.manifest.codec.fingerprint == codec.fingerprint():
        return Documents.of_split(split, codec)
    return Documents.of_texts([split.text(index) for index in range(split.documents)], codec, name)


def _baselines(documents: Documents, train: Documents | None) -> tuple[Baseline, ...]:
    counted = (ngram(train, documents, 1), ngram(train, documents, 5)) if train is not None else ()
    return (*counted, *compressors(documents, train))


def _samples(
    generator: Generator, documents: Documents, count: int, seed: int
) -> tuple[tuple[Sample, ...], dict[str, Any]]:
    if count < 1:
        return (), {}
    context = generator.model.config.context
    options: dict[str, Any] = {
        "max_tokens": SAMPLE_TOKENS,
        "temperature": 0.8,
        "top_p": 0.95,
        "seed": seed,
        "overflow": "slide",
    }
    prompts = [""] * (count - count // 2) + _beginnings(documents, count // 2, max(1, min(16, context // 4)), seed)
    completions = generator.generate(prompts, **options)
    return tuple(Sample(prompt=each.prompt, text=each.text) for each in completions), options


def _beginnings(documents: Documents, count: int, tokens: int, seed: int) -> list[str]:
    """Short passages of held-out text, from a line's or at least a word's beginning."""
    generator, last = np.random.default_rng(seed), int(documents.offsets[-1])
    found = []
    for _ in range(count):
        start = int(generator.integers(0, max(1, last - 4 * tokens)))
        text = documents.codec.decode(documents.read(start, min(last, start + 4 * tokens)).tolist())
        for border in ("\n", " "):
            _, _, after = text.partition(border)
            if len(after.strip()) >= 8:
                text = after
                break
        ids = documents.codec.encode(text.strip())[:tokens]
        found.append(documents.codec.decode(ids).rstrip("\ufffd"))
    return [text or "" for text in found]


def _copies(
    texts: list[str], train: Documents | None, held_out: Documents, model_hash: str, seed: int
) -> Memorization | None:
    if train is None or not any(texts):
        return None
    return memorization(texts, train, held_out, model_hash=model_hash, seed=seed)


def _model_facts(generator: Generator, model_hash: str) -> ModelFacts:
    config = generator.model.config
    return ModelFacts(
        name=subject_name(generator.name), architecture=config.architecture, parameters=generator.model.parameter_count,
        depth=config.depth, width=config.width, heads=config.heads, context=config.context, vocab_size=config.vocab_size,
        codec=generator.codec.kind, hash=model_hash,
    )  # fmt: skip


def _curve(folder: RunFolder) -> Curve | None:
    records = folder.records("metrics.jsonl")
    train, validation = (curve_points(records, name) for name in ("bits_per_byte", "validation_bits_per_byte"))
    return Curve(train=train, validation=validation) if train or validation else None


def _own_data(folder: RunFolder | None) -> Dataset:
    if folder is None:
        raise DaedalError("This model has no training run that says what to measure it on", "Name the data by --data")
    data = own_data(folder)
    assert isinstance(data, Dataset)
    return data


def _data(source: str | Path) -> Dataset | str | Path:
    """A data folder, opened; anything else as it is."""
    return open_stream(source) if (Path(source) / MANIFEST).is_file() else source


def _learned(folder: RunFolder) -> Dataset | None:
    """What a run learned from, where it is still at hand."""
    try:
        return _own_data(folder)
    except DaedalError:
        return None
