"""The flow: what it learns, draws, inverts, edits and scores."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from daedal.models.flow import Flow, FlowConfig
from daedal.models.image import ImageBatch, ImageSampling
from daedal.models.model import Moment
from daedal.nn.attention import Frame
from daedal.nn.dit import DiT
from daedal.nn.noise import Noise
from daedal.training.groups import optimizer_of
from daedal.training.picture_plan import FlowPlan

UNET = FlowConfig(channels=3, height=7, width=9, classes=3, features=8, levels=2, deviation=0.7)
DIT = UNET.but(network="dit", blocks=2, patch=4)
CODES = FlowConfig(channels=5, height=4, width=6, features=8, levels=3, values=0, deviation=1.0)
CONFIGS = pytest.mark.parametrize("config", [UNET, DIT, CODES], ids=["unet", "dit", "codes"])


def _model(config: FlowConfig) -> Flow:
    """A model whose every weight matters, unlike a new one's."""
    model, generator = Flow(config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.03)
    return model.eval()


def _batch(config: FlowConfig, count: int, seed: int = 0) -> ImageBatch:
    noise = Noise(seed, 0, count)
    labels = noise.integers("class", config.classes) if config.classes else torch.full((count,), -1)
    return ImageBatch(noise.uniform("picture", *config.shape) * 2 - 1, labels, noise)


def _close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


@CONFIGS
def test_a_sample_is_the_same_alone_and_in_a_batch(config: FlowConfig) -> None:
    model, noise = _model(config), Noise(7, 100, 4)
    labels = torch.tensor([0, -1, 2, 1]) if config.classes else None
    how = ImageSampling(steps=3, guidance=2.0, churn=1.5)
    together = model.sample(noise, labels, how)
    assert together.shape == (4, *config.shape)
    for row in range(4):
        alone = model.sample(noise.part(row, row + 1), None if labels is None else labels[row : row + 1], how)
        _close(alone[0], together[row])


