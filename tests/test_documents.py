"""Files that people have are read as a person would read them."""

import base64
import io
import json

import pytest

import document_files as files
from daedal.data.document import Lost, Raw
from daedal.data.documents import mbox
from daedal.data.documents.replies import own_text, unflowed
from document_files import events, lost, omitted, prose, said, text

# --- PDF ---


def test_columns_are_read_one_after_the_other_between_what_goes_across_them() -> None:
    page = [(150.0, 740.0, "A title that goes across both columns of the page, as they do")]
    left, right = prose(60, 700, 12, width=6), prose(320, 700, 12, begin=72, width=6)
    rows = [each for pair in zip(left, right, strict=True) for each in pair]  # written row by row, as some programs do
    note = [(60.0, 540.0, "Below them is a line that is as wide as the page, and wider than a column.")]
    whole = text("a.pdf", files.pdf([page + rows + note]))
    assert whole.split("\n\n") == [page[0][2], said(0, 72), said(72, 72), note[0][2]]


def test_three_columns_are_read_from_left_to_right() -> None:
    columns = [prose(40 + 190 * place, 700, 20, begin=80 * place, width=4) for place in range(3)]
    whole = text("a.pdf", files.pdf([[line for column in columns for line in column]]))
    assert whole.split("\n\n") == [said(0, 80), said(80, 80), said(160, 80)]


def test_a_table_is_read_row_by_row() -> None:
    rows = [(f"Name {row}", f"{row * 17}", f"{row} kg") for row in range(8)]
    placed = [
        (60.0 + 200 * cell, 700.0 - 14 * row, value) for row, each in enumerate(rows) for cell, value in enumerate(each)
    ]
    assert text("a.pdf", files.pdf([placed])).split("\n") == ["\t".join(row) for row in rows]


def test_heads_and_page_numbers_are_left_out_and_a_sentence_goes_on_on_the_next_page() -> None:
    pages = []
    for number in range(4):
        head = [
            (60.0, 760.0, f"What stands once, as {'xyz'[number // 2]}" if number % 2 else "Chapter One"),
            (300.0, 30.0, f"{number + 7}"),
        ]
        body = prose(60, 700, 10, begin=70 * number)
        body[-1] = (*body[-1][:2], body[-1][2].removesuffix(".")) if number < 3 else body[-1]
        pages.append(head + body)
    pages.append([(60.0, 760.0, "Chapter One"), (60.0, 700.0, "The end.")])
    data = files.pdf(pages)
    assert text("a.pdf", data).split("\n\n") == [said(0, 280), "The end."]
    assert omitted("a.pdf", data) == {"running heads, feet and page numbers": 9}


def test_a_table_of_contents_is_left_out() -> None:
    entries = [(60.0, 760.0 - 12 * row, f"{row}. A chapter . . . . . . . . . . {7 * row}") for row in range(1, 6)]
    data = files.pdf([entries + prose(60, 600, 5)])
    assert text("a.pdf", data) == said(0, 35)
    assert omitted("a.pdf", data) == {"lines of tables of contents": 5}


def test_words_broken_at_the_end_of_a_line_are_joined_unless_the_hyphen_is_theirs() -> None:
    lines = [
        "This is a paragraph in which words are bro-",
        "ken at the ends of lines, and one is a well-",
        "known compound, which is well-known since it",
        "stands whole in the line before this last one.",
    ]
    placed = [(60.0, 700.0 - 12 * number, line) for number, line in enumerate(lines)]
    assert "are broken at the ends" in text("a.pdf", files.pdf([placed]))
    assert "a well-known compound, which is well-known since" in text("a.pdf", files.pdf([placed]))


def test_paragraphs_are_told_by_indents_gaps_and_short_last_lines() -> None:
    first, second, third = prose(60, 700, 3), prose(60, 664, 3, 30), prose(60, 610, 3, 50)
    second[0] = (74.0, *second[0][1:])
    short = [(60.0, 562.0, "It was over."), *prose(60, 550, 2, 4)]
    parts = text("a.pdf", files.pdf([first + second + third + short])).split("\n\n")
    assert parts == [said(0, 21), said(30, 21), said(50, 21), "It was over.", said(4, 14)]


