"""What is said in recordings, what they are and who speaks, by a model that listens."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from daedal.codecs.mel import MelCodec
from daedal.config import Config
from daedal.inference.recordings import Recording, listed, signal_of
from daedal.inference.skill import Skill
from daedal.models.listener import Heard, Listener, ListenerConfig, collapsed

_TOGETHER = 16


class Word(Config):
    """A word that was heard.

    Attributes:
        start, end: seconds; of the moments at which its first and last character were heard.
    """

    text: str
    start: float
    end: float


class Transcript(Config):
    """What was heard in a recording.

    Attributes:
        text: what is said; of a model that learned no transcripts, the class.
        words: with their times, where transcripts were learned.
        label: the class, and how likely each is; None where the model learned none.
        speaker: who speaks, and how likely each is.
        seconds: of the recording.
    """

    text: str
    words: tuple[Word, ...] = ()
    label: str | None = None
    probabilities: dict[str, float] = Field(default_factory=dict)
    speaker: str | None = None
    speakers: dict[str, float] = Field(default_factory=dict)
    seconds: float


class Listen(Skill):
    """Speech to text, and classes of sounds."""

    name = "listen"
    learned: ClassVar[type[Listener]] = Listener
    needs = ("transcribe",)
    verb = "listen to recordings"

    def transcribe(self, recordings: Recording | Sequence[Recording]) -> list[Transcript]:
        """What is heard in each recording.

        Raises:
            DaedalError: one is no sound, or too long.
        """
        return self.transcribe_samples([self.samples_of(each) for each in listed(recordings)])

    def samples_of(self, recording: Recording) -> Float[np.ndarray, " samples"]:
        """A recording as the model hears it: mono, at its own rate, from -1 to 1.

        Raises:
            DaedalError: it is no sound, or too long.
        """
        codec = self._subject.codec
        samples: Float[np.ndarray, " samples"] = codec.samples(codec.encode(*signal_of(recording)))
        return samples

    def transcribe_samples(self, sounds: Sequence[Float[np.ndarray, " samples"]]) -> list[Transcript]:
        """What is heard in recordings that are as `samples_of` gives them."""
        found: list[Transcript | None] = [None] * len(sounds)
        for group in _groups(sounds):
            frames, counts = self._mel.encode_all([sounds[at] for at in group])
            with torch.inference_mode():
                heard = self._model(frames.to(self._subject.device), counts.to(self._subject.device))
            for row, at in enumerate(group):
                found[at] = self._transcript(heard, row, len(sounds[at]) / self._mel.rate)
        return [each for each in found if each is not None]

    def embed_sounds(self, recordings: Recording | Sequence[Recording]) -> Float[np.ndarray, "sounds features"]:
        """A vector of each recording, near where they sound alike to the model.

        Raises:
            DaedalError: one is no sound, or too long.
        """
        sounds = [self.samples_of(each) for each in listed(recordings)]
        made = np.zeros((len(sounds), 2 * self._config.width), dtype=np.float32)
        for group in _groups(sounds):
            frames, counts = self._mel.encode_all([sounds[at] for at in group])
            with torch.inference_mode():
                vectors = self._model.embed(frames.to(self._subject.device), counts.to(self._subject.device))
            made[group] = vectors.float().cpu().numpy()
        return made

    @property
    def _model(self) -> Listener:
        model: Listener = self._subject.model
        return model

    @property
    def _config(self) -> ListenerConfig:
        return self._model.config

    @property
    def _mel(self) -> MelCodec:
        return self._config.mel

    def _transcript(self, heard: Heard, row: int, seconds: float) -> Transcript:
        config = self._config
        text: str | None = None
        words: tuple[Word, ...] = ()
        if heard.characters is not None:
            read = heard.characters[row, : int(heard.moments[row])].argmax(-1).tolist()
            text, words = collapsed(read, config.characters), _words(read, config, seconds)
        label, probabilities = _likeliest(heard.labels, row, config.labels)
        speaker, speakers = _likeliest(heard.speakers, row, config.speakers)
        return Transcript(
            text=text if text is not None else label or "", words=words, label=label, probabilities=probabilities,
            speaker=speaker, speakers=speakers, seconds=round(seconds, 4),
        )  # fmt: skip


def _groups(sounds: Sequence[Float[np.ndarray, " samples"]]) -> list[list[int]]:
    """Sounds of about the same length together."""
    order = sorted(range(len(sounds)), key=lambda at: len(sounds[at]))
    return [order[first : first + _TOGETHER] for first in range(0, len(order), _TOGETHER)]


def _likeliest(logits: torch.Tensor | None, row: int, names: tuple[str, ...]) -> tuple[str | None, dict[str, float]]:
    if logits is None:
        return None, {}
    chances = logits[row].double().softmax(-1).tolist()
    return names[int(np.argmax(chances))], dict(zip(names, chances, strict=True))


def _words(read: list[int], config: ListenerConfig, seconds: float) -> tuple[Word, ...]:
    """Words with the times at which they were heard: a moment is two frames."""
    step = 2 * config.hop / config.rate
    words: list[Word] = []
    goes_on = False
    before = -1
    for moment, each in enumerate(read):
        fresh = each != before and each < len(config.characters)
        before = each
        if not fresh:
            continue
        character = config.characters[each]
        if character.isspace():
            goes_on = False
            continue
        end = round(min(seconds, (moment + 1) * step), 3)
        if goes_on:
            words[-1] = words[-1].but(text=words[-1].text + character, end=end)
        else:
            words.append(Word(text=character, start=round(min(seconds, moment * step), 3), end=end))
        goes_on = True
    return tuple(words)
