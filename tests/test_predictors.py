"""The simple predictors that models must beat: they learn what they can learn, and nothing of them is left to chance."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from daedal.evaluation.predictors.bigram_classifier import BigramClassifier
from daedal.evaluation.predictors.lexicon import Lexicon
from daedal.evaluation.predictors.sliding_window import answer
from daedal.evaluation.predictors.tfidf import TfIdf
from daedal.evaluation.predictors.usual_tag import UsualTag
from daedal.evaluation.predictors.words import words

NEUTRAL = "it film plot seems of the in a as with".split()  # noqa: SIM905


def reviews(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Texts of two classes that only a pair of words tells: `not good` and `not bad`."""
    drawn = random.Random(seed)
    classes = np.array([drawn.random() < 0.5 for _ in range(count)])
    texts = []
    for good in classes:
        said = drawn.choices(NEUTRAL, k=6)
        phrases = ("not bad", "good") if good else ("not good", "bad")
        texts.append(" ".join([*said[:3], *phrases, *said[3:]]))
    return texts, classes


def test_bigrams_tell_what_words_do_not() -> None:
    texts, good = reviews(300, 0)
    others, truth = reviews(200, 1)
    model = BigramClassifier.fit(texts, np.stack([~good, good], axis=1))
    assert (model.scores(others).argmax(1) == truth).all()
    assert model.probabilities(others).sum(1) == pytest.approx(np.ones(200))
    again = BigramClassifier.fit(texts, np.stack([~good, good], axis=1))
    assert (again.weights == model.weights).all()


def test_many_classes_and_sets_of_them_are_learned_one_against_the_others() -> None:
    drawn = random.Random(0)
    labels = np.array([[drawn.random() < 0.4 for _ in range(3)] for _ in range(200)])
    names = ["red", "green", "blue"]
    texts = [
        " ".join([*(n for n, has in zip(names, row, strict=True) if has), *drawn.choices(NEUTRAL, k=4)])
        for row in labels
    ]
    model = BigramClassifier.fit(texts, labels)
    assert ((model.chances(texts) > 0.5) == labels).all()
    assert model.scores(["", "nothing that is known"]).shape == (2, 3)


def test_the_answer_is_the_span_whose_surroundings_share_most_with_the_question() -> None:
    context = (
        "The Broncos beat Carolina in the final. The game was played at Levi's Stadium in Santa Clara. "
        "Beyoncé sang in the break of the game."
    )
    assert answer("Who sang in the break?", context) == "Beyoncé"
    assert answer("In which stadium was the game played at?", context) == "Santa Clara"
    assert answer("Who?", "") == answer("", "the of and") == ""
    assert answer("Who?", context) in context


def test_a_word_has_its_usual_tag_and_an_unseen_one_none_or_the_usual_class() -> None:
    seen = [["Paris", "is", "Paris"], ["Paris", "sings"]]
    named = UsualTag.fit(seen, [["B-LOC", "O", "B-LOC"], ["B-PER", "O"]])
    assert named([["Paris", "shines"]]) == [["B-LOC", "O"]]
    classed = UsualTag.fit(seen, [["NOUN", "VERB", "NOUN"], ["NOUN", "VERB"]])
    assert classed([["sings", "London"]]) == [["VERB", "NOUN"]]


def test_tf_idf_is_scikit_learns() -> None:
    texts = ["the cat sat on the mat", "a dog sat", "the end of the day", "cat and dog and cat"]
    model, peer = TfIdf.fit(texts), TfidfVectorizer(tokenizer=words, lowercase=False, token_pattern=None).fit(texts)
    asked = ["cat and mat", "something else", "the dog"]
    assert model.similarity(asked, texts).numpy() == pytest.approx(
        (peer.transform(asked) @ peer.transform(texts).T).toarray()
    )
    assert model.paired(asked, texts[:3]) == pytest.approx(np.diag(model.similarity(asked, texts[:3]).numpy()))


def test_a_lexicon_is_learned_from_pairs_and_keeps_the_order_of_the_source() -> None:
    known = {"dog": "Hund", "cat": "Katze", "sees": "sieht", "the": "die", "a": "eine", "green": "grüne"}
    drawn = random.Random(0)
    sources = [" ".join(drawn.choices(list(known), k=drawn.randint(2, 5))) + "." for _ in range(150)]
    targets = [" ".join(known[word] for word in text[:-1].split()[::-1]) + "." for text in sources]
    lexicon = Lexicon.fit(sources, targets)
    assert lexicon(["the green dog sees a zebra."]) == ["die grüne Hund sieht eine zebra."]
    whole = Lexicon.fit(sources, [text.capitalize() for text in targets])
    assert whole(["the green cat."]) == ["Die grüne katze."]
    assert Lexicon.fit(sources, targets).best == lexicon.best
    assert lexicon([""]) == [""]


def test_of_long_pairs_the_lexicon_learns_from_as_many_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.evaluation.predictors.lexicon._MOST_CELLS", 100)
    lexicon = Lexicon.fit(["a b c"] * 50, ["d e f"] * 50)
    assert lexicon.pairs == 8  # of 4 by 3 words each, "none" being one
    assert Lexicon.fit(["a b c " * 40], ["d e f " * 40]).pairs == 1
