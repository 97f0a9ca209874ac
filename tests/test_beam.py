"""Search finds what a plain search finds, and what Transformers finds."""

import functools
from collections.abc import Callable

import pytest
import torch

from daedal.errors import DaedalError
from daedal.models.beam import beam_search, sample
from daedal.models.decoding import Decoding, top
from daedal.models.sequences import PairBatch
from daedal.models.translator import Translator
from daedal.nn.noise import Noise
from test_translator import END, KINDS, START, model_of, pairs

SOURCES = pairs(9)[0]


def log_probabilities(model: Translator, source: list[int], written: tuple[int, ...]) -> torch.Tensor:
    """Of what may follow, without a cache."""
    batch = PairBatch.of([source], [[*written, END]], START)
    with torch.no_grad():
        logits = model(batch.source, batch.target)[-1]
    logits[START] = float("-inf")
    return logits.log_softmax(0)


def following(model: Translator, source: list[int]) -> Callable[[tuple[int, ...]], list[float]]:
    """What `log_probabilities` says of a source after each text, computed once."""
    return functools.cache(lambda written: log_probabilities(model, source, written).tolist())


def plain_search(
    follow: Callable[[tuple[int, ...]], list[float]], beams: int, penalty: float, room: int
) -> list[tuple[tuple[int, ...], float]]:
    """Beam search of one sentence, without a cache, by its rules."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    done: list[tuple[float, tuple[int, ...]]] = []
    for step in range(1, room + 1):
        every = []
        for score, written in live:
            every += [(score + further, (*written, id)) for id, further in enumerate(follow(written))]
        every = sorted(every, key=lambda one: -one[0])[: 2 * beams]
        ending = [one for one in every[:beams] if one[1][-1] == END or step == room]
        done = sorted([*done, *((score / step**penalty, ids) for score, ids in ending)], key=lambda one: -one[0])[
            :beams
        ]
        live = [one for one in every if one[1][-1] != END][:beams]
        if len(done) == beams and live[0][0] / step**penalty <= done[-1][0]:
            break
    return [(tuple(id for id in ids if id != END), score) for score, ids in done]


def likeliest_tokens(model: Translator, source: list[int], written: tuple[int, ...]) -> list[int]:
    """The likeliest token after each beginning of a text, without a cache."""
    batch = PairBatch.of([source], [[*written, END]], START)
    with torch.no_grad():
        logits = model(batch.source, batch.target)
    logits[:, START] = float("-inf")
    return logits.argmax(1).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beams", [2, 5])
def test_beam_search_finds_what_a_plain_search_finds(kind: str, beams: int) -> None:
    model, sources = model_of(kind).eval(), SOURCES if beams == 2 else SOURCES[::3]
    follows = [following(model, source) for source in sources]
    for penalty in (0.0, 1.0, 2.0):
        found = beam_search(model, sources, beams, penalty, 8)
        for follow, each in zip(follows, found, strict=True):
            plain = plain_search(follow, beams, penalty, 8)
            assert [one.ids for one in each] == [ids for ids, _ in plain]
            assert [one.score for one in each] == pytest.approx([score for _, score in plain], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_beam_takes_the_likeliest_token_each_time(kind: str) -> None:
    model = model_of(kind).eval()
    found = beam_search(model, SOURCES, 1, max_tokens=39)  # longer than the cache is at first
    for source, (best,) in zip(SOURCES, found, strict=True):
        likeliest = likeliest_tokens(model, source, best.ids)
        assert likeliest[: len(best.ids)] == list(best.ids)
        assert len(best.ids) == 39 or likeliest[-1] == END


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_changes_nothing(kind: str) -> None:
    model = model_of(kind).eval()
    target = [9, 10, 11, 12, 13]
    batch = PairBatch.of(SOURCES, [[*target, END] for _ in SOURCES], START)
    with torch.inference_mode():
        plain = model(batch.source, batch.target).unflatten(0, (len(SOURCES), -1))
        decoding = Decoding(model, SOURCES)
        for step, id in enumerate([START, *target]):
            logits = decoding.logits(torch.full((len(SOURCES), 1), id))[:, 0, :23]
            known = torch.arange(23) != START
            torch.testing.assert_close(logits[:, known], plain[:, step, known], atol=1e-4, rtol=1e-4)


def test_a_translation_does_not_depend_on_the_others() -> None:
    model = model_of("rotary").eval()
    noise = Noise(3, 0, 4 * len(SOURCES))
    together, drawn = beam_search(model, SOURCES, 3, max_tokens=20), sample(model, SOURCES, noise, 1.0, 1.0, 20, 4)
    for place, source in enumerate(SOURCES):
        assert [one.ids for one in beam_search(model, [source], 3, max_tokens=20)[0]] == [
            one.ids for one in together[place]
        ]
        alone = sample(model, [source], noise.part(4 * place, 4 * place + 4), 1.0, 1.0, 20, 4)[0]
        assert [one.ids for one in alone] == [one.ids for one in drawn[place]]
        assert [one.score for one in alone] == pytest.approx([one.score for one in drawn[place]], abs=1e-4)


def test_samples_are_as_often_as_they_are_likely() -> None:
    model = model_of("rotary").eval()
    source, temperature = SOURCES[0], 0.7
    found = sample(model, [source], Noise(0, 0, 4000), temperature, max_tokens=1, samples=4000)[0]
    counts = torch.bincount(torch.tensor([one.ids[0] if one.ids else END for one in found]), minlength=23) / 4000
    wanted = (log_probabilities(model, source, ()) / temperature).softmax(0)
    assert (counts - wanted).abs().max() < 0.03
    ids, log_probability = found[0].ids, log_probabilities(model, source, ())
    assert found[0].score == pytest.approx(float(log_probability[ids[0] if ids else END]), abs=1e-4)


def test_the_best_of_blocks_are_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, scores = torch.randn(5, 3, 640, generator=generator), torch.randn(5, 3, generator=generator)
    found, beams, ids = top(logits.clone(), scores, 6)
    every = (logits.log_softmax(2) + scores[..., None]).flatten(1)
    best, places = every.topk(6, 1)
    torch.testing.assert_close(found, best)
    assert torch.equal(beams * 640 + ids, places)


@pytest.mark.parametrize("beams", [0, 12])
def test_beams_that_cannot_be_kept_apart_are_refused(beams: int) -> None:
    from daedal.errors import DaedalError

    with pytest.raises(DaedalError, match=f"{beams} beams"):
        beam_search(model_of("rotary"), SOURCES, beams)


@pytest.mark.parametrize("beams", [1, 4])
def test_logits_that_are_no_numbers_are_told_and_never_searched(beams: int) -> None:
    model = model_of("marian").eval()
    with torch.no_grad():
        model.head_weight.fill_(3e38)
    with pytest.raises(DaedalError, match="not finite numbers"):
        beam_search(model, SOURCES, beams, 1.0, 8)
