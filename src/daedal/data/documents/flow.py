"""Paragraphs, items of lists and rows of tables, as an office format nests them -> plain lines."""

from typing import Literal

Kind = Literal["paragraph", "item", "row"]


class Flow:
    """Collects text as elements begin and end. A row of a table becomes a line, its cells with ` | ` between."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Kind, str]] = []
        self._open: list[list[str]] = []  # a text box is a paragraph within another
        self._rows: list[list[list[str]]] = []

    def begin(self) -> None:
        """A paragraph begins."""
        self._open.append([])

    def add(self, text: str) -> None:
        """Text of the paragraph that is open; what stands in none is no text."""
        if self._open:
            self._open[-1].append(text)

    def end(self, item: bool = False) -> None:
        """The paragraph ends, which may be an item of a list."""
        if self._open:
            self._put("item" if item else "paragraph", "".join(self._open.pop()).strip())

    def drop(self) -> None:
        """The paragraph ends and is not wanted."""
        if self._open:
            self._open.pop()

    def begin_row(self) -> None:
        """A row of a table begins, in a cell or not."""
        self._rows.append([])

    def begin_cell(self) -> None:
        """A cell of the row begins."""
        if self._rows:
            self._rows[-1].append([])

    def end_row(self) -> None:
        """The row ends. One with a single cell is there for its frame, and its paragraphs are paragraphs."""
        if not self._rows:
            return
        cells = self._rows.pop()
        if len(cells) == 1:
            for paragraph in cells[0]:
                self._put("paragraph", paragraph)
        elif any(any(cell) for cell in cells):
            self._put("row", " | ".join(" ".join(" ".join(cell).split()) for cell in cells).strip())

    def text(self) -> str:
        """All of it: an empty line between paragraphs, none between items of a list or rows of a table."""
        pieces = []
        before: Kind | None = None
        for kind, text in self._blocks:
            if before is not None:
                pieces.append("\n" if before == kind != "paragraph" else "\n\n")
            pieces.append(f"- {text}" if kind == "item" else text)
            before = kind
        return "".join(pieces)

    def _put(self, kind: Kind, text: str) -> None:
        if not text:
            return
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(text)
        else:
            self._blocks.append((kind, text))
