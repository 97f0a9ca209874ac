"""A tune that a model made: it saves itself as MIDI, as sound, or as a piano roll, and says where it comes from."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daedal.codecs.midi import LARGEST, read_midi, write_midi
from daedal.codecs.piano_roll import piano_roll
from daedal.codecs.sound import sound_file
from daedal.codecs.synthesizer import RATE, synthesize
from daedal.codecs.tune import Tune
from daedal.errors import DaedalError
from daedal.files import make_folder, read_bytes, write_json, write_text
from daedal.inference import sound_font
from daedal.inference.picture import INDEX, png, save_image
from daedal.inference.provenance import TuneProvenance
from daedal.inference.sound import sound_format
from daedal.safety.marking import Marked, Marking

FORMATS = (".mid", ".midi", ".wav", ".png")
_HEARD = 60.0  # seconds that a notebook plays


@dataclass(frozen=True, repr=False)
class Composition:
    """A tune, and where it comes from."""

    tune: Tune
    provenance: TuneProvenance

    def __repr__(self) -> str:
        notes, made = self.tune.notes, self.provenance
        return f"<a tune of {len(notes):,} notes, {self.tune.seconds:.1f} s, number {made.number} of seed {made.seed}>"

    def save(self, path: Path | str, font: Path | str | None = None, marking: Marking | None = None) -> Path:
        """Write it in the format that the name's end says: MIDI, `.wav`, or a piano roll as `.png`; and beside it
        `<path>.json`, which says where it comes from. A picture and MIDI say so in themselves.

        Args:
            font: a sound font that plays it, in place of our synthesizer.
            marking: signs and notes it, and puts a watermark into what is written as sound.

        Raises:
            DaedalError: the name ends in no known format, or the file cannot be written.
        """
        path = Path(path)
        kind = tune_format(path)
        record = self.record
        if kind == ".png":
            return save_image(piano_roll(self.tune), path, record, marking)
        self.file("wav" if kind == ".wav" else "midi", font, marking).write(path)
        write_json(path.with_name(path.name + ".json"), record)
        return path

    def encoded(self, form: str, font: Path | str | None = None) -> bytes:
        """The tune as a file, which says in itself where it comes from; see `file`."""
        return self.file(form, font).data

    def file(self, form: str, font: Path | str | None = None, marking: Marking | None = None) -> Marked:
        """The tune as a file that is marked.

        Args:
            form: "midi", or a format of sounds, such as "wav".
            font: a sound font that plays it, in place of our synthesizer.

        Raises:
            DaedalError: there is no such format, or the tune is too long to be played.
        """
        comment, marking = json.dumps(self.record), Marking() if marking is None else marking
        if form == "midi":
            return marking.tune(write_midi(self.tune, comment), self.record)
        sound, rate = (
            (synthesize(self.tune), RATE) if font is None else (sound_font.play(self.tune, font), sound_font.RATE)
        )
        end = sound_format(Path(f"tune.{form}"))
        return marking.sound(sound, rate, self.record, end, lambda samples: sound_file(samples, rate, end, comment))

    @property
    def record(self) -> dict[str, Any]:
        """Where it comes from, and how long it is."""
        facts = {"seconds": round(self.tune.seconds, 2), "notes": len(self.tune.notes)}
        return self.provenance.model_dump(mode="json") | facts

    def _repr_html_(self) -> str:
        heard = self.tune.until(self.tune.tick_at(_HEARD)) or self.tune
        sound = sound_file(synthesize(heard), RATE)
        picture, played = (base64.b64encode(each).decode() for each in (png(piano_roll(heard)), sound))
        return (
            f'<img src="data:image/png;base64,{picture}" style="max-width:100%"><br>'
            f'<audio controls src="data:audio/wav;base64,{played}"></audio>'
        )


def tune_format(path: Path) -> str:
    """The format that a file's name asks for: its end.

    Raises:
        DaedalError: there is none of that name.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise DaedalError(f"{path}: no tune is written as {kind or 'such'}", f"Choose {', '.join(FORMATS)}")
    return kind


def save_each(
    tunes: Sequence[Composition],
    folder: Path | str,
    font: Path | str | None = None,
    marking: Marking | None = None,
) -> list[Path]:
    """Write every tune as MIDI and as sound, named by its number, and an index of JSON Lines that says where each comes from.
    Gives the MIDI files."""
    folder = make_folder(Path(folder))
    paths = [folder / f"{made.provenance.number:05}.mid" for made in tunes]
    for made, path in zip(tunes, paths, strict=True):
        made.file("midi", None, marking).write(path)
        made.file("wav", font, marking).write(path.with_suffix(".wav"))
    lines = [json.dumps({"file": path.name, **made.record}) for made, path in zip(tunes, paths, strict=True)]
    write_text(folder / INDEX, "".join(f"{line}\n" for line in lines))
    return paths


def open_tune(given: "Tune | Composition | Path | str") -> Tune:
    """A tune that is given: as such, or the path of a MIDI file.

    Raises:
        DaedalError: there is no such file, or it is no tune.
    """
    if isinstance(given, Composition):
        return given.tune
    if isinstance(given, Tune):
        return given
    path = Path(given)
    data = read_bytes(path, LARGEST)
    try:
        return read_midi(data)
    except DaedalError as error:
        raise DaedalError(f"{path}: {error.what}", error.fix) from None
