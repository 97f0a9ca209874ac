"""How well a model speaks: how often a listener hears what it was told to say, and in whose voice. Beside it what the listener
makes of real recordings of the same, and of these as they come back from their frames: the ceilings."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from daedal.codecs.mel import MelCodec
from daedal.data.columns import Signal
from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.speech import SpeechSubject, told_by
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator
from daedal.inference.skills.listen import Transcript
from daedal.inference.sound import Sound

Array = np.ndarray


class Speaking(ExampleEvaluator):
    """What a listener hears of what is spoken."""

    needs, columns = frozenset({"speak"}), frozenset({"sound"})
    passes: ClassVar[float] = 60.0  # the network is asked some twenty times, for what is asked and for nothing
    at_once = 16

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        return self._spoken(generator, examples, 0)

    def _spoken(self, generator: Generator, examples: Examples, first: int) -> list[Sound]:
        config = generator.model.config
        known: list[str | None] = [None] * len(examples)
        if config.speakers:
            known = [each if each in config.speakers else None for each in examples["speaker"]]
        sounds: list[Sound] = generator.say_each(told_by(config, examples), known, seed=0, first=first)
        return sounds

    def measure(self, subject: Any, within: float, tell: Tell) -> Findings:
        assert isinstance(subject, SpeechSubject)
        config, judge = subject.generator.model.config, subject.judge
        examples, spoken = subject.take(self.count(subject, within)), list[Sound]()
        for first in range(0, len(examples), self.at_once):
            tell(0.8 * first / len(examples), "speaking")
            part = examples.at(np.arange(first, min(first + self.at_once, len(examples))))
            spoken += self._spoken(subject.generator, part, first)
        tell(0.8, "listening")
        mel, real = config.mel, list(examples["sound"])
        copied = [_copied(mel, each) for each in real]
        found = {
            name: self._measured(subject, examples, judge.transcribe(sounds), of)
            for name, sounds, of in (
                ("", spoken, "speech"),
                ("real recordings", real, "real"),
                ("copies", copied, "copies"),
            )
        }
        baselines = (
            Baseline(
                name="real recordings",
                why="the held-out recordings themselves, a ceiling",
                measurements=found["real recordings"][0],
            ),
            Baseline(
                name="copies by Griffin-Lim",
                why="the same as they come back from their frames, a ceiling",
                measurements=found["copies"][0],
            ),
        )
        own, rows = found[""]
        head = ("is to be said", "sounds", "recognised right")
        blocks: tuple[Block, ...] = (
            Ranking(quantity="recognised-right", of="What the listener hears right, more is better"),
            *(
                (
                    Ranking(
                        quantity="speaker-recognised-right", of="Speakers that the listener tells right, more is better"
                    ),
                )
                if len(own) > 1
                else ()
            ),
            Table(title="What is heard right", says="The worst first.", head=head, rows=rows),
        )
        return Findings(own, baselines, blocks)

    def _measured(
        self, subject: SpeechSubject, examples: Examples, heard: Sequence[Transcript], of: str
    ) -> tuple[tuple[Measurement, ...], tuple[tuple[str, int, float], ...]]:
        config = subject.generator.model.config
        said = told_by(config, examples)
        right = np.array(
            [(each.text if config.characters else each.label) == one for each, one in zip(heard, said, strict=True)]
        )
        judge = subject.judge.fingerprint[:8]
        about: dict[str, Any] = {**subject.about, "unit": "", "pieces": "sounds", "better": "higher"}
        about |= {} if of == "speech" else {"model_hash": ""}
        found = [
            Measurement(
                name="recognised right", definition=define("recognised-right", 1, of=of, judge=judge), seed=0,
                **share_of(int(right.sum()), len(right)), **about,
            )
        ]  # fmt: skip
        if config.speakers and heard[0].speaker is not None:
            same = [
                each.speaker == one for each, one in zip(heard, examples["speaker"], strict=True) if one is not None
            ]
            found.append(
                Measurement(
                    name="speaker recognised right", seed=0,
                    definition=define("speaker-recognised-right", 1, of=of, judge=judge),
                    **share_of(sum(same), len(same)), **about,
                )
            )  # fmt: skip
        rows = []
        for name in sorted(set(said)) if config.labels else ():
            mine = right[[one == name for one in said]]
            rows.append((name, len(mine), float(mine.mean())))
        return tuple(found), tuple(sorted(rows, key=lambda row: row[2]))


def _copied(mel: MelCodec, signal: Signal) -> Sound:
    """A recording as it comes back from its frames."""
    frames = mel.encode(torch.from_numpy(signal.values[:, 0].astype(np.float32) / 32768))
    return Sound(mel.decode(frames).numpy(), mel.rate)
