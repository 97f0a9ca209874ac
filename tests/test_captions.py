"""A GPT that draws what captions say, and says what pictures show: the invariants of drawing, and the whole way by command."""

import json
import math
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from command_line import daedal, mistake
from daedal import api
from daedal.codecs.caption import CaptionCodec
from daedal.codecs.image import PixelCodec
from daedal.duration import format_duration
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.skills.draw import draw_best
from daedal.models.coded import TokenModel
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.image import ImageSampling
from daedal.models.layout import TokenLayout
from daedal.models.vqvae import VQVAE, VQVAEConfig
from daedal.nn.noise import Noise
from daedal.training.pace import Pace
from daedal.training.planning import ShortBudget
from daedal.training.run import RunFolder
from daedal.training.session import Session
from daedal.training.text_to_image import TextToImage
from runs import logged, same, stop_at
from test_picture_training import SMALL, trainer_for
from tiny_models import shaken
from warm_python import python

torch.set_num_threads(1)
CODEC = CaptionCodec.train(["a red circle above a blue square", "two green stars", "a large pink moon"])
GUIDED = pytest.mark.parametrize("guidance", [1.0, 3.0])


@pytest.fixture(scope="module")
def model() -> TokenModel:
    tokenizer = shaken(
        VQVAE(VQVAEConfig(channels=3, height=8, width=8, filters=8, depth=1, halvings=1, levels=(3, 3)))
    ).eval()
    layout = TokenLayout(tokenizer.vocab_size, 16, words=CODEC.vocab_size, window=CODEC.window)
    config = GPTConfig.of(
        "swift", vocab_size=layout.vocab_size, width=16, depth=2, heads=2, context=layout.context, grid=tokenizer.grid,
        grid_at=layout.window,
    )  # fmt: skip
    gpt = GPT(config)
    generator = torch.Generator().manual_seed(0)
    gpt.initialise(generator)
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return TokenModel(gpt.eval(), tokenizer)


def prompts(texts: Sequence[str]) -> Tensor:
    return CODEC.encode(texts)


def pictures(count: int) -> Tensor:
    return Noise(5, 0, count).uniform("picture", 3, 8, 8) * 2 - 1


def test_tokens_that_stand_for_nearly_the_same_begin_alike(model: TokenModel) -> None:
    known = model.inner.config
    config = GPTConfig.of(
        "swift", vocab_size=known.vocab_size, width=512, depth=2, heads=2, context=known.context, grid=known.grid,
        grid_at=known.grid_at,
    )  # fmt: skip
    whole = TokenModel(GPT(config), model.codec)
    whole.initialise(torch.Generator().manual_seed(0))
    tables = [table.weight.detach() for table in whole.inner.token_tables]
    # What is read and predicted, what stands above, what comes before, and the values of every other layer
    assert len(tables) == 4
    for table in tables:
        vectors = torch.nn.functional.normalize(table[: whole.layout.tokens], dim=1)
        alike = vectors @ vectors.T
        assert alike[0, 1] > alike[0, 8] + 0.1  # of three times three levels, 8 is in the corner opposite to 0
        assert vectors.mean(0).norm() < 0.7  # and they are not all the same


@GUIDED
def test_what_is_written_with_a_cache_is_what_is_written_without(model: TokenModel, guidance: float) -> None:
    noise, rows = Noise(0, 0, 3), prompts(["two green stars", "", "a large pink moon"])
    drawn = model.sample(noise, rows, ImageSampling(guidance=guidance))
    chances, ids = model.prior(noise), torch.empty(3, 0, dtype=torch.int64)
    for place in range(16):
        asked, free = (
            model.inner(torch.cat((model.layout.opening(labels), ids), 1))[:, -1, : model.layout.tokens].double()
            for labels in (rows, torch.full_like(rows, -1))
        )
        cumulated = torch.lerp(free, asked, guidance).softmax(-1).cumsum(-1)
        ids = torch.cat((ids, torch.searchsorted(cumulated, chances[:, place : place + 1].double(), right=True)), 1)
    torch.testing.assert_close(drawn, model.codec.decode_ids(ids.view(3, 4, 4)), atol=1e-5, rtol=0)


@GUIDED
def test_a_prompt_is_drawn_alone_as_it_is_beside_others(model: TokenModel, guidance: float) -> None:
    noise, how = Noise(0, 0, 3), ImageSampling(guidance=guidance)
    rows = prompts(["two green stars", "a red circle above a blue square", ""])
    together = model.sample(noise, rows, how)
    for row in range(3):
        alone = model.sample(noise.part(row, row + 1), rows[row : row + 1], how)
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=0)
    assert not torch.equal(together, model.sample(noise, rows.roll(1, 0), how))


