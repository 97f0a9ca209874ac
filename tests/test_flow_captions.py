"""A flow that draws what captions say: the invariants of drawing and learning, and the whole way by command."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from command_line import daedal, mistake
from daedal import api
from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset
from daedal.evaluation.images.speeds import model_speeds
from daedal.models.checkpoint import load_model, save_own
from daedal.models.flow import Flow, FlowConfig
from daedal.models.image import ImageBatch, ImageSampling
from daedal.nn.noise import Noise
from daedal.training.groups import optimizer_of
from daedal.training.picture_plan import FlowPlan
from daedal.training.trainer import Interrupted
from runs import logged, same, stop_at
from test_picture_training import trainer_for
from tiny_models import part, shaken

torch.set_num_threads(1)
CAPTIONS = CaptionCodec.train(["a red circle above a blue square", "two green stars", "a large pink moon"])
UNET = FlowConfig(
    channels=3, height=8, width=8, features=8, levels=2, patch=1, words=CAPTIONS.vocab_size, window=CAPTIONS.window,
    text_width=32, text_depth=1,
)  # fmt: skip
DIT = UNET.but(network="dit", features=16, patch=4)
CONFIGS = pytest.mark.parametrize("config", [UNET, DIT], ids=["unet", "dit"])
ROWS = CAPTIONS.encode(["two green stars", "a red circle above a blue square", ""])
HOW = ImageSampling(steps=3, guidance=3.0, churn=1.5)


def _model(config: FlowConfig) -> Flow:
    return shaken(Flow(config)).eval()


def _batch(labels: Tensor = ROWS) -> ImageBatch:
    noise = Noise(5, 0, len(labels))
    return ImageBatch(noise.uniform("picture", 3, 8, 8) * 2 - 1, labels, noise)


def _close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


# -- drawing -----------------------------------------------------------------------------------------------------------


@CONFIGS
def test_a_prompt_is_drawn_alone_as_it_is_beside_others(config: FlowConfig) -> None:
    model, noise = _model(config), Noise(7, 100, 3)
    together = model.sample(noise, ROWS, HOW)
    for row in range(3):
        _close(model.sample(noise.part(row, row + 1), ROWS[row : row + 1], HOW)[0], together[row])
    assert float((together - model.sample(noise, ROWS.roll(1, 0), HOW)).abs().max()) > 1e-3


@CONFIGS
def test_guidance_of_one_is_none_and_nothing_asked_cannot_be_asked_for_more(config: FlowConfig) -> None:
    model, noise = _model(config), Noise(0, 0, 3)
    plain = model.sample(noise, ROWS)
    assert torch.equal(plain, model.sample(noise, ROWS, ImageSampling(guidance=1.0)))
    assert not torch.allclose(plain, model.sample(noise, ROWS, ImageSampling(guidance=3.0)), atol=1e-4)
    _close(model.sample(noise), model.sample(noise, None, ImageSampling(guidance=4.0)))


@CONFIGS
def test_the_order_of_words_is_told_to_every_place(config: FlowConfig) -> None:
    """Which of two things has which colour is not in the words but in their order."""
    model, x, time = _model(config), torch.zeros(1, 3, 8, 8), torch.tensor([0.5])
    one, other = CAPTIONS.encode(["a red circle above a blue square", "a blue circle above a red square"])
    moved = model.velocity(x, time, one[None]) - model.velocity(x, time, other[None])
    assert bool((moved.abs().amax(1) > 0).all())


@CONFIGS
def test_an_edit_of_everything_is_a_sample_and_one_of_nothing_the_picture(config: FlowConfig) -> None:
    model, noise, images = _model(config), Noise(0, 0, 3), _batch().images
    everything = torch.zeros(3, 1, 8, 8)
    _close(model.edit(images, everything, noise, ROWS, HOW), model.sample(noise, ROWS, HOW))
    assert torch.equal(model.edit(images, everything + 1, noise, ROWS, HOW), images)
    half = everything.clone()
    half[..., :4] = 1
    edited = model.edit(images, half, noise, ROWS, HOW)
    assert torch.equal(edited[..., :4], images[..., :4])
    assert not torch.allclose(edited, model.edit(images, half, noise, ROWS.roll(1, 0), HOW), atol=1e-4)


def test_likelihood_and_latents_need_no_caption_and_heed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.models.flow._LIKELIHOOD_STEPS", 8)
    model, batch = _model(UNET), _batch()
    blank = torch.full_like(ROWS, -1)
    assert torch.equal(model.encode(batch.images), model.encode(batch.images, blank))
    told = model.log_likelihood(batch)
    assert torch.isfinite(told).all()
    assert not torch.equal(told, model.log_likelihood(_batch(blank)))


def test_how_fast_it_scores_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.models.flow._LIKELIHOOD_STEPS", 8)
    assert model_speeds(_model(UNET), 2).scores


# -- learning ----------------------------------------------------------------------------------------------------------


@CONFIGS
def test_a_hidden_caption_teaches_what_none_does(config: FlowConfig) -> None:
    model, batch = _model(config.but(label_dropout=1.0)), _batch()
    assert torch.equal(model.loss(batch).total, model.loss(_batch(torch.full_like(ROWS, -1))).total)
    assert not torch.equal(model.loss(batch).total, _model(config.but(label_dropout=0.0)).loss(batch).total)


@CONFIGS
def test_an_accumulated_batch_learns_what_one_large_batch_does(config: FlowConfig) -> None:
    model, batch = _model(config), _batch()
    whole = model.loss(batch).total
    _close(model.loss(part(batch, 0, 1)).total + model.loss(part(batch, 1, 3)).total, whole)
    whole.backward()  # type: ignore[no-untyped-call]
    idle = [name for name, value in model.named_parameters() if value.numel() and value.grad is None]
    assert idle == []


@CONFIGS
def test_muon_takes_the_matrices_that_read_and_adamw_the_words(config: FlowConfig) -> None:
    model, plan = _model(config), FlowPlan.model_construct(optimizer="muon", learning_rate=1e-3)
    adamw, muon = (
        {id(p) for group in each.param_groups for p in group["params"]}
        for each in optimizer_of(model, "model", plan).parts
    )
    assert adamw | muon == {id(p) for p in model.parameters()}
    assert id(model.get_parameter("text.transformer.blocks.0.attention.qkv.weight")) in muon
    assert id(model.get_parameter("text.word.weight")) in adamw


@CONFIGS
def test_weights_come_back_from_a_folder(config: FlowConfig, tmp_path: Path) -> None:
    model = _model(config)
    save_own(model, tmp_path)
    again = load_model(tmp_path)
    assert again.config == config
    assert torch.equal(again.sample(Noise(0, 0, 3), ROWS, HOW), model.sample(Noise(0, 0, 3), ROWS, HOW))


@CONFIGS
def test_captions_make_pictures_easier_to_learn(config: FlowConfig) -> None:
    """Pictures of one colour, on the early part of the way: a caption names it, and without one it is to be guessed."""

    def loss(rows: Tensor) -> float:
        model = Flow(config.but(deviation=1.0, time_mean=-2.0))
        plan = FlowPlan.model_construct(optimizer="muon", learning_rate=6e-3, muon_learning_rate=0.02, weight_decay=0.0)
        optimizer, losses = optimizer_of(model, "model", plan), []
        for step in range(40):
            noise = Noise(0, 16 * step, 16)
            kind = noise.integers("kind", 2)
            images = (2.0 * kind - 1)[:, None, None, None].expand(-1, 3, 8, 8)
            model.zero_grad()
            found = model.loss(ImageBatch(images, rows[kind], noise)).total / 16
            found.backward()  # type: ignore[no-untyped-call]
            optimizer.step(1.0)
            losses.append(float(found.detach()))
        return float(np.mean(losses[-15:]))

    assert loss(ROWS[:2]) < 0.9 * loss(torch.full_like(ROWS[:2], -1))


# -- the whole way -----------------------------------------------------------------------------------------------------

SHAPE = {"features": 8, "levels": 2, "patch": 4, "text_width": 32, "text_depth": 1, "condition": "caption"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "scenes"
    api.build_data(["scenes:300"], folder, size=32, workers=1)
    return folder


@pytest.fixture(scope="module")
def all_to_learn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing is held out: a run of it is not measured at its end, which takes seconds."""
    folder = tmp_path_factory.mktemp("captions") / "all"
    api.build_data(["scenes:60"], folder, size=32, workers=1, split=(100, 0, 0))
    return folder


