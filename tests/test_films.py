"""Clips as groups of frames and their tokens, a GPT that writes them, and what it is asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import daedal
from daedal.codecs.clip import ClipCodec
from daedal.errors import DaedalError
from daedal.inference.clip import Clip
from daedal.inference.generator import Generator
from daedal.models.film import Film, FilmConfig, FilmModel
from daedal.models.identity import identify
from daedal.training.clip_groups import group_frames, groups_of, to_frames, to_groups

torch.set_num_threads(1)


# -- groups ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 4), st.data())
def test_groups_of_frames_come_back(frames: int, stride: int, data: st.DataObject) -> None:
    clips = data.draw(arrays(np.uint8, (2, frames, 2, 2, 3)))
    groups = to_groups(clips, stride)
    assert groups.shape == (2, groups_of(frames, stride), 2, 2, 3 * stride)
    assert (to_frames(groups, frames) == clips).all()


def test_the_first_frame_is_a_group_alone() -> None:
    assert group_frames(6, 4).tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 5, 5, 5]]
    assert group_frames(3, 1).tolist() == [[0], [1], [2]]


# -- the model ---------------------------------------------------------------------------------------------------------


def toy(groups: int = 3) -> Film:
    """A GPT over clips of groups of 2 x 2 tokens, after captions of two words; its weights are nowhere zero."""
    config = FilmConfig.of(
        "swift", vocab_size=12, width=16, depth=2, heads=2, context=2 + 2 + 1 + 4 * groups, grid=(2 * groups, 2), grid_at=2,
        groups=groups,
    )  # fmt: skip
    model = Film(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def test_each_token_depends_on_those_before_it_alone() -> None:
    model, ids = toy(), torch.randint(9, (1, 14), generator=torch.Generator().manual_seed(1))
    logits = model(ids)
    for place in range(14):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 9
        other = model(changed)
        torch.testing.assert_close(other[:, :place], logits[:, :place])
        assert not torch.allclose(other[:, place], logits[:, place])


def test_what_is_read_in_pieces_is_what_is_read_at_once() -> None:
    model, ids = toy(), torch.randint(9, (2, 14), generator=torch.Generator().manual_seed(2))
    cache = model.new_cache(2, 14)
    pieces = [model(part, cache) for part in ids.split((5, 1, 1, 4, 3), 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model(ids), rtol=1e-4, atol=1e-4)


def test_it_is_told_what_stood_in_its_place_a_group_before() -> None:
    """With blocks that do nothing, a prediction depends on the tokens that tables tell of."""
    model = toy()
    with torch.no_grad():
        for block in model.transformer.blocks:
            for parameter in block.parameters():
                parameter.zero_()
            block.mix.copy_(torch.tensor([1.0, 0.0]))
    ids = torch.randint(9, (1, 14), generator=torch.Generator().manual_seed(3))
    logits = model(ids)
    begin, place = 2, 6  # of the second group the place of row 1, column 0: its grid's place 6

    def matters(column: int) -> bool:
        changed = ids.clone()
        changed[0, column] = (changed[0, column] + 1) % 9
        return not torch.allclose(model(changed)[0, begin + place], logits[0, begin + place])

    told = {column - begin - 1 for column in range(2, 14) if matters(column)}  # places of the clip's tokens
    assert told == {2, 3, 4, 5}  # the same place and right of it a group before; above (and below: the same); before


# -- trained -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    daedal.build_data(["moving-scenes:48"], folder / "data", frames=3, workers=1)
    daedal.train("video", data=folder / "data", out=folder / "run", steps=2, threads=1, batch=2, width=32, depth=1)
    return folder / "run"


@pytest.fixture(scope="module")
def film(run: Path) -> Generator:
    return daedal.load(run)


def pixels(clip: Clip) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in clip.frames])


def test_a_run_of_video_is_a_model_of_clips(run: Path, film: Generator) -> None:
    assert identify(run).kind == "clips"
    assert isinstance(film.model, FilmModel)
    assert isinstance(film.codec, ClipCodec)
    assert film.capabilities == {"film", "prompt"}


def test_its_tokenizer_is_a_model_that_makes_no_pictures(run: Path) -> None:
    tokenizer = daedal.load(run / "training" / "tokens")
    assert isinstance(tokenizer.codec, ClipCodec)
    with pytest.raises(DaedalError, match="cannot"):
        tokenizer.reconstruct([])


def test_clips_are_those_of_their_seed_whatever_their_number(film: Generator) -> None:
    three = film.generate(3, prompt="a red circle moves right", seed=5)
    (last,) = film.generate(1, prompt="a red circle moves right", seed=5, first=2)
    assert np.abs(pixels(three[2]).astype(int) - pixels(last)).max() <= 1  # batches are rounded otherwise
    assert pixels(last).shape == (3, 32, 32, 3)
    assert last.provenance.number == 2
    assert last.provenance.prompt == "a red circle moves right"
    assert last.fps == 1.5


def test_a_picture_is_the_first_frame(film: Generator) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    (clip,) = film.generate(1, picture=picture, seed=1)
    assert (pixels(clip)[0] == np.asarray(picture)).all()
    assert clip.provenance.picture


def test_longer_clips_begin_as_shorter_ones(film: Generator) -> None:
    (short,), (long,) = (film.generate(1, frames=count, seed=2) for count in (2, 6))
    assert pixels(long).shape[0] == 6
    assert np.abs(pixels(long)[:2].astype(int) - pixels(short)).max() <= 1


def test_a_clip_saves_itself(film: Generator, tmp_path: Path) -> None:
    (clip,) = film.generate(1, seed=3)
    with Image.open(clip.save(tmp_path / "a.gif")) as saved:
        assert saved.is_animated
    assert (tmp_path / "a.gif.json").exists()


def test_what_makes_no_sense_is_refused(film: Generator) -> None:
    for wrong in ({"frames": 0}, {"frames": 10**6}, {"prompt": "a " * 200}, {"prompt": ""}, {"temperature": -1}):
        with pytest.raises(DaedalError):
            film.generate(1, **wrong)
    with pytest.raises(DaedalError):
        film.generate(0)


def test_clips_without_captions_train_a_model_that_knows_no_prompts(tmp_path: Path) -> None:
    daedal.build_data(["moving-scenes:40,objects=1"], tmp_path / "data", frames=2, workers=1, captions="none")
    daedal.train("video", data=tmp_path / "data", out=tmp_path / "run", steps=1, threads=1, batch=2, width=32, depth=1)
    film = daedal.load(tmp_path / "run")
    assert pixels(film.generate(1, seed=1)[0]).shape == (2, 32, 32, 3)
    with pytest.raises(DaedalError, match="without captions"):
        film.generate(1, prompt="a red circle moves right")


def test_pictures_train_no_video(tmp_path: Path) -> None:
    daedal.build_data(["scenes:12"], tmp_path / "pictures")
    with pytest.raises(DaedalError, match="learned from clips"):
        daedal.train("video", data=tmp_path / "pictures", out=tmp_path / "run", steps=1)
