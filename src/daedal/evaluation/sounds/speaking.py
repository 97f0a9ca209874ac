"""What a model says when it is told to say what held-out recordings do, in their voices: to listen to, to look at, and by its
mel-cepstral distortion beside theirs."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from daedal.codecs.sheet import pairs
from daedal.evaluation.blocks import Audio, Block, Ranking, Sheet
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.speech import SpeechSubject, Spoken, told_by
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.mel_distortion import COEFFICIENTS, distortions
from daedal.evaluation.report import Baseline
from daedal.evaluation.sounds.frames import as_sounds, cepstra_of, conditions, spectrograms
from daedal.inference.generator import Generator
from daedal.inference.sound import Sound, joined

Array = np.ndarray
SPECTROGRAMS, SPOKEN = "spectrograms.png", "spoken.wav"
_BESIDE = 1000  # recordings that what is spoken is set beside, at most, where no more are spoken
_SHOWN = 12
_PAUSE = 0.3  # seconds
_HEARD = 30.0  # seconds of sound in the report, at most
REAL = ("real recordings", "the held-out recordings themselves, a ceiling")


class Speaking(ExampleEvaluator):
    """Speaks, and measures how far that is from recordings of the same, frame by frame."""

    needs, columns = frozenset({"speak"}), frozenset({"sound"})
    passes: ClassVar[float] = 60.0  # the network is asked some twenty times, for what is asked and for nothing
    at_once = 16
    weight = 50.0

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        return _say(generator, examples, 0)

    def measure(self, subject: Any, within: float, tell: Tell) -> Findings:
        assert isinstance(subject, SpeechSubject)
        generator, count, seed, made = subject.generator, self.count(subject, within), subject.asked.seed, list[Sound]()
        beside = subject.held.some(max(count, _BESIDE), seed)
        places = beside.drawn(count, seed)
        for first in range(0, len(places), self.at_once):
            tell(0.8 * first / len(places), "speaking")
            made += _say(generator, beside.at(places[first : first + self.at_once]), first)
        tell(0.8, "comparing with recordings")
        subject.used, real = beside.at(places), as_sounds(generator.codec, beside["sound"])
        spoken = subject.spoken = Spoken(
            told_by(generator.model.config, beside), _speakers(generator, beside), real, places, made,
            generator.copied([real[at] for at in places]), generator.way_to_sound,
        )  # fmt: skip
        own, *others = _distances(subject, spoken)
        baselines = tuple(
            Baseline(name=name, why=why, measurements=(measured,))
            for (name, why), measured in zip((copies_of(spoken), REAL), others, strict=False)
        )
        blocks: tuple[Block, ...] = (
            Ranking(quantity="mel-cepstral-distortion", of="Mel distance, less is better"),
            *_shown(spoken),
        )
        sheet = pairs(spectrograms(made[:_SHOWN]), spectrograms(spoken.own[:_SHOWN]), columns=4)
        sampling = {"sounds": len(spoken), "seed": 0}
        return Findings(
            (own,), baselines, blocks, sampling=sampling, pictures={SPECTROGRAMS: sheet},
            files={SPOKEN: one_after_the_other(heard(made)).encoded()},
        )  # fmt: skip


def _say(generator: Generator, examples: Examples, first: int) -> list[Sound]:
    told = told_by(generator.model.config, examples)
    sounds: list[Sound] = generator.say_each(told, _speakers(generator, examples), seed=0, first=first)
    return sounds


def _speakers(generator: Generator, examples: Examples) -> list[str | None]:
    """Whose voices are asked for: of those that the model knows."""
    known = generator.speakers
    return [each if each in known else None for each in examples["speaker"]] if known else [None] * len(examples)


def copies_of(spoken: Spoken) -> tuple[str, str]:
    """What a baseline of copies is called, and why it stands there."""
    return f"copies by {spoken.way}", "the held-out recordings as they come back from what the model learns, a ceiling"


def _distances(subject: SpeechSubject, spoken: Spoken) -> list[Measurement]:
    """The mel-cepstral distortion of what the model says, of the copies, and of the recordings among each other; the last only
    where several say the same in the same voice."""
    made, copied, real = (cepstra_of(sounds) for sounds in (spoken.made, spoken.copied, spoken.real))
    others = [spoken.alike(at) for at in spoken.places]
    several = all(others)
    beside = others if several else [[int(at)] for at in spoken.places]
    own, found = [real[at] for at in spoken.places], []
    for of, sounds in (("speech", made), ("copies", copied), *((("real", own),) if several else ())):
        values = np.array(
            [distortions(one, [real[at] for at in places]).mean() for one, places in zip(sounds, beside, strict=True)]
        )
        found.append(
            Measurement(
                name="mel distance", value=float(values.mean()), unit="dB", interval=mean_interval(values, (0, np.inf)),
                interval_method=student("sounds"), n=len(values), pieces="sounds", seed=0,
                definition=define(
                    "mel-cepstral-distortion", 1, of=of, coefficients=f"1-{COEFFICIENTS}", **conditions(spoken.real[0].rate),
                    warping="symmetric", to="others-of-the-same" if several else "the-recording",
                ),
                **subject.about | ({} if of == "speech" else {"model_hash": ""}),
            )
        )  # fmt: skip
    return found


def heard(sounds: Sequence[Sound]) -> list[Sound]:
    """The first of them, as many as are worth the room."""
    seconds = np.cumsum([each.seconds for each in sounds[:_SHOWN]])
    return list(sounds[: max(1, int((seconds <= _HEARD).sum()))])


def one_after_the_other(sounds: Sequence[Sound]) -> Sound:
    rate = sounds[0].rate
    return Sound(joined([each.samples for each in sounds], rate, _PAUSE), rate)


def _shown(spoken: Spoken) -> tuple[Block, ...]:
    told = [f"{said} ({by})" if by else said for said, by in spoken.asked]
    count = len(heard(spoken.made))
    return (
        Sheet(
            title="What it says", file=SPECTROGRAMS,
            says="The first ones, not chosen, each above a recording of the same: time from left to right, pitch upwards",
        ),
        Audio(title="To listen to", says=f"The first ones, one after the other: {', '.join(told[:count])}", file=SPOKEN),
    )  # fmt: skip