@pytest.mark.parametrize(
    ("matrix", "begin", "step"),
    [("0 1 -1 0", (100, 60), (12, 0)), ("-1 0 0 -1", (500, 100), (0, 12)), ("0 -1 1 0", (400, 700), (-12, 0))],
)
def test_a_page_that_is_turned_is_read_and_a_stamp_on_its_margin_is_not(
    matrix: str, begin: tuple[int, int], step: tuple[int, int]
) -> None:
    placed = [
        f"{matrix} {begin[0] + row * step[0]} {begin[1] + row * step[1]} Tm (Line {row} of a turned page.) Tj"
        for row in range(5)
    ]
    data = files.pdf_of_streams([f"BT /F1 10 Tf {' '.join(placed)} 1 0 0 1 300 600 Tm (STAMP) Tj ET".encode()])
    assert text("a.pdf", data) == " ".join(f"Line {row} of a turned page." for row in range(5))
    assert omitted("a.pdf", data) == {"lines across the page": 1}


def test_a_scan_is_told_as_one() -> None:
    assert lost("a.pdf", files.pdf_of_streams([b"0 0 m 100 100 l S"] * 3)) == (
        "scan",
        "there is no text on its pages (3): make it readable with an OCR program, as ocrmypdf",
    )


def test_what_all_pages_say_is_the_text_where_they_say_nothing_else() -> None:
    assert text("a.pdf", files.pdf([[(60.0, 700.0, "The same slide.")]] * 3)).count("The same slide.") == 3


# --- Office ---


def test_docx_gives_paragraphs_lists_tables_and_notes_as_plain_lines() -> None:
    cells = "".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in ("Ann", "14"))
    item = "<w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr>"
    drawn = "<mc:AlternateContent xmlns:mc='mc'><mc:Choice>{0}</mc:Choice><mc:Fallback>{0}</mc:Fallback></mc:AlternateContent>"
    box = "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
    body = (
        "<w:p><w:pPr><w:pStyle w:val='Heading1'/></w:pPr><w:r><w:t>The title</w:t></w:r></w:p>"
        "<w:p><w:pPr><w:pStyle w:val='TOC1'/></w:pPr><w:r><w:t>The title</w:t><w:tab/><w:t>1</w:t></w:r></w:p>"
        "<w:p><w:pPr><w:tabs><w:tab w:val='left' w:pos='720'/></w:tabs></w:pPr><w:r><w:t>One </w:t><w:tab/><w:t>two</w:t></w:r>"
        "<w:del><w:r><w:delText>not</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>not</w:t></w:r></w:moveFrom>"
        "<w:r><w:instrText>PAGE</w:instrText><w:br/><w:t>three &amp; four</w:t></w:r></w:p>"
        f"<w:p>{item}<w:r><w:t>first</w:t></w:r></w:p><w:p>{item}<w:r><w:t>second</w:t></w:r></w:p>"
        f"<w:p><w:r>{drawn.format(box)}</w:r></w:p><w:tbl><w:tr>{cells}</w:tr><w:tr>{cells}</w:tr></w:tbl>"
    )
    note = "<w:footnote><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote>"
    head = "<w:p><w:r><w:t>On every page</w:t></w:r></w:p>"
    gallery = "<w:sdtPr><w:docPartObj><w:docPartGallery w:val='Table of Contents'/></w:docPartObj></w:sdtPr>"
    body += f"<w:sdt>{gallery}<w:sdtContent><w:p><w:r><w:t>Titel 1</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    data = files.docx(body, footnotes=note, header=head, comments=f"<w:comment>{head}</w:comment>")
    assert text("a.docx", data) == (
        "The title\n\nOne \ttwo\nthree & four\n\n- first\n- second\n\nIn a box.\n\nAnn | 14\nAnn | 14\n\nA note."
    )
    assert omitted("a.docx", data) == {"lines of tables of contents": 2, "running heads and feet": 1, "comments": 1}


def test_odt_gives_paragraphs_lists_tables_and_notes_as_plain_lines() -> None:
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:h>The title</text:h><text:table-of-content><text:p>The title 1</text:p></text:table-of-content>"
        "<text:p>One<text:s text:c='2'/>two<text:tab/>three<text:line-break/>four"
        "<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>A note.</text:p></text:note-body></text:note>"
        "<office:annotation><text:p>remark</text:p></office:annotation> five\n  six</text:p>"
        "<text:list><text:list-item><text:p>first</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>Ann</text:p></table:table-cell>"
        "<table:table-cell><text:p>14</text:p></table:table-cell></table:table-row></table:table>"
    )
    data = files.odt(body, "<style:header><text:p>On every page</text:p></style:header><style:footer/>")
    assert text("a.odt", data) == "The title\n\nOne  two\tthree\nfour five six\n\n- first\n\nAnn | 14\n\nA note."
    assert omitted("a.odt", data) == {"tables of contents": 1, "comments": 1, "running heads and feet": 1}


