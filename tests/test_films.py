"""Models of clips, a GPT over their tokens and a flow over their codes: what they are trained on and asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.codecs.clip import ClipCodec
from daedal.errors import DaedalError
from daedal.inference.clip import Clip
from daedal.inference.generator import Generator
from daedal.models.film import Film, FilmConfig, TokenFilm
from daedal.models.film_model import FilmModel
from daedal.models.film_sampling import FilmSampling
from daedal.models.identity import identify
from daedal.nn.causal_video import groups_of
from daedal.nn.noise import Noise
from daedal.training.run import RunFolder
from test_vqvae3d import shaken, tokenizer, video

torch.set_num_threads(1)
ALL: Any = {"split": (100, 0, 0)}
"""Of a build: nothing is held out, so that a run of it is not measured at its end, which takes seconds."""


# -- the model ---------------------------------------------------------------------------------------------------------

WINDOW, GROUP = 2, 4


def toy(groups: int = 3) -> Film:
    """A GPT over clips of groups of 2 x 2 tokens, after captions of two words; its weights are nowhere zero."""
    config = FilmConfig.of(
        "swift", vocab_size=12, width=16, depth=2, heads=2, context=GROUP + WINDOW + 1 + GROUP * groups, grid=(2 * groups, 2),
        grid_at=GROUP + WINDOW, groups=groups, window=WINDOW,
    )  # fmt: skip
    return shaken(Film(config))  # type: ignore[no-any-return]


@pytest.mark.parametrize("led", [False, True])
def test_each_token_depends_on_those_before_it_alone(led: bool) -> None:
    model, length = toy(), 14 + GROUP * led
    ids = torch.randint(9, (1, length), generator=torch.Generator().manual_seed(1))
    first = torch.tensor([0 if led else GROUP])
    logits = model(ids, first=first)
    for place in range(length):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 9
        other = model(changed, first=first)
        torch.testing.assert_close(other[:, :place], logits[:, :place])
        assert not torch.allclose(other[:, place], logits[:, place])


@pytest.mark.parametrize("led", [False, True])
def test_what_is_read_in_pieces_is_what_is_read_at_once(led: bool) -> None:
    model, length = toy(), 14 + GROUP * led
    ids = torch.randint(9, (2, length), generator=torch.Generator().manual_seed(2))
    cache = model.new_cache(2, length)
    first = cache.first = torch.full((2,), 0 if led else GROUP)
    pieces = [model(part, cache) for part in ids.split((3, 2, 1, 1, 4, length - 11), 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model(ids, first=first), rtol=1e-4, atol=1e-4)


def still(model: Film) -> Film:
    """With blocks that do nothing, a prediction depends on the tokens that tables tell of."""
    with torch.no_grad():
        for block in model.transformer.blocks:
            for parameter in block.parameters():
                parameter.zero_()
            block.mix.copy_(torch.tensor([1.0, 0.0]))
    return model


def told(model: Film, column: int, length: int, first: int) -> set[int]:
    """The columns that matter to what is predicted at one."""
    ids = torch.randint(9, (1, length), generator=torch.Generator().manual_seed(3))
    at = torch.tensor([first])
    logits = model(ids, first=at)[0, column]

    def matters(other: int) -> bool:
        changed = ids.clone()
        changed[0, other] = (changed[0, other] + 1) % 9
        return not torch.allclose(model(changed, first=at)[0, column], logits)

    return {other for other in range(length) if matters(other)}


def test_it_is_told_what_stood_in_its_place_a_group_before() -> None:
    place, begin = 6, WINDOW + 1  # of the second group the place of row 1, column 0: its grid's place 6
    columns = told(still(toy()), WINDOW + place, 14, GROUP)
    # the same place and right of it a group before; above (and below: the same); before
    assert {column - begin for column in columns} == {2, 3, 4, 5}


def test_it_is_told_what_stands_in_its_place_at_the_end() -> None:
    begin = GROUP + WINDOW + 1
    columns = told(still(toy()), GROUP + WINDOW + 6, 14 + GROUP, 0)
    assert columns == {2} | {begin + place for place in (2, 3, 4, 5)}


def test_what_is_known_is_not_written() -> None:
    codec = tokenizer(5, 2, height=8, width=8, levels=(3, 3))
    config = FilmConfig.of(
        "swift",
        vocab_size=9 + 1 + 3,
        width=16,
        depth=1,
        heads=2,
        context=GROUP + 12,
        grid=(6, 2),
        grid_at=GROUP,
        groups=3,
    )
    model = TokenFilm(shaken(Film(config)), codec)
    clips, labels = video(5)[:, :, :, :8], torch.tensor([0, 2])
    assert model.capabilities == {"film", "class", "score"}
    for known, last in ((clips[:, :9], None), (clips[:, :3], clips[:, -3:]), (None, clips[:, -3:])):
        *_, made = model.write(Noise(1, 0, 2), labels, FilmSampling(), known, last)
        ids = made.show()
        assert ids.shape == (2, 6, 2)
        if known is not None:
            assert torch.equal(ids[:, : 2 * groups_of(known.shape[1] // 3, 2)], model.encode_ids(known))
        (alone,) = (list(model.write(Noise(1, 1, 1), labels[1:], FilmSampling(), *(
            None if each is None else each[1:] for each in (known, last)
        )))[-1].show(),)  # fmt: skip
        assert torch.equal(alone, ids[1:])


# -- trained -----------------------------------------------------------------------------------------------------------


SMALL: dict[str, dict[str, Any]] = {
    "tokens": {"width": 32, "depth": 1},
    "flow": {"prior": "flow", "features": 16, "blocks": 1, "heads": 1, "text_width": 32, "text_depth": 1},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    daedal.build_data(["moving-scenes:48"], folder / "data", frames=3, workers=1)
    asked: dict[str, Any] = {"steps": 2, "threads": 1, "batch": 2}
    daedal.train("video", data=folder / "data", out=folder / "tokens", **asked, **SMALL["tokens"])
    return folder / "tokens"


@pytest.fixture(scope="module", params=SMALL)
def run(request: pytest.FixtureRequest, written: Path) -> Path:
    out = written.parent / str(request.param)
    if not out.exists():
        asked = {"steps": 2, "threads": 1, "batch": 2, "codec": written / "training" / "tokens", **SMALL[out.name]}
        daedal.train("video", data=written.parent / "data", out=out, **asked)
    return out


@pytest.fixture(scope="module")
def film(run: Path) -> Generator:
    return daedal.load(run)


def pixels(clip: Clip) -> np.ndarray:
    return np.stack([np.asarray(frame) for frame in clip.frames])


def test_a_run_of_video_is_a_model_of_clips(run: Path, film: Generator) -> None:
    assert identify(run).kind == "clips"
    assert isinstance(film.model, FilmModel)
    assert isinstance(film.codec, ClipCodec)
    assert film.capabilities - {"score"} == {"film", "prompt"}


def test_clips_come_back_through_its_tokenizer(written: Path, film: Generator, tmp_path: Path) -> None:
    tokenizer = daedal.load(written / "training" / "tokens")
    assert isinstance(tokenizer.codec, ClipCodec)
    (clip,) = film.generate(1, seed=4)
    file = clip.save(tmp_path / "a.gif", scale=1)
    of_file, of_frames = tokenizer.reconstruct([file, clip.frames[:2]])
    assert pixels(of_file.original).shape == pixels(of_file.clip).shape == (3, 32, 32, 3)
    assert pixels(of_frames.clip).shape == (2, 32, 32, 3)
    assert len(of_file.pair.frames) == 3
    assert of_file.mse > 0
    with pytest.raises(DaedalError, match="no clip"):
        tokenizer.reconstruct([tmp_path / "a.txt"])


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


def test_a_clip_leads_from_a_picture_to_another(film: Generator) -> None:
    one, other = (np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8) for seed in range(2))
    (clip,) = film.generate(1, picture=Image.fromarray(one), to_picture=Image.fromarray(other), seed=1)
    assert (pixels(clip)[0] == one).all()
    assert (pixels(clip)[-1] == other).all()
    assert pixels(clip).shape == (3, 32, 32, 3)
    assert clip.provenance.to_picture
    with pytest.raises(DaedalError, match="in 3 frames"):
        film.generate(1, to_picture=Image.fromarray(other), frames=5)


def test_a_clip_goes_on(film: Generator, tmp_path: Path) -> None:
    (begun,) = film.generate(1, seed=6)
    (more,) = film.generate(1, clip=begun, frames=7, seed=7)
    assert pixels(more).shape == (7, 32, 32, 3)
    assert (pixels(more)[:3] == pixels(begun)).all()
    file = begun.save(tmp_path / "a.webp")
    (default,) = film.generate(1, clip=file, seed=7)
    assert pixels(default).shape == (4, 32, 32, 3)
    assert default.provenance.given == 3
    with pytest.raises(DaedalError, match="of which 3 are given"):
        film.generate(1, clip=begun, frames=2)


def test_training_goes_on_from_a_film(run: Path, tmp_path: Path) -> None:
    family, codec = identify(run).family, run / "codec"
    daedal.build_data(["moving-scenes:12"], tmp_path / "data", frames=3, workers=1, **ALL)
    daedal.train(family, data=tmp_path / "data", out=tmp_path / "more", steps=1, batch=2, init=run, codec=codec)
    before, after = (daedal.load(each).model.inner.state_dict() for each in (run, tmp_path / "more"))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=0.05) for name in before)


def test_clips_of_classes_train_a_model_that_is_asked_for_one(tmp_path: Path) -> None:
    for number in range(24):
        frames = [Image.new("RGB", (32, 32), (9 * number, 10 * at, 0)) for at in range(3)]
        folder = tmp_path / "clips" / ("up", "down")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        frames[0].save(folder / f"{number}.gif", save_all=True, append_images=frames[1:], duration=100)
    daedal.build_data([tmp_path / "clips"], tmp_path / "data", frames=3, workers=1, **ALL)
    daedal.train("video", data=tmp_path / "data", out=tmp_path / "run", steps=1, threads=1, batch=2, width=32, depth=1)
    film = daedal.load(tmp_path / "run")
    assert film.capabilities == {"film", "class", "score"}
    assert film.generate(1, label="up", seed=1)[0].provenance.label == "up"
    with pytest.raises(DaedalError, match="no class"):
        film.generate(1, label="left")


def test_longer_clips_begin_as_shorter_ones(film: Generator) -> None:
    (short,), (long,) = (film.generate(1, frames=count, seed=2) for count in (2, 6))
    assert pixels(long).shape[0] == 6
    assert np.abs(pixels(long)[:2].astype(int) - pixels(short)).max() <= 1


def test_it_tells_how_far_it_is_within_a_clip(film: Generator) -> None:
    told: list[float] = []
    film.generate(1, seed=3, frames=6, progress=lambda done, total: told.append(done / total))
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_clip_saves_itself(film: Generator, tmp_path: Path) -> None:
    (clip,) = film.generate(1, seed=3)
    with Image.open(clip.save(tmp_path / "a.gif")) as saved:
        assert saved.is_animated
    assert (tmp_path / "a.gif.json").exists()


def test_what_makes_no_sense_is_refused(film: Generator) -> None:
    for wrong in ({"frames": 0}, {"frames": 10**6}, {"prompt": "a " * 200}, {"prompt": ""}, {"temperature": -1}):
        with pytest.raises(DaedalError):
            film.generate(1, **wrong)
    for none in (0, "a red circle"):
        with pytest.raises(DaedalError, match="There are no"):
            film.generate(none)
    with pytest.raises(DaedalError, match="Say what to film"):
        film.generate(1, prompt=" ")
    with pytest.raises(DaedalError, match="train on clips with classes"):
        film.generate(1, label="up")


def test_a_family_takes_its_own_options_and_tells_likelihoods_or_none(film: Generator) -> None:
    clips = np.zeros((1, 3, 32, 32, 3), np.uint8)
    if isinstance(film.model, TokenFilm):
        foreign: dict[str, Any] = {"steps": 4}
        assert film.token_log_likelihoods(clips)[0] < 0
    else:
        foreign = {"top_k": 4}
        assert len(film.generate(1, seed=1, steps=2, churn=0.0)) == 1
        with pytest.raises(DaedalError, match="over the codes of a VQVAE3D cannot score"):
            film.token_log_likelihoods(clips)
    with pytest.raises(DaedalError, match=f"does not take {next(iter(foreign))}: it takes"):
        film.generate(1, **foreign)


def test_clips_without_captions_train_a_model_that_knows_no_prompts(tmp_path: Path) -> None:
    daedal.build_data(["moving-scenes:40,objects=1"], tmp_path / "data", frames=2, workers=1, captions="none", **ALL)
    daedal.train("video", data=tmp_path / "data", out=tmp_path / "run", steps=1, threads=1, batch=2, width=32, depth=1)
    film = daedal.load(tmp_path / "run")
    assert pixels(film.generate(1, seed=1)[0]).shape == (2, 32, 32, 3)
    with pytest.raises(DaedalError, match=r"without captions, and cannot film .* train on clips with captions"):
        film.generate(1, prompt="a red circle moves right")


def test_pictures_train_no_video(tmp_path: Path) -> None:
    daedal.build_data(["scenes:12"], tmp_path / "pictures")
    with pytest.raises(DaedalError, match="learned from clips"):
        daedal.train("video", data=tmp_path / "pictures", out=tmp_path / "run", steps=1)


def test_a_run_that_was_refused_can_be_asked_for_anew(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="too short"):
        daedal.train("video", data=written.parent / "data", out=tmp_path / "run", budget="1ms")
    RunFolder.check_new(tmp_path / "run")


def test_video_that_is_to_go_on_is_told_how(written: Path, tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="learned from nothing") as refused:
        daedal.train("video", data=written.parent / "data", out=tmp_path / "more", steps=1, init=written)
    assert f"--codec {written}/codec" in str(refused.value)


def test_commands_make_clips_between_pictures_and_after_others(run: Path, written: Path, tmp_path: Path) -> None:
    picture, between, more = (tmp_path / name for name in ("a.png", "between.gif", "more.gif"))
    Image.new("RGB", (50, 40), "red").save(picture)
    assert (
        command(
            "generate", run, "--from-picture", picture, "--to-picture", picture, "--seed", "1", "--out", between
        ).code
        == 0
    )
    assert command("generate", run, "--continue", between, "--seed", "1", "--out", more).code == 0
    with Image.open(between) as short, Image.open(more) as long:
        assert (short.n_frames, long.n_frames) == (3, 4)
    said = command("reconstruct", written / "training" / "tokens", between, "--out", tmp_path / "beside.gif", "--json")
    assert json.loads(said.out)[0]["psnr"] > 0
    with Image.open(tmp_path / "beside.gif") as beside:
        assert beside.size[0] > 1.9 * beside.size[1]
    assert "no clip" in mistake("reconstruct", written / "training" / "tokens", picture.with_suffix(".txt"))
    assert "one frame" in mistake("generate", run, "--continue", picture)


def test_wrong_requests_are_refused_before_a_clip_is_made(run: Path, tmp_path: Path) -> None:
    ask, out = ("generate", run), ("--out", tmp_path / "a.gif")
    assert "is missing" in mistake(*ask, "--continue", tmp_path / "nothing.gif", *out)
    assert "0.1 to 240" in mistake(*ask, "--fps", "1000", "--frames", "900", *out)
    assert "'c' would have no turn" in mistake(*ask, "-n", "2", "--prompt", "a", "--prompt", "b", "--prompt", "c", *out)
    assert "Ask for fewer" in mistake(*ask, "-n", "1000000000", *out)
    assert "more than programs show" in mistake(*ask, "-n", "600", "--frames", "300", *out)
    (tmp_path / "file").write_text("mine")
    assert "is a file" in mistake(*ask, "--out", tmp_path / "file")
    assert "in the way" in mistake(*ask, "--out", tmp_path / "file" / "a.gif")
    assert not list(tmp_path.glob("*.gif"))


def test_what_is_changed_or_unknown_is_told(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), "red").save(tmp_path / "a.png")
    said = command(
        "generate", run, "--from-picture", tmp_path / "a.png", "--prompt", "a zebra", "--out", tmp_path / "a.gif"
    )
    assert "50x40 pixels become 32x32" in said.err
    assert "had zebra" in said.err


def test_clips_of_a_folder_are_those_of_a_file_and_each_prompt_has_its_turn(run: Path, tmp_path: Path) -> None:
    ask = ("generate", run, "--seed", "3", "--prompt", "a red circle moves right", "--prompt", "a blue heart grows")
    assert command(*ask, "--out", tmp_path / "file.gif").out.startswith("2 clips of seed 3")
    assert command(*ask, "-n", "9", "--out", tmp_path / "folder").code == 0
    with Image.open(tmp_path / "folder" / "0001.gif") as one, Image.open(tmp_path / "file.gif") as both:
        assert one.n_frames == both.n_frames == 3
    records = [json.loads((tmp_path / "folder" / f"{n:04d}.gif.json").read_text()) for n in range(9)]
    assert [each["number"] for each in records] == [*range(9)]
    assert [each["prompt"] for each in records[:2]] == ["a red circle moves right", "a blue heart grows"]
    assert {each["seed"] for each in records} == {3}


def test_a_codec_of_other_clips_is_told_when_a_film_is_opened(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "copied")
    (copied / "clip_codec.json").write_text('{"frames": 9, "height": 32, "width": 32}')
    with pytest.raises(DaedalError, match=r"the model's \(9, 32, 32\)"):
        daedal.load(copied)
    shutil.copy(run / "clip_codec.json", copied)
    values = json.loads((copied / "codec" / "config.json").read_text())
    (copied / "codec" / "config.json").write_text(json.dumps(values | {"channels": 3}))
    with pytest.raises(DaedalError, match="its tokenizer has"):
        daedal.load(copied)
    shutil.rmtree(copied / "codec")
    with pytest.raises(DaedalError, match="is missing"):
        daedal.load(copied)


def test_the_tokenizer_of_a_film_opens_alone_and_is_measured_with_it(run: Path) -> None:
    assert identify(run / "codec").kind == "clips"
    assert "with the model that learns them" in mistake("evaluate", run / "codec", "--data", run.parent / "data")
