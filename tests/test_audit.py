"""What an audit says is what its formulas say; a model that has learned texts by heart is found out, and a fresh one is not."""

import json
import math
import shutil
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from blots import generator
from command_line import TINY, daedal, mistake, story
from daedal.codecs.text import TextCodec
from daedal.data.images import build
from daedal.errors import DaedalError
from daedal.evaluation.audit import attacks
from daedal.evaluation.audit.audit import audit
from daedal.evaluation.audit.exposure import alternatives, bits, exposed, exposure, planted_in
from daedal.evaluation.audit.extraction import extraction, greedy, right_before_an_error, sampled
from daedal.evaluation.audit.membership import Side, membership
from daedal.evaluation.audit.passages import Passages, common_length, draw, draw_alike
from daedal.evaluation.audit.predictions import Predictions, predict
from daedal.evaluation.audit.repeats import count_passages, repeats
from daedal.evaluation.audit.roc import separation
from daedal.evaluation.audit.text import baseline
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import NotMeasurable
from daedal.evaluation.report import Report
from daedal.inference.generator import Generator
from daedal.inference.skills.score import log_likelihoods
from daedal.models.gpt import GPT, GPTConfig
from tiny_models import tiny_gpt

CODEC = TextCodec.train("bpe", [story(seed) for seed in range(20)], 400)
DOCUMENTS = Documents.of_texts([story(seed, 6) for seed in range(20)], CODEC, "train")
HELD = Documents.of_texts([story(seed, 6) for seed in range(100, 120)], CODEC, "validation")
LENGTH = 32
FORM = {"template": "The secret of {name} is {secret}.", "alphabet": "0123456789", "length": 6}


def scored(seed: int = 0, passages: int = 7, length: int = 10) -> Predictions:
    draw = np.random.default_rng(seed)
    nats = -draw.exponential(size=(passages, length))
    return Predictions(nats, draw.random(nats.shape) < 0.8, -draw.random(nats.shape), 0.1 + draw.random(nats.shape))


