"""Tunes: MIDI, sound, events and grids of voices."""

import io
import json
import random
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import daedal
from daedal.codecs.events import GRID, Events
from daedal.codecs.midi import LARGEST, read_midi, write_midi
from daedal.codecs.piano_roll import bars, piano_roll
from daedal.codecs.sound import sound_file
from daedal.codecs.synthesizer import RATE, synthesize
from daedal.codecs.tune import DRUMS, Metre, Note, Tune, tonic, transposed_key
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.voices import Voices, fitting, tune_of_chords
from daedal.errors import DaedalError

NOTES = st.builds(
    Note,
    st.integers(0, 4000), st.integers(1, 2000), st.integers(0, 127), st.integers(1, 127), st.sampled_from([0, 19, 40, DRUMS]),
)  # fmt: skip
TUNES = st.builds(
    lambda ticks, notes, tempos, metres, key: Tune.of(
        ticks, notes, tempos=tuple(sorted(dict(tempos).items())), metres=tuple(metres), key=key
    ),
    st.sampled_from([24, 96, 480]),
    st.lists(NOTES, min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(200_000, 2_000_000)), max_size=3),
    st.lists(st.sampled_from([Metre(0, 3, 4), Metre(0, 4, 4), Metre(0, 6, 8)]), max_size=1),
    st.sampled_from(["", "C", "F#", "Bbm"]),
)
CHORDS = st.lists(
    st.sets(st.integers(50, 80), max_size=4).map(lambda chord: sorted(chord, reverse=True)), min_size=1, max_size=24
).filter(any)


# -- MIDI --------------------------------------------------------------------------------------------------------------


@given(TUNES)
@settings(max_examples=50, deadline=None)
def test_what_is_written_as_midi_is_read_again(tune: Tune) -> None:
    read = read_midi(write_midi(tune))
    assert (read.notes, read.metres, read.key, read.ticks) == (tune.notes, tune.metres, tune.key, tune.ticks)
    assert read.seconds == pytest.approx(tune.seconds)
    assert Tune.of_values(json.loads(json.dumps(tune.values()))).notes == tune.notes


def midi(*messages: mido.Message, kind: int = 0, ticks: int = 480) -> bytes:
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    for _ in range(2 if kind == 2 else 1):
        file.tracks.append(mido.MidiTrack(messages))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


