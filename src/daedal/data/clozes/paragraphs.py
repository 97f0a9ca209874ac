"""Running text -> articles of paragraphs, each long enough to be asked about; and the sentences of a paragraph.

Text of corpora whose words stand apart (` , `, ` @-@ `, as in WikiText) is joined again.
"""

import re
from collections.abc import Iterator

_LINES = 120  # characters of a line on average, from which on each is a paragraph
_FEWEST, _ENOUGH, _MOST = 25, 60, 250  # words of a paragraph: less is left out, or joined with the next; more is cut
_HEADING = re.compile(r"\s*((?:=\s?)+)[^\s=].*?(?:\s?=)+\s*|\s*(#{1,6})\s.+")
_FENCED = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)  # code in Markdown
_APART = re.compile(r" (@(.)@) ")
_BEFORE = re.compile(r" (?=(?:[.,;:!?%)\]]|'(?:s|t|ve|re|ll|d|m)|n't)(?:\s|$|[.,;:)]))")
_BEHIND = re.compile(r"(?<=[(\[$£€])\s+")
_QUOTED = re.compile(r'" ([^"]+?) "')
_ENDS = re.compile(r"""[.!?]["'”’)\]]*(?=\s+["'“‘(\[]?[A-Z0-9])""")
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|[A-Z]\.[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Lt|Col|Gen|Capt|Sgt|Rev|Hon|No|Nos|vs|ca|c|Vol|Op|Fig|Mt|Ft|e\.g|i\.e|"
    r"etc|Inc|Ltd|Co|Corp|approx|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.$"
)  # fmt: skip


def is_apart(text: str) -> bool:
    """Whether the words and marks of a text stand apart, as a tokenizer left them."""
    return text.count(" , ") + text.count(" . ") > 2 * (text.count(", ") - text.count(" , "))


def joined(text: str) -> str:
    """A text with its marks at its words again."""
    text = _APART.sub(r"\2", text)
    text = _BEHIND.sub("", _BEFORE.sub("", text))
    return _QUOTED.sub(r'"\1"', text)


def articles(text: str) -> Iterator[list[str]]:
    """The articles of a text, each as its paragraphs; headings part them, those of the first level articles."""
    lines = [" " if line.startswith("|") else line for line in _FENCED.sub("\n\n", text).split("\n")]  # rows of a table
    said = [line for line in lines if line.strip()]
    by_line = sum(map(len, said)) > _LINES * len(said)
    apart = is_apart(text)
    paragraphs: list[str] = []
    open_: list[str] = []

    def close() -> None:
        paragraph = " ".join(" ".join(open_).split())
        open_.clear()
        if paragraph:
            paragraphs.append(joined(paragraph) if apart else paragraph)

    for line in lines:
        heading = _HEADING.fullmatch(line)
        if heading or by_line or not line.strip():
            close()
        if heading and len((heading[1] or heading[2]).replace(" ", "")) == 1:
            if paragraphs:
                yield _sized(paragraphs)
            paragraphs = []
        elif not heading and line.strip():
            open_.append(line)
    close()
    if paragraphs:
        yield _sized(paragraphs)


def _sized(paragraphs: list[str]) -> list[str]:
    """Paragraphs of a length that can be asked about: short ones are joined, long ones cut between sentences."""
    found: list[str] = []
    held: list[str] = []
    size = 0
    for paragraph in paragraphs:
        for begin, end in sentences(paragraph):
            words = len(paragraph[begin:end].split())
            if size and size + words > _MOST:
                found.append(" ".join(held))
                held, size = [], 0
            held.append(paragraph[begin:end])
            size += words
        if size >= _ENOUGH:
            found.append(" ".join(held))
            held, size = [], 0
    if held:
        found.append(" ".join(held))
    return [each for each in found if len(each.split()) >= _FEWEST]


def sentences(paragraph: str) -> list[tuple[int, int]]:
    """Where the sentences of a paragraph begin and end."""
    found, begin = [], 0
    for end in _ENDS.finditer(paragraph):
        if not _NO_END.search(paragraph[max(0, end.start() - 12) : end.start() + 1]):
            found.append((begin, end.end()))
            begin = end.end() + len(paragraph[end.end() :]) - len(paragraph[end.end() :].lstrip())
    return [*found, (begin, len(paragraph))] if begin < len(paragraph) else found
