"""The detector of generated text: its scores are the papers', and human text holds its false-positive rate."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.detector.detector import FILE, Detector, p_value
from daedal.evaluation.detector.scores import score, token_statistics
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from tiny_models import tiny_gpt

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dog",
    "ran",
    "to",
    "its",
    "log",
    "while",
    "fish",
    "swam",
    "in",
    "blue",
    "sea",
    "under",
    "high",
    "sun",
]


def human(count: int, words: int, seed: int) -> list[str]:
    """Texts of chance, all different."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, words)) for _ in range(count)]


CODEC = TextCodec.train("bpe", human(50, 30, 0), 280)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    for name, seed in (("one", 0), ("two", 1)):
        save_model(tiny_gpt(CODEC, seed=seed, context=48), path / name, codec=CODEC)
    (path / "human.txt").write_text("\n".join(human(40, 60, 1)))
    return path


@pytest.mark.parametrize("two", [False, True])
def test_statistics_are_those_of_one_reading_at_a_time(two: bool) -> None:
    """Of texts within the context those of one forward pass each, in float64, as the authors' programs compute them."""
    model = tiny_gpt(CODEC, context=64).double()
    performer = tiny_gpt(CODEC, seed=1, context=64).double() if two else None
    texts = [CODEC.encode(text)[:n] for text, n in zip(human(4, 40, 2), (40, 3, 63, 1), strict=True)]
    prefix = CODEC.eos_id
    assert prefix is not None
    found = token_statistics(model, texts, prefix, performer)
    for ids, own in zip(texts, found, strict=True):
        read = torch.tensor([[prefix, *ids]])
        drawn = model(read[:, :-1])[0].log_softmax(-1)
        judged = drawn if performer is None else performer(read[:, :-1])[0].log_softmax(-1)
        told = judged.gather(1, read[0, 1:, None])[:, 0]
        mean = (drawn.exp() * judged).sum(-1)
        variance = (drawn.exp() * judged.square()).sum(-1) - mean.square()
        assert np.allclose(own, torch.stack([told, mean, variance], 1).detach().numpy(), atol=1e-9)
        # Fast-DetectGPT: get_sampling_discrepancy_analytic; Binoculars: perplexity / cross-perplexity, the other way up
        curvature = ((told.sum() - mean.sum()) / variance.sum().sqrt()).item()
        assert score(own, [len(ids)], "curvature")[0] == pytest.approx(curvature)
        binoculars = (-told.mean() / -mean.mean()).item()
        assert score(own, [len(ids)], "binoculars")[0] == pytest.approx(-binoculars)


def test_a_beginning_has_the_score_of_a_text_that_ends_there() -> None:
    """Also across windows: with a context that is shorter than the text."""
    model = tiny_gpt(CODEC, context=16)
    ids = CODEC.encode(human(1, 200, 3)[0])[:100]
    (whole,) = token_statistics(model, [ids], CODEC.eos_id)
    assert whole.shape == (100, 3)
    for length in (5, 16, 17, 24, 25, 70):
        (part,) = token_statistics(model, [ids[:length]], CODEC.eos_id)
        assert np.allclose(part, whole[:length], atol=1e-5)
    together = token_statistics(model, [ids[:30], ids, ids[:7]], CODEC.eos_id)
    assert np.allclose(together[1], whole, atol=1e-5)
    assert token_statistics(model, [ids], None)[0].shape == (99, 3)


@given(st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40), st.integers(0, 8).map(float))
def test_a_p_value_counts_what_scores_at_least_as_high(scores: list[float], value: float) -> None:
    expected = (1 + sum(each >= value for each in scores)) / (1 + len(scores))
    assert p_value(sorted(scores), value) == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3]))
@settings(max_examples=20, deadline=None)
def test_the_false_positive_rate_is_at_most_nominal(seed: int, ties: int) -> None:
    """Over splits of exchangeable scores into calibration and test, whatever their distribution and however many are equal."""
    generator = np.random.default_rng(seed)
    trials, n = 4000, 39
    scores = generator.standard_cauchy((trials, n + 1))
    if ties:
        scores = np.round(scores * ties)
    values = np.array([p_value(np.sort(row[:-1]), row[-1]) for row in scores])
    for rate in (0.025, 0.05, 0.1, 0.5):
        error = 4.5 * np.sqrt(rate * (1 - rate) / trials)
        assert np.mean(values <= rate) <= rate + error


def test_human_text_holds_the_rate_and_text_of_the_model_is_found(folder: Path) -> None:
    texts = human(160, 60, 4)
    model = Generator.open(folder / "one")
    detector = Detector.calibrate(model, texts[:80])
    others = detector.judge_all(texts[80:])
    assert all(each.p_value is not None and each.p_value >= 1 / 81 for each in others)
    assert sum((each.p_value or 0) <= 0.05 for each in others) <= 12  # four expected of eighty
    made = [each.text for each in model.generate([""] * 20, max_tokens=40, temperature=1.0, seed=0, overflow="slide")]
    found = detector.judge_all(made)
    assert sum(each.p_value is not None and each.p_value <= 0.05 for each in found) >= 12
    long = detector.judge(" ".join(texts[81:83]))
    assert long.judged in (64, 128)
    assert long.tokens > long.judged


@pytest.mark.parametrize("performer", [None, "two"])
def test_a_detector_is_kept_with_its_models(folder: Path, tmp_path: Path, performer: str | None) -> None:
    other = None if performer is None else folder / performer
    made = Detector.calibrate(folder / "one", human(40, 60, 1), other)
    made.save(tmp_path)
    again = Detector.load(tmp_path)
    assert again.file == made.file
    text = human(1, 60, 9)[0]
    assert again.judge(text) == made.judge(text)
    assert again.file.method == ("curvature" if performer is None else "binoculars")
    values = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**values, "model_hash": "0" * 64}))
    with pytest.raises(DaedalError, match="has changed since"):
        Detector.load(tmp_path)


def test_the_command_line_calibrates_and_judges(folder: Path, tmp_path: Path) -> None:
    made = daedal("detector", "calibrate", folder / "one", "--human", folder / "human.txt", "--out", tmp_path / "d")
    assert made.code == 0, made.err
    assert "32 tokens: 40 human texts, so that p can be as low as 0.024" in made.out
    found = daedal("detector", "judge", tmp_path / "d", human(1, 60, 9)[0], "too short", "--json")
    one, short = json.loads(found.out)
    assert 0 < one["p_value"] <= 1
    assert short["p_value"] is None
    assert "not judged: too short" in daedal("detector", "judge", tmp_path / "d", "five words are too few").out


def test_mistakes_are_one_line(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("\n".join(human(5, 60, 1)))
    assert "Of 5 different human texts 5 have 32 tokens" in mistake(
        "detector", "calibrate", folder / "one", "--human", few, "--out", tmp_path / "d"
    )
    assert not (tmp_path / "d").exists()
    one = ("detector", "calibrate", folder / "one", "--human", folder / "human.txt", "--out", tmp_path / "d")
    assert "are one model" in mistake(*one, "--performer", folder / "one")
    assert "is missing" in mistake("detector", "judge", tmp_path, "x")
    other = TextCodec.train("bpe", ["something else " * 9], 270)
    save_model(tiny_gpt(other), tmp_path / "other", codec=other)
    assert "different tokenizers" in mistake(*one, "--performer", tmp_path / "other")
