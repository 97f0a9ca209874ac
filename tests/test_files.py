"""Files are written whole or not at all, and what goes wrong is told in one line."""

import errno
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daedal import files
from daedal.errors import DaedalError
from disks import run_on_disk


def fail_while_writing(path: Path) -> None:
    path.touch()
    raise RuntimeError("in the middle of it")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with files.atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert names(target.parent) == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        fail_while_writing(temporary)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_folder_takes_the_place_of_the_old_one_at_once(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("old", "new"):
        with files.atomic_folder(target) as temporary:
            (temporary / text).mkdir()
            (temporary / text / "file").write_text(text)
    assert names(target) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with files.atomic_folder(target) as temporary:
        (temporary / "old").touch()
    with pytest.raises(RuntimeError), files.atomic_folder(target) as temporary:
        fail_while_writing(temporary / "new")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe, link, read = tmp_path / "pipe", tmp_path / "link", list[str]()
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for target in (pipe, link):
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        files.write_text(target, "all of it")
        reader.join()
    assert read == ["all of it"] * 2
    assert pipe.is_fifo()
    assert link.is_symlink()
    with pytest.raises(DaedalError, match="in the way"), files.atomic_folder(pipe):
        pass
    assert names(tmp_path) == ["link", "pipe"]


def test_a_folder_without_a_name_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path(), Path(".."), Path("/"), tmp_path):
        with pytest.raises(DaedalError, match="in the way"):
            files.write_text(path, "")


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_who_may_read_is_what_the_user_set(mask: int, file: int, folder: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with files.atomic_path(tmp_path / "file") as temporary:
            temporary.touch(0o600)
        with files.atomic_folder(tmp_path / "folder") as temporary:
            (temporary / "file").touch(0o600)
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder", "folder/file")]
    assert modes == [file, folder, file]


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for write in (
        lambda: files.write_text(tmp_path / "taken" / "file", ""),
        lambda: files.make_folder(tmp_path / "taken"),
    ):
        with pytest.raises(DaedalError, match=r"a file or folder is in the way.*Choose another path"):
            write()
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "No space left on disk while writing"),
        (errno.EDQUOT, "No space left on disk while writing"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_a_disk_that_refuses_is_told(number: int, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DaedalError, match=line):
        files.write_text(tmp_path / "file", "text")
    with pytest.raises(DaedalError, match=line), files.atomic_folder(tmp_path / "folder") as temporary:
        (temporary / "file").touch()
    assert names(tmp_path) == []


WRITE = """
import sys
import threading
from pathlib import Path
from daedal import files
from daedal.errors import DaedalError
try:
    files.write_text(Path(sys.argv[1]) / "sub" / "file", "x" * 200_000)
except DaedalError as error:
    sys.exit(str(error))
"""


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    ended = run_on_disk([sys.executable, "-c", WRITE, str(tmp_path)], tmp_path, "size=64k")
    assert ended.err.startswith("No space left on disk while writing")
    assert ended.err.count("\n") == 1
    assert ended.left == ["sub"]


def test_a_read_only_disk_is_told(tmp_path: Path) -> None:
    ended = run_on_disk([sys.executable, "-c", WRITE, str(tmp_path)], tmp_path, "ro")
    assert "cannot be written" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "is missing"),
        (b"", "is not valid JSON"),
        (b'{"a": ', "is not valid JSON"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
    ],
)
def test_json_that_cannot_be_read_is_told(content: bytes | None, line: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DaedalError, match=line):
        files.read_json(path)


def test_a_path_that_is_no_utf_8_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = os.fsdecode(b"/data/caf\xe9/caf\xc3\xa9")
    files.write_json(tmp_path / "plan.json", {"data": path})
    assert files.read_json(tmp_path / "plan.json") == {"data": path}
    assert os.fsencode(files.read_json(tmp_path / "plan.json")["data"]) == b"/data/caf\xe9/caf\xc3\xa9"


def test_a_folder_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="cannot be read"):
        files.read_json(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_reads_back_as_it_was_written(value: object) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        files.write_json(Path(folder) / "file.json", value)
        assert files.read_json(Path(folder) / "file.json") == value


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that takes no files")
def test_where_nothing_can_be_made_the_line_speaks_of_the_place() -> None:
    with pytest.raises(DaedalError, match=r"/proc/daedal-run cannot be created there.*another path"):
        files.make_folder(Path("/proc/daedal-run"))


@pytest.mark.parametrize("what", ["pipe", "device", "digits"])
def test_what_is_no_json_file_is_refused_and_nobody_waits_for_its_end(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_text("1" * 5000)  # of more digits than Python reads
    with pytest.raises(DaedalError, match=r"no regular file|not valid JSON"):
        files.read_json(path)


@pytest.mark.parametrize(
    ("what", "line"),
    [("pipe", "no regular file"), ("device", "no regular file"), ("folder", "is a folder"), ("large", "has 9 bytes"),
     ("missing", "No such file"), ("circle", "symbolic links")],
)  # fmt: skip
def test_a_file_that_is_named_is_read_where_it_ends(what: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    match what:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "large":
            path.write_bytes(b"123456789")
        case "circle":
            path.symlink_to(path)
    with pytest.raises(DaedalError, match=line):
        files.read_bytes(path, 8)
    (tmp_path / "b").write_bytes(b"12345678")
    assert files.read_bytes(tmp_path / "b", 8) == b"12345678"
