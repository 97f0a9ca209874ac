"""A hostile or broken document loses only itself, and one that cannot be read is told."""

import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import document_files as files
from daedal.data import BuildOptions, build
from daedal.data.document import Raw
from daedal.data.documents import sandbox
from daedal.data.documents.sandbox import Limits
from daedal.data.readers import Reading, read_stream
from daedal.data.recognise import modality
from daedal.errors import DaedalError
from document_files import lost, prose, said, texts


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Children with little of everything, that do not outlive the test."""
    sandbox._end_idle()
    monkeypatch.setattr(sandbox, "LIMITS", Limits(seconds=1, memory=96 * 2**20))
    yield
    sandbox._end_idle()


LAUGHS = (
    "<!DOCTYPE x [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><x>&i;</x>"
)
OUTSIDE = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><x>&a;</x>"


def part(name: str, content: str) -> bytes:
    return files.package({name: content})


@pytest.mark.parametrize(
    ("name", "data", "reason", "detail"),
    [
        ("bomb.docx", lambda: files.docx("<w:t>" + "a" * (65 * 2**20)), "archive bomb", "refused as a bomb"),
        ("laughs.docx", lambda: part("word/document.xml", LAUGHS), "broken file", "declares entities"),
        ("outside.odt", lambda: part("content.xml", OUTSIDE), "broken file", "declares entities"),
        ("deep.docx", lambda: files.docx("<w:p>" * 100_000), "broken file", "nested more than 1,000 deep"),
        ("cut.docx", lambda: files.docx("<w:p/>")[:-30], "broken file", "zip"),
        ("old.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted", "needs a password"),
        ("deep.rtf", lambda: b"{\\rtf1" + b"{" * 1_000_000, "broken file", "nested more than 10,000 deep"),
        ("not.rtf", lambda: b"Plain words.", "broken file", "no RTF"),
        ("deep.ipynb", lambda: b"[" * 100_000, "nested too deeply", ""),
        ("not.ipynb", lambda: b"{}", "broken file", "no cells"),
        ("not.pdf", lambda: b"%PDF-1.4 and no more", "broken file", "Failed to load"),
        ("not.mbox", lambda: b"Words.", "broken file", "no mailbox"),
        ("not.srt", lambda: b"Words.", "broken file", "no times"),
    ],
)
def test_a_hostile_or_broken_file_is_lost_with_the_reason(name: str, data: Any, reason: str, detail: str) -> None:
    found = lost(name, data())
    assert found[0] == reason
    assert detail in found[1]


def mail_in_mail(depth: int) -> bytes:
    heads = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return heads.encode() + b"Content-Type: text/plain\n\nwords\n"


def test_mails_nested_without_end_lose_only_themselves() -> None:
    assert lost("a.eml", mail_in_mail(1_000))[0] in ("nested too deeply", "broken mail", "mail without text")
    box = (
        b"From a@b Mon May  3 10:00:00 2021\n"
        + mail_in_mail(1_000)
        + b"\nFrom a@b Mon May  3 10:00:00 2021\nSubject: x\n\nfine\n"
    )
    assert texts("a.mbox", box)[-1] == "x\n\nfine"


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
def test_a_file_that_takes_too_long_or_too_much_memory_is_lost_and_the_next_is_read(short: None) -> None:
    kids = b" ".join([b"3 0 R"] * 1000)
    million = files.pdf_of_objects(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1000000 /Kids [" + kids + b"] >>",
            b"<< /Type /Pages /Count 1000 /Kids [" + kids.replace(b"3 0", b"4 0") + b"] >>",
            b"<< /Type /Page /MediaBox [0 0 9 9] >>",
        ]
    )
    assert lost("million.pdf", million) == ("too slow to read", "more than 1 seconds of work: refused as hostile")
    packed = zlib.compress(b" " * (160 * 2**20), 1)
    assert lost("bomb.pdf", files.pdf_of_streams([packed], "/Filter /FlateDecode"))[0] in (
        "broken file",
        "scan",
        "too large",
    )
    book = b'{"cells": [' + b"{}," * 2_000_000 + b"{}]}"
    assert lost("large.ipynb", book)[0] == "too large"
    assert texts("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nStill here.\n") == ["Still here."]


def test_a_reader_that_is_killed_loses_only_its_file(short: None) -> None:
    first = mail_box_of(3)
    found = read_stream("a.mbox", io.BytesIO(first), len(first), Reading())
    assert isinstance(next(found), Raw)
    found.close()  # whoever reads gives up halfway: the child goes, since it is in the middle of its work
    assert sandbox._idle == []
    assert len(texts("a.mbox", first)) == 3
    (child,) = sandbox._idle
    child._process.kill()
    assert len(texts("a.mbox", first)) == 3


def mail_box_of(count: int) -> bytes:
    return b"".join(
        b"From a@b Mon May  3 10:00:00 2021\nSubject: x\n\nwords %d\n\n" % number for number in range(count)
    )


def test_no_copy_is_left_behind_and_none_made_of_a_file_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    (tmp_path / "a.docx").write_bytes(files.docx("<w:p><w:r><w:t>Words.</w:t></w:r></w:p>"))
    zipped = files.package({"a.docx": (tmp_path / "a.docx").read_bytes()})
    for event in read_stream("a.zip", io.BytesIO(zipped), len(zipped), Reading()):
        assert isinstance(event, Raw)
        assert len(os.listdir(tmp_path / "copies")) == 1
    with (tmp_path / "a.docx").open("rb") as stream:
        for event in read_stream("a.docx", stream, 1, Reading()):
            assert isinstance(event, Raw)
            assert os.listdir(tmp_path / "copies") == []


def test_a_build_reads_documents_beside_text_and_tells_what_it_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "a.eml").write_bytes(files.MAIL)
    (folder / "b.docx").write_bytes(files.docx(f"<w:p><w:r><w:t>{said(0, 200)}</w:t></w:r></w:p>"))
    (folder / "c.docx").write_bytes(b"no document")
    (folder / "d.txt").write_text(said(5, 300), encoding="utf-8")
    (folder / "e.zip").write_bytes(files.package({"f.pdf": files.pdf([prose(60, 700, 30, begin=11)])}))
    assert modality(folder) == "text"
    data = build(folder, tmp_path / "data", BuildOptions(mask=("email",), near_duplicates="off"))
    manifest = data.manifest
    kinds = {each.name: each.count for each in manifest.file_types}
    assert kinds == {"mail": 1, "attached text": 1, "DOCX": 1, "text": 1, "PDF": 1}
    assert (
        "documents are read without what is no part of their text: 2 quoted lines of mail, 1 signatures"
        in manifest.notes
    )
    assert {each.reason for each in manifest.dropped} == {"attachment", "broken file"}
    assert [(each.name, each.count) for each in manifest.mended] == [("masked email", 1)]
    assert "pypdfium2" in manifest.made_with
    whole = [split.text(each) for split in map(data.split, manifest.splits) for each in range(split.documents)]
    assert any("write to <email>." in each for each in whole)


def test_without_the_package_a_pdf_is_left_out_and_alone_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "a.pdf").write_bytes(files.pdf([prose(60, 700, 30)]))
    with pytest.raises(DaedalError) as raised:
        build(tmp_path / "a.pdf", tmp_path / "one")
    assert "pip install 'daedal[documents]'" in str(raised.value)
    assert str(raised.value).endswith("Install that, or leave it out.")
    (tmp_path / "b.txt").write_text(said(0, 300), encoding="utf-8")
    data = build(tmp_path, tmp_path / "both")
    assert {each.reason: each.count for each in data.manifest.dropped} == {"package missing": 1}
