"""Little files of the formats that people have, written by hand, for the tests of their readers."""

import io
import zipfile
from collections.abc import Mapping, Sequence

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
    listed = "".join(f'<p:sldId id="{256 + place}" r:id="{name}"/>' for place, name in enumerate(order))
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
