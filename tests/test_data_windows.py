"""Windows visit every tile of the stream once an epoch, and depend on nothing but the seed and the sample's number."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.data import BuildOptions, Split, Windows, build
from daedal.data.windows import permute
from daedal.errors import DaedalError


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("windows")
    (folder / "a.txt").write_text(
        "".join(f"{number} is a number, and {number * 7} is another.\n" for number in range(300))
    )
    return build(folder / "a.txt", folder / "out", BuildOptions(codec="byte")).split("train")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_a_permutation_is_one(size: int, key: int) -> None:
    keys = np.full(size, key, dtype=np.uint64)
    assert sorted(permute(np.arange(size, dtype=np.uint64), size, keys).tolist()) == list(range(size))


def test_targets_are_inputs_one_later_and_are_from_the_stream(split: Split) -> None:
    windows = Windows(split, 32, seed=3)
    inputs, targets = windows.batch(5, 7)
    assert inputs.shape == targets.shape == (7, 32)
    assert inputs.dtype == targets.dtype == np.int64
    assert (inputs[:, 1:] == targets[:, :-1]).all()
    for row, start in zip(inputs, windows.starts(5, 7), strict=True):
        assert (row == split.read(int(start), int(start) + 32)).all()


@pytest.mark.parametrize("context", [1, 7, 64, 1000])
def test_an_epoch_tiles_the_stream_and_the_next_is_another(split: Split, context: int) -> None:
    windows = Windows(split, context, seed=0)
    count = windows.samples_per_epoch
    first, second = np.sort(windows.starts(0, count)), np.sort(windows.starts(count, count))
    assert (np.diff(first) == context).all()
    assert (np.diff(second) == context).all()
    assert first[0] >= 0
    assert first[-1] + context + 1 <= split.tokens
    assert count * context > split.tokens - 2 * context - 1
    assert not np.array_equal(windows.starts(0, count), windows.starts(count, count))


def test_batches_do_not_depend_on_how_they_are_cut(split: Split) -> None:
    windows = Windows(split, 50, seed=9)
    whole, _ = windows.batch(0, 3 * windows.samples_per_epoch)
    again = np.concatenate([Windows(split, 50, seed=9).batch(start, 1)[0] for start in range(len(whole))])
    assert (whole == again).all()
    assert not np.array_equal(whole, Windows(split, 50, seed=10).batch(0, len(whole))[0])


def test_every_phase_comes_up(split: Split) -> None:
    windows = Windows(split, 4, seed=1)
    starts = windows.starts(0, windows.samples_per_epoch * 40)
    assert set((starts % 4).tolist()) == {0, 1, 2, 3}


def test_windows_cross_shards(split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("daedal.data.assemble.SHARD_TOKENS", 1001)
    folder = split.dataset.folder.parent
    small = build(folder / "a.txt", tmp_path / "out", BuildOptions(codec="byte")).split("train")
    assert small.record.shards > 5
    assert small.fingerprint == split.fingerprint
    assert (small.read(0, small.tokens) == split.read(0, split.tokens)).all()
    assert (small.read(990, 3100) == split.read(990, 3100)).all()
    for mine, other in zip(Windows(small, 64, 1).batch(0, 300), Windows(split, 64, 1).batch(0, 300), strict=True):
        assert (mine == other).all()


def test_one_window_is_enough(split: Split) -> None:
    windows = Windows(split, split.tokens - 1, seed=0)
    inputs, targets = windows.batch(10, 2)
    assert (inputs[0] == split.read(0, split.tokens - 1)).all()
    assert (targets[1] == split.read(1, split.tokens)).all()


def test_too_short_a_split_says_what_context_fits(split: Split) -> None:
    with pytest.raises(DaedalError, match=f"has {split.tokens} tokens.*at most {split.tokens - 1} fits"):
        Windows(split, split.tokens, seed=0)
