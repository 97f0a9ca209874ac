"""Checkpoints: Transformers' files open here and ours there, with the same numbers; hostile files give one line."""

import contextlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_model
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.habits import stop_ids
from daedal.models.huggingface import CLASSES, REFUSED, read_config, write_config

transformers = pytest.importorskip("transformers")

SMALL: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "yarn-full": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 16.0, "beta_slow": 2.0,
        "mscale": 0.8, "mscale_all_dim": 0.5, "truncate": False,
    },
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}),
    "gpt2-untied": (
        "gpt2",
        {
            "vocab_size": 97, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "n_inner": 80,
            "activation_function": "relu", "tie_word_embeddings": False,
        },
    ),
    "llama2": ("llama", {**SMALL, "num_key_value_heads": 4}),
    "llama-biased-tied": ("llama", {**SMALL, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "llama-head-width": ("llama", {**SMALL, "head_dim": 16, "hidden_act": "gelu"}),
    **{f"llama-{name}": ("llama", {**SMALL, "rope_parameters": {"rope_theta": 5e3, **rope}})
       for name, rope in SCALINGS.items()},
    "mistral": ("mistral", {**SMALL, "sliding_window": None}),
    "mistral-window": ("mistral", {**SMALL, "sliding_window": 7}),
    "qwen2": ("qwen2", SMALL),
    "qwen2-window": ("qwen2", {**SMALL, "use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}),
    "qwen3": ("qwen3", {**SMALL, "head_dim": 16, "tie_word_embeddings": True}),
    "qwen3-biased": ("qwen3", {**SMALL, "head_dim": 8, "attention_bias": True}),
}  # fmt: skip


def theirs(case: str, dtype: torch.dtype = torch.float32) -> Any:
    """A small random model of Transformers, its biases and gains random too."""
    kind, values = CASES[case]
    torch.manual_seed(1)
    config_class = transformers.AutoConfig.for_model(kind).__class__
    model = getattr(transformers, CLASSES[kind])(config_class(**values, attn_implementation="eager"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.to(dtype).eval()


def ids(batch: int = 2, time: int = 40) -> torch.Tensor:
    return torch.randint(0, 97, (batch, time), generator=torch.Generator().manual_seed(3))


def ours(architecture: str = "qwen3", **changes: Any) -> GPT:
    config = GPTConfig.of(architecture, vocab_size=97, width=32, depth=2, heads=4, context=64, **changes)  # type: ignore[arg-type]
    model = GPT(config)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2 + 0.1)
    return model.eval()


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_of_transformers_gives_the_same_logits_here_and_back(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    model.save_pretrained(tmp_path / "theirs")
    mine = load_model(tmp_path / "theirs")
    assert isinstance(mine, GPT)
    tokens = ids(time=40)
    with torch.no_grad():
        expected = model(tokens).logits
        torch.testing.assert_close(mine(tokens), expected, atol=1e-4, rtol=0)
        save_model(mine, tmp_path / "mine")
        back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine", dtype="auto").eval()
        torch.testing.assert_close(back(tokens).logits, expected, atol=1e-4, rtol=0)
    assert type(back).__name__ == CLASSES[CASES[case][0]]


@pytest.mark.parametrize("case", ["gpt2", "llama2", "llama-yarn", "mistral-window", "qwen2-window", "qwen3"])
def test_greedy_generation_agrees_token_for_token(case: str, tmp_path: Path) -> None:
    model = theirs(case)
    model.save_pretrained(tmp_path)
    mine = load_model(tmp_path)
    assert isinstance(mine, GPT)
    prompt = ids(1, 9)
    expected = model.generate(prompt, max_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0)
    cache = mine.new_cache(1, 40)
    tokens = prompt
    with torch.no_grad():
        logits = mine(prompt, cache)
        for _ in range(24):
            tokens = torch.cat([tokens, logits[:, -1:].argmax(-1)], 1)
            logits = mine(tokens[:, -1:], cache)
    assert tokens.tolist() == expected.tolist()


def test_dynamic_scaling_beyond_the_context_agrees(tmp_path: Path) -> None:
    model = theirs("llama-dynamic")
    model.save_pretrained(tmp_path)
    tokens = ids(1, 100)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(tokens), model(tokens).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", ["gpt2", "qwen3", "llama-biased-tied"])
def test_shards_and_bf16_hold_the_same_weights(case: str, tmp_path: Path) -> None:
    model = theirs(case, torch.bfloat16)
    model.save_pretrained(tmp_path / "theirs", max_shard_size="8KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    mine = load_model(tmp_path / "theirs")
    assert isinstance(mine, GPT)
    assert mine.embedding.weight.dtype == torch.bfloat16
    save_model(mine, tmp_path / "mine", max_shard_bytes=8000)
    assert (tmp_path / "mine" / "model.safetensors.index.json").exists()
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine", dtype="auto")
    for name, parameter in model.state_dict().items():
        assert torch.equal(parameter, back.state_dict()[name]), name
    save_model(mine, tmp_path / "mine", dtype=torch.float32)
    assert [path.name for path in (tmp_path / "mine").glob("model*")] == ["model.safetensors"]
    wide = load_model(tmp_path / "mine")
    assert isinstance(wide, GPT)
    assert torch.equal(wide.embedding.weight, mine.embedding.weight.float())
    half = load_model(tmp_path / "mine", dtype=torch.float16)
    assert next(half.parameters()).dtype == torch.float16


def test_the_older_way_to_write_rope_means_the_same() -> None:
    scaling = {"type": "linear", "factor": 2.0}
    old = {**SMALL, "architectures": ["LlamaForCausalLM"], "rope_theta": 5e5, "rope_scaling": scaling}
    new = {**SMALL, "architectures": ["LlamaForCausalLM"]}
    new["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}
    assert read_config(old, "old") == read_config(new, "new")
    written = write_config(read_config(old, "old"))
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == 5e5
    assert written["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_survives_writing(case: str) -> None:
    kind, values = CASES[case]
    config = read_config({"architectures": [CLASSES[kind]], **values}, "config")
    assert read_config(json.loads(json.dumps(write_config(config))), "config") == config


def test_every_field_of_transformers_is_honoured_refused_or_harmless() -> None:
    honoured = {name for case, values in CASES.values() for name in values} | set(REFUSED)
    honoured |= {
        "layer_norm_epsilon", "resid_pdrop", "embd_pdrop", "attn_pdrop", "rms_norm_eps", "attention_dropout",
        "layer_types", "model_type", "architectures", "bos_token_id", "eos_token_id", "pad_token_id", "dtype",
    }  # fmt: skip
    harmless = {
        "initializer_range", "use_cache", "pretraining_tp", "reorder_and_upcast_attn", "output_hidden_states",
        "return_dict", "problem_type", "id2label", "label2id", "transformers_version", "output_attentions",
        "num_labels", "name_or_path", "_name_or_path",
    }  # fmt: skip
    for kind in CLASSES:
        fields = set(transformers.AutoConfig.for_model(kind).to_dict())
        left = {name for name in fields - honoured - harmless if not name.startswith("summary_")}
        assert left <= {"chunk_size_feed_forward", "is_encoder_decoder"}, (kind, left)


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention"),
        ("gpt2", {"activation_function": "mish"}, "mish"),
        ("llama", {"hidden_act": "mish"}, "mish"),
        ("llama", {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4}}, "longrope"),
        ("llama", {"partial_rotary_factor": 0.5}, "partial"),
        ("llama", {"quantization_config": {"bits": 4}}, "quantization_config"),
        ("qwen2", {"layer_types": ["sliding_attention", "full_attention", "full_attention"]}, "layer_types"),
        ("llama", {"hidden_size": 10**9}, "width"),
        ("llama", {"num_hidden_layers": 10**9}, "depth"),
        ("gpt2", {"n_embd": 10**9}, "width"),
        ("qwen3", {"num_attention_heads": 0}, "num_attention_heads"),
        ("llama", {"num_key_value_heads": 3}, "kv_heads"),
        ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
        ("llama", {"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
    ],
)
def test_other_mathematics_and_absurd_sizes_are_refused(kind: str, change: dict[str, Any], word: str) -> None:
    base = {"vocab_size": 97, "n_embd": 32, "n_layer": 3, "n_head": 4} if kind == "gpt2" else SMALL
    with pytest.raises(DaedalError, match=word):
        read_config({"architectures": [CLASSES[kind]], **base, **change}, "config.json")


junk = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
    st.just(["sliding_attention"]), st.just({"rope_type": "yarn"}), st.just({"rope_type": ["x"], "factor": "y"}),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(sorted(CLASSES)), data=st.data())
def test_any_value_in_a_configuration_gives_a_model_or_one_clear_line(kind: str, data: st.DataObject) -> None:
    base = write_config(
        read_config({"architectures": [CLASSES[kind]], **(CASES["gpt2"][1] if kind == "gpt2" else SMALL)}, "config")
    )
    for field in data.draw(st.lists(st.sampled_from(sorted(base)), max_size=3)):
        base[field] = data.draw(junk)
    with contextlib.suppress(DaedalError):
        read_config(base, "config.json")


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length]), raw[8 + length :]


def write_raw(path: Path, header: bytes, body: bytes, length: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + body)


def test_hostile_weight_files_give_one_clear_line(tmp_path: Path) -> None:
    save_model(ours(), tmp_path)
    path = tmp_path / "model.safetensors"
    good = path.read_bytes()
    header, body = header_of(path)
    first = "model.embed_tokens.weight"

    def damaged(**changes: Any) -> bytes:
        return json.dumps({**header, first: {**header[first], **changes}}).encode()

    attacks = {
        "empty": lambda: path.write_bytes(b""),
        "truncated": lambda: path.write_bytes(good[:-100]),
        "cut in the header": lambda: path.write_bytes(good[:50]),
        "header bomb": lambda: write_raw(path, b"{}", b"", length=2**63 - 1),
        "header longer than the file": lambda: write_raw(path, b"{}", b"", length=10_000),
        "not json": lambda: write_raw(path, b"\x80" * 20, body),
        "deep json": lambda: write_raw(path, b"[" * 50_000, body),
        "pickle": lambda: path.write_bytes(b"\x80\x04\x95" + good[:200]),
        "shape lie": lambda: write_raw(path, damaged(shape=[97, 64]), body),
        "huge shape": lambda: write_raw(path, damaged(shape=[2**62, 4]), body),
        "extent beyond the file": lambda: write_raw(path, damaged(data_offsets=[0, 2**40]), body),
        "integers": lambda: write_raw(path, damaged(dtype="I32"), body),
        "entry is no object": lambda: write_raw(path, json.dumps({**header, first: 3}).encode(), body),
    }
    for name, attack in attacks.items():
        attack()
        with pytest.raises(DaedalError) as caught:
            load_model(tmp_path)
        assert "\n" not in str(caught.value), name


def test_missing_misshaped_and_surplus_weights_are_named(tmp_path: Path) -> None:
    save_model(ours(), tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({k: v for k, v in tensors.items() if k != name}, path)
    with pytest.raises(DaedalError, match=f"{name} is missing"):
        load_model(tmp_path)
    save_file({**tensors, name: tensors[name][:-1]}, path)
    with pytest.raises(DaedalError, match="shape"):
        load_model(tmp_path)
    save_file({**tensors, "model.layers.9.surplus": torch.ones(1)}, path)
    with pytest.raises(DaedalError, match="surplus"):
        load_model(tmp_path)


@pytest.mark.parametrize(("architecture", "changes"), [("swift", {"kv_heads": 2}), ("qwen3", {"grid": (7, 8)})])
def test_what_opens_in_daedal_only_comes_back_too(tmp_path: Path, architecture: str, changes: dict[str, Any]) -> None:
    model = ours(architecture, **changes)
    save_model(model, tmp_path, max_shard_bytes=20_000)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "daedal_swift"
    loaded = load_model(tmp_path)
    assert loaded.config == model.config
    assert torch.equal(loaded(ids()), model(ids()))
    (tmp_path / "config.json").write_text('{"model_type": "daedal_swift", "model": 3}')
    with pytest.raises(DaedalError):
        load_model(tmp_path)


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_weights_that_differ_are_not_tied_whatever_the_configuration_says(architecture: str, tmp_path: Path) -> None:
    model = ours(architecture, tied=False)
    save_model(model, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tie_word_embeddings": True}))
    loaded = load_model(tmp_path)
    assert isinstance(loaded, GPT)
    assert not loaded.config.tied
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids()), model(ids()), atol=0, rtol=0)
        expected = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()(ids()).logits
        torch.testing.assert_close(loaded(ids()), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    model = ours()
    with torch.no_grad():
        model.transformer.norm.weight[3] = value
    save_model(model, tmp_path)
    with pytest.raises(
        DaedalError, match=r"model\.norm\.weight|transformer\.norm\.weight holds weights that are not finite"
    ):
        load_model(tmp_path)


def test_large_weights_are_numbers_even_where_their_sum_is_none(tmp_path: Path) -> None:
    model = ours()
    with torch.no_grad():
        model.embedding.weight.fill_(3e38)
    save_model(model, tmp_path)
    load_model(tmp_path)


def test_pickled_weights_are_refused_and_never_read(tmp_path: Path) -> None:
    save_model(ours(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(DaedalError, match="pickle"):
        load_model(tmp_path)


def test_an_index_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    save_model(ours(), tmp_path / "run", max_shard_bytes=20_000)
    index = tmp_path / "run" / "model.safetensors.index.json"
    value = json.loads(index.read_text())
    for bad in ("../elsewhere.safetensors", "/etc/passwd", "weights.bin", 7):
        value["weight_map"]["model.norm.weight"] = bad
        index.write_text(json.dumps(value))
        with pytest.raises(DaedalError):
            load_model(tmp_path / "run")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="not a folder"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(DaedalError, match=r"it has no config\.json"):
        load_model(tmp_path)
    save_model(ours(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DaedalError, match=r"model\.safetensors is missing"):
        load_model(tmp_path)


def test_a_model_saved_with_its_codec_opens_in_transformers_and_matches(tmp_path: Path) -> None:
    codec = TextCodec.train("bpe", ["the cat sat on the mat. " * 50], 300)
    config = GPTConfig.of("qwen3", vocab_size=codec.vocab_size, width=32, depth=2, heads=4, context=64)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.2)
    save_model(model, tmp_path, codec=codec)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    encoded = tokenizer("the cat sat", return_tensors="pt").input_ids
    assert encoded[0].tolist() == codec.encode("the cat sat")
    with torch.no_grad():
        torch.testing.assert_close(model(encoded), other(encoded).logits, atol=1e-4, rtol=0)
    assert other.generation_config.eos_token_id == codec.eos_id
    assert stop_ids(tmp_path) == (codec.eos_id,)


def test_loading_initialises_nothing_and_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ours("gpt2")
    save_model(model, tmp_path)
    monkeypatch.setattr(GPT, "initialise", lambda *_: pytest.fail("initialised"))
    loaded = load_model(tmp_path)
    for (name, mine), (other, theirs) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(mine, theirs)


def test_nothing_half_written_when_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DaedalError):
        save_model(ours(), tmp_path / "file" / "run")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_flipped_byte_in_the_header_gives_a_model_or_one_clear_line(tmp_path: Path, position: int, byte: int) -> None:
    path = tmp_path / "model.safetensors"
    if not (tmp_path / "good").exists():
        save_model(ours(), tmp_path)
        path.rename(tmp_path / "good")
    raw = bytearray((tmp_path / "good").read_bytes())
    raw[position] = byte
    path.write_bytes(raw)
    with contextlib.suppress(DaedalError):
        load_model(tmp_path)
