"""MIDI files and tunes: `read_midi` and `write_midi`. Types 0 and 1; type 2, whose tracks are tunes of their own, is refused.

Read is what sounds: notes with their velocities and programs, tempos, metres, the first key and the title. Controllers, bends
and pedals are passed over. The library is mido, whose objects take some hundred bytes for each of a file's three: so a file is
no larger than `LARGEST`.
"""

import io
from collections import defaultdict, deque

import mido  # type: ignore[import-untyped]

from daedal.codecs.tune import DRUMS, MOST_NOTES, USUAL_TEMPO, Metre, Note, Tune, tonic
from daedal.errors import DaedalError

LARGEST = 2**20
"""Bytes of a file that is read."""
_DRUM_CHANNEL = 9
_CHANNELS = 16
_LAST = 2**31
_LONGEST_BAR = 16  # quarters; a metre of longer ones is a mistake


def read_midi(data: bytes) -> Tune:
    """The tune of a file.

    Raises:
        DaedalError: it is none, cut, of type 2, without notes, or too large.
    """
    if len(data) > LARGEST:
        raise DaedalError(f"A MIDI file of {len(data):,} bytes is too large", f"Give one of at most {LARGEST:,}")
    if data and not data.startswith(b"MThd"):
        raise DaedalError("This is no MIDI file", "Give one, as .mid")
    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except EOFError:
        raise DaedalError("The MIDI file is cut: it ends inside of a track", "Restore it from a copy") from None
    except Exception as error:  # the library has many, and none of its own
        line = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DaedalError(f"The MIDI file is damaged ({line})", "Restore it from a copy") from None
    if file.type not in (0, 1):
        raise DaedalError(
            f"It is a MIDI file of type {file.type}, whose tracks are tunes of their own", "Save it as type 0 or 1"
        )
    if file.ticks_per_beat <= 0:
        raise DaedalError("The MIDI file counts negative times: frames of a film, not beats", "Save it with beats")
    return _read(file)


def _read(file: "mido.MidiFile") -> Tune:
    notes: list[Note] = []
    tempos: dict[int, int] = {}
    metres: dict[int, Metre] = {}
    key = title = ""
    count = 0
    for track in file.tracks:
        tick = 0
        programs = [0] * _CHANNELS
        open_: dict[tuple[int, int], deque[tuple[int, int, int]]] = defaultdict(deque)
        for message in track:
            tick += message.time
            if message.time < 0 or tick >= _LAST:
                raise DaedalError("The MIDI file has a time that cannot be", "Restore it from a copy")
            match message.type:
                case "note_on" if message.velocity:
                    program = DRUMS if message.channel == _DRUM_CHANNEL else programs[message.channel]
                    open_[message.channel, message.note].append((tick, message.velocity, program))
                    count += 1
                    if count > MOST_NOTES:
                        raise DaedalError(f"It has more than {MOST_NOTES:,} notes", "Cut it into several tunes")
                case "note_on" | "note_off":
                    if struck := open_[message.channel, message.note]:
                        start, velocity, program = struck.popleft()
                        notes.append(Note(start, max(1, tick - start), message.note, velocity, program))
                case "program_change":
                    programs[message.channel] = message.program
                case "set_tempo":
                    tempos[tick] = max(1, message.tempo)
                case "time_signature":
                    if 0 < 4 * message.numerator <= _LONGEST_BAR * message.denominator:
                        metres[tick] = Metre(tick, message.numerator, message.denominator)
                case "key_signature":
                    key = key or (message.key if tonic(message.key) else "")
                case "track_name":
                    title = title or message.name.strip("\0 ")
        for (_, pitch), struck in open_.items():  # what is never let go ends with its track
            notes += [Note(start, max(1, tick - start), pitch, *rest) for start, *rest in struck]
    return Tune.of(
        file.ticks_per_beat, notes, tempos=tuple(sorted(tempos.items())), metres=tuple(sorted(metres.values())),
        key=key, title=title[:200],
    )  # fmt: skip


def write_midi(tune: Tune, comment: str = "") -> bytes:
    """The file of a tune, of type 1: a track for what is said of it, and one for each program.

    Args:
        comment: a text that the file carries.

    Raises:
        DaedalError: it has more programs than there are channels.
    """
    channels = [channel for channel in range(_CHANNELS) if channel != _DRUM_CHANNEL]
    melodic = [program for program in tune.programs if program != DRUMS]
    if len(melodic) > len(channels):
        raise DaedalError(f"The tune has {len(melodic)} programs, and MIDI {len(channels)} channels", "Leave some out")
    file = mido.MidiFile(type=1, ticks_per_beat=tune.ticks)
    said: list[tuple[int, mido.MetaMessage]] = [(0, mido.MetaMessage("track_name", name=_latin(tune.title)))]
    if comment:
        said.append((0, mido.MetaMessage("text", text=_latin(comment))))
    if tonic(tune.key) is not None:
        said.append((0, mido.MetaMessage("key_signature", key=tune.key)))
    said += [
        (tick, mido.MetaMessage("time_signature", numerator=beats, denominator=unit))
        for tick, beats, unit in tune.metres
    ]
    said += [(tick, mido.MetaMessage("set_tempo", tempo=tempo)) for tick, tempo in tune.tempos or ((0, USUAL_TEMPO),)]
    file.tracks.append(_track(sorted(said, key=lambda each: each[0])))
    for program in tune.programs:
        channel = _DRUM_CHANNEL if program == DRUMS else channels[melodic.index(program)]
        begin = (
            [] if program == DRUMS else [(0, 0, 0, mido.Message("program_change", channel=channel, program=program))]
        )
        struck = [
            event
            for note in tune.notes
            if note.program == program
            for event in (
                (
                    note.start,
                    2,
                    note.pitch,
                    mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity),
                ),
                (note.end, 1, note.pitch, mido.Message("note_off", channel=channel, note=note.pitch)),
            )
        ]  # what ends at a tick is let go before something is struck
        ordered = sorted((*begin, *struck), key=lambda event: event[:3])
        file.tracks.append(_track([(tick, message) for tick, _, _, message in ordered]))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _track(events: list[tuple[int, "mido.Message"]]) -> "mido.MidiTrack":
    """Messages at ticks in order, as a track with the times between them."""
    track, last = mido.MidiTrack(), 0
    for tick, message in events:
        track.append(message.copy(time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track


def _latin(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
