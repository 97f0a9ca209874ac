"""What the command line and a server give away carries signature and row by default, and can be told to carry none."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from PIL import Image

import media_runs
from api_server import serve
from artifacts import picture
from authorities import Authority
from blots import generator
from command_line import daedal, mistake, story
from daedal import api
from daedal.codecs.image import PixelCodec
from daedal.codecs.text import TextCodec
from daedal.inference.generator import Generator
from daedal.models import checkpoint
from daedal.models.checkpoint import save_model, save_own
from daedal.models.flow import Flow, FlowConfig
from daedal.safety.ledger import Ledger
from daedal.safety.marking import TYPES, Marking
from daedal.safety.sidecar import HEADER, read_statement
from daedal.safety.signing import Signer, read_signature
from daedal.serving.media_commands import MediaDesk
from test_media_commands import carry_out, say
from test_pictures import ANIMALS, photo
from tiny_models import shaken, tiny_gpt

RUN = "runs/blots"
BARE = ("--no-watermark", "--unsigned", "--no-ledger")
SHAPE: Any = {"channels": 3, "height": 8, "width": 8}


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every run is a model of blots, and an installation of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(api, "of_pictures", lambda folder: True)
    monkeypatch.setattr(checkpoint, "resolve", Path)
    monkeypatch.setattr(Generator, "open", lambda run, **options: generator(ANIMALS))
    monkeypatch.setattr(api, "use_fastest_threads", lambda: 1)
    photo(20, 10).save("a.png")
    photo(20, 10).transpose(Image.Transpose.ROTATE_180).save("b.png")
    return tmp_path


COMMANDS = {
    "sheet.png": ("generate", RUN, "-n", "4"),
    "one.webp": ("generate", RUN, "-n", "1"),
    "edit.jpg": ("edit", RUN, "--image", "a.png", "--strength", "0.5", "-n", "1"),
    "morph.gif": ("interpolate", RUN, "--seeds", "1,2", "--frames", "4"),
    "strip.png": ("interpolate", RUN, "--seeds", "1,2", "--frames", "4"),
    "back.tiff": ("reconstruct", RUN, "a.png", "b.png"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_drawn_is_signed_and_noted_unless_told_not_to(name: str, drawn: Path) -> None:
    ended = daedal(*COMMANDS[name], "--out", name)
    assert ended.code == 0, ended.err
    found = api.verify(name)
    assert (found.part("signature").says, found.part("ledger").says) == ("made here", "made here")
    assert found.signature.claim is not None
    assert found.signature.claim.model == generator(ANIMALS).name
    assert Ledger().check() == 1
    ended = daedal(*COMMANDS[name], "--out", name, "--replace", *BARE)
    assert ended.code == 0, ended.err
    assert api.verify(name).part("signature").says == "nothing"
    assert Ledger().check() == 1


def test_bare_files_are_the_same_bytes_and_make_no_keys(drawn: Path) -> None:
    for name in ("one.png", "two.png"):
        assert daedal("generate", RUN, "-n", "2", "--seed", "3", "--out", name, *BARE).code == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()
    assert not (drawn / "home").exists()


def test_each_picture_of_a_folder_is_signed_for_itself(drawn: Path) -> None:
    assert daedal("generate", RUN, "-n", "3", "--out", "folder").code == 0
    claims = {api.verify(path).signature.claim for path in Path("folder").glob("*.png")}
    assert len({claim.id for claim in claims if claim is not None}) == 3


def test_a_certificate_of_a_persons_own_signs(drawn: Path) -> None:
    press = Authority("Press")
    press.issue("Ada").write(Path("ada.pem"))
    assert daedal("generate", RUN, "-n", "1", "--out", "a1.png", "--certificate", "ada.pem").code == 0
    assert api.verify("a1.png").signature.issuer == "Ada"
    press.issue("Ada", days=(-20, -10)).write(Path("old.pem"))
    said = mistake("generate", RUN, "-n", "1", "--out", "a2.png", "--certificate", "old.pem")
    assert "expired" in said
    assert not Path("a2.png").exists()
    assert "expired" in mistake("serve", RUN, "--certificate", "old.pem", "--data", "state")


def test_a_text_in_a_file_has_a_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(api, "use_fastest_threads", lambda: 1)
    codec = TextCodec.train("byte", [])
    save_model(tiny_gpt(codec, context=64), tmp_path / "run", codec=codec)
    out = tmp_path / "told.txt"
    asked = ("generate", tmp_path / "run", "--prompt", story(1)[:40], "--max-tokens", "8", "--seed", "1", "--out", out)
    ended = daedal(*asked)
    assert ended.code == 0, ended.err
    assert out.read_text(encoding="utf-8").startswith(story(1)[:40])
    assert api.verify(out).part("signature").says == "made here"
    assert "exists already" in mistake(*asked)
    assert "holds one text" in mistake(*asked, "-n", "2")


# -- the server ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runs = tmp_path_factory.mktemp("runs")
    save_own(
        shaken(Flow(FlowConfig(**SHAPE, features=16, levels=1, blocks=1, classes=2))), runs / "flow", ("cat", "dog")
    )
    PixelCodec(**SHAPE).save(runs / "flow")
    models = {"flow": str(runs / "flow"), "composer": str(media_runs.composer(runs / "composer"))}
    codec = TextCodec.train("byte", [])
    save_model(tiny_gpt(codec, context=64), runs / "writer", codec=codec)
    models["writer"] = str(runs / "writer")
    marks: dict[str, Any] = {"watermark": True, "signed": True, "noted": True}
    with serve(tmp_path_factory.mktemp("served"), models=models, aliases={}, **marks) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_what_a_server_draws_is_known_to_it(client: OpenAI, tmp_path: Path) -> None:
    answer = client.images.generate(model="flow", prompt="cat", response_format="b64_json", extra_body={"steps": 2})
    assert answer.data is not None
    data = base64.b64decode(answer.data[0].b64_json or "")
    found = client.content_provenance_checks.create(file=("a.png", data, "image/png"))
    signature, mark = found.results
    assert signature.type == "c2pa"
    assert (signature.outcome, signature.validation_state, signature.model) == ("detected", "trusted", "flow")
    assert signature.generated_at is not None
    assert (mark.type, mark.outcome) == ("synthid", "not_detected")  # in 8 x 8 pixels there is no room
    told: Any = found.model_extra
    assert told["verdict"]["outcome"] == "made here"
    (tmp_path / "a.png").write_bytes(data)
    assert api.verify(tmp_path / "a.png").outcome == "made here"


def test_a_server_says_what_it_cannot_know(client: OpenAI, url: str) -> None:
    buffer = io.BytesIO()
    picture(7).save(buffer, format="PNG")
    found = client.content_provenance_checks.create(file=("a.png", buffer.getvalue(), "image/png"))
    states = [getattr(each, "validation_state", None) for each in found.results]
    assert states == ["not_present", None]
    assert {each.outcome for each in found.results} == {"not_detected"}
    for content, said in ((b"\x89PNG\r\n\x1a\n nonsense", "damaged"), (b"few words", "too little"), (b"", "is empty")):
        answer = httpx.post(f"{url}/v1/content_provenance_checks", files={"file": ("a", content)}, timeout=20)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == "file"
    assert httpx.post(f"{url}/v1/content_provenance_checks", json={}, timeout=20).status_code in (400, 415)


def test_speech_is_signed_where_it_is_not_streamed(tmp_path: Path) -> None:
    speaking = Generator.open(media_runs.voice(tmp_path / "voice"))
    marking = Marking(signer=Signer.own())
    for form in ("wav", "mp3"):
        events = carry_out(MediaDesk(speaking, marking), say(form=form))
        data = b"".join(base64.b64decode(event["data"]) for event in events)
        assert read_signature(data, TYPES[f".{form}"]).by == "this installation"
    assert carry_out(MediaDesk(speaking, marking), say(form="pcm"))[-1]["event"] == "done"


def test_a_tune_is_stated_in_a_header(url: str) -> None:
    asked: dict[str, Any] = {"model": "composer", "seconds": 2, "seed": 1}
    tune = httpx.post(f"{url}/v1/audio/music", json={**asked, "response_format": "midi"}, timeout=60)
    stated = read_statement(tune.headers[HEADER].encode(), tune.content)
    assert (stated.state, stated.by) == ("whole", "this installation")
    listed = httpx.post(f"{url}/v1/audio/music", json={**asked, "response_format": "json"}, timeout=60).json()["data"][
        0
    ]
    assert read_statement(listed["statement"].encode(), base64.b64decode(listed["b64_midi"])).state == "whole"


@pytest.mark.parametrize(
    ("path", "asked", "text"),
    [
        ("completions", {"prompt": "a", "max_tokens": 6}, lambda said: said["choices"][0]["text"]),
        ("chat/completions", {"max_tokens": 6}, lambda said: said["choices"][0]["message"]["content"]),
        ("responses", {"input": "a", "max_output_tokens": 16}, lambda said: said["output"][0]["content"][0]["text"]),
        ("messages", {"max_tokens": 6}, lambda said: said["content"][0]["text"]),
    ],
)
def test_a_text_is_stated_for_whoever_asks(
    url: str, tmp_path: Path, path: str, asked: dict[str, Any], text: Callable[[Any], str]
) -> None:
    turns = {} if {"prompt", "input"} & set(asked) else {"messages": [{"role": "user", "content": "a"}]}
    asked = {"model": "writer", **asked, **turns}
    for header, there in (({HEADER: "1"}, True), ({}, False)):
        answer = httpx.post(f"{url}/v1/{path}", json=asked, headers=header, timeout=60)
        assert (HEADER in answer.headers) is there, answer.text
        if there:
            (tmp_path / "said.txt").write_bytes(text(answer.json()).encode())
            (tmp_path / "said.txt.signed.json").write_text(answer.headers[HEADER])
            assert api.verify(tmp_path / "said.txt").outcome == "made here"


def test_the_ledger_is_whole_after_several_models_wrote_it(url: str) -> None:
    assert Ledger().check() > 0
