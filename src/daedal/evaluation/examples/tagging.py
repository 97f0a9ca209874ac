"""How well a tagger finds what words name: precision, recall and F1 of whole entities, and how many words are tagged right."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.entities import Span, counts, iob2, plain, precision, recall, spans
from daedal.evaluation.measures.label_sets import label_f1, micro_f1
from daedal.evaluation.predictors.usual_tag import UsualTag
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

Array = np.ndarray
_MISTAKES = 12


class Tagging(ExampleEvaluator):
    """Tags of words beside the right ones, and beside each word's usual tag."""

    needs, columns = frozenset({"tag"}), frozenset({"words", "tags"})
    passes = 1.2

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        """The spans of words that are named."""
        found = generator.tag_words(examples["words"])
        return [spans([each.tag for each in sentence]) for sentence in found]

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, said = self.answers(subject, within, tell, "tagging held-out sentences")
        classes = plain(examples["tags"])
        own, about = _Judged(examples, said, classes), subject.about
        baselines = []
        if subject.train is not None:
            usual = UsualTag.fit(subject.train["words"], subject.train["tags"])
            judged = _Judged(examples, [spans(tags) for tags in usual(examples["words"])], classes)
            why = "each word's most frequent tag, whatever stands beside it"
            measured = judged.measurements({**about, "model_hash": ""}, subject.asked.seed, "usual-tag")
            baselines.append(Baseline(name="usual tag", why=why, measurements=measured))
        quantity, name = ("token-accuracy", "Words with the right tag") if classes else ("entity-f1", "F1 of entities")
        of = f"{name} in the {examples.name} sentences, more is better"
        blocks: list[Block] = [Ranking(quantity=quantity, of=of), own.types(), own.mistakes(examples)]
        tell(0.95, "looking for copies")
        known = copies(subject, examples, lambda some: [" ".join(words) for words in some["words"]])
        measured = own.measurements(about, subject.asked.seed)
        return Findings(measured, tuple(baselines), tuple(blocks)) + without_copies(
            known, "sentences", lambda kept: own.headline(kept, about, subject.asked.seed)
        )


class _Judged:
    """Sentences whose tags were judged; of classes of words (parts of speech) only the words are counted."""

    def __init__(self, examples: Examples, said: Sequence[Sequence[Span]], classes: bool) -> None:
        self.classes = classes
        self.right = [spans(tags) for tags in examples["tags"]]
        self.said = list(said)
        self.kinds = sorted({span.type for each in (*self.right, *self.said) for span in each})
        self.table = counts(self.right, self.said, self.kinds)
        sizes = [len(words) for words in examples["words"]]
        pairs = zip(self.right, self.said, sizes, strict=True)
        self.hits = np.array([_same(true, found, size, classes) for true, found, size in pairs], dtype=np.float64)
        self.sizes = np.array(sizes, dtype=np.float64)

    def measurements(self, about: dict[str, Any], seed: int, predictor: str = "tagger") -> tuple[Measurement, ...]:
        every = np.ones(len(self.sizes), dtype=bool)
        words = self._words(every, about, predictor)
        if self.classes:
            return (words,)
        how = {"scheme": "conlleval", "predictor": predictor}
        common: dict[str, Any] = {
            "unit": "", "n": len(self.sizes), "pieces": "sentences", "better": "higher", "seed": seed, **about,
        }  # fmt: skip
        parts = (
            ("precision of entities", "entity-precision", precision),
            ("recall of entities", "entity-recall", recall),
        )
        return (
            self._f1(every, about, seed, predictor),
            *(
                Measurement(
                    name=name, value=float(of(self.table.sum(0, keepdims=True))[0]),
                    interval=bootstrap(self.table, of, seed=seed), interval_method=method("sentences"),
                    definition=define(quantity, 1, **how), **common,
                )
                for name, quantity, of in parts
            ),
            words,
        )  # fmt: skip

    def headline(self, kept: Bool[Array, " n"], about: dict[str, Any], seed: int) -> Measurement:
        return self._words(kept, about, "tagger") if self.classes else self._f1(kept, about, seed, "tagger")

    def _f1(self, kept: Bool[Array, " n"], about: dict[str, Any], seed: int, predictor: str) -> Measurement:
        table = self.table[kept]
        return Measurement(
            name="F1 of entities", value=float(micro_f1(table.sum(0, keepdims=True))[0]), unit="", n=len(table),
            pieces="sentences", interval=bootstrap(table, micro_f1, seed=seed), interval_method=method("sentences"),
            definition=define("entity-f1", 1, scheme="conlleval", predictor=predictor), better="higher", seed=seed, **about,
        )  # fmt: skip

    def _words(self, kept: Bool[Array, " n"], about: dict[str, Any], predictor: str) -> Measurement:
        hits, sizes = self.hits[kept], self.sizes[kept]
        return Measurement(
            name="words with the right tag", unit="", n=int(sizes.sum()), pieces="words", better="higher",
            definition=define("token-accuracy", 1, predictor=predictor), **share_of_pieces(hits, sizes, "sentences"), **about,
        )  # fmt: skip

    def types(self) -> Table:
        """Each type, the worst first."""
        sums = self.table.sum(0, keepdims=True)
        _, said, true = np.split(sums[0], 3)
        scores = label_f1(sums)[0]
        rows = tuple(
            (self.kinds[at], int(true[at]), int(said[at]), float(scores[at]))
            for at in np.argsort(scores, kind="stable")
        )
        return Table(title="By type", says="The worst first.", head=("type", "there", "said", "F1"), rows=rows)

    def mistakes(self, examples: Examples) -> Table:
        """The first spans that are missed or made up."""
        rows: list[tuple[str, str, str]] = []
        for words, true, found in zip(examples["words"], self.right, self.said, strict=True):
            for span in sorted(set(true) ^ set(found), key=lambda each: each[1:]):
                named = " ".join(words[span.first : span.last + 1])
                what = f"{span.type}, missed" if span in true else f"{span.type}, said"
                begin, end = max(0, span.first - 4), span.last + 5
                rows.append((named[:60], what, " ".join(words[begin:end])[:120]))
            if len(rows) >= _MISTAKES:
                break
        head = ("words", "type", "where")
        return Table(title="Mistakes", says="The first ones, not chosen.", head=head, rows=tuple(rows[:_MISTAKES]))


def _same(true: Sequence[Span], found: Sequence[Span], size: int, classes: bool) -> int:
    """How many words have the right tag, in IOB2 whatever the scheme of the data; of classes, the right class."""
    one, other = iob2(true, size), iob2(found, size)
    if classes:
        one, other = [tag[2:] for tag in one], [tag[2:] for tag in other]
    return sum(a == b for a, b in zip(one, other, strict=True))
