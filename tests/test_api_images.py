"""Pictures over the API: with OpenAI's client, as the library draws them, and wrong requests."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from PIL import Image

from api_server import serve
from daedal.codecs.caption import CaptionCodec
from daedal.codecs.image import PixelCodec
from daedal.inference.generator import Generator
from daedal.models.flow import Flow, FlowConfig
from daedal.models.gan import GAN, GANConfig
from daedal.models.image_checkpoint import save_image_model
from tiny_models import shaken

SHAPE: Any = {"channels": 3, "height": 8, "width": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    flow = shaken(Flow(FlowConfig(**SHAPE, features=16, levels=1, blocks=1, classes=2)))
    captions = CaptionCodec.train(["a red circle above a blue square"], window=16)
    told = {"words": captions.vocab_size, "window": captions.window, "text_width": 32, "text_depth": 1}
    for name, model, classes in (
        ("flow", flow, ("cat", "dog")),
        ("gan", shaken(GAN(GANConfig(**SHAPE))), ()),
        ("words", shaken(Flow(FlowConfig(**SHAPE, features=8, levels=1, blocks=1, **told))), ()),
    ):
        save_image_model(model, path / name, classes)
        PixelCodec(**SHAPE).save(path / name)
    captions.save(path / "words")
    return path


@pytest.fixture(scope="module")
def drawer(folder: Path) -> Generator:
    return Generator.open(folder / "flow", device="cpu")


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {name: str(folder / name) for name in ("flow", "gan", "words")}
    with serve(tmp_path_factory.mktemp("served"), models=models, aliases={"dall-e-2": "flow"}) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def opened(encoded: str | None) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded or "")))


def pixels(encoded: str | None) -> list[Any]:
    values: list[Any] = np.asarray(opened(encoded)).tolist()
    return values


def png(size: int = 8, color: str = "red") -> tuple[str, bytes, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), color).save(buffer, format="PNG")
    return "picture.png", buffer.getvalue(), "image/png"


def test_pictures_are_those_of_the_library(client: OpenAI, drawer: Generator) -> None:
    answer = client.images.generate(model="dall-e-2", prompt="cat", n=3, size="8x8", extra_body={"seed": 4, "steps": 3})
    assert answer.data is not None
    assert (answer.size, answer.output_format, answer.background) == ("8x8", "png", "opaque")
    expected = drawer.generate(3, seed=4, label="cat", steps=3)
    assert [pixels(one.b64_json) for one in answer.data] == [np.asarray(one.image).tolist() for one in expected]
    told = json.loads(opened(answer.data[0].b64_json).text["daedal"])  # type: ignore[attr-defined]
    assert (told["seed"], told["label"], told["options"]["steps"]) == (4, "cat", 3)


def test_sketches_come_before_the_picture(client: OpenAI) -> None:
    asked: Any = {"model": "flow", "prompt": "dog", "extra_body": {"seed": 1, "steps": 6}}
    events = list(client.images.generate(**asked, stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:2]] == [0, 1]  # type: ignore[union-attr]
    whole = client.images.generate(**asked).data
    assert whole is not None
    assert pixels(events[-1].b64_json) == pixels(whole[0].b64_json)
    asked |= {"image": png(), "extra_body": {"seed": 1, "steps": 12}}
    events = list(client.images.edit(**asked, stream=True, partial_images=3))  # type: ignore[arg-type]
    assert [event.type for event in events] == ["image_edit.partial_image"] * 3 + ["image_edit.completed"]
    whole = client.images.edit(**asked).data
    assert whole is not None
    assert pixels(events[-1].b64_json) == pixels(whole[0].b64_json)


def test_given_pictures_are_edited_and_varied(client: OpenAI, drawer: Generator) -> None:
    mask = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 8, 4))  # what is clear is drawn anew
    buffer = io.BytesIO()
    mask.save(buffer, format="PNG")
    answer = client.images.edit(
        model="flow",
        image=png(),
        mask=("mask.png", buffer.getvalue(), "image/png"),
        prompt="cat",
        extra_body={"seed": 2},
    )
    assert answer.data is not None
    drawn = np.asarray(opened(answer.data[0].b64_json))
    assert (drawn[4:] == (255, 0, 0)).all()
    assert not (drawn[:4] == (255, 0, 0)).all()
    expected = drawer.edit(png()[1], buffer.getvalue(), seed=2, label="cat")[0]
    assert drawn.tolist() == np.asarray(expected.image).tolist()
    varied = client.images.create_variation(model="flow", image=png(), n=2, extra_body={"seed": 3}).data
    assert varied is not None
    assert len({str(pixels(one.b64_json)) for one in varied}) == 2


@pytest.mark.parametrize(("form", "start"), [("jpeg", b"\xff\xd8"), ("webp", b"RIFF"), ("png", b"\x89PNG")])
def test_formats(client: OpenAI, form: Any, start: bytes) -> None:
    answer = client.images.generate(model="flow", prompt="cat", output_format=form)
    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(start)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"size": "1024x1024"}, "size"),
        ({"size": "../../etc"}, "size"),
        ({"prompt": "a giraffe"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 10**9}, "n"),
        ({"seed": -1}, "seed"),
        ({"guidance": "NaN"}, "guidance"),
        ({"guidance": 1e308}, "guidance"),
        ({"response_format": "url"}, "response_format"),
        ({"quality": "hd"}, "quality"),
        ({"style": "vivid"}, "style"),
        ({"background": "transparent"}, "background"),
        ({"partial_images": 2}, "partial_images"),
        ({"output_compression": 50}, "output_compression"),
        ({"top_k": 5}, "top_k"),
        ({"model": "gan", "prompt": "a cat"}, "prompt"),
        ({"model": "words", "prompt": "a red circle " * 10}, "prompt"),
        ({"model": "../flow"}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(url: str, fields: dict[str, Any], param: str | None) -> None:
    answer = httpx.post(f"{url}/v1/images/generations", json={"model": "flow", "prompt": "cat", **fields}, timeout=30)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["param"] == param, answer.text


def test_words_that_the_model_never_learned_are_told(url: str) -> None:
    asked = {"model": "words", "prompt": "A red unicorn!", "seed": 1, "steps": 2}
    told = httpx.post(f"{url}/v1/images/generations", json=asked, timeout=30).json()
    assert told["unknown_words"] == ["unicorn"]
    streamed = httpx.post(f"{url}/v1/images/generations", json={**asked, "stream": True}, timeout=30)
    assert '"unknown_words":["unicorn"]' in streamed.text
    known = httpx.post(f"{url}/v1/images/generations", json={**asked, "prompt": "a red square"}, timeout=30).json()
    assert "unknown_words" not in known


@pytest.mark.parametrize(
    ("data", "status", "param"),
    [
        (b"", 400, "image"),
        (b"\x00" * 1000, 400, "image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 400, "image"),
        (png(9000, "black")[1], 400, "image"),
    ],
    ids=["empty", "junk", "svg", "huge"],
)
def test_what_is_no_picture_is_refused(url: str, data: bytes, status: int, param: str) -> None:
    form = {"model": "flow"}
    answer = httpx.post(
        f"{url}/v1/images/variations", data=form, files={"image": ("../../x.png", data, "image/png")}, timeout=30
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_models_are_asked_for_what_they_can(client: OpenAI) -> None:
    assert client.images.generate(model="gan", prompt="").data
    for asked in (
        lambda: client.images.edit(model="gan", image=png(), prompt=""),
        lambda: client.completions.create(model="flow", prompt="x"),
        lambda: client.embeddings.create(model="flow", input="x"),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            asked()
        assert refused.value.param == "model"
