"""Likelihoods of continuations do not depend on what is read together, and are those of lm-eval's rule."""

import random

import pytest
import torch

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.continuations import encode_pairs, likelihoods, rolling, score
from daedal.models.gpt import GPT
from tiny_models import tiny_gpt

SHOTS = "Q: What does the fox do?\nA: It jumps over the lazy dog, and then it sleeps.\n\n"
TEXTS = [SHOTS, "To be, or not to be: that is the question.", "naïve café 東京 🌸", "a"]
PAIRS = [
    *((SHOTS + f"Q: Who {verb}?\nA:", f" {who}") for verb in ("jumps", "sleeps") for who in ("fox", "the fox", "dog")),
    (SHOTS + "Q: Who jumps?\nA:", " fox"),
    ("", "The cat helps itself"),
    ("", "The cat helps herself"),
    ("The fox  ", "jumps"),
    ("naïve 東", "京 🌸"),
    (SHOTS * 3, " the end"),
    ("a", ""),
]


def codec() -> TextCodec:
    return TextCodec.train("bpe", TEXTS * 4, 300)


def one_by_one(model: GPT, text: TextCodec, pair: tuple[str, str]) -> float:
    """By the definition: one text, all logits."""
    (tokens,) = encode_pairs(text, [pair])
    if not tokens.continuation:
        return 0.0
    row = (tokens.context + tokens.continuation)[-(model.config.context + 1) :]
    with torch.no_grad():
        logits = model(torch.tensor([row[:-1]])).double().log_softmax(-1)[0]
    chosen = logits.gather(1, torch.tensor(row[1:])[:, None])[:, 0]
    return float(chosen[-len(tokens.continuation) :].sum())


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2", "swift"])
@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:6], PAIRS[:3], PAIRS[:1], PAIRS[7:9]])
@pytest.mark.parametrize(("trunk", "common"), [(48, 16), (2, 10**6), (2, 2)])
def test_texts_read_together_are_as_likely_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, architecture: str, pairs: list[tuple[str, str]], trunk: int, common: int
) -> None:
    monkeypatch.setattr("daedal.inference.continuations._TRUNK", trunk)
    monkeypatch.setattr("daedal.inference.continuations._WORTH", common)
    text = codec()
    model = tiny_gpt(text, architecture, context=128).double()
    found = dict(likelihoods(model, text, pairs))
    assert sorted(found) == list(range(len(pairs)))
    for place, pair in enumerate(pairs):
        assert found[place].nats == pytest.approx(one_by_one(model, text, pair), abs=1e-9)


def test_a_model_that_sees_a_window_reads_one_by_one() -> None:
    text = codec()
    config = tiny_gpt(text, "qwen2", context=128).config.but(sliding_window=8, window_from=1)
    model = GPT(config).double().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    found = dict(likelihoods(model, text, PAIRS))
    assert [found[i].nats for i in range(len(PAIRS))] == pytest.approx(
        [one_by_one(model, text, pair) for pair in PAIRS], abs=1e-9
    )


def test_greedy_is_said_where_every_token_is_the_likeliest() -> None:
    text = codec()
    model = tiny_gpt(text, context=128)
    ids = list(text.encode("The fox"))
    with torch.no_grad():
        for _ in range(4):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    start = len(text.encode("The fox"))
    from daedal.inference.continuations import Tokens

    most = Tokens(tuple(ids[:start]), tuple(ids[start:]))
    other = Tokens(tuple(ids[:start]), (*ids[start:-1], (ids[-1] + 1) % 100))
    found = dict(score(model, [other, most]))
    assert found[1].greedy
    assert not found[0].greedy
    assert found[1].tokens == 4


def test_whole_texts_are_read_in_windows_that_do_not_overlap() -> None:
    text = codec()
    model = tiny_gpt(text, context=16).double()
    texts = ["", *TEXTS, SHOTS * 2]
    found = dict(rolling(model, text, texts))
    for place, each in enumerate(texts):
        ids = text.encode(each)
        assert found[place].tokens == len(ids)
        total = 0.0
        for start in range(0, len(ids), 16):
            stop = min(len(ids), start + 16)
            row = [text.eos_id, *ids[:stop]] if not start else ids[max(0, stop - 17) : stop]
            with torch.no_grad():
                logits = model(torch.tensor([row[:-1]])).log_softmax(-1)[0]
            total += float(logits.gather(1, torch.tensor(row[1:])[:, None])[-(stop - start) :].sum())
        assert found[place].nats == pytest.approx(total, abs=1e-9)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    text = codec()
    model = tiny_gpt(text, context=128).double()
    order = list(range(len(PAIRS)))
    random.Random(1).shuffle(order)
    one, other = dict(likelihoods(model, text, PAIRS)), dict(likelihoods(model, text, [PAIRS[i] for i in order]))
    for place, which in enumerate(order):
        assert other[place].nats == pytest.approx(one[which].nats, abs=1e-9)


def test_a_continuation_that_is_longer_than_the_context_is_refused() -> None:
    text = codec()
    with pytest.raises(DaedalError, match="exceeds the context of 16"):
        list(likelihoods(tiny_gpt(text, context=16), text, [("a", SHOTS * 4)]))
