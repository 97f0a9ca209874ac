"""Two models that answer the same prompts, beside one another: which of them a judge prefers, at equal length too, how far one
has gone from the other, and what they say."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from daedal import __version__
from daedal.alignment.divergence import k3
from daedal.alignment.rewards import Asked, Reward, checked, reward_of
from daedal.alignment.rollout import Answer, generate, log_probabilities
from daedal.alignment.subject import Subject
from daedal.data.prompts import Question, Questions, questions
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Beside, Block, Note, Pair
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.means import mean_interval, share_of, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.diversity import distinct, repeated
from daedal.evaluation.measures.length_bias import aligned, controlled_win_rate, controlled_win_rate_interval
from daedal.evaluation.report import Baseline, DataFacts, ModelFacts, Presentation, Report
from daedal.evaluation.report_folder import keep, require_folder
from daedal.inference.skill import fingerprint
from daedal.printable import printable
from daedal.training.machine import choose_device

Array = np.ndarray
NAME = "comparison"
"""Of the files of its report."""
_NOTHING, _JUDGE = "(nothing)", "that was given"


class Side(NamedTuple):
    """A model and its answers to the prompts.

    Attributes:
        rewards: of the answers, where there is a judge.
    """

    name: str
    subject: Subject
    hash: str
    answers: list[Answer]
    texts: list[str]
    rewards: Float[Array, " prompts"] | None

    @property
    def lengths(self) -> Float[Array, " prompts"]:
        """Characters of each answer."""
        return np.array([len(text) for text in self.texts], dtype=np.float64)

    @property
    def tokens(self) -> Float[Array, " prompts"]:
        return np.array([len(each.ids) for each in self.answers], dtype=np.float64)


def compare(
    one: str | Path,
    other: str | Path,
    prompts: str | Path,
    judge: str | Reward | None = None,
    *,
    n: int = 100,
    answer: int = 128,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[float, float | None, str], None] | None = None,
) -> Report:
    """What two models answer to the same held-out prompts, with the same seed, and which of them is preferred.

    Both answer at temperature 1, from their own distributions: so the divergence is of these and of no others.

    Args:
        one, other: run folders or ids of the Hugging Face Hub of GPTs; win rates are the other's, over the one.
        prompts: a data folder of conversations or preferences, of which the test split is asked, or a file of prompts.
        judge: a reward model, `rule:NAME` or `module:function`; or a function of `Asked`.
        n: prompts, at most.
        answer: tokens of an answer, at most.
        seed: of the choice of prompts, the answers, and the intervals.
        out: a folder for the report: all answers, as a page and as JSON.

    Raises:
        DaedalError: one is no GPT, there are no prompts that fit, or the judge fails.
    """
    started = time.monotonic()

    def tell(done: float, doing: str) -> None:
        if progress is not None:
            progress(done, 100, doing)

    if n < 1 or answer < 1:
        raise DaedalError(f"{n} prompts with answers of {answer} tokens are none", "Ask for one at least")
    if not 0 <= seed < 2**63:
        raise DaedalError(f"{seed} is no seed", "Give a whole number from 0 to 2^63 - 1")
    if out is not None:
        require_folder(Path(out), NAME)  # before anything is answered
    tell(0, "loading")
    reward = reward_of(judge) if isinstance(judge, str) else judge and checked(judge, _JUDGE)
    subjects = [_placed(Subject.open(str(place))) for place in (one, other)]
    every = questions(prompts)
    asked, ids, left_out = _fitting(every, subjects, n, answer, seed)
    if not asked.asked:
        for subject in subjects:
            subject.turns.prompt(every.asked[0].messages)  # a chat template that refuses it says so
        raise DaedalError(
            f"No prompt of {every.name} leaves room for an answer of {answer} tokens", "Ask for shorter answers"
        )
    sides, names = [], [_name(place) for place in (one, other)]
    if names[0] == names[1]:
        names = [f"{name}, {which}" for name, which in zip(names, ("the first", "the second"), strict=True)]
    for number, subject in enumerate(subjects):
        name = names[number]
        tell(5 + 40 * number, f"{name} answers")
        written = generate(subject.gpt, ids[number], most=answer, stop_ids=subject.stop_ids, seed=seed)
        texts = [subject.text(each.ids) for each in written]
        rewards = None
        if reward is not None:
            tell(40 + 40 * number, "judging")
            rewards = _judged(reward, asked, texts)
        sides.append(Side(name, subject, fingerprint(subject.gpt), written, texts, rewards))
    tell(90, "comparing")
    judged = "" if judge is None else _name(judge) if isinstance(judge, str) else str(judge)
    found = Comparison(sides[0], sides[1], asked, judged, seed).report(answer, left_out, started)
    if out is not None:
        found = keep(found, Path(out), NAME)
    tell(100, "done")
    return found


class Comparison:
    """What two models answered.

    Args:
        judge: what is said of it; empty where there is none.
    """

    def __init__(self, one: Side, other: Side, asked: Questions, judge: str, seed: int) -> None:
        self.one, self.other, self.asked, self.judge, self.seed = one, other, asked, printable(judge), seed
        self.hash = asked.fingerprint

    def report(self, answer: int, left_out: int, started: float) -> Report:
        one, other, n = self.one, self.other, len(self.asked.asked)
        gpt = other.subject.gpt
        notes = [f"{left_out:,} prompts leave no room for an answer and are left out"] if left_out else []
        says = f"{self.asked.name}: {n:,} prompts, answered at temperature 1 with seed {self.seed}, in up to {answer} tokens"
        why = "the model that it is compared with"
        return Report(
            daedal=__version__,
            model=ModelFacts(
                name=f"{other.name} beside {one.name}", parameters=gpt.parameter_count, hash=other.hash,
                says=f"judged by {self.judge}" if self.judge else "without a judge", judge=self.judge, other=other.name,
            ),
            data=DataFacts(name=self.asked.name, hash=self.hash, says=says, notes=tuple(notes)),
            presentation=Presentation(
                what="A comparison", data="prompts", task="text-generation", tag="comparison", use="", limits="",
                headlines=("win-rate", "win-rate-at-equal-length", "kl-per-answer"),
            ),
            measurements=(*self._verdicts(), *self._divergences(), *self._of(other)),
            baselines=(Baseline(name=one.name, why=why, measurements=tuple(self._of(one))),),
            blocks=tuple(self._blocks()), seconds=round(time.monotonic() - started, 2),
            missing=() if self._comparable else ("how far they are apart, as they have two tokenizers",),
        )  # fmt: skip

    def _blocks(self) -> list[Block]:
        alike = sum(a == b for a, b in zip(self.one.texts, self.other.texts, strict=True))
        told: list[Block] = [Note(brief=f"{alike:,} of {len(self.one.texts):,} answers are the same")]
        if self._gains is not None and self._gains.any():
            told.append(Note(brief=self._of_length(self._gains)))
        rewards = [
            [None] * len(side.texts) if side.rewards is None else side.rewards.tolist()
            for side in (self.one, self.other)
        ]
        rows = tuple(
            Pair(prompt=_shown(question.messages), one=one or _NOTHING, other=other or _NOTHING, verdict=_verdict(*worth))
            for question, one, other, *worth in zip(
                self.asked.asked, self.one.texts, self.other.texts, *rewards, strict=True
            )
        )  # fmt: skip
        says = "In the order of the prompts, not chosen."
        return [*told, Beside(title="What they say", says=says, one=self.one.name, other=self.other.name, pairs=rows)]

    @property
    def _gains(self) -> Float[Array, " prompts"] | None:
        """By how much the other's answers are worth more."""
        if self.one.rewards is None or self.other.rewards is None:
            return None
        gains: Float[Array, " prompts"] = self.other.rewards - self.one.rewards
        return gains

    @property
    def _longer(self) -> Float[Array, " prompts"]:
        longer: Float[Array, " prompts"] = self.other.lengths - self.one.lengths
        return longer

    def _of_length(self, gains: Float[Array, " prompts"]) -> str:
        """Whether the judge goes by length, in a sentence."""
        found = aligned(gains - gains.mean(), self._longer - self._longer.mean())
        return f"what the judge finds better is longer with a correlation of {found:.2f}"

    def _verdicts(self) -> list[Measurement]:
        """Win rates of the other over the one; a tie is half a win."""
        gains = self._gains
        if gains is None:
            return []
        won, longer = (1 + np.sign(gains)) / 2, self._longer
        counted = np.stack([won, np.ones(len(won))], axis=1)
        about = {**self._about(self.other), "unit": "", "seed": self.seed}
        judged = {"judge": self.judge.replace("@", "-"), "over": "the-other"}
        apart = mean_interval(gains)
        return [
            Measurement(
                name="win rate", value=float(won.mean()), better="higher",
                interval=bootstrap(counted, lambda sums: sums[:, 0] / sums[:, 1], seed=self.seed),
                interval_method=method("prompts"), definition=define("win-rate", 1, ties="half", **judged), **about,
            ),
            Measurement(
                name="win rate at equal length", value=float(controlled_win_rate(won, longer)[0]), better="higher",
                interval=controlled_win_rate_interval(won, longer, self.seed), interval_method=method("prompts"),
                definition=define("win-rate-at-equal-length", 1, ties="half", length="characters", **judged),
                **about,
            ),
            Measurement(
                name="reward gained", value=float(gains.mean()), better="higher", interval=apart,
                interval_method=student("prompts"), definition=define("reward-gained", 1, paired="prompts", **judged), **about,
            ),
        ]  # fmt: skip

    @property
    def _comparable(self) -> bool:
        """Whether the same ids mean the same to both."""
        return self.one.subject.codec.fingerprint() == self.other.subject.codec.fingerprint()

    def _divergences(self) -> list[Measurement]:
        """How far each is from the other, told from its own answers."""
        if not self._comparable:
            return []
        found = []
        for own, away in ((self.other, self.one), (self.one, self.other)):
            direction = f"{own.name} from {away.name}"
            nats = _divergence(own, away)
            about = {**self._about(own), "unit": "nats", "better": "neither", "seed": self.seed}
            defined = {"estimate": "k3", "of": "other" if own is self.other else "one"}
            found.append(
                Measurement(
                    name=f"KL of {direction}, an answer", value=float(nats.mean()), interval=mean_interval(nats, (0.0, np.inf)),
                    interval_method=student("prompts"), definition=define("kl-per-answer", 1, **defined), **about,
                )
            )  # fmt: skip
            found.append(
                Measurement(
                    name=f"KL of {direction}, a token", value=float(nats.sum() / own.tokens.sum()),
                    definition=define("kl-per-token", 1, **defined), **about,
                )
            )  # fmt: skip
        return found

    def _of(self, side: Side) -> list[Measurement]:
        """What is measured of each."""
        about: dict[str, Any] = self._about(side)
        means = [
            ("length, characters", "answer-characters", side.lengths, "characters", (0.0, np.inf)),
            ("length, tokens", "answer-tokens", side.tokens, "tokens", (0.0, np.inf)),
            ("said again, 4-grams", "repeated-4-grams", repeated(side.texts), "", (0.0, 1.0)),
        ]
        if side.rewards is not None:
            means.insert(0, ("reward", "reward", side.rewards, "", (-np.inf, np.inf)))
        found = [
            Measurement(
                name=name, value=float(values.mean()), unit=unit, interval=mean_interval(values, possible),
                interval_method=student("prompts"), definition=define(quantity, 1),
                better="higher" if quantity == "reward" else "neither" if unit else "lower", **about,
            )
            for name, quantity, values, unit, possible in means
        ]  # fmt: skip
        found += [
            Measurement(
                name=f"distinct {order}-grams", value=distinct(side.texts, order), unit="", better="neither",
                definition=define(f"distinct-{order}", 1), **about,
            )
            for order in (1, 2, 3)
        ]  # fmt: skip
        ended = sum(each.ended for each in side.answers)
        about = {name: value for name, value in about.items() if name != "n"}
        share = share_of(ended, len(side.answers))
        return [
            *found,
            Measurement(
                name="ended by itself", unit="", better="higher", definition=define("ended", 1), **share, **about
            ),
        ]

    def _about(self, side: Side) -> dict[str, Any]:
        return {"n": len(side.texts), "pieces": "prompts", "model_hash": side.hash, "data_hash": self.hash}


