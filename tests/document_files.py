"""Little files of the formats that people have, written by hand, and what is read of them, for the tests of their readers."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from daedal.data.document import Coded, Event, Lost, Omitted, Raw
from daedal.data.readers import Reading, read_stream

SENTENCE = (
    "The harbour lay silent under a thin veil of morning fog while gulls circled above the empty piers and an old keeper "
    "walked down to count the boats that had come home during the night, as he had done on every day of the forty years "
    "since the war was over"
)
WORDS = SENTENCE.split()

Placed = tuple[float, float, str]
"""Points from the left, points from the bottom, and what stands there."""

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ODT = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
)

MAIL = (
    b"From: Ann <ann@example.org>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_an_alle?=\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
    b'--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Sch=F6n, write to bob@example.org.\r\n\r\nOn Monday, 3 May 2021 at 10:00, Bob\r\n"
    b"<bob@example.org> wrote:\r\n> Can you come?\r\n> Bob\r\n\r\n"
    b"Yes.\r\n\r\n-- \r\nAnn Lee\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>the same as HTML</p>\r\n--a--\r\n"
    b'--m\r\nContent-Type: text/plain; charset=utf-8; name="list.txt"\r\nContent-Transfer-Encoding: base64\r\n\r\nw6Qgw7Y=\r\n'
    b"--m\r\nContent-Type: image/png; name=cat.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n--m--\r\n"
)


def pdf(pages: Sequence[Sequence[Placed]], size: float = 10) -> bytes:
    """A PDF file with text in Helvetica at these places of its pages."""
    contents = []
    for page in pages:
        texts = (text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for _, _, text in page)
        shown = [f"1 0 0 1 {x} {y} Tm ({text}) Tj" for (x, y, _), text in zip(page, texts, strict=True)]
        contents.append(f"BT /F1 {size} Tf {' '.join(shown)} ET".encode("cp1252"))
    return pdf_of_streams(contents)


def pdf_of_streams(contents: Sequence[bytes], filters: str = "") -> bytes:
    """A PDF file whose pages have these streams, encoded as `filters` say."""
    count = len(contents)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, content in enumerate(contents):
        rest = f"/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R {rest} >>".encode())
        objects.append(f"<< {filters} /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    return pdf_of_objects(objects)


def pdf_of_objects(objects: Sequence[bytes]) -> bytes:
    """A PDF file of these objects, the first of which is the catalogue."""
    out, places = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, io.SEEK_END)
    for number, each in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + each + b"\nendobj\n")
    start = out.tell()
    rows = "".join(f"{place:010} 00000 n \n" for place in places)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode())
    out.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def package(parts: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def relations(**targets: str) -> str:
    """A table of relations: identifiers with a kind and the part that it is, as `kind:part`."""
    rows = "".join(
        f'<Relationship Id="{name}" Type="{_R}/{kind}" Target="{part}"/>'
        for name, (kind, _, part) in ((name, target.partition(":")) for name, target in targets.items())
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def docx(body: str, **parts: str) -> bytes:
    """A DOCX file with this body; further parts of its folder by their kind, as `footnotes`."""
    written = {f"word/{kind}.xml": f"<w:{kind} {_W}>{content}</w:{kind}>" for kind, content in parts.items()}
    return package(
        {
            "_rels/.rels": relations(r1="officeDocument:word/document.xml"),
            "word/_rels/document.xml.rels": relations(**{kind: f"{kind}:{kind}.xml" for kind in parts}),
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            **written,
        }
    )


def odt(body: str, styles: str = "") -> bytes:
    """An ODT file with this text, and this on every page."""
    return package(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {_ODT}><office:body>{body}</office:body></office:document-content>",
            "styles.xml": f"<office:document-styles {_ODT}>{styles}</office:document-styles>",
        }
    )


def pptx(slides: Mapping[str, str], order: Sequence[str]) -> bytes:
    """A PPTX file with the shapes of these slides, shown in this order; the last has the first one's notes."""
    names = ('xmlns:a="a" xmlns:p="p"', f'xmlns:r="{_R}"')
    listed = "".join(f'<p:sldId r:id="{name}" id="{256 + place}"/>' for place, name in enumerate(order))
    return package(
        {
            "_rels/.rels": relations(r1="officeDocument:ppt/presentation.xml"),
            "ppt/_rels/presentation.xml.rels": relations(**{name: f"slide:slides/{name}.xml" for name in slides}),
            "ppt/presentation.xml": f"<p:presentation {' '.join(names)}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
            f"ppt/slides/_rels/{order[0]}.xml.rels": relations(n1="notesSlide:../notesSlides/one.xml"),
            "ppt/notesSlides/one.xml": f"<p:notes {names[0]}>{shape('Say hello first.')}</p:notes>",
            **{f"ppt/slides/{name}.xml": f"<p:sld {names[0]}>{content}</p:sld>" for name, content in slides.items()},
        }
    )


def shape(text: str, placeholder: str = "body") -> str:
    """A shape of a slide."""
    paragraph = f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"
    return f'<p:sp><p:nvPr><p:ph type="{placeholder}"/></p:nvPr><p:txBody>{paragraph}</p:txBody></p:sp>'


def epub(chapters: Mapping[str, str], spine: Sequence[str], **more: str) -> bytes:
    """An EPUB file with these chapters, read in this order."""
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml" properties="{name}"/>'
        for name in chapters
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    pages = {
        f"OPS/{name}.xhtml": f"<?xml version='1.0'?><!DOCTYPE html><html><body>{text}</body></html>"
        for name, text in chapters.items()
    }
    return package(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": "<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>",
            "OPS/book.opf": f"<package><manifest>{items}</manifest><spine>{order}</spine></package>",
            **pages,
            **more,
        }
    )


def prose(left: float, top: float, lines: int, begin: int = 0, width: int = 7) -> list[Placed]:
    """Lines of prose, a dozen points apart, and after the last word of all a full stop."""
    words = [WORDS[place % len(WORDS)] for place in range(begin, begin + lines * width)]
    rows = [" ".join(words[row * width : (row + 1) * width]) for row in range(lines)]
    return [(left, top - 12 * number, row + ("." if number + 1 == lines else "")) for number, row in enumerate(rows)]


def said(begin: int, count: int) -> str:
    return " ".join(WORDS[place % len(WORDS)] for place in range(begin, begin + count)) + "."


def events(name: str, data: bytes, encoding: str | None = None) -> list[Event]:
    return list(read_stream(name, io.BytesIO(data), len(data), Reading(encoding=encoding)))


def texts(name: str, data: bytes, encoding: str | None = None) -> list[str]:
    return [event.text for event in events(name, data, encoding) if isinstance(event, Raw)]


def text(name: str, data: bytes, encoding: str | None = None) -> str:
    (only,) = texts(name, data, encoding)
    return only


def omitted(name: str, data: bytes) -> dict[str, int]:
    return {event.what: event.number for event in events(name, data) if isinstance(event, Omitted)}


def lost(name: str, data: bytes) -> tuple[str, str]:
    (only,) = [event for event in events(name, data) if not isinstance(event, Coded)]
    assert isinstance(only, Lost), only
    return only.reason, only.detail
