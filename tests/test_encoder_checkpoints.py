"""Checkpoints of encoders: Transformers' files open here and ours there, with the same numbers."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from daedal.errors import DaedalError
from daedal.families import line
from daedal.models.bert import BERT
from daedal.models.checkpoint import load_model, save_model
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder
from daedal.models.encoder import EncoderModel
from daedal.models.formats import CLASSES
from daedal.models.huggingface_encoders import REFUSED, read_config, write_config
from daedal.models.identity import identify
from daedal.models.sequences import Sequences

transformers = pytest.importorskip("transformers")

SMALL: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
SPECIAL = {"bos_token_id": None, "eos_token_id": None, "cls_token_id": None, "sep_token_id": None}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", SMALL),
    "bert-relu": ("Bert", {**SMALL, "hidden_act": "relu", "type_vocab_size": 3, "layer_norm_eps": 1e-3}),
    "roberta": ("Roberta", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}),
    "roberta-tanh": ("Roberta", {**SMALL, "pad_token_id": 3, "hidden_act": "gelu_new"}),
    "distilbert": (
        "DistilBert",
        {
            "vocab_size": 97, "dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 40,
            "activation": "relu",
        },
    ),
    "modernbert": ("ModernBert", {**SMALL, **SPECIAL, "local_attention": 6}),
    "modernbert-global": (
        "ModernBert",
        {
            **SMALL, **SPECIAL, "local_attention": 8, "layer_types": ["full_attention"] * 4, "norm_eps": 1e-3,
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0}},
        },
    ),
}  # fmt: skip
HEADS = {
    "ForMaskedLM": "logits", "Model": "last_hidden_state", "ForSequenceClassification": "logits",
    "ForTokenClassification": "logits", "ForQuestionAnswering": "start_logits",
}  # fmt: skip
LENGTHS = [9, 30, 4, 17, 9]


def theirs(body: str, head: str, **changes: Any) -> Any:
    """A small random model of Transformers, its biases and gains random too."""
    name, values = BODIES[body]
    torch.manual_seed(1)
    many = {"num_labels": 3} if "Classification" in head else {}
    config = getattr(transformers, f"{name}Config")(**{**many, **values, **changes}, attn_implementation="eager")
    model = getattr(transformers, f"{name}{head}")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def rows() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(5, 97, (length,), generator=generator) for length in LENGTHS]


def types_of(model: EncoderModel) -> list[torch.Tensor] | None:
    if model.config.types < 2:
        return None
    return [(torch.arange(length) > length // 2).long() for length in LENGTHS]


def padded(model: Any, head: str, types: list[torch.Tensor] | None) -> list[torch.Tensor]:
    """What a model of Transformers makes of each row, in one batch with padding."""
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad(rows(), batch_first=True, padding_value=model.config.pad_token_id or 0)
    mask = pad([torch.ones(length) for length in LENGTHS], batch_first=True)
    extra = {} if types is None else {"token_type_ids": pad(types, batch_first=True)}
    with torch.no_grad():
        found = model(ids, attention_mask=mask, **extra)
    if head == "ForQuestionAnswering":
        values = torch.stack([found.start_logits, found.end_logits], -1)
    else:
        values = getattr(found, HEADS[head])
    if head == "ForSequenceClassification":
        return list(values)
    return [row[:length] for row, length in zip(values, LENGTHS, strict=True)]


def mine(model: EncoderModel, head: str) -> list[torch.Tensor]:
    sequences = Sequences.of(rows(), types_of(model))
    with torch.no_grad():
        found = model.encoder(sequences) if head == "Model" else model(sequences)
    return list(found) if head == "ForSequenceClassification" else list(found.split(LENGTHS))


def check(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("body", BODIES)
def test_a_checkpoint_of_transformers_gives_the_same_numbers_here_and_back(
    body: str, head: str, tmp_path: Path
) -> None:
    model = theirs(body, head)
    model.save_pretrained(tmp_path / "theirs")
    loaded = load_model(tmp_path / "theirs")
    assert isinstance(loaded, EncoderModel)
    assert loaded.family == CLASSES[type(model).__name__] == identify(tmp_path / "theirs").family
    assert identify(tmp_path / "theirs").kind in line(loaded.family).learns
    expected = padded(model, head, types_of(loaded))
    check(mine(loaded, head), expected)
    save_model(loaded, tmp_path / "mine")
    back = type(model).from_pretrained(tmp_path / "mine", dtype="auto").eval()
    back.config.pad_token_id = model.config.pad_token_id
    check(padded(back, head, types_of(loaded)), expected)
    named = json.loads((tmp_path / "mine" / "config.json").read_text())["architectures"]
    assert named == [type(model).__name__]
    assert load_model(tmp_path / "mine").config == loaded.config


@pytest.mark.parametrize("body", ["bert", "roberta", "distilbert", "modernbert"])
def test_an_output_layer_of_its_own_is_kept(body: str, tmp_path: Path) -> None:
    model = theirs(body, "ForMaskedLM", tie_word_embeddings=False)
    model.save_pretrained(tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    for told in (False, True):
        (tmp_path / "theirs" / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": told}))
        loaded = load_model(tmp_path / "theirs")
        assert isinstance(loaded, BERT)
        assert not loaded.config.tied
        check(mine(loaded, "ForMaskedLM"), padded(model, "ForMaskedLM", types_of(loaded)))
    save_model(loaded, tmp_path / "mine")
    assert not load_model(tmp_path / "mine").config.tied  # type: ignore[attr-defined]


def test_hostile_tensors_and_layers_give_one_clear_line(tmp_path: Path) -> None:
    model = theirs("bert", "ForMaskedLM")
    head, table = "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"
    size = tuple(model.get_input_embeddings().weight.shape)
    changes: list[tuple[dict[str, torch.Tensor], dict[str, Any], str]] = [
        ({head: torch.zeros(size, dtype=torch.int8)}, {}, "holds I8"),
        ({head: torch.zeros(size).to(torch.float8_e4m3fn)}, {}, "holds F8_E4M3"),
        ({head: torch.zeros(()), table: torch.zeros(())}, {}, "has shape"),
        ({head: torch.zeros(0, size[1]), table: torch.zeros(0, size[1])}, {}, "has shape"),
        ({}, {"num_hidden_layers": 4096}, "4,096 layers"),  # which take a minute to make
    ]
    for tensors, values, line_ in changes:
        model.save_pretrained(tmp_path)
        file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
        save_file({**load_file(file), **tensors}, file, metadata={"format": "pt"})
        config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
        with pytest.raises(DaedalError, match=line_):
            load_model(tmp_path)


def test_what_older_programs_wrote_opens(tmp_path: Path) -> None:
    model = theirs("bert", "ForPreTraining")
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    older = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    older["bert.embeddings.position_ids"] = torch.arange(40)[None]
    older["cls.predictions.decoder.weight"] = older["bert.embeddings.word_embeddings.weight"].clone()
    older["cls.predictions.decoder.bias"] = older.pop("cls.predictions.bias")
    save_file(older, tmp_path / "model.safetensors")
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"position_embedding_type": "absolute"}))
    loaded = load_model(tmp_path)
    assert isinstance(loaded, BERT)
    assert loaded.config.tied
    with torch.no_grad():
        found = loaded(Sequences.of(rows()[:1]))
        expected = model(rows()[0][None]).prediction_logits[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    save_file({**older, "bert.surplus": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(DaedalError, match=r"bert\.surplus belongs to no part"):
        load_model(tmp_path)


def test_a_classifier_begins_with_the_body_of_any_checkpoint(tmp_path: Path) -> None:
    model = theirs("modernbert", "ForMaskedLM")
    model.save_pretrained(tmp_path)
    body = load_model(tmp_path)
    assert isinstance(body, EncoderModel)
    begun = Classifier(ClassifierConfig.around(body.config, labels=("no", "yes")))
    begun.adopt(body)
    save_model(begun, tmp_path / "begun")
    there = transformers.ModernBertForSequenceClassification.from_pretrained(tmp_path / "begun")
    assert torch.equal(there.model.layers[1].attn.Wqkv.weight, model.model.layers[1].attn.Wqkv.weight)
    assert torch.equal(there.head.dense.weight, model.head.dense.weight)
    assert there.config.id2label == {0: "no", 1: "yes"}


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"problem_type": "regression", "id2label": {"0": "stars"}}, "number"),
        ({"problem_type": "multi_label_classification"}, "several"),
        ({}, "one"),
        ({"id2label": {"0": "relevant"}}, "several"),
    ],
)
def test_what_a_classifier_tells_apart_is_kept(told: dict[str, Any], problem: str) -> None:
    values = {**SMALL, "model_type": "bert", "architectures": ["BertForSequenceClassification"], **told}
    config = read_config(values, "config")
    assert isinstance(config, ClassifierConfig)
    assert config.problem == problem
    assert read_config(json.loads(json.dumps(write_config(config))), "config") == config


def test_fields_of_our_own_are_kept() -> None:
    for name, values in {
        "ForSequenceClassification": {"smoothing": 0.1, "weights": (1.0, 2.0)},
        "ForQuestionAnswering": {"none_threshold": -1.5},
        "Model": {"temperature": 0.1, "pooling": "first"},
    }.items():
        config = read_config({**SMALL, "model_type": "bert", "architectures": [f"Bert{name}"]}, "config").but(**values)
        assert read_config(json.loads(json.dumps(write_config(config))), "config") == config


def test_the_vectors_of_sentence_transformers_are_ours(tmp_path: Path) -> None:
    model = theirs("bert", "Model")
    model.save_pretrained(tmp_path)
    parts = [{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(parts))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    loaded = load_model(tmp_path)
    assert isinstance(loaded, Embedder)
    states = padded(model, "Model", None)
    with torch.no_grad():
        found = loaded(Sequences.of(rows()))
    expected = torch.nn.functional.normalize(torch.stack([row[0] for row in states]), dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    (tmp_path / "modules.json").write_text(json.dumps([*parts, {"type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(DaedalError, match="Dense"):
        load_model(tmp_path)


def test_every_field_of_transformers_is_honoured_refused_or_harmless() -> None:
    honoured = {name for _, values in BODIES.values() for name in values} | set(REFUSED)
    honoured |= {
        "hidden_act", "hidden_activation", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps",
        "type_vocab_size", "dropout", "attention_dropout", "mlp_dropout", "classifier_pooling", "tie_word_embeddings",
        "problem_type", "id2label", "label2id", "model_type", "architectures", "dtype",
        "global_attn_every_n_layers", "local_rope_theta", "global_rope_theta",
    }  # fmt: skip
    harmless = {
        "initializer_range", "initializer_cutoff_factor", "use_cache", "output_hidden_states", "return_dict",
        "transformers_version", "output_attentions", "num_labels", "name_or_path", "_name_or_path",
        "classifier_dropout", "seq_classif_dropout", "qa_dropout", "embedding_dropout", "sinusoidal_pos_embds",
        "deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index",
    }  # fmt: skip
    for kind in ("bert", "roberta", "distilbert", "modernbert"):
        assert set(transformers.AutoConfig.for_model(kind).to_dict()) <= honoured | harmless, kind


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("bert", {"is_decoder": True}, "is_decoder"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("bert", {"hidden_act": "mish"}, "mish"),
        ("bert", {"hidden_size": 10**9}, "width"),
        ("bert", {"num_attention_heads": 5}, "heads"),
        ("bert", {"num_attention_heads": 0}, "heads"),
        ("roberta", {"max_position_embeddings": 2, "pad_token_id": 1}, "context"),
        ("roberta", {"pad_token_id": None}, "wrong kind"),
        ("modernbert", {"norm_bias": True}, "norm_bias"),
        ("modernbert", {"attention_bias": True}, "attention_bias"),
        ("modernbert", {"decoder_bias": False}, "decoder_bias"),
        ("modernbert", {"layer_types": ["sliding_attention"] * 4}, "layer_types"),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2}}}, "rope"),
        ("modernbert", {"classifier_pooling": "max"}, "classifier_pooling"),
        ("bert", {"id2label": {"0": "a", "2": "b"}}, "id2label"),
        ("bert", {"id2label": {"0": "a", "1": "a"}}, "two labels have one name"),
        ("bert", {"problem_type": "ranking"}, "problem_type"),
        ("bert", {"architectures": ["BertForMultipleChoice"]}, "BertForMultipleChoice"),
        ("albert", {"architectures": ["BertModel"]}, "albert"),
    ],
)
def test_other_mathematics_and_absurd_values_are_refused(kind: str, change: dict[str, Any], word: str) -> None:
    name = {"modernbert": "ModernBert", "roberta": "Roberta"}.get(kind, "Bert")
    values = {**SMALL, "model_type": kind, "architectures": [f"{name}ForSequenceClassification"], **change}
    with pytest.raises(DaedalError, match=word):
        read_config(values, "config.json")


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
    st.just(["sliding_attention"]), st.just({"full_attention": 3}), st.just({"0": 1}), st.just({"weights": "x"}),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(["bert", "roberta", "distilbert", "modernbert"]), head=st.sampled_from(sorted(HEADS)),
       data=st.data())  # fmt: skip
def test_any_value_in_a_configuration_gives_a_model_or_one_clear_line(
    kind: str, head: str, data: st.DataObject
) -> None:
    name, values = BODIES[kind]
    base = write_config(read_config({**values, "model_type": kind, "architectures": [name + head]}, "config"))
    for field in data.draw(st.lists(st.sampled_from(sorted(base)), max_size=3)):
        base[field] = data.draw(junk)
    with contextlib.suppress(DaedalError):
        read_config(base, "config.json")
