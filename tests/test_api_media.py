"""Speech, transcriptions, tunes and videos over the API: with OpenAI's client, wrong requests, clients that leave, servers that
are killed. The models are media_worker.py, what real ones do stands in test_media_commands.py."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api_server import running
from daedal.serving.app import Application
from daedal.serving.keys import KeyRing
from media_server import command, settings
from served import until

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
SERVER = Path(__file__).with_name("media_server.py")
NAMES = ("voice", "mute", "ears", "composer", "film")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    with running(Application(settings(place, *NAMES, "chat"), command(place))) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20) as made:
        yield made


def error(answer: httpx.Response) -> tuple[int, str | None, str]:
    told = answer.json()["error"]
    assert "\n" not in told["message"]
    return answer.status_code, told["param"], told["message"]


# -- speech ------------------------------------------------------------------------------------------------------------


def test_speech_is_a_file_whose_header_tells_the_seed(client: OpenAI) -> None:
    answer = client.audio.speech.with_raw_response.create(
        model="voice", input="one two", voice="ada", response_format="flac", extra_body={"seed": 5}
    )
    assert (answer.headers["content-type"], answer.headers["x-daedal-seed"]) == ("audio/flac", "5")
    told = {"speaker": "ada", "seed": 5, "format": "flac", "stream": False}
    assert answer.content == b"one two " + json.dumps(told).encode()
    assert answer.headers["content-length"] == str(len(answer.content))


def test_words_are_streamed_as_they_are_said(http: httpx.Client) -> None:
    body = {"model": "voice", "input": "slow words", "voice": "bob", "response_format": "pcm"}
    began = time.monotonic()
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        assert answer.headers["content-type"] == "audio/pcm;rate=8000;channels=1"
        came = [(piece.split()[0], time.monotonic() - began) for piece in answer.iter_raw()]
    assert [word for word, _ in came][:2] == [b"slow", b"words"]
    assert came[1][1] - came[0][1] > 0.3


def test_speech_comes_as_events(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="voice", input="one two", voice="ada", response_format="wav", stream_format="sse"
    ) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * 3 + ["speech.audio.done"]
    assert base64.b64decode(events[0]["audio"]) == b"one "


def test_a_voice_is_a_speaker_of_the_model_or_refused_with_their_names(client: OpenAI, http: httpx.Client) -> None:
    with pytest.raises(openai.BadRequestError, match="no speaker 'alloy': choose ada, bob") as refused:
        client.audio.speech.create(model="voice", input="one", voice="alloy")
    assert (refused.value.param, refused.value.code) == ("voice", "voice_not_found")
    answer = client.audio.speech.with_raw_response.create(model="mute", input="one", voice="alloy")
    assert answer.headers["x-daedal-unused"] == "voice"
    assert b'"speaker": null' in answer.content
    by_id = {"model": "voice", "input": "one", "voice": {"id": "bob"}}
    assert b'"speaker": "bob"' in http.post("/v1/audio/speech", json=by_id).content


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"input": "fail"}, "input"),
        ({"speed": 1.5}, "speed"),
        ({"instructions": "Be kind"}, "instructions"),
        ({"response_format": "aac"}, "response_format"),
        ({"response_format": "exe"}, "response_format"),
        ({"voice": {"name": "x"}}, "voice"),
        ({"guidance": 2}, "guidance"),
        ({"seed": -1}, "seed"),
        ({"model": "ears"}, "model"),
        ({"model": None}, "model"),  # two speak
    ],
)
def test_what_cannot_be_said_is_refused_by_name(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/audio/speech", json={"model": "voice", "input": "one", "speed": 1.0, **fields})
    assert error(answer)[:2] == (400, param)


def test_a_client_that_leaves_ends_the_speaking(http: httpx.Client, place: Path) -> None:
    body = {"model": "voice", "input": "slow " * 60, "response_format": "pcm"}

    def cancelled() -> int:
        return (place / "journal").read_text().count("cancel")

    before = cancelled()
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        next(answer.iter_raw())
    until(lambda: cancelled() > before)


def test_a_crash_in_the_middle_cuts_the_connection(http: httpx.Client) -> None:
    body = {"model": "mute", "input": "one crash", "response_format": "pcm"}
    with pytest.raises(httpx.RemoteProtocolError), http.stream("POST", "/v1/audio/speech", json=body) as answer:
        list(answer.iter_raw())
    until(lambda: http.get("/v1/models/mute").json()["loaded"], 20)


# -- transcriptions ----------------------------------------------------------------------------------------------------


def recording(words: str) -> tuple[str, bytes]:
    return "a.wav", words.encode()


def test_recordings_are_transcribed_in_every_form(client: OpenAI) -> None:
    def ask(**how: Any) -> Any:
        return client.audio.transcriptions.create(model="ears", file=recording("three one four"), **how)

    assert ask().text == "three one four"
    assert ask(response_format="text") == "three one four\n"
    told = ask(response_format="verbose_json", timestamp_granularities=["word", "segment"], language="en")
    assert (told.duration, told.language, told.speaker) == (3.0, "en", "ada")
    assert [(word.word, word.start) for word in told.words] == [("three", 0), ("one", 1), ("four", 2)]
    assert [(one.start, one.end, one.text) for one in told.segments] == [(0, 2.5, "three one four")]
    assert ask(response_format="verbose_json", timestamp_granularities=["word"]).segments is None
    assert "00:00:00,000 --> 00:00:02,500\nthree one four" in ask(response_format="srt")
    assert ask(response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 -->")
    events = list(ask(stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 3 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:3]) == events[3].text == "three one four"


def test_what_only_advises_is_named(client: OpenAI) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        model="ears", file=recording("one"), prompt="Numbers", temperature=0.5
    )
    assert answer.headers["x-daedal-unused"] == "prompt, temperature"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"include[]": "logprobs"}, "include"),
        ({"known_speaker_names[]": "ada"}, "known_speaker_names"),
        ({"timestamp_granularities[]": "year"}, "timestamp_granularities[0]"),
        ({"model": "voice"}, "model"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_what_no_listener_does_is_refused_by_name(http: httpx.Client, fields: dict[str, str], param: str) -> None:
    answer = http.post("/v1/audio/transcriptions", data={"model": "ears", **fields}, files={"file": recording("x")})
    assert error(answer)[:2] == (400, param)


def test_a_recording_is_a_file_and_not_too_large(http: httpx.Client) -> None:
    path, model = "/v1/audio/transcriptions", {"model": "ears"}
    assert error(http.post(path, data=model, files={"file": ("a.wav", b"")}))[:2] == (400, "file")
    assert error(http.post(path, data={**model, "file": "x"}, files={"other": recording("x")}))[0] == 400
    assert http.post(path, json=model).status_code == 415
    large = {"file": ("a.wav", b"x" * (2**25 + 1))}
    assert error(http.post(path, data=model, files=large))[:2] == (413, "file")


# -- tunes -------------------------------------------------------------------------------------------------------------


def test_tunes_are_files_or_json(http: httpx.Client) -> None:
    body = {"model": "composer", "key": "C", "seconds": 4, "continue": "TVRoZA==", "seed": 3}
    answer = http.post("/v1/audio/music", json=body)
    assert (answer.headers["content-type"], answer.headers["x-daedal-seed"]) == ("audio/midi", "3")
    assert answer.content == b"MThdmidi"
    assert http.post("/v1/audio/music", json={"response_format": "mp3"}).content == b"MThdmp3"
    told = http.post("/v1/audio/music", json={**body, "response_format": "json", "n": 2}).json()["data"]
    assert [one["number"] for one in told] == [0, 1]
    assert told[0]["asked"] == {"said": {"key": "C"}, "continue": "TVRoZA==", "bars": None, "seconds": 4}
    filled = {"infill": "TVRoZA==", "bars": "3:5", "response_format": "json"}
    assert http.post("/v1/audio/music", json=filled).json()["data"][0]["asked"]["bars"] == [3, 5]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "response_format"),
        ({"n": 9, "response_format": "json"}, "n"),
        ({"bars": "3:5"}, "bars"),
        ({"infill": "TVRoZA=="}, "bars"),
        ({"infill": "TVRoZA==", "bars": "3-5"}, "bars"),
        ({"seconds": 1e9}, "seconds"),
        ({"seconds": "abc"}, "seconds"),
        ({"key": ""}, "key"),
        ({"tune": "x"}, "tune"),
        ({"model": "film"}, "model"),
    ],
)
def test_tunes_that_make_no_sense_are_refused_by_name(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    assert error(http.post("/v1/audio/music", json=fields))[:2] == (400, param)


# -- videos ------------------------------------------------------------------------------------------------------------


def finished(client: OpenAI, id: str) -> Any:
    until(lambda: client.videos.retrieve(id).status in ("completed", "failed"), 20)
    return client.videos.retrieve(id)


def test_a_video_is_a_job_that_ends_with_its_content(client: OpenAI) -> None:
    job = client.videos.create(model="film", prompt="a red zebra moves right", seconds="4", extra_body={"seed": 3})
    assert (job.object, job.seconds, job.size, job.model) == ("video", "4", "64x64", "film")
    assert job.status in ("queued", "in_progress")
    assert job.expires_at is not None
    assert job.expires_at > job.created_at
    assert job.unknown_words == ["zebra"]  # type: ignore[attr-defined]
    done = finished(client, job.id)
    assert (done.status, done.progress, done.error, done.remixed_from_video_id) == ("completed", 100, None, None)
    assert done.completed_at is not None
    content = client.videos.download_content(job.id)
    asked = json.loads(content.content)
    assert content.response.headers["content-type"] == "video/mp4"
    assert (asked["prompt"], asked["seed"], asked["frames"]) == ("a red zebra moves right", 3, 32)
    assert client.videos.download_content(job.id, variant="spritesheet").content == b"PNG"
    assert client.videos.delete(job.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(job.id)
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(job.id)


def test_a_picture_is_a_file_or_stands_in_the_json(client: OpenAI, http: httpx.Client) -> None:
    form = client.videos.create(prompt="x", input_reference=("a.png", b"picture", "image/png"))
    given = base64.b64encode(b"picture").decode()
    body = {"prompt": "x", "input_reference": {"image_url": f"data:image/png;base64,{given}"}}
    plain = http.post("/v1/videos", json=body).json()
    for id in (form.id, plain["id"]):
        finished(client, id)
        assert json.loads(client.videos.download_content(id).content)["picture"] == given


def test_videos_are_listed_a_page_at_a_time(client: OpenAI, http: httpx.Client) -> None:
    ids = [client.videos.create(prompt=f"number {number}").id for number in range(3)]
    page = http.get("/v1/videos", params={"limit": 2}).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    assert [one.id for one in client.videos.list(order="asc", after=ids[0]).data] == ids[1:]
    assert len([one.id for one in client.videos.list(limit=1)]) >= 3  # all pages


def test_progress_is_told_and_a_video_that_is_forgotten_is_not_made(client: OpenAI, place: Path) -> None:
    job = client.videos.create(prompt="slow")
    until(lambda: client.videos.retrieve(job.id).progress >= 10)
    assert client.videos.retrieve(job.id).status == "in_progress"
    with pytest.raises(openai.NotFoundError, match="in_progress"):
        client.videos.download_content(job.id)
    before = (place / "journal").read_text().count("cancel")
    client.videos.delete(job.id)
    until(lambda: (place / "journal").read_text().count("cancel") > before)


def test_a_video_that_fails_says_why(client: OpenAI) -> None:
    done = finished(client, client.videos.create(prompt="crash").id)
    assert (done.status, done.progress, done.error.code) == ("failed", 0, "engine_crashed")
    with pytest.raises(openai.NotFoundError, match="has crashed"):
        client.videos.download_content(done.id)
    until(lambda: client.models.retrieve("film").loaded, 20)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": "abc"}, "seconds"),
        ({"seconds": 1e9}, "seconds"),
        ({"seconds": "0"}, "seconds"),
        ({"size": "0x9"}, "size"),
        ({"size": "wide"}, "size"),
        ({"fps": 1000}, "fps"),
        ({"prompt": "fail"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"input_reference": {"image_url": "http://127.0.0.1/x.png"}}, "input_reference.image_url"),
        ({"input_reference": {"image_url": "data:image/png;base64,!"}}, "input_reference.image_url"),
        ({"input_reference": {"file_id": "file-1"}}, "input_reference.file_id"),
        ({"model": "voice"}, "model"),
    ],
)
def test_videos_that_cannot_be_are_refused_at_once(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/videos", json={"prompt": "x", **fields})
    assert answer.status_code == 400
    assert param in error(answer)[2] or error(answer)[1] == param
    form = {name: str(value) for name, value in fields.items() if name not in ("input_reference", "prompt")}
    if form:
        answer = http.post("/v1/videos", data={"prompt": "x", **form}, files={"input_reference": ("a.png", b"x")})
        assert error(answer)[:2] == (400, param)


def test_a_video_is_not_remixed(http: httpx.Client) -> None:
    assert error(http.post("/v1/videos/video_1/remix", json={"prompt": "x"}))[0] == 404


def test_videos_belong_to_their_key(tmp_path: Path) -> None:
    ring, first = KeyRing().add("first", "user")
    ring, second = ring.add("second", "user")
    ring.save(tmp_path / "keys.json")
    with running(Application(settings(tmp_path, "film", keys=tmp_path / "keys.json"), command(tmp_path))) as url:
        mine, other = (OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) for key in (first, second))
        id = finished(mine, mine.videos.create(prompt="x").id).id
        assert [one.id for one in mine.videos.list().data] == [id]
        assert other.videos.list().data == []
        for ask in (other.videos.retrieve, other.videos.download_content, other.videos.delete):
            with pytest.raises(openai.NotFoundError):
                ask(id)
        assert mine.videos.retrieve(id).status == "completed"


class Alone:
    """A server in a process of its own, that can be killed."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen([sys.executable, SERVER, folder], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.client = OpenAI(base_url=f"{self._process.stdout.readline().strip()}/v1", api_key="none", max_retries=9)

    def __enter__(self) -> "Alone":
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        self._process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_of_a_server_that_ended_is_begun_again_by_the_next(tmp_path: Path, number: signal.Signals) -> None:
    with Alone(tmp_path) as server:
        job = server.client.videos.create(model="film", prompt="slow", extra_body={"seed": 7})
        until(lambda: server.client.videos.retrieve(job.id).progress >= 10, 20)
        server.end(number)
    with Alone(tmp_path) as again:
        assert again.client.videos.retrieve(job.id).status in ("queued", "in_progress")
        done = finished(again.client, job.id)
        assert (done.status, done.seed) == ("completed", 7)
        assert json.loads(again.client.videos.download_content(job.id).content)["seed"] == 7


