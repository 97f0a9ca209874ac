"""How like real recordings a model's are to a listener, in the vectors by which it tells classes and speakers: the voice of
each, and all of them together.

- speaker similarity: the cosine of a sound and of recordings of the speaker who was asked for. Of each vector the mean of the
  recordings that say the same is taken off, so that what is said counts little
- the Fréchet distance of all sounds and all recordings (as FAD: Kilgour et al. 2019, arXiv:1812.08466) and their kernel
  distance (Bińkowski et al. 2018), by the code of those of pictures, with the listener in place of VGGish
"""

import numpy as np
import torch
from jaxtyping import Bool, Float

from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Ranking
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images import frechet, kernel
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.kinds.speech import SpeechSubject, Spoken
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline
from daedal.evaluation.sounds.frames import as_sounds
from daedal.evaluation.sounds.speaking import REAL, copies_of

Vectors = Float[np.ndarray, "sounds features"]
_TRAIN = (
    "training recordings",
    "as many recordings that were learned from: a model that is as good is perfect, or copies",
)
_OTHERS = ("another speaker", "the held-out recordings beside those of other speakers")
_RANKED = {
    "speaker-similarity": "How like the speaker it sounds to the listener, more is better",
    "frechet-audio-distance": "Fréchet distance to held-out recordings in the listener's vectors, less is better",
}


class Resemblance(Evaluator[SpeechSubject]):
    """Speaker similarity, Fréchet and kernel distance."""

    needs, columns = frozenset({"speak"}), frozenset({"sound", "judge"})

    def measure(self, subject: SpeechSubject, within: float, tell: Tell) -> Findings:
        spoken, judge = subject.spoken, subject.judge
        assert spoken is not None
        assert judge is not None
        tell(0, "comparing voices")
        made, copied, real = (judge.embed_sounds(sounds) for sounds in (spoken.made, spoken.copied, spoken.real))
        own, found, missing = list[Measurement](), dict[tuple[str, str], list[Measurement]](), list[str]()
        for of, value in _similarities(spoken, made, copied, real).items():
            measured = _similarity(subject, value, of)
            own += [measured] if of == "speech" else []
            if of != "speech":
                name = {"copies": copies_of(spoken), "real": REAL, "other-speakers": _OTHERS}[of]
                found.setdefault(name, []).append(measured)
        sets = [("speech", own, made), ("copies", found.setdefault(copies_of(spoken), []), copied)]
        if subject.train is not None:
            some = subject.train.at(spread(len(subject.train), len(real)))
            learned = judge.embed_sounds(as_sounds(subject.generator.codec, some["sound"]))
            sets.append(("training-recordings", found.setdefault(_TRAIN, []), learned))
        for distance in (_frechet, _kernel):
            try:
                for of, place, vectors in sets:
                    place.append(distance(subject, vectors, real, of))
            except DaedalError as error:
                missing.append(error.what)
        there = {each.quantity.split("/")[0] for each in own}
        blocks: tuple[Block, ...] = tuple(
            Ranking(quantity=each, of=of) for each, of in _RANKED.items() if each in there
        )
        baselines = tuple(
            Baseline(name=name, why=why, measurements=tuple(each)) for (name, why), each in found.items() if each
        )
        return Findings(tuple(own), baselines, blocks, tuple(missing))


def _similarities(
    spoken: Spoken, made: Vectors, copied: Vectors, real: Vectors
) -> dict[str, Float[np.ndarray, " sounds"]]:
    """The mean cosine of each sound with the recordings of its speaker but its own; and of the recordings with those of others.
    Empty where nobody is asked for, or nobody has two recordings."""
    by, said, at = np.array([each or "" for each in spoken.by]), np.array(spoken.said), spoken.places
    mine = (by[:, None] == by) & (by != "") & ~np.eye(len(by), dtype=bool)
    theirs = (by[:, None] != by) & (by[:, None] != "") & (by != "")
    if not mine[at].any():
        return {}
    several = all((said == each).sum() > 1 for each in set(spoken.said))
    group = said if several else np.zeros_like(said)
    middle = np.stack([real[group == each].mean(0) for each in group])
    beside = _unit(real - middle)
    sets = {"speech": _unit(made - middle[at]), "copies": _unit(copied - middle[at]), "real": beside[at]}
    found = {of: _mean_cosines(each, beside, mine[at]) for of, each in sets.items()}
    return found | ({"other-speakers": _mean_cosines(beside[at], beside, theirs[at])} if theirs[at].any() else {})


def _unit(vectors: Vectors) -> Vectors:
    made: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return made


def _mean_cosines(
    one: Vectors, other: Vectors, beside: Bool[np.ndarray, "sounds others"]
) -> Float[np.ndarray, " some"]:
    """Of those that have any beside them."""
    some = beside.any(1)
    found: np.ndarray = ((one @ other.T) * beside)[some].sum(1) / beside[some].sum(1)
    return found


def _similarity(subject: SpeechSubject, values: Float[np.ndarray, " some"], of: str) -> Measurement:
    return Measurement(
        name="speaker similarity", value=float(values.mean()), unit="", interval=mean_interval(values, (-1, 1)),
        interval_method=student("sounds"), n=len(values), pieces="sounds", seed=0, better="higher",
        definition=define("speaker-similarity", 1, **_how(subject, of), less="mean-of-the-same-words"), **_about(subject, of),
    )  # fmt: skip


def _frechet(subject: SpeechSubject, made: Vectors, real: Vectors, of: str) -> Measurement:
    x, y, seed = torch.from_numpy(made), torch.from_numpy(real), subject.asked.seed
    value = frechet.frechet_distance(x, y)
    interval = frechet.frechet_interval(x, y, value, seed)
    return Measurement(
        name="Fréchet audio distance", value=value, unit="", interval=(min(interval[0], value), max(interval[1], value)),
        interval_method=frechet.JACKKNIFE, n=min(len(made), len(real)), pieces="sounds", seed=seed,
        definition=define("frechet-audio-distance", 1, **_how(subject, of), **_sizes(made, real)),
        **_about(subject, of),
    )  # fmt: skip


def _kernel(subject: SpeechSubject, made: Vectors, real: Vectors, of: str) -> Measurement:
    size = min(kernel.SUBSET, len(made), len(real))
    found = kernel.kernel_distance(torch.from_numpy(made), torch.from_numpy(real), size=size)
    return Measurement(
        name="kernel audio distance", value=found.value, unit="", interval=found.interval, interval_method=kernel.METHOD,
        n=min(len(made), len(real)), pieces="sounds", seed=kernel.SEED,
        definition=define(
            "kernel-audio-distance", 1, **_how(subject, of), **_sizes(made, real), kernel="cubic",
            subsets=f"{kernel.SUBSETS}-of-{size}",
        ),
        **_about(subject, of),
    )  # fmt: skip


def _how(subject: SpeechSubject, of: str) -> dict[str, object]:
    assert subject.judge is not None
    return {"of": of, "judge": subject.judge.fingerprint[:8]}


def _sizes(made: Vectors, real: Vectors) -> dict[str, object]:
    return {"sounds": len(made), "recordings": len(real)}


def _about(subject: SpeechSubject, of: str) -> dict[str, str]:
    about: dict[str, str] = subject.about
    return about | ({} if of == "speech" else {"model_hash": ""})
