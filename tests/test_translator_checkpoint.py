"""Translators of Transformers open here and ours there, with the same numbers and the same translations."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from daedal.errors import DaedalError
from daedal.models.beam import beam_search
from daedal.models.checkpoint import load_model, save_model
from daedal.models.huggingface_translators import REFUSED, read_config
from daedal.models.sequences import PairBatch
from daedal.models.translator import Translator
from test_translator import KINDS, model_of, pairs

transformers = pytest.importorskip("transformers")

T5: dict[str, Any] = {
    "vocab_size": 23, "d_model": 24, "d_kv": 10, "d_ff": 40, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 2,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10, "decoder_start_token_id": 1,
    "pad_token_id": 1, "eos_token_id": 2, "dropout_rate": 0.0,
}  # fmt: skip
MARIAN: dict[str, Any] = {
    "vocab_size": 23, "d_model": 16, "encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 40,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 64, "pad_token_id": 1,
    "decoder_start_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": None, "activation_function": "swish",
    "scale_embedding": True, "dropout": 0.0,
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("T5ForConditionalGeneration", T5),
    "t5-1.1": (
        "T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "t5-deep": ("T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-silu", "num_decoder_layers": 5}),
    "marian": ("MarianMTModel", MARIAN),
    "marian-plain": ("MarianMTModel", {**MARIAN, "scale_embedding": False, "activation_function": "gelu"}),
}  # fmt: skip
START, END = 1, 2
SOURCES, TARGETS = pairs(7)


def theirs(case: str) -> Any:
    """A small random model of Transformers, its biases and gains random too."""
    name, values = CASES[case]
    kind = getattr(transformers, name)
    torch.manual_seed(1)
    model = kind(kind.config_class(**values))
    if case == "t5-1.1":  # as the files of that version have it
        model.lm_head.weight = torch.nn.Parameter(torch.randn(23, 24))
    with torch.no_grad():
        for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
            if "embed_positions" not in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model.generation_config.forced_eos_token_id = None
    return model.eval()


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[START] * (longest - len(row))] for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Translator, Any]]:
    """A model of Transformers, as it opens here and as it is there."""

    @cache
    def open_one(case: str) -> tuple[Translator, Any]:
        folder, model = tmp_path_factory.mktemp(case), theirs(case)
        model.save_pretrained(folder)
        ours = load_model(folder)
        assert isinstance(ours, Translator)
        return ours, model

    return open_one


def equal(ours: Translator, model: Any) -> None:
    """Ragged rows, packed here and padded there."""
    ids, mask = padded(SOURCES)
    read, _ = padded([[START, *row[:-1]] for row in TARGETS])
    batch = PairBatch.of(SOURCES, TARGETS, START)
    with torch.no_grad():
        wanted = model(input_ids=ids, attention_mask=mask, decoder_input_ids=read).logits
        found = ours(batch.source, batch.target)
    for row, target in enumerate(TARGETS):
        part = slice(batch.target.packing.starts[row], batch.target.packing.starts[row + 1])
        torch.testing.assert_close(found[part], wanted[row, : len(target)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case: str, opened: Callable[[str], tuple[Translator, Any]]) -> None:
    equal(*opened(case))


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"t5-deep"}))  # Transformers' cache has too few layers for it
@pytest.mark.parametrize("beams", [1, 2, 4, 5])
def test_translations_are_those_of_transformers(
    case: str, beams: int, opened: Callable[[str], tuple[Translator, Any]]
) -> None:
    ours, model = opened(case)
    ids, mask = padded(SOURCES)
    for penalty, room in ((0.0, 12), (1.0, 12), (0.6, 30), (2.0, 9), (-1.0, 12)):
        wanted = model.generate(
            input_ids=ids, attention_mask=mask, num_beams=beams, length_penalty=penalty, max_new_tokens=room,
            do_sample=False, early_stopping=False, suppress_tokens=[START], renormalize_logits=True,
            num_return_sequences=beams, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        for row, found in enumerate(beam_search(ours, SOURCES, beams, penalty, room)):
            for rank, each in enumerate(found):
                place = row * beams + rank
                assert list(each.ids) == text_of(wanted.sequences[place], END, START), (penalty, row, rank)
                if beams > 1:
                    assert each.score == pytest.approx(float(wanted.sequences_scores[place]), abs=2e-4)


@pytest.mark.parametrize("kind", ["t5", "t5 gated", "marian"])
@pytest.mark.parametrize("marks", [(1, 2), (2, 2)])
def test_ours_open_in_transformers_and_translate_the_same(kind: str, marks: tuple[int, int], tmp_path: Path) -> None:
    start, end = marks
    ours = model_of(kind, start_id=start, end_id=end, decoder_depth=2).eval()  # no deeper: see above
    save_model(ours, tmp_path)
    there = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    equal(ours, there)
    ids, mask = padded(SOURCES)
    wanted = there.generate(input_ids=ids, attention_mask=mask)  # by what the folder says
    for row, found in enumerate(beam_search(ours, SOURCES)):
        assert list(found[0].ids) == text_of(wanted[row], end, start)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded(kind: str, tmp_path: Path) -> None:
    ours = model_of(kind)
    save_model(ours, tmp_path, max_shard_bytes=20_000)
    again = load_model(tmp_path)
    assert again.config == ours.config.but(dropout=again.config.dropout)
    assert all(value.equal(again.state_dict()[name]) for name, value in ours.state_dict().items())


def test_every_field_of_transformers_is_honoured_refused_or_harmless() -> None:
    honoured = {name for _, values in CASES.values() for name in values} | set(REFUSED)
    honoured |= {
        "layer_norm_epsilon", "feed_forward_proj", "tie_word_embeddings", "decoder_vocab_size", "scale_decoder_outputs",
        "is_gated_act", "dense_act_fn", "n_positions",
    }  # fmt: skip
    harmless = {
        # how weights are drawn, what training drops, how texts are sampled, names
        "initializer_factor", "init_std", "encoder_layerdrop", "decoder_layerdrop", "attention_dropout",
        "activation_dropout", "classifier_dropout", "use_cache", "bos_token_id", "sep_token_id", "num_hidden_layers",
    }  # fmt: skip
    common = set(transformers.PretrainedConfig().to_dict())
    for kind in ("t5", "marian"):
        fields = set(transformers.AutoConfig.for_model(kind).to_dict())
        assert fields - common - honoured - harmless == set()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"normalize_before": True}, "normalize_before"),
        ({"decoder_ffn_dim": 7}, "ffn_dim"),
        ({"decoder_vocab_size": 9}, "vocabulary of its own"),
        ({"eos_token_id": [1, 2]}, "eos_token_id"),
        ({"activation_function": "tan"}, "activation"),
        ({"d_model": "wide"}, "d_model"),
        ({"decoder_start_token_id": 99}, "start_id"),
    ],
)
def test_a_configuration_that_is_not_supported_gives_one_line(values: dict[str, Any], message: str) -> None:
    config = {"model_type": "marian", "architectures": ["MarianMTModel"], **MARIAN, **values}
    with pytest.raises(DaedalError, match=message):
        read_config(config, "config.json")


@pytest.mark.parametrize("kind", [[], {}, ["t5"], 3, None])
def test_a_kind_of_model_that_is_no_name_gives_one_line(kind: Any) -> None:
    with pytest.raises(DaedalError, match="model_type"):
        read_config({"model_type": kind, "architectures": ["MarianMTModel"]}, "config.json")


def text_of(sequence: torch.Tensor, end: int, start: int) -> list[int]:
    """What was written, of a row that Transformers filled up."""
    ids = sequence.tolist()[1:]
    ids = ids[: ids.index(end)] if end in ids else ids
    return [id for id in ids if id != start]
