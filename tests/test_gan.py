"""A GAN's losses, penalties, sampling, search in the latent space, and what it says of itself."""

import itertools
import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daedal.models.gan import GAN, Game, GANConfig
from daedal.models.image import ImageBatch, ImageSampling
from daedal.models.model import Moment
from daedal.nn.noise import Noise
from daedal.nn.penalty import squared_slope
from daedal.nn.projection import project
from daedal.nn.pyramid import Pyramid
from daedal.nn.rivalry import Rivalry
from tiny_models import part

GAMES = get_args(Game)
PLAYERS = ("discriminator", "generator")


def tiny(seed: int = 0, **changes: object) -> GAN:
    """A GAN over small pictures whose blocks are not at their beginning, where they do nothing."""
    values: dict[str, object] = {
        "channels": 1,
        "height": 8,
        "width": 8,
        "latent": 6,
        "breadth": 8,
        "widest": 8,
        **changes,
    }
    gan = GAN(GANConfig.parse(values, "test"))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in gan.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return gan


def pictures(count: int, channels: int = 1, height: int = 8, width: int = 8) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def batch_of(gan: GAN, count: int = 6, moment: Moment | None = None) -> ImageBatch:
    labels = torch.arange(count) % gan.config.classes if gan.config.classes else torch.full((count,), -1)
    return ImageBatch(pictures(count, *gan.config.shape), labels, Noise(3, 5, count), moment or Moment(count))


