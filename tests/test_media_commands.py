"""The desk of models of sounds, tunes and clips: what it sends is what the library makes; what is wrong is refused before any
work; what nobody waits for is not made."""

import base64
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
import torch
from PIL import Image

import media_runs
from daedal.codecs.clip import ClipCodec
from daedal.codecs.midi import read_midi
from daedal.codecs.sound_stream import FORMATS
from daedal.inference.clip import Clip
from daedal.inference.generator import Generator
from daedal.serving.commands import Refused
from daedal.serving.media_commands import MediaDesk

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.open(media_runs.voice(tmp_path_factory.mktemp("voice")))


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.open(media_runs.ears(tmp_path_factory.mktemp("ears")))


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator.open(media_runs.composer(tmp_path_factory.mktemp("composer")))


def carry_out(desk: MediaDesk, *commands: dict[str, Any]) -> list[dict[str, Any]]:
    for command in commands:
        desk.begin(desk.prepare(command))
    events = []
    while desk.busy:
        events += desk.step()
    return events


def refusal(desk: MediaDesk, command: dict[str, Any]) -> tuple[int, str | None, str]:
    """Why a command is refused, before it is begun."""
    with pytest.raises(Refused) as refused:
        desk.prepare(command)
    assert "\n" not in refused.value.message
    return refused.value.status, refused.value.param, refused.value.message


def sent(data: bytes) -> str:
    return base64.b64encode(data).decode()


def received(events: list[dict[str, Any]]) -> list[bytes]:
    return [base64.b64decode(event["data"]) for event in events if "data" in event]


# -- speech ------------------------------------------------------------------------------------------------------------


def say(id: int = 1, prompt: str = "0 1 one", form: str = "wav", **fields: Any) -> dict[str, Any]:
    return {"op": "speak", "id": id, "owner": "me", "prompt": prompt, "seed": 3, "format": form, "steps": 2, **fields}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_sent_is_what_the_library_says(voice: Generator, form: str, stream: bool) -> None:
    events = carry_out(MediaDesk(voice), say(form=form, speaker="ada", stream=stream))
    (whole,) = voice.say("0 1 one", "ada", 1, seed=3, steps=2)
    assert [event["event"] for event in events] == ["sound"] * 3 + ["done"]
    assert sum(event.get("seconds", 0) for event in events) == pytest.approx(whole.seconds)
    pieces = received(events)
    if form == "pcm":
        samples = np.frombuffer(b"".join(pieces), "<i2")
    else:
        with soundfile.SoundFile(io.BytesIO(b"".join(pieces))) as file:
            samples, told = file.read(dtype="int16"), file.comment
        if form != "wav" or not stream:
            assert json.loads(told) == json.loads(whole.comment)
    assert len(samples) == len(whole.samples)
    if form in ("wav", "pcm", "flac"):
        away = np.abs(samples / 32768 - whole.samples)
        assert away.mean() < 1e-4
        assert away.max() < 1e-2  # phases that nobody told follow the rounding, which is another's in a batch
    assert bool(pieces[0]) == (form in ("pcm", "opus", "ogg") or (form == "wav" and stream))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": "giraffe"}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "0 " * 600}, "prompt"),
        ({"op": "film"}, None),
    ],
)
def test_what_cannot_be_said_is_refused_before_it_is_begun(voice: Generator, fields: Any, param: str | None) -> None:
    assert refusal(MediaDesk(voice), say(**fields))[:2] == (400, param)


@pytest.mark.parametrize("fields", [{"speaker": "carl"}, {"steps": 10**9}])
def test_what_the_model_refuses_is_told_as_a_mistake(voice: Generator, fields: Any) -> None:
    (event,) = carry_out(MediaDesk(voice), say(**fields))
    assert (event["event"], event["status"]) == ("error", 400)


def test_words_of_two_owners_take_turns_and_what_nobody_waits_for_ends(voice: Generator) -> None:
    desk = MediaDesk(voice)
    for id in (1, 2):
        desk.begin(desk.prepare(say(id, "0 " * 40, "pcm", owner="greedy")))
    desk.begin(desk.prepare(say(3, "1 1", "pcm", owner="modest")))
    order: list[int] = []
    while 3 not in order or order.count(3) < 3:
        order += [event["id"] for event in desk.step()]
    assert len(order) < 20
    for id in (1, 2):
        desk.cancel(id)
    later = []
    while desk.busy:
        later += desk.step()
    assert later == []


# -- recordings --------------------------------------------------------------------------------------------------------


def hear(audio: bytes | str, id: int = 1) -> dict[str, Any]:
    return {"op": "transcribe", "id": id, "owner": "me", "audio": sent(audio) if isinstance(audio, bytes) else audio}


