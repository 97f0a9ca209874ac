"""What a family of texts declares that it can do, a toy of it does; what it does not declare, it refuses in one line."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

from daedal.codecs.both_ways import marked
from daedal.codecs.items import ItemCodec
from daedal.codecs.text import TextCodec
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.voices import Voices
from daedal.errors import DaedalError
from daedal.families import line, part
from daedal.families import table as families
from daedal.inference.generator import Generator
from daedal.models.checkpoint import config_of, save_model, save_own
from daedal.models.formats import format_of
from daedal.models.model import Capability

torch.set_num_threads(1)
CODEC = marked(TextCodec.train("bpe", ["The cat sat on the mat. A dog lay by the door of the house. " * 30], 320))
TUNES = TuneCodec(Voices(lowest=48, highest=80))
ITEMS = ItemCodec([f"film {number}" for number in range(12)])
SHAPE: dict[str, Any] = {"vocab_size": CODEC.vocab_size, "width": 32, "depth": 2, "heads": 2, "context": 64}
MORE: dict[str, dict[str, Any]] = {
    "gpt": {"architecture": "qwen3"},
    "classifier": {"labels": ("bad", "good")},
    "tagger": {"labels": ("O", "B-X", "I-X")},
    "translator": {"architecture": "t5", "start_id": CODEC.eos_id, "end_id": CODEC.eos_id},
    "reward": {"architecture": "qwen3"},
    "recommender": {"architecture": "qwen3", "vocab_size": ITEMS.vocab_size},
    "music": {"architecture": "swift", "vocab_size": TUNES.vocab_size, "grid": (16, 4)},
}
"""Of a family, what its toy has besides."""
# those of clips and of sounds, which are joined with a tokenizer, are tried in test_films.py and test_sound_tokens.py
NAMES = [
    name for name, each in families().items() if each.over == "tokens" and not {"clips", "sounds"} & {*each.learns}
]
TEXTS = ["The cat sat.", "A dog lay by the door."]
DOES: dict[Capability, Callable[[Generator], Any]] = {
    "complete": lambda generator: [each.text for each in generator.generate(TEXTS, max_tokens=4, seed=1)],
    "score": lambda generator: [generator.score(text).loss for text in TEXTS],
    "stream": lambda generator: [piece.text for piece in generator.stream(TEXTS[0], max_tokens=4, seed=1)],
    "fill": lambda generator: [each.probability for each in generator.fill("The [MASK] sat.", top=3)[0]],
    "embed": lambda generator: generator.embed(TEXTS).tolist(),
    "classify": lambda generator: [each.probabilities for each in generator.classify(TEXTS)],
    "tag": lambda generator: [[each.label for each in found] for found in generator.tag(TEXTS)],
    "answer": lambda generator: [each.text for each in generator.answer("Who sat?", TEXTS[0], top=3)],
    "reward": lambda generator: generator.reward([[{"role": "user", "content": text}] for text in TEXTS]),
    "recommend": lambda generator: [each.item for each in generator.recommend(ITEMS.names[:2], n=4)],
    "compose": lambda generator: [each.tune for each in generator.generate(2, seconds=3, seed=1)],
    "translate": lambda generator: [each.text for each in generator.translate(TEXTS, max_tokens=5)],
}


@cache
def toy(name: str) -> Generator:
    values = {"architecture": "modernbert", **SHAPE, **MORE.get(name, {})}
    model = part(line(name).model)(config_of(name).of(values.pop("architecture"), **values))  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return Generator(model, codec_of(name), name)


def codec_of(name: str) -> Any:
    return {"music": TUNES, "recommender": ITEMS}.get(name, CODEC)


def declared(name: str) -> set[Capability]:
    """`sample` of a text is to complete nothing."""
    return set(toy(name).model.capabilities) - {"sample"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_declared_is_done_and_the_same_in_a_folder(name: str, tmp_path: Any) -> None:
    assert declared(name)
    generator = toy(name)
    if format_of(name) is None:
        save_own(generator.model, tmp_path)
        codec_of(name).save(tmp_path)
    else:
        save_model(generator.model, tmp_path, codec=CODEC)
    opened = Generator.open(tmp_path, device="cpu")
    for capability in declared(name):
        found = DOES[capability](generator)
        assert len(found) > 0
        assert DOES[capability](opened) == found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_declared_is_refused_in_one_line_that_says_what_it_can(name: str) -> None:
    generator = toy(name)
    asked = set(DOES) - declared(name)
    if "complete" in declared(name):
        asked -= {"embed"}  # a GPT has vectors too, though nobody taught it that
    if declared(name) & {"complete", "compose"}:
        asked -= {"complete", "compose"}  # both are called generate
    for capability in asked:
        with pytest.raises(DaedalError) as error:
            DOES[capability](generator)
        told = str(error.value)
        assert "\n" not in told
        assert told.startswith(f"{generator.kind} cannot "), told
        assert "it can " in told
