"""`daedal transcribe`: what is said in recordings, what they are and who speaks, by a listener."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch


def transcribe(
    run: str,
    recordings: Annotated[list[Path], Parameter(name="RECORDING", negative=())],
    /,
    *,
    json: Switch = False,
) -> None:
    """Say what is said in recordings, with a listener; and what they are and who speaks, where it has learned that.

    Parameters
    ----------
    run
        A run folder of a listener.
    recordings
        Sound files: WAV, FLAC, OGG, MP3 and the like.
    json
        Print everything as JSON: probabilities, and words with their times.
    """
    from daedal.inference.generator import Generator

    generator = Generator.open(run)
    generator.require("transcribe")
    found = generator.transcribe(recordings)
    if json:
        console.show_json(
            [{"file": str(path), **each.model_dump(mode="json")} for path, each in zip(recordings, found, strict=True)]
        )
        return
    for path, each in zip(recordings, found, strict=True):
        told = [f"class {each.label} {each.probabilities[each.label]:.1%}"] if each.label is not None else []
        told += [f"speaker {each.speaker} {each.speakers[each.speaker]:.1%}"] if each.speaker is not None else []
        named = f"{path.name}: " if len(recordings) > 1 else ""
        console.show(f"{named}{each.text}" + (f"  ({', '.join(told)})" if told else ""))
