"""Composing, as `/v1/audio/music` asks for it."""

from collections.abc import Iterator
from typing import Any

from daedal.codecs.midi import read_midi
from daedal.codecs.tune import Tune
from daedal.errors import DaedalError
from daedal.inference.compose_options import ComposeOptions
from daedal.inference.generator import Generator
from daedal.serving.commands import Command, Event
from daedal.serving.given import as_base64, checked, given_bytes
from daedal.serving.making import Making, Tell

GIVEN = ("continue", "harmonise", "infill")
"""What a tune is made of that is given."""
_LONGEST = 600.0
"""Seconds of a tune that is given."""


class ComposeTunes(Making):
    """Tunes, new ones or made of a given one."""

    op = skill = "compose"

    def __init__(self, generator: Generator, command: Command) -> None:
        super().__init__(generator, command)
        self._format, self._n = command["format"], command["n"]
        given = {name: _tune(command[name], name) for name in GIVEN if command.get(name) is not None}
        said = command.get("said") or {}
        for name in said:
            checked(lambda one={name: said[name]}: generator.codec.asked(one), name)  # type: ignore[misc]
        options = {name: command[name] for name in ComposeOptions.model_fields if command.get(name) is not None}
        checked(lambda: ComposeOptions.parse(options, "compose"), "seconds")
        self._asked: dict[str, Any] = {
            "seed": command["seed"], "said": said, "begin": given.get("continue"), "melody": given.get("harmonise"),
            "gap": (given["infill"], tuple(command["bars"])) if "infill" in given else None, **options,
        }  # fmt: skip

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        return {"kind": "music"}

    def pieces(self, tell: Tell) -> Iterator[Event]:
        tunes = self.generator.generate(
            self._n, progress=lambda done, total: tell({"event": "progress", "done": done / total}), **self._asked
        )
        for tune in tunes:
            made = tune.file(self._format, marking=self.marking)
            yield {
                "event": "tune", "data": as_base64(made.data), "statement": made.statement, "record": tune.record,
                "seconds": tune.tune.seconds,
            }  # fmt: skip
        yield {"event": "done"}


def _tune(encoded: str, param: str) -> Tune:
    """The tune of a MIDI file that is given, in base64.

    Raises:
        Refused: it is none, or too long.
    """
    data = given_bytes(encoded, param)
    tune = checked(lambda: read_midi(data), param)

    def short() -> None:
        if tune.seconds > _LONGEST:
            raise DaedalError(f"The tune lasts {tune.seconds:,.0f} s", f"Give one of at most {_LONGEST:g} s")

    checked(short, param)
    return tune
