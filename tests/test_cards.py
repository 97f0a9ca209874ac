"""The code in a model card runs, with Daedal and, where the architecture is known elsewhere, with Transformers."""

import re
from pathlib import Path
from typing import Any

import pytest

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.evaluation.examples.presentation import presentation
from daedal.models.answerer import Answerer, AnswererConfig
from daedal.models.bert import BERT, BERTConfig
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder, EmbedderConfig
from daedal.models.tagger import Tagger, TaggerConfig
from daedal.models.translator import Translator, TranslatorConfig

FAMILIES: dict[str, tuple[type[Any], type[Any], dict[str, Any]]] = {
    "bert": (BERT, BERTConfig, {}),
    "classifier": (Classifier, ClassifierConfig, {"labels": ("bad", "good")}),
    "tagger": (Tagger, TaggerConfig, {"labels": ("O", "B-PER", "I-PER")}),
    "answerer": (Answerer, AnswererConfig, {}),
    "embedder": (Embedder, EmbedderConfig, {}),
}
SHAPE = {"width": 16, "depth": 1, "heads": 2, "context": 64}


def run_blocks(use: str, folder: Path) -> list[str]:
    """Run each block of a card's code, and give what they import."""
    blocks = re.findall(r"```python\n(.*?)```", use, re.DOTALL)
    for block in blocks:
        exec(compile(block.replace("PATH/TO/THIS/FOLDER", str(folder)), "card", "exec"), {})
    return [block.split()[1] for block in blocks]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_code_of_an_encoders_card_runs(family: str, architecture: str, tmp_path: Path) -> None:
    made, config, values = FAMILIES[family]
    codec = marked(TextCodec.train("byte", []))
    model = made(config.of(architecture, vocab_size=codec.vocab_size, **SHAPE, **values)).eval()
    save_model(model, tmp_path, codec=codec)
    card = presentation(model, model.capabilities)
    assert run_blocks(card.use, tmp_path) == ["daedal", "transformers"]
    assert card.what.startswith("A bert" if architecture == "bert" else "A modernbert")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("architecture", "opens"), [("rotary", ["daedal"]), ("t5", ["daedal", "transformers"])])
def test_the_code_of_a_translators_card_runs(architecture: str, opens: list[str], tmp_path: Path) -> None:
    codec = marked(TextCodec.train("byte", []))
    shape = {"width": 16, "depth": 1, "heads": 2, "context": 64}
    config = TranslatorConfig.of(architecture, vocab_size=codec.vocab_size, **shape)  # type: ignore[arg-type]
    config = config.but(start_id=codec.eos_id, end_id=codec.eos_id)
    model = Translator(config).eval()
    save_model(model, tmp_path, codec=codec)
    assert run_blocks(presentation(model, model.capabilities).use, tmp_path) == opens
