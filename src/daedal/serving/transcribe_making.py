"""Listening, as `/v1/audio/transcriptions` and messages with sound ask for it."""

from collections.abc import Iterator
from typing import Any

from daedal.inference.generator import Generator
from daedal.serving.commands import Command, Event
from daedal.serving.given import checked, given_bytes
from daedal.serving.making import Making, Tell


class Transcribe(Making):
    """Says what is heard in a recording. It is decoded before it waits, and waits as the model hears it."""

    op, skill = "transcribe", "listen"

    def __init__(self, generator: Generator, command: Command) -> None:
        super().__init__(generator, command)
        data = given_bytes(command["audio"], "audio")
        self._samples = checked(lambda: generator.samples_of(data), "audio", "invalid_audio")
        self.held = len(self._samples) / generator.codec.rate

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        return {"kind": "transcripts", "rate": generator.codec.rate}

    def pieces(self, tell: Tell) -> Iterator[Event]:
        (found,) = self.generator.transcribe_samples([self._samples])
        yield {"event": "result", "transcript": found.model_dump(mode="json"), "seconds": found.seconds}
