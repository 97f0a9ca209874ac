"""Speaking, as `/v1/audio/speech` asks for it: what a prompt says, one thing after the other."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from daedal.codecs.sound_stream import GROWING, SoundStream
from daedal.inference.generator import Generator
from daedal.inference.provenance import Provenance
from daedal.inference.skills.speak import PAUSE
from daedal.inference.sound import Sound
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.given import as_base64, checked
from daedal.serving.making import Making, Tell

OPTIONS = ("steps", "guidance", "temperature", "top_k")
_MOST = 512
"""Things that a prompt says after another."""


class Say(Making):
    """Says a prompt. Its events `sound` carry the bytes of the file, of a format that can be streamed as they come."""

    op = skill = "speak"

    def __init__(self, generator: Generator, command: Command) -> None:
        super().__init__(generator, command)
        self._prompt, self._speaker, self._seed = command["prompt"], command.get("speaker"), command["seed"]
        self._form, self._stream = command["format"], bool(command.get("stream"))
        self._options = {name: command[name] for name in OPTIONS if command.get(name) is not None}
        self._parts: list[str] = checked(lambda: generator.parts(self._prompt), "prompt")
        if len(self._parts) > _MOST:
            said = f"It says {len(self._parts):,} things, and at most {_MOST} are said at once"
            raise Refused(400, said, "invalid_value", "prompt")
        checked(lambda: SoundStream(generator.codec.rate, self._form).end(), "format")

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        options = sorted(set(OPTIONS) & generator.model.options)
        return {
            "kind": "speech", "speakers": list(generator.speakers), "rate": generator.codec.rate, "options": options
        }  # fmt: skip

    def pieces(self, tell: Tell) -> Iterator[Event]:
        rate, grows = self.generator.codec.rate, self._stream or self._form in GROWING
        file: SoundStream | None = None
        told: Provenance | None = None
        said: list[np.ndarray] = []
        for number, part in enumerate(self._parts):
            (sound,) = self.generator.say_each([part], [self._speaker], seed=self._seed, first=number, **self._options)
            samples = np.asarray(sound.samples)
            if told is None:
                told = sound.provenance.but(prompt=self._prompt)  # of all that the prompt says
                mark = None if self.marking is None else self.marking.passages(told.model_dump(mode="json"), rate)
                file = SoundStream(rate, self._form, self._stream, told.model_dump_json()) if grows else None
            else:
                samples = np.concatenate((np.zeros(round(PAUSE * rate), samples.dtype), samples))
            data = b""
            if file is None:
                said.append(samples)
            else:
                data = file.add(samples if mark is None else mark(samples))
            yield {"event": "sound", "seconds": len(samples) / rate, "data": as_base64(data)}
        whole = (
            file.end()
            if file is not None
            else Sound(np.concatenate(said), rate, told).encoded(self._form, self.marking)
        )
        yield {"event": "done", "data": as_base64(whole)}
