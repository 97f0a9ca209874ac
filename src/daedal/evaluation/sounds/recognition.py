"""Whether a listener hears what a model was told to say, and in whose voice; beside it what the listener makes of real
recordings of the same, and of these as they come back from what the model learns: the ceilings."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.examples.transcripts import error_rates
from daedal.evaluation.kinds.speech import ADVICE, SpeechSubject, Spoken
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline
from daedal.evaluation.sounds.speaking import REAL, copies_of
from daedal.inference.skills.listen import Transcript

_RANKED = {
    "recognised-right": "What the listener hears right, more is better",
    "speaker-recognised-right": "Speakers that the listener tells right, more is better",
    "heard-word-error-rate": "Words that the listener hears wrong for each that was to be said, less is better",
}


class Recognition(Evaluator[SpeechSubject]):
    """What a listener hears of what is spoken."""

    needs, columns = frozenset({"speak"}), frozenset({"sound", "judge"})
    lacking = f"What is heard, in whose voice, and how natural it is: no listener is named ({ADVICE})"

    def measure(self, subject: SpeechSubject, within: float, tell: Tell) -> Findings:
        spoken, judge = subject.spoken, subject.judge
        assert spoken is not None
        assert judge is not None
        tell(0, "listening")
        heard = {
            of: judge.transcribe(sounds)
            for of, sounds in (("speech", spoken.made), ("copies", spoken.copied), ("real", spoken.own))
        }
        own, copies, real = (_measured(subject, spoken, each, of) for of, each in heard.items())
        baselines = tuple(
            Baseline(name=name, why=why, measurements=measured)
            for (name, why), measured in ((copies_of(spoken), copies), (REAL, real))
        )
        there = {each.quantity.split("/")[0] for each in own}
        blocks: list[Block] = [Ranking(quantity=each, of=of) for each, of in _RANKED.items() if each in there]
        if subject.generator.model.config.labels:
            blocks.append(_by_class(subject, spoken, heard["speech"]))
        return Findings(own, baselines, tuple(blocks))


def _right(subject: SpeechSubject, spoken: Spoken, heard: Sequence[Transcript]) -> np.ndarray:
    spelled = bool(subject.generator.model.config.characters)
    pairs = zip(heard, spoken.asked, strict=True)
    return np.array([(each.text if spelled else each.label) == said for each, (said, _) in pairs])


def _measured(subject: SpeechSubject, spoken: Spoken, heard: Sequence[Transcript], of: str) -> tuple[Measurement, ...]:
    assert subject.judge is not None
    how = {"of": of, "judge": subject.judge.fingerprint[:8]}
    about: dict[str, Any] = {**subject.about, "unit": "", "pieces": "sounds", "seed": 0}
    about |= {} if of == "speech" else {"model_hash": ""}
    right = _right(subject, spoken, heard)
    found = [
        Measurement(
            name="recognised right", definition=define("recognised-right", 1, **how), better="higher",
            **share_of(int(right.sum()), len(right)), **about,
        )
    ]  # fmt: skip
    asked = [(each.speaker, by) for each, (_, by) in zip(heard, spoken.asked, strict=True) if by is not None]
    if asked and heard[0].speaker is not None:
        found.append(
            Measurement(
                name="speaker recognised right", definition=define("speaker-recognised-right", 1, **how), better="higher",
                **share_of(sum(one == two for one, two in asked), len(asked)), **about,
            )
        )  # fmt: skip
    if subject.generator.model.config.characters:
        for name, rate in error_rates([each.text for each in heard], [said for said, _ in spoken.asked]).items():
            found.append(
                Measurement(
                    name=f"heard {name} error rate", n=len(heard), **rate, **about,
                    definition=define(f"heard-{name}-error-rate", 1, **how, normalised="lower-case"),
                )
            )  # fmt: skip
    return tuple(found)


def _by_class(subject: SpeechSubject, spoken: Spoken, heard: Sequence[Transcript]) -> Table:
    right, rows = _right(subject, spoken, heard), []
    for name in sorted({said for said, _ in spoken.asked}):
        mine = [one for one, (said, _) in zip(right, spoken.asked, strict=True) if said == name]
        rows.append((name, len(mine), float(np.mean(mine))))
    rows.sort(key=lambda row: row[2])
    head = ("is to be said", "sounds", "recognised right")
    return Table(title="What is heard right", says="The worst first.", head=head, rows=tuple(rows))
