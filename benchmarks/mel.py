"""Log-mel frames and sound of such frames, beside librosa's on the same arrays in the same run: how fast, and how alike.

    python benchmarks/mel.py [--seconds 20] [--rate 8000]

One thread; times are the best of a few. librosa must be installed (`pip install librosa`). Griffin and Lim's algorithm begins
with all phases zero on both sides, and is compared over a few steps, after which rounding makes two different sounds of the
same magnitudes; the whole way from mel bands to sound by how far the bands of what was made are from those given.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import librosa  # type: ignore[import-untyped]
import numpy as np
import torch

from daedal.codecs.mel import MelCodec


def best(work: Callable[[], Any], times: int) -> float:
    """Seconds of the fastest of so many."""
    work()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return min(found)


def sound(seconds: float, rate: int) -> np.ndarray:
    """A voice-like sound: a tone that glides, with overtones and noise, on and off."""
    at = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * at)) / rate
    made = sum(np.sin(part * phase) / part for part in range(1, 12)) * (np.sin(2 * np.pi * 1.3 * at) > -0.5)
    noise = np.random.Generator(np.random.Philox(0)).standard_normal(len(at))
    return (0.1 * made + 0.01 * noise).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=8000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    codec = MelCodec.for_rate(asked.rate)
    y = sound(asked.seconds, asked.rate)
    how = {"sr": codec.rate, "n_fft": codec.fft, "hop_length": codec.hop}
    given = torch.from_numpy(y)

    def peer() -> np.ndarray:
        mel = librosa.feature.melspectrogram(y=y, n_mels=codec.bands, power=1.0, **how)
        return np.log(np.maximum(mel, codec.floor))

    apart = np.abs(peer().T - codec.encode(given).numpy()).max()
    print(f"{asked.seconds:g} s at {codec.rate:,} Hz, {codec.bands} bands, frames of {codec.fft}, hop {codec.hop}")
    times = best(lambda: codec.encode(given), 9), best(peer, 9)
    print(f"log-mel       {1000 * times[0]:8.2f} ms, librosa {1000 * times[1]:8.2f} ms, apart by {apart:.1e} at most")

    magnitudes = np.abs(librosa.stft(y, n_fft=codec.fft, hop_length=codec.hop))
    rows = torch.from_numpy(np.ascontiguousarray(magnitudes.T))
    of = {"hop_length": codec.hop, "n_fft": codec.fft, "init": None, "momentum": codec.momentum}
    for steps in (1, 4):
        one = codec.but(iterations=steps).griffin_lim(rows).numpy()
        print(
            f"  after {steps} steps apart by {np.abs(one - librosa.griffinlim(magnitudes, n_iter=steps, **of)).max():.1e}"
        )
    times = best(lambda: codec.griffin_lim(rows), 3), best(lambda: librosa.griffinlim(magnitudes, n_iter=32, **of), 3)
    print(f"Griffin-Lim   {1000 * times[0]:8.0f} ms, librosa {1000 * times[1]:8.0f} ms, 32 steps")

    wanted = codec.encode(given)
    bands = wanted.exp().numpy().T
    made: list[np.ndarray] = []
    inverse = {"power": 1.0, "n_iter": 32, **how}
    times = (
        best(lambda: made.append(codec.decode(wanted).numpy()), 3),
        best(lambda: made.append(librosa.feature.inverse.mel_to_audio(bands, **inverse)), 1),
    )
    far = []
    for each in (made[0], made[-1]):
        again = codec.encode(torch.from_numpy(np.ascontiguousarray(each, dtype=np.float32)))[: len(wanted)]
        far.append(float((again - wanted[: len(again)]).abs().mean()))
    print(f"mel to sound  {1000 * times[0]:8.0f} ms, librosa {1000 * times[1]:8.0f} ms")
    print(f"  log-mel of what was made is off by {far[0]:.3f} in the mean, librosa's by {far[1]:.3f}")
    print(f"  real-time factor {times[0] / asked.seconds:.4f}, librosa's {times[1] / asked.seconds:.4f}")


if __name__ == "__main__":
    main()
