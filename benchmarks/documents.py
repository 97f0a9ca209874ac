"""Reading documents: megabytes of text a second, and the memory that it takes, for each format.

    python benchmarks/documents.py [FILE_OR_FOLDER ...] [--mb 8] [--quick]

The files that are given, else made ones with so many megabytes of text each (`--quick`: 1), paragraphs of `python-docs`.
Seconds are processor time of the child that reads, and so hold on a busy machine; memory is the most that it ever had
resident, of which its start is some 25 MiB.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import document_files as files
from daedal.data.document import Raw
from daedal.data.documents import sandbox
from daedal.data.documents.formats import FORMATS
from daedal.data.filetypes import file_type
from daedal.data.readers import Reading
from daedal.data.sources import read_item, resolve

LINE = 88  # characters of a line of a made PDF


def paragraphs(megabytes: float) -> list[str]:
    """Paragraphs of real prose, drawn again where there are too few."""
    raws = (event for item in resolve("python-docs", "train").items for event in read_item(item, Reading()))
    parts = (part for event in raws if isinstance(event, Raw) for part in event.text.split("\n\n"))
    found = [" ".join(part.split()) for part in parts if len(part) > 200 and part.isascii()]
    drawn, size = [], 0.0
    rnd = random.Random(0)
    while size < megabytes * 1e6:
        drawn.append(rnd.choice(found))
        size += len(drawn[-1])
    return drawn


def made(folder: Path, texts: list[str]) -> None:
    """Write a file of each format with these paragraphs."""
    xml = [escape(text) for text in texts]
    (folder / "a.docx").write_bytes(files.docx("".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in xml)))
    (folder / "a.odt").write_bytes(files.odt("".join(f"<text:p>{text}</text:p>" for text in xml)))
    slides = {f"s{place}": "".join(map(files.shape, xml[place : place + 4])) for place in range(0, len(xml), 4)}
    (folder / "a.pptx").write_bytes(files.pptx(slides, list(slides)))
    chapters = {f"c{n}": "".join(f"<p>{text}</p>" for text in xml[n : n + 100]) for n in range(0, len(xml), 100)}
    (folder / "a.epub").write_bytes(files.epub(chapters, list(chapters)))
    escaped = (text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}") for text in texts)
    (folder / "a.rtf").write_text(
        "{\\rtf1\\ansi " + "".join(f"\\pard\\f0\\fs24 {text}\\par\n" for text in escaped) + "}"
    )
    cells = [{"cell_type": "markdown", "source": text.splitlines(keepends=True)} for text in texts]
    (folder / "a.ipynb").write_text(json.dumps({"cells": cells}))
    with (folder / "a.mbox").open("w") as box:
        for place, text in enumerate(texts):
            box.write(f"From a@b Mon May  3 10:00:00 2021\nSubject: mail {place}\n\n{text}\n\n> quoted\n-- \nme\n\n")
    with (folder / "a.srt").open("w") as cues:
        for place, line in enumerate(line for text in texts for line in lines_of(text)):
            cues.write(f"{place + 1}\n00:00:{place % 60:02},000 --> 00:00:{place % 60:02},900\n<i>{line}</i>\n\n")
    lines = [line for text in texts for line in lines_of(text)]
    pages = [
        [
            (50.0, 760.0, "A running head"),
            *((50.0, 740.0 - 12 * row, line) for row, line in enumerate(lines[place : place + 55])),
        ]
        for place in range(0, len(lines), 55)
    ]
    (folder / "a.pdf").write_bytes(files.pdf(pages, size=9))


def lines_of(text: str) -> Iterator[str]:
    """Lines of a paragraph."""
    line = ""
    for word in text.split():
        if line and len(line) + len(word) >= LINE:
            yield line
            line = ""
        line += f" {word}" if line else word
    yield line


def main() -> None:
    """Read, and print a row for each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--mb", type=float, default=8)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if not arguments.files:
            made(Path(name), paragraphs(1 if arguments.quick else arguments.mb))
        by_format = defaultdict(list)
        for source in arguments.files or [name]:
            for item in resolve(source, "train").items:
                if (kind := file_type(item.path).name) in FORMATS:
                    by_format[kind].append(item)
        print(
            f"{'format':10} {'files':>6} {'MB':>8} {'MB of text':>11} {'cpu s':>8} {'MB/s':>8} {'text MB/s':>10} {'MiB':>6}"
        )
        for kind, items in sorted(by_format.items()):
            sandbox._end_idle()
            sandbox._idle.append(sandbox._Child())  # a child of its own, so that memory is this format's
            before = os.times()
            text = sum(
                len(event.text.encode())
                for item in items
                for event in read_item(item, Reading())
                if isinstance(event, Raw)
            )
            peak = max((peak_of(child._process.pid) for child in sandbox._idle), default=0.0)
            sandbox._end_idle()
            after = os.times()
            seconds = after.children_user + after.children_system - before.children_user - before.children_system
            size = sum(item.bytes for item in items) / 1e6
            row = f"{kind:10} {len(items):6,} {size:8.2f} {text / 1e6:11.2f} {seconds:8.2f}"
            print(f"{row} {size / seconds:8.2f} {text / 1e6 / seconds:10.2f} {peak:6.0f}")


def peak_of(process: int) -> float:
    """The most MiB that a process had resident."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
