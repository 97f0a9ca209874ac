"""The desk of a model of images: what is drawn together is what each would get alone."""

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from blots import generator
from daedal.codecs.image import PixelCodec
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture
from daedal.models.flow import Flow, FlowConfig
from daedal.models.gan import GAN, GANConfig
from daedal.nn.noise import Noise
from daedal.serving.commands import Refused
from daedal.serving.image_commands import ImageDesk
from tiny_models import shaken

torch.set_num_threads(1)
SHAPE = {"channels": 3, "height": 8, "width": 8}
FLOW = Generator(
    shaken(Flow(FlowConfig(**SHAPE, features=16, levels=1, blocks=1, classes=2))),  # type: ignore[arg-type]
    PixelCodec(**SHAPE),
    "flow",
    classes=("cat", "dog"),
)


def draw(id: int, **fields: Any) -> dict[str, Any]:
    return {"op": "draw", "id": id, "owner": "me", "n": 1, **fields}


def carry_out(desk: ImageDesk, *commands: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    for command in commands:
        desk.begin(desk.prepare(command))
    events = []
    while desk.busy:
        events += desk.step()
    return {command["id"]: [event for event in events if event["id"] == command["id"]] for command in commands}


def opened(event: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(event["png"]))))


def images(events: list[dict[str, Any]]) -> list[np.ndarray]:
    assert events[-1]["event"] == "done"
    return [opened(event) for event in events if event["event"] == "image"]


def same(drawn: list[np.ndarray], pictures: list[Picture]) -> bool:
    """But for the rounding of a product, which on some machines depends on how large the batch is."""
    apart = [
        np.abs(one.astype(int) - np.asarray(picture.image)).max() for one, picture in zip(drawn, pictures, strict=True)
    ]
    return max(apart, default=0) <= 1


def png() -> str:
    buffer = io.BytesIO()
    FLOW.generate(1, seed=9)[0].image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mask() -> bytes:
    """White, which is drawn anew, along the diagonal."""
    buffer = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(buffer, format="PNG")
    return buffer.getvalue()


def test_what_shares_a_batch_is_what_each_gets_alone() -> None:
    commands = [
        draw(1, seed=1, n=3, prompt="cat", steps=4),
        draw(2, seed=2, n=20, prompt="dog", steps=4),
        draw(3, seed=3, n=2, prompt="dog", steps=3),
    ]
    found = carry_out(ImageDesk(FLOW), *commands)
    assert same(images(found[1]), FLOW.generate(3, seed=1, label="cat", steps=4))
    assert same(images(found[2]), FLOW.generate(20, seed=2, label="dog", steps=4))
    assert same(images(found[3]), FLOW.generate(2, seed=3, label="dog", steps=3))
    assert [event["index"] for event in found[2] if event["event"] == "image"] == list(range(20))


def test_previews_come_on_the_way_and_end_near_the_picture() -> None:
    events = carry_out(ImageDesk(FLOW), draw(1, seed=1, n=1, prompt="cat", steps=8, previews=3))[1]
    assert [event["event"] for event in events] == ["preview"] * 3 + ["image", "done"]
    assert [event["number"] for event in events[:3]] == [0, 1, 2]
    final = opened(events[3]).astype(float)
    errors = [np.abs(opened(event).astype(float) - final).mean() for event in events[:3]]
    assert errors[2] < errors[0]


def test_a_late_job_does_not_wait_for_a_long_one() -> None:
    desk = ImageDesk(FLOW)
    for id in range(6):
        desk.begin(desk.prepare(draw(id, seed=id, n=2, prompt="cat", steps=20 + id)))
        desk.step()
    late = {"seed": 7, "prompt": "dog", "steps": 3}
    desk.begin(desk.prepare(draw(7, n=17, **late)))
    events = []
    while desk.busy:
        events += desk.step()
    assert sorted({event["id"] for event in events}) == [*range(6), 7]
    for id in range(6):
        mine = images([event for event in events if event["id"] == id])
        assert same(mine, FLOW.generate(2, seed=id, label="cat", steps=20 + id))
    assert same(
        images([event for event in events if event["id"] == 7]), FLOW.generate(17, seed=7, label="dog", steps=3)
    )

    desk.begin(desk.prepare(draw(8, steps=50)))
    desk.step()
    desk.begin(desk.prepare(draw(9, steps=2)))
    taken = 0
    while not any(event["id"] == 9 for event in desk.step()):
        taken += 1
    assert taken < 6
    desk.cancel(8)
    assert not desk.busy


def test_owners_take_turns() -> None:
    desk = ImageDesk(FLOW)
    for id in range(9):
        desk.begin(desk.prepare(draw(id, owner="alice", seed=id, n=18, prompt="cat", steps=2)))
    desk.step()
    for id, prompt in ((10, "cat"), (11, "dog")):
        desk.begin(desk.prepare(draw(id, owner="bob", seed=id, n=20, prompt=prompt, steps=2)))
    desk.begin(desk.prepare(draw(12, owner="carol", seed=12, prompt="dog", steps=3)))
    events = []
    while desk.busy:
        events += desk.step()
    order = [event["id"] for event in events if event["event"] == "image"]
    assert len(order) == 9 * 18 + 2 * 20 + 1
    # One batch of Alice's was on its way, and each of the others is given as much before she is given more
    assert 12 in order[: 3 * 16]
    assert [sum(id < 9 for id in order[:stop]) for stop in (3 * 16, 5 * 16)] == [16 + 15, 2 * 16 + 15]
    assert same(
        images([event for event in events if event["id"] == 10]), FLOW.generate(20, seed=10, label="cat", steps=2)
    )


