"""How near recordings come back from their log-mel frames by a vocoder, beside Griffin-Lim: to the ear, to a listener, and how
long that takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.sheet import pairs
from daedal.evaluation.blocks import Audio, Block, Ranking, Sheet
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.speech import ADVICE, VocoderSubject
from daedal.evaluation.means import mean_interval, share_of, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.mel_distortion import COEFFICIENTS, distortions
from daedal.evaluation.report import Baseline
from daedal.evaluation.sounds.frames import as_sounds, cepstra_of, conditions, spectrograms
from daedal.evaluation.sounds.speaking import REAL, heard, one_after_the_other
from daedal.inference.generator import Generator
from daedal.inference.sound import Sound
from daedal.nn.spectra import RESOLUTIONS, log_spectral_distance
from daedal.training.listening import plain

COPIES, HEARD = "copies.png", "copies.wav"
_DECIBELS = float(20 / np.log(10))
_SHOWN = 8
_GRIFFIN_LIM = ("Griffin-Lim", "the same frames by the fast Griffin-Lim algorithm, which learns nothing")
_RANKED = {
    "log-spectral-distance": "Distance of log spectra, less is better",
    "log-mel-error": "Error of log-mel frames, less is better",
    "recognised-right": "What the listener hears right in the copies, more is better",
    "real-time-factor": "Seconds for a second of sound, less is better",
}


class Vocoding(ExampleEvaluator):
    """Copies by the vocoder and by Griffin-Lim, beside the recordings."""

    needs, columns = frozenset({"vocode"}), frozenset({"sound"})
    passes = 1.0
    share = 0.2  # Griffin-Lim takes longer, and the spectra are looked at besides

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        sounds: list[Sound] = generator.copied(as_sounds(generator.codec, examples["sound"]))
        return sounds

    def measure(self, subject: Any, within: float, tell: Tell) -> Findings:
        assert isinstance(subject, VocoderSubject)
        examples, model = subject.take(self.count(subject, within)), subject.model
        real = as_sounds(subject.generator.codec, examples["sound"])
        frames = [model.mel.encode(model.mel.lengthened(torch.from_numpy(each.samples))) for each in real]
        found, copies = {}, {}
        ways: dict[str, Callable[[Tensor], Tensor]] = {
            "vocoder": lambda one: model.sounds([one])[0], "griffin-lim": model.mel.decode,
        }  # fmt: skip
        for place, (of, way) in enumerate(ways.items()):
            tell(place / 2, f"copies by {of}")
            started = time.process_time()
            copies[of] = [Sound(way(one).numpy(), real[0].rate) for one in frames]
            seconds = (time.process_time() - started) / sum(each.seconds for each in real)
            found[of] = (*_apart(subject, real, copies[of], of), _factor(subject, seconds, len(real), of))
        baselines = [Baseline(name=_GRIFFIN_LIM[0], why=_GRIFFIN_LIM[1], measurements=found["griffin-lim"])]
        if subject.judge is not None:
            tell(0.9, "listening")
            found["vocoder"] += _recognised(subject, examples, copies["vocoder"], "vocoder")
            for (name, why), sounds, of in ((_GRIFFIN_LIM, copies["griffin-lim"], "griffin-lim"), (REAL, real, "real")):
                measured = _recognised(subject, examples, sounds, of)
                baselines.append(Baseline(name=name, why=why, measurements=measured))
        there = {each.quantity.split("/")[0] for each in found["vocoder"]}
        shown = real[:_SHOWN], copies["vocoder"][:_SHOWN]
        sheet = pairs(spectrograms(shown[0]), spectrograms(shown[1]), columns=4)
        both = [each for pair in zip(*shown, strict=True) for each in pair]
        blocks: tuple[Block, ...] = (
            *(Ranking(quantity=name, of=says) for name, says in _RANKED.items() if name in there),
            Sheet(title="What comes back", says="The first recordings, each above its copy", file=COPIES),
            Audio(title="To listen to", says="The same, each before its copy", file=HEARD),
        )
        missing = (
            () if subject.judge is not None else (f"What a listener hears in the copies: none is named ({ADVICE})",)
        )
        files = {HEARD: one_after_the_other(heard(both)).encoded()}
        return Findings(found["vocoder"], (), blocks, missing, pictures={COPIES: sheet}, files=files) + Findings(
            baselines=tuple(baselines)
        )


def _apart(subject: VocoderSubject, real: Sequence[Sound], copies: Sequence[Sound], of: str) -> tuple[Measurement, ...]:
    """How far copies are from their recordings, as far as both last."""
    mel, rate = subject.model.mel, real[0].rate
    spectra, frames = [], []
    for one, other in zip(copies, real, strict=True):
        count = min(len(one.samples), len(other.samples))
        copy, own = (torch.from_numpy(each.samples[:count].astype(np.float32))[None] for each in (one, other))
        spectra.append(_DECIBELS * float(log_spectral_distance(copy, own)))
        frames.append(float((mel.encode(copy) - mel.encode(own)).abs().mean()))
    pairs_of = zip(cepstra_of(copies), cepstra_of(real), strict=True)
    warped = [float(distortions(one, [other])[0]) for one, other in pairs_of]
    of_frames = conditions(rate)
    spectral = define("log-spectral-distance", 1, of=of, windows="-".join(map(str, RESOLUTIONS)))
    mels = define("log-mel-error", 1, of=of, **of_frames)
    how = {"coefficients": f"1-{COEFFICIENTS}", **of_frames, "warping": "symmetric", "to": "the-recording"}
    return (
        _mean(subject, "log-spectral distance", "dB", spectra, of, spectral),
        _mean(subject, "log-mel error", "", frames, of, mels),
        _mean(subject, "mel distance", "dB", warped, of, define("mel-cepstral-distortion", 1, of=of, **how)),
    )


def _mean(
    subject: VocoderSubject, name: str, unit: str, values: Sequence[float], of: str, definition: str
) -> Measurement:
    found: Float[np.ndarray, " sounds"] = np.array(values)
    return Measurement(
        name=name, value=float(found.mean()), unit=unit, interval=mean_interval(found, (0, np.inf)),
        interval_method=student("sounds"), n=len(found), pieces="sounds", definition=definition, **_about(subject, of),
    )  # fmt: skip


def _factor(subject: VocoderSubject, seconds: float, count: int, of: str) -> Measurement:
    return Measurement(
        name="real-time factor", value=seconds, unit="", n=count, pieces="sounds",
        definition=define("real-time-factor", 1, of=of, one_at_a_time="yes", of_processor="yes"), **_about(subject, of),
    )  # fmt: skip


def _recognised(
    subject: VocoderSubject, examples: Examples, sounds: Sequence[Sound], of: str
) -> tuple[Measurement, ...]:
    """How often the listener hears what is said; nothing where it is not known, or it has not learned such."""
    judge = subject.judge
    assert judge is not None
    spelled = bool(judge.model.config.characters)
    column = "transcript" if spelled else "label"
    known = [at for at, each in enumerate(examples.columns.get(column, ())) if each is not None]
    if not known:
        return ()
    found = judge.transcribe([sounds[at] for at in known])
    said = [plain(examples[column][at]) if spelled else examples[column][at] for at in known]
    right = sum((each.text if spelled else each.label) == one for each, one in zip(found, said, strict=True))
    return (
        Measurement(
            name="recognised right", unit="", pieces="sounds", better="higher", **share_of(right, len(known)),
            definition=define("recognised-right", 1, of=of, judge=judge.fingerprint[:8]), **_about(subject, of),
        ),
    )  # fmt: skip


def _about(subject: VocoderSubject, of: str) -> dict[str, str]:
    about: dict[str, str] = subject.about
    return about | ({} if of == "vocoder" else {"model_hash": ""})
