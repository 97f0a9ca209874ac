"""Texts in, texts out: the generator over a small random model."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.codecs.image import PixelCodec
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from test_engine import random_model
from tiny_models import tiny_gpt

torch.set_num_threads(1)
CODEC = TextCodec.train("bpe", ["the cat sat on the mat. grüße aus köln 日本語 🙂 "] * 20, 300)
MODEL = random_model("qwen3", vocab_size=CODEC.vocab_size, context=64)
GENERATOR = Generator(MODEL, CODEC, "toy")


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.lists(st.sampled_from(["a", " t", "at", "o", "ü", "\n", "日"]), max_size=3))
def test_streamed_pieces_joined_are_the_generated_text(seed: int, stop: list[str]) -> None:
    options = {"max_tokens": 40, "seed": seed, "stop": stop, "temperature": 1.3}
    (completion,) = GENERATOR.generate("the cat", **options)
    chunks = list(GENERATOR.stream("the cat", **options))
    assert "".join(chunk.text for chunk in chunks) == completion.text
    assert chunks[-1].completion == completion
    assert all(chunk.completion is None for chunk in chunks[:-1])
    assert not any(s in completion.text for s in stop)
    assert completion.stop is None or completion.finish_reason == "stop"


def test_a_prompt_gives_the_same_whatever_else_is_in_the_batch() -> None:
    prompts = ["the", "a long text about a cat on a mat", "日本"]
    together = GENERATOR.generate(prompts, n=2, seed=5, max_tokens=15)
    assert [c.prompt for c in together] == [p for p in prompts for _ in range(2)]
    for i, prompt in enumerate(prompts):
        assert GENERATOR.generate(prompt, n=2, seed=5, max_tokens=15) == together[2 * i : 2 * i + 2]


def test_a_prompt_given_twice_has_twice_as_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = GENERATOR.generate(["the", "the"], n=2, seed=5, max_tokens=8)
    assert twice == GENERATOR.generate("the", n=4, seed=5, max_tokens=8)
    assert len({c.text for c in twice}) == 4
    monkeypatch.setattr(GENERATOR.engine, "rows", 3)
    assert GENERATOR.generate("the", n=4, seed=5, max_tokens=8) == twice


def test_a_prompt_may_be_the_ids_of_its_tokens() -> None:
    codec = GENERATOR.codec
    text, ids = (GENERATOR.generate([prompt], max_tokens=5, seed=1)[0] for prompt in ("ab", codec.encode("ab")))
    assert (text.prompt, text.ids) == (ids.prompt, ids.ids)
    with pytest.raises(DaedalError, match="There is no token 100000"):
        GENERATOR.generate([[0, 100_000]])


def test_a_text_without_a_seed_can_be_made_again() -> None:
    (completion,) = GENERATOR.generate("the", max_tokens=10)
    seed = completion.provenance.seed
    assert seed is not None
    assert GENERATOR.generate("the", max_tokens=10, seed=seed) == [completion]


def test_a_completion_carries_where_it_comes_from(tmp_path: Path) -> None:
    (completion,) = GENERATOR.generate("the cat", max_tokens=5, seed=7, top_p=0.9)
    provenance = completion.provenance
    assert (provenance.model, provenance.seed, provenance.options.top_p) == ("toy", 7, 0.9)
    assert provenance.fingerprint != Generator(random_model("gpt2", vocab_size=300), CODEC).fingerprint
    assert str(completion) == completion.text
    completion.save(tmp_path / "text.txt")
    assert (tmp_path / "text.txt").read_text() == "the cat" + completion.text
    saved = json.loads((tmp_path / "text.txt.json").read_text())
    assert saved == completion.model_dump(mode="json")
    completion.save(tmp_path / "all.json")
    assert type(completion).parse(json.loads((tmp_path / "all.json").read_text()), "file") == completion


@pytest.mark.parametrize("given_text", ["", "the cat sat"])
def test_the_log_probabilities_of_a_text_sum_to_its_score(given_text: str) -> None:
    (completion,) = GENERATOR.generate(given_text, max_tokens=20, seed=1, logprobs=0, logit_bias={CODEC.eos_id: -100})
    assert completion.logprobs is not None
    from daedal.inference.skills.score import log_likelihoods

    prompt = CODEC.encode(given_text) or [CODEC.eos_id or 0]
    scored = log_likelihoods(MODEL, [*prompt, *completion.ids], len(prompt))
    assert [t.logprob for t in completion.logprobs] == pytest.approx(scored.tolist(), abs=1e-4)


def test_a_score_is_of_the_whole_text_in_every_unit() -> None:
    text = "the cat sat on the mat. "
    score = GENERATOR.score(text)
    assert score.log_likelihood == pytest.approx(sum(t.log_likelihood for t in score.tokens))
    assert score.loss == pytest.approx(-score.log_likelihood / len(CODEC.encode(text)))
    assert score.perplexity == pytest.approx(math.exp(score.loss))
    assert score.bits_per_byte == pytest.approx(-score.log_likelihood / math.log(2) / len(text))
    assert "".join(t.text for t in score.tokens) == text
    ids = [CODEC.eos_id or 0, *CODEC.encode(text)]
    with torch.no_grad():
        expected = MODEL(torch.tensor([ids[:-1]])).double().log_softmax(-1)[0].gather(1, torch.tensor(ids[1:])[:, None])
    assert score.log_likelihood == pytest.approx(float(expected.sum()), abs=1e-4)


def test_the_score_of_a_long_text_gives_each_token_half_a_context() -> None:
    text = "the cat sat on the mat. " * 30
    score = GENERATOR.score(text)
    assert len(score.tokens) > 2 * 64
    last = CODEC.encode(text)[-65:]
    with torch.no_grad():
        whole = MODEL(torch.tensor([last[:-1]])).double().log_softmax(-1)[0, -1, last[-1]]
    assert math.isfinite(score.tokens[-1].log_likelihood)
    assert abs(score.tokens[-1].log_likelihood - float(whole)) < 1.0


def test_stopping_a_stream_leaves_the_generator_ready() -> None:
    stream = GENERATOR.stream("the", max_tokens=20, seed=1)
    next(stream)
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert not torch.is_inference_mode_enabled()
    assert GENERATOR.generate("the", max_tokens=3, seed=1)


def test_a_stream_tells_mistakes_at_once() -> None:
    with pytest.raises(DaedalError, match="top_p"):
        GENERATOR.stream("the", top_p=3)


@pytest.mark.parametrize(
    ("prompt", "options"),
    [("word " * 100, {}), ("the", {"n": 0}), ("the", {"logit_bias": {400: 1}}), ("the", {"tempo": 1})],
)
def test_mistakes_are_one_line(prompt: str, options: dict[str, object]) -> None:
    with pytest.raises(DaedalError) as error:
        GENERATOR.generate(prompt, **options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_conversation_is_trimmed_to_the_context_and_says_so() -> None:
    messages = [{"role": "system", "content": "short"}]
    for i in range(9):
        messages += [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": "yes"}]
    messages.append({"role": "user", "content": "last"})
    completion = GENERATOR.chat(messages, max_tokens=8, seed=1)
    assert completion.forgotten > 0
    assert completion.prompt.startswith("System: short")
    assert completion.prompt.endswith("User: last\nAssistant:")
    assert "question 0" not in completion.prompt
    assert "\nUser:" not in completion.text
    chunks = list(GENERATOR.stream_chat(messages, max_tokens=8, seed=1))
    assert chunks[-1].completion == completion
    assert GENERATOR.chat(messages[:2], max_tokens=8).forgotten == 0
    with pytest.raises(DaedalError, match="context"):
        GENERATOR.chat([{"role": "user", "content": "word " * 200}])
    with pytest.raises(DaedalError, match="no messages"):
        GENERATOR.chat([])


def test_an_empty_prompt_begins_a_document() -> None:
    assert GENERATOR.generate("", max_tokens=3, seed=1)[0].ids


def test_the_model_ends_its_text() -> None:
    eos = CODEC.eos_id or 0
    (completion,) = GENERATOR.generate("the", max_tokens=9, logit_bias={eos: 1000})
    assert (completion.text, completion.finish_reason, completion.ids) == ("", "stop", (eos,))


def test_a_run_folder_opens_and_gives_the_same_text(tmp_path: Path) -> None:
    save_model(MODEL, tmp_path, codec=CODEC)
    opened = Generator.open(tmp_path, device="cpu")
    (ours,), (theirs,) = (g.generate("the cat", max_tokens=12, seed=3) for g in (GENERATOR, opened))
    assert ours.text == theirs.text
    assert opened.fingerprint == GENERATOR.fingerprint
    assert Generator.open(tmp_path, dtype="bfloat16").model.embedding.weight.dtype == torch.bfloat16
    for options in ({"quantize": "int3"}, {"dtype": "int7"}, {"device": "abacus"}):
        with pytest.raises(DaedalError):
            Generator.open(tmp_path, **options)  # type: ignore[arg-type]


def test_a_draft_gives_the_same_text_and_fewer_bits_say_so() -> None:
    model = tiny_gpt(CODEC, context=32, width=32)
    plain, drafted, eight = (Generator(model, CODEC, quantize=quantize) for quantize in (None, "draft", "int8"))  # type: ignore[arg-type]
    (expected,), (found,) = (g.generate("the cat", max_tokens=12, seed=3) for g in (plain, drafted))
    assert (found.text, found.provenance.quantize) == (expected.text, "draft")
    assert eight.generate("the cat", max_tokens=12, seed=3)[0].provenance.quantize == "int8"


def test_a_tokenizer_that_is_not_the_models_is_refused() -> None:
    with pytest.raises(DaedalError, match="tokenizer"):
        Generator(random_model(), CODEC)


def test_a_model_of_text_beside_a_codec_of_pictures_is_told() -> None:
    """As where the tokenizer of a GPT over the tokens of pictures was lost."""
    with pytest.raises(DaedalError, match="is missing"):
        Generator(MODEL, PixelCodec(3, 8, 8))


def test_threads_take_turns_and_each_gets_what_it_would_get_alone() -> None:
    def write(number: int) -> list[str]:
        return [str(each) for each in GENERATOR.generate(f"the cat {number}", n=3, seed=number, max_tokens=12)]

    def left_in_the_middle(number: int) -> list[str]:
        next(GENERATOR.stream("the", max_tokens=9, seed=1))
        return write(number)

    alone = [write(number) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            assert list(pool.map(left_in_the_middle, range(6))) == alone
    assert not GENERATOR.engine.busy


def test_more_texts_than_memory_holds_are_refused_before_the_first() -> None:
    with pytest.raises(DaedalError, match="Writing 1,000,000,000,000 texts needs about"):
        GENERATOR.generate("the", n=10**12)


@pytest.mark.parametrize("ids", [[-1], [2**70], ["a"], [None], [1.5]])
def test_ids_that_are_no_tokens_are_told(ids: list[Any]) -> None:
    with pytest.raises(DaedalError, match="There is no token"):
        GENERATOR.generate([ids])
    with pytest.raises(DaedalError, match="There is no token"):
        GENERATOR.embed([ids])


@pytest.mark.parametrize("texts", [[], [[]], [[1], []], [[1] * 65]])
def test_what_is_no_text_of_the_model_has_no_vector(texts: list[list[int]]) -> None:
    with pytest.raises(DaedalError, match="There is no text, or one is empty or too long"):
        GENERATOR.embed(texts)
