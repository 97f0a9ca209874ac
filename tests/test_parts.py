"""Models in eight bits say nearly what they say."""

from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn

from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.network import prepared
from daedal.inference.parts import Part, in_eight_bits
from daedal.models.bert import BERT
from daedal.models.classifier import Classifier
from daedal.models.decoding import OutputLayer
from daedal.models.encoder import EncoderModel
from daedal.models.sequences import PairBatch, Sequences
from daedal.nn.mlp import ACTIVATIONS, GatedMLP, PlainMLP
from test_encoder_skills import TEXTS, opened
from test_translate import TEXTS as SOURCES
from test_translate import generator
from test_translator import KINDS, START, model_of, pairs

torch.set_num_threads(1)
M = TypeVar("M", bound=nn.Module)
MOST = 0.05 if torch.cpu._is_vnni_supported() else 0.1  # without VNNI weights have seven bits (`by_output`)


@torch.no_grad()
def calm(model: M) -> M:
    """With weights of the size that learned ones have: attention that looks at one place alone jumps to another."""
    for part in model.modules():
        if isinstance(part, nn.Linear):
            part.weight.mul_(0.4)
    return model


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """In standard deviations of what is expected."""
    return float((found - expected).std() / expected.std())


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_translator_says_nearly_the_same(kind: str) -> None:
    model, batch = calm(model_of(kind, width=64, heads=4)).eval(), PairBatch.of(*pairs(), START)
    expected = model.hidden(batch.source, batch.target)
    assert 0 < difference(in_eight_bits(model).hidden(batch.source, batch.target), expected) < MOST


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert"])
@pytest.mark.parametrize("kind", [Classifier, BERT])
def test_what_reads_both_ways_says_nearly_the_same(kind: type[EncoderModel], architecture: str, tmp_path: Path) -> None:
    model = calm(opened(kind, tmp_path, architecture)[0].model)
    rows = Sequences.of([torch.randint(0, 20, (length,)) for length in (3, 9, 9, 20)])
    assert 0 < difference(in_eight_bits(model)(rows), model(rows)) < MOST


@torch.no_grad()
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_part_says_nearly_what_its_module_says(activation: str) -> None:
    x = torch.randn(7, 3, 32, generator=torch.Generator().manual_seed(0))
    for module in (
        PlainMLP(32, 96, ACTIVATIONS[activation], bias=True),
        GatedMLP(32, 96, ACTIVATIONS[activation]),
        nn.Linear(32, 5),
    ):
        expected = module(x)
        found = Part(module)(x)
        assert found.shape == expected.shape
        assert 0 < difference(found, expected) < MOST
    output = OutputLayer(model_of("marian"))
    found, expected = (each(torch.ones(2, 16)) for each in (Part(output), output))
    assert torch.equal(found.isinf(), expected.isinf())
    assert difference(found[:, 3:23], expected[:, 3:23]) < MOST


@torch.no_grad()
def test_a_token_gives_the_same_bits_whatever_stands_beside_it_and_whichever_thread_has_it() -> None:
    part, x = Part(nn.Linear(48, 40)), torch.randn(300, 48, generator=torch.Generator().manual_seed(0))
    whole = part(x)
    assert torch.equal(torch.cat([part(row) for row in x.split(1)]), whole)
    x[100] *= 50
    torch.set_num_threads(3)
    try:
        shared = part(x)
    finally:
        torch.set_num_threads(1)
    others = torch.arange(300) != 100
    assert torch.equal(shared[others], whole[others])


def test_labels_are_the_same(tmp_path: Path) -> None:
    plain, folder = opened(Classifier, tmp_path)
    small = Generator.open(folder, quantize="int8")
    for found, expected in zip(small.classify(TEXTS), plain.classify(TEXTS), strict=True):
        first, second, *_ = expected.probabilities.values()
        assert found.label == expected.label or first - second < 0.01
        assert found.probabilities == pytest.approx(expected.probabilities, abs=0.05)
    assert small.fingerprint == plain.fingerprint


def test_a_translation_tells_that_eight_bits_wrote_it_and_does_not_depend_on_the_others() -> None:
    plain = generator()
    small = Generator(plain.model, plain.codec, quantize="int8")
    together = small.translate(SOURCES, max_tokens=10)
    assert [small.translate(text, max_tokens=10)[0].text for text in SOURCES] == [each.text for each in together]
    found, expected = together[0], plain.translate(SOURCES[0], max_tokens=10)[0]
    assert (found.provenance.quantize, expected.provenance.quantize) == ("int8", None)
    assert found.score == pytest.approx(expected.score, abs=0.1)


def test_other_forms_and_other_numbers_are_refused() -> None:
    model = model_of("rotary")
    assert prepared(model) is model
    for form in ("int4", "draft"):
        with pytest.raises(DaedalError, match=f"A Translator has no {form} form"):
            prepared(model, form)  # type: ignore[arg-type]
    with pytest.raises(DaedalError, match="for float32 models on the CPU"):
        prepared(model.bfloat16(), "int8")