ON, OFF = (mido.Message(kind, note=60, velocity=64, time=10) for kind in ("note_on", "note_off"))
BAD = {
    "no notes": midi(),
    "type 2": midi(ON, OFF, kind=2),
    "negative times": midi(ON, OFF)[:12] + b"\xe7\x28" + midi(ON, OFF)[14:],
    "cut": midi(ON, OFF)[:-8],
    "damaged": midi(ON, OFF).replace(b"MTrk", b"MTrx"),
    "no MIDI file": b"RIFF" + bytes(60),
    "too large": b"MThd" + bytes(LARGEST),
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_no_tune_is_told_in_a_line(why: str) -> None:
    with pytest.raises(DaedalError, match=why) as error:
        read_midi(BAD[why])
    assert "\n" not in str(error.value)


def test_a_file_with_too_many_notes_is_refused() -> None:
    with pytest.raises(DaedalError, match="more than 100,000 notes"):
        Tune.of(480, (Note(start, 1, 60) for start in range(100_001)))


def test_notes_that_are_never_let_go_end_with_their_track() -> None:
    tune = read_midi(midi(ON, mido.Message("note_on", note=64, time=470), mido.MetaMessage("end_of_track", time=480)))
    assert [note.end for note in tune.notes] == [960, 960]


def test_keys_are_named_and_moved() -> None:
    assert tonic("Bbm") == (10, "m")
    assert tonic("H") is None
    assert [transposed_key("C", step) for step in (0, 2, -1)] == ["C", "D", "B"]


# -- sound -------------------------------------------------------------------------------------------------------------


def test_a_tune_sounds_as_long_as_it_lasts_and_each_note_at_its_pitch(tmp_path: Path) -> None:
    tune = Tune.of(480, [Note(0, 960, 69, 100, 73)])
    (tmp_path / "a.wav").write_bytes(sound_file(synthesize(tune), RATE))
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE
    assert len(sound) / rate == pytest.approx(1.0 + 0.6, abs=0.01)
    spectrum = np.abs(np.fft.rfft(sound[: RATE // 2, 0]))
    assert int(np.argmax(spectrum)) * 2 == pytest.approx(440, abs=4)
    assert not np.abs(sound[int(1.3 * RATE) :]).max()


def test_every_program_and_drum_sounds_and_nothing_is_too_loud() -> None:
    tune = Tune.of(480, [Note(240 * n, 240, 36 + n % 48, 90, n) for n in range(129)])
    sound = synthesize(tune)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 0.9
    pieces = [np.abs(sound[int(tune.seconds_at(note.start) * RATE) :][: RATE // 5]).max() for note in tune.notes]
    assert min(pieces) > 0.005


# -- events ------------------------------------------------------------------------------------------------------------


@given(TUNES)
@settings(max_examples=100, deadline=None)
def test_events_lose_nothing_on_their_own_grid(tune: Tune) -> None:
    events = Events.fit([tune])
    codes = events.encode(tune)
    assert ((codes >= 0) & (codes < events.size)).all()
    on_grid = events.decode(codes)
    assert on_grid is not None
    assert np.array_equal(events.encode(on_grid), codes)
    assert events.decode(events.encode(on_grid)) == on_grid
    assert len(on_grid.notes) == len(tune.notes) - events.error(tune).lost
    assert events.error(on_grid).quarters == 0


def test_events_move_starts_by_at_most_half_a_place() -> None:
    tune = Tune.of(480, [Note(480 * n + 17, 200, 60 + n) for n in range(8)])
    events = Events.fit([tune])
    made = events.decode(events.encode(tune))
    assert made is not None
    for one, other in zip(tune.notes, made.notes, strict=True):
        assert abs(one.start / 480 - other.start / GRID) <= 0.5 / GRID
        assert (one.pitch, one.program) == (other.pitch, other.program)


@given(st.lists(st.integers(0, 400), max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_codes_are_a_tune_or_silence(codes: list[int]) -> None:
    tune = Events().decode(np.array(codes, dtype=np.int64))
    assert tune is None or tune.notes


def test_drums_are_never_transposed() -> None:
    tune = Tune.of(12, [Note(0, 12, 60, 80, 0), Note(0, 12, 36, 80, DRUMS), Note(12, 12, 62, 80, 0)])
    events = Events.fit([tune])
    codes = events.encode(tune)
    pitched = events.pitched(codes)
    assert (codes[pitched] - events.first_pitch).tolist() == [60, 62]
    made = Events.fit([tune]).decode(codes - 1 * pitched)
    assert made is not None
    assert sorted(note.pitch for note in made.notes) == [36, 59, 61]


# -- voices ------------------------------------------------------------------------------------------------------------


@given(CHORDS, st.sampled_from([1, 2, 4]))
@settings(max_examples=100, deadline=None)
def test_a_grid_keeps_chords(chords: list[list[int]], steps: int) -> None:
    grid = Voices(steps=steps)  # type: ignore[arg-type]
    tune = tune_of_chords(chords, grid)
    assert tune is not None
    last = max(place for place, chord in enumerate(chords) if chord)
    assert np.array_equal(grid.encode(tune), grid.of_chords(chords[: last + 1]))
    assert grid.decode(grid.encode(tune)) == tune
    found = fitting(tune)
    assert found is not None
    assert found.steps <= steps


def test_a_grid_is_taken_only_where_it_keeps_everything() -> None:
    chorale = tune_of_chords([[72, 67, 64, 48], [74, 67, 65, 47]] * 8, Voices())
    played = Tune.of(480, [Note(100 * n, 90, 60 + n, 40 + n) for n in range(20)])
    assert chorale is not None
    assert TuneCodec.fit(lambda: [chorale]).layout.layout == "voices"
    assert TuneCodec.fit(lambda: [chorale, played]).layout.layout == "events"
    asked = TuneCodec.fit(lambda: [chorale, played], "voices", 1)
    assert asked.layout.layout == "voices"
    assert "15 of 84 notes have no place" in asked.described


# -- the codec ---------------------------------------------------------------------------------------------------------


def said_tunes() -> list[Tune]:
    return [
        Tune.of(12, [Note(12 * n, 12, 60 + n, 80, program) for n in range(8)], metres=(Metre(0, *metre),), key=key, style=style)
        for key in ("C", "Am") for metre, program, style in (((3, 4), 0, "waltz"), ((4, 4), 40, "march"))
    ]  # fmt: skip


def test_what_is_said_of_tunes_stands_before_them_and_can_be_asked_for(tmp_path: Path) -> None:
    tunes = said_tunes()
    codec = TuneCodec.fit(lambda: tunes)
    assert list(codec.conditions) == ["key", "metre", "instrument", "style"]
    ids = codec.encode(tunes[0])
    assert ids[codec.opening - 1] == codec.begin
    assert ids[-1] == codec.end
    made = codec.decode(ids)
    assert made is not None
    assert (made.notes[0].pitch, made.key) == (60, "C")
    asked = {"key": "C", "metre": "3/4", "instrument": "piano", "style": "waltz"}
    assert codec.asked(asked) == ids[: codec.opening - 1].tolist()
    with pytest.raises(DaedalError, match=r"no style 'polka'\. Choose march, waltz"):
        codec.asked({"style": "polka"})
    with pytest.raises(DaedalError, match="of no mood"):
        codec.asked({"mood": "sad"})
    codec.save(tmp_path)
    again = TuneCodec.load(tmp_path)
    assert again.fingerprint() == codec.fingerprint()
    assert np.array_equal(again.encode(tunes[1]), codec.encode(tunes[1]))
    higher = codec.transposed(ids[: codec.opening], 2)
    assert codec.asked(asked | {"key": "D"}) == higher[:-1].tolist()


@pytest.mark.parametrize(
    "layout",
    [
        {"layout": "polyphony"}, {"layout": "voices", "lowest": 90, "highest": 20}, {"layout": "events", "pitches": [9, 3]},
        {"layout": "events", "programs": [500]}, {"layout": "events", "metres": [[0, 4]]},
    ],
)  # fmt: skip
def test_a_damaged_codec_is_told(layout: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tune_codec.json").write_text(json.dumps({"layout": layout}))
    with pytest.raises(DaedalError, match=r"tune_codec\.json"):
        TuneCodec.load(tmp_path)


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_piano_roll_shows_a_note_where_it_is() -> None:
    tune = Tune.of(480, [Note(0, 960, 60), Note(960, 960, 72)], metres=(Metre(0, 2, 4),))
    image = np.asarray(piano_roll(tune)).astype(int)
    coloured = np.ptp(image, axis=2) > 60
    left, right = coloured[:, : image.shape[1] // 2], coloured[:, image.shape[1] // 2 :]
    assert np.flatnonzero(left.any(1)).min() > np.flatnonzero(right.any(1)).max()
    assert bars(tune, 1920) == [0, 960]


# -- data --------------------------------------------------------------------------------------------------------------


def midis(folder: Path) -> Path:
    """Waltzes and marches as files, some of them bad."""
    for style, beats in (("waltz", 3), ("march", 4)):
        (folder / style).mkdir()
        for number in range(12):
            chance = random.Random(f"{style} {number}")
            notes = [Note(240 * n, 240, chance.randint(55, 79), chance.choice([60, 90]), 0) for n in range(48)]
            tune = Tune.of(
                480, notes, metres=(Metre(0, beats, 4),), key=chance.choice(["C", "G", "Dm"]), title=f"{style} {number}"
            )
            (folder / style / f"{number}.mid").write_bytes(write_midi(tune))
    for name, data in BAD.items():
        (folder / "march" / f"{name}.mid".replace(" ", "-")).write_bytes(data)
    return folder


def test_files_of_midi_are_tunes_and_what_is_none_is_counted(tmp_path: Path) -> None:
    data = daedal.build_data([midis(tmp_path)], tmp_path / "out")
    manifest = data.manifest
    assert manifest.kind == "tunes"
    assert sum(len(data.split(name)) for name in ("train", "validation", "test")) == 24
    reasons = {each.reason: each.count for each in manifest.dropped}
    assert reasons == {
        "no notes": 1, "type 2": 1, "negative times": 1, "cut": 1, "broken file": 2, "too large": 1,
    }  # fmt: skip
    assert "style" in data.codec("tune").codec.conditions
    notes = "\n".join(manifest.notes)
    assert "24 tunes of 1,152 notes" in notes
    assert "metres: 3/4 (12), 4/4 (12)" in notes or "metres: 4/4 (12), 3/4 (12)" in notes


def test_chorales_without_a_length_of_steps_are_sixteenths_and_it_is_said(tmp_path: Path) -> None:
    chance = random.Random(0)
    tunes = [[[chance.randint(50, 55), chance.randint(60, 72), -1] for _ in range(32)] for _ in range(30)]
    (tmp_path / "tunes.json").write_text(json.dumps(tunes))
    data = daedal.build_data([tmp_path / "tunes.json"], tmp_path / "out")
    assert data.codec("tune").codec.layout.steps == 4
    assert any("taken as sixteenths" in note for note in data.manifest.notes)
    again = daedal.build_data([tmp_path / "tunes.json"], tmp_path / "again", steps=1)
    assert again.codec("tune").codec.layout.steps == 1


def test_a_tune_in_another_key_is_a_near_copy(tmp_path: Path) -> None:
    chance = random.Random(1)
    tunes = [[[chance.randint(50, 55), chance.randint(60, 72)] for _ in range(60)] for _ in range(30)]
    tunes.append([[pitch + 3 for pitch in chord] for chord in tunes[0]])
    (tmp_path / "tunes-quarter.json").write_text(json.dumps(tunes))
    data = daedal.build_data([tmp_path / "tunes-quarter.json"], tmp_path / "out")
    assert data.manifest.duplicates.near == 1