def test_a_job_that_nobody_waits_for_is_not_finished() -> None:
    desk = ImageDesk(FLOW)
    for id in (1, 2):
        desk.begin(desk.prepare(draw(id, seed=id, steps=5)))
    desk.step()
    desk.cancel(1)
    events = []
    while desk.busy:
        events += desk.step()
    assert {event["id"] for event in events} == {2}
    desk.begin(desk.prepare(draw(3, steps=5)))
    desk.step()
    desk.cancel(3)
    assert not desk.busy


def test_given_pictures_are_edited_and_varied() -> None:
    given, white = base64.b64decode(png()), mask()
    edited = draw(1, seed=1, prompt="cat", image=png(), mask=encoded(white), steps=2)
    found = carry_out(ImageDesk(FLOW), edited, draw(2, seed=2, n=2, image=png(), vary=True))
    assert same(images(found[1]), FLOW.edit(given, white, seed=1, label="cat", steps=2))
    assert same(images(found[2]), FLOW.vary(given, 2, seed=2))
    for like, some in (
        (generator(), {}),
        (Generator(shaken(GAN(GANConfig(**SHAPE))), FLOW.codec), {"strength": 0.2}),
    ):
        varied = draw(1, seed=5, n=18, image=png(), vary=True, **some)
        assert same(images(carry_out(ImageDesk(like), varied)[1]), like.vary(given, 18, seed=5, **some))


def test_edits_take_their_steps_beside_whatever_else_is_drawn() -> None:
    given, white, desk = base64.b64decode(png()), mask(), ImageDesk(FLOW)
    how = {"steps": 6, "guidance": 2.0}
    commands = [
        draw(1, seed=1, n=2, prompt="cat", **how),
        draw(2, seed=2, n=20, prompt="dog", image=png(), mask=encoded(white), previews=2, **how),
        draw(3, seed=3, prompt="cat", image=png(), strength=0.7, **how),
        draw(4, seed=4, image=png(), vary=True),
        draw(5, seed=5, steps=3),
    ]
    events = []
    for command in commands:
        desk.begin(desk.prepare(command))
        events += desk.step()
    assert (desk.stats()["running"], desk.stats()["waiting"]) == (
        4,
        1,
    )  # the last waits for room, nobody else for anyone
    while desk.busy:
        events += desk.step()
    found = {id: [event for event in events if event["id"] == id] for id in range(1, 6)}
    assert same(images(found[1]), FLOW.generate(2, seed=1, label="cat", **how))
    assert same(images(found[2]), FLOW.edit(given, white, 20, seed=2, label="dog", **how))
    assert same(images(found[3]), FLOW.edit(given, seed=3, label="cat", strength=0.7, **how))
    assert same(images(found[4]), FLOW.vary(given, seed=4))
    assert same(images(found[5]), FLOW.generate(seed=5, steps=3))
    sketches = [opened(event) for event in found[2] if event["event"] == "preview"]
    assert len(sketches) == 2 * 20
    kept, original = np.eye(8) == 0, np.asarray(Image.open(io.BytesIO(given)))
    assert all((sketch[kept] == original[kept]).all() for sketch in sketches)


def test_pictures_like_others_do_not_hold_up_what_is_being_drawn() -> None:
    like = Generator(shaken(GAN(GANConfig(**SHAPE))), FLOW.codec)
    desk = ImageDesk(like)
    desk.begin(desk.prepare(draw(1, n=64, image=png(), vary=True)))
    desk.begin(desk.prepare({**draw(2), "owner": "other"}))
    done = [event["id"] for _ in range(3) for event in desk.step() if event["event"] == "done"]
    assert done == [2]


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "no base64"},
        {"image": base64.b64encode(b"\x89PNG\r\n\x1a\nbroken").decode()},
        {"image": base64.b64encode(b"<svg onload='x'/>").decode()},
        {"prompt": "giraffe"},
        {"steps": 10**9},
        {"guidance": -1.0},
        {"seed": -1},
        {"op": "generate"},
    ],
)
def test_what_is_wrong_is_refused_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        ImageDesk(FLOW).prepare({**draw(1), **fields})
    assert refused.value.status == 400
    assert "/" not in refused.value.message.replace("--", "")


def test_a_huge_picture_is_refused_before_it_is_opened() -> None:
    buffer = io.BytesIO()
    Image.new("1", (8000, 8000)).save(buffer, format="PNG")
    with pytest.raises(Refused, match="64,000,000"):
        ImageDesk(FLOW).prepare(draw(1, image=base64.b64encode(buffer.getvalue()).decode()))


def test_joined_noise_is_the_noise_of_its_parts() -> None:
    parts = [Noise(1, 0, 2), Noise(7, 5, 3)]
    joined = Noise.join(parts)
    assert joined.count == 5
    assert torch.equal(joined.normal("x", 3), torch.cat([part.normal("x", 3) for part in parts]))
    assert Noise.join(parts[:1]) is parts[0]