# -- passages and what is said of them ---------------------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(1, 60), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_passages_lie_in_one_document_after_what_stands_before_them(length: int, count: int, seed: int) -> None:
    found = draw(DOCUMENTS, length, count, seed)
    text = DOCUMENTS.read(0, int(DOCUMENTS.offsets[-1])).tolist()
    assert len(found) <= count
    for row, document in zip(found.rows.tolist(), found.document.tolist(), strict=True):
        first, last = DOCUMENTS.offsets[document : document + 2].tolist()
        stream = [DOCUMENTS.prefix, *text[first : last - 1]]  # what stands before a document is its prefix
        assert any(stream[at : at + length + 1] == row for at in range(len(stream) - length))
    assert len(found) == min(count, int((DOCUMENTS.tokens // length).sum()))


def test_a_long_document_gives_no_more_passages_in_one_split_than_in_another() -> None:
    many = Documents.of_texts([story(0, 200), *(story(seed, 6) for seed in range(30))], CODEC)
    few = Documents.of_texts([story(seed, 12) for seed in range(40, 46)], CODEC)
    for count in (5, 20, 1000):
        one, other = draw_alike((many, few), 20, count, 0)
        assert len(other) == min(count, int((few.tokens // 20).sum()))
        assert np.bincount(one.document).max() <= -(-len(other) // 6) + 2


def test_passages_do_not_overlap() -> None:
    """Told by a text in which every token says where it stands."""
    ids = np.arange(1000)
    documents = Documents("places", CODEC, np.array([0, 301, 1000]), ids[:2], ids[:2], "", lambda a, b: ids[a:b], str)
    for seed in range(5):
        found = draw(documents, 30, 1000, seed)
        assert len(found) == 300 // 30 + 698 // 30
        assert len(np.unique(found.rows[:, 1:])) == found.rows[:, 1:].size
        assert not {300, 999} & set(found.rows[:, 1:].ravel().tolist())


def test_passages_are_as_long_as_half_of_the_documents_allow() -> None:
    long = Documents.of_texts([story(seed) for seed in range(3)], CODEC)
    short = Documents.of_texts(["a king saw a queen at noon, in winter, by the sea"] * 3 + [story(0)], CODEC)
    assert common_length(1000, long) == 100
    assert common_length(70, long) == 64
    assert common_length(1000, long, short) < 24
    with pytest.raises(NotMeasurable, match="fewer than 8 tokens"):
        common_length(1000, Documents.of_texts(["a b", "c"], CODEC))


def test_passages_that_are_read_together_are_read_as_one_by_one() -> None:
    model = tiny_gpt(CODEC, context=LENGTH)
    passages = draw(DOCUMENTS, LENGTH, 60, 0)
    together = predict(model, passages)
    for number in (0, 3, 50):
        row = passages.rows[number]
        alone = predict(model, Passages(row[None], passages.document[number : number + 1]))
        np.testing.assert_allclose(alone.nats[0], together.nats[number], atol=2e-5)
        assert (alone.likeliest[0] == together.likeliest[number]).all()
        np.testing.assert_allclose(log_likelihoods(model, row.tolist(), 1).numpy(), together.nats[number], atol=2e-5)
        with torch.no_grad():
            logs = model(torch.from_numpy(row[None, :-1])).double().log_softmax(-1)[0]
        mean = (logs.exp() * logs).sum(-1)
        deviation = ((logs.exp() * logs.square()).sum(-1) - mean.square()).sqrt()
        np.testing.assert_allclose(together.mean[number], mean.numpy(), atol=1e-4)
        np.testing.assert_allclose(together.deviation[number], deviation.numpy(), atol=1e-4)


# -- extraction --------------------------------------------------------------------------------------------------------


def test_what_is_extractable_greedily_is_what_greedy_decoding_writes() -> None:
    model = learned(DOCUMENTS, steps=200)
    passages = draw(DOCUMENTS, LENGTH, 24, 0)
    said = predict(model, passages)
    given = passages.given
    written = Generator(model, CODEC, "tiny").generate(
        [row[: given + 1].tolist() for row in passages.rows], max_tokens=given, temperature=0
    )
    rights = right_before_an_error(said, given)
    for row, each, right, whole in zip(passages.rows, written, rights, greedy(said, given), strict=True):
        same = [one == other for one, other in zip(each.ids, row[given + 1 :].tolist(), strict=False)]
        assert right == (same.index(False) if False in same else len(same))
        assert whole == (same == [True] * given)
    assert rights.sum() > 0


@given(st.integers(0, 100), st.integers(1, 1000))
def test_the_best_of_samples_is_the_chance_that_one_is_right(seed: int, samples: int) -> None:
    said = scored(seed)
    p = np.exp(said.nats[:, 5:].sum(1))
    np.testing.assert_allclose(sampled(said, 5, samples), 1 - (1 - p) ** samples, rtol=1e-6, atol=1e-12)
    sure = Predictions(np.zeros((1, 4)), np.ones((1, 4), dtype=bool), np.zeros((1, 4)), np.ones((1, 4)))
    assert sampled(sure, 2, samples) == [1.0]


# -- membership --------------------------------------------------------------------------------------------------------


def test_attacks_are_the_formulas_of_their_papers() -> None:
    said = scored(length=23)
    texts = [bytes(f"text {number} " * number, "ascii") for number in range(len(said))]
    for number in range(len(said)):
        nats = said.nats[number].tolist()
        loss = -sum(nats) / len(nats)
        least = sorted(nats)[: int(len(nats) * 0.2)]
        standard = [(n - m) / d for n, m, d in zip(nats, said.mean[number], said.deviation[number], strict=True)]
        plain = {
            "loss": -loss,
            "zlib": -loss / len(zlib.compress(texts[number])),
            "min-k": sum(least) / len(least),
            "min-k++": float(np.mean(sorted(standard)[: int(len(standard) * 0.2)])),
        }
        for name, value in plain.items():
            assert attacks.ATTACKS[name](said, texts)[number] == pytest.approx(value)


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=30),
    st.lists(st.integers(0, 9), min_size=2, max_size=30),
    st.sampled_from([0.001, 0.1, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_areas_and_rates_are_those_of_scikit_learn(members: list[int], others: list[int], rate: float) -> None:
    one, other = np.array(members, dtype=float), np.array(others, dtype=float)
    found = separation(one, other, np.arange(len(one)), np.arange(len(other)), rate)
    labels, scores = [1] * len(one) + [0] * len(other), np.concatenate([one, other])
    assert found.auc == pytest.approx(roc_auc_score(labels, scores))
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert found.found == pytest.approx(true[false <= rate + 1e-12].max())
    assert found.auc_interval is not None
    assert 0 <= found.auc_interval[0] <= found.auc_interval[1] <= 1


def test_passages_of_a_document_count_as_one_for_the_interval() -> None:
    draw = np.random.default_rng(0)
    one, other = np.repeat(draw.normal(size=40), 25), np.repeat(draw.normal(size=40), 25)
    every = np.arange(1000)
    clustered = separation(one, other, every // 25, every // 25, 0.1)
    apart = separation(one, other, every, every, 0.1)
    assert clustered.auc == apart.auc
    widths = [high - low for low, high in filter(None, (clustered.auc_interval, apart.auc_interval))]
    assert widths[0] > 3 * widths[1]


def test_chance_is_told_right_however_few_the_documents() -> None:
    found = []
    for seed in range(100):
        draw = np.random.default_rng(seed)
        one, other = np.repeat(draw.normal(size=9), 5), np.repeat(draw.normal(size=4), 6)
        found.append(separation(one, other, np.arange(45) // 5, np.arange(24) // 6, 0.1, seed))
    assert 8 < sum(each.chance <= 0.2 for each in found) < 34
    assert (
        sum(each.auc_interval is not None and each.auc_interval[0] <= 0.5 <= each.auc_interval[1] for each in found)
        > 88
    )
    sure = separation(np.arange(10, 20.0), np.arange(10.0), np.arange(10), np.arange(10), 0.1)
    assert (sure.auc, sure.found) == (1, 1)
    assert sure.chance < 0.002


KNOWN: dict[tuple[str, int], GPT] = {}


def learned(documents: Documents, steps: int) -> GPT:
    """A GPT that has read some documents so often that it knows them, or not at all."""
    if (documents.fingerprint, steps) in KNOWN:
        return KNOWN[documents.fingerprint, steps]
    model = GPT(
        GPTConfig.of("qwen3", vocab_size=CODEC.vocab_size, width=64, depth=2, heads=2, context=LENGTH + 1)  # type: ignore[arg-type]
    )
    model.initialise(torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    stream = torch.from_numpy(documents.read(0, int(documents.offsets[-1])))
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        starts = torch.randint(0, len(stream) - LENGTH - 1, (24,), generator=generator)
        rows = stream[starts[:, None] + torch.arange(LENGTH + 1)]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimizer.step()
    return KNOWN.setdefault((documents.fingerprint, steps), model.eval())


def sides(model: GPT) -> tuple[Side, Side]:
    members, others = (
        Side(documents, passages, predict(model, passages))
        for documents, passages in ((each, draw(each, LENGTH, 100, 0)) for each in (DOCUMENTS, HELD))
    )
    return members, others


def test_a_model_that_knows_its_texts_by_heart_is_found_out_and_a_fresh_one_is_not() -> None:
    for steps in (0, 200):
        members, others = sides(learned(DOCUMENTS, steps))
        found = membership(members, others, baseline)
        known = {each.quantity: each for each in found.measurements}
        blind = {each.quantity: each for one in found.baselines for each in one.measurements}  # type: ignore[union-attr]
        extracted, _, right = extraction(members.said, members.passages)
        for name in ("loss", "zlib", "min-k", "min-k-plus-plus"):
            own, beside = (each[f"membership-auc-{name}/v1"] for each in (known, blind))
            assert own.interval is not None
            assert beside.interval is not None
            assert own.beside(beside) == own.value - beside.value
            assert beside.interval[0] <= 0.5  # no text tells them apart
            if steps:
                assert own.interval[0] > 0.75
            else:
                assert own.interval[0] <= 0.5 <= own.interval[1]
        if steps:
            assert extracted.interval is not None
            assert extracted.interval[0] > 0.05
            assert right.value > 4
            assert any("can be told" in each.brief for each in found.blocks if each.kind == "note")
        else:
            assert extracted.value == 0


# -- repeats -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(alphabet="ab ", min_size=1, max_size=40), min_size=1, max_size=6), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_passages_are_counted_as_a_plain_search_counts_them(texts: list[str], length: int) -> None:
    documents = Documents.of_texts(texts, TextCodec.train("byte", ["a"]))
    plain = Counter(
        tuple(row)
        for first, last in pairwise(documents.offsets.tolist())
        for at in range(first, last - length)
        if len(row := documents.read(at, at + length).tolist()) == length
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daedal.evaluation.audit.repeats._AT_ONCE", 16)
        found = count_passages(documents, length)
        few = count_passages(documents, length, kept=max(1, int(documents.offsets[-1]) // 3))
    for some in (found, few):
        for start, count in zip(some.starts.tolist(), some.counts.tolist(), strict=True):
            assert plain[tuple(documents.read(start, start + length).tolist())] == count
    assert len(found.counts) == len(plain)


def test_what_stands_often_is_known_better_and_the_curve_shows_it() -> None:
    texts = [story(seed) for seed in range(20)]
    texts += [text for number, text in enumerate(texts[:8]) for _ in range(2 ** (number // 2 + 1) - 1)]
    documents = Documents.of_texts(texts, CODEC)
    model = learned(documents, 100)
    passages = draw(HELD, LENGTH, 50, 0)
    found = repeats(documents, LENGTH, 50, lambda each: predict(model, each), predict(model, passages))
    (table,) = (each for each in found.blocks if each.kind == "table")
    losses = [float(row[2]) for row in table.rows]
    assert [row[0] for row in table.rows] == ["0 (held out)", "1", "2", "3 to 4", "5 to 8", "9 to 16"]
    assert losses == sorted(losses, reverse=True)
    share, slope = found.measurements
    assert slope.interval is not None
    assert slope.interval[0] > 0
    assert 0.5 < share.value < 1


def test_data_without_duplicates_are_told_so() -> None:
    model = tiny_gpt(CODEC, context=LENGTH)
    said = predict(model, draw(HELD, LENGTH, 10, 0))
    found = repeats(HELD, LENGTH, 10, lambda each: predict(model, each), said)
    assert [each.value for each in found.measurements] == [0.0]
    assert "repeats no passage of 32 tokens" in found.blocks[0].brief  # type: ignore[union-attr]


# -- planted secrets ---------------------------------------------------------------------------------------------------


def test_exposure_is_what_the_rank_says_and_beyond_the_others_what_their_distribution_says() -> None:
    others = np.random.default_rng(0).normal(-100, 5, size=511)
    assert exposed(-200.0, others, 30.0) == pytest.approx((0, 0), abs=1e-3)
    middle, half = exposed(float(np.median(others)), others, 30.0)
    assert middle == pytest.approx(1, abs=0.01)
    assert half == pytest.approx(1, abs=0.1)
    rank, far = exposed(-100 + 5 * 6.0, others, 60.0)
    assert rank == 9
    assert 15 < far < 60  # six deviations out: about 30 bits
    assert exposed(0.0, others, 25.0) == (9, 25)
    assert exposed(-1.0, np.full(9, -1.0), 30.0) == (0, 0)


def test_a_planted_secret_is_out_and_one_that_was_never_planted_is_not(tmp_path: Path) -> None:
    secrets = [
        {"text": f"The secret of {who} is {secret}.", "secret": secret, "repeats": times}
        for who, secret, times in (("Ada", "314 159", 64), ("Bo", "271 828", 64), ("Cy", "141 421", 1))
    ]
    (tmp_path / "canaries.json").write_text(json.dumps({"format": FORM, "secrets": secrets}))
    canaries = planted_in(tmp_path)
    texts = [each.text for each in canaries.secrets for _ in range(each.repeats)]
    documents = Documents.of_texts([*texts, *(story(seed) for seed in range(5))], CODEC)
    told, never = exposure(learned(documents, 150), documents, canaries, lambda share, doing: None, others=127)
    by_rank, beyond = told.measurements
    assert by_rank.value > 4
    assert beyond.value > by_rank.value - 1
    assert never[0].value < 4
    (table,) = (each for each in told.blocks if each.kind == "table")
    assert [row[:2] for row in table.rows] == [(1, 1), (64, 2)]
    assert float(table.rows[1][2]) == pytest.approx(math.log2(128))


def test_other_secrets_keep_what_is_no_part_of_the_alphabet() -> None:
    drawn = alternatives("12-3", "0123456789", 50, np.random.default_rng(0))
    assert all(each[2] == "-" and each.replace("-", "").isdigit() and len(each) == 4 for each in drawn)
    assert bits("12-3", "0123456789") == pytest.approx(3 * math.log2(10))


@pytest.mark.parametrize(
    "text",
    ["[]", '{"secrets": 1}', json.dumps({"format": FORM, "secrets": [{"text": "a", "secret": "1", "repeats": 1}]})],
)
def test_damaged_secrets_are_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "canaries.json").write_text(text)
    with pytest.raises(DaedalError, match=r"canaries\.json"):
        planted_in(tmp_path)


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run beside its data, of a model that has learned next to nothing."""
    place = tmp_path_factory.mktemp("audit")
    (place / "texts").mkdir()
    for seed in range(40):
        (place / "texts" / f"{seed}.txt").write_text(story(seed))
    built = daedal(
        "data", "build", place / "texts", "--out", place / "data", "--split", "0.7", "0.2", "0.1", "--vocab-size", "400"
    )
    assert built.code == 0, built
    trained = daedal(
        "train", "gpt", "--data", place / "data", "--out", place / "run", "--steps", "3", "--seed", "1", *TINY
    )
    assert trained.code == 0, trained
    return place / "run"


def test_the_command_reports_in_the_run_folder(run: Path) -> None:
    ended = daedal("audit", run, "--budget", "2s")
    assert ended.code == 0, ended
    for said in (
        "extractable, greedily",
        "AUC by min-k++",
        "No attack tells",
        "without --canaries",
    ):
        assert said in " ".join(ended.out.split()), said
    report = json.loads((run / "audit.json").read_text())
    assert {"definition", "interval", "n"} <= report["measurements"][0].keys()
    assert "Membership" in (run / "audit.html").read_text()
    names = [each["name"] for each in report["measurements"]]
    assert len(names) == len(set(names))
    found = Report.parse({**report}, "audit")
    assert found.measured("extractable").value == 0


def test_the_same_seed_gives_the_same_report_on_a_machine_that_is_as_fast(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daedal.evaluation.audit.text._tokens_a_second", lambda *of: 1e5)
    monkeypatch.setattr("daedal.evaluation.audit.text._samples", lambda *of: 8)
    reports = [audit(run, budget="2s", seed=3, out=tmp_path / name) for name in ("a", "b")]
    one, other = ([(each.name, each.value, each.interval) for each in report.measurements] for report in reports)
    assert one == other
    assert audit(run, budget="2s", seed=4, out=tmp_path / "c").measurements != reports[0].measurements


def test_mistakes_are_one_line(run: Path, tmp_path: Path) -> None:
    assert "no training run" in mistake("audit", without_plan(run, tmp_path / "bare"))
    assert "not a data folder" in mistake("audit", run, "--data", run.parent / "texts")
    assert "duration" in mistake("audit", run, "--budget", "soon")
    for seed in (-1, 2**63):
        assert f"seed is {seed}" in mistake("audit", run, "--seed", seed)
    other = tmp_path / "other"
    assert daedal("data", "build", run.parent / "texts", "--out", other, "--split", "0.5", "0.4", "0.1").code == 0
    assert "not what this run was trained on" in mistake("audit", run, "--data", other)
    moved = tmp_path / "moved" / "run"
    shutil.copytree(run, moved)
    plan = json.loads((moved / "training" / "plan.json").read_text())
    (moved / "training" / "plan.json").write_text(json.dumps({**plan, "data": str(tmp_path / "gone")}))
    assert "not at" in mistake("audit", moved)
    (moved / "training" / "plan.json").write_text(json.dumps({**plan, "data": str(other)}))
    assert "not what this run was trained on" in mistake("audit", moved)
    found = daedal("audit", moved, "--data", run.parent / "data", "--budget", "1s", "--json")
    assert found.code == 0, found
    assert json.loads(found.out)["format"] == "daedal-evaluation"


def without_plan(run: Path, to: Path) -> Path:
    """A model as somebody else would have it: nothing says what it learned from."""
    shutil.copytree(run, to)
    shutil.rmtree(to / "training")
    return to


def test_what_a_model_draws_is_looked_up_among_what_it_learned_from(tmp_path: Path) -> None:
    dataset = build(["digits"], tmp_path / "digits", workers=1)
    report = audit(generator((), 1), dataset.folder, out=tmp_path / "report", budget="2s")
    assert {"authenticity/v1", "data-copying/v1", "data-copying-p/v1"} == {
        each.quantity for each in report.measurements
    }
    assert report.measured("data-copying-p").value > 0.5  # noise is no copy
    assert "What it copies" in (tmp_path / "report" / "audit.html").read_text()
    assert "data:image/png;base64" in (tmp_path / "report" / "audit.html").read_text()


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    rows = "".join(
        json.dumps({"text": f"{'good' if n % 2 else 'bad'} number {n}", "label": "ab"[n % 2]}) + "\n" for n in range(80)
    )
    (tmp_path / "rows.jsonl").write_text(rows)
    assert daedal("data", "build", tmp_path / "rows.jsonl", "--out", tmp_path / "data").code == 0
    made = daedal(
        "train",
        "classifier",
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "run",
        "--steps",
        "2",
        *TINY[:2],
        *TINY[2:4],
        "--threads",
        "1",
    )
    assert made.code == 0, made
    assert "Nothing audits a classifier yet" in mistake("audit", tmp_path / "run")
