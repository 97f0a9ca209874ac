"""The measures of labels, answers, tags, pairs and translations: by hand, and as the reference programs have them."""

import math
import random

import numpy as np
import pytest
import sacrebleu
import torch
from scipy import stats
from sklearn import metrics

from daedal.evaluation.bootstrap import bootstrap, clustered
from daedal.evaluation.measures import bleu, calibration, chrf, confusion, correlation, entities, label_sets, ranks
from daedal.evaluation.measures.entities import Span, iob2, plain, spans
from daedal.evaluation.measures.novel_ngrams import novel_ngrams
from daedal.evaluation.measures.spans import exact, f1, normalise

WORDS = "the a dog cat runs sleeps , . big small house and".split()  # noqa: SIM905


def sentences(count: int, seed: int) -> tuple[list[str], list[str]]:
    """References, and translations of them that lose and change words."""
    drawn = random.Random(seed)
    right = [" ".join(drawn.choices(WORDS, k=drawn.randint(1, 14))) for _ in range(count)]
    said = [" ".join(word if drawn.random() < 0.7 else drawn.choice(WORDS) for word in text.split()) for text in right]
    return said, right


# -- intervals of sums ---------------------------------------------------------------------------------------------------


def test_the_bootstrap_of_a_mean_is_students_interval_and_the_same_for_one_seed() -> None:
    values = np.random.default_rng(0).normal(3, 1, (400, 1))
    found = bootstrap(np.hstack([values, np.ones((400, 1))]), lambda sums: sums[:, 0] / sums[:, 1], seed=5)
    assert found == bootstrap(np.hstack([values, np.ones((400, 1))]), lambda sums: sums[:, 0] / sums[:, 1], seed=5)
    half = 1.96 * values.std() / 20
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_clusters_are_summed_and_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).normal(0, 1, 40), 10)[:, None]
    table = np.hstack([values, np.ones((400, 1))])
    of = np.repeat(np.arange(40), 10)
    assert clustered(table, of).shape == (40, 2)
    alone, together = (bootstrap(each, lambda sums: sums[:, 0] / sums[:, 1]) for each in (table, clustered(table, of)))
    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])


# -- classes -------------------------------------------------------------------------------------------------------------


def test_a_confusion_matrix_and_its_macro_f1_are_scikit_learns() -> None:
    drawn = np.random.default_rng(1)
    truth, noise = drawn.integers(0, 4, 300), drawn.integers(0, 5, 300)
    said = np.where(drawn.random(300) < 0.6, truth, noise)
    matrix = confusion.confusion(truth, said, 6)  # the last class does not occur
    assert (matrix[:5, :5] == metrics.confusion_matrix(truth, said, labels=range(5))).all()
    assert confusion.macro_f1(matrix) == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert confusion.class_scores(matrix)[:5, 0] == pytest.approx(
        metrics.precision_score(truth, said, average=None, labels=range(5), zero_division=0)
    )
    interval = confusion.macro_f1_interval(matrix, seed=3)
    assert interval is not None
    assert interval[0] < confusion.macro_f1(matrix) < interval[1]
    assert interval == confusion.macro_f1_interval(matrix, seed=3)


def test_the_calibration_error_by_hand_and_none_where_a_model_is_right_as_often_as_it_says() -> None:
    confidence = np.array([0.6, 0.6, 0.9, 0.9])
    found = calibration.bins(confidence, np.array([True, False, True, True]), 2)
    assert found.right.tolist() == [0.5, 1.0]
    assert found.error == pytest.approx((2 * 0.1 + 2 * 0.1) / 4)
    sure = np.random.default_rng(0).uniform(0.5, 1, 40_000)
    right = np.random.default_rng(1).random(40_000) < sure
    assert calibration.bins(sure, right).error == pytest.approx(calibration.by_chance(sure), abs=0.005)
    assert calibration.bins(sure, right).count.tolist() == [2667] * 10 + [2666] * 5


