"""An export is the checkpoint and nothing else; Transformers opens it and finds the same model."""

import shutil
from pathlib import Path

import pytest
import torch

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.interop.export import export
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.gpt import GPT, GPTConfig

CODEC = TextCodec.train("bpe", ["the cat sat on the mat, and the dog lay by the door.\n" * 30], 320)


@pytest.fixture(params=["gpt2", "llama", "mistral", "qwen2", "qwen3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    config = GPTConfig.of(
        request.param,
        vocab_size=CODEC.vocab_size,
        width=32,
        depth=2,
        heads=4,
        context=64,
        tied=request.param != "llama",
    )
    model = GPT(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    save_model(model, tmp_path / "run", codec=CODEC, max_shard_bytes=20_000)
    (tmp_path / "run" / "training" / "state").mkdir(parents=True)
    (tmp_path / "run" / "README.md").write_text("# A model\n")
    return tmp_path / "run"


def test_transformers_opens_an_export_and_agrees(run: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = export(run, tmp_path / "out")
    assert not (folder / "training").exists()
    assert (folder / "README.md").exists()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("the cat sat by the door", return_tensors="pt").input_ids
    assert ids[0].tolist() == CODEC.encode("the cat sat by the door")
    from daedal.models.checkpoint import load_model

    with torch.no_grad():
        torch.testing.assert_close(load_model(folder)(ids), model(ids).logits, atol=1e-4, rtol=0)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == CODEC.eos_id


def test_an_export_overwrites_nothing_and_leaves_nothing_half_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DaedalError, match="exists already"):
        export(run, tmp_path / "out")
    (run / "tokenizer.json").unlink()
    with pytest.raises(DaedalError, match=r"tokenizer\.json is missing"):
        export(run, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    shutil.rmtree(run)
    with pytest.raises(DaedalError):
        export(run, tmp_path / "other")


def test_what_opens_in_daedal_only_is_not_exported(tmp_path: Path) -> None:
    config = GPTConfig.of("swift", vocab_size=CODEC.vocab_size, width=32, depth=2, heads=4, context=64)
    save_model(GPT(config), tmp_path / "run", codec=CODEC)
    with pytest.raises(DaedalError, match="opens in Daedal only"):
        export(tmp_path / "run", tmp_path / "out")


def test_a_tokenizer_of_another_model_is_told(run: Path, tmp_path: Path) -> None:
    TextCodec.train("bpe", ["quite another text, which has many other words in it " * 30], 400).save(run)
    with pytest.raises(DaedalError, match="tokenizer has"):
        export(run, tmp_path / "out")


def test_a_classifier_leaves_as_a_folder_and_not_as_gguf(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    codec = marked(CODEC)
    config = ClassifierConfig.of(
        "modernbert", vocab_size=codec.vocab_size, width=32, depth=2, heads=4, context=64, labels=("bad", "good")
    )
    save_model(Classifier(config), tmp_path / "run", codec=codec)
    folder = export(tmp_path / "run", tmp_path / "out")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert transformers.AutoTokenizer.from_pretrained(folder).mask_token_id == codec.mask_id
    with pytest.raises(DaedalError, match="no GGUF file"):
        export(tmp_path / "run", tmp_path / "out.gguf")
