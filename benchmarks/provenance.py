"""What marking costs and what verifying takes: signing, noting, reading, `verify`; and how often strangers look alike.

    python benchmarks/provenance.py [--pictures FOLDER] [--texts FILE] [--sounds FOLDER] [--times 50]

The pictures below FOLDER, 5,000 of them drawn by lot, are compared with each other, and the paragraphs of FILE: none is
another. Times are the best of several; the first call is told apart, for it loads what the others need. The installation is a
new one, in a folder that goes again.
"""

import argparse
import io
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daedal.inference.clip import Clip
from daedal.inference.picture import picture_file
from daedal.inference.sound import Sound
from daedal.safety import likeness
from daedal.safety.claim import Claim
from daedal.safety.ledger import Ledger
from daedal.safety.marking import TYPES, Marking
from daedal.safety.signing import Signer, read_signature

RECORD: dict[str, Any] = {"model": "benchmark", "fingerprint": "ab" * 32, "version": "0.1.0", "label": "a red circle"}


def milliseconds(work: Callable[[], Any], times: int) -> tuple[float, float]:
    """Of the first call, and the least of so many others, which others on the machine have kept waiting least."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - began))
    return found[0], min(found[1:])


def picture(side: int, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def signing(times: int) -> None:
    signer, claim = Signer.own(), Claim.of(RECORD)
    time_axis = np.arange(5 * 16000) / 16000
    sound = Sound((0.3 * np.sin(2 * np.pi * 440 * time_axis)).astype(np.float32), 16000)
    clip = Clip(tuple(picture(64, seed) for seed in range(16)), 8)
    files = {
        ".png": picture_file(picture(512), ".png", RECORD).data,
        ".jpg": picture_file(picture(512), ".jpg", RECORD).data,
        ".webp": picture_file(picture(512), ".webp", RECORD).data,
        ".gif": clip.encoded("gif"),
        ".wav": sound.encoded("wav"),
        ".mp3": sound.encoded("mp3"),
        ".mp4": clip.encoded("mp4"),
    }
    print("format  bytes      signed in (first)   read in   bytes more")
    for end, data in files.items():
        media_type = TYPES[end]
        first, then = milliseconds(lambda data=data, kind=media_type: signer.sign(data, kind, claim), times)
        signed = signer.sign(data, media_type, claim)
        _, read = milliseconds(lambda data=signed, kind=media_type: read_signature(data, kind), times)
        more = len(signed) - len(data)
        print(f"{end:6} {len(data):9,}  {then:6.2f} ms ({first:6.1f})  {read:6.2f} ms  {more:6,}")


def marking(times: int) -> None:
    parts = {
        "nothing": Marking(),
        "signature": Marking(signer=Signer.own()),
        "signature and row": Marking(signer=Signer.own(), ledger=Ledger()),
        "watermark, signature and row": Marking.of_installation(),
    }
    for side in (64, 512):
        for name, each in parts.items():
            image = picture(side)
            first, then = milliseconds(lambda m=each, i=image: picture_file(i, ".png", RECORD, marking=m), times)
            print(f"a PNG of {side} x {side} with {name}: {then:.1f} ms (first {first:.0f})")


def ledger(rows: int) -> None:
    book = Ledger()
    with sqlite3.connect(book.path) as table:
        values = ((10**6 + n, secrets.token_bytes(8)) for n in range(rows))
        table.executemany("INSERT INTO likenesses VALUES (?, ?, NULL)", values)
    bits = likeness.of_picture(picture(64, 1))
    first, then = milliseconds(lambda: book.find(b"", bits=bits), 10)
    print(f"a likeness among {rows:,} rows: {then:.0f} ms (first {first:.0f})")
    with sqlite3.connect(book.path) as table:
        table.execute("DELETE FROM likenesses WHERE number >= 1000000")
    checked, _ = milliseconds(book.check, 1)
    print(f"the chain of {book.check():,} rows followed in {checked:.0f} ms")


def verifying(folder: Path, times: int) -> None:
    from daedal import api

    mark = Marking.of_installation()
    sound = Sound((0.3 * np.sin(np.arange(80000) / 8)).astype(np.float32), 16000)
    made = {
        "a.png": picture_file(picture(512), ".png", RECORD, marking=mark).data,
        "a.jpg": picture_file(picture(512), ".jpg", RECORD, marking=mark).data,
        "a.wav": sound.encoded("wav", mark),
        "a.gif": Clip(tuple(picture(64, seed) for seed in range(16)), 8).encoded("gif", marking=mark),
    }
    for name, data in made.items():
        path = folder / name
        path.write_bytes(data)
        first, then = milliseconds(lambda path=path: api.verify(path), times)
        command = [sys.executable, "-m", "daedal", "verify", str(path)]
        _, whole = milliseconds(lambda c=command: subprocess.run(c, check=True, capture_output=True), 3)
        print(f"verify {name}: {then:.0f} ms (first {first:.0f}); as a command {whole / 1000:.2f} s")


def on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def strangers(data: Path) -> None:
    """How often two pictures that are not each other look alike."""
    paths = sorted(path for path in data.rglob("*") if path.suffix in (".png", ".jpg", ".webp"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:5000]
    images = [on_white(Image.open(paths[each]).convert("RGBA")) for each in sorted(chosen)]
    bits = [likeness.of_picture(image) for image in images]
    table = np.frombuffer(b"".join(each for each in bits if each is not None), dtype=np.uint8).reshape(-1, 8)
    pairs = close = 0
    for number in range(len(table)):
        far = likeness.bits_apart(table[number].tobytes(), table[number + 1 :])
        pairs, close = pairs + len(far), close + int((far <= likeness.NEAR_BITS).sum())
    print(f"{data.name}: of {pairs:,} pairs of {len(table):,} pictures {close:,} are near ({close / pairs:.1e})")
    kept = []
    for image in images[:500]:
        jpeg = io.BytesIO()
        image.convert("RGB").save(jpeg, format="JPEG", quality=50)
        own = likeness.of_picture(image)
        smaller = image.resize((max(8, image.width // 2), max(8, image.height // 2)))
        for changed in (Image.open(jpeg), smaller):
            other = likeness.of_picture(changed)
            if own is not None and other is not None:
                kept.append(int(likeness.bits_apart(own, np.frombuffer(other, dtype=np.uint8).reshape(1, 8))[0]))
    share = 100 * np.mean(np.array(kept) <= likeness.NEAR_BITS)
    print(f"{data.name}: as JPEG of quality 50, or half as large, {share:.1f} % are near themselves")


def sounds(folder: Path) -> None:
    """How often two recordings that are not each other sound alike, and how often one does at another rate."""
    import soundfile
    from scipy.signal import resample_poly

    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac", ".mp3"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:2000]
    heard = [soundfile.read(paths[each], dtype="float32") for each in chosen]
    bits = [likeness.of_sound(samples, rate) for samples, rate in heard]
    table = np.frombuffer(b"".join(each for each in bits if each is not None), dtype=np.uint8).reshape(-1, 8)
    near = [
        int((likeness.bits_apart(table[n].tobytes(), table[n + 1 :]) <= likeness.NEAR_BITS).sum())
        for n in range(len(table))
    ]
    pairs = len(table) * (len(table) - 1) // 2
    for up, down in ((2, 1), (441, 80)):
        again = [likeness.of_sound(resample_poly(some, up, down), rate * up // down) for some, rate in heard[:500]]
        apart = [
            int(likeness.bits_apart(one, np.frombuffer(other, dtype=np.uint8)[None])[0])
            for one, other in zip(bits, again, strict=False)
            if one is not None and other is not None
        ]
        kept = np.mean(np.array(apart) <= likeness.NEAR_BITS)
        print(f"{folder.name}: at {up / down:g} times the rate {kept:.1%} are near themselves")
    print(f"{folder.name}: of {pairs:,} pairs of recordings {sum(near):,} are near ({sum(near) / pairs:.1e})")


def texts(file: Path) -> None:
    parts = [
        part for part in file.read_text(encoding="utf-8", errors="replace").split("\n\n") if len(part.split()) >= 30
    ]
    words = [each for each in map(likeness.of_text, parts[:3000]) if each is not None]
    table = np.frombuffer(b"".join(words), dtype=np.uint8).reshape(-1, 128)
    pairs = close = 0
    for number in range(len(table)):
        share = likeness.words_shared(table[number].tobytes(), table[number + 1 :])
        pairs, close = pairs + len(share), close + int((share >= likeness.NEAR_WORDS).sum())
    print(f"{file.name}: of {pairs:,} pairs of paragraphs {close:,} are near ({close / max(1, pairs):.1e})")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--sounds", type=Path)
    parser.add_argument("--times", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DAEDAL_HOME"] = str(Path(folder) / "home")
        signing(asked.times)
        marking(asked.times)
        ledger(100_000)
        verifying(Path(folder), asked.times)
        if asked.pictures is not None:
            strangers(asked.pictures)
        if asked.sounds is not None:
            sounds(asked.sounds)
        if asked.texts is not None:
            texts(asked.texts)


if __name__ == "__main__":
    main()