# -- messages with sound -----------------------------------------------------------------------------------------------


def talk(words: str, **more: Any) -> Any:
    sound = {"data": base64.b64encode(words.encode()).decode(), "format": "wav"}
    return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {**sound, **more}}]}]


def test_a_listener_hears_for_a_model_of_texts(client: OpenAI, http: httpx.Client) -> None:
    answer = client.chat.completions.with_raw_response.create(model="chat", messages=talk("say hello there"))
    assert answer.headers["x-daedal-listener"] == "ears"
    assert answer.parse().choices[0].message.content == "hello there"
    counted = http.post("/tokenize", json={"model": "chat", "messages": talk("say hello there")})
    assert counted.json()["count"] == 4


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (talk("x", data=""), "messages[0].content[0].input_audio.data"),
        (talk("x", format="exe"), "messages[0].content[0].input_audio.format"),
        ([{"role": "user", "content": [{"type": "text", "text": "x", "input_audio": {"data": "x", "format": "wav"}}]}],
         "messages[0].content[0].input_audio"),
        ([{**talk("x")[0], "role": "system"}], "messages[0].content"),
        ([{"role": "user", "content": talk("x")[0]["content"] * 17}], "messages[0].content[0].input_audio.data"),
    ],
)  # fmt: skip
def test_sound_that_is_none_is_refused_where_it_stands(http: httpx.Client, messages: Any, param: str) -> None:
    answer = http.post("/v1/chat/completions", json={"model": "chat", "messages": messages})
    assert error(answer)[:2] == (400, param)


def test_without_a_listener_sound_is_refused_in_a_line(tmp_path: Path) -> None:
    with running(Application(settings(tmp_path, "chat"), command(tmp_path))) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "chat", "messages": talk("x")})
    status, param, message = error(answer)
    assert (status, param) == (400, "messages[0].content[0].input_audio.data")
    assert message == "The model hears no audio, and no listener is served beside it that would"


# -- what is told of them ----------------------------------------------------------------------------------------------


def test_models_tell_what_they_can_and_metrics_how_long_it_lasted(client: OpenAI, http: httpx.Client) -> None:
    can = {model.id: model.capabilities for model in client.models.list()}  # type: ignore[attr-defined]
    assert [can[name] for name in NAMES] == [["speak"], ["speak"], ["transcribe"], ["compose"], ["film"]]
    client.audio.speech.create(model="voice", input="one two", voice="ada")
    lines = [line for line in http.get("/metrics").text.splitlines() if 'media_seconds_total{model="voice"}' in line]
    assert float(lines[0].split()[-1]) >= 1.0
