"""How well a translator translates: BLEU and chrF as sacreBLEU has them, beside copying and a lexicon; by length, and whether
it writes what it has not read."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import buckets, short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures import bleu, chrf
from daedal.evaluation.measures.novel_ngrams import ORDER, novel_ngrams
from daedal.evaluation.predictors import lexicon
from daedal.evaluation.predictors.lexicon import Lexicon
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

Array = np.ndarray
BEAMS = 4
_SHOWN = 6
_SEARCHED_PAIRS = 500_000
_SECONDS_PER_SEARCHED_PAIR = 4.5e-5  # on one core of 2023
_SEARCHING, _LEARNING = 0.15, 0.25  # of the time


class Translating(ExampleEvaluator):
    """Translations of held-out texts by beam search."""

    needs, columns = frozenset({"translate"}), frozenset({"source", "target"})
    sizes: ClassVar[Sequence[int]] = (50, 100, 250, 500, 1000, 2500, 5000)
    passes = 12.0  # each word of a translation is a pass of the decoder over all beams

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        """The translations; of a text that is too long that of what the model can read of it."""
        sources = [_readable(generator, text) for text in examples["source"]]
        return [each.text for each in generator.translate(sources, beams=BEAMS)]

    def rest(self, subject: ExampleSubject) -> float:
        if subject.train is None:
            return 1.0
        return 1.0 + len(subject.train) * (_learning(subject.train) + _SECONDS_PER_SEARCHED_PAIR)

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, said = self.answers(subject, within, tell, "translating held-out texts")
        right, about, seed = examples["target"], subject.about, subject.asked.seed
        own = Translations(said, right)
        measured = own.measurements(about, seed, f"beams={BEAMS}")
        silent = {**about, "model_hash": ""}
        copied = Translations(examples["source"], right).measurements(silent, seed, "predictor=copy")
        baselines = [Baseline(name="copying", why="the source as it is", measurements=copied)]
        each = 0.0 if subject.train is None else _learning(subject.train)
        train = subject.learned(_LEARNING * within, each, lexicon.MOST_PAIRS)
        if train is not None:
            learned = Lexicon.fit(train["source"], train["target"])
            how = f"predictor=ibm-model-1,trained-on={learned.pairs}-pairs"
            by_word = Translations(learned(examples["source"]), right).measurements(silent, seed, how)
            why = "each word's likeliest translation, in the order of the source (IBM Model 1, Brown et al. 1993)"
            baselines.append(Baseline(name="word by word", why=why, measurements=by_word))
        searched = subject.learned(_SEARCHING * within, _SECONDS_PER_SEARCHED_PAIR, _SEARCHED_PAIRS)
        if searched is not None:
            measured += _novel(said, right, searched["target"], about)
        of = f"BLEU of the {examples.name} pairs, more is better"
        ranking = Ranking(quantity="bleu", of=of)
        blocks: list[Block] = [
            ranking,
            *_cut(subject.generator, examples),
            own.by_length(examples),
            _first(examples, said),
        ]
        tell(0.95, "looking for copies")
        known = copies(subject, examples, lambda some: some["source"])
        return Findings(
            measured, tuple(baselines), tuple(blocks), sampling={"method": "beam", "beams": BEAMS}
        ) + without_copies(known, "sources", lambda kept: own.bleu(kept, about, seed, f"beams={BEAMS}"))


class Translations:
    """Translations and references, counted sentence by sentence."""

    def __init__(self, said: Sequence[str], right: Sequence[str]) -> None:
        self.words, self.characters = bleu.counts(said, right), chrf.counts(said, right)

    def measurements(self, about: dict[str, Any], seed: int, how: str) -> tuple[Measurement, ...]:
        """BLEU and chrF; their definitions hold sacreBLEU's signatures."""
        every = np.ones(len(self.words), dtype=bool)
        return self.bleu(every, about, seed, how), self._measure(
            "chrF", f"chrf/v1@{how},signature={chrf.signature()}", self.characters, chrf.chrf, about, seed
        )

    def bleu(self, kept: Any, about: dict[str, Any], seed: int, how: str) -> Measurement:
        return self._measure(
            "BLEU", f"bleu/v1@{how},signature={bleu.signature()}", self.words[kept], bleu.bleu, about, seed
        )

    def _measure(
        self, name: str, definition: str, table: Float[Array, "n counts"], score: Any, about: dict[str, Any], seed: int
    ) -> Measurement:
        return Measurement(
            name=name, value=float(score(table.sum(0, keepdims=True))[0]), unit="", n=len(table), pieces="pairs",
            interval=bootstrap(table, score, seed=seed), interval_method=method("pairs"), definition=definition,
            better="higher", seed=seed, **about,
        )  # fmt: skip

    def by_length(self, examples: Examples) -> Table:
        rows = []
        for name, inside in buckets([len(text.split()) for text in examples["source"]]):
            scores = (
                float(score(table[inside].sum(0, keepdims=True))[0])
                for table, score in ((self.words, bleu.bleu), (self.characters, chrf.chrf))
            )
            rows.append((name, len(inside), *scores))
        head = ("length", "pairs", "BLEU", "chrF")
        return Table(title="By length of the source", says="In words.", head=head, rows=tuple(rows))


def _readable(generator: Generator, text: str) -> str:
    """A text, or as many of its words as fit into the model's context."""
    room = int(generator.model.config.context) - 2  # its end, and a space that a tokenizer puts before it
    if len(generator.codec.encode(text)) <= room:
        return text
    words = generator.codec.decode(generator.codec.encode(text)[:room]).split()
    while words and len(generator.codec.encode(" ".join(words))) > room:
        words.pop()
    return " ".join(words)


def _cut(generator: Generator, examples: Examples) -> list[Note]:
    """How many sources are longer than that."""
    count = sum(_readable(generator, text) != text for text in examples["source"])
    told = f"{count:,} sources are longer than the model's context: of these the beginning is translated"
    return [Note(brief=told)] if count else []


def _learning(train: Examples) -> float:
    """Seconds that the lexicon takes for a pair."""
    return lexicon.SECONDS_PER_CELL * lexicon.cells_of_a_pair(train["source"], train["target"])


def _novel(
    said: Sequence[str], right: Sequence[str], train: Sequence[str], about: dict[str, Any]
) -> tuple[Measurement, ...]:
    """The share of the references' 4-grams that no training target has, which the translations have."""
    hits, totals = novel_ngrams(said, right, train)
    if not totals.sum():
        return ()
    return (
        Measurement(
            name=f"{ORDER}-grams right that training has not", unit="", n=int(totals.sum()), pieces=f"{ORDER}-grams",
            definition=define("novel-ngram-recall", 1, order=ORDER, searched=f"{len(train)}-targets"), better="higher",
            **share_of_pieces(hits, totals, "pairs"), **about,
        ),
    )  # fmt: skip


def _first(examples: Examples, said: Sequence[str]) -> Table:
    """The first translations, not chosen."""
    rows = tuple(
        (short(source), short(text), short(right))
        for source, text, right in list(zip(examples["source"], said, examples["target"], strict=True))[:_SHOWN]
    )
    head = ("source", "the model says", "reference")
    return Table(title="What it writes", says="The first ones, not chosen.", head=head, rows=rows)
