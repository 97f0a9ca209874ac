"""A model of examples with columns is measured beside simple predictors, on its own data or on any files of its kind."""

import json
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import daedal
from daedal.data.any_build import build_any
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Table
from daedal.evaluation.card import model_card
from daedal.evaluation.evaluate import applicable, evaluate, expected_seconds, subject_of
from daedal.evaluation.evaluator import NotMeasurable
from daedal.evaluation.kinds.examples import LabelledSubject, held_out
from daedal.evaluation.page import report_page
from daedal.evaluation.report import Report
from daedal.evaluation.terminal import render
from daedal.models.answerer import Answerer, AnswererConfig
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder, EmbedderConfig
from daedal.models.tagger import Tagger, TaggerConfig
from daedal.models.translator import Translator, TranslatorConfig
from stand_ins import StandIn, classifies, embeds, tiny

WORDS = "meadow harbour engine winter river copper garden signal market window lantern valley".split()  # noqa: SIM905
GOOD, BAD = ("fine", "splendid", "lovely"), ("dull", "dreadful", "poor")


def review(good: bool, seed: int) -> str:
    drawn = random.Random(seed)
    said = drawn.choices(WORDS, k=drawn.randint(4, 14))
    said.insert(drawn.randrange(len(said)), drawn.choice(GOOD if good else BAD))
    return " ".join(said)


def truth(text: str) -> str:
    return "1" if any(word in text for word in GOOD) else "0"


def shown(report: Report) -> str:
    """What all renderers make of a report, none of which may fail."""
    console = Console(width=160, record=True, file=None, force_terminal=False, quiet=True)
    console.print(render(report))
    assert "<h1>" in report_page(report)
    assert Report.model_validate_json(report.model_dump_json()).measurements == report.measurements
    return model_card(report) + report.summary()


def values(report: Report) -> dict[str, float]:
    return {each.quantity.split("/")[0]: each.value for each in report.measurements}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("labelled")
    rows = {
        "train": [(review(seed % 2 == 0, seed), seed % 2 == 0) for seed in range(300)],
        "dev": [(review(seed % 2 == 0, 1000 + seed), seed % 2 == 0) for seed in range(120)],
    }
    rows["dev"][0] = (f"{rows['train'][0][0]}!", True)  # a copy that is none by the letter: builds leave those out
    for split, of in rows.items():
        (folder / f"{split}.tsv").write_text("".join(f"{text}\t{int(good)}\n" for text, good in of))
    return build_any(
        [folder], folder / "data", "labelled", {"codec": "byte", "near_duplicates": "off", "exact_duplicates": False}
    )


@pytest.fixture(scope="module")
def classifier() -> StandIn:
    model, codec = tiny(Classifier, ClassifierConfig, labels=("0", "1"))
    # right, but for long texts
    return StandIn(model, codec, classify=classifies(lambda text: truth(text) if len(text) < 80 else "0", ("0", "1")))


def test_a_classifier_is_measured_beside_the_majority_and_bigrams(classifier: StandIn, reviews: Any) -> None:
    report = evaluate(classifier, reviews.folder)
    held = reviews.split("validation")
    right = [
        classifier.classify([text])[0].label == label
        for text, label in zip(held.values("text"), held.values("label"), strict=True)
    ]
    found = values(report)
    assert found["accuracy"] == pytest.approx(np.mean(right))
    assert report.measured("accuracy").n == 120
    assert 0 < found["macro-f1"] < 1
    assert found["brier-score"] == pytest.approx(np.mean([0.02 if hit else 1.62 for hit in right]))
    assert found["expected-calibration-error"] == pytest.approx(abs(np.mean(right) - 0.9), abs=0.1)
    ranking = dict(report.ranking("accuracy"))
    assert ranking.keys() == {"this model", "majority", "naive-Bayes bigrams"}
    assert ranking["naive-Bayes bigrams"].value > 0.95
    assert ranking["majority"].value == pytest.approx(0.5, abs=0.01)
    titles = {block.title: block for block in report.blocks if isinstance(block, Table)}
    matrix = titles["Which classes are mistaken for which"].rows
    assert sum(int(count) for row in matrix for count in row[1:]) == 120
    mistakes = titles["The most confident mistakes"].rows
    assert all(row[1] != row[2] for row in mistakes)
    assert "accuracy" in shown(report)


