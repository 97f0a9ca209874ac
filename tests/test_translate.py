"""What a generator with a translator gives."""

from typing import Any

import pytest
import torch

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.consensus import chrf, consensus
from daedal.inference.generator import Generator
from test_translator import model_of

TEXTS = ["A man rides a horse.", "Two dogs play in the snow.", "A", "A man rides a horse."]


def generator(**changes: Any) -> Generator:
    codec = TextCodec.train("bpe", TEXTS, 300)
    end = codec.eos_id
    return Generator(model_of("rotary", vocab_size=codec.vocab_size, start_id=end, end_id=end, **changes), codec, "toy")


@pytest.mark.parametrize("method", ["beam", "sample", "mbr"])
def test_a_translation_does_not_depend_on_the_others_and_can_be_made_again(method: str) -> None:
    subject = generator()
    options: dict[str, Any] = {"method": method, "seed": 5, "max_tokens": 10}
    together = subject.translate(TEXTS, **options)
    assert [each.source for each in together] == TEXTS
    assert [subject.translate(text, **options)[0].text for text in TEXTS[:3]] == [each.text for each in together[:3]]
    assert (together[3].text == together[0].text) == (method == "beam")
    assert [str(each) for each in subject.translate(TEXTS, **options)] == [each.text for each in together]
    assert (subject.translate(TEXTS, **{**options, "seed": 6}) == together) is False
    first = together[0].provenance
    assert (first.model, first.options.method, first.options.seed) == ("toy", method, 5)


def test_one_beam_and_more_find_texts_of_rising_likelihood() -> None:
    subject = generator()
    greedy, wide = (subject.translate(TEXTS, beams=beams, length_penalty=0.0, max_tokens=8) for beams in (1, 30))
    assert sum(each.score for each in wide) > sum(each.score for each in greedy)
    assert all(each.score < 0 for each in wide)


def test_lines_are_translated_one_by_one_and_empty_ones_kept() -> None:
    subject = generator()
    single = {text: subject.translate(text, max_tokens=6)[0] for text in TEXTS[:2]}
    (whole,) = subject.translate(f"{TEXTS[0]}\n\n{TEXTS[1]}\n", max_tokens=6)
    assert whole.text == f"{single[TEXTS[0]].text}\n\n{single[TEXTS[1]].text}\n"
    assert whole.tokens == sum(each.tokens for each in single.values())
    assert [each.text for each in subject.translate(["", " "])] == ["", ""]
    assert subject.translate([]) == []


def test_a_line_that_is_too_long_is_cut_between_sentences_or_refused() -> None:
    subject, (one, two, *_) = generator(context=12), TEXTS
    whole = subject.translate(f"{one} {two} {one}", max_tokens=5)[0].text
    parts = [subject.translate(text, max_tokens=5)[0].text for text in (one, two, one)]
    assert whole == " ".join(parts)
    with pytest.raises(DaedalError, match="longer than the 11 tokens"):
        subject.translate("word" * 30)


@pytest.mark.parametrize(
    "options", [{"beams": 0}, {"method": "best"}, {"temperature": 0}, {"max_tokens": 0}, {"seed": -1}]
)
def test_options_that_make_no_sense_are_refused_in_a_line(options: dict[str, Any]) -> None:
    with pytest.raises(DaedalError, match=f"translate: {next(iter(options))}"):
        generator().translate("A", **options)


def test_a_translator_refuses_what_it_cannot() -> None:
    with pytest.raises(DaedalError, match="A Translator cannot write on from a text: it can translate"):
        generator().generate("A")


def test_the_consensus_is_the_text_most_like_the_others() -> None:
    assert consensus(["a red house", "the green tree", "a red horse", "a red house!"]) in (0, 3)
    assert consensus(["one"]) == 0
    assert consensus(["", "", "x"]) in (0, 2)


def test_chrf_is_that_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    for said, right in (
        ("a man rides", "a man rides a horse"),
        ("ab", "abc abc"),
        ("x", "y"),
        ("Ein Hund.", "Ein Hund."),
    ):
        assert 100 * chrf(said, right) == pytest.approx(sacrebleu.sentence_chrf(said, [right]).score)


@pytest.mark.parametrize("method", ["beam", "sample"])
def test_weights_that_are_not_numbers_are_told(method: str) -> None:
    subject = generator()
    with torch.no_grad():
        subject.model.embedding.weight.fill_(float("nan"))
    with pytest.raises(DaedalError, match="not finite"):
        subject.translate("A", max_tokens=3, method=method)
