"""Speech: what a prompt says, in a voice that the model has heard; and a passage of a recording that says something else."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float

from daedal.codecs.caption import CaptionCodec, tidy
from daedal.errors import DaedalError
from daedal.inference.provenance import SpeechProvenance
from daedal.inference.recordings import Recording, signal_of
from daedal.inference.skill import Skill
from daedal.inference.sound import Sound
from daedal.models.image import ImageSampling
from daedal.models.speech import Speech
from daedal.nn.noise import Noise

Array = np.ndarray
_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
"""What a prompt may say of classes that are numbers."""
PAUSE = 0.12
"""Seconds between two things that are said after another."""
_FADE = 0.01  # seconds at the ends of a passage
_LISTED = 20
_TOGETHER = 16


class Speak(Skill):
    """Says what it is told."""

    name = "speak"
    learned: ClassVar[type[Speech]] = Speech
    needs = ("speak",)
    verb = "speak"

    @property
    def speakers(self) -> tuple[str, ...]:
        """Those in whose voices it speaks."""
        return self._model.config.speakers

    def parts(self, prompt: str) -> list[str]:
        """What a prompt says, one after the other: what `say_each` takes.

        Raises:
            DaedalError: the model cannot say that.
        """
        return self._parts(prompt)

    def say(
        self,
        prompt: str,
        speaker: str | None = None,
        n: int = 1,
        *,
        seed: int | None = None,
        first: int = 0,
        **options: Any,
    ) -> list[Sound]:
        """`n` sounds that say the prompt.

        Args:
            prompt: a class, or several with spaces between them, which are said one after the other; of a model that learned
                transcripts, any text of their characters.
            speaker: in whose voice; anybody's where not given.
            first: the number of the first among those of the seed.
            options: the fields of `ImageSampling` that flows take: `steps`, `guidance`, ...

        Raises:
            DaedalError: the model cannot say that, knows no such speaker, or an option is wrong.
        """
        if n < 1 or first < 0:
            raise DaedalError(f"There are no {n} sounds from number {first} on", "Ask for 1 or more")
        how, parts = self._how(options), self._parts(prompt)
        told = [self._model.config.prompt(part, self._speaker(speaker)) for part in parts]
        seed = secrets.randbits(32) if seed is None else seed
        noise = Noise(seed, first * len(told), n * len(told), self._subject.device)
        said, rate = self._spoken(told * n, noise, how), self._model.config.rate
        sounds = []
        for number in range(n):
            whole = _joined(said[number * len(told) : (number + 1) * len(told)], rate)
            facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": first + number, "options": how}
            sounds.append(Sound(whole, rate, self._subject.signed(SpeechProvenance, task="generate", **facts)))
        return sounds

    def say_each(
        self, prompts: Sequence[str], speakers: Sequence[str | None], *, seed: int, first: int = 0, **options: Any
    ) -> list[Sound]:
        """A sound for each prompt, of one class or text, and its speaker.

        Raises:
            DaedalError: as `say`.
        """
        how, config = self._how(options), self._model.config
        told = [
            config.prompt(self._parts(prompt)[0], self._speaker(speaker))
            for prompt, speaker in zip(prompts, speakers, strict=True)
        ]
        spoken = self._spoken(told, Noise(seed, first, len(told), self._subject.device), how)
        sounds = []
        for number, (samples, prompt, speaker) in enumerate(zip(spoken, prompts, speakers, strict=True), first):
            facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": number, "options": how}
            sounds.append(Sound(samples, config.rate, self._subject.signed(SpeechProvenance, task="generate", **facts)))
        return sounds

    def _spoken(self, told: Sequence[str], noise: Noise, how: ImageSampling) -> list[Float[Array, " samples"]]:
        rows = self._captions.encode(told).to(noise.device)
        drawn = [
            self._model.sample(noise.part(at, at + _TOGETHER), rows[at : at + _TOGETHER], how)
            for at in range(0, noise.count, _TOGETHER)
        ]
        return [each.numpy() for each in self._model.sounds(torch.cat(drawn))]

    def say_anew(
        self, recording: Recording, start: float, end: float, prompt: str, speaker: str | None = None, *,
        seed: int | None = None, **options: Any,
    ) -> Sound:  # fmt: skip
        """A recording of which the passage between two times says something else; what is around it stays as it was.

        Args:
            start, end: seconds.
            prompt: what all that the model sees of the recording then says: a class, or a text.

        Raises:
            DaedalError: the passage is no part of the recording or longer than the model sees at once, or as `say`.
        """
        config, codec, how = self._model.config, self._subject.codec, self._how(options)
        samples: Float[Array, " samples"] = codec.samples(codec.encode(*signal_of(recording)))
        seconds, most = len(samples) / config.rate, config.width * config.hop / config.rate
        if not 0 <= start < end <= seconds + 1e-6:
            raise DaedalError(
                f"The recording lasts {seconds:.2f} s", f"Choose a passage of it, and not {start:g} to {end:g}"
            )
        if end - start > most:
            raise DaedalError(
                f"The passage lasts {end - start:.2f} s, and the model says {most:.2f} s at once",
                "Choose a shorter one",
            )
        (part, *others) = self._parts(prompt)
        if others:
            raise DaedalError("A passage says one thing", f"Give one of {', '.join(config.labels[:_LISTED])}")
        size = config.width * config.hop
        begin = max(0, min(len(samples) - size, int((start + end) / 2 * config.rate) - size // 2))
        window = samples[begin : begin + size]
        picture = config.picture(config.mel.encode(torch.from_numpy(window)))[None]
        known = torch.ones(1, 1, config.height, config.width)
        lies = [round((at * config.rate - begin) / config.hop) for at in (start, end)]
        known[..., max(0, lies[0]) : max(lies[0] + 1, lies[1])] = 0
        seed = secrets.randbits(32) if seed is None else seed
        noise = Noise(seed, 0, 1, self._subject.device)
        rows = self._captions.encode([config.prompt(part, self._speaker(speaker))]).to(noise.device)
        made = self._model.edit(picture.to(noise.device), known.to(noise.device), noise, rows, how)
        spoken = config.mel.decode(config.frames(made.float().cpu())[0]).numpy()[: len(window)]
        changed = _spliced(samples, spoken, begin, (int(start * config.rate), int(end * config.rate)), config.rate)
        source = hashlib.sha256(samples.tobytes()).hexdigest()
        facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": 0, "source": source, "options": how}
        return Sound(changed, config.rate, self._subject.signed(SpeechProvenance, task="edit", **facts))

    @property
    def _model(self) -> Speech:
        model: Speech = self._subject.model
        return model

    @property
    def _captions(self) -> CaptionCodec:
        codec = self._subject.captions
        assert codec is not None
        return codec

    def _how(self, values: dict[str, Any]) -> ImageSampling:
        how = ImageSampling.parse(values, "options")
        refused = sorted(name for name, value in how if value is not None and name not in self._model.options)
        if refused:
            raise DaedalError(
                f"Speech takes no {', '.join(refused)}", f"It takes {', '.join(sorted(self._model.options))}"
            )
        return self._model.prompted.but(**how.model_dump(exclude_none=True))

    def _speaker(self, name: str | None) -> str | None:
        if name is not None and name not in self.speakers:
            known = ", ".join(self.speakers[:_LISTED]) or "none: its recordings do not say who speaks"
            raise DaedalError(f"The model has heard no speaker {name[:100]!r}", f"It knows {known}")
        return name

    def _parts(self, prompt: str) -> list[str]:
        """What is said one after the other: classes of the model, or a whole text."""
        config, text = self._model.config, tidy(prompt)
        if not text:
            raise DaedalError("The prompt says nothing", "Give it a text")
        if config.characters:
            strange = sorted({each for each in text if each not in config.characters})
            if strange:
                raise DaedalError(
                    f"No transcript has {' '.join(strange[:_LISTED])}, which the prompt has",
                    f"Write it with {''.join(config.characters).strip()}",
                )
            if self._captions.lengths([config.prompt(text, None)])[0] > self._captions.window:
                raise DaedalError("The prompt is longer than any transcript that was learned", "Give a shorter one")
            return [text]
        named = {tidy(label): label for label in config.labels}
        named |= {word: str(number) for number, word in enumerate(_NUMERALS) if str(number) in config.labels}
        parts = [text] if text in named else text.replace(",", " ").split()
        unknown = [part for part in parts if part not in named]
        if unknown:
            raise DaedalError(
                f"The model has not learned to say {unknown[0][:100]!r}",
                f"It says {', '.join(config.labels[:_LISTED])}",
            )
        return [named[part] for part in parts]


def _joined(sounds: Sequence[Float[Array, " samples"]], rate: int) -> Float[Array, " all"]:
    pause = np.zeros(round(PAUSE * rate), dtype=np.float32)
    return np.concatenate([piece for sound in sounds for piece in (sound, pause)][:-1])


def _spliced(
    samples: Float[Array, " samples"], spoken: Float[Array, " window"], begin: int, between: tuple[int, int], rate: int
) -> Float[Array, " samples"]:
    """A sound with a passage of another, faded in and out."""
    share = np.zeros(len(samples), dtype=np.float32)
    share[between[0] : between[1]] = 1
    fade = max(1, round(_FADE * rate))
    share = np.convolve(share, np.full(2 * fade + 1, 1 / (2 * fade + 1), dtype=np.float32), mode="same")[: len(samples)]
    other = np.zeros_like(samples)
    other[begin : begin + len(spoken)] = spoken[: len(samples) - begin]
    mixed: Array = (samples * (1 - share) + other * share).astype(np.float32)
    return mixed