def gradients(gan: GAN, batches: list[ImageBatch], player: str) -> list[Tensor]:
    gan.zero_grad()
    for batch in batches:
        gan.loss(batch, player).total.backward()
    return [weight.grad.clone() for weight in gan.players[player] if weight.grad is not None]


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("player", PLAYERS)
def test_accumulated_batches_give_the_gradient_of_one_large_batch(game: str, player: str) -> None:
    gan = tiny(game=game, classes=3)
    whole = batch_of(gan)
    pieces = [part(whole, a, b) for a, b in itertools.pairwise((0, 1, 4, 6))]
    for one, many in zip(gradients(gan, [whole], player), gradients(gan, pieces, player), strict=True):
        torch.testing.assert_close(one, many, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("game", GAMES)
def test_each_player_moves_its_own_weights_and_together_all(game: str) -> None:
    gan = tiny(game=game, classes=2)
    players = gan.players
    assert sum(len(weights) for weights in players.values()) == len(list(gan.parameters()))
    for player in PLAYERS:
        gan.zero_grad()
        gan.loss(batch_of(gan), player).total.backward()
        assert all(weight.grad is not None and bool(weight.grad.any()) for weight in players[player] if weight.ndim > 1)


def test_losses_at_verdicts_that_tell_nothing_have_their_known_values() -> None:
    expected = {
        "relativistic": (math.log(2), math.log(2)),
        "non-saturating": (2 * math.log(2), math.log(2)),
        "saturating": (2 * math.log(2), -math.log(2)),
        "hinge": (2.0, 0.0),
        "wasserstein": (0.0, 0.0),
    }
    assert set(expected) == set(GAMES)
    for game, values in expected.items():
        gan = tiny(game=game, penalty=0)
        with torch.no_grad():
            gan.verdict.weight.zero_()
            gan.verdict.bias.zero_()
        for player, value in zip(PLAYERS, values, strict=True):
            assert float(gan.loss(batch_of(gan), player).total.detach()) == pytest.approx(value, abs=1e-6)


def test_the_penalty_of_a_linear_critic_is_the_squared_length_of_its_weights() -> None:
    weight = torch.randn(2 * 5 * 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    images = pictures(4, 2, 5, 5).requires_grad_()
    slopes = squared_slope(images.flatten(1) @ weight, images)
    torch.testing.assert_close(slopes, weight.square().sum().expand(4))
    (gradient,) = torch.autograd.grad(slopes.sum(), weight)
    torch.testing.assert_close(gradient, 8 * weight.detach())


def test_the_penalty_of_a_quadratic_critic_is_four_times_the_squared_length_of_the_picture() -> None:
    images = pictures(4).requires_grad_()
    scale = torch.tensor(0.5, requires_grad=True)
    slopes = squared_slope(scale * images.square().flatten(1).sum(1), images)
    torch.testing.assert_close(slopes, images.square().flatten(1).sum(1))
    (gradient,) = torch.autograd.grad(slopes.sum(), scale)
    torch.testing.assert_close(gradient, 4 * images.square().sum().detach())


def test_the_penalty_of_a_discriminator_is_what_finite_differences_give() -> None:
    gan = tiny(classes=2).double()
    images, labels = pictures(3).double().requires_grad_(), torch.tensor([0, 1, 0])
    slopes = squared_slope(gan.judge(images, labels), images)
    by_hand = torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for pixel in range(64):
            step = torch.zeros(64, dtype=torch.float64)
            step[pixel] = 1e-6
            ahead, behind = (gan.judge(images + sign * step.view(1, 1, 8, 8), labels) for sign in (1, -1))
            by_hand += ((ahead - behind) / 2e-6).square()
    torch.testing.assert_close(slopes.detach(), by_hand, rtol=1e-3, atol=1e-6)


def test_a_penalty_of_every_few_steps_is_the_penalty_of_each_step_in_the_mean() -> None:
    lazy, plain = tiny(penalty_interval=4), tiny(penalty_interval=1)
    totals = [
        [gan.loss(batch_of(gan, moment=Moment(6, 0, step)), "discriminator").total.item() for step in range(8)]
        for gan in (lazy, plain)
    ]
    assert sum(totals[0]) == pytest.approx(sum(totals[1]), rel=1e-5)
    assert len({round(total, 5) for total in totals[0]}) == 2


def test_the_penalty_falls_as_it_is_told_and_grows_with_the_pixels() -> None:
    gan = tiny(height=32, width=16, penalty=3, penalty_end=0.01)
    assert [gan.penalty(Moment(1, fraction)) for fraction in (0, 0.5, 1)] == pytest.approx([1.5, 0.15, 0.015])


@given(
    st.integers(1, 3), st.integers(8, 23), st.integers(8, 23), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2)
)
@settings(max_examples=12, deadline=None)
def test_pictures_of_any_size_are_drawn_and_judged(
    channels: int, height: int, width: int, patch: int, classes: int, frames: int
) -> None:
    gan = tiny(channels=channels, height=height, width=width, patch=patch, classes=classes, frames=frames)
    batch = batch_of(gan, 2)
    for player in PLAYERS:
        gan.loss(batch, player).total.backward()
    assert gan.sample(Noise(0, 0, 2)).shape == (2, channels, height, width)


def test_grids_halve_and_widen() -> None:
    assert Pyramid.of(28, 20, 16, 40, 2).grids == ((14, 10, 16), (7, 5, 32), (4, 3, 40))


@pytest.mark.parametrize("classes", [0, 3])
def test_a_picture_of_many_is_the_picture_alone(classes: int) -> None:
    gan = tiny(classes=classes)
    noise = Noise(7, 0, 5)
    together = gan.sample(noise)
    for number in range(5):
        torch.testing.assert_close(
            gan.sample(noise.part(number, number + 1))[0], together[number], rtol=1e-4, atol=1e-5
        )


def test_no_truncation_is_the_default_and_full_truncation_gives_one_picture_a_class() -> None:
    gan = tiny(classes=2)
    noise, labels = Noise(0, 0, 4), torch.tensor([0, 1, 0, 1])
    full = gan.sample(noise, labels, ImageSampling(truncation=1))
    torch.testing.assert_close(full, gan.sample(noise, labels))
    none = gan.sample(noise, labels, ImageSampling(truncation=0))
    torch.testing.assert_close(none[:2], none[2:])
    assert not torch.allclose(none[0], none[1])
    assert not torch.allclose(full[0], full[2])


def test_a_label_overrides_the_latents_own_class() -> None:
    gan = tiny(classes=3)
    latents = gan.prior(Noise(0, 0, 9))
    own = latents[:, 6:].argmax(1)
    torch.testing.assert_close(gan.decode(latents), gan.decode(latents, own))
    torch.testing.assert_close(gan.decode(latents), gan.decode(latents, torch.full((9,), -1)))
    assert not torch.allclose(gan.decode(latents), gan.decode(latents, (own + 1) % 3))


def test_classes_are_drawn_as_often_as_the_data_has_them() -> None:
    gan = tiny(classes=3)
    labels = torch.tensor([0, 0, 0, 2, -1, 0])
    batch = ImageBatch(pictures(6), labels, Noise(0, 0, 6), Moment(6))
    gan.loss(batch, "discriminator")
    gan.loss(batch, "generator")
    gan.after_step(lambda tensor: 2 * tensor, Moment(6))  # as of two processes
    assert gan.seen.tolist() == [8, 0, 2]
    drawn = gan.prior(Noise(0, 0, 500))[:, 6:].mean(0)
    assert drawn[1] == 0
    assert float(drawn[0]) == pytest.approx(0.8, abs=0.06)


def test_weights_come_from_the_generator_alone_and_survive_the_meta_device() -> None:
    config = GANConfig(channels=2, height=9, width=8, classes=2, breadth=8, widest=8)
    models = []
    for _ in range(2):
        with torch.device("meta"):
            gan = GAN(config)
        gan.to_empty(device="cpu")
        gan.initialise(torch.Generator().manual_seed(5))
        models.append(gan)
    for one, other in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)
    with torch.device("meta"):
        empty = GAN(config)
    empty.load_state_dict(models[0].state_dict(), assign=True)
    assert torch.equal(empty.sample(Noise(0, 0, 2)), models[0].sample(Noise(0, 0, 2)))


