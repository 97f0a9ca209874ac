"""How much the watermarks of sounds and clips outlive, and how often they err.

    python benchmarks/sound_marks.py SOUNDS      # a folder of recordings (.wav), which are joined to 1, 2, 4 and 8 seconds
    python benchmarks/sound_marks.py SOUNDS --null 500       # unmarked parts, 20 keys for each
    python benchmarks/sound_marks.py --clips CLIPS           # a folder of animations

Detected means a p-value of at most 1e-4. One thread with OMP_NUM_THREADS=1.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, ImageSequence

from daedal.codecs.sound import faster, resample, sound_file
from daedal.inference.clip import Clip
from daedal.safety.clip_mark import find_clip_mark, mark_clip
from daedal.safety.sound_mark import find_sound_mark, mark_sound
from daedal.safety.watermark_keys import WatermarkKey

KEY = WatermarkKey(bytes(range(32)))
RATE = 1e-4
COUNT = 20
"""Sounds of each length."""
Array = np.ndarray
Attack = Callable[[Array, int], tuple[Array, int]]


def through(samples: Array, rate: int, form: str) -> tuple[Array, int]:
    return soundfile.read(io.BytesIO(sound_file(samples, rate, form)), dtype="float32")


def worst_mp3(samples: Array, rate: int) -> tuple[Array, int]:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9)
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")


def noisy(samples: Array, rate: int, decibels: float) -> tuple[Array, int]:
    noise = np.random.default_rng(1).standard_normal(len(samples)) * samples.std() * 10 ** (-decibels / 20)
    return (samples + noise).astype(np.float32), rate


ATTACKS: dict[str, Attack] = {
    "as it is": lambda samples, rate: (samples, rate),
    "MP3": lambda samples, rate: through(samples, rate, ".mp3"),
    "MP3, strongest": worst_mp3,
    "Vorbis": lambda samples, rate: through(samples, rate, ".ogg"),
    "Opus": lambda samples, rate: through(samples, rate, ".opus"),
    "to 8,000 Hz": lambda samples, rate: (resample(samples, rate, 8000), 8000),
    "to 44,100 Hz": lambda samples, rate: (resample(samples, rate, 44_100), 44_100),
    "0.3 s cut off": lambda samples, rate: (samples[int(0.3 * rate) + 7 :], rate),
    "half cut off": lambda samples, rate: (samples[len(samples) // 2 :], rate),
    "noise, 20 dB below": lambda samples, rate: noisy(samples, rate, 20),
    "noise, 10 dB below": lambda samples, rate: noisy(samples, rate, 10),
    "a tenth as loud": lambda samples, rate: (samples * 0.1, rate),
    "1 % faster": lambda samples, rate: (faster(samples, 0.01), rate),
}


def spoken(folder: Path, seconds: float, rate: int, seed: int) -> Array:
    """Recordings one after the other."""
    generator, parts, length = np.random.default_rng(seed), [], 0
    files = sorted(folder.glob("*.wav"))
    while length < seconds * rate:
        samples, own = soundfile.read(files[int(generator.integers(len(files)))], dtype="float32")
        parts.append(resample(samples, own, rate))
        length += len(parts[-1])
    return np.concatenate(parts)[: int(seconds * rate)].astype(np.float32)


def sounds(folder: Path, rate: int) -> None:
    lengths = (1, 2, 4, 8)
    cells: dict[str, list[str]] = {attack: [] for attack in ATTACKS}
    for seconds in lengths:
        given = [spoken(folder, seconds, rate, seed) for seed in range(COUNT)]
        began = time.thread_time()
        made = [mark_sound(samples, rate, KEY, 1000 + number) for number, samples in enumerate(given)]
        marking = (time.thread_time() - began) / COUNT
        levels = [
            10 * np.log10(np.sum(samples**2) / np.sum((marked - samples) ** 2))
            for samples, marked in zip(given, made, strict=True)
            if marked is not None
        ]
        began = time.thread_time()
        for samples in given:
            find_sound_mark(samples, rate, [KEY])
        finding = (time.thread_time() - began) / COUNT
        print(
            f"{seconds} s: {len(levels)} of {COUNT} marked, {np.mean(levels or [0]):.1f} dB below the sound; "
            f"{1000 * marking:.0f} ms to mark, {1000 * finding:.0f} ms to find"
        )
        for attack, change in ATTACKS.items():
            found = [
                (find_sound_mark(*change(marked, rate), [KEY]), 1000 + number)
                for number, marked in enumerate(made)
                if marked is not None
            ]
            detected = sum(f is not None and f.p_value is not None and f.p_value <= RATE for f, _ in found)
            read = sum(f is not None and f.payload == payload for f, payload in found)
            wrong = sum(f is not None and f.payload not in (None, payload) for f, payload in found)
            cells[attack].append(
                f"{100 * detected / len(found):.0f} / {100 * read / len(found):.0f} %"
                + (f" ({wrong} wrong)" if wrong else "")
                if found
                else "-"
            )
    print("| detected / payload read | " + " | ".join(f"{seconds} s" for seconds in lengths) + " |")
    print("| --- |" + " ---: |" * len(lengths))
    for attack, row in cells.items():
        print(f"| {attack} | " + " | ".join(row) + " |")


def null(folder: Path, count: int) -> None:
    values = []
    for number in range(count):
        samples = spoken(folder, 0.5 + number % 4, 8000, number)
        for key in range(20):
            finding = find_sound_mark(samples, 8000, [WatermarkKey((20 * number + key + 1).to_bytes(32, "big"))])
            values.append(1.0 if finding is None or finding.p_value is None else finding.p_value)
    found = np.array(values)
    for level in (0.1, 1e-2, 1e-3, 1e-4):
        print(f"p <= {level:g}: {100 * np.mean(found <= level):.4f} % of {len(found):,}")


def frames_of(path: Path) -> Array:
    if path.suffix == ".mp4":
        import av

        with av.open(str(path)) as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with Image.open(path) as file:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)])


def clips(folder: Path) -> None:
    kinds = (("GIF", ".gif", 1), ("WebP", ".webp", 1), ("MP4", ".mp4", 1), ("MP4, enlarged to 256", ".mp4", None))
    for side in (32, 64, 128):
        cells: dict[str, list[tuple[bool, bool]]] = {
            name: [] for name in ("as it is", *(kind[0] for kind in kinds), "one frame")
        }
        given = sorted(folder.iterdir())[::20][:COUNT]
        for number, path in enumerate(given):
            frames = frames_of(path)
            shown = np.stack([np.asarray(Image.fromarray(each).resize((side, side))) for each in frames])
            made = mark_clip(shown, KEY, number)
            if made is None:
                continue
            changed = {"as it is": made, "one frame": made[len(made) // 2 :][:1]}
            with tempfile.TemporaryDirectory() as kept:
                for name, form, scale in kinds:
                    changed[name] = frames_of(
                        Clip(tuple(map(Image.fromarray, made))).save(Path(kept) / f"clip{form}", scale)
                    )
            for name, each in changed.items():
                finding = find_clip_mark(each, [KEY])
                assert finding is not None
                detected = finding.p_value is not None and finding.p_value <= RATE
                cells[name].append((detected, finding.payload == number))
        for name, found in cells.items():
            print(
                f"{side} pixels, {name}: {sum(each[0] for each in found)} detected, {sum(each[1] for each in found)} read, "
                f"of {len(found)} marked, of {len(given)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, nargs="?")
    parser.add_argument("--rate", type=int, default=16_000)
    parser.add_argument("--null", type=int, default=0)
    parser.add_argument("--clips", type=Path)
    given = parser.parse_args()
    if given.clips:
        clips(given.clips)
    elif given.null:
        null(given.sounds, given.null)
    else:
        sounds(given.sounds, given.rate)


if __name__ == "__main__":
    main()
