"""Watermarks of text by themselves: the hash is the published one, sums are exact, a mark is found and chance is not."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.safety.text_marks.detection import SCHEMES, find_text_mark
from daedal.safety.text_marks.green_list import GreenList
from daedal.safety.text_marks.gumbel import Gumbel
from daedal.safety.text_marks.hashing import context_seed, context_seeds, word, words
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tails import binomial_tail, gamma_tail
from daedal.safety.text_marks.text_mark import PAYLOADS, TextMark
from daedal.safety.text_marks.tournament import Tournament
from daedal.safety.watermark_keys import WatermarkKey

KEY = WatermarkKey(bytes(range(32)))
every_scheme = pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.label)


def keys(count: int) -> list[WatermarkKey]:
    return [WatermarkKey(number.to_bytes(32, "little")) for number in range(count)]


def marked(
    scheme: Scheme, key: WatermarkKey, length: int, vocab: int = 64, seed: int = 0, payload: int | None = None
) -> list[int]:
    """A text in which every token is what a strong mark would choose of eight draws."""
    draw, start = np.random.default_rng(seed), TextMark(key, scheme, payload).seed
    ids = draw.integers(0, vocab, scheme.context).tolist()
    while len(ids) < length:
        drawn = draw.integers(0, vocab, 8)
        found = words(np.array(context_seed(start, ids[-scheme.context :]), np.uint64), drawn)
        ids.append(int(drawn[scheme.fit(found).argmax()]))
    return ids


def test_the_hash_is_splitmix64() -> None:
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [word(1234567, number) for number in range(5)] == published


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**31), min_size=1, max_size=20), st.integers(1, 6))
def test_arrays_are_hashed_as_numbers_are(key: int, ids: list[int], width: int) -> None:
    seeds = context_seeds(key, np.array(ids), width)
    assert seeds.tolist() == [context_seed(key, ids[at - width : at]) for at in range(width, len(ids))]
    assert words(np.array(key, np.uint64), np.array(ids)).tolist() == [word(key, id) for id in ids]


def test_tails_are_exact() -> None:
    by_hand = sum(math.comb(20, k) * 0.25**k * 0.75 ** (20 - k) for k in range(11, 21))
    assert binomial_tail(11, 20, 0.25) == pytest.approx(by_hand, rel=1e-12)
    assert binomial_tail(0, 20, 0.25) == 1
    assert binomial_tail(21, 20, 0.25) == 0
    for count in (1, 7, 300):
        assert gamma_tail(1.3 * count, count) == pytest.approx(stats.gamma.sf(1.3 * count, count), rel=1e-9)
    normal = stats.norm.sf((79 - 50) / math.sqrt(200 * 0.25 * 0.75))
    assert 3 < binomial_tail(79, 200, 0.25) / normal < 5  # what others print is too small


@every_scheme
@pytest.mark.parametrize("kind", ["chance", "a loop", "two words", "one letter"])
def test_what_is_no_mark_is_as_rare_as_said(scheme: Scheme, kind: str) -> None:
    """Over keys, for texts that repeat themselves too."""
    draw = np.random.default_rng(3)
    ids = {
        "chance": draw.integers(0, 5000, 150),
        "a loop": np.tile(draw.integers(0, 5000, 40), 8),
        "two words": draw.integers(0, 2, 300),
        "one letter": np.append(np.zeros(150, np.int64), draw.integers(0, 100, 60)),
    }[kind]
    found = [find_text_mark(ids, [key], schemes=[scheme])[0].p_value for key in keys(600)]
    values = np.array([value for value in found if value is not None])
    for level in (0.3, 0.1, 0.02):
        assert (values <= level).sum() <= stats.binom.ppf(1 - 1e-6, len(values), level)


@every_scheme
def test_a_mark_is_found_by_its_key_alone(scheme: Scheme) -> None:
    ids = marked(scheme, KEY, 120)
    best = find_text_mark(ids, [*keys(3), KEY])[0]
    assert (best.key, best.scheme) == (KEY.id, scheme.name)
    assert best.p_value is not None
    assert best.p_value < 1e-9
    assert all((other.p_value or 1) > 1e-4 for other in find_text_mark(ids, keys(3)))


@every_scheme
def test_a_passage_is_found_in_a_longer_text(scheme: Scheme) -> None:
    draw = np.random.default_rng(1)
    before, after = (draw.integers(0, 64, 1500).tolist() for _ in range(2))
    best = find_text_mark([*before, *marked(scheme, KEY, 100), *after], [KEY])[0]
    assert best.scheme == scheme.name
    assert best.p_value is not None
    assert best.p_value < 1e-6
    assert best.note is not None
    begin, end = (int(part.replace(",", "")) for part in best.note.split()[1:4:2])
    assert 1400 <= begin <= 1540
    assert 1560 <= end <= 1700


def test_a_payload_is_read() -> None:
    for payload in (0, 5, PAYLOADS - 1):
        ids = marked(Tournament(), KEY, 120, payload=payload)
        best = find_text_mark(ids, [KEY], payloads=True)[0]
        assert best.payload == payload
        assert best.p_value is not None
        assert best.p_value < 1e-9
        assert (find_text_mark(ids, [KEY])[0].p_value or 1) > 1e-4
    with pytest.raises(DaedalError, match="payload"):
        TextMark(KEY, payload=PAYLOADS)


def test_all_that_was_tried_counts() -> None:
    ids = marked(Tournament(), KEY, 40)
    one = find_text_mark(ids, [KEY], schemes=[Tournament()])[0].p_value
    several = find_text_mark(ids, [KEY, *keys(4)], schemes=[Tournament(), Gumbel()])[0].p_value
    assert one is not None
    assert several == pytest.approx(10 * one)


def test_too_little_text_is_not_judged() -> None:
    codec = TextCodec.train("byte", ["abc"])
    found = find_text_mark("Far too short", [KEY], codec)
    assert len(found) == len(SCHEMES)
    assert all(each.p_value is None and "too little text" in str(each.note) for each in found)
    assert find_text_mark([], [KEY])[0].p_value is None
    assert find_text_mark("long enough to be judged " * 9, [], codec) == []
    with pytest.raises(DaedalError, match="tokenizer"):
        find_text_mark("text", [KEY])


def test_nothing_tells_the_key() -> None:
    mark = TextMark(KEY)
    mark.seed  # noqa: B018  (it is kept from now on)
    told = f"{mark!r} {mark.record!r} {mark.record.model_dump_json()} {find_text_mark(range(50), [KEY])}"
    assert KEY.id in told
    for secret in (KEY.secret.hex(), str(KEY.secret), str(mark.seed), hex(mark.seed)):
        assert secret not in told


def test_schemes_say_what_a_detector_must_know() -> None:
    assert Tournament().name == "tournament/1"
    assert Tournament(rounds=30, context=3).name == "tournament/1 context=3 rounds=30"
    assert GreenList(bias=1.0, share=0.5).name == "green-list/1 share=0.5"
    assert len({TextMark(KEY, scheme).seed for scheme in SCHEMES}) == len(SCHEMES)


# -- the tournament ------------------------------------------------------------------------------------------------------


def test_the_tournament_is_that_of_all_draws() -> None:
    """Two rounds of four draws, all of them counted."""
    chances, bits = np.array([[0.5, 0.3, 0.2]]), np.array([[0b01, 0b10, 0b11]], np.uint64)

    def match(one: int, other: int, number: int) -> list[tuple[int, float]]:
        mine, theirs = (int(bits[0, each]) >> number & 1 for each in (one, other))
        return [(one, 0.5), (other, 0.5)] if mine == theirs else [(one if mine else other, 1.0)]

    won = np.zeros(3)
    for draws in itertools.product(range(3), repeat=4):
        drawn = math.prod(float(chances[0, each]) for each in draws)
        for (a, p), (b, q) in itertools.product(match(*draws[:2], 0), match(*draws[2:], 0)):
            for winner, r in match(a, b, 1):
                won[winner] += drawn * p * q * r
    assert Tournament(rounds=2).won(chances, bits)[0] == pytest.approx(won, abs=1e-15)


def test_over_keys_the_tournament_changes_nothing_and_its_bits_are_as_the_paper_says() -> None:
    chances = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    many = 40_000
    bits = np.random.default_rng(0).integers(0, 2**6, (many, 6), dtype=np.uint64)
    alike = np.broadcast_to(chances, bits.shape)
    won = Tournament(rounds=6).won(alike, bits)
    assert won.sum(-1) == pytest.approx(1, abs=1e-12)
    assert (won >= 0).all()
    error = won.std(0) / math.sqrt(many)
    assert (np.abs(won.mean(0) - chances) < 5 * error).all()
    for rounds in range(6):  # E[g] = 1/2 + (1 - sum p^2) / 4, of the p before the round
        before = Tournament(rounds=rounds).won(alike, bits) if rounds else alike
        after = Tournament(rounds=rounds + 1).won(alike, bits)
        found = (after * (bits >> np.uint64(rounds) & np.uint64(1))).sum(-1)
        expected = 0.5 + (1 - (before**2).sum(-1)) / 4
        assert found.mean() == pytest.approx(expected.mean(), abs=5 * found.std() / math.sqrt(many))


@settings(max_examples=30)
@given(st.integers(0, 2**64 - 1))
def test_where_all_have_the_same_bits_nobody_wins(bits: int) -> None:
    chances = np.array([[0.7, 0.2, 0.1]])
    assert Tournament().won(chances, np.full((1, 3), bits, np.uint64)) == pytest.approx(chances)


# -- as Transformers has it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seeding", "context"), [("lefthash", 1), ("lefthash", 3), ("selfhash", 1), ("selfhash", 4)])
def test_kgw_is_that_of_transformers(seeding: str, context: int) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    from daedal.safety.text_marks.kgw import Kgw

    vocab = 211
    theirs = {
        "greenlist_ratio": 0.3,
        "bias": 2.5,
        "hashing_key": 15485867,
        "seeding_scheme": seeding,
        "context_width": context,
    }
    ours = Kgw(vocab=vocab, share=0.3, bias=2.5, hashing_key=15485867, seeding=seeding, context=context)
    processor = transformers.WatermarkLogitsProcessor(vocab, "cpu", **theirs)
    draw = torch.Generator().manual_seed(4)
    text = torch.randint(0, vocab, (1, 5), generator=draw)
    for _ in range(30):
        scores = torch.randn((1, vocab), generator=draw)
        expected = processor(text, scores)
        raised = scores.clone()
        raised[0, ours.favoured(0, text[0].tolist(), scores[0])] += ours.bias
        assert torch.equal(raised, expected)
        text = torch.cat([text, expected.argmax(-1, keepdim=True)], -1)
    text = torch.cat([text, text[:, -8:]], -1)  # with grams that repeat
    config = transformers.GPT2Config(vocab_size=vocab, bos_token_id=vocab - 1)
    detector = transformers.WatermarkDetector(config, "cpu", theirs, ignore_repeated_ngrams=True)
    said = detector(text, return_dict=True)
    found = find_text_mark(text[0].tolist(), [KEY], schemes=[ours])[0]
    assert found.judged == said.num_tokens_scored[0]
    green = int(said.num_green_tokens[0])
    whole = binomial_tail(green, found.judged, int(vocab * 0.3) / vocab)
    assert found.p_value is not None
    assert found.p_value <= 2 * whole
    assert said.z_score[0] > 4
