"""What a model composes: which rules it keeps, beside the tunes of the data; what it copies; and how it looks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daedal.codecs.piano_roll import piano_roll
from daedal.codecs.sheet import grid
from daedal.codecs.tune import Tune
from daedal.data.columns import Tunes
from daedal.evaluation.blocks import Numbers, Sheet, Table
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.tunes import TuneSubject, tunes_of
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.tune_rules import RULES, Heard, Ranges, longest_runs

ROLLS = "tunes.png"
_TUNES = 16
_LONGEST = 30.0  # seconds
_SHOWN, _QUARTERS = 4, 64
_COMPARED = 2000  # tunes of the data
_WORDS = Tunes()


class Composing(Evaluator[TuneSubject]):
    """Tunes of a model, judged by rules."""

    needs, columns, weight = frozenset({"compose"}), frozenset({"tune"}), 3.0

    def seconds(self, subject: TuneSubject, within: float) -> float:
        """Writing a window of codes one by one is about as much as reading as many windows in which all come at once."""
        if subject.opened is not None:
            return min(20.0, 0.5 * within)
        return 8.0 + 40 * subject.forward

    def measure(self, subject: TuneSubject, within: float, tell: Tell) -> Findings:
        held, seed = tunes_of(subject.held.some(_COMPARED, subject.asked.seed)), subject.asked.seed
        length = min(_LONGEST, float(np.median([tune.seconds for tune in held])))
        how = {"tunes": _TUNES, "seconds": round(length, 1), "temperature": 1.0, "seed": seed}
        made = [
            each.tune
            for each in subject.generator.generate(
                _TUNES, seed=seed, seconds=length, progress=lambda done, total: tell(0.6 * done / total, "composing")
            )
        ]
        tell(0.6, "judging tunes")
        alike = [tune.until(tune.tick_at(length)) or tune for tune in held]
        train = [] if subject.train is None else tunes_of(subject.train.some(_COMPARED, seed))
        of = {"model": made, "held-out": alike, "training": train}
        heard = {name: [Heard.of(tune) for tune in tunes] for name, tunes in of.items() if tunes}
        ranges = Ranges.of(heard.get("training", heard["held-out"]))
        rules = {**RULES, "in-range": ("pitches in the range of their voice", ranges)}
        values = {
            name: {quantity: _values(rule, tunes) for quantity, (_, rule) in rules.items()}
            for name, tunes in heard.items()
        }
        told = [each for quantity, (says, _) in rules.items() if (each := self._rate(subject, values, quantity, says))]
        beside = [
            each for quantity, (says, _) in rules.items()
            if (each := self._rate(subject, values, quantity, says, "held-out"))
        ]  # fmt: skip
        rows = tuple(
            (says, *(float(np.mean(each[quantity])) if len(each[quantity]) else "" for each in values.values()))
            for quantity, (says, _) in rules.items()
        )
        table = Table(
            title="By rules", says="Means over tunes. What is usual in the data is right: no rate is best at 0 or 1.",
            head=("rate", *heard), rows=rows,
        )  # fmt: skip
        sheet = Sheet(title="What it composes", says="The first ones, not chosen.", file=ROLLS)
        rolls = {ROLLS: grid([piano_roll(tune, _QUARTERS) for tune in made[:_SHOWN]], 1, 1, 12)}
        copies, notes = self._copies(subject, made, alike, train) if train else ((), ())
        numbers = Numbers(measurements=(*beside, *notes))
        return Findings((*told, *copies), blocks=(table, numbers, sheet), sampling=how, pictures=rolls)

    def _rate(
        self,
        subject: TuneSubject,
        values: Mapping[str, Mapping[str, Sequence[float]]],
        quantity: str,
        says: str,
        of: str = "model",
    ) -> Measurement | None:
        found = np.array(values[of][quantity])
        if not len(found):
            return None
        about = subject.about if of == "model" else {**subject.about, "model_hash": ""}
        return Measurement(
            name=says if of == "model" else f"{says}, held-out tunes", value=float(found.mean()), unit="", n=len(found),
            pieces="tunes", interval=mean_interval(found, (0.0, float("inf"))), interval_method=student("tunes"),
            definition=define(quantity, 1, tunes=of), better="neither", **about,
        )  # fmt: skip

    def _copies(
        self, subject: TuneSubject, made: list[Tune], held: list[Tune], train: list[Tune]
    ) -> tuple[tuple[Measurement, ...], tuple[Measurement, ...]]:
        """The longest runs of chords that stand in a training tune, in whatever key; and those of held-out tunes."""
        corpus = [_words(tune) for tune in train]
        told: list[tuple[Measurement, ...]] = []
        for name, tunes in (("model", made), ("held-out", held[: len(made)])):
            runs = longest_runs([_words(tune) for tune in tunes], corpus)
            other = "" if name == "model" else f", {name} tunes"
            about: dict[str, Any] = {**subject.about, **({} if name == "model" else {"model_hash": ""})}
            common: dict[str, Any] = {"unit": "chords", "n": len(runs), "pieces": "tunes", **about}
            told.append((
                Measurement(
                    name=f"longest copy from the training tunes{other}", value=float(runs.max()),
                    definition=define("longest-copy-from-training-tunes", 1, tunes=name), **common,
                ),
                Measurement(
                    name=f"median copy from the training tunes{other}", value=float(np.median(runs)),
                    definition=define("median-copy-from-training-tunes", 1, tunes=name), **common,
                ),
            ))  # fmt: skip
        return told[0], told[1]


def _values(rule: Any, tunes: Sequence[Heard]) -> list[float]:
    return [value for heard in tunes if (value := rule(heard)) is not None]


def _words(tune: Tune) -> list[str]:
    return _WORDS.words(tune.values()).split()
