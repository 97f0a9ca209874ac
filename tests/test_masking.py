"""A masked language model is measured by tokens that are hidden together and alone, beside what their neighbours tell."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daedal.codecs.both_ways import marked
from daedal.data import BuildOptions, Dataset, build
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Table
from daedal.evaluation.card import model_card
from daedal.evaluation.evaluate import evaluate, expected_seconds, subject_of
from daedal.evaluation.kinds.masked import MaskedSubject
from daedal.evaluation.masked_text import Hidden, MaskedText, judge
from daedal.evaluation.masking import Masking, beside, masks, one_by_one
from daedal.evaluation.predictors.neighbours import UNKNOWN, Neighbours
from daedal.models.bert import BERT, BERTConfig
from daedal.models.sequences import Sequences
from stand_ins import StandIn

WORDS = ["the", "quick", "brown", "fox", "naïve", "東京", "jumps", "over", "lazy", "dogs"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder, drawn = tmp_path_factory.mktemp("text"), np.random.default_rng(0)
    for number in range(60):
        at = int(drawn.integers(10))
        text = " ".join(WORDS[(at + place) % 10] for place in range(40))  # each word tells the next
        (folder / f"{number}.txt").write_text(f"{number} {text}", encoding="utf-8")
    return build(
        [folder], folder / "data", BuildOptions(codec="bpe", vocab_size=320, split=(70, 30, 0), near_duplicates="off")
    )


@pytest.fixture(scope="module")
def generator(dataset: Dataset) -> StandIn:
    codec = marked(dataset.codec)
    model = BERT(BERTConfig.of("bert", vocab_size=codec.vocab_size, width=16, depth=1, heads=2, context=24))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) * 0.3
            )
    return StandIn(model, codec)


@pytest.fixture(scope="module")
def text(dataset: Dataset, generator: StandIn) -> MaskedText:
    split = dataset.split("validation")
    texts = [split.text(index) for index in range(split.documents)]
    return MaskedText.of_texts(texts, generator.codec, 24, "validation")


def test_passages_hold_the_text_and_fit_the_context(text: MaskedText, dataset: Dataset, generator: StandIn) -> None:
    split = dataset.split("validation")
    whole = [id for index in range(split.documents) for id in generator.codec.encode(split.text(index))]
    assert text.ids.tolist() == whole
    assert text.lengths.max() <= 24 - generator.codec.framing.room
    assert text.lengths.min() > 10  # no tail of a token
    assert text.bytes == sum(len(split.text(index).encode()) for index in range(split.documents))


def test_what_is_said_of_hidden_tokens_is_what_the_model_says_one_by_one(text: MaskedText, generator: StandIn) -> None:
    drawn = np.random.default_rng(1)
    hidden = masks(text, 9, drawn) + one_by_one(text, 20, drawn)
    found = judge(generator.model, text, hidden)
    nats, ranks = [], []
    for passage, places in hidden:
        row = generator.codec.framing.one(text[passage]).ids.copy()
        truth = row[1 + places]  # the first stands before the text
        row[1 + places] = generator.codec.mask_id
        with torch.no_grad():
            logits = generator.model(Sequences.of([row]))[1 + places].double()
        nats += (-logits.log_softmax(-1)[range(len(truth)), truth]).tolist()
        ranks += [(each >= each[id]).sum().item() for each, id in zip(logits, truth, strict=True)]
    assert found.nats == pytest.approx(np.array(nats), abs=1e-4)
    assert found.ranks.tolist() == ranks


def test_masks_are_fifteen_percent_and_the_same_for_one_seed(text: MaskedText) -> None:
    one, other = (masks(text, len(text), np.random.Generator(np.random.Philox(3))) for _ in range(2))
    assert all((a.places == b.places).all() for a, b in zip(one, other, strict=True))
    count = sum(len(each.places) for each in one)
    assert count == pytest.approx(0.15 * len(text.ids), rel=0.1)
    assert all(len(set(each.places)) == len(each.places) for each in one)


def test_neighbours_are_term_by_term_what_they_say() -> None:
    texts = [np.array(ids) for ids in ([0, 1, 2, 0, 1], [1, 2, 2], [3])]
    vocab, border = 5, 5
    line = [border, 0, 1, 2, 0, 1, border, 1, 2, 2, border, 3, border]
    pairs, firsts, counts = Counter(pairwise(line)), Counter(line[:-1]), Counter(line)
    shares = {v: (counts[v] + 1) / (len(line) + vocab + 1) for v in range(vocab + 1)}
    kinds = Counter(one for one, _ in pairs)

    def after(left: int, v: int) -> float:
        total = firsts[left] + kinds[left]
        return (pairs[left, v] + kinds[left] * shares[v]) / total if total else shares[v]

    model = Neighbours.fit(texts, vocab)
    for left, right in ((0, 2), (border, 1), (UNKNOWN, 2), (2, UNKNOWN), (UNKNOWN, UNKNOWN), (4, 4)):
        scores = [
            (shares[v] if left == UNKNOWN else after(left, v)) * (1 if right == UNKNOWN else after(v, right))
            for v in range(vocab)
        ]
        truth = np.arange(vocab)
        nats, ranks = model.judge(truth, np.full(vocab, left), np.full(vocab, right))
        assert nats == pytest.approx([-math.log(each / sum(scores)) for each in scores])
        assert ranks.tolist() == [sum(other >= each - 1e-15 for other in scores) for each in scores]


def test_what_stands_beside_a_hidden_token_is_known_unless_it_is_hidden_too(text: MaskedText) -> None:
    ids, border = text[0], text.codec.vocab_size
    hidden = [Hidden(0, np.array([0, 4, 5]))]
    truth, left, right = beside(text, hidden, known=True)
    assert truth.tolist() == ids[[0, 4, 5]].tolist()
    assert left.tolist() == [border, ids[3], UNKNOWN]
    assert right.tolist() == [ids[1], UNKNOWN, ids[6]]
    assert (beside(text, hidden, known=False)[1] == UNKNOWN).all()


def test_the_report_holds_the_model_beside_its_neighbours(generator: StandIn, dataset: Dataset) -> None:
    report = evaluate(generator, dataset.folder)
    found = {each.quantity.split("/")[0]: each for each in report.measurements}
    nats = math.log(found["pseudo-perplexity"].value)
    tokens, size = report.data.tokens, report.data.bytes  # type: ignore[attr-defined]
    assert found["pseudo-bits-per-byte"].value == pytest.approx(nats * tokens / size / math.log(2))
    assert found["masked-token-accuracy"].value <= found["masked-token-top-5"].value
    ranking = dict(report.ranking("masked-token-accuracy"))
    assert ranking.keys() == {"this model", "neighbours", "unigram"}
    assert ranking["neighbours"].value > 0.7  # each word tells the next
    assert ranking["unigram"].value < 0.4
    (table,) = (block for block in report.blocks if isinstance(block, Table))
    assert all("[?]" in row[0] for row in table.rows)
    card = model_card(report)
    assert "pipeline_tag: fill-mask" in card
    assert "its accuracy on hidden tokens is" in card
    assert report.measurements == evaluate(generator, dataset.folder).measurements


def test_a_file_of_text_will_do_and_what_is_no_text_is_refused(generator: StandIn, tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("the quick brown fox jumps over the lazy dogs " * 30)
    report = evaluate(generator, tmp_path / "some.txt")
    assert report.baselines == ()
    assert report.measured("pseudo-perplexity").pieces == "tokens"
    with pytest.raises(DaedalError):
        evaluate(generator, tmp_path / "nothing.txt")


def test_less_is_hidden_where_there_is_less_time(generator: StandIn, dataset: Dataset) -> None:
    subject: Any = MaskedSubject.of(generator.model, dataset, generator.codec, 5.0)
    subject.seconds_per_token = 1e-3
    assert subject_of(generator.model) == "masked"
    evaluator = Masking()
    assert evaluator.count(subject, 5.0) == 100
    assert expected_seconds(subject) < 8
