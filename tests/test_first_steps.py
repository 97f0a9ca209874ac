"""What someone meets who tries prompts and tasks for the first time."""

from pathlib import Path

import pytest

from daedal.errors import DaedalError
from daedal.evaluation.tasks.evaluate import evaluate_tasks
from daedal.evaluation.tasks.library import find
from daedal.prompting.endpoint import Endpoint
from daedal.prompting.memory import Remembered
from daedal.prompting.open import open_respondent
from daedal.prompting.respondent import Bounded
from scripted_respondent import Scripted


class Echo(Scripted):
    """As an endpoint that cannot tell what follows nothing."""

    def require_likelihoods(self, contexts: object) -> None:
        raise DaedalError("That cannot be told", "Ask another")


def test_what_an_endpoint_cannot_tell_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    respondent = Echo(lambda prompt, sample: "5", likely=lambda before, text: 0.0)
    with pytest.raises(DaedalError, match="agreement: That cannot be told"):
        evaluate_tasks(Remembered(respondent, tmp_path / "kept"), [*find("sums"), *find("agreement")])
    assert respondent.asked == []


def test_an_endpoint_is_asked_what_it_can_tell() -> None:
    endpoint = Endpoint.__new__(Endpoint)
    endpoint.name = "model at host"
    assert isinstance(endpoint, Bounded)
    endpoint.require_likelihoods(["Grass is"])
    for untold in (["Grass is", ""], [[{"role": "user", "content": "Grass?"}]], None):
        with pytest.raises(DaedalError, match="tells no likelihood"):
            endpoint.require_likelihoods(untold)


@pytest.mark.parametrize("place", ["localhost:8000/v1", "127.0.0.1:8000", "localhost", "api.example.org:443/v1"])
def test_a_url_without_its_scheme_is_told(place: str) -> None:
    with pytest.raises(DaedalError, match=f"Write it as http://{place}"):
        open_respondent(place)


def test_an_archive_is_no_task() -> None:
    with pytest.raises(DaedalError, match="Unpack it"):
        find(_touched(Path("BLiMP.zip")))


def _touched(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    return path


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_answer_of_several_lines_can_be_right() -> None:
    Path("sums.jsonl").write_text('{"question": "1 + 1?", "answer": "One and one.\\n#### 2"}\n')
    Path("words.jsonl").write_text('{"question": "1 + 1?", "answer": "two"}\n')
    respondent = Scripted(lambda prompt, sample: " One and one.\n#### 2")
    report = evaluate_tasks(respondent, find(Path("sums.jsonl")))
    assert report.measurements[0].value == 1
    assert "\n" not in find(Path("sums.jsonl"))[0].stops
    assert find(Path("words.jsonl"))[0].stops == ("\n",)


@pytest.mark.parametrize("said", ["two", " two", " Two.\n"])
def test_the_space_before_an_answer_is_no_mistake(said: str) -> None:
    Path("words.jsonl").write_text('{"question": "1 + 1?", "answer": "two"}\n')
    report = evaluate_tasks(Scripted(lambda prompt, sample: said), find(Path("words.jsonl")))
    assert [each.value for each in report.measurements] == [1, 1]
    assert report.measurements[0].name == "words exact_match"