@pytest.fixture(scope="module")
def painter(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captions") / "painter"
    trainer_for("flow", scenes, folder, **SHAPE).train()
    return folder


def test_a_run_on_captions_that_was_stopped_goes_on_bit_for_bit(scenes: Path, painter: Path, tmp_path: Path) -> None:
    first = trainer_for("flow", scenes, tmp_path / "stopped", **SHAPE)
    stop_at(first, 5)
    with pytest.raises(Interrupted):
        first.train()
    trainer_for("flow", scenes, tmp_path / "stopped", **SHAPE).train()
    assert same(painter, tmp_path / "stopped")


def test_sheets_show_held_out_pictures_above_what_is_drawn_of_their_captions(scenes: Path, painter: Path) -> None:
    sheet = sorted((painter / "training" / "samples").glob("*.png"))[-1]
    first = ImageDataset.open(scenes).split("validation").images[0]
    with Image.open(sheet) as image:
        assert np.array_equal(np.asarray(image.convert("RGB"))[:32, :32], first)


def test_a_run_folder_draws_prompts_and_can_be_gone_on_from(all_to_learn: Path, painter: Path, tmp_path: Path) -> None:
    opened = api.load(painter)
    assert {"prompt", "edit", "score", "interpolate"} <= opened.capabilities
    assert "caption" not in opened.capabilities
    drawn = opened.generate(2, prompt=["a red circle", "two blue stars"], seed=1)
    assert [picture.provenance.label for picture in drawn] == ["a red circle", "two blue stars"]
    assert len(opened.score([picture.image for picture in drawn])) == 2
    further = ("--init", painter, "--steps", "2", "--out", tmp_path / "further", "--threads", "1")
    assert daedal("train", "flow", "--data", all_to_learn, *further).code == 0
    assert "prompt" in api.load(tmp_path / "further").capabilities


def test_latents_of_a_vae_are_drawn_of_captions_too(scenes: Path, tmp_path: Path) -> None:
    shape = {"filters": 8, "depth": 1, "halvings": 2, "latent": 0, "grid": 8, "couplings": 0}
    trainer_for("vae", scenes, tmp_path / "vae", **shape).train()
    trainer_for("flow", scenes, tmp_path / "run", tmp_path / "vae", **{**SHAPE, "patch": 1}).train()
    opened = api.load(tmp_path / "run")
    assert {"prompt", "edit"} <= opened.capabilities
    assert len(opened.generate(2, prompt="a red circle", seed=1)) == 2


def test_the_commands_draw_and_edit(painter: Path, tmp_path: Path) -> None:
    out, drawn = tmp_path / "drawn.png", ("generate", painter, "--prompt", "a red unicorn", "-n", "1", "--seed", "1")
    done = daedal(*drawn, "--out", out)
    assert done.code == 0, done.err
    assert "No caption that the model learned had unicorn" in done.err
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    part = ("--image", out, "--mask", tmp_path / "mask.png", "--out", tmp_path / "edited.png")
    assert daedal(*drawn, *part, "--guidance", "2").code == 0
    with Image.open(out) as one, Image.open(tmp_path / "edited.png") as other:
        assert np.array_equal(np.asarray(one)[:, :16], np.asarray(other)[:, :16])


def _ask(scenes: Path, out: Path, *more: str) -> tuple[str | Path, ...]:
    shape = [part for name, value in SHAPE.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    run = ("--steps", "4", "--batch", "8", "--threads", "1", "--precision", "fp32", *shape[:-2], *more)
    return ("train", "text-to-image", "--prior", "flow", "--data", scenes, "--out", out, *run)


def test_one_command_trains_it_in_one_stage_and_it_goes_on_where_it_was_stopped(
    all_to_learn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daedal.training.trainer import Trainer

    done = daedal(*_ask(all_to_learn, tmp_path / "whole"))
    assert done.code == 0, done.err
    assert "prompt" in api.load(tmp_path / "whole").capabilities
    assert not (tmp_path / "whole" / "training" / "tokens").exists()
    run, init = tmp_path / "stopped", Trainer.__init__

    def stopping(self: Trainer, *parts: object) -> None:
        init(self, *parts)  # type: ignore[arg-type]
        stop_at(self, 2)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "__init__", stopping)
        assert f"Go on with: daedal train --resume {run}" in daedal(*_ask(all_to_learn, run)).err
    assert daedal("train", "--resume", run).code == 0
    assert same(tmp_path / "whole", run)


def test_its_loss_is_logged(painter: Path) -> None:
    assert all(np.isfinite(logged(painter, "loss")))
    assert all(np.isfinite(logged(painter, "validation_loss")))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--telling", "0.5"], "telling"),
        (["--init", "nowhere"], "from nothing"),
        (["--text-width", "33"], "text-width"),
    ],
)
def test_a_mistake_is_one_line(scenes: Path, tmp_path: Path, more: list[str], said: str) -> None:
    assert said in mistake(*_ask(scenes, tmp_path / "run"), *more).replace("_", "-")
    assert not (tmp_path / "run").exists()


def test_only_a_flow_learns_captions_of_its_own(scenes: Path, tmp_path: Path) -> None:
    for family in ("vae", "gan", "vqvae"):
        run = ("--data", scenes, "--out", tmp_path / "run", "--steps", "2", "--condition", "caption")
        assert "condition" in mistake("train", family, *run)
    api.build_data(["digits"], tmp_path / "digits", workers=1)
    assert "has a caption" in mistake(*_ask(tmp_path / "digits", tmp_path / "run"))
    assert not (tmp_path / "run").exists()