def test_pptx_gives_slides_as_they_are_shown_with_their_notes() -> None:
    slides = {"b": files.shape("Second slide") + files.shape("7", "sldNum"), "a": files.shape("First slide", "title")}
    data = files.pptx(slides, ["a", "b"])
    assert text("a.pptx", data) == "First slide\n\nSay hello first.\n\nSecond slide"
    assert omitted("a.pptx", data) == {"numbers, dates and feet of slides": 1}


def test_epub_gives_chapters_in_the_order_of_the_spine_each_once() -> None:
    chapters = {
        "two": "<p>Chapter&nbsp;two.</p>",
        "nav": "<ol><li>One</li></ol>",
        "one": "<h1>One</h1><p>Chapter one.</p>",
    }
    data = files.epub(chapters, ["nav", "one", "two", "one", "two", "gone"] * 50)
    assert text("a.epub", data) == "One\n\nChapter one.\n\nChapter\xa0two."
    assert omitted("a.epub", data) == {"tables of contents": 1}


def test_an_epub_with_copy_protection_is_told_as_encrypted() -> None:
    locked = "<e><EncryptionMethod Algorithm='aes'/><CipherReference URI='OPS/one.xhtml'/></e>"
    data = files.epub({"one": "<p>x</p>"}, ["one"], **{"META-INF/encryption.xml": locked})
    assert lost("a.epub", data) == ("encrypted", "it is protected against copying")


def test_rtf_is_read_in_the_code_page_of_each_font() -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial Cyr;}}{\info{\title Not text}}"
        rb"{\header On every page\par}{\pict 0102ff\bin4 {}}}}{\*\generator Word;}\f0 Caf\'e9 \u8364?\u-10179?\u-8704? "
        rb"{\v hidden}\b bold\b0  {\field{\*\fldinst HYPERLINK}{\fldrslt link}}{\f1 \'cc\'e8\'f0}{\footnote A note.}\par"
        rb"{\pntext 1.\tab}item\par\trowd\intbl Ann\cell 14\cell\row\pard after the table\par}"
    )
    assert text("a.rtf", data) == "Café €😀 bold linkМир\n\n- item\n\nAnn | 14\n\nafter the table\n\nA note."
    assert omitted("a.rtf", data) == {"running heads and feet": 1}


def test_notebooks_keep_code_and_prose_apart_and_leave_outputs_out() -> None:
    picture = f"![](data:image/png;base64,{'iVBO' * 50})"
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", f"Some words about it.{picture}"]},
        {"cell_type": "code", "source": "print(1)\n", "outputs": [{"text": "1"}]},
        {"cell_type": "raw", "source": ""},
    ]
    book = {"nbformat": 4, "cells": cells, "metadata": {"language_info": {"name": "python"}}}
    data = json.dumps(book).encode()
    assert text("a.ipynb", data) == "# Title\nSome words about it.![]()\n\n```python\nprint(1)\n```"
    assert omitted("a.ipynb", data) == {"outputs of notebooks": 1, "pictures in the text of notebooks": 1}
    forms = []
    for source in ("x = 1\n" * 40, "x = 1"):
        book["cells"] = [cells[0], {"cell_type": "code", "source": source}]
        forms += [event.form for event in events("a.ipynb", json.dumps(book).encode()) if isinstance(event, Raw)]
    assert forms == ["code", "prose"]


# --- Mail ---


def test_a_mail_is_its_subject_and_what_its_writer_wrote() -> None:
    found = events("a.eml", files.MAIL)
    raws = {event.label: event.text for event in found if isinstance(event, Raw)}
    assert raws == {"a.eml": "Grüße an alle\n\nSchön, write to bob@example.org.\n\nYes.", "a.eml!list.txt": "ä ö"}
    assert [event.detail for event in found if isinstance(event, Lost)] == ["cat.png (image/png) is not read"]
    assert omitted("a.eml", files.MAIL) == {"quoted lines of mail": 2, "signatures": 1}


def test_a_mail_in_html_alone_is_read_without_its_quote() -> None:
    quote = "<p>On Monday, Bob wrote:</p><blockquote>old<blockquote>older</blockquote></blockquote>"
    page = f"<p>New words.</p>{quote}<p>And more.</p>".encode("utf-16-le")
    head = b"Subject: x\nContent-Type: text/html; charset=utf-16-le\nContent-Transfer-Encoding: base64\n\n"
    assert text("a.eml", head + base64.encodebytes(page)) == "x\n\nNew words.\n\nAnd more."


