"""Tunes to sound: a small synthesizer of our own. It is there to hear what a model writes, not to be listened to for itself.

- a timbre for each of General MIDI's sixteen families of programs: a few harmonics whose loudness and decay differ; drums are
  noise and falling tones
- an envelope of attack, decay, sustain and release
- vectorised over the notes of a timbre and pitch: a note is a slice of a tone that is made once, times its envelope
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from daedal.codecs.tune import DRUMS, Note, Tune
from daedal.errors import DaedalError

Array = np.ndarray
RATE = 22_050
"""Samples in a second."""
LONGEST = 1800.0
"""Seconds of a tune that is made to sound."""
_LOUDEST = 0.89
_TAIL = 0.6  # seconds after the last note


class Timbre(NamedTuple):
    """How notes of a family of programs sound.

    Attributes:
        harmonics: how loud each multiple of the note's frequency is.
        attack, release: seconds in which it comes and goes.
        decay: seconds in which it falls to a third of what it has above `sustain`.
        sustain: share of its loudness that stays as long as it is held.
        fading: how much faster each higher harmonic dies away.
        vibrato: share of the frequency by which it wavers.
    """

    harmonics: tuple[float, ...]
    attack: float
    decay: float
    sustain: float
    release: float
    fading: float = 0.0
    vibrato: float = 0.0


_STRUCK = (1.0, 0.5, 0.33, 0.2, 0.12, 0.08, 0.05)
_BOWED = (1.0, 0.6, 0.45, 0.35, 0.25, 0.18, 0.12, 0.08)
_SUNG = (1.0, 0.45, 0.25, 0.08, 0.05)
_REED = (1.0, 0.2, 0.6, 0.15, 0.35, 0.1, 0.2)
_TIMBRES = (
    Timbre(_STRUCK, 0.004, 0.7, 0.0, 0.12, 0.5),  # pianos
    Timbre((1.0, 0.1, 0.4, 0.05, 0.15), 0.002, 0.5, 0.0, 0.2, 0.8),  # bells and mallets
    Timbre((1.0, 0.7, 0.4, 0.5, 0.1, 0.25, 0.0, 0.2), 0.03, 1.0, 1.0, 0.08),  # organs
    Timbre((1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1), 0.003, 0.5, 0.0, 0.1, 0.7),  # guitars
    Timbre((1.0, 0.6, 0.3, 0.15, 0.08), 0.005, 0.6, 0.2, 0.08, 0.5),  # basses
    Timbre(_BOWED, 0.07, 1.0, 0.9, 0.15, 0.0, 0.003),  # strings
    Timbre(_BOWED, 0.1, 1.0, 0.9, 0.2, 0.0, 0.003),  # ensembles
    Timbre((1.0, 0.8, 0.7, 0.5, 0.4, 0.25, 0.15), 0.03, 0.4, 0.8, 0.08),  # brass
    Timbre(_REED, 0.03, 0.5, 0.85, 0.08, 0.0, 0.002),  # reeds
    Timbre((1.0, 0.25, 0.1, 0.03), 0.04, 0.5, 0.9, 0.08, 0.0, 0.004),  # pipes
    Timbre((1.0, 0.5, 0.33, 0.25, 0.2, 0.17, 0.14, 0.12), 0.01, 0.5, 0.8, 0.08),  # leads
    Timbre(_SUNG, 0.2, 1.0, 0.9, 0.4),  # pads
    Timbre(_SUNG, 0.1, 0.8, 0.5, 0.3),  # effects
    Timbre((1.0, 0.6, 0.5, 0.3, 0.2, 0.1), 0.003, 0.35, 0.0, 0.1, 0.7),  # plucked, from everywhere
    Timbre((1.0, 0.1, 0.5, 0.05, 0.2), 0.002, 0.25, 0.0, 0.1, 0.9),  # percussive
    Timbre(_SUNG, 0.05, 0.6, 0.5, 0.3),  # sound effects
)
_CHOIR = Timbre(_SUNG, 0.09, 1.0, 0.9, 0.2, 0.0, 0.004)
_CHOIRS = range(52, 55)


def timbre_of(program: int) -> Timbre:
    """How a program sounds that is no drums."""
    return _CHOIR if program in _CHOIRS else _TIMBRES[program // 8]


def synthesize(tune: Tune, rate: int = RATE) -> Float32[Array, "samples 2"]:
    """A tune as sound, the loudest sample at 0.89; instruments stand left and right of the middle.

    Raises:
        DaedalError: it is longer than `LONGEST`.
    """
    require_playable(tune)
    sound = np.zeros((int((tune.seconds + _TAIL) * rate) + 1, 2), dtype=np.float32)
    groups: dict[tuple[int, int], list[Note]] = {}
    for note in tune.notes:
        groups.setdefault((note.program, note.pitch), []).append(note)
    for (program, pitch), notes in groups.items():
        begins = [tune.seconds_at(note.start) for note in notes]
        held = [tune.seconds_at(note.end) - begin for note, begin in zip(notes, begins, strict=True)]
        if program == DRUMS:
            tone, release, sustained = _drum(pitch, rate), 0.0, False
        else:
            timbre = timbre_of(program)
            tone, release, sustained = _tone(timbre, pitch, max(held), rate), timbre.release, True
        left, right = _sides(program, pitch)
        for note, begin, seconds in zip(notes, begins, held, strict=True):
            first = int(begin * rate)
            length = min(len(tone), len(sound) - first, int((seconds + release) * rate) if sustained else len(tone))
            if length <= 0:
                continue
            heard = tone[:length] * np.float32((note.velocity / 127) ** 1.5)
            if sustained:
                fade = min(length, max(1, int(release * rate)))
                heard[length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
            sound[first : first + length, 0] += left * heard
            sound[first : first + length, 1] += right * heard
    return levelled(sound)


def require_playable(tune: Tune) -> None:
    """
    Raises:
        DaedalError: it is longer than `LONGEST`.
    """
    if tune.seconds > LONGEST:
        raise DaedalError(f"A tune of {tune.seconds:,.0f} s is too long to be played", "Cut it")


def levelled(sound: Float32[Array, "samples 2"]) -> Float32[Array, "samples 2"]:
    """A sound whose loudest sample is 0.89; silence stays silence."""
    peak = float(np.abs(sound).max(initial=0.0))
    return sound * np.float32(_LOUDEST / peak) if peak > 0 else sound


def _tone(timbre: Timbre, pitch: int, seconds: float, rate: int) -> Float32[Array, " samples"]:
    """A note of a pitch that is held for so long, without its end."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    time = np.arange(int((seconds + timbre.release) * rate) + 1, dtype=np.float32) / np.float32(rate)
    phase = np.float32(2 * np.pi * frequency) * time
    if timbre.vibrato:
        phase += np.float32(timbre.vibrato * frequency / 5.5) * np.sin(np.float32(2 * np.pi * 5.5) * time)
    tone = np.zeros_like(time)
    decay = timbre.decay * 2 ** ((60 - pitch) / 24)  # low strings sound longer
    falling = np.exp(-time / np.float32(decay))
    for number, loud in enumerate(timbre.harmonics, 1):
        if loud and number * frequency < 0.45 * rate:
            part = np.float32(loud) * np.sin(np.float32(number) * phase)
            tone += part * falling ** np.float32((number - 1) * timbre.fading) if timbre.fading else part
    tone *= np.float32(timbre.sustain) + np.float32(1 - timbre.sustain) * falling
    rise = min(len(tone), max(1, int(timbre.attack * rate)))
    tone[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    return tone / np.float32(sum(timbre.harmonics))


_KICKS, _SNARES, _TOMS = (35, 36), (37, 38, 39, 40), (41, 43, 45, 47, 48, 50)


def _drum(pitch: int, rate: int) -> Float32[Array, " samples"]:
    """A drum: the pitch says which."""
    noise = np.random.Generator(np.random.Philox(pitch)).standard_normal(int(0.5 * rate)).astype(np.float32)
    time = np.arange(len(noise), dtype=np.float32) / np.float32(rate)
    if pitch in _KICKS or pitch in _TOMS:
        low = 50 if pitch in _KICKS else 80 + 12 * _TOMS.index(pitch)
        fall = np.exp(-time * 30)
        drum = np.sin(2 * np.pi * (low * time - low * fall / 15)) * np.exp(-time * 9) + 0.05 * noise * np.exp(
            -time * 60
        )
    elif pitch in _SNARES:
        drum = 0.35 * noise * np.exp(-time * 18) + 0.5 * np.sin(2 * np.pi * 190 * time) * np.exp(-time * 25)
    else:  # cymbals: what is high of the noise
        slow = 6 if pitch in (46, 49, 51, 52, 53, 55, 57, 59) else 40
        drum = 0.3 * np.diff(noise, prepend=np.float32(0)) * np.exp(-time * slow)
    return np.asarray(drum * np.linspace(1, 0, len(drum)), dtype=np.float32)


def _sides(program: int, pitch: int) -> tuple[np.float32, np.float32]:
    """How loud it is left and right: low notes a little to the right, each program at its own place, of equal power."""
    place = 0.5 + 0.25 * np.clip((60 - pitch) / 48, -1, 1) + 0.12 * ((program * 5) % 7 - 3) / 3
    angle = float(np.clip(place, 0.1, 0.9)) * np.pi / 2
    return np.float32(np.cos(angle)), np.float32(np.sin(angle))
