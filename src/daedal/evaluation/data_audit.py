"""What data hold that a model should not learn, or that makes it lean: personal data, secrets, licences, copies, imbalance.

A data folder is looked at as it was built. Files are searched for secrets and personal data as they lie there, every column of
every row (`searched_texts.py`), and are built, into a folder that goes away again, for copies, classes and licences. Everything
that is shown of a finding stands masked. The report becomes `audit.json` and
`audit.html`.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daedal import __version__
from daedal.data.any_build import build_any
from daedal.data.folder import DataFolder, open_data
from daedal.data.images.dataset import ImageDataset
from daedal.data.kind import open_kind
from daedal.data.licence_terms import UNKNOWN
from daedal.data.licences import LicenceLedger, licence_ledger
from daedal.data.manifest import MANIFEST
from daedal.data.places import with_places
from daedal.data.recognition import recognise
from daedal.data.secrets import Finding
from daedal.data.sensitive import PERSONAL, find
from daedal.data.shards import Dataset
from daedal.evaluation.blocks import Block, Note, Table
from daedal.evaluation.intervals import RATIO, ratio
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, Report, origin
from daedal.evaluation.report_folder import keep, require_folder
from daedal.evaluation.searched_texts import SearchedText, texts_of_data, texts_of_files
from daedal.printable import printable

NAME = "audit"
_SHOWN, _AROUND = 12, 40  # findings, and characters on either side of them
_MILLION = 1e6
_GROUPS: dict[str, tuple[str, ...]] = {"secrets": ("key",), "personal data": PERSONAL}
Progress = Callable[[str, float, float | None], None]


class _Found(NamedTuple):
    """What texts hold.

    Attributes:
        characters: of each text.
        counts: of secrets and of personal data, in each text.
        what: how often each thing stands there, by kind and name.
        texts: in how many texts.
        examples: kind, name, place and the masked text around.
    """

    characters: list[int]
    counts: dict[str, list[int]]
    what: Counter[tuple[str, str]]
    texts: Counter[tuple[str, str]]
    examples: list[tuple[str, str, str, str]]


def audit_data(
    source: str | Path, kind: str | None = None, *, out: str | Path | None = None, progress: Progress | None = None
) -> Report:
    """Look at a data folder, or at files.

    Args:
        source: a data folder, or whatever `data build` reads.
        kind: of example that files hold; seen from them unless given.
        out: a folder for the report; the data folder unless given.
        progress: told a stage, what of it is done, and of how much.

    Raises:
        DaedalError: there is nothing that can be read.
    """
    tell = progress or (lambda stage, done, total: None)
    started = time.monotonic()
    if out is not None:
        require_folder(Path(out), NAME)
    if (Path(source) / MANIFEST).is_file():
        data = open_data(source)
        report = _audit(data, texts_of_data(data), Path(source).name, started, tell)
        return keep(report, Path(source if out is None else out), NAME)
    with tempfile.TemporaryDirectory(prefix="daedal-audit-") as folder:
        data = _built(str(source), kind, Path(folder) / "data", tell)
        report = _audit(data, texts_of_files(str(source)), Path(source).name or str(source), started, tell)
    return report if out is None else keep(report, Path(out), NAME)


def _built(source: str, kind: str | None, out: Path, tell: Progress) -> Any:
    """The files as data, all in one split and with nothing masked; a codec by bytes needs no learning."""
    chosen = kind or recognise([source], {})
    fields = open_kind(chosen).options.model_fields
    options: dict[str, Any] = {"split": (100.0, 0.0, 0.0)}
    if "codec" in fields and chosen not in ("histories", "tunes", "sounds", "clips"):
        options["codec"] = "byte"
    return build_any([source], out, chosen, {**options, "progress": tell})


def _audit(
    data: DataFolder[Any, Any], searched: Iterable[SearchedText], name: str, started: float, tell: Progress
) -> Report:
    manifest = data.manifest
    total = sum(each.bytes for each in manifest.sources) or None
    found = _search(searched, total, tell)
    ledger = licence_ledger(data.folder)
    texts, characters = len(found.characters), sum(found.characters)
    count = _examples(data)
    says = f"{count:,} {data.kind.line.noun[count != 1]}, {characters:,} characters of text"
    measurements = [
        *_rates(found, manifest.fingerprint),
        *_copies(data),
        *_balance(data),
        *_unlicensed(ledger, manifest.fingerprint),
    ]
    measurements = [each.but(data_hash=manifest.fingerprint) for each in measurements]
    blocks: list[Block] = [
        *_findings(found),
        *_licences(ledger),
        *_classes(data),
        *_languages(data),
        *_places_told(data, tell),
    ]
    options = manifest.model_dump(mode="json")["options"]
    if options["near_duplicates"] == "off":
        blocks.append(Note(brief="near copies were not looked for when these data were built"))
    if not texts:
        blocks.append(Note(brief="there is no text in these data in which to look for personal data and secrets"))
    tell("audit", 1, 1)
    return Report(
        daedal=__version__,
        model=ModelFacts(name=name, parameters=0, hash="", says=f"data: {data.kind.line.says}"),
        data=DataFacts(name=name, hash=manifest.fingerprint, says=says, **origin(manifest.sources)),
        presentation=Presentation(
            what="Data, audited", data=data.kind_name, task="", tag="data-audit", use="", limits=_LIMITS,
            headlines=("secrets", "personal-data", "files-of-unknown-licence", "near-copies"),
        ),
        measurements=tuple(measurements), blocks=tuple(blocks), missing=_left_out(data),
        seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip


_LIMITS = (
    "Found are things by their form; names of people, and what a sentence tells of somebody, have none. How often findings are "
    "right, and how many are missed, is measured in Daedal's docs/data-safety.md."
)


def _left_out(data: DataFolder[Any, Any]) -> tuple[str, ...]:
    """What was not read, and why."""
    return tuple(
        f"{each.count:,} left out: {each.reason}, as {printable(each.examples[0])}" if each.examples else each.reason
        for each in getattr(data.manifest, "dropped", ())
    )


def _examples(data: DataFolder[Any, Any]) -> int:
    return sum(
        next(getattr(record, each) for each in ("documents", "examples", "pictures") if hasattr(record, each))
        for record in data.manifest.splits.values()
    )


# -- texts -------------------------------------------------------------------------------------------------------------


def _search(searched: Iterable[SearchedText], total: int | None, tell: Progress) -> _Found:
    found = _Found([], {name: [] for name in _GROUPS}, Counter(), Counter(), [])
    done = 0
    tell("audit", 0, total)
    for text, place in searched:
        findings = find(text)
        found.characters.append(len(text))
        for name, numbers in found.counts.items():
            numbers.append(sum(each.kind in _GROUPS[name] for each in findings))
        for each in findings:
            found.what[each.kind, each.what] += 1
        for thing in {(each.kind, each.what) for each in findings}:
            found.texts[thing] += 1
            if found.texts[thing] <= _SHOWN // 4:
                shown = next(each for each in findings if (each.kind, each.what) == thing)
                found.examples.append((*thing, place(shown.begin), _around(text, findings, shown)))
        done += len(text)
        tell("audit", min(done, total) if total else done, total)
    return found


def _around(text: str, findings: Sequence[Finding], shown: Finding) -> str:
    """What stands around a finding, every finding in it masked; of one that is cut nothing is shown."""
    low, high = max(0, shown.begin - _AROUND), shown.end + _AROUND
    parts, done = [], low
    for each in findings:
        if each.end > low and each.begin < high:
            parts += [text[done : max(done, each.begin)], f"<{each.kind}>"]
            done = each.end
    return " ".join(("".join(parts) + text[done : max(done, high)]).split())


# -- measurements ------------------------------------------------------------------------------------------------------


def _rates(found: _Found, data_hash: str) -> Iterator[Measurement]:
    """Findings in a million characters, and the share of texts that have any."""
    characters = np.array(found.characters, dtype=np.float64)
    if not characters.any():
        return
    for name, kinds in _GROUPS.items():
        counts = np.array(found.counts[name], dtype=np.float64)
        slug = name.replace(" ", "-")
        rate = ratio(counts, characters / _MILLION)
        value = float(counts.sum() / characters.sum() * _MILLION)
        interval = rate.positive_interval if rate is not None and value > 0 else None
        yield Measurement(
            name=f"{name} in a million characters", value=value, unit="findings", interval=interval,
            interval_method=f"{RATIO}, over texts" if interval else "", n=len(characters), pieces="texts",
            definition=define(slug, 1, kinds="+".join(kinds)), data_hash=data_hash,
        )  # fmt: skip
        yield Measurement(
            name=f"share of texts with {name}", unit="", pieces="texts", **share_of(float((counts > 0).sum()), len(counts)),
            definition=define(f"texts-with-{slug}", 1, kinds="+".join(kinds)), data_hash=data_hash,
        )  # fmt: skip


def _copies(data: DataFolder[Any, Any]) -> Iterator[Measurement]:
    """What the build found more than once, of all that it read."""
    found, options = data.manifest.duplicates, data.manifest.model_dump(mode="json")["options"]
    dropped = found.exact + found.near + found.held_out
    total = _examples(data) + dropped
    for name, count, looked in (
        ("exact copies", found.exact, options["exact_duplicates"]),
        ("near copies", found.near, options["near_duplicates"] != "off"),
    ):
        if looked:
            yield Measurement(
                name=f"share of {name}", unit="", pieces="examples", **share_of(count, total),
                definition=define(name.replace(" ", "-"), 1, near=options["near_duplicates"]),
            )  # fmt: skip


def _class_counts(data: DataFolder[Any, Any]) -> dict[str, dict[str, int]]:
    """How many examples each class has, over all splits, by column."""
    manifest = data.manifest
    if isinstance(data, ImageDataset):
        names: dict[str, tuple[str, ...]] = {"class": manifest.classes} if manifest.classes else {}
        counts = {"class": [each.classes for each in manifest.splits.values()]}
    elif isinstance(data, Dataset):
        return {}
    else:
        names = {name: record.names for name, record in manifest.columns.items() if record.names}
        counts = {name: [each.classes.get(name, ()) for each in manifest.splits.values()] for name in names}
    return {
        column: {each: sum(of[place] for of in counts[column] if of) for place, each in enumerate(classes)}
        for column, classes in names.items()
    }


def _balance(data: DataFolder[Any, Any]) -> Iterator[Measurement]:
    """How evenly classes, languages and lengths are spread."""
    spread = {f"classes of {name}": list(counts.values()) for name, counts in _class_counts(data).items()}
    if isinstance(data, Dataset):
        spread["languages"] = [each.count for each in data.manifest.languages if each.name != "unknown"]
    if len(data.manifest.sources) > 1:
        spread["sources, by bytes"] = [each.bytes for each in data.manifest.sources]
    for name, counts in spread.items():
        counts = [each for each in counts if each]
        if len(counts) < 2:
            continue
        total = sum(counts)
        shares = np.array(counts) / total
        slug = name.partition(" of ")[0].partition(",")[0]
        yield Measurement(
            name=f"evenness of {name}", value=float(-(shares * np.log(shares)).sum() / np.log(len(counts))), unit="",
            n=total, pieces="counts", better="higher", definition=define(f"evenness-of-{slug}", 1, of=len(counts)),
        )  # fmt: skip
        if "bytes" not in name:
            yield Measurement(
                name=f"share of the largest of {name}", unit="", pieces="examples", better="neither",
                **share_of(max(counts), total), definition=define(f"largest-of-{slug}", 1, of=len(counts)),
            )  # fmt: skip
    if isinstance(data, Dataset):
        sizes = np.sort(np.concatenate([data.split(name).document_bytes for name in data.manifest.splits]))[::-1]
        if len(sizes) >= 100 and sizes.sum():
            yield Measurement(
                name="share of bytes in the longest 1 % of documents",
                value=float(sizes[: len(sizes) // 100].sum() / sizes.sum()), unit="", n=len(sizes), better="neither",
                definition=define("bytes-in-longest-documents", 1, share=0.01),
            )  # fmt: skip


def _unlicensed(ledger: LicenceLedger, data_hash: str) -> Iterator[Measurement]:
    total = sum(each.files for each in ledger.entries)
    unknown = sum(each.files for each in ledger.entries if each.licence == UNKNOWN)
    if total:
        yield Measurement(
            name="share of files of unknown licence", value=unknown / total, unit="", n=total, pieces="files",
            definition=define("files-of-unknown-licence", 1), data_hash=data_hash,
        )  # fmt: skip


# -- blocks ------------------------------------------------------------------------------------------------------------


def _findings(found: _Found) -> Iterator[Block]:
    rows = tuple(
        (kind, what, count, found.texts[kind, what])
        for (kind, what), count in sorted(found.what.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    if not rows:
        yield Note(brief="no secret and no personal datum was found by its form")
        return
    says = "By its form. The first column is the name that `data build --mask` has for it."
    yield Table(title="Personal data and secrets", says=says, head=("kind", "what", "findings", "texts"), rows=rows)
    examples = tuple((what, where, text) for _, what, where, text in found.examples[:_SHOWN])
    yield Table(
        title="Where",
        says="Masked; the file and the row or line, of built data the split and the number of the example in it.",
        head=("what", "where", "text"),
        rows=examples,
    )


def _licences(ledger: LicenceLedger) -> Iterator[Block]:
    rows = tuple(
        (
            "unknown" if each.licence == UNKNOWN else each.licence,
            each.how,
            Path(each.source).name or each.source,
            each.files,
        )
        for each in ledger.entries
    )
    says = " ".join(f"{line[:1].upper()}{line[1:]}." for line in ledger.obligations)
    yield Table(title="Licences", says=says, head=("licence", "known by", "source", "files"), rows=rows)


def _classes(data: DataFolder[Any, Any]) -> Iterator[Block]:
    for column, counts in _class_counts(data).items():
        total = sum(counts.values()) or 1
        ordered = sorted(counts.items(), key=lambda pair: -pair[1])
        rows = tuple((name, count, count / total) for name, count in ordered)
        yield Table(
            title=f"Classes of {column}" if column != "class" else "Classes",
            head=("class", "examples", "share"),
            rows=rows,
        )


def _languages(data: DataFolder[Any, Any]) -> Iterator[Block]:
    if isinstance(data, Dataset) and data.manifest.languages:
        rows = tuple((each.name, each.count) for each in data.manifest.languages)
        yield Table(title="Languages", says="Of a sample of the documents.", head=("language", "documents"), rows=rows)


def _places_told(data: DataFolder[Any, Any], tell: Progress) -> Iterator[Block]:
    """Pictures whose files tell where they were taken; built data have pixels only, so their sources are looked at."""
    if not isinstance(data, ImageDataset):
        return
    looked, told = with_places([each.source for each in data.manifest.sources], lambda done: tell("places", done, None))
    if looked:
        note = f"{told:,} of {looked:,} files tell by EXIF where their picture was taken; the pixels that are learned do not"
        yield Note(brief=note if told else f"none of {looked:,} files tells by EXIF where its picture was taken")