def sound(samples: np.ndarray, rate: int = 8000, **how: Any) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **{"format": "WAV", **how})
    return buffer.getvalue()


NOISE = np.random.default_rng(0).normal(size=(6000, 8)) * 2


def test_a_recording_is_heard_as_the_library_hears_it(ears: Generator) -> None:
    data = sound(NOISE[:, 0] * 0.1)
    (event,) = carry_out(MediaDesk(ears), hear(data))
    assert event["transcript"] == ears.transcribe(data)[0].model_dump(mode="json")


@pytest.mark.parametrize(
    "data",
    [sound(NOISE, 44_100, subtype="FLOAT"), sound(NOISE[:, 0] * 0.1, format="MP3")[:-400]],
    ids=["8 channels", "cut"],
)
def test_odd_recordings_are_heard(ears: Generator, data: bytes) -> None:
    (event,) = carry_out(MediaDesk(ears), hear(data))
    assert event["event"] == "result"


def forged(flac: bytes) -> bytes:
    """A FLAC that does not say how long it is."""
    head = bytearray(flac)
    head[21] &= 0xF0
    head[22:26] = bytes(4)
    return bytes(head)


HOUR = sound(np.zeros(3600 * 8000, np.int16), format="FLAC")


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ("!!", "no base64"),
        ("", "empty"),
        (b"Dear all, this is no sound. " * 50, "Format not recognised"),
        (sound(np.zeros(0)), "no samples"),
        (HOUR, "3,600.0 s"),
        (forged(HOUR), "more than 600 s"),
    ],
    ids=["base64", "empty", "text", "no samples", "hour", "forged"],
)
def test_what_is_no_recording_is_refused_before_it_waits(ears: Generator, audio: bytes | str, said: str) -> None:
    status, param, message = refusal(MediaDesk(ears), hear(audio))
    assert (status, param) == (400, "audio")
    assert said in message


def test_no_more_recordings_wait_than_memory_should_hold(ears: Generator) -> None:
    desk, long = MediaDesk(ears), sound((NOISE[:1000, 0] * 0.1).repeat(4500), format="FLAC")
    makings = [desk.prepare(hear(long, id)) for id in range(7)]
    for making in makings[:6]:
        desk.begin(making)
    with pytest.raises(Refused, match=r"3,600 s of recordings wait") as refused:
        desk.begin(makings[6])
    assert refused.value.status == 429


# -- tunes -------------------------------------------------------------------------------------------------------------


def compose(**fields: Any) -> dict[str, Any]:
    return {"op": "compose", "id": 1, "n": 1, "seed": 1, "format": "midi", "seconds": 2.0, **fields}


def test_tunes_are_those_of_the_library(composer: Generator) -> None:
    desk = MediaDesk(composer)
    events = carry_out(desk, compose(n=2))
    expected = composer.generate(2, seed=1, seconds=2.0)
    assert [event["event"] for event in events if event["event"] != "progress"] == ["tune", "tune", "done"]
    assert received(events) == [tune.encoded("midi") for tune in expected]
    begun = sent(received(events)[0])
    for fields in ({"continue": begun}, {"harmonise": begun}, {"infill": begun, "bars": [1, 1]}):
        (midi,) = received(carry_out(desk, compose(**fields)))
        assert read_midi(midi).notes
    (played,) = received(carry_out(desk, compose(format="mp3")))
    assert soundfile.info(io.BytesIO(played)).channels == 2


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"said": {"style": "punk"}}, "style"),
        ({"said": {"key": "C"}}, "key"),
        ({"continue": "!!"}, "continue"),
        ({"harmonise": sent(b"MThd")}, "harmonise"),
        ({"infill": sent(b"RIFF" * 9), "bars": [1, 1]}, "infill"),
    ],
)
def test_tunes_that_cannot_be_are_refused_before_they_are_begun(composer: Generator, fields: Any, param: str) -> None:
    assert refusal(MediaDesk(composer), compose(**fields))[:2] == (400, param)


# -- clips -------------------------------------------------------------------------------------------------------------


class Studio:
    """Makes clips of one colour, a frame at a time; `gate` holds it up."""

    def __init__(self) -> None:
        self.codec, self.captions, self.skills, self.kind = (
            ClipCodec(frames=4, height=8, width=8),
            None,
            {"film": 1},
            "A studio",
        )
        self.classes = ()
        self.model: Any = torch.nn.Linear(1, 1)
        self.model.options = frozenset({"guidance"})
        self.fingerprint, self.gate, self.frames = "0", threading.Event(), 0
        self.gate.set()

    def generate(self, n: int, *, frames: int, fps: float, picture: Any, progress: Any, **asked: Any) -> list[Clip]:
        colour = (0, 0, 0) if picture is None else Image.open(io.BytesIO(picture)).getpixel((0, 0))
        self.frames = 0
        for frame in range(frames):
            self.gate.wait(5)
            self.frames += 1
            progress(frame + 1, frames)
        return [Clip(tuple(Image.new("RGB", (8, 8), colour) for _ in range(frames)), fps)]  # type: ignore[arg-type]