def _divergence(own: Side, away: Side) -> Float[Array, " prompts"]:
    """Nats of each answer by which the one who gave it is away from another."""
    theirs = log_probabilities(
        away.subject.gpt,
        [(prompt.prompt, answer.ids) for prompt, answer in zip(away.answers, own.answers, strict=True)],
    )
    mine = [torch.tensor(each.log_probabilities, dtype=torch.float64) for each in own.answers]
    return np.array([float(k3(one, two.double()).sum()) for one, two in zip(mine, theirs, strict=True)])


def _judged(reward: Reward, asked: Questions, texts: Sequence[str]) -> Float[Array, " prompts"]:
    pairs = zip(asked.asked, texts, strict=True)
    return np.array(
        reward([Asked(question.messages, text, question.known) for question, text in pairs]), dtype=np.float64
    )


def _placed(subject: Subject) -> Subject:
    """A model on the device where it is fastest."""
    return subject._replace(gpt=subject.gpt.to(choose_device(None)).eval())


def _fitting(
    every: Questions, subjects: Sequence[Subject], n: int, answer: int, seed: int
) -> tuple[Questions, list[list[list[int]]], int]:
    """Prompts that leave room for an answer, drawn by the seed; the ids of each for each model; and how many did not."""
    asked: list[Question] = []
    ids: list[list[list[int]]] = [[] for _ in subjects]
    left_out = 0
    rooms = [subject.gpt.config.context - answer for subject in subjects]
    for question in every.drawn(seed) if min(rooms) > 0 else ():
        found = [subject.fitting(question.messages, room) for subject, room in zip(subjects, rooms, strict=True)]
        if None in found:
            left_out += 1
            continue
        asked.append(question)
        for known, each in zip(ids, found, strict=True):
            known.append(each or [])
        if len(asked) == n:
            break
    return Questions(every.name, asked), ids, left_out


def _name(place: str | Path) -> str:
    """A folder's own name, or the id."""
    return Path(place).resolve().name if Path(place).is_dir() else str(place)


def _shown(messages: Sequence[Any]) -> str:
    """What was asked, as it reads."""
    if len(messages) == 1:
        return str(messages[0].get("content") or "")
    return "\n".join(f"{each.get('role')}: {each.get('content') or ''}" for each in messages)


def _verdict(one: float | None, other: float | None) -> str:
    return "" if one is None or other is None else f"{one:.2f} and {other:.2f}"
