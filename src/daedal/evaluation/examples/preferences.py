"""How well a reward model tells which of two answers people prefer, how sure it may be of it, and how much of that is only
which of them is longer."""

from collections.abc import Sequence
from operator import truediv
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import STRATIFIED, mean_interval, share_of, stratified, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures import calibration
from daedal.evaluation.measures.length_bias import aligned, without_length
from daedal.evaluation.predictors.lbfgs import minimise
from daedal.evaluation.predictors.word_preferences import COST, MOST_PAIRS, WordPreferences
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

Array = np.ndarray
_MISTAKES = 8
_NEAR = 1.1  # times as long, at most, are answers of about equal length
_SECONDS_PER_PAIR = 1e-3  # by the simple predictors, on one core of 2023
_STEEP = 0.01  # of the squared weights of lengths


class Answers(NamedTuple):
    """The chosen and the rejected answers, without their prompts."""

    chosen: list[str]
    rejected: list[str]

    @classmethod
    def of(cls, examples: Examples) -> "Answers":
        return cls(answers(examples, "chosen"), answers(examples, "rejected"))

    @property
    def longer(self) -> Float[Array, " pairs"]:
        """By how many characters the chosen one is longer."""
        return np.array([len(a) - len(b) for a, b in zip(self.chosen, self.rejected, strict=True)], dtype=np.float64)

    @property
    def lengths(self) -> Float[Array, "pairs features"]:
        """What can be said of the lengths alone: their difference in thousands of characters, and that of their logarithms."""
        sizes = np.array([[len(a), len(b)] for a, b in zip(self.chosen, self.rejected, strict=True)], dtype=np.float64)
        logs = np.log1p(sizes)
        return np.stack([(sizes[:, 0] - sizes[:, 1]) / 1000, logs[:, 0] - logs[:, 1]], axis=1)


def answers(examples: Examples, column: str) -> list[str]:
    """What stands behind the prompt of each conversation."""
    found = zip(examples["prompt"], examples[column], strict=True)
    return ["\n".join(each["content"] for each in whole["messages"][len(prompt) :]) for prompt, whole in found]


class Preferring(ExampleEvaluator):
    """Rewards of held-out pairs of answers, beside what their lengths and their words tell."""

    needs, columns = frozenset({"reward"}), frozenset({"chosen", "rejected"})
    passes = 1.2

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        rewards = generator.reward([*examples["chosen"], *examples["rejected"]])
        return list(zip(rewards[: len(examples)], rewards[len(examples) :], strict=True))

    def rest(self, subject: ExampleSubject) -> float:
        return 0.5 + _SECONDS_PER_PAIR * (0 if subject.train is None else len(subject.train))

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, said = self.answers(subject, within, tell, "reading held-out answers")
        rewards = np.array(said, dtype=np.float64)
        found = Preferences(examples, rewards[:, 0] - rewards[:, 1], subject)
        train = subject.learned((1 - self.share) * within, _SECONDS_PER_PAIR, MOST_PAIRS)
        findings = found.findings(train)
        tell(0.95, "looking for copies")
        known = copies(subject, examples, lambda some: answers(some, "chosen"))
        return findings + without_copies(known, "pairs", found.headline)