def test_the_brier_score_is_scikit_learns_and_a_class_that_is_unknown_costs_most() -> None:
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1]])
    assert calibration.brier(probabilities, np.array([1, 1])).tolist() == pytest.approx([0.08, 1.62])
    one = metrics.brier_score_loss([1, 1], probabilities[:, 1])
    assert calibration.brier(probabilities, np.array([1, 1])).mean() / 2 == pytest.approx(one)
    assert calibration.brier(probabilities, np.array([-1, -1])).tolist() == pytest.approx([1.68, 1.82])


def test_f1_of_sets_of_labels_are_scikit_learns() -> None:
    drawn = np.random.default_rng(2)
    truth, said = drawn.random((200, 5)) < 0.3, drawn.random((200, 5)) < 0.4
    truth[:, 4] = said[:, 4] = False
    sums = label_sets.counts(truth, said).sum(0, keepdims=True)
    assert label_sets.micro_f1(sums)[0] == pytest.approx(metrics.f1_score(truth, said, average="micro"))
    expected = metrics.f1_score(truth, said, average="macro", zero_division=0)
    assert label_sets.macro_f1(sums)[0] == pytest.approx(expected)
    assert label_sets.whole_sets(truth, said) == round(200 * metrics.accuracy_score(truth, said))


def test_correlations_are_scipys_and_do_not_fail_where_nothing_varies() -> None:
    drawn = np.random.default_rng(3)
    one = drawn.integers(0, 6, 80).astype(float)
    other = one + drawn.normal(0, 2, 80)
    assert correlation.pearson(one, other) == pytest.approx(stats.pearsonr(one, other)[0])
    assert correlation.spearman(one, other) == pytest.approx(stats.spearmanr(one, other)[0])
    low, high = stats.pearsonr(one, other).confidence_interval()
    assert correlation.pearson_interval(correlation.pearson(one, other), 80) == pytest.approx((low, high))
    assert correlation.spearman(np.ones(5), one[:5]) == 0.0
    assert correlation.spearman_interval(1.0, 9) == (1.0, 1.0)
    assert correlation.pearson_interval(0.5, 3) is None


# -- answers -------------------------------------------------------------------------------------------------------------


def test_answers_are_compared_as_squad_does() -> None:
    assert normalise("The  Eiffel-Tower, a tower!") == "eiffeltower tower"
    assert exact("the Broncos.", ["Denver Broncos", "Broncos"]) == 1.0
    assert exact("Broncos", ["Denver Broncos"]) == 0.0
    assert f1("the Broncos", ["Denver Broncos", "Carolina Panthers"]) == pytest.approx(2 / 3)
    assert f1("very very good", ["very good day"]) == pytest.approx(2 * 2 / 6)
    assert f1("cat", ["dog"]) == exact("cat", ["dog"]) == 0.0


def test_that_there_is_no_answer_is_right_only_where_there_is_none() -> None:
    assert (exact("", []), f1("", [])) == (1.0, 1.0)
    assert (exact("a", ["the"]), f1("the", [])) == (1.0, 1.0)  # articles alone say nothing
    assert (exact("", ["yes"]), f1("", ["yes"])) == (0.0, 0.0)
    assert (exact("yes", []), f1("yes", [])) == (0.0, 0.0)


