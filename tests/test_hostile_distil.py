"""Distilling writes over nothing that it has not written itself."""

from pathlib import Path
from typing import Any

import pytest

from command_line import mistake
from daedal.errors import DaedalError
from daedal.prompting.ask import matches
from daedal.prompting.distil import distil
from daedal.prompting.respondent import Wording


@pytest.mark.parametrize("prompts", ["out.jsonl", "p.txt"])
def test_no_file_is_lost(tmp_path: Path, prompts: str) -> None:
    for name in ("out.jsonl", "p.txt"):
        (tmp_path / name).write_text('{"prompt": "mine"}\n')
    nobody: Any = None  # who is not asked
    with pytest.raises(DaedalError, match="would be written over"):
        distil(nobody, tmp_path / prompts, tmp_path / "out", Wording())
    assert (tmp_path / "out.jsonl").read_text() == '{"prompt": "mine"}\n'


def test_a_schema_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a schema was fetched")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert not matches("1", {"$ref": "http://127.0.0.1:9/x"})
    assert not matches("1", {"$ref": "file:///etc/passwd"})


def test_answers_are_kept_in_no_file_of_something_else(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes")
    assert "is no file of answers" in mistake("ask", "http://127.0.0.1:9/v1", "--text", "hi", "--memory", notes)
    assert notes.read_text() == "my notes"
    assert list(tmp_path.iterdir()) == [notes]
