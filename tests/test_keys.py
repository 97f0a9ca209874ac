"""Keys of a server: shown once, kept as hashes, compared without telling anything."""

import hmac
import json
import stat
import time
from pathlib import Path

import pytest

from command_line import daedal, mistake, start
from daedal.serving.keys import KeyRing, locked


def test_a_key_is_shown_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    token = daedal("keys", "add", "laptop", "--file", file, "--scope", "admin").out.strip()
    other = daedal("keys", "add", "phone", "--file", file).out.strip()
    assert len(token) > 40
    assert token != other
    text = file.read_text()
    assert token not in text
    assert token.removeprefix("dk-") not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert daedal("keys", "list", "--file", file).out.split() == ["laptop", "admin", "phone", "user"]
    found = KeyRing.load(file).find(token)
    assert found is not None
    assert (found.name, found.scope) == ("laptop", "admin")
    daedal("keys", "revoke", "laptop", "--file", file)
    assert KeyRing.load(file).find(token) is None
    assert KeyRing.load(file).find(other) is not None


def test_keys_that_are_added_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with locked(file):
        before = KeyRing()
        adding = [start("keys", "add", f"key{number}", "--file", file) for number in range(3)]
        time.sleep(2)  # without a lock they would write now
        before.add("first", "user")[0].save(file)
    assert all(process.wait() == 0 for process in adding)
    assert {key.name for key in KeyRing.load(file).keys} == {"first", "key0", "key1", "key2"}
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_no_folder_is_made_for_keys(tmp_path: Path) -> None:
    assert "cannot be opened" in mistake("keys", "add", "a", "--file", tmp_path / "nowhere" / "keys.json")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_told_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    assert "is missing" in mistake("keys", "list", "--file", file)
    daedal("keys", "add", "a", "--file", file)
    assert "There is a key named a" in mistake("keys", "add", "a", "--file", file)
    assert "no key named b" in mistake("keys", "revoke", "b", "--file", file)
    mistake("keys", "add", "a b\n", "--file", file)
    for damaged in ("[]", "{", '{"keys": [{"name": "x"}]}', json.dumps({"keys": [], "more": 1})):
        file.write_text(damaged)
        mistake("keys", "list", "--file", file)


def test_every_hash_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, first = KeyRing().add("a", "user")
    for name in "bcd":
        ring, last = ring.add(name, "user")
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(1) or compare(a, b))
    for token in (first, last, "nothing", "", "\ud800"):
        compared.clear()
        assert (ring.find(token) is None) == (token not in (first, last))
        assert len(compared) == 4
