"""What must hold of every encoder and every head, whatever it is made of."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.models.answerer import Answerer, AnswererConfig, best_threshold, log_softmax_of_rows
from daedal.models.bert import BERT, BERTConfig
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder, EmbedderConfig, _same
from daedal.models.encoder import EncoderModel
from daedal.models.model import IGNORE, Moment
from daedal.models.sequences import LabelBatch, Sequences, SpanBatch, TargetBatch, TwinBatch
from daedal.models.tagger import Tagger, TaggerConfig
from daedal.nn.packing import Packing

VOCAB, CONTEXT = 61, 24
ARCHITECTURES = ("bert", "roberta", "distilbert", "modernbert")
HEADS: dict[type[EncoderModel], tuple[type[Any], dict[str, Any]]] = {
    BERT: (BERTConfig, {}),
    Classifier: (ClassifierConfig, {"labels": ("a", "b", "c")}),
    Tagger: (TaggerConfig, {"labels": ("O", "B", "I")}),
    Answerer: (AnswererConfig, {}),
    Embedder: (EmbedderConfig, {}),
}
LENGTHS = st.lists(st.integers(1, CONTEXT), min_size=1, max_size=9)


def build(model: type[EncoderModel], architecture: str, seed: int = 0, **changes: Any) -> Any:
    config, values = HEADS[model]
    shape: dict[str, Any] = {"vocab_size": VOCAB, "width": 32, "depth": 4, "heads": 4, "context": CONTEXT}
    near = {"window": 3} if architecture == "modernbert" else {}
    made = model(config.of(architecture, **{**shape, **near, **values, **changes}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return made.eval()


def rows(lengths: list[int], seed: int = 0, types: bool = False) -> Sequences:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, VOCAB, (sum(lengths),), generator=generator)
    kinds = torch.randint(0, 2, (sum(lengths),), generator=generator) if types else None
    return Sequences(ids, Packing(lengths), kinds)


def batch_of(model: type[EncoderModel], lengths: list[int], seed: int = 0) -> Any:
    sequences, count = rows(lengths, seed), len(lengths)
    generator = torch.Generator().manual_seed(seed)
    if model in (BERT, Tagger):
        top = VOCAB if model is BERT else 3
        targets = torch.randint(0, top, sequences.ids.shape, generator=generator)
        return TargetBatch(sequences, targets.masked_fill(torch.rand(targets.shape, generator=generator) < 0.5, IGNORE))
    if model is Classifier:
        return LabelBatch(sequences, torch.randint(0, 3, (count,), generator=generator))
    if model is Answerer:
        ends = torch.tensor([length - 1 for length in lengths])
        return SpanBatch(sequences, ends // 2, ends, torch.ones(len(sequences.ids), dtype=torch.bool))
    return TwinBatch(sequences, rows(lengths[::-1], seed + 1))


@pytest.mark.parametrize("model", HEADS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@settings(max_examples=8, deadline=None)
@given(lengths=LENGTHS)
def test_rows_together_are_what_each_is_alone(model: type[EncoderModel], architecture: str, lengths: list[int]) -> None:
    made = build(model, architecture)
    sequences = rows(lengths, types=made.config.types == 2)
    with torch.no_grad():
        together, states = made(sequences), made.encoder(sequences)
        for row, length in enumerate(lengths):
            part = slice(sequences.packing.starts[row], sequences.packing.starts[row] + length)
            types = None if sequences.types is None else sequences.types[part]
            alone = Sequences(sequences.ids[part], Packing([length]), types)
            torch.testing.assert_close(states[part], made.encoder(alone), atol=2e-5, rtol=0)
            mine = together[part] if len(together) == len(sequences.ids) != len(lengths) else together[row : row + 1]
            torch.testing.assert_close(mine, made(alone), atol=2e-5, rtol=0)


@pytest.mark.parametrize("model", HEADS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_weight_learns_and_a_seed_means_one_model(model: type[EncoderModel], architecture: str) -> None:
    made = build(model, architecture, dropout=0.1).train()
    torch.manual_seed(0)
    loss = made.loss(batch_of(model, [5, 9, 2, 7])).total
    loss.backward()
    unused = {"encoder.types.weight"} if architecture == "roberta" and made.config.types == 0 else set()
    for name, parameter in made.named_parameters():
        assert name in unused or parameter.grad is not None, name
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all(), name
    with torch.device("meta"):
        bare = model(made.config)
    assert bare.parameter_count == made.parameter_count
    drawn = []
    for _ in range(2):
        made.initialise(torch.Generator().manual_seed(3))
        drawn.append({name: parameter.clone() for name, parameter in made.named_parameters()})
    assert all(torch.equal(tensor, drawn[1][name]) for name, tensor in drawn[0].items())


@pytest.mark.parametrize("model", [BERT, Classifier, Tagger, Answerer])
@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_a_batch_is_learned_as_its_rows_are_one_by_one(model: type[EncoderModel], architecture: str) -> None:
    made = build(model, architecture)
    lengths = [5, 9, 2, 7]
    batch = batch_of(model, lengths)
    whole = made.loss(batch.at(Moment(batch.count))).total
    parts = 0.0
    sequences: Sequences = batch.sequences
    for row, length in enumerate(lengths):
        part = slice(sequences.packing.starts[row], sequences.packing.starts[row] + length)
        alone = Sequences(sequences.ids[part], Packing([length]))
        moment = Moment(batch.count)
        if isinstance(batch, TargetBatch):
            one: Any = TargetBatch(alone, batch.targets[part], moment=moment)
        elif isinstance(batch, LabelBatch):
            one = LabelBatch(alone, batch.labels[row : row + 1], moment=moment)
        else:
            starts, ends = batch.starts[row : row + 1], batch.ends[row : row + 1]
            one = SpanBatch(alone, starts, ends, batch.allowed[part], moment=moment)
        parts = parts + made.loss(one).total
    torch.testing.assert_close(whole, parts, atol=1e-5, rtol=1e-5)


def test_the_loss_of_a_bert_is_that_of_all_its_logits() -> None:
    for tied in (True, False):
        made = build(BERT, "bert", tied=tied)
        batch = batch_of(BERT, [5, 9, 2])
        plain = torch.nn.functional.cross_entropy(made(batch.sequences), batch.targets, reduction="sum")
        torch.testing.assert_close(made.loss(batch).total, plain)
        places = torch.tensor([3, 0, 12])
        torch.testing.assert_close(made.logits(batch.sequences, places), made(batch.sequences)[places])


def test_a_classifier_learns_several_labels_and_numbers() -> None:
    lengths, functional = [5, 9, 2], torch.nn.functional
    several = build(Classifier, "bert", problem="several", weights=(1.0, 2.0, 0.5))
    sets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1]])
    expected = functional.binary_cross_entropy_with_logits(
        several(rows(lengths)), sets, pos_weight=torch.tensor([1.0, 2.0, 0.5])
    )
    loss = several.loss(LabelBatch(rows(lengths), sets, moment=Moment(3))).total
    torch.testing.assert_close(loss, expected)
    number = build(Classifier, "modernbert", problem="number", labels=("stars",), pooling="mean")
    values = torch.tensor([1.0, 3.5, 2.0])
    expected = functional.mse_loss(number(rows(lengths))[:, 0], values)
    torch.testing.assert_close(number.loss(LabelBatch(rows(lengths), values, moment=Moment(3))).total, expected)


def test_log_probabilities_of_a_row_are_of_its_allowed_tokens() -> None:
    packing, logits = Packing([3, 2, 4]), torch.randn(9, 2)
    allowed = torch.tensor([1, 0, 1, 1, 1, 1, 1, 1, 0], dtype=torch.bool)
    found = log_softmax_of_rows(logits, packing, allowed)
    for row, length in enumerate(packing.lengths):
        part = slice(packing.starts[row], packing.starts[row] + length)
        hidden = logits[part].masked_fill(~allowed[part, None], float("-inf"))
        torch.testing.assert_close(found[part], hidden.log_softmax(0))


def test_the_threshold_of_none_is_the_one_with_which_most_are_right() -> None:
    margins = torch.tensor([3.0, -2.0, 1.0, -1.0, 2.0], dtype=torch.float64)
    spans = torch.tensor([False, True, True, True, False])
    nones = torch.tensor([True, False, False, False, True])
    assert best_threshold(margins, spans, nones) == 1.5
    assert best_threshold(margins, spans, ~spans & ~spans.new_ones(5)) == 1e6  # every row has an answer
    assert best_threshold(margins, ~spans, ~nones & spans) < -2.0

    made, batch = build(Answerer, "bert"), batch_of(Answerer, [5, 9, 7])
    with torch.no_grad():
        logits = made(batch.sequences).split([5, 9, 7])
    best = [
        max((float(row[a, 0] + row[b, 1]), a, b) for a in range(1, len(row)) for b in range(a, len(row)))
        for row in logits
    ]
    none = replace(
        batch, starts=torch.tensor([best[0][1], 0, best[2][1]]), ends=torch.tensor([best[0][2], 0, best[2][2]])
    )
    made.finish([none])
    margins = [float(row[0].sum()) - score for row, (score, _, _) in zip(logits, best, strict=True)]
    expected = best_threshold(
        torch.tensor(margins).double(), torch.tensor([True, False, True]), torch.tensor([0, 1, 0]) == 1
    )
    assert made.config.none_threshold == pytest.approx(expected, abs=1e-4)
    made.finish([])
    assert made.config.none_threshold == pytest.approx(expected, abs=1e-4)


def test_twins_of_a_higher_score_are_to_be_more_alike() -> None:
    made = build(Embedder, "modernbert")
    one, other = rows([5, 9, 2]), rows([4, 3, 8], 1)
    scores = torch.tensor([3.0, 1.0, 1.0])
    likeness = (made(one) * made(other)).sum(1) / made.config.temperature
    wrong = torch.stack([likeness[1] - likeness[0], likeness[2] - likeness[0]]).exp().sum()
    loss = made.loss(TwinBatch(one, other, scores, moment=Moment(3))).total
    torch.testing.assert_close(loss, torch.log1p(wrong))


def test_the_twin_of_an_equal_row_is_no_wrong_one() -> None:
    made = build(Embedder, "modernbert")
    a, b, c, d = (
        [int(id) for id in torch.randint(0, VOCAB, (5,), generator=torch.Generator().manual_seed(n))] for n in range(4)
    )
    one, other = Sequences.of([a, b, a]), Sequences.of([c, d, d])
    likeness = (made(one) @ made(other).T) / made.config.temperature
    known = torch.tensor(
        [[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool
    )  # 0 and 2 are of one row, 1 and 2 of one twin
    likeness = likeness.masked_fill(~known, float("-inf"))
    expected = -(likeness.log_softmax(1).diag().sum() + likeness.log_softmax(0).diag().sum()) / 2 / 3
    torch.testing.assert_close(made.loss(TwinBatch(one, other, moment=Moment(3))).total, expected)
    swapped = Sequences.of([[4, 5, 6], [6, 5, 4], [4, 5, 6]])
    assert _same(swapped).tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_a_head_begins_with_the_encoder_of_any_other() -> None:
    body = build(BERT, "modernbert", seed=4)
    made = Classifier(ClassifierConfig.around(body.config, labels=("a", "b")))
    made.adopt(body)
    assert torch.equal(made.encoder(rows([3, 4])), body.encoder(rows([3, 4])))
    assert made.transform is not None
    assert torch.equal(made.transform.dense.weight, body.transform.dense.weight)
    with pytest.raises(DaedalError, match="width is 32 cannot begin one of 64"):
        Classifier(ClassifierConfig.around(body.config, labels=("a", "b"), width=64)).adopt(body)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("a",)}, "one label leaves nothing to tell apart"),
        ({"labels": ("a", "a")}, "two labels have one name"),
        ({"labels": ("a", "b"), "problem": "number"}, "a number has one name"),
        ({"labels": ("a", "b"), "pooling": "mean"}, "told apart by its first token"),
        ({"labels": ("a", "b"), "weights": (1.0,)}, "1 weights are not of 2 labels"),
        ({"labels": ("a", "b"), "heads": 5}, "must be a multiple of heads"),
    ],
)
def test_an_impossible_shape_is_told(changes: dict[str, Any], message: str) -> None:
    shape: dict[str, Any] = {"vocab_size": 9, "width": 32, "depth": 1, "heads": 4, "context": 8}
    with pytest.raises(DaedalError, match=message):
        ClassifierConfig.of("bert", **{**shape, **changes})


def test_types_that_a_model_does_not_tell_apart_are_passed_over() -> None:
    for architecture in ("roberta", "distilbert", "modernbert"):
        made = build(BERT, architecture)
        assert torch.equal(made(rows([5, 3], types=True)), made(rows([5, 3])))


def test_a_row_longer_than_the_context_is_told() -> None:
    with pytest.raises(DaedalError, match=f"{CONTEXT + 1} tokens are more than this model's context of {CONTEXT}"):
        build(BERT, "bert")(rows([3, CONTEXT + 1]))