class Preferences:
    """Held-out pairs, and by how much a model finds the chosen answer of each better."""

    def __init__(self, examples: Examples, ahead: Float[Array, " pairs"], subject: ExampleSubject) -> None:
        self.examples, self.ahead, self.subject = examples, ahead, subject
        self.answers = Answers.of(examples)
        self.longer = self.answers.longer

    def findings(self, train: Examples | None) -> Findings:
        own = self._measured(self.ahead, self.subject.hash, "reward-model", probable=True)
        own += (self._calibration_error(), self._length_correlation(), self._without_length())
        blocks: list[Block] = [
            Ranking(quantity="preference-accuracy", of=f"Accuracy on the {self.examples.name} pairs, more is better"),
            Note(brief=self._told()),
            self._by_length(),
            self._calibration(),
            self._mistakes(),
        ]
        return Findings(own, tuple(self._baselines(train)), tuple(blocks))

    def headline(self, kept: Bool[Array, " pairs"]) -> Measurement:
        return self._accuracy(self.ahead[kept], self.subject.hash, "reward-model")

    def _measured(
        self, ahead: Float[Array, " pairs"], model_hash: str, predictor: str, probable: bool
    ) -> tuple[Measurement, ...]:
        """What is measured of any predictor.

        Args:
            probable: whether differences are log-odds.
        """
        about: dict[str, Any] = {
            **self.subject.about, "model_hash": model_hash, "unit": "", "pieces": "pairs", "n": len(ahead),
        }  # fmt: skip
        found = [self._accuracy(ahead, model_hash, predictor)]
        if (equal := self._at_equal_length(ahead, about, predictor)) is not None:
            found.append(equal)
        if probable:
            nats = np.logaddexp(0, -ahead)
            found.append(
                Measurement(
                    name="log loss", value=float(nats.mean()), interval=mean_interval(nats, (0.0, np.inf)),
                    interval_method=student("pairs"), definition=define("preference-log-loss", 1, predictor=predictor),
                    **{**about, "unit": "nats"},
                )
            )  # fmt: skip
        return tuple(found)

    def _accuracy(self, ahead: Float[Array, " pairs"], model_hash: str, predictor: str) -> Measurement:
        about = {**self.subject.about, "model_hash": model_hash}
        return Measurement(
            name="accuracy", unit="", pieces="pairs", better="higher",
            definition=define("preference-accuracy", 1, ties="half", predictor=predictor),
            **share_of(float(right(ahead).sum()), len(ahead)), **about,
        )  # fmt: skip

    def _at_equal_length(
        self, ahead: Float[Array, " pairs"], about: dict[str, Any], predictor: str
    ) -> Measurement | None:
        """The mean of two accuracies: where the chosen answer is the longer one, and where it is the shorter one. Who goes by
        length alone has a half."""
        sides = self.longer > 0, self.longer < 0
        if not all(side.any() for side in sides):
            return None
        hits, sizes = [float(right(ahead)[side].sum()) for side in sides], [int(side.sum()) for side in sides]
        return Measurement(
            name="accuracy at equal length", value=sum(map(truediv, hits, sizes)) / 2, better="higher",
            interval=stratified(hits, sizes), interval_method=STRATIFIED,
            definition=define("preference-accuracy-at-equal-length", 1, ties="half", predictor=predictor), **about,
        )  # fmt: skip

    def _calibration_error(self) -> Measurement:
        return Measurement(
            name="calibration error", value=self._bins.error, unit="", n=len(self.ahead), pieces="pairs",
            definition=define("expected-calibration-error", 1, bins=f"{calibration.BINS}-of-equal-mass", of="preferred"),
            **self.subject.about,
        )  # fmt: skip

    def _length_correlation(self) -> Measurement:
        a, b = self.ahead, self.longer

        def measure(sums: Any) -> Any:
            return sums[:, 0] / np.sqrt(np.maximum(sums[:, 1] * sums[:, 2], 1e-300))

        seed = self.subject.asked.seed
        return Measurement(
            name="correlation with length", value=aligned(a, b), unit="", n=len(a), pieces="pairs", better="neither",
            interval=bootstrap(np.stack([a * b, a * a, b * b], axis=1), measure, seed=seed), interval_method=method("pairs"),
            definition=define("reward-length-correlation", 1, within="pairs", about="zero", length="characters"), seed=seed,
            **self.subject.about,
        )  # fmt: skip

    def _without_length(self) -> Measurement:
        left = without_length(self.ahead, self.longer)
        return Measurement(
            name="accuracy without length", unit="", pieces="pairs", better="higher",
            definition=define("preference-accuracy-without-length", 1, ties="half", regressed="least-squares-through-0"),
            **share_of(float(right(left).sum()), len(left)), **self.subject.about,
        )  # fmt: skip

    def _baselines(self, train: Examples | None) -> list[Baseline]:
        """Chance, the longer answer, and what lengths and words tell that were learned from the training pairs."""
        found = [
            self._baseline("chance", "cannot tell any two apart", np.zeros(len(self.ahead)), "chance", True),
            self._baseline("longer answer", "prefers the longer answer", np.sign(self.longer), "longer", False),
        ]
        if train is None:
            return found
        learned, count = Answers.of(train), len(train)
        why = "a Bradley-Terry model of the answers' lengths and their logarithms"
        ahead = self.answers.lengths @ _learned(learned.lengths)
        found.append(self._baseline("lengths alone", why, ahead, f"lengths,trained-on={count}-pairs", True))
        words = WordPreferences.fit(learned.chosen, learned.rejected)
        ahead = words.rewards(self.answers.chosen) - words.rewards(self.answers.rejected)
        why = "a Bradley-Terry model of which words an answer has"
        how = f"bag-of-words,cost={COST:g},trained-on={count}-pairs"
        return [*found, self._baseline("bag of words", why, ahead, how, True)]

    def _baseline(self, name: str, why: str, ahead: Float[Array, " pairs"], predictor: str, probable: bool) -> Baseline:
        return Baseline(name=name, why=why, measurements=self._measured(ahead, "", predictor, probable))

    def _told(self) -> str:
        """What is to be known of lengths, in a sentence."""
        hits, longest = right(self.ahead), right(self.longer).mean()
        parts = [("longer", self.longer > 0), ("shorter", self.longer < 0)]
        shares = [f"{hits[at].mean():.0%} where the chosen answer is the {name} one" for name, at in parts if at.any()]
        return f"the longer answer is the chosen one in {longest:.0%}; the model is right in {' and '.join(shares)}"

    def _by_length(self) -> Table:
        sizes = np.array([[len(each) for each in side] for side in self.answers], dtype=np.float64) + 1
        ratio, hits = sizes[0] / sizes[1], right(self.ahead)
        groups = {
            "the chosen one is longer": ratio > _NEAR,
            f"about equal (to {_NEAR - 1:.0%})": (ratio <= _NEAR) & (ratio >= 1 / _NEAR),
            "the chosen one is shorter": ratio < 1 / _NEAR,
        }
        rows = tuple((name, int(at.sum()), float(hits[at].mean())) for name, at in groups.items() if at.any())
        return Table(title="By which answer is longer", head=("lengths", "pairs", "accuracy"), rows=rows)

    @property
    def _confidence(self) -> Float[Array, " pairs"]:
        """Of the answer that it prefers."""
        found: Float[Array, " pairs"] = 1 / (1 + np.exp(-np.minimum(np.abs(self.ahead), 500)))
        return found

    @property
    def _bins(self) -> calibration.Bins:
        return calibration.bins(self._confidence, right(self.ahead))

    def _calibration(self) -> Table:
        bins, chance = self._bins, calibration.by_chance(self._confidence, self.subject.asked.seed)
        sure, hit = (float(bins.count @ each / bins.count.sum()) for each in (bins.sure, bins.right))
        return Table(
            title="How sure, and how often right",
            says="Bins of equal number; the probability that Bradley and Terry's model gives the preferred answer.",
            brief=f"it is {sure:.0%} sure on average, and right in {hit:.0%}; its calibration error is {bins.error:.3f}, and a "
            f"model whose probabilities are right would show about {chance:.3f} on so few pairs",
            head=("pairs", "mean probability", "right"),
            rows=tuple(zip(bins.count.tolist(), bins.sure.tolist(), bins.right.tolist(), strict=True)),
        )  # fmt: skip

    def _mistakes(self) -> Table:
        order = [at for at in np.argsort(self.ahead, kind="stable")[:_MISTAKES] if self.ahead[at] < 0]
        rows = tuple(
            (short(self.answers.chosen[at]), short(self.answers.rejected[at]), float(-self.ahead[at])) for at in order
        )
        return Table(
            title="The most confident mistakes", says="Some are the person's and not the model's.",
            head=("people chose", "the model prefers", "by"), rows=rows,
        )  # fmt: skip


def right(ahead: Float[Array, " pairs"]) -> Float[Array, " pairs"]:
    """1 where the first is ahead, 0 where it is behind, 1/2 where neither: who cannot tell is right in half of the cases."""
    found: Float[Array, " pairs"] = (1 + np.sign(ahead)) / 2
    return found


def _learned(features: Float[Array, "pairs features"]) -> Float[Array, " features"]:
    """The weights of a few differences in a Bradley-Terry model."""

    def loss(w: Float[Array, " features"]) -> tuple[float, Float[Array, " features"]]:
        ahead = features @ w
        slope = -1 / (1 + np.exp(np.minimum(ahead, 500)))
        return float(_STEEP * (w**2).sum() / 2 + np.logaddexp(0, -ahead).sum()), _STEEP * w + features.T @ slope

    return minimise(loss, np.zeros(features.shape[1]), 50)
