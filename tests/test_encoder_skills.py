"""What models that read both ways say of texts: the same as Transformers, whatever else is asked; of long ones by windows."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from daedal.codecs.both_ways import first_tokens, marked
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.inference.skills.rows import windows
from daedal.inference.skills.tag import Tag, Tagged, _entities
from daedal.models.answerer import Answerer, AnswererConfig
from daedal.models.bert import BERT, BERTConfig
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder, EmbedderConfig
from daedal.models.encoder import EncoderModel
from daedal.models.sequences import Sequences
from daedal.models.tagger import Tagger, TaggerConfig

torch.set_num_threads(1)
LETTERS = [chr(code) for code in range(33, 127)]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
PIECES += ["the", "capital", "of", "france", "is", "paris", "anna", "went", "to", "rome", "with", "##ss", "city"]
TEXTS = [
    "Anna went to Paris.",
    "The capital of France is Paris, the city",
    "to Rome!",
    "Anna",
    "with Anna to the city of Rome",
]
CONTEXT = 32
NAMES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
HEADS: dict[type[EncoderModel], tuple[Any, dict[str, Any]]] = {
    BERT: (BERTConfig, {}),
    Classifier: (ClassifierConfig, {"labels": ("bad", "fair", "good")}),
    Tagger: (TaggerConfig, {"labels": NAMES}),
    Answerer: (AnswererConfig, {}),
    Embedder: (EmbedderConfig, {}),
}


def words(tmp_path: Path) -> TextCodec:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return TextCodec.load(tmp_path)


def build(model: type[EncoderModel], codec: TextCodec, architecture: str = "bert", **changes: Any) -> Any:
    config, values = HEADS[model]
    shape = {"vocab_size": codec.vocab_size, "width": 32, "depth": 2, "heads": 4, "context": CONTEXT}
    shape |= {"pad_id": codec.pad_id} if architecture == "roberta" else {}
    made = model(config.of(architecture, **{**shape, **values, **changes}))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return made.eval()


def opened(
    model: type[EncoderModel], tmp_path: Path, architecture: str = "bert", **changes: Any
) -> tuple[Generator, Path]:
    codec = words(tmp_path)
    save_model(build(model, codec, architecture, **changes), tmp_path / "model", codec=codec)
    return Generator.open(tmp_path / "model"), tmp_path / "model"


def pipeline(task: str, folder: Path, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.pipeline(task, model=str(folder), device="cpu", **options)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert"])
@pytest.mark.parametrize("problem", ["one", "several", "number"])
def test_classes_are_those_of_transformers(architecture: str, problem: str, tmp_path: Path) -> None:
    labels = {"labels": ("stars",)} if problem == "number" else {}
    generator, folder = opened(Classifier, tmp_path, architecture, problem=problem, **labels)
    theirs = pipeline("text-classification", folder, top_k=None)
    for text, found, expected in zip(TEXTS, generator.classify(TEXTS), theirs(TEXTS), strict=True):
        told = {each["label"]: each["score"] for each in expected}
        assert found.text == text
        assert not found.cut
        if problem == "number":
            assert found.value == pytest.approx(told["stars"], abs=1e-4)
            continue
        assert list(found.probabilities) == [each["label"] for each in expected]
        assert found.probabilities == pytest.approx(told, abs=1e-4)
        assert found.label == expected[0]["label"]
        has = [name for name in generator.labels if told[name] >= 0.5] if problem == "several" else [found.label]
        assert list(found.labels) == has
    (alone,) = generator.classify(TEXTS[1])
    assert alone.probability == pytest.approx(generator.classify(TEXTS)[1].probability, abs=1e-6)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert"])
def test_two_texts_are_read_as_one(architecture: str, tmp_path: Path) -> None:
    generator, folder = opened(Classifier, tmp_path, architecture)
    theirs = pipeline("text-classification", folder, top_k=None)
    (found,) = generator.classify((TEXTS[0], TEXTS[2]))
    expected = theirs({"text": TEXTS[0], "text_pair": TEXTS[2]})
    expected = expected[0] if isinstance(expected[0], list) else expected
    assert found.probabilities == pytest.approx({each["label"]: each["score"] for each in expected}, abs=1e-4)
    beside = generator.classify([TEXTS[3], (TEXTS[0], TEXTS[2])])[1]
    assert beside.probabilities == pytest.approx(found.probabilities, abs=1e-6)


def test_a_text_longer_than_the_context_is_read_in_windows(tmp_path: Path) -> None:
    generator, _ = opened(Classifier, tmp_path)
    long = "the city of rome " * 20
    (found,) = generator.classify(long)
    assert found.cut
    codec, framing = generator.codec, generator.codec.framing
    ids, room = codec.encode(long), CONTEXT - 2
    spans = windows(len(ids), room, room // 4)
    assert spans[0][0] == 0
    assert spans[-1][1] == len(ids)
    assert all(one[1] - other[0] >= room // 4 for one, other in pairwise(spans))
    rows = [framing.one(ids[begin:end]).ids for begin, end in spans]
    with torch.no_grad():
        expected = generator.model(Sequences.of(rows)).softmax(-1).mean(0)
    assert [found.probabilities[name] for name in generator.labels] == pytest.approx(expected.tolist(), abs=1e-5)
    (pair,) = generator.classify((long, "anna"))
    assert pair.cut
    assert generator.classify(("anna", long))[0].cut
    assert generator.classify((long, long))[0].cut


def test_entities_are_those_of_transformers(tmp_path: Path) -> None:
    generator, folder = opened(Tagger, tmp_path)
    theirs = pipeline("token-classification", folder, aggregation_strategy="first")
    for text, found in zip(TEXTS, generator.tag(TEXTS), strict=True):
        expected = theirs(text)
        assert [(each.label, each.start, each.end) for each in found] == [
            (each["entity_group"], each["start"], each["end"]) for each in expected
        ]
        assert [each.probability for each in found] == pytest.approx(
            [float(each["score"]) for each in expected], abs=1e-4
        )
        assert all(text[each.start : each.end] == each.text for each in found)
    assert generator.tag(TEXTS[1]) == [generator.tag(TEXTS)[1]]


def test_every_word_of_a_long_sentence_has_a_tag(tmp_path: Path) -> None:
    generator, _ = opened(Tagger, tmp_path)
    short, long = ["Anna", "went", "to", "\u200b", "Rome"], ["Anna", "went"] * 60
    one, many = generator.tag_words([short, long])
    assert len(one) == 5
    assert one[3].tag == "O"  # the tokenizer makes nothing of it
    assert len(many) == 120
    assert generator.tag_words([[]]) == [[]]
    with pytest.raises(DaedalError, match="not in words"):
        generator.tag_words(["Anna went"])


def test_a_word_is_tagged_by_the_window_in_which_it_is_farthest_from_an_end() -> None:
    spans = windows(1000, 30, 15)
    parts = [torch.eye(len(NAMES)).double()[[number % len(NAMES)] * 32] for number in range(len(spans))]
    tag = Tag.__new__(Tag)
    tag._model = SimpleNamespace(config=SimpleNamespace(labels=NAMES))
    for token in range(1000):
        inside = [number for number, (begin, end) in enumerate(spans) if begin <= token < end]
        best = max(inside, key=lambda number: min(token - spans[number][0], spans[number][1] - 1 - token))
        assert tag._tagged(spans, parts, token, 1).tag == NAMES[best % len(NAMES)]


def test_types_of_tokens_that_a_model_has_not_are_told(tmp_path: Path) -> None:
    _, folder = opened(Classifier, tmp_path)
    told = json.loads((folder / "tokenizer.json").read_text())
    for each in told["post_processor"]["pair"]:
        next(iter(each.values()))["type_id"] = 7
    (folder / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(DaedalError, match="counts types of tokens up to 7 and the model has 2"):
        Generator.open(folder)


def test_a_context_without_room_for_a_text_is_told(tmp_path: Path) -> None:
    generator, _ = opened(Classifier, tmp_path, context=2)
    with pytest.raises(DaedalError, match="no room for a text"):
        generator.classify("Anna")
    with pytest.raises(DaedalError, match="no room for a text"):
        generator.classify(("Anna", "Rome"))
    generator, _ = opened(Tagger, tmp_path, context=2)
    with pytest.raises(DaedalError, match="no room for a text"):
        generator.tag("Anna went")


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        (["B-PER", "I-PER", "O", "B-LOC"], [("PER", 0, 2), ("LOC", 3, 4)]),  # IOB2
        (["I-PER", "I-PER", "B-PER", "O"], [("PER", 0, 2), ("PER", 2, 3)]),  # IOB1
        (["B-PER", "E-PER", "S-PER", "S-LOC"], [("PER", 0, 2), ("PER", 2, 3), ("LOC", 3, 4)]),  # BIOES
        (["I-PER", "I-LOC", "I-LOC", "I-LOC"], [("PER", 0, 1), ("LOC", 1, 4)]),
        (["PER", "PER", "O", "LOC"], [("PER", 0, 2), ("LOC", 3, 4)]),
    ],
)
def test_tags_that_go_on_with_one_another_are_one_entity(tags: list[str], entities: list[tuple[str, int, int]]) -> None:
    places = [(number, number + 1) for number in range(4)]
    found = _entities("abcd", places, [Tagged(tag, 0.5) for tag in tags], True)
    assert [(each.label, each.start, each.end) for each in found] == entities
    alone = _entities("abcd", places, [Tagged("NOUN", 0.5)] * 4, False)
    assert len(alone) == 4


def test_the_first_token_of_a_word_is_found_where_tokens_take_in_the_space_before() -> None:
    assert first_tokens(["ab", "c", "de"], [(0, 2), (2, 4), (4, 6), (6, 7)]) == [0, 1, 2]
    assert first_tokens(["ab", "c", "de"], [(0, 1), (1, 2), (3, 4), (5, 7)]) == [0, 2, 3]
    assert first_tokens(["ab", "", "c"], [(0, 2), (3, 5)]) == [0, None, 1]


def reference(generator: Generator, question: str, context: str) -> list[tuple[float, int, int]]:
    """Every span of a context by plain loops, the best first; it fits one window."""
    codec, framing = generator.codec, generator.codec.framing
    ((ids, places),) = codec.encode_with_places([context])
    row = framing.two(codec.encode(question), ids)
    with torch.no_grad():
        logits = generator.model(Sequences.of([row.ids], [row.types])).double()
    allowed = [0, *range(row.second, row.second + len(ids))]
    starts, ends = (logits[allowed, kind].log_softmax(0) for kind in (0, 1))
    spans = {}
    for first in range(len(ids)):
        for last in range(first, len(ids)):
            begin, end = places[first][0], places[last][1]
            while begin and context[begin - 1].isalnum() and context[begin].isalnum():
                begin -= 1
            while end < len(context) and context[end - 1].isalnum() and context[end].isalnum():
                end += 1
            chance = float((starts[1 + first] + ends[1 + last]).exp())
            spans[begin, end] = max(chance, spans.get((begin, end), 0.0))
    return sorted(((chance, *place) for place, chance in spans.items()), reverse=True)


def test_the_answer_is_the_likeliest_span(tmp_path: Path) -> None:
    generator, _ = opened(Answerer, tmp_path, none_threshold=1e9)
    for question, context in (("anna went to ?", TEXTS[1]), ("the city", TEXTS[4]), ("to", "parisians")):
        expected = reference(generator, question, context)
        found = [each for each in generator.answer(question, context, top=4) if not each.none]
        assert [(each.start, each.end) for each in found] == [place[1:] for place in expected[: len(found)]]
        assert [each.probability for each in found] == pytest.approx(
            [place[0] for place in expected[: len(found)]], abs=1e-5
        )
        assert all(context[each.start : each.end] == each.text for each in found)
    together = generator.answers(["anna went to ?", "the city"], [TEXTS[1], TEXTS[4]])
    alone = [generator.answer("anna went to ?", TEXTS[1])[0], generator.answer("the city", TEXTS[4])[0]]
    assert [each.text for each in together] == [each.text for each in alone]
    assert [each.probability for each in together] == pytest.approx([each.probability for each in alone], abs=1e-6)


def test_a_question_that_leaves_no_room_for_its_text_is_refused(tmp_path: Path) -> None:
    generator, _ = opened(Answerer, tmp_path)
    with pytest.raises(DaedalError, match="tokens, and this model reads"):
        generator.answer("anna went to ? " * 100, TEXTS[1])
    assert generator.answers(["anna went to ? " * 100], [TEXTS[1]])


def test_none_is_the_answer_above_the_threshold(tmp_path: Path) -> None:
    generator, _ = opened(Answerer, tmp_path, none_threshold=-1e9)
    first, second = generator.answer("anna ?", TEXTS[1], top=2)
    assert (first.none, first.text, first.start, first.end) == (True, "", 0, 0)
    assert not second.none
    generator, folder = opened(Answerer, tmp_path, none_threshold=1e9)
    assert not generator.answer("anna ?", TEXTS[1])[0].none
    assert json.loads((folder / "config.json").read_text())["daedal"] == {"none_threshold": 1e9}


def test_a_long_context_is_searched_in_windows(tmp_path: Path) -> None:
    generator, _ = opened(Answerer, tmp_path, none_threshold=1e9)
    context = "the city of rome is the city of france . " * 9
    (best,) = generator.answer("anna ?", context)
    assert best.text == context[best.start : best.end]
    room = CONTEXT - 3 - 2
    ((_, places),) = generator.codec.encode_with_places([context])
    for begin in range(0, len(places) - room + room // 2, room // 2):  # each window alone knows nothing better
        piece = context[places[begin][0] : places[min(begin + room, len(places)) - 1][1]]
        for each in generator.answer("anna ?", piece):
            assert each.probability <= best.probability + 1e-6


def test_fillings_are_those_of_transformers(tmp_path: Path) -> None:
    for architecture in ("bert", "modernbert"):
        generator, folder = opened(BERT, tmp_path, architecture)
        theirs = pipeline("fill-mask", folder, top_k=3)
        text = "the capital of [MASK] is paris"
        (found,) = generator.fill(text, top=3)
        expected = theirs(text)
        assert [each.probability for each in found] == pytest.approx([each["score"] for each in expected], abs=1e-4)
        tokens = [each["token_str"].replace("##", "") for each in expected]
        assert [each.token for each in found] == tokens
        two = generator.fill("the [MASK] of [MASK]", top=2)
        assert [len(each) for each in two] == [2, 2]
        assert two[0][0].text.endswith("of [MASK]")
        assert two[1][0].text.startswith("the [MASK] of")


def test_a_filling_goes_on_with_the_word_or_takes_the_space(tmp_path: Path) -> None:
    generator, _ = opened(BERT, tmp_path)
    fill = generator.skills["fill"]
    before, after = "paris ", " went"
    assert fill._filling(before, after, PIECES.index("##ss"), 0.5).text == "parisss went"
    assert fill._filling(before, after, PIECES.index("city"), 0.5).text == "paris city went"
    codec = marked(TextCodec.train("bpe", ["the cat sat on the mat " * 50], 290))
    ids = codec.encode("the [MASK] sat", special=True)
    assert [codec.name(id) for id in ids] == ["the", "[MASK]", " sat"]
    model = build(BERT, codec, "modernbert")
    (found,) = Generator(model, codec).fill("the [MASK] sat", top=codec.vocab_size)
    (cat,) = (each for each in found if each.token == "cat")
    assert cat.text == "the cat sat"
    assert sum(each.probability for each in found) == pytest.approx(1.0)


def test_vectors_are_means_of_the_states_that_transformers_has(tmp_path: Path) -> None:
    for model in (Embedder, BERT):
        generator, folder = opened(model, tmp_path)
        theirs = pipeline("feature-extraction", folder)
        vectors = generator.embed(TEXTS)
        for vector, states in zip(vectors, theirs(TEXTS), strict=True):
            mean = torch.nn.functional.normalize(torch.tensor(states)[0].mean(0), dim=0)
            torch.testing.assert_close(vector, mean, atol=1e-4, rtol=0)
        torch.testing.assert_close(generator.similarity(TEXTS[:2], TEXTS), vectors[:2] @ vectors.T)
        ranked = generator.rerank(TEXTS[2], TEXTS)
        assert (ranked[0].place, ranked[0].score) == (2, pytest.approx(1.0))
        assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
        ids = [generator.codec.encode(text) for text in TEXTS]
        torch.testing.assert_close(generator.embed(ids), vectors)
        assert generator.embed(TEXTS, dimensions=8).shape == (5, 8)


def test_what_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    generator, _ = opened(Classifier, tmp_path)
    with pytest.raises(
        DaedalError, match="A Classifier cannot fill in what is hidden in a text: it can classify texts"
    ):
        generator.fill("[MASK]")
    with pytest.raises(DaedalError, match="cannot answer questions about a text"):
        generator.answer("who ?", "anna")
    with pytest.raises(DaedalError, match="is no text"):
        generator.classify([3])
    with pytest.raises(DaedalError, match="A Classifier has no int4 form"):
        Generator(generator.model, generator.codec, quantize="int4")
    generator, _ = opened(BERT, tmp_path)
    with pytest.raises(DaedalError, match=r"has no \[MASK\]"):
        generator.fill("paris")
    with pytest.raises(DaedalError, match="tokens long, and the model reads 32"):
        generator.fill("[MASK] " + "paris " * 60)
    with pytest.raises(DaedalError, match="top is 0"):
        generator.fill("[MASK]", top=0)
    with pytest.raises(DaedalError, match="empty or too long"):
        generator.embed(["paris " * 60])
    with pytest.raises(DaedalError, match="There is no token 999"):
        generator.embed([[999]])
    generator, _ = opened(Answerer, tmp_path)
    with pytest.raises(DaedalError, match="A question is empty"):
        generator.answer(" ", "anna")
    with pytest.raises(DaedalError, match="A context is empty"):
        generator.answer("who ?", "")
    with pytest.raises(DaedalError, match="2 questions and 1 contexts"):
        generator.answers(["who ?", "where ?"], ["anna"])
    with torch.no_grad():
        generator.model.output.bias.fill_(float("nan"))
    with pytest.raises(DaedalError, match="not finite"):
        generator.answer("who ?", "anna")


def test_nothing_is_said_of_nothing(tmp_path: Path) -> None:
    assert opened(Classifier, tmp_path)[0].classify([]) == []
    assert opened(Tagger, tmp_path)[0].tag([]) == []
    assert opened(Tagger, tmp_path)[0].tag("") == [[]]
    assert opened(Answerer, tmp_path)[0].answers([], []) == []
    assert len(opened(Classifier, tmp_path)[0].classify("")) == 1
