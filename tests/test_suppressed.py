"""Tokens that no target has are never written."""

import random
from pathlib import Path

import pytest
import torch

import daedal
from daedal.errors import DaedalError
from daedal.models.beam import beam_search, sample
from daedal.models.checkpoint import load_model, save_model
from daedal.models.translator import TranslatorConfig
from daedal.nn.noise import Noise
from test_translator import END, KINDS, model_of, pairs

SOURCES = pairs(6)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_suppressed_is_never_written_and_comes_back_from_disk(kind: str, tmp_path: Path) -> None:
    free = model_of(kind).eval()
    often = {id for found in beam_search(free, SOURCES, 3, 1.0, 8) for id in found[0].ids} - {END}
    model = model_of(kind, suppressed=tuple(sorted(often))).eval()
    model.load_state_dict(free.state_dict())
    found = beam_search(model, SOURCES, 3, 1.0, 8)
    drawn = sample(model, SOURCES, Noise(0, 0, len(SOURCES)), max_tokens=8)
    assert not often & {id for each in found for one in each for id in one.ids}
    assert not often & {id for each in drawn for one in each for id in one.ids}
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.config == model.config
    assert [one.ids for each in beam_search(again, SOURCES, 3, 1.0, 8) for one in each] == [
        one.ids for each in found for one in each
    ]


@pytest.mark.parametrize("suppressed", [(END,), (-1,), (10**6,)])
def test_what_cannot_be_suppressed_is_refused(suppressed: tuple[int, ...]) -> None:
    with pytest.raises(DaedalError, match="suppressed"):
        model_of("rotary", suppressed=suppressed)


def test_words_of_the_sources_alone_are_suppressed(tmp_path: Path) -> None:
    draw = random.Random(0)
    lines = []
    for _ in range(120):
        number, word = draw.randint(100, 999), draw.choice(["horse", "dog"])
        lines.append(f"the {word} sees {number}\t{ {'horse': 'pferd', 'dog': 'hund'}[word] } {number} da")
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "\n".join(lines), encoding="utf-8")
    data = daedal.build_data([tmp_path / "pairs.tsv"], tmp_path / "data", codec="bpe", vocab_size=400)
    daedal.train("translator", data=tmp_path / "data", out=tmp_path / "run", steps=2)
    model = load_model(tmp_path / "run")
    assert isinstance(model.config, TranslatorConfig)
    names = {data.codec("text").codec.name(id).strip() for id in model.config.suppressed}
    assert {"horse", "dog", "sees"} <= names
    assert not names & {"pferd", "hund", "da", *"0123456789"}
    assert torch.isfinite(model.embedding.weight).all()
