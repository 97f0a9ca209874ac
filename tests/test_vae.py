"""A VAE's numbers are what they say: bounds, distributions, and the same learning however a batch is divided."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_own
from daedal.models.directions import attribute_direction, principal_directions
from daedal.models.image import ImageBatch, ImageSampling
from daedal.models.model import Moment
from daedal.models.vae import VAE, VAEConfig
from daedal.nn.convolution import pad_to_multiple
from daedal.nn.coupling import CouplingFlow
from daedal.nn.likelihood import Bernoulli, Gaussian, Logistic
from daedal.nn.mixture import Mixture
from daedal.nn.noise import Noise
from tiny_models import part, pictures, shaken


def config(**values: object) -> VAEConfig:
    small = {"channels": 1, "height": 8, "width": 8, "filters": 8, "depth": 2, "latent": 4, "grid": 1, "couplings": 2}
    return VAEConfig.parse(small | values, "test")


LIKELIHOODS = ["bernoulli", "logistic", "gaussian"]


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_accumulated_batches_learn_what_one_large_batch_learns(likelihood: str) -> None:
    model = shaken(VAE(config(likelihood=likelihood, classes=3, free_bits=2.0, kl_warmup=0.5)))
    batch = pictures(model.config, 6).at(Moment(6, 0.25, 3))
    loss = model.loss(batch)
    loss.total.backward()
    whole = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    parts = [model.loss(part(batch, *cut)) for cut in ((0, 1), (1, 4), (4, 6))]
    for each in parts:
        each.total.backward()
    for name, value in loss.parts.items():
        torch.testing.assert_close(sum(each.parts[name] for each in parts), value)
    for one, other in zip([p.grad for p in model.parameters() if p.grad is not None], whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_a_picture_alone_is_the_picture_of_many() -> None:
    model = shaken(VAE(config(mixture=2, classes=2)))
    labels = torch.tensor([0, 1, -1, 1])
    many = model.sample(Noise(3, 7, 4), labels)
    for index in range(4):
        alone = model.sample(Noise(3, 7 + index, 1), labels[index : index + 1])
        torch.testing.assert_close(alone[0], many[index], rtol=1e-4, atol=1e-5)


def test_a_seed_means_the_same_bits() -> None:
    one, other = shaken(VAE(config()), 5), shaken(VAE(config()), 5)
    batch = pictures(one.config, 4)
    assert torch.equal(one.loss(batch).total, other.loss(batch).total)
    assert torch.equal(one.sample(Noise(1, 0, 3)), other.sample(Noise(1, 0, 3)))
    assert not torch.equal(one.sample(Noise(1, 0, 3)), one.sample(Noise(2, 0, 3)))


def test_a_low_temperature_draws_the_average_picture() -> None:
    model = shaken(VAE(config()))
    cold = model.sample(Noise(1, 0, 3), how=ImageSampling(temperature=1e-6))
    torch.testing.assert_close(cold[0], cold[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"latent": 0, "grid": 3},
        {"grid": 0, "couplings": 0},
        {"mixture": 3},
        {"likelihood": "gaussian", "classes": 4},
    ],
)
def test_a_meta_model_takes_the_weights_of_a_real_one(values: dict[str, object]) -> None:
    made = config(**values)
    model = shaken(VAE(made))
    with torch.device("meta"):
        empty = VAE(made)
    empty.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)
    assert not any(tensor.is_meta for tensor in [*empty.parameters(), *empty.buffers()])
    assert torch.equal(empty.sample(Noise(0, 0, 2)), model.sample(Noise(0, 0, 2)))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(8, 21), st.integers(8, 21), st.sampled_from([1, 3, 4]), st.integers(1, 3), st.sampled_from(LIKELIHOODS)
)
def test_any_size_and_any_number_of_channels(height: int, width: int, channels: int, halvings: int, kind: str) -> None:
    made = config(height=height, width=width, channels=channels, halvings=halvings, likelihood=kind, depth=1, filters=4)
    model, batch = shaken(VAE(made)), pictures(made, 2)
    assert model.reconstruct(batch.images).shape == batch.images.shape
    assert model.reconstruct(batch.images).abs().max() <= 1
    assert model.loss(batch).total.isfinite()
    latent = model.encode(batch.images)
    assert latent.shape == model.prior(batch.noise).shape
    assert model.decode(model.mix(latent[0], latent[1], 0.5)[None]).shape == (1, *made.shape)


def test_a_grid_alone_is_a_small_picture() -> None:
    model = shaken(VAE(config(latent=0, grid=3, height=12, width=16)))
    assert model.encode(pictures(model.config, 2).images).shape == (2, 3, 3, 4)
    assert model.prior(Noise(0, 0, 2)).shape == (2, 3, 3, 4)


def test_padding_repeats_the_edge_and_keeps_the_rest() -> None:
    images = torch.randn(1, 1, 5, 6)
    padded = pad_to_multiple(images, 4)
    assert padded.shape == (1, 1, 8, 8)
    assert torch.equal(padded[..., :5, :6], images)
    assert torch.equal(padded[..., 5:, :6], images[..., -1:, :].expand(-1, -1, 3, -1))


def test_the_bound_of_one_sample_is_the_elbo_on_average_and_more_samples_tighten_it() -> None:
    model = shaken(VAE(config(likelihood="gaussian", grid=1)))
    one = pictures(model.config, 1)
    copies = ImageBatch(one.images.expand(3000, -1, -1, -1), torch.full((3000,), -1), Noise(4, 0, 3000))
    with torch.no_grad():
        elbo = -model.loss(copies.at(Moment(3000))).parts["nats"]
    first = model.log_likelihood(copies, 1)
    assert abs(float(first.mean() - elbo)) < 4 * float(first.std()) * (2 / 3000) ** 0.5
    few = part(copies, 0, 200)
    bounds = [float(model.log_likelihood(few, k).mean()) for k in (1, 4, 16, 40)]
    assert bounds == sorted(bounds)
    assert bounds[-1] > float(elbo)


def test_the_divergence_is_the_one_that_can_be_worked_out() -> None:
    model = shaken(VAE(config(grid=0, couplings=0, likelihood="gaussian")))
    images = pictures(model.config, 1).images
    with torch.no_grad():
        posterior = model._posterior(images, torch.zeros(1, dtype=torch.long))
    mean, log_deviation = posterior.mean, posterior.log_deviation
    exact = 0.5 * (mean.square() + torch.exp(2 * log_deviation) - 1).sum() - log_deviation.sum()
    copies = ImageBatch(images.expand(4000, -1, -1, -1), torch.full((4000,), -1), Noise(4, 0, 4000))
    drawn = model.loss(copies.at(Moment(4000))).parts["divergence"]
    assert abs(float(drawn - exact)) < 0.1 * float(exact) + 0.02


def test_the_logistic_likelihood_shares_out_all_of_256_bytes() -> None:
    likelihood = Logistic()
    every = (torch.arange(256) / 127.5 - 1).view(256, 1, 1, 1)
    for middle, log_scale in ((0.0, 0.0), (1.5, -2.0), (-0.3, -4.9), (0.999, -7.0), (-3.0, 1.0)):
        torch.nn.init.constant_(likelihood.log_scale, log_scale)
        given = torch.full((256, 1, 1, 1), middle)
        assert float(likelihood.log_prob(every, given).exp().sum()) == pytest.approx(1, abs=2e-4)
    assert likelihood.log_prob(every, given * 1e4).isfinite().all()


def test_the_other_likelihoods_are_the_textbook_ones() -> None:
    given, gaussian = torch.randn(3, 1, 2, 2), Gaussian()
    gaussian.initialise()
    x = torch.rand(3, 1, 2, 2) * 2 - 1
    normal = torch.distributions.Normal(given, torch.exp(gaussian.log_deviation))
    torch.testing.assert_close(gaussian.log_prob(x, given), normal.log_prob(x).flatten(1).sum(1))
    coin, bernoulli = torch.distributions.Bernoulli(logits=given), Bernoulli()
    binary = bernoulli.target(x, torch.full_like(x, 0.5))
    torch.testing.assert_close(binary, (x > 0).float())
    torch.testing.assert_close(bernoulli.log_prob(binary, given), coin.log_prob(binary).flatten(1).sum(1))


def test_couplings_are_undone_and_know_their_volume() -> None:
    flow = CouplingFlow(5, 4, 8)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(std=0.5)
    x = torch.randn(3, 5)
    noise, volume = flow(x)
    torch.testing.assert_close(flow.back(noise), x, rtol=1e-3, atol=1e-4)
    for index in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda one: flow(one)[0], x[index : index + 1])[0, :, 0]
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, volume[index], rtol=1e-3, atol=1e-4)


def test_a_mixture_finds_what_it_drew() -> None:
    mixture = Mixture(2, 2)
    mixture.initialise()
    normal = torch.distributions.Normal(0, 1)
    x = torch.randn(5, 2)
    torch.testing.assert_close(mixture.log_prob(x), normal.log_prob(x).sum(1))
    centres = torch.tensor([[4.0, 0.0], [-4.0, 1.0]])
    data = centres[torch.arange(600) % 2] + torch.randn(600, 2, generator=torch.Generator().manual_seed(0)) * 0.3
    mixture.fit(data)
    drawn = mixture.draw(Noise(0, 0, 500), "x")
    assert ((drawn[:, None] - centres).norm(dim=2).min(1).values < 1.5).all()
    assert float(mixture.log_prob(data).mean()) == pytest.approx(float(mixture.log_prob(drawn).mean()), abs=0.2)


def test_a_finished_model_draws_from_the_latents_that_pictures_have() -> None:
    model = shaken(VAE(config(mixture=1, latent=2, grid=0, couplings=0)))
    batch = pictures(model.config, 400)
    with torch.no_grad():
        model.to_vector.weight *= 0.1
        model.to_vector.bias[:2] += 3  # the means
    before = model.log_likelihood(batch, 8).mean()
    model.finish([batch])
    assert model.log_likelihood(batch, 8).mean() > before
    assert model.mixture is not None
    assert model.mixture.means[0].mean() > 1
    assert (model.prior(Noise(0, 0, 900)).mean(0) - model.encode(batch.images).mean(0)).abs().max() < 0.5


def test_principal_directions_point_where_pictures_differ() -> None:
    latents = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 5.0, 1.0])
    directions = principal_directions(latents, 2)
    assert abs(float(directions[0, 1])) == pytest.approx(5, rel=0.2)
    assert abs(float(directions[1, 2])) == pytest.approx(1, rel=0.2)
    having = latents[:, 1] > 0
    assert float(attribute_direction(latents, having)[1]) > 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    model = shaken(VAE(config()))
    name, parameter = next(iter(model.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = value
    save_own(model, tmp_path)
    with pytest.raises(DaedalError, match=f"{name} holds weights that are not finite"):
        load_model(tmp_path)