@CONFIGS
def test_drawings_take_their_steps_together_wherever_they_are(
    config: FlowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun at different steps, by other solvers, in more steps, guided or not: each is what it is alone."""
    model = _model(config)
    hows = [
        ImageSampling(steps=6, guidance=2.0),
        ImageSampling(steps=4, solver="rk4"),
        ImageSampling(steps=5, solver="euler", churn=1.5, temperature=0.8),
        ImageSampling(steps=6, guidance=0.0),
    ]
    calls = []
    network = model._velocity
    monkeypatch.setattr(model, "_velocity", lambda x, time, read: calls.append(len(x)) or network(x, time, read))
    given: list[tuple[Any, ...]] = []
    for number, how in enumerate(hows):
        noise = Noise(number, 3, 2)
        given.append((noise, noise.integers("class", config.classes) if config.classes else None, how))
    known = torch.zeros(2, 1, *config.shape[1:])
    known[:] = 0.3
    known[1, ..., :4] = 1.0
    given.append((_batch(config, 2).images, known, *given[0]))
    under_way, found = {}, {}
    for number in range(40):
        if number < len(given):
            under_way[number] = (model.editing if len(given[number]) == 5 else model.drawing)(*given[number])
        if not under_way:
            break
        for which, sketch in zip(list(under_way), model.abreast(list(under_way.values())), strict=True):
            if sketch.done == 1:
                found[which] = sketch.show()
                del under_way[which]
    shared = max(calls)
    assert shared > 4  # more than one drawing with its guidance
    for which, asked in enumerate(given):
        _close(found[which], (model.edit if len(asked) == 5 else model.sample)(*asked))


@CONFIGS
def test_an_accumulated_batch_learns_what_one_large_batch_does(config: FlowConfig) -> None:
    model, batch = _model(config), _batch(config, 4)

    def gradients(sizes: list[int]) -> Tensor:
        model.zero_grad()
        first = 0
        for size in sizes:
            part = slice(first, first + size)
            piece = ImageBatch(batch.images[part], batch.labels[part], batch.noise.part(first, first + size))
            model.loss(piece.at(Moment(count=4))).total.backward()
            first += size
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    torch.testing.assert_close(gradients([4]), gradients([1, 3]), rtol=1e-3, atol=1e-5)


@CONFIGS
def test_every_weight_is_drawn_from_the_generator_and_comes_back_from_the_state(config: FlowConfig) -> None:
    with torch.device("meta"):
        model = Flow(config)
    assert all(parameter.is_meta for parameter in model.parameters())
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(math.nan)
    model.initialise(torch.Generator().manual_seed(3))
    other = Flow(config)
    assert not list(model.buffers())
    other.load_state_dict(model.state_dict())
    noise = Noise(0, 0, 2)
    drawn = other.sample(noise, how=ImageSampling(steps=2))
    assert torch.equal(drawn, model.sample(noise, how=ImageSampling(steps=2)))
    assert torch.isfinite(drawn).all()


@CONFIGS
def test_a_new_model_is_the_gaussian_flow_of_its_deviation(config: FlowConfig) -> None:
    """The velocity of a Gaussian is known; so are its samples, its latents and its likelihood."""
    model, noise = Flow(config).eval(), Noise(0, 0, 3)
    latents = model.prior(noise)
    _close(model.decode(latents, how=ImageSampling(steps=30, solver="rk4")), config.deviation * latents)
    _close(model.encode(config.deviation * latents), latents)
    batch = _batch(config, 2)
    size = batch.images[0].numel()
    if config.values:
        spread = batch.images + (batch.noise.uniform("likelihood 0", *config.shape) - 0.5) * 2 / 255
    else:
        spread = batch.images
    normal = torch.distributions.Normal(0.0, config.deviation)
    volume = size * math.log(2 / 255) if config.values else 0.0
    exact = normal.log_prob(spread.double()).sum((1, 2, 3)) + volume
    measured = model.log_likelihood(batch).double()
    assert float((measured - exact).abs().max()) < 2e-3 * size


def test_the_likelihood_is_averaged_over_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.models.flow._LIKELIHOOD_STEPS", 8)
    model, batch = _model(UNET), _batch(UNET, 2)
    one, two = model.log_likelihood(batch), model.log_likelihood(batch, samples=2)
    assert one.shape == two.shape == (2,)
    assert not torch.equal(one, two)


@CONFIGS
def test_a_picture_comes_back_through_its_latent(config: FlowConfig) -> None:
    model, batch = _model(config), _batch(config, 2)
    labels = batch.labels if config.classes else None
    assert float((model.encode(batch.images, labels) - batch.images).abs().mean()) > 0.1
    torch.testing.assert_close(model.reconstruct(batch.images, labels), batch.images, rtol=0, atol=1e-2)


@CONFIGS
def test_what_is_known_comes_back_exactly_and_the_rest_is_drawn(config: FlowConfig) -> None:
    model, batch = _model(config), _batch(config, 2)
    known = torch.zeros(2, 1, *config.shape[1:])
    known[..., : config.width // 2] = 1
    drawn = model.edit(batch.images, known, Noise(3, 0, 2), how=ImageSampling(steps=4))
    left, right = (known == 1).expand_as(drawn), (known == 0).expand_as(drawn)
    assert torch.equal(drawn[left], batch.images[left])
    assert float((drawn - batch.images)[right].abs().mean()) > 0.1
    assert torch.equal(drawn, model.edit(batch.images, known, Noise(3, 0, 2), how=ImageSampling(steps=4)))
    other = model.edit(batch.images, known, Noise(3, 2, 2), how=ImageSampling(steps=4))
    assert not torch.equal(drawn[right], other[right])


def test_an_edit_that_knows_nothing_is_a_sample_and_one_that_knows_all_the_picture() -> None:
    model, batch, noise = _model(UNET), _batch(UNET, 2), Noise(3, 0, 2)
    nothing = torch.zeros(2, 1, UNET.height, UNET.width)
    for how in (ImageSampling(), ImageSampling(steps=6, churn=2.0)):
        _close(model.edit(batch.images, nothing, noise, how=how), model.sample(noise, how=how))
    assert torch.equal(model.edit(batch.images, nothing + 1, noise), batch.images)


def test_an_edit_is_the_same_alone_and_beside_one_of_another_mask() -> None:
    model, batch, noise = _model(UNET), _batch(UNET, 2), Noise(3, 0, 2)
    known = torch.zeros(2, 1, UNET.height, UNET.width)
    known[:] = 0.3
    known[1, ..., :4] = 1.0
    together = model.edit(batch.images, known, noise)
    for row in (slice(0, 1), slice(1, 2)):
        _close(model.edit(batch.images[row], known[row], noise.part(row.start, row.stop)), together[row])


def test_the_longer_a_pixel_is_held_the_nearer_it_stays() -> None:
    model, batch = _model(UNET), _batch(UNET, 8)
    whole = torch.ones(8, 1, UNET.height, UNET.width)
    far = [
        float((model.edit(batch.images, share * whole, Noise(0, 0, 8)) - batch.images).abs().mean())
        for share in (0.2, 0.5, 0.8, 0.93, 0.95, 0.98, 0.99, 0.999)
    ]
    assert far == sorted(set(far), reverse=True)
    assert far[-1] < 2 / 255


def test_a_pixel_is_held_for_exactly_as_long_as_was_asked_whatever_the_steps() -> None:
    model, batch, noise = _model(UNET), _batch(UNET, 2), Noise(0, 0, 2)
    whole = torch.ones(2, 1, UNET.height, UNET.width)
    share = 0.97
    held = torch.lerp(model.prior(noise), batch.images, share)
    slope = model.velocity(held, torch.full((2,), share), torch.full((2,), -1))
    for how in (ImageSampling(), ImageSampling(steps=1), ImageSampling(steps=20, churn=8.0)):
        _close(model.edit(batch.images, share * whole, noise, how=how), held + (1 - share) * slope)


def test_without_churn_a_sample_is_the_picture_of_its_noise_and_with_it_another_of_the_same_distribution() -> None:
    """The samples of a Gaussian's flow are Gaussian, however much fresh noise they had on the way."""
    model, noise = Flow(UNET).eval(), Noise(0, 0, 50)
    plain = model.decode(model.prior(noise))
    assert torch.equal(plain, model.sample(noise))
    assert torch.equal(plain, model.sample(noise, how=ImageSampling(churn=0)))
    for churn in (0.5, 3.0):
        drawn = model.sample(noise, how=ImageSampling(steps=40, churn=churn, solver="heun"))
        assert not torch.allclose(drawn, plain, atol=0.1)
        assert float(drawn.std()) == pytest.approx(UNET.deviation, rel=0.02)
        cold = model.sample(noise, how=ImageSampling(steps=40, churn=churn, solver="heun", temperature=0.5))
        assert float(cold.std()) == pytest.approx(UNET.deviation / 2, rel=0.02)


def test_guidance_of_one_is_the_class_as_learned_and_more_is_something_else() -> None:
    model, noise, labels = _model(UNET), Noise(0, 0, 3), torch.tensor([0, 1, 2])
    plain = model.sample(noise, labels)
    assert torch.equal(plain, model.sample(noise, labels, ImageSampling(guidance=1.0)))
    assert not torch.equal(plain, model.sample(noise, labels, ImageSampling(guidance=3.0)))
    assert not torch.allclose(plain, model.sample(noise, labels.roll(1)), atol=1e-4)


def test_a_hidden_label_teaches_what_no_label_does() -> None:
    model = _model(UNET.but(label_dropout=1.0))
    batch = _batch(UNET, 3)
    blind = ImageBatch(batch.images, torch.full((3,), -1), batch.noise)
    assert torch.equal(model.loss(batch).total, model.loss(blind).total)


def test_training_times_are_spread_evenly() -> None:
    model = Flow(UNET.but(time_mean=0.4, time_spread=1.5))
    times = model._draw_times(Noise(0, 12345, 500))
    normal = torch.logit(times).sub(0.4).div(1.5)
    expected = torch.special.ndtri((torch.arange(500) + 0.5) / 500)
    assert float((normal.sort().values - expected).abs()[5:-5].max()) < 0.1
    assert torch.equal(times[100:200], model._draw_times(Noise(0, 12445, 100)))


def test_a_new_diffusion_transformers_blocks_are_the_identity() -> None:
    model = Flow(DIT)
    assert isinstance(model.network, DiT)
    x, told = torch.randn(2, 6, DIT.features), torch.randn(2, DIT.features)
    frame = Frame(6, turns=model.network.rotary.turns(2, 3, x.device), condition=told)
    for layer, block in enumerate(model.network.transformer.blocks):
        assert torch.equal(block(x, frame, layer), x)


def test_the_transformers_attention_sees_both_ways() -> None:
    model, x = _model(DIT), torch.zeros(1, *DIT.shape)
    changed = x.clone()
    changed[..., -1, -1] = 1.0
    time, labels = torch.tensor([0.5]), torch.tensor([0])
    difference = model.velocity(changed, time, labels) - model.velocity(x, time, labels)
    assert bool(difference[..., 0, 0].abs().max() > 0)


@pytest.mark.parametrize("network", ["unet", "dit"])
@pytest.mark.parametrize("size", [(1, 4, 4), (4, 5, 28), (2, 31, 7), (3, 16, 33)])
def test_pictures_of_any_size_keep_it(network: str, size: tuple[int, int, int]) -> None:
    channels, height, width = size
    config = FlowConfig(
        channels=channels, height=height, width=width, features=8, network=network, blocks=1  # type: ignore[arg-type]
    )  # fmt: skip
    model = _model(config)
    assert model.velocity(torch.randn(2, *size), torch.rand(2), torch.full((2,), -1)).shape == (2, *size)


@pytest.mark.parametrize(
    ("config", "inside"),
    [(UNET, "network.middle.attention.0.qkv.weight"), (DIT, "network.transformer.blocks.0.attention.qkv.weight")],
    ids=["unet", "dit"],
)
def test_muon_takes_the_inside_of_the_network_and_adamw_the_rest(config: FlowConfig, inside: str) -> None:
    flow, plan = Flow(config), FlowPlan.model_construct(optimizer="muon", learning_rate=1e-3)
    adamw, muon = (
        [p for group in part.param_groups for p in group["params"]] for part in optimizer_of(flow, "model", plan).parts
    )
    assert sorted(map(id, (*adamw, *muon))) == sorted(map(id, flow.parameters()))
    assert any(parameter is flow.get_parameter(inside) for parameter in muon)
    assert all(parameter.ndim >= 2 for parameter in muon)