def test_guidance_of_one_is_none_and_nothing_asked_cannot_be_asked_for_more(model: TokenModel) -> None:
    noise, rows = Noise(0, 0, 4), prompts(["two green stars"] * 4)
    assert torch.equal(model.sample(noise, rows), model.sample(noise, rows, ImageSampling(guidance=1.0)))
    assert torch.equal(model.sample(noise), model.sample(noise, None, ImageSampling(guidance=4.0)))


def test_an_edit_of_everything_is_a_sample_and_one_of_nothing_the_picture(model: TokenModel) -> None:
    noise, rows, images = Noise(0, 0, 2), prompts(["two green stars", "a large pink moon"]), pictures(2)
    everything = torch.zeros(2, 1, 8, 8)
    assert torch.equal(model.edit(images, everything, noise, rows), model.sample(noise, rows))
    assert torch.equal(model.edit(images, everything + 1, noise, rows), images)
    half = everything.clone()
    half[..., :4] = 1
    *sketches, last = model.editing(images, half, noise, rows)
    edited = last.show()
    assert torch.equal(edited, model.edit(images, half, noise, rows))
    assert torch.equal(edited[..., :4], images[..., :4])
    assert not torch.equal(edited[..., 4:], images[..., 4:])
    assert sketches
    for sketch in sketches:  # row by row; what is below is still what was given
        row = round(8 * sketch.done)
        assert torch.equal(sketch.show()[..., row:, :], images[..., row:, :])


def test_the_likelihood_of_tokens_is_that_of_writing_them_one_by_one(model: TokenModel) -> None:
    rows, images = prompts(["two green stars", ""]), pictures(2)
    ids, total = model.codec.encode_ids(images).flatten(1), torch.zeros(2, dtype=torch.float64)
    for place in range(16):
        written = torch.cat((model.layout.opening(rows), ids[:, :place]), 1)
        chances = model.inner(written)[:, -1, : model.layout.tokens].double().softmax(-1)
        total += chances.gather(1, ids[:, place : place + 1])[:, 0].log()
    found = model.token_log_likelihood(images, rows)
    torch.testing.assert_close(found, total.detach(), atol=1e-4, rtol=0)
    assert torch.equal(found[1], model.token_log_likelihood(images)[1])  # an empty caption says nothing
    assert not torch.equal(found[0], model.token_log_likelihood(images)[0])


