"""Whether texts that belong together have vectors that are near: finding the partner among all others, and agreeing with people
on how alike two texts are."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.regression import correlations
from daedal.evaluation.examples.texts import short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import mean_interval, share_of, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.ranks import FIRST, ranks, reciprocal
from daedal.evaluation.predictors.tfidf import TfIdf
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

Array = np.ndarray
_MISTAKES = 8
_MOST_TEXTS = 100_000
_SECONDS_PER_COUNTED_TEXT = 2e-5


class Embedding(ExampleEvaluator):
    """Vectors of pairs, beside the cosine of rare words."""

    needs, columns = frozenset({"embed"}), frozenset({"source", "target"})
    passes = 2.4
    sizes: ClassVar[Sequence[int]] = (50, 100, 250, 500, 1000, 2500, 5000, 10_000)  # each text is compared with all

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        """The vectors of both, of a text that is too long of what the model can read of it."""
        room = _room(generator)
        ids = [ids[:room] for ids in generator.codec.encode_batch([*examples["source"], *examples["target"]])]
        both = generator.embed(ids).float().cpu()
        return list(zip(both[: len(examples)], both[len(examples) :], strict=True))

    def rest(self, subject: ExampleSubject) -> float:
        return 0.5 + _SECONDS_PER_COUNTED_TEXT * (0 if subject.train is None else 2 * len(subject.train))

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, vectors = self.answers(subject, within, tell, "embedding held-out pairs")
        one, other = (torch.stack([pair[side] for pair in vectors]) for side in (0, 1))
        train = subject.learned((1 - self.share) * within, _SECONDS_PER_COUNTED_TEXT, _MOST_TEXTS)
        known = train if train is not None else examples
        words = TfIdf.fit([*known["source"], *known["target"]])
        why = "the cosine of counts of words, rare ones weighing more (tf-idf)"
        about = subject.about
        silent = {**about, "model_hash": ""}
        if "score" in subject.has:
            return _scored(examples, (one * other).sum(1).double().numpy(), words, why, about)
        finding = Finding(examples)
        own = finding.measure(one @ other[finding.firsts].T, about)
        beside = finding.measure(words.similarity(examples["source"], finding.targets), silent, "tf-idf")
        baselines = (Baseline(name="tf-idf", why=why, measurements=beside), finding.chance(silent))
        of = f"How high the partner of a text stands among all {examples.name} ones, more is better"
        ranking = Ranking(quantity="mean-reciprocal-rank", of=of)
        mistakes = finding.mistakes(one @ other[finding.firsts].T)
        blocks: list[Block] = [ranking, *_cut(subject.generator, examples), mistakes]
        tell(0.95, "looking for copies")
        copied = copies(subject, examples, lambda some: some["source"])
        return Findings(own, baselines, tuple(blocks)) + without_copies(
            copied, "texts", lambda kept: finding.reciprocal_rank(finding.places[kept], about, "embedder")
        )


class Finding:
    """For each source, its target among all different targets.

    Attributes:
        targets: each once.
        firsts: where the vector of each stands.
        right: which are each source's own: those that stand beside an equal source.
        places: of each source's own among the model's.
    """

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        sources, targets = examples["source"], examples["target"]
        first: dict[str, int] = {}
        for at, text in enumerate(targets):
            first.setdefault(text, at)
        self.targets, self.firsts = list(first), list(first.values())
        column = {text: at for at, text in enumerate(self.targets)}
        own: dict[str, set[int]] = {}
        for source, target in zip(sources, targets, strict=True):
            own.setdefault(source, set()).add(column[target])
        self.right: Bool[Tensor, "sources targets"] = torch.zeros(len(sources), len(self.targets), dtype=torch.bool)
        for row, source in enumerate(sources):
            self.right[row, list(own[source])] = True
        self.places = np.zeros(0, dtype=np.int64)

    def measure(
        self, scores: Float[Tensor, "sources targets"], about: dict[str, Any], predictor: str = "embedder"
    ) -> tuple[Measurement, ...]:
        places = ranks(scores, self.right)
        if predictor == "embedder":
            self.places = places
        common: dict[str, Any] = {"unit": "", "pieces": "texts", "better": "higher", **about}
        return (
            self.reciprocal_rank(places, about, predictor),
            *(
                Measurement(
                    name=f"partner in the first {first}", **share_of(int((places <= first).sum()), len(places)),
                    definition=define(f"recall-at-{first}", 1, among=len(self.targets), predictor=predictor), **common,
                )
                for first in FIRST
            ),
        )  # fmt: skip

    def reciprocal_rank(self, places: Any, about: dict[str, Any], predictor: str) -> Measurement:
        values = reciprocal(places)
        return Measurement(
            name="mean reciprocal rank", value=float(values.mean()), unit="", n=len(values), pieces="texts", better="higher",
            interval=mean_interval(values, (0.0, 1.0)), interval_method=student("texts"),
            definition=define("mean-reciprocal-rank", 1, among=len(self.targets), predictor=predictor), **about,
        )  # fmt: skip

    def chance(self, about: dict[str, Any]) -> Baseline:
        """What an order that knows nothing would find, on average, where each has one partner."""
        n = len(self.targets)
        values = {"mean-reciprocal-rank": float((1 / np.arange(1, n + 1)).mean())}
        values |= {f"recall-at-{first}": min(1.0, first / n) for first in FIRST}
        found = tuple(
            Measurement(
                name=quantity, value=value, unit="", n=len(self.examples), pieces="texts", better="higher",
                definition=define(quantity, 1, among=n, predictor="chance"), **about,
            )
            for quantity, value in values.items()
        )  # fmt: skip
        return Baseline(name="chance", why="what an order that knows nothing finds, on average", measurements=found)

    def mistakes(self, scores: Float[Tensor, "sources targets"]) -> Table:
        """Where another text is nearest by most."""
        own = scores.masked_fill(~self.right, -torch.inf).amax(1)
        best, which = scores.masked_fill(self.right, -torch.inf).max(1)
        order = torch.argsort(own - best)[:_MISTAKES].tolist()
        rows = tuple(
            (
                *(short(self.examples[side][at], 90) for side in ("source", "target")), short(self.targets[which[at]], 90),
                float(own[at]), float(best[at]),
            )
            for at in order
            if best[at] >= own[at]
        )  # fmt: skip
        head = ("text", "its partner", "what is nearer", "cosine", "cosine of the other")
        return Table(title="The worst mistakes", head=head, rows=rows)


def _room(generator: Generator) -> int:
    """Tokens of a text that the model can read."""
    return int(generator.model.config.context - generator.codec.framing.room)


def _cut(generator: Generator, examples: Examples) -> list[Note]:
    """How many texts are longer than that."""
    room = _room(generator)
    count = sum(
        len(ids) > room for side in ("source", "target") for ids in generator.codec.encode_batch(examples[side])
    )
    return (
        [Note(brief=f"{count:,} texts are longer than {room:,} tokens: of these the beginning counts")] if count else []
    )


def _scored(examples: Examples, cosine: Float[Array, " n"], words: TfIdf, why: str, about: dict[str, Any]) -> Findings:
    """Of pairs with a score: how well the cosine agrees with it."""
    there = np.array([score is not None and score == score for score in examples["score"]])
    truth = np.array([float(score) for score, has in zip(examples["score"], there, strict=True) if has])
    own = correlations(cosine[there], truth, "pairs", about, "embedder")
    near = words.paired(examples["source"], examples["target"])[there]
    beside = correlations(near, truth, "pairs", {**about, "model_hash": ""}, "tf-idf")
    of = f"Agreement with people on how alike two {examples.name} texts are (rank correlation), more is better"
    gap = np.abs(_ranked(cosine[there]) - _ranked(truth))
    kept = np.flatnonzero(there)
    rows = tuple(
        (
            *(short(examples[side][kept[at]], 90) for side in ("source", "target")),
            float(truth[at]),
            float(cosine[kept[at]]),
        )
        for at in np.argsort(-gap, kind="stable")[:_MISTAKES]
    )
    disagreements = Table(title="The largest disagreements", head=("text", "other", "score", "cosine"), rows=rows)
    baselines = (Baseline(name="tf-idf", why=why, measurements=beside),)
    return Findings(own, baselines, (Ranking(quantity="spearman", of=of), disagreements))


def _ranked(values: Float[Array, " n"]) -> Float[Array, " n"]:
    from scipy.stats import rankdata

    found: Float[Array, " n"] = rankdata(values) / len(values)
    return found
