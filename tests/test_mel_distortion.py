"""Mel-cepstral distortion is a distance of spectra's shapes along the best alignment in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.evaluation.measures.mel_distortion import COEFFICIENTS, cepstra, distortions, evenly

Array = np.ndarray


def recording(seed: int, frames: int) -> Array:
    return np.random.default_rng(seed).standard_normal((frames, COEFFICIENTS))


def by_the_book(one: Array, other: Array) -> float:
    """Sakoe and Chiba's symmetric form (P = 0), cell by cell."""
    apart = np.linalg.norm(one[:, None] - other, axis=-1)
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0.0
    for i, row in enumerate(apart, 1):
        for j, each in enumerate(row, 1):
            best[i, j] = min(best[i - 1, j] + each, best[i, j - 1] + each, best[i - 1, j - 1] + 2 * each)
    return float(best[-1, -1] / (len(one) + len(other)))


@given(st.integers(0, 999), st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_it_is_sakoe_and_chibas_warping_of_each_alone(seed: int, frames: int, others: list[int]) -> None:
    one, rest = recording(seed, frames), [recording(seed + 1 + at, count) for at, count in enumerate(others)]
    assert distortions(one, rest) == pytest.approx([by_the_book(one, each) for each in rest])
    assert distortions(one, rest)[0] == pytest.approx(distortions(rest[0], [one])[0])


@given(st.integers(0, 999), st.integers(1, 12), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_stretching_a_recording_costs_nothing(seed: int, frames: int, times: int) -> None:
    one = recording(seed, frames)
    assert distortions(one, [one, one.repeat(times, axis=0)]) == pytest.approx([0, 0], abs=1e-9)


def test_loudness_is_no_part_of_the_shape_and_a_tilt_is_told_in_decibels() -> None:
    frames = np.random.default_rng(0).standard_normal((5, 64))
    assert np.abs(cepstra(frames + 1.3) - cepstra(frames)).max() < 1e-4
    ripple = np.cos(np.pi * (np.arange(64) + 0.5) / 64 * 3)  # a wave of three halves over the bands, of one neper
    apart = np.linalg.norm(cepstra(frames + ripple) - cepstra(frames), axis=1)
    assert apart == pytest.approx(np.full(5, 20 / np.log(10) / np.sqrt(2)), rel=1e-4)  # its root mean square


def test_moments_are_apart_by_the_root_mean_square_whatever_the_lengths() -> None:
    one = recording(3, 7)
    assert evenly(one, 7).reshape(7, -1) * np.sqrt(7) == pytest.approx(one)
    assert evenly(np.repeat(one[:1], 5, axis=0), 24) == pytest.approx(evenly(one[:1], 24))
    moved = one + 3 / np.sqrt(COEFFICIENTS)
    assert np.linalg.norm(evenly(moved, 24) - evenly(one, 24)) == pytest.approx(3)
