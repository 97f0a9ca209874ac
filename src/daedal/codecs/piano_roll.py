"""A tune as a picture: time to the right, pitches upwards, a bar for each note, and a line for each bar."""

import colorsys

from PIL import Image, ImageDraw

from daedal.codecs.tune import DRUMS, Tune

_QUARTER = 20  # pixels, where the whole is not too wide
_SEMITONE = 6
_WIDEST = 4096
_MARGIN = 2  # semitones
_BLACK = (1, 3, 6, 8, 10)
_PAPER, _SHADE, _LINE, _BAR = (255, 255, 255), (244, 244, 247), (224, 224, 230), (176, 176, 188)


def piano_roll(tune: Tune, quarters: float | None = None) -> Image.Image:
    """The picture of a tune, or of its first quarters. Black keys are shaded, and every C has a line; what is loud is dark.
    Voices of one program are told apart by their place in the chord."""
    last = tune.end if quarters is None else min(tune.end, int(quarters * tune.ticks))
    width = min(_WIDEST, max(_QUARTER, last * _QUARTER // tune.ticks))
    pitches = [note.pitch for note in tune.notes]
    low, high = max(0, min(pitches) - _MARGIN), min(127, max(pitches) + _MARGIN)
    image = Image.new("RGB", (width, (high - low + 1) * _SEMITONE), _PAPER)
    draw = ImageDraw.Draw(image)

    def top(pitch: int) -> int:
        return (high - pitch) * _SEMITONE

    def across(tick: int) -> int:
        return tick * width // max(1, last)

    for pitch in range(low, high + 1):
        if pitch % 12 in _BLACK:
            draw.rectangle((0, top(pitch), width, top(pitch) + _SEMITONE - 1), fill=_SHADE)
        if pitch % 12 == 0:
            draw.line((0, top(pitch) + _SEMITONE - 1, width, top(pitch) + _SEMITONE - 1), fill=_LINE)
    for tick in bars(tune, last):
        draw.line((across(tick), 0, across(tick), image.height), fill=_BAR)
    chords: dict[int, list[int]] = {}
    for note in tune.notes:
        chords.setdefault(note.start, []).append(note.pitch)
    single = len(tune.programs) == 1
    for note in tune.notes:
        if note.start >= last:
            continue
        chord = chords[note.start]
        place = len(chord) - 1 - chord.index(note.pitch) if single else tune.programs.index(note.program)
        colour = _colour(place, note.velocity) if note.program != DRUMS else (90, 90, 90)
        left, right = across(note.start), max(across(note.start) + 1, across(min(note.end, last)) - 2)
        draw.rectangle((left, top(note.pitch), right, top(note.pitch) + _SEMITONE - 2), fill=colour)
    return image


def bars(tune: Tune, last: int) -> list[int]:
    """The ticks at which bars begin, up to one; of four quarters where no metre is said."""
    changes = {metre.tick: metre for metre in tune.metres}
    found, tick, length = list[int](), 0, 4 * tune.ticks
    waiting = sorted(changes)
    while tick < last:
        while waiting and waiting[0] <= tick:
            metre = changes[waiting.pop(0)]
            length = max(1, metre.beats * 4 * tune.ticks // metre.unit)
        found.append(tick)
        tick += length
    return found


def _colour(place: int, velocity: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((0.6 + 0.38 * place) % 1, 0.75, 0.95 - 0.5 * velocity / 127)
    return int(255 * red), int(255 * green), int(255 * blue)
