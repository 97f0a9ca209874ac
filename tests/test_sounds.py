"""Sounds: files of every form are read, what is wrong with one is told and counted, and a codec keeps samples as they are."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyarrow import parquet  # type: ignore[import-untyped]

from built import build, every
from command_line import mistake
from daedal.codecs.sound import SoundCodec, loudness, resample, sounding
from daedal.data.artifacts import Unreadable
from daedal.data.examples import ExampleDataset
from daedal.data.recognition import recognise
from daedal.data.sound_files import decode_sound
from daedal.errors import DaedalError
from daedal.inference.provenance import Provenance
from daedal.inference.sound import Sound
from kind_examples import sounds, tone, wav


def told(data: ExampleDataset) -> str:
    dropped = [f"{each.count} {each.reason}" for each in data.manifest.dropped]
    mended = [f"{each.count} {each.name}" for each in data.manifest.mended]
    return "\n".join([*dropped, *mended, *data.manifest.notes])


def sources_of(data: ExampleDataset, split: str) -> set[str]:
    """The files that the examples of a split are from."""
    return set(parquet.read_table(data.folder / f"{split}.examples.parquet")["source"].to_pylist())


def folder_of(tmp_path: Path, count: int = 12) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(count):
        wav(folder / f"{number}.wav", tone(300 + 20 * number, 0.2))
    return folder


# -- the codec ---------------------------------------------------------------------------------------------------------


@given(arrays(np.int16, st.tuples(st.integers(0, 300), st.just(1))))
def test_samples_of_the_codecs_rate_come_back_exactly(values: np.ndarray) -> None:
    codec = SoundCodec(rate=8000)
    assert np.array_equal(codec.decode(codec.encode(values, 8000.0)), values)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 48000])
def test_a_tone_keeps_its_pitch_and_loudness_at_another_rate(rate: int) -> None:
    made = resample(tone(440, 1.0, rate).astype(np.float32) / 32768, rate, 8000)
    assert abs(len(made) - 8000) <= 1
    assert np.abs(np.fft.rfft(made)).argmax() == 440
    assert loudness(made) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)


def test_what_a_rate_cannot_hold_is_filtered_out_and_not_folded_down() -> None:
    made = resample(tone(6000, 1.0, 16000).astype(np.float32) / 32768, 16000, 8000)
    assert loudness(made[100:-100]) < -50


def test_channels_are_mixed_to_one() -> None:
    both = np.stack([tone(440, 0.1), -tone(440, 0.1)], axis=1)
    assert not SoundCodec(rate=8000).prepare(both, 8000).any()


def test_silence_is_cut_off_at_both_ends_and_loudness_set_where_that_is_asked() -> None:
    values = np.concatenate([np.zeros(4000, np.int16), tone(440, 0.5), np.zeros(4000, np.int16)])[:, None]
    codec = SoundCodec(rate=8000, trim=True, loudness=-23)
    made = codec.prepare(values, 8000)
    assert 4000 <= len(made) <= 4000 + 2 * 400
    assert loudness(made[400:-400]) == pytest.approx(-23, abs=1)
    assert sounding(np.zeros(100, np.float32), 8000) == (0, 100)


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.wav", {}), ("a.flac", {}), ("a.ogg", {}), ("a.mp3", {}), ("a.aiff", {}), ("a.wav", {"subtype": "PCM_24"}),
     ("a.wav", {"subtype": "FLOAT"}), ("a.wav", {"subtype": "PCM_U8"}), ("a.wav", {"subtype": "ULAW"})],
)  # fmt: skip
def test_every_form_is_read(name: str, how: dict[str, str], tmp_path: Path) -> None:
    data = wav(tmp_path / name, tone(440, 1.0, 16000) / 32768, 16000, **how).read_bytes()
    signal = decode_sound(data, 60).signal
    assert signal.rate == 16000
    middle = signal.values[4000:12000, 0].astype(np.float64)
    assert np.abs(np.fft.rfft(middle)).argmax() == 220  # in half a second
    assert loudness((middle / 32768).astype(np.float32)) == pytest.approx(-9, abs=0.5)


def test_samples_of_16_bits_are_kept_as_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-32768, 32768, (5000, 2), dtype=np.int16)
    assert np.array_equal(decode_sound(wav(tmp_path / "a.wav", values).read_bytes(), 60).signal.values, values)


def test_a_forged_header_costs_no_memory(tmp_path: Path) -> None:
    whole = wav(tmp_path / "a.wav", tone(440, 0.5)).read_bytes()
    forged = bytearray(whole)
    forged[4:8] = forged[40:44] = struct.pack("<I", 2**31 - 100)
    found = decode_sound(bytes(forged), 60)
    assert len(found.signal.values) == 4000
    assert found.mended == ("files that end before their sound does: read as far as they go",)
    for place, value in ((24, struct.pack("<I", 2**31)), (22, struct.pack("<H", 4000))):
        broken = bytearray(whole)
        broken[place : place + len(value)] = value
        with pytest.raises(Unreadable):
            decode_sound(bytes(broken), 60)


@given(st.binary(max_size=200), st.integers(0, 60))
def test_bytes_of_any_kind_are_read_or_refused(noise: bytes, place: int) -> None:
    head = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data"
    for data in (noise, head[:place] + noise):
        try:
            found = decode_sound(data, 1)
        except Unreadable:
            continue
        assert found.signal.values.dtype == np.int16


def test_a_cut_mp3_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = wav(tmp_path / "a.mp3", tone(440, 3.0, 16000), 16000).read_bytes()
    assert 8000 < len(decode_sound(whole[: len(whole) // 2], 60).signal.values) < 40000


def test_what_is_wrong_with_files_is_counted_with_its_reason(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "none.wav").write_bytes(b"")
    (folder / "text.wav").write_bytes(b"This is no sound at all, whatever its name says")
    wav(folder / "nothing.wav", np.zeros(0, np.int16))
    wav(folder / "silent.wav", np.zeros(800, np.int16))
    wav(folder / "hours.flac", np.tile(tone(440, 1.0), 70))
    wav(folder / "deep.wav", tone(500, 0.2, 48000), 48000, subtype="PCM_24")
    wav(folder / "eight.wav", np.stack([tone(500, 0.2)] * 8, axis=1))
    wav(folder / "loud.wav", (tone(700, 0.2) / 8000).astype(np.float32), subtype="FLOAT")
    wav(folder / "clipped.wav", np.clip(tone(440, 0.2).astype(np.int32) * 9, -32768, 32767).astype(np.int16))
    nan = np.full(800, np.nan, np.float32)
    wav(folder / "nan.wav", nan, subtype="FLOAT")
    said = told(data := build(folder))
    for part in ("2 empty", "2 broken file", "1 silent", "1 too long", "1 samples of 24 bits", "1 sounds over full scale",
                 "15 of 8,000 Hz, 1 of 48,000 Hz", "15 of 1 channel, 1 of 8 channels", "1 recordings are clipped"):  # fmt: skip
        assert part in said
    assert {each.rate for each in every(data, "sound")} == {8000.0}
    assert len(every(data, "sound")) == 16


def test_a_file_that_is_no_sound_alone_is_an_error_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"This is no sound at all")
    assert "broken file" in mistake("data", "build", tmp_path / "a.wav", "--out", tmp_path / "out")


def test_recordings_are_cut_into_pieces_where_that_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(12):
        noise = np.random.default_rng(number).integers(-9999, 9999, 8000 + 1500 * (number % 2), dtype=np.int16)
        wav(folder / f"{number}.wav", noise)
    data = build(folder, cut=0.25, split=(50, 25, 25))
    assert sorted({len(each.values) for each in every(data, "sound")}) == [1500, 2000]
    of = {name: sources_of(data, name) for name in data.manifest.splits}
    assert len(of["train"] | of["validation"] | of["test"]) == sum(map(len, of.values())) == 12


# -- what is known of them -----------------------------------------------------------------------------------------------


def test_the_rate_is_what_most_have_unless_one_is_asked_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    wav(folder / "other.wav", tone(440, 0.2, 44100), 44100)
    assert build(folder).manifest.codecs["sound"].described == "8,000 samples a second, 16 bits, mono"
    assert build(folder, "other", rate=4000).split("train").values("sound")[0].rate == 4000.0


def test_names_say_class_and_speaker_and_a_pattern_the_test_split(tmp_path: Path) -> None:
    (tmp_path / "in" / "recordings").mkdir(parents=True)
    sounds(tmp_path / "in" / "recordings")
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for path in (tmp_path / "in" / "recordings").glob("*.wav"):
            archive.write(path, f"recordings/{path.name}")
    data = build(tmp_path / "digits.zip", test=("*_[0-7].wav",))
    assert data.classes("label") == ("0", "1", "2", "3")
    assert data.classes("speaker") == ("ada", "bob")
    assert [data.manifest.splits[name].examples for name in ("train", "test")] == [38, 8]
    assert "as 0_ada_0.wav" in told(data)
    assert not data.has("transcript")
    assert "text" not in data.manifest.codecs
    assert not build(tmp_path / "digits.zip", "none", labels="none").has("label")


def test_a_pattern_that_names_nothing_is_told(tmp_path: Path) -> None:
    line = mistake("data", "build", folder_of(tmp_path), "--test", "no_*.wav", "--out", tmp_path / "out")
    assert "There is no sound in no_*.wav" in line


def test_folders_are_classes(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / "in" / ("yes", "no")[number % 2]).mkdir(parents=True, exist_ok=True)
        wav(tmp_path / "in" / ("yes", "no")[number % 2] / f"{number}.wav", tone(300 + 9 * number, 0.1))
    data = build(tmp_path / "in")
    assert data.classes("label") == ("no", "yes")
    assert "classes are the folders" in told(data)


TABLES = {
    "metadata.csv": "0|Nought, I said|Nought I said\n1|One|one\n",  # LJSpeech's
    "validated.tsv": "client_id\tpath\tsentence\nada\t0.wav\tNought I said\nbob\t1.wav\tone\n",  # Common Voice's
    "rows.jsonl": '{"audio": "in/0.wav", "text": "Nought I said"}\n{"audio": {"path": "1.wav"}, "text": "one"}\n',
    "19-198.trans.txt": "0 Nought I said\n1 one\n",  # LibriSpeech's
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_what_is_said(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / name).write_text(TABLES[name])
    data = build(folder, split=(100, 0, 0))
    assert {each for each in every(data, "transcript") if each} == {"Nought I said", "one"}
    assert data.manifest.codecs["text"].described.startswith("char")
    assert not build(folder, "none", transcripts="none").has("transcript")
    assert data.has("speaker") == (name == "validated.tsv")


def test_texts_beside_recordings_and_a_table_elsewhere_say_it_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for number in range(12):
        (folder / f"{number}.txt").write_text(f"tone {number}\n")
    (folder / "README.md").write_text("Tones")
    assert recognise(folder, {}) == "sounds"
    assert sorted(every(build(folder), "transcript")) == sorted(f"tone {number}" for number in range(12))
    (tmp_path / "said.csv").write_text("file,transcript\n3.wav,three\n")
    data = build(folder, "given", transcripts=str(tmp_path / "said.csv"))
    assert [each for each in every(data, "transcript") if each] == ["three"]


def test_what_tables_and_texts_beside_recordings_hold_is_read_whole_or_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    others = "".join(
        f"other-{number} words of other recordings, of which there are many here\n" for number in range(2000)
    )
    (folder / "book.trans.txt").write_text(f"{others}0 at the very end\n")
    (folder / "1.txt").write_text("long " * 20_000)
    (folder / "2.json").write_text('{"speaker": "me", "rate": 8000}')
    (folder / "rows.jsonl").write_text('{"file": "3.wav", "text": "three"}\n{"file": "4.wav", broken\n')
    (folder / "damaged.csv").write_bytes(b"file,transcript\n\x00\xff\x00")
    data = build(folder, split=(100, 0, 0))
    assert {each for each in every(data, "transcript") if each} == {"at the very end", "three"}
    for part in ("1 long text", "1 no table", "1 broken JSON line", "1 binary"):
        assert part in told(data)
    (tmp_path / "nothing.csv").write_bytes(b"\x00\xff\x00\x01")
    line = mistake("data", "build", folder, "--transcripts", tmp_path / "nothing.csv", "--out", tmp_path / "no")
    assert "says nothing of recordings (binary" in line


def test_channels_that_cancel_each_other_are_silent(tmp_path: Path) -> None:
    samples = tone(440, 0.1)
    data = wav(tmp_path / "a.wav", np.stack([samples, -samples], axis=1)).read_bytes()
    with pytest.raises(Unreadable, match="silent"):
        decode_sound(data, 1)


def test_a_few_sounds_among_texts_are_no_data_of_sounds(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.md").write_text("A meadow in the morning. " * 3)
    wav(tmp_path / "a.wav", tone(440, 0.2))
    assert recognise(tmp_path, {}) == "text"


def test_labels_of_sounds_are_asked_for_without_making_pictures_of_them(tmp_path: Path) -> None:
    assert recognise(folder_of(tmp_path), {"labels": "names"}) == "sounds"


def test_options_of_sounds_are_refused_for_others(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A meadow in the morning. " * 30)
    assert "--rate is for sounds" in mistake(
        "data", "build", tmp_path / "a.txt", "--rate", "8000", "--out", tmp_path / "o"
    )


# -- a sound that was made ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "opus", "mp3"])
def test_a_sound_saves_itself_in_every_form_and_says_where_it_comes_from(form: str, tmp_path: Path) -> None:
    made = Sound(tone(440, 0.5).astype(np.float32) / 32768, 8000, Provenance(model="m", fingerprint="f", version="1"))
    path = made.save(tmp_path / f"a.{form}")
    again = decode_sound(path.read_bytes(), 60).signal
    assert again.rate == 8000
    assert len(again.values) == pytest.approx(4000, abs=1200 if form == "mp3" else 0)
    assert json.loads((tmp_path / f"a.{form}.json").read_text())["model"] == "m"
    with soundfile.SoundFile(path) as file:
        assert json.loads(file.comment)["model"] == "m"


def test_a_sound_shows_itself(tmp_path: Path) -> None:
    low, high = (Sound(tone(pitch, 0.5).astype(np.float32) / 32768, 8000) for pitch in (300, 3000))
    rows = [np.asarray(each.spectrogram().convert("L")).mean(axis=1).argmax() for each in (low, high)]
    assert rows[0] > rows[1]  # low pitches are at the bottom
    assert "<audio controls" in low._repr_html_()
    assert not np.asarray(Sound(np.zeros(800, np.float32), 8000).spectrogram().convert("L")).max() > 1


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(DaedalError, match=r"Choose .wav, .flac, .ogg, .opus, .mp3"):
        Sound(np.zeros(8, np.float32), 8000).save("a.xyz")
    with pytest.raises(DaedalError, match="An MP3 has no 9,000 samples"):
        Sound(np.zeros(8, np.float32), 9000).encoded("mp3")
