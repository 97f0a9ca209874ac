"""What belongs to an installation: its keys are made once, shown to nobody, and never lost."""

import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daedal.errors import DaedalError
from daedal.safety.installation import installation, keep_secret, secret
from daedal.safety.watermark_keys import WatermarkKey, new_watermark_key, watermark_key, watermark_keys


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_key_is_made_once_and_is_the_owners_alone(home: Path) -> None:
    assert watermark_keys() == []
    assert not home.exists()
    key = watermark_key()
    assert watermark_key() == key
    assert watermark_keys() == [key]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in home.iterdir()] == [0o600]


def test_a_new_key_marks_and_the_old_one_is_still_known() -> None:
    old = watermark_key()
    new = new_watermark_key()
    assert old != new
    assert watermark_key() == new
    assert watermark_keys() == [new, old]


def test_processes_that_make_a_key_at_once_share_one() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len({key.secret for key in pool.map(lambda _: watermark_key(), range(32))}) == 1


def test_keys_that_are_made_at_once_are_all_kept() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_watermark_key(), range(16)))
    assert {key.id for key in made} == {key.id for key in watermark_keys()}


def test_a_first_key_and_new_ones_that_are_made_at_once_are_all_kept(home: Path) -> None:
    for _ in range(10):
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda turn: (new_watermark_key if turn % 2 else watermark_key)(), range(8)))
        assert {key.id for key in made} == {key.id for key in watermark_keys()}
        (home / "watermark.keys").unlink()


@pytest.mark.parametrize("target", ["nowhere", "watermark.keys"])
@pytest.mark.parametrize("use", [watermark_key, watermark_keys, new_watermark_key])
def test_a_link_that_leads_nowhere_is_no_place_for_a_key(use: Callable[[], object], target: str, home: Path) -> None:
    home.mkdir()
    (home / "watermark.keys").symlink_to(target)
    with pytest.raises(DaedalError, match="leads nowhere"):
        use()
    assert (home / "watermark.keys").is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_secret_that_others_may_read_is_refused_until_they_may_not(mode: int, home: Path) -> None:
    key = watermark_key()
    (home / "watermark.keys").chmod(mode)
    for use in (watermark_key, new_watermark_key):
        with pytest.raises(DaedalError, match="chmod 600"):
            use()
    (home / "watermark.keys").chmod(0o400)
    assert watermark_keys() == [key]


def test_a_key_is_never_shown_and_purposes_have_their_own() -> None:
    key = WatermarkKey(bytes(range(32)))
    assert key.secret.hex() not in repr(key)
    assert key.id not in key.secret.hex()
    assert key.derived("text") != key.derived("picture")
    assert len(key.derived("text")) == 32
    assert key.id == WatermarkKey(bytes(range(32))).id
    assert len(key.id) == 12


@pytest.mark.parametrize("content", [b"", b"secret\n", b"ab" * 31, b"\x00" * 64])
def test_a_damaged_file_of_keys_is_told_without_its_content(content: bytes) -> None:
    keep_secret("watermark.keys", content)
    with pytest.raises(DaedalError, match="damaged") as caught:
        watermark_key()
    assert content == b"" or content.decode("latin-1").strip() not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "file"))
    with pytest.raises(DaedalError, match="cannot be"):
        watermark_key()
    assert installation() == tmp_path / "file"


def test_what_is_replaced_is_replaced_as_a_whole() -> None:
    keep_secret("note", b"one")
    assert keep_secret("note", b"two") == b"one"
    assert secret("note") == b"one"
    keep_secret("note", b"two", replace=True)
    assert secret("note") == b"two"
    assert secret("other") is None
