"""A detector of generated text whose false-positive rate human text of one's own holds: conformal calibration.

- the score of a text (`scores`) is set beside those of human texts cut to as many tokens: p = (1 + how many of them score at
  least as high) / (1 + how many there are). Whatever the score is worth, a human text of the same kind has p <= a in at most a
  of all cases (Vovk, Gammerman and Shafer 2005): that rests on nothing but that it is exchangeable with those
- a text is read from its beginning, up to the longest of the calibrated lengths that it has: 32, 64, 128, ... tokens
- what it tells of, is human text of this kind. Text of another kind, of another language or of a learner may look more like a
  model's than that: for it the rate does not hold
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from daedal.codecs.text import TextCodec
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.detector.scores import Method, score, token_statistics
from daedal.files import absolute, make_folder, read_json, write_json
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT

FILE = "detector.json"
LENGTHS = (32, 64, 128, 256, 512, 1024)
"""Tokens to which texts are cut."""
FEWEST = 19
"""Human texts of a length, at least: with them p can be 0.05."""
_READ = 2**16
"""Characters of a text that are looked at: far more than the longest length has."""


class DetectorFinding(Config):
    """What a detector says of a text.

    Attributes:
        score: higher is more as a model writes; None where the text is too short.
        p_value: how often a human text, of the kind that the detector was calibrated on, scores at least as high.
        n_calibration: human texts that it was set beside; p is never below 1 / (n + 1).
        tokens: of the text; `judged` of them were read.
        note: why nothing could be judged.
    """

    score: float | None
    p_value: float | None
    n_calibration: int
    tokens: int
    judged: int = 0
    note: str | None = None


class Calibration(Config):
    """Scores of human texts of so many tokens, in rising order."""

    tokens: int
    scores: tuple[float, ...]


class DetectorFile(Config):
    """What `detector.json` says.

    Attributes:
        model, performer: where they are, and the SHA-256 of their weights.
        human_hash: SHA-256 of the human texts.
        human: how many there were.
    """

    format: Literal["daedal-detector"] = "daedal-detector"
    version: Literal[1] = 1
    method: Method
    model: str
    model_hash: str
    performer: str | None = None
    performer_hash: str | None = None
    calibration: tuple[Calibration, ...] = Field(min_length=1)
    human_hash: str
    human: int


def p_value(human: "Sequence[float] | np.ndarray[Any, Any]", value: float) -> float:
    """The conformal p-value of a score beside those of human texts, in rising order: equal scores count as at least as high."""
    scores = np.asarray(human)
    return float((1 + len(scores) - np.searchsorted(scores, value, side="left")) / (1 + len(scores)))


class Detector:
    """Judges texts.

    Args:
        file: what was calibrated.
        model: that of the file.
        performer: that of the file.
    """

    def __init__(self, file: DetectorFile, model: Generator, performer: Generator | None = None) -> None:
        self.file, self._model, self._performer = file, model, performer

    @classmethod
    def calibrate(
        cls,
        model: Generator | str | Path,
        human_texts: Sequence[str],
        performer: Generator | str | Path | None = None,
        progress: Callable[[str, float, float | None], None] | None = None,
    ) -> Self:
        """A detector by a model, or by two, that human texts were set beside.

        Args:
            human_texts: of the kind that will be judged, and which the model has not learned; each counts once.
            performer: of the same tokenizer: then the method is `binoculars`, else `curvature`.

        Raises:
            DaedalError: a model writes no text, the tokenizers differ, or there is too little human text.
        """
        one, other = _opened(model), None if performer is None else _opened(performer)
        if other is not None and one.codec.fingerprint() != other.codec.fingerprint():
            raise DaedalError(
                f"{one.name} and {other.name} have different tokenizers", "Use two models of the same data folder"
            )
        if other is not None and one.fingerprint == other.fingerprint:
            raise DaedalError(f"{one.name} and {other.name} are one model", "Leave --performer out, or name another")
        texts = list(dict.fromkeys(text for text in human_texts if text.strip()))
        method: Method = "curvature" if other is None else "binoculars"
        ids = _ids(one, texts)
        lengths = [length for length in LENGTHS if sum(len(each) >= length for each in ids) >= FEWEST]
        if not lengths:
            enough = sum(len(each) >= LENGTHS[0] for each in ids)
            raise DaedalError(
                f"Of {len(texts):,} different human texts {enough:,} have {LENGTHS[0]} tokens or more",
                f"Give at least {FEWEST} such texts; a thousand allow a false-positive rate of 0.001",
            )
        ids = [each[: lengths[-1]] for each in ids if len(each) >= lengths[0]]
        scores: dict[int, list[float]] = {length: [] for length in lengths}

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress("reading human texts", done, total)

        for own in _read(one, other, ids, tell):
            reached = [length for length in lengths if length <= len(own)]
            for length, value in zip(reached, score(own, reached, method), strict=True):
                scores[length].append(float(value))
        file = DetectorFile(
            method=method,
            model=_place(one),
            model_hash=one.fingerprint,
            performer=None if other is None else _place(other),
            performer_hash=None if other is None else other.fingerprint,
            calibration=tuple(Calibration(tokens=length, scores=tuple(sorted(scores[length]))) for length in lengths),
            human_hash=hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest(),
            human=len(texts),
        )
        return cls(file, one, other)

    def save(self, folder: str | Path) -> Path:
        """Write it down; the models stay where they are.

        Raises:
            DaedalError: the folder cannot be written.
        """
        path = Path(folder) / FILE
        make_folder(path.parent)
        write_json(path, self.file.model_dump(mode="json"))
        return path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """That of a folder, with its models.

        Raises:
            DaedalError: there is none, or a model is gone or has changed.
        """
        path = Path(folder) / FILE
        values = read_json(path)
        if not isinstance(values, dict) or (values.get("format"), values.get("version")) != ("daedal-detector", 1):
            raise DaedalError(f"{path} is no detector of this version", "Calibrate one: daedal detector calibrate")
        file = DetectorFile.parse(values, str(path))
        one = _known(file.model, file.model_hash, path)
        other = None if file.performer is None else _known(file.performer, file.performer_hash or "", path)
        return cls(file, one, other)

    def judge(self, text: str) -> DetectorFinding:
        """Whether a text looks as a model writes."""
        (found,) = self.judge_all([text])
        return found

    def judge_all(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> list[DetectorFinding]:
        """The same of several, together."""
        known = {each.tokens: each for each in self.file.calibration}
        ids = _ids(self._model, texts)
        used = [max((length for length in known if length <= len(each)), default=0) for each in ids]
        rows = [each[:length] for each, length in zip(ids, used, strict=True) if length]
        read = iter(_read(self._model, self._performer, rows, progress))
        found = []
        for each, length in zip(ids, used, strict=True):
            if not length:
                least = min(known)
                note = f"too short: {len(each)} tokens, and fewer than {least} are not judged"
                found.append(DetectorFinding(score=None, p_value=None, n_calibration=0, tokens=len(each), note=note))
                continue
            value = float(score(next(read), [length], self.file.method)[0])
            human = known[length].scores
            found.append(
                DetectorFinding(
                    score=value, p_value=p_value(human, value), n_calibration=len(human), tokens=len(each), judged=length
                )
            )  # fmt: skip
        return found


def _opened(model: Generator | str | Path) -> Generator:
    generator = model if isinstance(model, Generator) else Generator.open(model)
    if not isinstance(generator.model, GPT) or not isinstance(generator.codec, TextCodec):
        raise DaedalError(f"{generator.name} is a {generator.model.family}, which writes no texts", "Name a GPT")
    return generator


def _known(place: str, hash: str, file: Path) -> Generator:
    generator = _opened(place)
    if generator.fingerprint != hash:
        raise DaedalError(f"{place} has changed since {file} was made of it", "Calibrate the detector again")
    return generator


def _place(generator: Generator) -> str:
    """Where a model is, from every working directory; the id of one of the hub."""
    return absolute(generator.name) if (Path(generator.name) / "config.json").is_file() else generator.name


def _ids(generator: Generator, texts: Sequence[str]) -> list[list[int]]:
    codec: TextCodec = generator.codec
    return [list(each) for each in codec.encode_batch([text[:_READ] for text in texts])]


def _read(
    one: Generator, other: Generator | None, ids: Sequence[Sequence[int]], tell: Callable[[int, int], None] | None
) -> Any:
    codec: TextCodec = one.codec
    prefix = codec.eos_id if codec.bos_id is None else codec.bos_id
    return token_statistics(one.model, ids, prefix, None if other is None else other.model, tell)