def test_texts_that_training_has_are_counted_and_left_out_of_a_second_number(classifier: StandIn, reviews: Any) -> None:
    report = evaluate(classifier, reviews.folder)
    assert report.measured("accuracy-without-copies").n == 119
    assert "1 of 120 held-out texts stand in the training text" in report.summary()


def test_any_file_of_its_kind_will_do_and_classes_that_the_model_does_not_know_are_told(
    classifier: StandIn, tmp_path: Path
) -> None:
    rows = [f"{review(seed % 2 == 0, seed)}\t{int(seed % 2 == 0)}" for seed in range(30)]
    rows += [f"{review(True, seed)}\tneither" for seed in range(50, 60)]
    (tmp_path / "reviews.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    report = evaluate(classifier, tmp_path / "reviews.tsv")
    assert report.data.says == "reviews.tsv: 40 texts"
    assert report.measured("accuracy").value <= 0.75
    assert "10 texts are of a class that the model does not know ('neither')" in report.summary()
    assert [each.name for each in report.baselines] == ["majority"]


def test_files_without_labels_or_with_others_are_refused_in_a_line(classifier: StandIn, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("Only some text.\n" * 20)
    with pytest.raises(DaedalError, match="cannot be measured on"):
        evaluate(classifier, tmp_path / "plain.txt")
    (tmp_path / "others.tsv").write_text(
        "text\tlabel\n" + "".join(f"{review(True, s)}\t{'ab'[s % 2]}\n" for s in range(40))
    )
    with pytest.raises(DaedalError, match="'a', 'b', and the model tells '0', '1'"):
        evaluate(classifier, tmp_path / "others.tsv")


def test_data_of_another_kind_is_refused_in_a_line(classifier: StandIn, translations: Any) -> None:
    with pytest.raises(DaedalError, match=r"measured on texts .* holds pairs"):
        evaluate(classifier, translations.folder)


def test_less_is_measured_where_there_is_less_time_and_the_same_again_by_one_seed(
    classifier: StandIn, reviews: Any
) -> None:
    subject = LabelledSubject.of(classifier.model, reviews, 5.0, forward=0.02)
    assert 1.0 < expected_seconds(subject) < 6.0
    assert subject_of(classifier.model) == "labelled"
    (evaluator,), missing = applicable(subject)
    assert (evaluator.count(subject, 4.0), missing) == (100, ())
    some = subject.take(50)
    assert some.fingerprint == subject.take(50).fingerprint != subject.held.fingerprint


def test_several_labels_are_measured_as_sets(tmp_path: Path) -> None:
    moods = ("joy", "anger", "fear")
    drawn = random.Random(0)
    rows = []
    for seed in range(240):
        has = [mood for mood in moods if drawn.random() < 0.4]
        rows.append({"text": f"{' '.join(drawn.choices(WORDS, k=5))} {' '.join(has)} {seed}", "labels": has})
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = build_any(
        [tmp_path / "moods.jsonl"],
        tmp_path / "data",
        "labelled",
        {"codec": "byte", "split": (60, 40, 0), "near_duplicates": "off"},
    )
    model, codec = tiny(Classifier, ClassifierConfig, labels=tuple(sorted(moods)), problem="several")

    def classify(texts: Any) -> list[Any]:
        sets = [tuple(mood for mood in moods if mood in text and mood != "fear") for text in texts]
        return [
            SimpleNamespace(
                label="joy", labels=has, value=None, probabilities={mood: 0.9 * (mood in has) for mood in moods}
            )
            for has in sets
        ]

    report = evaluate(StandIn(model, codec, classify=classify), data.folder)
    found = values(report)
    assert found["macro-f1"] == pytest.approx(2 / 3)
    assert found["micro-f1"] < 1.0
    assert found["subset-accuracy"] < 1.0
    assert dict(report.ranking("micro-f1"))["naive-Bayes bigrams"].value > found["micro-f1"]
    assert "The labels" in shown(report)


def test_numbers_are_measured_by_their_error_and_correlations(tmp_path: Path) -> None:
    rows = [{"text": f"{review(True, seed)} {seed / 7:.3f}", "score": seed / 7} for seed in range(200)]
    (tmp_path / "scores.jsonl").write_text("\n".join(map(json.dumps, rows)))
    how = {
        "codec": "byte",
        "split": (60, 40, 0),
        "near_duplicates": "off",
        "label": "number",
        "column": ("label=score",),
    }
    data = build_any([tmp_path / "scores.jsonl"], tmp_path / "data", "labelled", how)
    model, codec = tiny(Classifier, ClassifierConfig, labels=("number",), problem="number")

    def classify(texts: Any) -> list[Any]:
        return [SimpleNamespace(value=2 * float(text.split()[-1]) + 1, probabilities={}) for text in texts]

    report = evaluate(StandIn(model, codec, classify=classify), data.folder)
    found = values(report)
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(1.0)
    truth = np.array(data.split("validation").values("label"), dtype=float)
    assert found["mean-absolute-error"] == pytest.approx((truth + 1).mean(), rel=1e-3)
    assert dict(report.ranking("mean-absolute-error")).keys() == {"this model", "mean"}
    assert "The largest mistakes" in shown(report)


def test_an_answerer_is_measured_as_squad_is_beside_a_sliding_window(tmp_path: Path) -> None:
    paragraphs = []
    for number in range(24):
        context = f"The {WORDS[number % 12]} mill number {number} stands in Grüntal{number}. A road leads to it."
        answers = [{"text": f"Grüntal{number}", "answer_start": context.index("Grüntal")}]
        asked = [
            {"question": f"Where does mill number {number} stand?", "answers": answers, "is_impossible": False},
            {"question": f"Who owns mill {number}?", "answers": [], "is_impossible": True},
        ]
        paragraphs.append({"context": context, "qas": asked})
    (tmp_path / "squad.json").write_text(
        json.dumps({"version": "v2.0", "data": [{"title": "A", "paragraphs": paragraphs}]})
    )
    model, codec = tiny(Answerer, AnswererConfig)

    def answers_(questions: Any, contexts: Any) -> list[Any]:
        said = [
            context.split("in ")[1].split(".")[0] if "Where" in q or "7" in q else ""
            for q, context in zip(questions, contexts, strict=True)
        ]
        return [SimpleNamespace(text=text, none=not text, probability=0.8) for text in said]

    report = evaluate(StandIn(model, codec, answers=answers_), tmp_path / "squad.json")
    found = values(report)
    assert found["exact-match-answered"] == 100.0
    assert found["exact-match-unanswerable"] == pytest.approx(100 * 22 / 24)
    assert found["answer-f1"] == found["exact-match"] == pytest.approx(100 * 46 / 48)
    assert found["answerability-accuracy"] == pytest.approx(46 / 48)
    low, high = report.measured("exact-match").interval or (0, 0)
    assert low < 100 * 46 / 48 < high <= 100
    ranking = dict(report.ranking("answer-f1"))
    assert ranking.keys() == {"this model", "sliding window", "no answer"}
    assert ranking["no answer"].value == 50.0
    assert "questions" in shown(report)


def test_a_tagger_is_measured_by_whole_entities_beside_the_usual_tag(tmp_path: Path) -> None:
    def sentences(count: int, begin: int) -> str:
        lines = []
        for row in range(begin, begin + count):
            name = f"Ann{row % 9}"
            lines += [
                f"{WORDS[row % 12]} O",
                f"{row} O",
                f"{name} B-PER",
                "Green I-PER",
                "of O",
                f"Hill{row} B-LOC",
                "",
            ]
        return "\n".join(lines) + "\n"

    for split, count, begin in (("train", 60, 0), ("dev", 30, 100)):
        (tmp_path / f"{split}.conll").write_text(sentences(count, begin))
    data = build_any([tmp_path], tmp_path / "data", "tagged", {"codec": "byte", "near_duplicates": "off"})
    model, codec = tiny(Tagger, TaggerConfig, labels=("O", "B-PER", "I-PER", "B-LOC"))

    def tag_words(sentences: Any) -> list[Any]:
        tags = {"Ann": "B-PER", "Gre": "I-PER", "Hil": "B-LOC"}
        named = [[tags.get(word[:3], "O") for word in words] for words in sentences]
        return [
            [SimpleNamespace(tag="O" if word == "Ann3" else tag) for word, tag in zip(words, row, strict=True)]
            for words, row in zip(sentences, named, strict=True)
        ]

    report = evaluate(StandIn(model, codec, tag_words=tag_words), data.folder)
    found = values(report)
    wrong = sum(words[2] == "Ann3" for words in data.split("validation").values("words"))
    assert wrong
    assert found["entity-recall"] == pytest.approx(1 - wrong / 60)
    assert found["entity-precision"] == pytest.approx((60 - wrong) / 60)
    assert found["token-accuracy"] == pytest.approx(1 - 2 * wrong / 180)  # Green is the first of its name then
    assert 0 < dict(report.ranking("entity-f1"))["usual tag"].value < found["entity-f1"]
    assert "By type" in shown(report)


@pytest.fixture(scope="module")
def translations(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pairs")
    for split, count, begin in (("train", 150, 0), ("val", 60, 1000)):
        drawn = random.Random(begin)
        sources = [" ".join(drawn.choices(WORDS, k=drawn.randint(3, 9))) for _ in range(count)]
        (folder / f"{split}.en").write_text("\n".join(sources) + "\n")
        (folder / f"{split}.de").write_text(
            "\n".join(" ".join(f"{word}en" for word in each.split()) for each in sources) + "\n"
        )
    how = {"codec": "byte", "near_duplicates": "off", "exact_duplicates": False, "column": ("source=en", "target=de")}
    return build_any([folder], folder / "data", "pairs", how)


def test_a_translator_is_measured_as_sacrebleu_does_beside_copying_and_a_lexicon(translations: Any) -> None:
    codec = tiny(Embedder, EmbedderConfig)[1]
    shape = {"width": 16, "depth": 1, "decoder_depth": 1, "heads": 2, "head_width": 8, "mlp_width": 32, "context": 64}
    model = Translator(TranslatorConfig(vocab_size=codec.vocab_size, **shape))

    def translate(texts: Any, beams: int) -> list[Any]:
        return [
            SimpleNamespace(text=" ".join("x" if w == "river" else f"{w}en" for w in text.split())) for text in texts
        ]

    report = evaluate(StandIn(model, codec, translate=translate), translations.folder)
    found = values(report)
    assert 20 < found["bleu"] < 100
    assert found["bleu"] < found["chrf"]
    assert "signature=nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in report.measured("bleu").definition
    assert 0 < found["novel-ngram-recall"] < 1
    ranking = dict(report.ranking("bleu"))
    assert ranking.keys() == {"this model", "copying", "word by word"}
    assert ranking["word by word"].value == pytest.approx(100.0)
    assert ranking["copying"].value == 0.0
    card = shown(report)
    assert "By length of the source" in card
    table = [line for line in card.splitlines() if "`bleu/v1@" in line]
    assert [re.sub(r"\\\|", "", line).count("|") for line in table] == [6] * len(
        table
    )  # the signature's are no borders


def test_sources_that_are_too_long_are_cut_and_told(tmp_path: Path) -> None:
    rows = [{"source": " ".join(WORDS[:n]), "target": " ".join(WORDS[:n])} for n in range(2, 13)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    codec = tiny(Embedder, EmbedderConfig)[1]
    shape = {"width": 16, "depth": 1, "decoder_depth": 1, "heads": 2, "head_width": 8, "mlp_width": 32, "context": 40}
    model = Translator(TranslatorConfig(vocab_size=codec.vocab_size, **shape))

    def translate(texts: Any, beams: int) -> list[Any]:
        assert all(len(text) <= 38 for text in texts)
        return [SimpleNamespace(text=text) for text in texts]

    report = evaluate(StandIn(model, codec, translate=translate), tmp_path / "pairs.jsonl")
    long = sum(len(row["source"]) > 38 for row in rows)
    assert f"{long} sources are longer than the model's context" in report.summary()


def test_an_embedder_finds_partners_beside_tf_idf_and_chance(translations: Any) -> None:
    model, codec = tiny(Embedder, EmbedderConfig)
    report = evaluate(StandIn(model, codec, embed=embeds(codec)), translations.folder)
    found = values(report)
    assert found["recall-at-1"] > 0.5
    assert found["recall-at-1"] <= found["recall-at-5"] <= found["recall-at-10"]
    ranking = dict(report.ranking("mean-reciprocal-rank"))
    assert ranking.keys() == {"this model", "tf-idf", "chance"}
    assert ranking["tf-idf"].value < ranking["chance"].value < 0.1  # they share no word: the right one is always last
    assert "sentence-similarity" in shown(report)


def test_an_embedder_agrees_with_scores_where_pairs_have_them(tmp_path: Path) -> None:
    drawn = random.Random(0)
    rows = []
    for _ in range(120):
        words, kept = drawn.choices(WORDS, k=8), drawn.randint(0, 8)
        other = words[:kept] + drawn.choices(WORDS, k=8 - kept)
        rows.append({"sentence1": " ".join(words), "sentence2": " ".join(other), "score": kept / 2})
    (tmp_path / "sts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    how = {"codec": "byte", "split": (50, 50, 0), "near_duplicates": "off"}
    data = build_any([tmp_path / "sts.jsonl"], tmp_path / "data", "pairs", how)
    model, codec = tiny(Embedder, EmbedderConfig)
    report = evaluate(StandIn(model, codec, embed=embeds(codec)), data.folder)
    assert values(report)["spearman"] > 0.6
    assert dict(report.ranking("spearman"))["tf-idf"].value > 0.6
    assert shown(report)


def test_what_holds_out_nothing_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "few.tsv").write_text("".join(f"{review(True, s)}\t{s % 2}\n" for s in range(30)))
    data = build_any([tmp_path / "few.tsv"], tmp_path / "data", "labelled", {"codec": "byte", "split": (1, 0, 0)})
    with pytest.raises(NotMeasurable, match="holds out no texts"):
        held_out(data)


def test_a_run_is_measured_when_it_ends_on_what_its_data_hold_out(reviews: Any, tmp_path: Path) -> None:
    shape = {"width": 16, "depth": 1, "heads": 2, "context": 64}
    told = daedal.train(
        "classifier", data=reviews.folder, out=tmp_path / "run", steps=6, batch=8, micro_batch=8, **shape
    )
    report = Report.read(tmp_path / "run")
    assert report.measured("accuracy").n == 120
    assert report.data.trained == "300 texts"
    assert {each.name for each in report.baselines} == {"majority", "naive-Bayes bigrams"}
    assert "Accuracy on the validation texts" in told.text
    again = daedal.evaluate(tmp_path / "run")
    assert again.measurements == report.measurements
    file = tmp_path / "one.tsv"
    file.write_text("text\tlabel\n" + "".join(f"{review(s % 2 == 0, s)}\t{int(s % 2 == 0)}\n" for s in range(20)))
    assert daedal.evaluate(tmp_path / "run", file).measured("accuracy").n == 20


def test_nothing_in_texts_and_labels_breaks_out_of_a_report(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script> | `code` ![x](http://evil) \x1b[31m **bold**"
    labels = ("<b>|one|</b>", "two `x`")
    rows = [{"text": f"{bad} number {seed}", "label": labels[seed % 2]} for seed in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model, codec = tiny(Classifier, ClassifierConfig, labels=labels)
    report = evaluate(
        StandIn(model, codec, classify=classifies(lambda text: labels[0], labels)), tmp_path / "rows.jsonl"
    )
    card, page = model_card(report), report_page(report)
    assert "<script>" not in page
    assert "<b>|" not in page
    assert "\x1b" not in card + page + report.summary()
    body = card.split("## The most confident mistakes")[1].split("##")[0]
    table = [re.sub(r"\\.", "", line) for line in body.splitlines() if line.startswith("|")]
    assert len(table) > 2
    assert {line.count("|") for line in table} == {5}
    assert not any(mark in line for line in table for mark in "<`*[")
