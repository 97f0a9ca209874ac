"""Tunes played by a sound font (SF2 or SF3) that the user has, with the instruments that it holds.

The font is read by symusic in a process of its own: a broken one may take its reader with it, and loses only that.
"""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from daedal.codecs.midi import write_midi
from daedal.codecs.synthesizer import levelled, require_playable
from daedal.codecs.tune import Tune
from daedal.data import children
from daedal.errors import DaedalError
from daedal.files import absolute

Array = np.ndarray
RATE = 44_100
"""Samples in a second."""
_WORK, _MEMORY = 30, 2**32  # seconds of processor time of a child, and one more for each of the tune; bytes
_CLOCK = 10  # seconds by the clock for each of these: machines are busy
_TAIL = 1.0  # seconds after the last note, in which it dies away
_AFTER = 16  # quarter notes that are longer than that
_BROKEN, _NOTHING = 3, 4  # how a child ends
_DRUMS = 128  # the bank of drum kits


def play(tune: Tune, font: Path | str) -> Float32[Array, "samples 2"]:
    """A tune as sound of `RATE`, the loudest sample at 0.89. A program that the font lacks is played by the nearest that it
    has, of its family first.

    Raises:
        DaedalError: symusic is not installed, there is no such font, it is broken or has nothing that this tune needs, or the
            tune is too long.
    """
    font = check_font(font)
    require_playable(tune)
    work = _WORK + int(tune.seconds)
    request = json.dumps({"font": str(absolute(font)), "rate": RATE, "work": work}).encode() + b"\n"
    child = children.start("daedal.inference.sound_font")
    try:
        found, _ = child.communicate(request + write_midi(tune, ""), timeout=_CLOCK * work)
    except subprocess.TimeoutExpired:
        found = b""
    finally:
        children.end([child])
    if child.returncode == _NOTHING:
        raise DaedalError(f"{font} has no instruments for this tune", "Name another sound font")
    if child.returncode or not found:
        raise _unreadable(font)
    sound = np.frombuffer(found, dtype="<f4").reshape(2, -1).T[: int((tune.seconds + _TAIL) * RATE)]
    if not np.isfinite(sound).all():
        raise DaedalError(f"{font} makes sounds that are no numbers", "Name another sound font")
    return np.ascontiguousarray(levelled(sound))


def check_font(font: Path | str) -> Path:
    """A font that can be played, as far as its list of instruments tells.

    Raises:
        DaedalError: symusic is not installed, there is no such font, or it is none.
    """
    font = Path(font)
    if find_spec("symusic") is None:
        raise DaedalError(
            "Sound fonts are read by symusic, which is not installed",
            "Install it with: pip install 'daedal[soundfont]', or leave the sound font away",
        )
    if not font.is_file():
        raise DaedalError(f"There is no sound font {font}", "Name a file that ends in .sf2 or .sf3")
    try:
        with font.open("rb") as stream:
            presets(stream)
    except (ValueError, OSError, struct.error):
        raise _unreadable(font) from None
    return font


def _unreadable(font: Path) -> DaedalError:
    return DaedalError(f"{font} is no sound font that can be read", "Name a file that is whole, SF2 or SF3")


def presets(stream: BinaryIO) -> set[tuple[int, int]]:
    """The banks and programs of a font, from 0.

    Raises:
        ValueError, struct.error: it is no sound font.
    """
    riff, _, form = struct.unpack("<4sI4s", stream.read(12))
    if (riff, form) != (b"RIFF", b"sfbk"):
        raise ValueError("no sound font")
    while True:
        name, size = struct.unpack("<4sI", stream.read(8))
        if name == b"LIST" and stream.read(4) == b"pdta":
            continue  # its parts follow
        if name == b"phdr":
            headers = stream.read(size)
            found = {struct.unpack_from("<HH", headers, place + 20) for place in range(0, size - 38, 38)}
            return {(bank, program) for program, bank in found}
        stream.seek(size - 4 * (name == b"LIST") + size % 2, os.SEEK_CUR)


def nearest(program: int, there: Iterable[int]) -> int:
    """The program to play in the place of one: itself, else one of its family, else the nearest."""
    return min(there, key=lambda each: (each != program, each // 8 != program // 8, abs(each - program)))


def _play(request: dict[str, Any], midi: bytes) -> bytes:
    """In a child: the samples of the left side, then of the right."""
    from symusic import Note, Score
    from symusic.core import Synthesizer

    with open(request["font"], "rb") as stream:
        known = presets(stream)
    melodic, kits = ({program for bank, program in known if (bank == _DRUMS) is drums} for drums in (False, True))
    score: Any = Score.from_midi(midi)
    heard = [track for track in score.tracks if (kits if track.is_drum else melodic) and len(track.notes)]
    if not heard:
        sys.exit(_NOTHING)
    for track in heard:
        track.program = nearest(track.program, kits if track.is_drum else melodic)
    end = score.end() + _AFTER * score.ticks_per_quarter
    heard[0].notes.append(Note(end, 1, 60, 1))  # so that what comes before is played until it has died away
    score.tracks = heard
    sound = np.asarray(Synthesizer(request["font"], request["rate"], 0).render(score, True), dtype="<f4")
    return sound.tobytes()


def _main() -> None:
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr
    request = json.loads(sys.stdin.buffer.readline())
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (request["work"], request["work"]))
    except ImportError:
        pass  # Windows has no such limits
    try:
        answers.write(_play(request, sys.stdin.buffer.read()))
    except (RuntimeError, ValueError, OSError, MemoryError, struct.error):
        sys.exit(_BROKEN)


if __name__ == "__main__":
    _main()
