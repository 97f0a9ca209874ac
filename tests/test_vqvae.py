"""A tokenizer's ids and pictures belong together, whatever the size of the picture and however it is trained."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.models.model import Moment
from daedal.models.vqvae import VQVAE, VQVAEConfig
from tiny_models import part, pictures, shaken


def config(**values: object) -> VQVAEConfig:
    small = {"channels": 1, "height": 8, "width": 8, "filters": 8, "depth": 1, "levels": (4, 3), "codes": 12}
    return VQVAEConfig.parse(small | values, "test")


KINDS = [{"quantizer": "fsq"}, {"quantizer": "vq"}, {"quantizer": "fsq", "critic": 0.5}, {"rate": 0.5}]


@pytest.mark.parametrize("values", KINDS, ids=["fsq", "vq", "critic", "rate"])
def test_accumulated_batches_learn_what_one_large_batch_learns(values: dict[str, object]) -> None:
    model = shaken(VQVAE(config(**values)))
    batch = pictures(model.config, 6).at(Moment(6, 0.25, 3))
    for player, parameters in model.players.items():
        model.turn(player)
        model.loss(batch, player).total.backward()
        whole = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]
        model.turn(player)
        for start, stop in ((0, 1), (1, 4), (4, 6)):
            model.loss(part(batch, start, stop), player).total.backward()
        for parameter, gradient in zip(parameters, whole, strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(8, 21), st.integers(8, 21), st.sampled_from([1, 3]), st.integers(1, 3))
def test_any_size_has_its_grid_of_ids(height: int, width: int, channels: int, halvings: int) -> None:
    made = config(height=height, width=width, channels=channels, halvings=halvings, filters=4)
    model, batch = shaken(VQVAE(made)), pictures(made, 2)
    ids = model.encode_ids(batch.images)
    assert ids.shape == (2, *model.grid)
    assert 0 <= int(ids.min()) <= int(ids.max()) < model.vocab_size == made.vocab_size
    assert model.decode_ids(ids).shape == batch.images.shape
    torch.testing.assert_close(model.decode_ids(ids), model.reconstruct(batch.images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", KINDS, ids=["fsq", "vq", "critic", "rate"])
def test_a_meta_model_takes_the_weights_of_a_real_one(values: dict[str, object]) -> None:
    model = shaken(VQVAE(config(**values)))
    with torch.device("meta"):
        empty = VQVAE(model.config)
    empty.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)
    images = pictures(model.config, 2).images
    assert torch.equal(empty.encode_ids(images), model.encode_ids(images))
    assert torch.equal(empty.reconstruct(images), model.reconstruct(images))


@pytest.mark.parametrize("values", KINDS, ids=["fsq", "vq", "critic", "rate"])
def test_a_few_steps_learn_and_the_same_seed_learns_the_same(values: dict[str, object]) -> None:
    def learned() -> tuple[VQVAE, list[float]]:
        model, losses = shaken(VQVAE(config(**values))), []
        model.train()
        optimizers = {name: torch.optim.Adam(parameters, lr=3e-3) for name, parameters in model.players.items()}
        batch = pictures(model.config, 8)
        for step in range(30):
            moment = Moment(8, step / 30, step)
            for player, optimizer in optimizers.items():
                model.turn(player)
                loss = model.loss(batch.at(moment), player)
                loss.total.backward()
                optimizer.step()
                if player == "model":
                    losses.append(float(loss.total.detach()))
            model.after_step(lambda total: total, moment)
        return model, losses

    (one, losses), (other, again) = learned(), learned()
    assert losses[-1] < losses[0] * 0.9
    assert losses == again
    assert torch.equal(
        one.reconstruct(pictures(one.config, 1).images), other.reconstruct(pictures(one.config, 1).images)
    )
    health = one.health()
    assert 0 < health["codes_used"] <= 1
    assert 1 <= health["code_perplexity"] <= one.vocab_size


def test_the_critic_pulls_with_its_share_of_the_loss() -> None:
    model = shaken(VQVAE(config(critic=0.5)))
    batch = pictures(model.config, 3)
    seen = (model._pictures(model.quantizer(model._latents(batch.images)).codes)).detach().requires_grad_()
    error = (seen - batch.images).flatten(1)
    rebuilt = error.square().mean(1) + 0.2 * error.abs().mean(1)
    (own,) = torch.autograd.grad(rebuilt.sum(), seen, retain_graph=True)
    for fraction, share in ((0.0, 0.0), (0.125, 0.25), (1.0, 0.5)):
        (pull,) = torch.autograd.grad(model._pull(seen, rebuilt, fraction), seen, retain_graph=True)
        torch.testing.assert_close(pull.flatten(1).norm(dim=1), share * own.flatten(1).norm(dim=1))
