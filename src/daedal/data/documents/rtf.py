"""RTF (specification 1.9.1): the text of the body, then its footnotes.

Heads and feet of pages and comments are left out and counted; so are pictures, hidden and deleted text, and all
destinations (`\\*`) that a reader may ignore. Bytes are in the code page of their font, characters of `\\u` stand in
place of those that follow for old readers.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from daedal.data.document import Event, Omitted, Raw
from daedal.data.documents.flow import Flow
from daedal.data.filetypes import words
from daedal.data.plain_text import read_whole

_TOKEN = re.compile(
    rb"\\([A-Za-z]{1,32})(-?\d{1,10})? ?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\", re.DOTALL
)


_SKIPPED = words(
    "colortbl stylesheet listtable listoverridetable revtbl rsidtbl filetbl info pict objdata fldinst "
    "bkmkstart bkmkend xe tc rxe themedata colorschememapping datastore latentstyles generator template sn sv "
    "pgptbl xmlnstbl mmathPr nonshppict atnid atnauthor atntime atnref atrfstart atrfend atndate atnparent "
    "ftnsep ftnsepc aftnsep aftnsepc "
)
_HEADS = ("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf")
_OMITTED = dict.fromkeys(_HEADS, "running heads and feet") | {"annotation": "comments"}
_MARKERS = frozenset(("pntext", "listtext"))
_KEPT = frozenset(("shpinst", "shptxt", "footnote"))  # text, though a reader may ignore them
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ", "qmspace": " ", "bullet": "•",
    "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
_SYMBOLS = {b"~": "\xa0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}"}
_PARAGRAPH_ENDS = frozenset(("par", "sect", "page", "nestcell", "nestrow"))
_PAGES = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_PAGES_BY_NUMBER = {10000: "mac_roman", 1361: "johab", 65001: "utf-8"}
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "cp950", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437",
    255: "cp850",
}  # fmt: skip
_DEEPEST = 10_000


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in an RTF file."""
    data = read_whole(stream)
    if not data.lstrip().startswith(b"{\\rtf"):
        raise ValueError("it is no RTF by its first bytes")
    reader = _Reader(data, encoding or "cp1252")
    reader.run()
    yield Raw(label, -1, "\n\n".join(filter(None, (reader.body.text(), reader.notes.text()))), "prose", "RTF")
    yield from (Omitted(what, count) for what, count in reader.omitted.items())


@dataclass(frozen=True)
class _State:
    """What holds in a group, and ends with it."""

    skipped: bool = False
    fonts: bool = False  # whether the table of fonts is being read
    note: bool = False
    page: str | None = None  # the code page of the font; that of the file where the font has none
    fallback: int = 1  # how many characters after one of \u are for readers that do not know it
    hidden: bool = False
    deleted: bool = False
    table: bool = False


