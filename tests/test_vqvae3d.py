"""A tokenizer of clips: frames as pictures of many channels, causality in time, shapes, learning."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from daedal.models.image import ImageBatch
from daedal.models.model import Moment
from daedal.models.vqvae3d import VQVAE3D, VQVAE3DConfig
from daedal.nn.causal_video import frames_of, groups_of
from daedal.nn.noise import Noise
from daedal.training.clip_pictures import to_frames, to_pictures

torch.set_num_threads(1)


@given(st.integers(1, 9))
def test_clips_come_back_from_pictures_of_many_channels(frames: int) -> None:
    clips = np.random.default_rng(frames).integers(0, 256, (2, frames, 2, 3, 3), dtype=np.uint8)
    pictures = to_pictures(clips)
    assert pictures.shape == (2, 2, 3, 3 * frames)
    assert (pictures[..., 3:] == to_pictures(clips[:, 1:])).all() if frames > 1 else (pictures == clips[:, 0]).all()
    assert (to_frames(pictures) == clips).all()


@given(st.integers(1, 40), st.integers(1, 6))
def test_groups_hold_all_frames_and_the_first_is_alone(frames: int, stride: int) -> None:
    groups = groups_of(frames, stride)
    assert frames_of(groups - 1, stride) < frames <= frames_of(groups, stride) or groups == frames == 1


def tokenizer(frames: int = 6, stride: int = 2, **values: object) -> VQVAE3D:
    """Of small clips; its weights are nowhere zero."""
    small = {
        "channels": 3 * frames,
        "height": 8,
        "width": 12,
        "filters": 8,
        "depth": 1,
        "stride": stride,
        "levels": (5, 4),
    }
    return shaken(VQVAE3D(VQVAE3DConfig.parse(small | values, "test")))


def shaken(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def video(frames: int, count: int = 2) -> torch.Tensor:
    return 2 * torch.rand(count, 3 * frames, 8, 12, generator=torch.Generator().manual_seed(frames)) - 1


@pytest.mark.parametrize(("frames", "stride"), [(6, 2), (5, 4), (4, 1), (3, 5)])
def test_tokens_are_those_of_all_groups_and_become_frames_again(frames: int, stride: int) -> None:
    model = tokenizer(frames, stride)
    ids = model.encode_ids(video(frames))
    assert ids.shape == (2, groups_of(frames, stride) * 2, 3)
    assert model.grid == tuple(ids.shape[1:])
    assert model.decode_ids(ids).shape == (2, 3 * frames, 8, 12)
    assert model.reconstruct(video(frames)).shape == (2, 3 * frames, 8, 12)


def test_what_a_group_is_does_not_depend_on_what_follows() -> None:
    model, clips = tokenizer(7, 2), video(7)
    ids = model.encode_ids(clips)
    for frames in (1, 3, 5):
        rows = 2 * groups_of(frames, 2)
        assert torch.equal(model.encode_ids(clips[:, : 3 * frames]), ids[:, :rows])
        torch.testing.assert_close(
            model.decode_ids(ids[:, :rows]), model.decode_ids(ids)[:, : 3 * frames], rtol=1e-4, atol=1e-5
        )


def test_a_group_knows_the_one_before_and_the_first() -> None:
    model, ids = tokenizer(9, 2), torch.zeros(1, 10, 3, dtype=torch.long)
    drawn = model.decode_ids(ids)

    def changes(group: int, of: int) -> bool:
        other = ids.clone()
        other[:, 2 * group : 2 * group + 2] = 7
        begin = 3 * (2 * of - 1)
        return not torch.allclose(model.decode_ids(other)[:, begin : begin + 6], drawn[:, begin : begin + 6])

    assert [changes(group, 4) for group in range(5)] == [True, False, False, True, True]


def test_a_batch_of_clips_is_what_each_is_alone() -> None:
    model, clips = tokenizer(), video(6, 3)
    each = torch.cat([model.encode_ids(clip[None]) for clip in clips])
    assert torch.equal(model.encode_ids(clips), each)


def test_it_learns_and_tells_the_price_of_its_tokens() -> None:
    model = VQVAE3D(tokenizer(rate=0.01).config)
    optimizer, clips = torch.optim.AdamW(model.parameters(), 3e-3), video(6) * 0.1
    losses = []
    for _ in range(12):
        loss = model.loss(ImageBatch(clips, torch.full((2,), -1), Noise(0, 0, 2), Moment(2)))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.total.item())
    assert losses[-1] < 0.8 * losses[0]
    assert loss.parts["nats"] > 0
