"""What tables and texts beside recordings say of them: transcripts, labels, speakers.

Tables with a column of files (Common Voice, Hugging Face's `metadata.csv`), `id|text|normalised text` (LJSpeech), lines of
`id text` (LibriSpeech's `.trans.txt`), a text beside each recording (`a.txt` or `a.lab` beside `a.wav`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, cast

from daedal.data.beside import Beside, one_line
from daedal.data.decode import Decoder
from daedal.data.document import Lost, Note
from daedal.data.fields import about, match
from daedal.data.filetypes import FileType
from daedal.data.plain_text import read_whole
from daedal.data.rejoined import Rejoined
from daedal.data.rows import Chosen, Read, Row, Whole, read_chosen, rows_in
from daedal.data.sound_files import ENDS
from daedal.data.sources import Item

USUAL = {
    "file": (
        "file_name",
        "filename",
        "file",
        "path",
        "audio",
        "audio_path",
        "audio_file",
        "wav",
        "wav_filename",
        "sound",
        "id",
    ),
    "transcript": ("transcript", "transcription", "sentence", "text", "normalized_text", "utterance"),
    "label": ("label", "class", "category", "word", "digit", "emotion", "intent", "genre"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk", "reader"),
}
_TABLES = frozenset(("csv", "tsv", "jsonl", "json"))
_TEXTS = (".txt", ".lab")
_MANY = ".trans.txt"
_HEAD = 2**16


class Said(NamedTuple):
    """What is said of a recording."""

    transcript: str | None = None
    label: str | None = None
    speaker: str | None = None


def stem(name: str) -> str:
    """A name without the end that says that it is a sound, or a text beside one."""
    head, dot, end = name.rpartition(".")
    return head if dot and (end.lower() in ENDS or end.lower() in ("txt", "lab")) else name


def spoken(
    items: Sequence[Item], asked: dict[str, str], encoding: str | None, beside: bool, tables: bool
) -> Beside[Said]:
    """What files say of recordings.

    Args:
        asked: columns of a table, by what they are.
        beside: whether texts beside recordings are read.
        tables: whether tables are.
    """
    found = Beside(Said())

    def read(label: str, stream: BinaryIO, type_: FileType) -> Iterator[Read]:
        yield from found.told(_read(label, stream, type_, encoding, beside, tables))

    for item in items:
        for each in read_chosen(item, encoding, lambda rows: _columns(rows, asked, found.columns), read):
            if isinstance(each, Whole):
                for name, text in _lines(each):
                    found.add(name, Said(text))
            elif isinstance(each, Chosen) and "file" in each.choice:
                cells = {name: one_line(each.row.values.get(column)) for name, column in each.choice.items()}
                if (named := cells.pop("file")) is not None:
                    found.add(named, Said(**cells))
    return found


def _columns(rows: Sequence[Row], asked: dict[str, str], notes: list[Note]) -> dict[str, str]:
    names = dict.fromkeys(name for row in rows for name in row.values)
    if [*names] == [str(place) for place in range(len(names))] and len(names) in (2, 3):  # LJSpeech's
        return {"file": "0", "transcript": str(len(names) - 1)}
    chosen = match(names, USUAL, asked)
    if "file" in chosen and len(chosen) > 1:
        told = ", ".join(f"{name} from {column!r}" for name, column in chosen.items())
        notes.append(Note(f"{rows[0].label} speaks of the recordings: {told} (--column {[*chosen][1]}=NAME chooses)"))
    return chosen if len(chosen) > 1 else {}


def _read(
    label: str, stream: BinaryIO, type_: FileType, encoding: str | None, beside: bool, tables: bool
) -> Iterator[Read]:
    """Rows and texts; nothing of other files."""
    name = label.lower()
    if about(re.split("[/!]", label)[-1]):
        return
    if tables and type_.reader in _TABLES:
        head = stream.read(_HEAD)
        whole = cast(BinaryIO, Rejoined(head, stream))
        if _piped(Decoder(encoding).decode(head)):
            text = Decoder(encoding).decode(whole.read(), final=True)
            for number, line in enumerate(text.splitlines()):
                yield Row(label, number, {str(place): cell for place, cell in enumerate(line.split("|"))})
        else:
            for each in rows_in(label, whole, type_, encoding):
                if isinstance(each, Whole):
                    yield Lost(label, "no table", "it has no rows that could speak of recordings", broken=False)
                else:
                    yield each
    elif beside and name.endswith(_MANY):
        yield Whole(label, Decoder(encoding).decode(read_whole(stream), final=True))
    elif beside and name.endswith(_TEXTS):
        data = stream.read(_HEAD + 1)
        if len(data) > _HEAD:
            yield Lost(
                label, "long text", f"more than {_HEAD >> 10} KiB are no transcript of a recording", broken=False
            )
        else:
            yield Whole(label, Decoder(encoding).decode(data, final=True))


def _piped(head: str) -> bool:
    """Whether lines are `id|text` without a head."""
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    parts = {line.count("|") for line in lines[:-1] or lines}
    return len(parts) == 1 and parts <= {1, 2} and not {"file_name", "path"} & {*lines[0].lower().split("|")}


def _lines(whole: Whole) -> Iterator[tuple[str, str]]:
    if whole.label.lower().endswith(_MANY):
        for line in whole.text.splitlines():
            name, _, text = line.strip().partition(" ")
            if text:
                yield name, text.strip()
    elif text := " ".join(whole.text.split()):
        yield whole.label, text


def telling(names: Iterable[str]) -> tuple[bool, bool]:
    """Whether names of files are of texts beside recordings, and of tables that may speak of them."""
    texts = tables = False
    for name in names:
        end = name.rpartition(".")[2].lower()
        texts |= f".{end}" in _TEXTS
        tables |= end in _TABLES or end == "tab"
    return texts, tables
