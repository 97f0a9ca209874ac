"""Speech: what a prompt says, in a voice that the model has heard; and a passage of a recording that says something else."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.codecs.caption import CaptionCodec, tidy
from daedal.codecs.pronunciations import spelled
from daedal.errors import DaedalError
from daedal.inference.provenance import SpeechProvenance
from daedal.inference.recordings import MOST_SECONDS, Recording, listed, signal_of
from daedal.inference.skill import Skill
from daedal.inference.sound import Sound, joined
from daedal.memory import require_memory
from daedal.models.image import ImageSampling
from daedal.models.soundgpt import SoundModel
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
_SAMPLE, _RECORD = 4, 4096  # bytes of a sample, and of what is known of a sound


class Speak(Skill):
    """Says what it is told."""

    name = "speak"
    needs = ("speak",)
    verb = "speak"

    @property
    def speakers(self) -> tuple[str, ...]:
        """Those in whose voices it speaks."""
        return self._model.config.speakers

    def say(
        self,
        prompt: str | None,
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
                transcripts, any text of their characters; of one that was told nothing, None.
            speaker: in whose voice; anybody's where not given.
            first: the number of the first among those of the seed.
            options: the fields of `ImageSampling` that flows take: `steps`, `guidance`, ...

        Raises:
            DaedalError: the model cannot say that, knows no such speaker, or an option is wrong.
        """
        how, told = self._how(options), self._told(prompt, speaker)
        seed = self._noise(seed, first, n, len(told) * self._model.longest).seed
        noise = Noise(seed, first * len(told), n * len(told), self._subject.device)
        said, rate = self._spoken(told * n, noise, how), self._subject.codec.rate
        sounds = []
        for number in range(n):
            whole = joined(said[number * len(told) : (number + 1) * len(told)], rate, PAUSE)
            facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": first + number, "options": how}
            sounds.append(Sound(whole, rate, self._subject.signed(SpeechProvenance, task="generate", **facts)))
        return sounds

    def go_on(
        self, recording: Recording | None, prompt: str | None = None, speaker: str | None = None, n: int = 1, *,
        seconds: float | None = None, seed: int | None = None, first: int = 0, **options: Any,
    ) -> list[Sound]:  # fmt: skip
        """`n` sounds that begin with a recording and go on as the model hears it; what is given stays as it is.

        Args:
            recording: None for sounds that are all new, of so many `seconds`.
            prompt, speaker: what all of each sound says, and in whose voice, where the model was told.
            seconds: how long each is, with the recording; as long as the model wants where not given.

        Raises:
            DaedalError: the model does not write from left to right, no time is left to go on, or as `say`.
        """
        model, codec, how = self._model, self._subject.codec, self._how(options)
        if not isinstance(model, SoundModel):
            raise DaedalError(
                "Speech that is drawn all at once goes on with nothing", "Use a run of daedal train sound"
            )
        if speaker is not None and prompt is None:
            raise DaedalError("Who speaks is told with what is said", "Give a prompt too, or no speaker")
        if seconds is not None and not 0 < seconds <= MOST_SECONDS:
            raise DaedalError(f"A sound of {seconds:g} s cannot be made", f"Ask for up to {MOST_SECONDS:g}")
        shape, rate = model.codec.config, codec.rate
        begin = (
            np.zeros(0, dtype=np.float32) if recording is None else codec.samples(codec.encode(*signal_of(recording)))
        )
        steps = None if seconds is None else shape.moments(round(seconds * rate))
        known = torch.zeros(0, shape.books, dtype=torch.int64)
        if len(begin):
            (known,) = model.codec.encode_ids([torch.from_numpy(begin)])
        if steps is not None and steps <= len(known):
            raise DaedalError(f"The recording lasts {len(begin) / rate:.2f} s already", "Give more --seconds")
        written = model.longest if steps is None else max(model.longest, shape.samples(steps))
        noise = self._noise(seed, first, n, len(begin) + written)
        seed, row = noise.seed, torch.full((1, 1), -1)
        if prompt is not None or self._captions is not None:
            (told, *more) = [""] if prompt is None else self._told(prompt, speaker)
            if more:
                raise DaedalError("A sound that goes on says one thing", "Give one")
            row = self._encoded([told])
        sounds = []
        row = row.to(noise.device)
        made = [
            each.cpu().numpy()
            for part in (noise.part(at, at + _TOGETHER) for at in range(0, n, _TOGETHER))
            for each in model.codec.decode_ids(model.go_on(part, row.expand(part.count, -1), how, known, steps))
        ]
        source = hashlib.sha256(begin.tobytes()).hexdigest() if len(begin) else None
        for number, samples in enumerate(made, first):
            held = np.pad(begin[: len(samples)], (0, max(0, len(samples) - len(begin))))
            whole = _spliced(held, samples, 0, (len(begin), len(samples)), rate) if len(begin) else samples
            facts = {
                "prompt": prompt,
                "speaker": speaker,
                "seed": seed,
                "number": number,
                "source": source,
                "options": how,
            }
            sounds.append(Sound(whole, rate, self._subject.signed(SpeechProvenance, task="continue", **facts)))
        return sounds

    def say_each(
        self, prompts: Sequence[str], speakers: Sequence[str | None], *, seed: int, first: int = 0, **options: Any
    ) -> list[Sound]:
        """A sound for each prompt, of one class or text, and its speaker.

        Raises:
            DaedalError: as `say`.
        """
        how = self._how(options)
        told = [self._prompt(self.parts(prompt)[0], speaker) for prompt, speaker in zip(prompts, speakers, strict=True)]
        spoken = self._spoken(told, Noise(seed, first, len(told), self._subject.device), how)
        sounds = []
        for number, (samples, prompt, speaker) in enumerate(zip(spoken, prompts, speakers, strict=True), first):
            facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": number, "options": how}
            sounds.append(
                Sound(
                    samples, self._subject.codec.rate, self._subject.signed(SpeechProvenance, task="generate", **facts)
                )
            )
        return sounds

    def _spoken(self, told: Sequence[str], noise: Noise, how: ImageSampling) -> list[Float[Array, " samples"]]:
        rows = self._encoded(told).to(noise.device)
        return [
            sound.cpu().numpy()
            for at in range(0, noise.count, _TOGETHER)
            for sound in self._model.speak(noise.part(at, at + _TOGETHER), rows[at : at + _TOGETHER], how)
        ]

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
        if not isinstance(self._model, Speech):
            raise DaedalError(
                "A model that writes sounds from left to right says no passage of one anew",
                "Use a run of daedal train speech",
            )
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
        (part, *others) = self.parts(prompt)
        if others:
            raise DaedalError("A passage says one thing", f"Give one of {', '.join(config.labels[:_LISTED])}")
        size = config.width * config.hop
        begin = max(0, min(len(samples) - size, int((start + end) / 2 * config.rate) - size // 2))
        window = samples[begin : begin + size]
        picture = config.picture(config.mel.encode(torch.from_numpy(window)))[None]
        known = torch.ones(1, 1, config.height, config.width)
        lies = [round((at * config.rate - begin) / config.hop) for at in (start, end)]
        known[..., max(0, lies[0]) : max(lies[0] + 1, lies[1])] = 0
        noise = self._noise(seed, 0, 1, len(samples))
        seed = noise.seed
        rows = self._encoded([self._prompt(part, speaker)]).to(noise.device)
        made = self._model.edit(picture.to(noise.device), known.to(noise.device), noise, rows, how)
        spoken = self._model.sound(config.frames(made.float().cpu())[0]).numpy()[: len(window)]
        changed = _spliced(samples, spoken, begin, (int(start * config.rate), int(end * config.rate)), config.rate)
        source = hashlib.sha256(samples.tobytes()).hexdigest()
        facts = {"prompt": prompt, "speaker": speaker, "seed": seed, "number": 0, "source": source, "options": how}
        return Sound(changed, config.rate, self._subject.signed(SpeechProvenance, task="edit", **facts))

    def copied(self, recordings: Recording | Sequence[Recording]) -> list[Sound]:
        """Recordings as they come back from what the model learns of them: no better can it speak.

        Raises:
            DaedalError: one is no sound, or too long.
        """
        codec = self._subject.codec
        given = [codec.samples(codec.encode(*signal_of(each))) for each in listed(recordings)]
        return [Sound(self._model.copy(torch.from_numpy(each)).numpy(), codec.rate) for each in given]

    def _noise(self, seed: int | None, first: int, n: int, samples: int) -> Noise:
        """The random numbers of `n` sounds, of so many samples at most, which can be held; a seed is drawn if none is given."""
        if not isinstance(n, int) or n < 1 or not 0 <= first < 2**63:
            raise DaedalError(f"There are no {n!r} sounds from number {first} on", "Ask for 1 or more")
        if seed is not None and not 0 <= seed < 2**63:
            raise DaedalError(f"There is no seed {seed}", "Give a whole number from 0")
        if n > _TOGETHER:
            require_memory(f"Holding {n:,} sounds", n * (_SAMPLE * samples + _RECORD), "Ask for fewer")
        return Noise(secrets.randbits(32) if seed is None else seed, first, n, self._subject.device)

    @property
    def way_to_sound(self) -> str:
        """What makes sound of what the model draws, such as Griffin-Lim."""
        return self._model.way

    @property
    def _model(self) -> Speech | SoundModel:
        model: Speech | SoundModel = self._subject.model
        return model

    @property
    def _captions(self) -> CaptionCodec | None:
        """What makes ids of prompts; None of a model that was told nothing."""
        return self._subject.captions

    def _encoded(self, told: Sequence[str]) -> Int[Tensor, "prompts window"]:
        return torch.full((len(told), 1), -1) if self._captions is None else self._captions.encode(told)

    def _told(self, prompt: str | None, speaker: str | None) -> list[str]:
        """What the network is told, one after the other."""
        if self._captions is None and prompt is None and speaker is None:
            return [""]
        return [self._prompt(part, speaker) for part in self.parts(prompt or "")]

    def _prompt(self, part: str, speaker: str | None) -> str:
        """What the network is told of one thing to say."""
        config = self._model.config
        said = spelled(part, self._subject.pronunciations) if config.characters else part
        return config.prompt(said, self._speaker(speaker))

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

    def parts(self, prompt: str) -> list[str]:
        """What is said one after the other: classes of the model, or a whole text; each is a prompt of its own.

        Raises:
            DaedalError: the model cannot say that.
        """
        config, text = self._model.config, tidy(prompt)
        if self._captions is None:
            raise DaedalError("The model was not told what its recordings say", "Leave --prompt and --speaker away")
        if not text:
            raise DaedalError("The prompt says nothing", "Give it a text")
        if config.characters:
            symbols = spelled(text, self._subject.pronunciations)
            strange = sorted({each for each in symbols if each not in config.characters})
            if strange:
                raise DaedalError(
                    f"No transcript has {' '.join(strange[:_LISTED])}, which the prompt has",
                    f"Write it with {('' if self._subject.pronunciations is None else ' ').join(config.characters).strip()}",
                )
            if self._captions.lengths([config.prompt(symbols, None)])[0] > self._captions.window:
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
