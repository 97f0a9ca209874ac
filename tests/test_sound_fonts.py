"""Sound fonts: what is heard is what is written, and a broken font is refused and takes nothing with it."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32

from daedal.codecs.tune import DRUMS, Note, Tune
from daedal.errors import DaedalError
from daedal.inference import sound_font
from daedal.inference.sound_font import RATE, nearest, play
from sound_fonts import font

TUNE = Tune.of(480, [Note(0, 480, 69, 100, 40), Note(480, 480, 81, 100, 0), Note(960, 480, 60, 100, DRUMS)])


def written(folder: Path, data: bytes) -> Path:
    path = folder / "font.sf2"
    path.write_bytes(data)
    return path


def loudest(sound: Float32[np.ndarray, "samples 2"], begin: float, end: float) -> float:
    """The frequency that is loudest between two seconds, on the left."""
    some = sound[int(begin * RATE) : int(end * RATE), 0]
    return float(np.abs(np.fft.rfft(some)).argmax()) * RATE / len(some)


def test_notes_are_heard_where_and_as_high_as_they_are_written(tmp_path: Path) -> None:
    sound = play(TUNE, written(tmp_path, font()))
    assert loudest(sound, 0.05, 0.45) == pytest.approx(440, abs=5)
    assert loudest(sound, 0.55, 0.95) == pytest.approx(880, abs=5)
    assert not sound[int(1.3 * RATE) :].any()  # the font has no drums
    assert float(np.abs(sound).max()) == pytest.approx(0.89, abs=1e-3)


def test_drums_are_played_by_a_kit_and_nothing_else_is(tmp_path: Path) -> None:
    sound = play(TUNE, written(tmp_path, font([(128, 0)])))
    assert not sound[: int(0.9 * RATE)].any()
    assert sound[int(1.05 * RATE) : int(1.4 * RATE)].any()
    alone = Tune.of(480, [Note(0, 480, 69, 100, 40)])
    with pytest.raises(DaedalError, match="no instruments for this tune"):
        play(alone, tmp_path / "font.sf2")


def test_a_program_that_is_not_there_is_played_by_the_nearest_of_its_family() -> None:
    assert nearest(5, {0, 5, 6}) == 5
    assert nearest(7, {0, 8}) == 0
    assert nearest(100, {0, 90}) == 90


@pytest.mark.parametrize("broken", ["empty", "junk", "cut", "bent"])
def test_a_broken_font_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(sound_font, "_WORK", 3)
    whole = font()
    bent = bytearray(whole)
    bent[whole.index(b"shdr") + 8 : whole.index(b"shdr") + 60] = b"\xff" * 52  # its sample lies nowhere
    data = {"empty": b"", "junk": bytes(range(256)) * 4, "cut": whole[: len(whole) // 2], "bent": bytes(bent)}[broken]
    with pytest.raises(DaedalError, match="no sound font that can be read"):
        play(TUNE, written(tmp_path, data))


def test_a_font_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="There is no sound font"):
        play(TUNE, tmp_path / "font.sf2")
