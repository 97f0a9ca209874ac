"""Every token is predicted once, from what it may see, and the sums are right."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.documents import Documents
from daedal.evaluation.likelihood import (
    Windows,
    estimate_seconds,
    evaluate_documents,
    likelihood,
    score,
)
from daedal.models.gpt import GPT
from tiny_models import tiny_gpt

TEXTS = ["To be, or not to be: that is the question.", "Ay.", "naïve café – 東京 🌸 and some more of it", "x" * 40] * 3


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return TextCodec.train("char", TEXTS)


@pytest.fixture(scope="module")
def model(codec: TextCodec) -> GPT:
    return tiny_gpt(codec)


def slow_nats(model: GPT, documents: Documents, window: int, stride: int) -> list[float]:
    """Nats of each document: one token at a time, from all that its window shows."""
    totals = []
    for index in range(len(documents)):
        ids = [documents.prefix, *documents.codec.encode(documents.text(index))]
        total = 0.0
        for place in range(1, len(ids)):
            step = 0 if place <= window else -(-(place - window) // stride)
            # The last window is moved back until it is full
            start = min(step * stride, max(0, len(ids) - 1 - window))
            seen = torch.tensor([ids[start:place]])
            logits = model(seen)[0, -1].detach().double()
            total -= float(logits.log_softmax(-1)[ids[place]])
        totals.append(total)
    return totals


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
@pytest.mark.parametrize(("window", "stride"), [(16, 8), (16, 16), (16, 1), (7, 3)])
def test_sliding_windows_give_what_one_token_at_a_time_gives(
    codec: TextCodec, architecture: str, window: int, stride: int
) -> None:
    model = tiny_gpt(codec, architecture)
    documents = Documents.of_texts(TEXTS, codec)
    nats = score(model, documents, window, stride)
    np.testing.assert_allclose(nats, slow_nats(model, documents, window, stride), rtol=1e-5)


def test_the_sums_are_divided_by_tokens_bytes_and_characters_of_the_text(codec: TextCodec, model: GPT) -> None:
    documents = Documents.of_texts(TEXTS, codec)
    result = evaluate_documents(model, documents, 16, 8)
    nats = sum(slow_nats(model, documents, 16, 8))
    whole = "".join(TEXTS)
    assert result.loss.value == pytest.approx(nats / sum(len(codec.encode(text)) for text in TEXTS), rel=1e-6)
    assert result.perplexity.value == pytest.approx(math.exp(result.loss.value))
    assert result.bits_per_byte.value == pytest.approx(nats / math.log(2) / len(whole.encode()), rel=1e-6)
    assert result.nats_per_character.value == pytest.approx(nats / len(whole), rel=1e-6)


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary(codec: TextCodec) -> None:
    model = tiny_gpt(codec)
    with torch.no_grad():
        model.embedding.weight.zero_()
    result = evaluate_documents(model, Documents.of_texts(TEXTS, codec))
    assert result.loss.value == pytest.approx(math.log(codec.vocab_size), abs=1e-9)
    assert result.loss.interval == pytest.approx((result.loss.value, result.loss.value), abs=1e-9)


@pytest.mark.parametrize("batch_tokens", [1, 17, 64, 100_000])
def test_the_size_of_a_batch_changes_nothing(codec: TextCodec, model: GPT, batch_tokens: int) -> None:
    documents = Documents.of_texts(TEXTS, codec)
    one = evaluate_documents(model, documents, 16, 8)
    other = evaluate_documents(model, documents, 16, 8, batch_tokens=batch_tokens)
    assert other.loss.value == pytest.approx(one.loss.value, rel=1e-6)
    assert other.bits_per_byte.interval == pytest.approx(one.bits_per_byte.interval, rel=1e-5)


def test_transformers_gives_the_same_loss(codec: TextCodec) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=codec.vocab_size,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
    )
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(5.0)
    ours = _same_weights(theirs, codec)
    text = TEXTS[0]
    ids = torch.tensor([[codec.eos_id, *codec.encode(text)]])
    loss = theirs(ids, labels=ids).loss.item()
    assert evaluate_documents(ours, Documents.of_texts([text], codec), 64).loss.value == pytest.approx(loss, rel=1e-5)


def _same_weights(theirs: torch.nn.Module, codec: TextCodec) -> GPT:
    import tempfile

    from daedal.models.checkpoint import load_model

    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)  # type: ignore[operator]
        model = load_model(folder)
    assert isinstance(model, GPT)
    return model


def test_a_token_that_is_all_but_impossible_costs_much_and_not_infinity(codec: TextCodec) -> None:
    class Sure(GPT):
        def head(self, hidden: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(*hidden.shape[:-1], codec.vocab_size)
            logits[..., 0] = 20_000.0
            return logits

    model = Sure(tiny_gpt(codec).config)
    result = evaluate_documents(model, Documents.of_texts(["ab"], codec))
    assert result.loss.value == 20_000.0
    assert math.isfinite(result.perplexity.value)


def test_predictions_that_are_no_numbers_are_told(codec: TextCodec) -> None:
    model = tiny_gpt(codec)
    with torch.no_grad():
        model.embedding.weight.fill_(math.nan)
    with pytest.raises(DaedalError, match="not finite"):
        evaluate_documents(model, Documents.of_texts(TEXTS, codec))


@pytest.mark.parametrize(("window", "stride"), [(8, 9), (8, 0), (0, 0)])
def test_a_stride_that_would_skip_tokens_is_refused(codec: TextCodec, model: GPT, window: int, stride: int) -> None:
    with pytest.raises(DaedalError, match="stride"):
        evaluate_documents(model, Documents.of_texts(TEXTS, codec), window, stride)


def test_a_window_wider_than_the_model_is_refused(codec: TextCodec, model: GPT) -> None:
    for measure in (evaluate_documents, estimate_seconds):
        with pytest.raises(DaedalError, match="A window of 17 tokens is wider than the model's context of 16"):
            measure(model, Documents.of_texts(TEXTS, codec), 17)


def test_a_perplexity_too_large_to_be_written_is_said_to_be_at_least_so_much(codec: TextCodec) -> None:
    documents = Documents.of_texts(TEXTS, codec)
    tokens = documents.pieces[0].astype(float)
    far = likelihood(documents, 701 * tokens).perplexity
    assert (far.name, far.value) == ("perplexity, at least", math.exp(700))
    assert (far.interval, far.interval_method) == (None, "")
    near = likelihood(documents, 3 * tokens).perplexity
    assert (near.name, near.value) == ("perplexity", pytest.approx(math.exp(3)))
    assert near.interval is not None


def test_a_perplexity_is_never_under_one_nor_bits_under_zero(codec: TextCodec) -> None:
    documents = Documents.of_texts(["a" * 30, "b" * 20] * 6, codec)
    nats = np.array([0.001, 0.001, 0.001, 9.0] * 3)
    found = likelihood(documents, nats)
    assert all(measured.interval is not None for measured in found.measurements)
    assert found.perplexity.interval[0] >= 1  # type: ignore[index]
    assert min(measured.interval[0] for measured in found.measurements) >= 0  # type: ignore[index]


def test_a_model_that_was_training_goes_on_training(codec: TextCodec) -> None:
    model = tiny_gpt(codec).train()
    evaluate_documents(model, Documents.of_texts(TEXTS, codec))
    assert model.training


def test_few_documents_have_intervals_by_blocks_and_many_by_document(codec: TextCodec, model: GPT) -> None:
    one = evaluate_documents(model, Documents.of_texts(["word " * 200], codec), 16, 8).bits_per_byte
    assert one.pieces == "blocks of 125 tokens"
    assert one.n == 8
    assert "which other documents may not be" in one.interval_method
    assert one.interval is not None
    many = evaluate_documents(model, Documents.of_texts(TEXTS, codec), 16, 8).bits_per_byte
    assert (many.pieces, many.n) == ("documents", len(TEXTS))
    assert many.interval is not None
    assert many.interval[0] < many.value < many.interval[1]


def test_the_definition_names_window_stride_prefix_and_vocabulary(codec: TextCodec, model: GPT) -> None:
    result = evaluate_documents(model, Documents.of_texts(TEXTS, codec), 16, 4, model_hash="m")
    assert result.bits_per_byte.definition == "bits-per-byte/v1@window=16,stride=4,prefix=end-of-text"
    assert result.loss.definition.endswith(f"vocabulary={codec.fingerprint()[:12]}")
    assert result.loss.model_hash == "m"
    half = evaluate_documents(model, Documents.of_texts(TEXTS, codec)).bits_per_byte
    assert "window=16,stride=8" in half.definition


def test_the_estimate_of_seconds_is_of_the_right_size(codec: TextCodec, model: GPT) -> None:
    assert 0 < estimate_seconds(model, Documents.of_texts(TEXTS, codec)) < 10


@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
def test_a_split_on_disk_gives_what_its_texts_give(tmp_path: Path, kind: str) -> None:
    from daedal.data import BuildOptions, build

    source = tmp_path / "texts"
    source.mkdir()
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "naïve",
        "東京",
        "jumps",
        "over",
        "lazy",
        "dogs",
        "and",
        "reads",
        "many",
        "books",
    ]
    generator = np.random.default_rng(0)
    for number in range(24):
        (source / f"{number:02}.txt").write_text(" ".join(generator.choice(words, 60)), encoding="utf-8")
    options = BuildOptions(codec=kind, split=(70, 30, 0), near_duplicates="keep", quality="off")  # type: ignore[arg-type]
    dataset = build([source], tmp_path / "data", options)
    split, codec = dataset.split("validation"), dataset.codec
    documents = Documents.of_split(split, codec)
    texts = [split.text(index) for index in range(split.documents)]
    assert documents.exact
    assert documents.bytes.tolist() == [len(text.encode()) for text in texts]
    assert documents.characters.tolist() == [len(text) for text in texts]
    assert documents.text_bytes().tobytes() == "".join(texts).encode()
    assert documents.text_bytes(50).tobytes() == "".join(texts).encode()[-50:]
    model = tiny_gpt(codec)
    ours = evaluate_documents(model, documents)
    assert ours.loss.value == pytest.approx(evaluate_documents(model, Documents.of_texts(texts, codec)).loss.value)


@given(st.lists(st.integers(0, 70), max_size=12), st.integers(1, 20), st.data())
def test_every_token_is_scored_once_with_enough_before_it(lengths: list[int], window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window))
    windows = Windows.over(np.array(lengths, dtype=np.int64), window, stride)
    seen = [np.zeros(length, dtype=int) for length in lengths]
    for document, start, length, scored in zip(
        windows.document, windows.start, windows.length, windows.scored, strict=True
    ):
        assert length <= window
        seen[document][start + scored : start + length] += 1
        for column in range(scored, length):
            # Column c predicts token start + c of the document, from the c + 1 tokens of the window up to it
            assert column + 1 >= min(start + column + 1, window - stride + 1)
    assert all((counts == 1).all() for counts in seen)
    assert windows.length.tolist() == sorted(windows.length.tolist(), reverse=True)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_pieces_hold_all_tokens_bytes_and_characters(texts: list[str]) -> None:
    codec = TextCodec.train("byte", ["a"])
    if not any(texts):
        with pytest.raises(DaedalError, match="no text"):
            Documents.of_texts(texts, codec)
        return
    documents = Documents.of_texts(texts, codec)
    tokens, sizes, characters = documents.pieces
    whole = "".join(texts)
    assert tokens.sum() == sizes.sum() == len(whole.encode())
    assert characters.sum() == len(whole)