# -- tags ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),  # IOB2
        ("I-PER I-PER B-PER O I-LOC", [("PER", 0, 1), ("PER", 2, 2), ("LOC", 4, 4)]),  # IOB1
        ("B-PER E-PER S-LOC S-LOC", [("PER", 0, 1), ("LOC", 2, 2), ("LOC", 3, 3)]),  # BIOES
        ("I-PER I-LOC", [("PER", 0, 0), ("LOC", 1, 1)]),
        ("B-PER I-LOC O E-LOC", [("PER", 0, 0), ("LOC", 1, 1), ("LOC", 3, 3)]),
        ("E-PER I-PER", [("PER", 0, 0), ("PER", 1, 1)]),
        ("O O", []),
        ("NOUN NOUN VERB", [("NOUN", 0, 1), ("VERB", 2, 2)]),
    ],
)
def test_spans_of_all_schemes_are_conllevals(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == [Span(*each) for each in expected]


def test_tags_of_spans_name_the_same_spans_and_plain_tags_are_told() -> None:
    tags = "I-PER B-PER O S-LOC B-LOC E-LOC".split()  # noqa: SIM905
    assert spans(iob2(spans(tags), 6)) == spans(tags)
    assert plain([["NOUN", "VERB"], ["O"]])
    assert not plain([["O"], ["B-X"]])


def test_precision_and_recall_of_entities_by_hand() -> None:
    right = [spans("B-PER I-PER O B-LOC".split()), spans("O O".split())]  # noqa: SIM905
    said = [spans("B-PER I-PER O B-ORG".split()), spans("B-PER O".split())]  # noqa: SIM905
    table = entities.counts(right, said, ["LOC", "ORG", "PER"])
    sums = table.sum(0, keepdims=True)
    assert entities.precision(sums)[0] == pytest.approx(1 / 3)
    assert entities.recall(sums)[0] == pytest.approx(1 / 2)
    assert label_sets.micro_f1(sums)[0] == pytest.approx(2 / 5)


# -- finding, translating ------------------------------------------------------------------------------------------------


def test_a_right_one_among_equal_ones_is_last() -> None:
    scores = torch.tensor([[0.9, 0.5, 0.1], [0.5, 0.5, 0.5]])
    right = torch.tensor([[False, True, True], [True, False, False]])
    assert ranks.ranks(scores, right).tolist() == [2, 3]
    assert ranks.reciprocal(np.array([2, 4])).tolist() == [0.5, 0.25]


@pytest.mark.parametrize("count", [1, 3, 60])
def test_bleu_and_chrf_of_sums_are_sacrebleus(count: int) -> None:
    for seed in range(8):
        said, right = sentences(count, seed)
        own = bleu.bleu(bleu.counts(said, right).sum(0, keepdims=True))[0]
        assert own == pytest.approx(sacrebleu.corpus_bleu(said, [right]).score, abs=1e-9)
        own = chrf.chrf(chrf.counts(said, right).sum(0, keepdims=True))[0]
        assert own == pytest.approx(sacrebleu.corpus_chrf(said, [right]).score, abs=1e-9)


def test_translations_that_say_nothing_or_share_nothing_have_no_score() -> None:
    for said in ([""], ["x y z u v"]):
        assert bleu.bleu(bleu.counts(said, ["a b c d e"]))[0] == 0.0
        assert chrf.chrf(chrf.counts(said, ["a b c d e"]))[0] == 0.0


def test_signatures_are_sacrebleus() -> None:
    assert bleu.signature().startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert chrf.signature().startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_the_interval_of_bleu_holds_it_and_is_that_of_a_plain_bootstrap() -> None:
    said, right = sentences(120, 4)
    table = bleu.counts(said, right)
    low, high = bootstrap(table, bleu.bleu, seed=1) or (math.nan, math.nan)
    drawn = np.random.default_rng(0).integers(0, 120, (300, 120))
    plainly = [sacrebleu.corpus_bleu([said[i] for i in d], [[right[i] for i in d]]).score for d in drawn[:100]]
    fast = bleu.bleu(np.stack([table[d].sum(0) for d in drawn]))
    assert fast[:100] == pytest.approx(plainly)
    assert (low, high) == pytest.approx(np.quantile(fast, [0.025, 0.975]), abs=1.5)


def test_n_grams_that_training_has_not_are_counted_by_hand() -> None:
    right, said = ["a b c d e", "x y z w"], ["a b c d f", "x y z w x y z w"]
    hits, totals = novel_ngrams(said, right, ["q b c d e q"])
    assert totals.tolist() == [1, 1]  # `a b c d` and `x y z w`; `b c d e` was read
    assert hits.tolist() == [1, 1]