def test_a_mail_that_names_no_encoding_is_in_the_one_that_the_user_names_or_that_it_looks_to_be() -> None:
    body = "Съешь же ещё этих мягких французских булок, да выпей чаю."
    mail = b"Subject: x\n\n" + body.encode("cp1251")
    assert text("a.eml", mail) == text("a.eml", mail, "cp1251") == f"x\n\n{body}"
    assert text("a.eml", mail.replace(b"\n\n", b"\nContent-Type: text/plain; charset=koi8-r\n\n")) != f"x\n\n{body}"


def test_a_mailbox_gives_a_document_a_mail() -> None:
    box = (
        b"From ann@example.org Mon May  3 10:00:00 2021\nSubject: one\n\nFirst.\n\n"
        b">From here on it is quoted.\nFrom me too.\n\n"
        b"From bob@example.org Mon May  3 11:00:00 2021\nSubject: two\n\nSecond.\n\nFrom then on all was well.\n"
    )
    found = [event for event in events("a.mbox", box) if isinstance(event, Raw)]
    assert [(event.row, event.text) for event in found] == [
        (0, "one\n\nFirst.\n\nFrom here on it is quoted.\nFrom me too."),
        (1, "two\n\nSecond.\n\nFrom then on all was well."),
    ]


def test_a_mailbox_without_end_is_read_mail_by_mail() -> None:
    class Endless(io.RawIOBase):
        lines = 0

        def readline(self, size: int | None = -1) -> bytes:
            self.lines += 1
            place = (self.lines - 1) % 5
            return (b"From a@b Mon May  3 10:00:00 2021\n", b"Subject: x\n", b"\n", b"words\n", b"\n")[place]

    stream = Endless()
    found = mbox.read("a.mbox", stream, 2**31, None)  # type: ignore[arg-type]
    assert [next(found) for _ in range(3)] == [Raw("a.mbox", row, "x\n\nwords", "prose", "mail") for row in range(3)]
    assert stream.lines < 20


@pytest.mark.parametrize(
    ("whole", "own"),
    [
        ("Fine.\n\n-----Original Message-----\nFrom: Bob\n\nold", "Fine."),
        ("Fine.\n\nFrom: Bob <b@x>\nSent: Monday\nTo: Ann\nSubject: Re\n\nold", "Fine."),
        ("Fine.\nFrom: the beginning it was\nclear to all.", "Fine.\nFrom: the beginning it was\nclear to all."),
        ("Ja.\n\nAm 3.5.2021 um 10:00 schrieb Bob:\n\n> Kommst du?\n", "Ja."),
        ("> Is it?\nIt is.\n> And this?\nToo.", "It is.\n\nToo."),
        ("Words.\n-- \nAnn\n> quoted below the signature", "Words."),
        ("Sent from my iPhone", ""),
    ],
)
def test_quotes_and_signatures_are_told_from_what_was_written(whole: str, own: str) -> None:
    assert own_text(whole).text == own


def test_flowed_lines_are_joined() -> None:
    assert unflowed("a line that \ngoes on\n from here\n-- \nme", False) == "a line that goes on\nfrom here\n-- \nme"


# --- Subtitles ---


def test_subtitles_become_sentences_without_times_tags_and_repetitions() -> None:
    srt = (
        b"1\n00:00:01,000 --> 00:00:02,000\n<i>It was a dark</i>\n{\\an8}and stormy night.\n\n"
        b"2\n00:00:02,100 --> 00:00:03,000\n- Was it?\n- It\n3\n00:00:03,000 --> 00:00:04,000\nwas\n\n"
        b"4\n00:00:09,000 --> 00:00:10,000\nLater\n"
    )
    assert text("a.srt", srt) == "It was a dark and stormy night.\n- Was it?\n- It was\nLater"
    vtt = (
        b"WEBVTT\n\nNOTE not said\n\nSTYLE\n::cue {}\n\nfirst\n00:01.000 --> 00:02.000 align:start\n"
        b"<v Ann>rolling <c.x>captions</c>\n\n"
        b"00:02.000 --> 00:03.000\nrolling captions\nrepeat &amp; go on\n"
    )
    assert text("a.vtt", vtt) == "rolling captions repeat & go on"
    assert omitted("a.vtt", vtt) == {"repeated lines of subtitles": 1}
    assert (
        text("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nПривет, мир.\n".encode("cp1251"), "cp1251") == "Привет, мир."
    )