def film(**fields: Any) -> dict[str, Any]:
    return {"op": "check_film", "id": 1, "owner": "me", "prompt": None, **fields}


def png(width: int = 40, height: int = 20) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, format="PNG")
    return sent(buffer.getvalue())


def test_a_clip_is_settled_made_and_sent_in_three_forms() -> None:
    desk = MediaDesk(Studio())  # type: ignore[arg-type]
    assert (desk.info["can"], desk.info["size"], desk.info["kind"]) == (["film"], [8, 8], "videos")
    (settled,) = carry_out(desk, film(picture=png(), seconds=3.0, size="32x32"))
    assert (settled["frames"], settled["fps"], settled["scale"]) == (6, 2.0, 4)
    assert Image.open(io.BytesIO(base64.b64decode(settled["picture"]))).size == (8, 8)
    asked = {name: settled[name] for name in ("frames", "fps", "scale", "picture")}
    *told, made = carry_out(desk, {**film(**asked), "op": "film", "seed": 1})
    assert [event["done"] for event in told] == pytest.approx([frame / 6 for frame in range(1, 7)])
    assert made["seconds"] == 3.0
    contents = {name: base64.b64decode(one["data"]) for name, one in made["contents"].items()}
    thumbnail = Image.open(io.BytesIO(contents["thumbnail"]))
    assert (thumbnail.size, thumbnail.convert("RGB").getpixel((0, 0))) == ((32, 32), (255, 0, 0))
    assert json.loads(Image.open(io.BytesIO(contents["spritesheet"])).text["daedal"])["frames"] == 6  # type: ignore[attr-defined]
    assert made["contents"]["video"]["type"] in ("video/mp4", "image/webp")
    assert len(contents["video"]) > 100


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seconds": 501.0}, "seconds"),
        ({"size": "12x12"}, "size"),
        ({"size": "4096x4096"}, "size"),
        ({"seconds": 500.0, "size": "800x800"}, "size"),
        ({"picture": "!!"}, "picture"),
        ({"picture": sent(b"<svg onload='x'/>")}, "picture"),
        ({"picture": png(5000, 5000)}, "picture"),
        ({"temperature": -1.0}, "temperature"),
    ],
)
def test_clips_that_cannot_be_are_refused_before_a_job_is_kept(fields: Any, param: str) -> None:
    assert refusal(MediaDesk(Studio()), film(**fields))[:2] == (400, param)  # type: ignore[arg-type]


def test_the_process_hears_of_a_cancelled_clip_in_the_middle_of_it() -> None:
    studio = Studio()
    desk = MediaDesk(studio)  # type: ignore[arg-type]
    studio.gate.clear()
    desk.begin(desk.prepare({**film(frames=1000, fps=2.0, scale=1, picture=None), "op": "film", "seed": 1}))
    assert desk.step() == []  # it is being made, and the desk hears other commands
    assert desk.stats()["running"] == 1
    desk.cancel(1)
    studio.gate.set()
    while desk.busy:
        assert desk.step() == []
    assert studio.frames < 10


def test_whether_a_clip_can_be_made_is_told_while_another_is_made() -> None:
    studio = Studio()
    desk = MediaDesk(studio)  # type: ignore[arg-type]
    studio.gate.clear()
    desk.begin(desk.prepare({**film(frames=3, fps=2.0, scale=1, picture=None), "op": "film", "seed": 1}))
    assert desk.step() == []
    desk.begin(desk.prepare({**film(), "id": 2}))
    (settled,) = desk.step()
    assert (settled["id"], settled["event"], settled["frames"]) == (2, "result", 4)
    studio.gate.set()
    while desk.busy:
        assert all(event["id"] == 1 for event in desk.step())


def test_a_video_says_in_itself_where_it_comes_from(tmp_path: Path) -> None:
    clip = Clip(tuple(Image.new("RGB", (8, 8), (20 * n, 0, 0)) for n in range(3)), 4)
    for form in ("gif", "webp"):
        with Image.open(io.BytesIO(clip.encoded(form))) as image:
            assert image.n_frames == 3  # type: ignore[attr-defined]
            said = image.info["comment"] if form == "gif" else image.info["xmp"]
            assert b"frames" in said
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(clip.encoded("mp4"))) as container:
        assert json.loads(container.metadata["comment"])["frames"] == 3