class _Reader:
    def __init__(self, data: bytes, page: str) -> None:
        self.body, self.notes = Flow(), Flow()
        self.omitted = Counter[str]()
        self._data = data
        self._page = page
        self._pages: dict[int, str] = {}
        self._font = 0
        self._state = _State()
        self._stack: list[_State] = []
        self._bytes = bytearray()
        self._pieces: dict[bool, list[str]] = {False: [], True: []}  # the open paragraph of the body and of the note
        self._cell: list[str] = []
        self._cells: list[str] = []
        self._item = False
        self._ignorable = False
        self._owed = 0  # characters still to come that only repeat one of \u

    def run(self) -> None:
        """Read it to its end."""
        place = 0
        while match := _TOKEN.match(self._data, place):
            place = match.end()
            word, number, byte, symbol, brace, text = match.groups()
            if word is not None:
                value = int(number) if number else None
                if word == b"bin":
                    place += max(0, value or 0)
                else:
                    self._word(word.decode("ascii"), value)
            elif brace is not None:
                self._group(brace == b"{")
            elif byte is not None:
                self._add_bytes(bytes.fromhex(byte.decode("ascii")))
            elif text is not None:
                self._add_bytes(text)
            elif symbol is not None:
                self._symbol(symbol)
        self._paragraph()

    @property
    def _silent(self) -> bool:
        state = self._state
        return state.skipped or state.hidden or state.deleted or state.fonts

    def _group(self, begins: bool) -> None:
        self._flush()
        self._owed = 0
        if begins:
            if len(self._stack) > _DEEPEST:
                raise ValueError(f"its groups are nested more than {_DEEPEST:,} deep")
            self._stack.append(self._state)
        elif self._stack:
            was, self._state = self._state, self._stack.pop()
            if was.note and not self._state.note:
                self._paragraph(of=was)
        self._ignorable = False

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._ignorable = True
        elif symbol in (b"\n", b"\r"):
            self._paragraph()
        elif symbol in _SYMBOLS:
            self._add(_SYMBOLS[symbol])

    def _word(self, word: str, value: int | None) -> None:
        state = self._state
        ignorable, self._ignorable = self._ignorable, False
        if state.skipped:
            return
        if word == "fonttbl":
            self._state = replace(state, fonts=True)
        elif word in _OMITTED:
            self.omitted[_OMITTED[word]] += 1
            self._state = replace(state, skipped=True)
        elif word in _MARKERS:
            self._item = True
            self._state = replace(state, skipped=True)
        elif word == "footnote":
            self._flush()
            self._state = replace(state, note=True, table=False)
        elif word in _SKIPPED or (ignorable and word not in _KEPT):
            self._state = replace(state, skipped=True)
        elif word == "u" and value is not None:
            self._flush()
            if not self._silent:
                self._pieces[state.note].append(chr(value % 65536))
            self._owed = state.fallback
        elif word == "uc":
            self._state = replace(state, fallback=min(max(value or 0, 0), 100))
        elif word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif word in _PARAGRAPH_ENDS:
            self._paragraph()
        elif word == "cell":
            self._end_cell()
        elif word == "row":
            self._end_row()
        else:
            self._property(word, value)

    def _property(self, word: str, value: int | None) -> None:
        state, on = self._state, value != 0
        if word == "f":
            self._flush()
            self._font = value or 0
            if not state.fonts:
                self._state = replace(state, page=self._pages.get(value or 0))
        elif word in ("fcharset", "cpg") and state.fonts:
            page = _CHARSETS.get(value or 0) if word == "fcharset" else _known(value)
            if page is not None:
                self._pages[self._font] = page
        elif word == "plain":
            self._flush()
            self._state = replace(state, page=None, hidden=False, deleted=False)
        elif word == "v":
            self._flush()
            self._state = replace(state, hidden=on)
        elif word == "deleted":
            self._flush()
            self._state = replace(state, deleted=on)
        elif word == "intbl":
            self._state = replace(state, table=True)
        elif word == "pard":
            self._state = replace(state, table=False)
            self._item = False
        elif word == "ansicpg":
            self._page = _known(value) or self._page
        elif word in _PAGES:
            self._page = _PAGES[word]

    def _add_bytes(self, data: bytes) -> None:
        if self._owed:
            taken = min(self._owed, len(data))
            self._owed -= taken
            data = data[taken:]
        if not self._silent:
            self._bytes += data

    def _add(self, text: str) -> None:
        if self._owed:
            self._owed -= 1
            return
        self._flush()
        if not self._silent:
            self._pieces[self._state.note].append(text)

    def _flush(self) -> None:
        """Decode the bytes so far: a character may have two."""
        if self._bytes:
            text = self._bytes.decode(self._state.page or self._page, "replace")
            self._pieces[self._state.note].append(text)
            self._bytes.clear()

    def _paragraph(self, of: _State | None = None) -> None:
        """The paragraph ends, in the body, in a note or in a cell."""
        self._flush()
        state = of or self._state
        if state.skipped:
            return
        pieces = self._pieces[state.note]
        text = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        pieces.clear()
        item, self._item = self._item and not state.note, self._item and state.note
        if state.table:
            self._cell.append(text)
            return
        self._end_row()
        flow = self.notes if state.note else self.body
        flow.begin()
        flow.add(text)
        flow.end(item)

    def _end_cell(self) -> None:
        self._state = replace(self._state, table=True)
        self._paragraph()
        self._cells.append("\n".join(self._cell))
        self._cell.clear()

    def _end_row(self) -> None:
        if not self._cells:
            return
        self.body.begin_row()
        for cell in self._cells:
            self.body.begin_cell()
            self.body.begin()
            self.body.add(cell)
            self.body.end()
        self.body.end_row()
        self._cells.clear()


def _known(page: int | None) -> str | None:
    """Python's name of a code page."""
    name = _PAGES_BY_NUMBER.get(page or 0, f"cp{page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None