def test_a_hundred_steps_bring_the_pictures_nearer_to_the_datas() -> None:
    gan = GAN(GANConfig(channels=1, height=8, width=8, latent=6, breadth=8, widest=16, penalty=1))
    players = gan.players
    optimizers = {name: torch.optim.Adam(weights, 3e-3, betas=(0.0, 0.99)) for name, weights in players.items()}
    images = torch.full((16, 1, 8, 8), -1.0)
    images[:, :, 2:6, 2:6] = 0.8
    noise = Noise(9, 0, 16)
    before = float((gan.sample(noise) - images).square().mean().detach())
    for step in range(100):
        batch = ImageBatch(images, torch.full((16,), -1), Noise(0, 16 * step, 16), Moment(16, step / 100, step))
        for name, weights in players.items():
            for weight in gan.parameters():
                weight.requires_grad_(False)
            for weight in weights:
                weight.requires_grad_(True)
            gan.loss(batch, name).total.backward()
            optimizers[name].step()
            optimizers[name].zero_grad()
    assert float((gan.sample(noise) - images).square().mean().detach()) < 0.7 * before


def test_the_search_finds_a_generated_pictures_look_whatever_the_batch() -> None:
    gan = tiny(latent=4)
    images = gan.sample(Noise(11, 0, 2)).detach()
    with torch.inference_mode():
        found = gan.encode(images)
        alone = gan.encode(images[1:])
        again = gan.decode(found)
    torch.testing.assert_close(found[1], alone[0])
    apart = (images[0] - images[1]).square().mean()
    assert (again - images).square().mean() < 0.1 * apart


def test_the_search_keeps_a_label_that_it_is_given() -> None:
    gan = tiny(classes=2)
    images, labels = pictures(2), torch.tensor([0, 1])
    through = gan.reconstruct(images, labels)
    torch.testing.assert_close(through, gan.decode(gan.encode(images, labels), labels))
    guess = gan.decode(gan.prior(Noise(0, 0, 1)).expand(2, -1), labels)
    assert (through - images).square().mean() < (guess - images).square().mean()


def test_descent_finds_the_bottom_of_a_bowl() -> None:
    bottom = torch.tensor([0.7, -0.4])
    found = project(lambda x: (x - bottom).square().sum(1), torch.zeros(3, 2), starts=2, steps=200)
    torch.testing.assert_close(found, bottom, atol=0.01, rtol=0)


def watched(fake: Tensor, real: Tensor, verdicts: tuple[float, float] = (0.1, 0.0), fraction: float = 0.5) -> Rivalry:
    rivalry = Rivalry()
    told = (torch.full((len(real),), verdict) for verdict in verdicts)
    rivalry.watch(*told, real, fake)
    rivalry.gather(lambda tensor: tensor, fraction)
    return rivalry


def test_collapse_is_told_and_health_is_not() -> None:
    real = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    other = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    rivalry = watched(other, real, (0.0, 0.1))
    assert rivalry.take()["diversity"] == pytest.approx(1, abs=0.1)
    assert rivalry.warning is None
    for collapsed in (other[:1].expand(32, -1, -1, -1), other[:4].repeat(8, 1, 1, 1) + 0.02 * real):
        rivalry = watched(collapsed, real, (0.0, 0.1))
        assert rivalry.take()["diversity"] < 0.2
        assert "collapsed" in str(rivalry.warning)
        early = watched(collapsed, real, (0.0, 0.1), fraction=0.01)
        early.take()
        assert early.warning is None


def test_a_discriminator_that_is_never_wrong_is_told() -> None:
    real = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    rivalry = watched(real.flip(0), real, (3.0, -1.0))
    measures = rivalry.take()
    assert measures["gap"] == pytest.approx(4)
    assert measures["accuracy"] == 1
    assert "apart" in str(rivalry.warning)


def test_health_is_counted_anew_from_one_call_to_the_next() -> None:
    gan = tiny()
    assert gan.health() == {}
    gan.loss(batch_of(gan), "discriminator")
    gan.after_step(lambda tensor: tensor, Moment(6))
    assert set(gan.health()) == {"gap", "accuracy", "diversity"}
    assert gan.health() == {}
    gan.eval()
    gan.loss(batch_of(gan), "discriminator")
    gan.after_step(lambda tensor: tensor, Moment(6))
    assert gan.health() == {}
