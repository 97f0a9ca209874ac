"""The translator: its losses and its likelihoods, of rows packed and alone."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from daedal.models.model import Moment
from daedal.models.sequences import PairBatch
from daedal.models.translator import Translator, TranslatorConfig

KINDS: dict[str, dict[str, Any]] = {
    "rotary": {"architecture": "rotary"},
    "gated": {"architecture": "rotary", "gated": True, "activation": "silu", "tied": False},
    "t5": {"architecture": "t5", "head_width": 6},
    "t5 gated": {"architecture": "t5", "gated": True, "activation": "gelu_tanh", "tied": False},
    "marian": {"architecture": "marian"},
}
START, END = 1, 2


def model_of(kind: str, **changes: Any) -> Translator:
    size: dict[str, Any] = {"vocab_size": 23, "width": 16, "depth": 2, "decoder_depth": 3, "heads": 2, "context": 40}
    config = TranslatorConfig.of(**{**size, **KINDS[kind], "start_id": START, "end_id": END, **changes})
    model = Translator(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # the outputs of layers are zero at first, and biases
        for parameter in [*model.parameters(), *model.buffers()]:
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def pairs(count: int = 6) -> tuple[list[list[int]], list[list[int]]]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 12, (2, count), generator=generator).tolist()
    return tuple(
        [[*torch.randint(3, 23, (length,), generator=generator).tolist(), END] for length in side] for side in lengths
    )  # type: ignore[return-value]


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_batch_has_the_loss_and_the_gradients_of_its_pairs(kind: str) -> None:
    model, (sources, targets) = model_of(kind, label_smoothing=0.1).double(), pairs()
    batch = PairBatch.of(sources, targets, START)
    together = model.loss(batch.at(Moment(batch.count)))
    gradients = torch.autograd.grad(together.total, list(model.parameters()))
    alone = [PairBatch.of([source], [target], START) for source, target in zip(sources, targets, strict=True)]
    losses = [model.loss(one.at(Moment(batch.count))) for one in alone]
    total = sum(loss.total for loss in losses)
    assert torch.allclose(together.total, total)
    assert torch.allclose(together.parts["nats"], sum(loss.parts["nats"] for loss in losses))
    for mine, theirs in zip(gradients, torch.autograd.grad(total, list(model.parameters())), strict=True):
        assert torch.allclose(mine, theirs)
    likelihoods = model.eval().log_likelihood(batch)
    assert torch.allclose(likelihoods.sum() / -batch.count, together.parts["nats"])
    assert torch.allclose(likelihoods, torch.cat([model.log_likelihood(one) for one in alone]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_smoothed_cross_entropy_of_the_logits(kind: str) -> None:
    model, batch = model_of(kind, label_smoothing=0.2), PairBatch.of(*pairs(), START)
    logits = model(batch.source, batch.target)
    plain = F.cross_entropy(logits, batch.targets, label_smoothing=0.2, reduction="sum")
    assert torch.allclose(model.loss(batch).total, plain)
    assert torch.allclose(model.eval().loss(batch).total, F.cross_entropy(logits, batch.targets, reduction="sum"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_predicted_depends_on_all_of_the_source_and_on_what_was_written_alone(kind: str) -> None:
    model = model_of(kind).eval()
    source, target = [5, 6, 7, 8, END], [9, 10, 11, 12, END]
    batch = PairBatch.of([source], [target], START)
    logits = model(batch.source, batch.target)
    for place in range(len(source)):
        other = PairBatch.of([[*source[:place], 20, *source[place + 1 :]]], [target], START)
        assert (model(other.source, other.target) - logits).abs().amax(1).min() > 1e-4
    later = PairBatch.of([source], [[9, 10, 20, 12, END]], START)
    away = (model(later.source, later.target) - logits).abs().amax(1)
    assert away[:3].max() < 1e-5
    assert away[3:].min() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_model_guesses_and_a_seed_is_a_model(kind: str) -> None:
    config = model_of(kind, vocab_size=500, width=64).config
    model = Translator(config)
    sources, targets = pairs(30)
    batch = PairBatch.of(sources, targets, START)
    loss = float(model.loss(batch.at(Moment(batch.count))).total.detach())
    assert abs(loss - torch.tensor(500.0).log()) < 2.0
    assert Translator(config).embedding.weight.equal(model.embedding.weight)


def test_a_model_without_memory_has_its_shape() -> None:
    with torch.device("meta"):
        model = Translator(TranslatorConfig.of("t5", vocab_size=10**6, width=4096, depth=20, heads=32, context=512))
    assert model.embedding.weight.is_meta
    assert model.parameter_count > 10**9