def test_the_likelihood_of_a_caption_is_that_of_saying_it_word_by_word(model: TokenModel) -> None:
    layout, rows, images = model.layout, prompts(["two green stars", "a large pink moon"]), pictures(2)
    found = model.caption_log_likelihood(images, rows)
    for row in range(2):
        words = [*rows[row][rows[row] >= 0].tolist(), layout.words - 1]
        ids, total = model.codec.encode_ids(images[row : row + 1]).flatten(1), 0.0
        said = torch.cat((ids.new_full((1, 1), layout.tokens), ids, ids.new_full((1, 1), layout.tokens + 1)), 1)
        for word in words:
            logits = model.inner(said, first=torch.tensor([layout.window]))[0, -1, layout.first_word :]
            total += float(logits.detach().double().log_softmax(-1)[word])
            said = torch.cat((said, torch.tensor([[word + layout.first_word]])), 1)
        assert math.isclose(float(found[row]), total, abs_tol=1e-4)
        alone = model.caption_log_likelihood(images[row : row + 1], rows[row : row + 1])
        torch.testing.assert_close(alone[0], found[row], atol=1e-4, rtol=0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_picture_is_told_alone_as_it_is_beside_others(model: TokenModel, temperature: float) -> None:
    noise, images = Noise(0, 0, 3), pictures(3)
    together = model.caption(images, noise, temperature)
    assert together.shape == (3, CODEC.window)
    for row in range(3):
        alone = model.caption(images[row : row + 1], noise.part(row, row + 1), temperature)
        assert CODEC.decode(alone[0]) == CODEC.decode(together[row])


def test_what_is_told_with_a_cache_is_what_is_learned(model: TokenModel) -> None:
    images = pictures(2)
    told = model.caption(images, Noise(0, 0, 2))
    ids = model.codec.encode_ids(images)
    rows = torch.full_like(told, -1)
    for row, words in zip(rows, told, strict=True):
        said = [int(word) for word in words if word != CODEC.end_id]
        row[CODEC.window - len(said) :] = torch.tensor(said, dtype=torch.int64)
    batch = model.layout.to_tell(ids, rows)
    logits = model.inner(batch.inputs, first=batch.first)[:, 17:, model.layout.first_word :]
    likeliest, asked = logits.argmax(-1), batch.targets[:, 17:]
    known = asked >= 0
    assert torch.equal(likeliest[known], asked[known] - model.layout.first_word)


def test_prompts_are_words_of_a_person() -> None:
    with pytest.raises(DaedalError, match="trained without captions"):
        _generator(captions=False).generate(1, prompt="a red circle")


def _generator(captions: bool) -> Generator:
    tokenizer = VQVAE(VQVAEConfig(channels=3, height=8, width=8, filters=8, depth=1, halvings=1, levels=(3, 3)))
    gpt = GPT(GPTConfig.of("qwen3", vocab_size=tokenizer.vocab_size + 1, width=16, depth=1, heads=2, context=16))
    for part in (tokenizer, gpt):
        part.initialise(torch.Generator().manual_seed(0))
    assert not captions
    return Generator(TokenModel(gpt, tokenizer), PixelCodec(3, 8, 8), "plain")


# -- the whole way -----------------------------------------------------------------------------------------------------

SHAPE = {"width": 16, "depth": 1, "heads": 1, "head_width": 16, "mlp_width": 32, "architecture": "swift"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "scenes"
    api.build_data(["scenes:80"], folder, size=32, workers=1)
    return folder


@pytest.fixture(scope="module")
def all_to_learn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing is held out: a run of it is not measured at its end, which takes seconds."""
    folder = tmp_path_factory.mktemp("captions") / "all"
    api.build_data(["scenes:80"], folder, size=32, workers=1, split=(100, 0, 0))
    return folder


@pytest.fixture(scope="module")
def tokens(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "tokens"
    trainer_for("vqvae", scenes, folder, **{**SMALL["vqvae"], "halvings": 3}).train()
    return folder


@pytest.fixture(scope="module")
def painter(scenes: Path, tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "painter"
    changes = {**SHAPE, "condition": "caption", "steps": 40, "telling": 0.5}
    trainer_for("gpt", scenes, folder, tokens, learning_rate=0.01, **changes).train()
    return folder


def test_a_run_on_captions_that_was_stopped_goes_on_bit_for_bit(scenes: Path, tokens: Path, tmp_path: Path) -> None:
    from daedal.training.trainer import Interrupted

    changes = {**SHAPE, "condition": "caption"}
    trainer_for("gpt", scenes, tmp_path / "whole", tokens, **changes).train()
    first = trainer_for("gpt", scenes, tmp_path / "stopped", tokens, **changes)
    stop_at(first, 5)
    with pytest.raises(Interrupted):
        first.train()
    trainer_for("gpt", scenes, tmp_path / "stopped", tokens, **changes).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")


def test_it_learns_to_draw_and_to_tell_and_hides_some_captions(
    scenes: Path, tokens: Path, painter: Path, tmp_path: Path
) -> None:
    losses = logged(painter, "loss")
    assert losses[-1] < losses[0] - 0.3
    opened = trainer_for("gpt", scenes, tmp_path / "unused", tokens, **SHAPE, condition="caption", telling=0.25)
    batch = opened.task.batch(0, 400)
    told = batch.first > 0
    assert 60 < int(told.sum()) < 140
    hidden = (batch.inputs[:, 0] == opened.task.whole.layout.end) & (
        batch.inputs[:, opened.task.whole.layout.window - 1] == opened.task.whole.layout.end
    )
    assert 10 < int(hidden[~told].sum()) < 60


def test_a_run_folder_draws_prompts_and_tells_pictures(painter: Path, tmp_path: Path) -> None:
    opened = api.load(painter)
    assert {"prompt", "caption", "edit"} <= opened.capabilities
    drawn = opened.generate(2, prompt=["a red circle", "two blue stars"], seed=1)
    assert [picture.provenance.label for picture in drawn] == ["a red circle", "two blue stars"]
    assert len(opened.caption([picture.image for picture in drawn])) == 2


def test_it_keeps_the_drawing_of_which_it_would_say_the_prompt(painter: Path, tmp_path: Path) -> None:
    artist = api.load(painter)
    assert isinstance(artist, Generator)
    asked: dict[str, Any] = {"prompt": "two blue stars", "seed": 1}
    drawn = artist.generate(8, **asked)
    likely = artist.caption_log_likelihood("two blue stars", [picture.image for picture in drawn])
    best = draw_best(artist.generate, artist, 2, best_of=4, **asked)
    assert [picture.provenance.number for picture in best] == [int(likely[:4].argmax()), 4 + int(likely[4:].argmax())]
    out = tmp_path / "best.png"
    done = daedal(
        "generate", painter, "--prompt", "two blue stars", "-n", "2", "--best-of", "4", "--seed", "1", "--out", out
    )
    assert done.code == 0, done.err


def test_its_evaluation_says_how_likely_it_finds_tokens_and_what_captions_save(painter: Path, tmp_path: Path) -> None:
    api.build_data(["scenes:60"], tmp_path / "others", size=32, workers=1, test=("scenes:60,objects=2",))
    report = api.evaluate(painter, tmp_path / "others", samples=50, seconds=3, extractor="random")
    found = {each.name: each for each in report.measurements}
    assert found["nats of a picture's tokens"].value > 0
    assert "nats that a caption saves" in found
    assert "after=caption" in found["nats of a picture's tokens"].definition


def test_the_commands_draw_and_tell(painter: Path, tmp_path: Path) -> None:
    out, drawn = tmp_path / "drawn.png", ("generate", painter, "--prompt", "a red unicorn", "-n", "1", "--seed", "1")
    done = daedal(*drawn, "--out", out)
    assert done.code == 0, done.err
    assert "No caption that the model learned had unicorn" in done.err
    told = daedal("caption", painter, out, "--json")
    assert told.code == 0, told.err
    assert [entry["picture"] for entry in json.loads(told.out)] == [str(out)]
    mask = np.full((32, 32), 255, np.uint8)
    mask[24:, 24:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    part = ("--image", out, "--mask", tmp_path / "mask.png", "--out", tmp_path / "edited.png")
    assert daedal(*drawn, *part).code == 0
    with Image.open(out) as one, Image.open(tmp_path / "edited.png") as other:
        assert math.isclose(np.abs(np.asarray(one, int) - np.asarray(other, int)).max(), 0, abs_tol=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--prompt", " "], "The prompt says nothing"),
        (["--class", "3"], "There is no class 3"),
        (["--best-of", "4"], "Without a prompt there is nothing to judge by"),
        (
            ["--prompt", "two stars", "--prompt", "a moon", "-n", "1"],
            "2 prompts are given for 1 picture: 'a moon' would",
        ),
        (["--prompt", "two stars", "--best-of", "1"], "there is nothing to choose from"),
        (["--prompt", "two stars", "--judge", "no-run"], "--judge has nothing to choose from"),
    ],
)
def test_a_mistake_is_one_line(painter: Path, tmp_path: Path, given: list[str], said: str) -> None:
    assert said in mistake("generate", painter, *given, "--out", tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


# -- both stages by one command ----------------------------------------------------------------------------------------


def _ask(scenes: Path, out: Path, *more: str) -> tuple[str | Path, ...]:
    shape = [part for name, value in SHAPE.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    run = ("--steps", "4", "--batch", "8", "--threads", "1", "--precision", "fp32", *shape, *more)
    return ("train", "text-to-image", "--data", scenes, "--out", out, *run)


def test_one_command_trains_tokens_and_what_draws_with_them(scenes: Path, tmp_path: Path) -> None:
    done = daedal(*_ask(scenes, tmp_path / "run"))
    assert done.code == 0, done.err
    assert {"prompt", "caption"} <= api.load(tmp_path / "run").capabilities
    assert api.load(tmp_path / "run" / "training" / "tokens").capabilities == {"reconstruct"}
    assert "already holds a run" in mistake(*_ask(scenes, tmp_path / "run"))


def test_a_budget_that_is_too_short_for_a_stage_is_told_for_the_whole(scenes: Path, tmp_path: Path) -> None:
    said = mistake("train", "text-to-image", "--data", scenes, "--budget", "12s", "--out", tmp_path / "run")
    assert "A budget of 12 s is too short" in said
    assert "the tokenizer has 3 s of it" in said
    assert "Give at least --budget 36s" in said  # a quarter of it are the (3 + 5) / 0.9 seconds that a stage needs


@pytest.mark.parametrize(
    ("more", "whole"),
    [([], "A budget of 40 s .* the GPT has 30 s"), (["--codec", "CODEC"], "A budget of 40 s .*: a step")],
)
def test_a_budget_that_is_too_short_for_the_second_stage_is_told_for_the_whole(
    scenes: Path, painter: Path, tmp_path: Path, more: list[str], whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(session: Session, family: str, data: str, out: Path, budget: float, *rest: object) -> object:
        if family == "gpt":
            raise ShortBudget(budget, "a step takes 9 s", 180)
        return SimpleNamespace(seconds=budget)

    monkeypatch.setattr(Session, "begin", begin)
    codec = [str(painter / "codec") if part == "CODEC" else part for part in more]
    said = mistake("train", "text-to-image", "--data", scenes, "--budget", "40s", *codec, "--out", tmp_path / "run")
    assert re.search(whole, said)
    assert f"Give at least --budget {180 if more else 240}s" in said


@pytest.mark.parametrize("stage", ["training/tokens", "."])
def test_it_goes_on_in_the_stage_that_it_was_stopped_in_and_tells_the_time_of_both(
    all_to_learn: Path, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daedal.training.trainer import Trainer

    assert daedal(*_ask(all_to_learn, tmp_path / "whole")).code == 0
    run, init = (tmp_path / "stopped").resolve(), Trainer.__init__

    def stopping(self: Trainer, task: object, plan: object, folder: object, *more: object) -> None:
        init(self, task, plan, folder, *more)  # type: ignore[arg-type]
        if self.run.path.resolve() == (run / stage).resolve():
            stop_at(self, 2)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "__init__", stopping)
        stopped = daedal(*_ask(all_to_learn, run))
    assert f"Go on with: daedal train --resume {run}" in stopped.err
    # As if the one stage had taken 100 seconds and the other 5
    monkeypatch.setattr(Pace, "elapsed", property(lambda self: 100.0 if self.run.path.name == "tokens" else 5.0))
    request = TextToImage.of(RunFolder(run))
    assert request is not None
    spent = request.spent
    assert (spent > 0) == (stage == ".")
    done = daedal("train", "--resume", run)
    assert f"Trained in {format_duration((spent or 100) + 5)}" in done.out
    assert same(tmp_path / "whole", run)


def test_two_processes_train_both_stages_as_one_does(all_to_learn: Path, tmp_path: Path) -> None:
    small = [str(part) for part in _ask(all_to_learn, tmp_path / "two")]
    launcher = [python(), "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "src"}
    done = subprocess.run([*launcher, "-m", "daedal", *small], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert daedal(*_ask(all_to_learn, tmp_path / "one")).code == 0
    assert logged(tmp_path / "one", "loss") == pytest.approx(logged(tmp_path / "two", "loss"), rel=1e-2)


def test_a_tokenizer_that_is_there_is_taken(all_to_learn: Path, tokens: Path, tmp_path: Path) -> None:
    assert daedal(*_ask(all_to_learn, tmp_path / "run", "--codec", str(tokens))).code == 0
    assert not (tmp_path / "run" / "training" / "tokens").exists()


def test_pictures_without_captions_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    api.build_data(["digits"], tmp_path / "digits", workers=1)
    assert "has a caption" in mistake(*_ask(tmp_path / "digits", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_captions_in_other_scripts_missing_endless_or_unseen_are_learned_and_drawn(tmp_path: Path) -> None:
    said = [
        "一个红色的圆",
        "",
        "word " * 10_000,
        "\x00\u200b",
        "两颗绿色的星",
        "a\x07 red\u202e circle",
        *["一个蓝色的方"] * 10,
    ]
    (tmp_path / "in").mkdir()
    for number, caption in enumerate(said):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number:02d}.png")
        (tmp_path / "in" / f"{number:02d}.txt").write_text(caption)
    api.build_data(tmp_path / "in", tmp_path / "data", captions="sidecar", near_duplicates="off", workers=1)
    done = daedal(*_ask(tmp_path / "data", tmp_path / "run"))
    assert done.code == 0, done.err
    out = tmp_path / "drawn"
    asked = ["一个绿色的方", "a\x1b[31m red\x00 circle", "unicorn"]
    drawn = daedal("generate", tmp_path / "run", *[f"--prompt={each}" for each in asked], "-n", "3", "--out", out)
    assert drawn.code == 0, drawn.err
    assert "No caption that the model learned had" in drawn.err
    assert "unicorn" in drawn.err
    long = mistake("generate", tmp_path / "run", "--prompt", "unicorn " * 10_000, "--out", tmp_path / "no.png")
    assert "and the model reads 64" in long
    assert not {"\x00", "\x1b"} & set(drawn.err + drawn.out)
    assert "says nothing" in mistake(
        "generate", tmp_path / "run", "--prompt", "\x00\u200b", "--out", tmp_path / "no.png"
    )
