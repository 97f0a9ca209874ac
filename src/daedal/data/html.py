"""The main text of a web page: what stands in its article, without menus, scripts and lists of links.

Blocks are kept or left by where they stand and by how much of them is links, after Kohlschütter et al., "Boilerplate
Detection using Shallow Text Features", 2010.
"""

import re
from dataclasses import dataclass
from html.parser import HTMLParser


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SKIPPED = _words(
    "script style noscript template svg math canvas iframe object nav aside footer form button select option "
    "dialog head"
)
_VOID = _words("area base br col embed hr img input link meta param source track wbr")
_BLOCKS = _words(
    "p div section article main li ul ol dl dt dd h1 h2 h3 h4 h5 h6 pre blockquote table tr td th caption "
    "figure figcaption header body html address details summary hr br"
)
_MAIN = frozenset(("main", "article"))
_SPACE = re.compile(r"[ \t\n\r\f\v]+")


@dataclass
class _Block:
    text: str
    linked: int
    main: bool
    heading: bool
    preformatted: bool


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[_Block] = []
        self._open: list[str] = []
        self._pieces: list[str] = []
        self._linked = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._end_block()
        if tag not in _VOID:
            if tag == "p" and self._open and self._open[-1] == "p":
                self._open.pop()
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._end_block()

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_block()
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not _SKIPPED.isdisjoint(self._open):
            return
        self._pieces.append(data)
        if "a" in self._open:
            self._linked += len(data.strip())

    def close(self) -> None:
        super().close()
        self._end_block()

    def _end_block(self) -> None:
        text = "".join(self._pieces)
        pre = "pre" in self._open
        text = text.strip("\n") if pre else _SPACE.sub(" ", text).strip()
        if text.strip():
            heading = bool(self._open) and self._open[-1] in ("h1", "h2", "h3", "h4", "h5", "h6")
            inside = not _MAIN.isdisjoint(self._open)
            self.blocks.append(_Block(text, self._linked, inside, heading, pre))
        self._pieces.clear()
        self._linked = 0


def main_text(page: str) -> str:
    """The main text of an HTML page, a block a paragraph; empty where it has none."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    blocks = parser.blocks
    main = [block for block in blocks if block.main]
    if sum(len(block.text) for block in main) > 0.2 * sum(len(block.text) for block in blocks):
        blocks = main
    kept = [block for block in blocks if block.preformatted or block.linked <= 0.5 * len(block.text)]
    while kept and kept[-1].heading:
        kept.pop()
    return "\n\n".join(block.text for block in kept)
