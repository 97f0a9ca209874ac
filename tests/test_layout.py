"""How pictures, classes and captions share one sequence: what stands where, and what is learned from what."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from daedal.models.gpt import GPTConfig
from daedal.models.layout import TokenLayout
from daedal.models.model import IGNORE

CAPTIONS = TokenLayout(tokens=9, places=4, words=6, window=3)
CLASSES = TokenLayout(tokens=9, places=4, classes=5)
ids = st.lists(st.lists(st.integers(0, 8), min_size=4, max_size=4), min_size=1, max_size=4).map(torch.tensor)


def captions(count: int, seed: int) -> Tensor:
    """Rows of words, as a codec makes them: at the end of each row, some full and some empty."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(0, CAPTIONS.words - 1, (count, 3), generator=generator)
    lengths = torch.randint(0, 4, (count, 1), generator=generator)
    return words.masked_fill(torch.arange(3) < 3 - lengths, -1)


@given(ids, st.integers(0, 99))
def test_what_is_to_be_said_next_is_said_next(pictures: Tensor, seed: int) -> None:
    rows = captions(len(pictures), seed)
    labels = torch.arange(len(pictures)) % 6 - 1
    for batch in (
        CAPTIONS.to_draw(pictures, rows),
        CAPTIONS.to_tell(pictures, rows),
        CLASSES.to_draw(pictures, labels),
    ):
        assert batch.inputs.shape == batch.targets.shape
        assert int(batch.inputs.min()) >= 0
        asked = batch.targets[:, :-1] != IGNORE
        assert torch.equal(batch.targets[:, :-1][asked], batch.inputs[:, 1:][asked])


@given(ids, st.integers(0, 99))
def test_a_picture_is_learned_whole_after_its_caption_and_a_caption_whole_after_its_picture(
    pictures: Tensor, seed: int
) -> None:
    rows = captions(len(pictures), seed)
    draw, tell = CAPTIONS.to_draw(pictures, rows), CAPTIONS.to_tell(pictures, rows)
    for picture, row, drawn, told in zip(pictures, rows, draw.targets, tell.targets, strict=True):
        words = row[row >= 0]
        assert drawn[drawn != IGNORE].tolist() == picture.tolist()
        said = told[told != IGNORE].tolist()
        assert said[:4] == picture.tolist()
        full = [int(word) + CAPTIONS.first_word for word in words]
        assert said[4:] == (full if len(words) == CAPTIONS.window else [*full, CAPTIONS.end] if full else [])


def test_a_picture_stands_at_the_same_positions_in_both() -> None:
    pictures, rows = torch.arange(4)[None], captions(1, 0)
    draw, tell = CAPTIONS.to_draw(pictures, rows), CAPTIONS.to_tell(pictures, rows)
    assert tell.first is not None
    begin = CAPTIONS.tokens
    assert draw.inputs[0].tolist().index(begin) == CAPTIONS.window
    assert tell.inputs[0].tolist().index(begin) + int(tell.first[0]) == CAPTIONS.window


@pytest.mark.parametrize("layout", [CAPTIONS, CLASSES], ids=["captions", "classes"])
def test_a_models_configuration_says_its_layout(layout: TokenLayout) -> None:
    config = GPTConfig.of(
        "swift", vocab_size=layout.vocab_size, width=16, depth=1, heads=2, context=layout.context, grid=(2, 2),
        grid_at=layout.window,
    )  # fmt: skip
    assert TokenLayout.of(config, layout.tokens, layout.places) == layout
