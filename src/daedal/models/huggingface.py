"""Hugging Face's names for what a GPT is made of: its `config.json` and its tensors, in and out.

Every field of Transformers' configuration classes is honoured, refused, or known not to change the mathematics; a test
holds this against the installed Transformers.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

from daedal.errors import DaedalError
from daedal.models.formats import ACTIVATION_NAMES, TensorName, activation, differ, refuse, whole
from daedal.models.gpt import GPT, GPTConfig

CLASSES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
OWN = "daedal_swift"
"""The model type of what opens in Daedal only: the architecture swift, and any that is told the places of a grid."""
REFUSED: dict[str, tuple[Any, ...]] = {
    # field: the values with which the mathematics is ours
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "partial_rotary_factor": (None, 1.0),
    "quantization_config": (None,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "is_encoder_decoder": (False,),
    "chunk_size_feed_forward": (0, None),
}


def tensor_names(config: GPTConfig) -> Iterator[TensorName]:
    """Every tensor of a checkpoint."""
    if _is_own(config):
        with torch.device("meta"):
            return iter([TensorName(name, name) for name, _ in GPT(config).named_parameters()])
    return _gpt2_names(config) if config.architecture == "gpt2" else _llama_names(config)


def generation(config: GPTConfig) -> dict[str, Any]:
    """How texts are written."""
    return {"do_sample": True}


def outline(config: GPTConfig) -> GPT:
    """The model of a configuration."""
    return GPT(config)


def tokenizer_settings(config: GPTConfig) -> dict[str, Any]:
    """Nothing but what its codec says."""
    return {}


def settle(config: GPTConfig, tensors: dict[str, Any]) -> GPTConfig:
    """OpenAI's GPT-2 files leave out the prefix of the body. Where an output layer is stored that differs from the embedding,
    a configuration that ties them is wrong, and the weights are right, as Transformers has it too."""
    for name in [name for name in tensors if name.startswith(("h.", "wte.", "wpe.", "ln_f."))]:
        tensors[f"transformer.{name}"] = tensors.pop(name)
    tables = (tensors.get(name) for name in ("model.embed_tokens.weight", "transformer.wte.weight"))
    return config.but(tied=False) if config.tied and differ(tensors.get("lm_head.weight"), *tables) else config


def spare(config: GPTConfig) -> Collection[str]:
    """The head where it is the embedding; buffers that old versions of Transformers stored and nobody needs."""
    return {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq", *(["lm_head.weight"] if config.tied else [])}


def _gpt2_names(config: GPTConfig) -> Iterator[TensorName]:
    yield TensorName("transformer.wte.weight", "embedding.weight")
    yield TensorName("transformer.wpe.weight", "positions.weight")
    for layer in range(config.depth):
        file, ours = f"transformer.h.{layer}", f"transformer.blocks.{layer}"
        for theirs, part in (("ln_1", "attention_norm"), ("ln_2", "mlp_norm")):
            yield TensorName(f"{file}.{theirs}.weight", f"{ours}.{part}.weight")
            yield TensorName(f"{file}.{theirs}.bias", f"{ours}.{part}.bias")
        for theirs, part, bias in (
            ("attn.c_attn", "attention.qkv", config.attention_bias),
            ("attn.c_proj", "attention.out", config.attention_bias),
            ("mlp.c_fc", "mlp.up", config.mlp_bias),
            ("mlp.c_proj", "mlp.down", config.mlp_bias),
        ):
            yield TensorName(f"{file}.{theirs}.weight", f"{ours}.{part}.weight", transposed=True)  # Conv1D
            if bias:
                yield TensorName(f"{file}.{theirs}.bias", f"{ours}.{part}.bias")
    yield TensorName("transformer.ln_f.weight", "transformer.norm.weight")
    yield TensorName("transformer.ln_f.bias", "transformer.norm.bias")
    if not config.tied:
        yield TensorName("lm_head.weight", "unembedding.weight")


def _llama_names(config: GPTConfig) -> Iterator[TensorName]:
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    pairs = config.head_width
    qkv = (
        ("q", 0, queries, pairs),
        ("k", queries, queries + keys, pairs),
        ("v", queries + keys, queries + 2 * keys, 0),
    )
    attention = ("weight", "bias") if config.attention_bias else ("weight",)
    out = attention if config.architecture != "qwen2" else ("weight",)
    mlp = ("weight", "bias") if config.mlp_bias else ("weight",)
    yield TensorName("model.embed_tokens.weight", "embedding.weight")
    for layer in range(config.depth):
        file, ours = f"model.layers.{layer}", f"transformer.blocks.{layer}"
        yield TensorName(f"{file}.input_layernorm.weight", f"{ours}.attention_norm.weight")
        yield TensorName(f"{file}.post_attention_layernorm.weight", f"{ours}.mlp_norm.weight")
        for kind in attention:
            for letter, first, end, paired in qkv:
                name = f"{file}.self_attn.{letter}_proj.{kind}"
                yield TensorName(name, f"{ours}.attention.qkv.{kind}", (first, end), paired=paired)
        for kind in out:
            yield TensorName(f"{file}.self_attn.o_proj.{kind}", f"{ours}.attention.out.{kind}")
        if config.architecture == "qwen3":
            yield TensorName(f"{file}.self_attn.q_norm.weight", f"{ours}.attention.norm.query", paired=pairs)
            yield TensorName(f"{file}.self_attn.k_norm.weight", f"{ours}.attention.norm.key", paired=pairs)
        for kind in mlp:
            width = config.mlp_width
            yield TensorName(f"{file}.mlp.gate_proj.{kind}", f"{ours}.mlp.gate_up.{kind}", (0, width))
            yield TensorName(f"{file}.mlp.up_proj.{kind}", f"{ours}.mlp.gate_up.{kind}", (width, 2 * width))
            yield TensorName(f"{file}.mlp.down_proj.{kind}", f"{ours}.mlp.down.{kind}")
    yield TensorName("model.norm.weight", "transformer.norm.weight")
    if not config.tied:
        yield TensorName("lm_head.weight", "unembedding.weight")


def _is_own(config: GPTConfig) -> bool:
    return config.architecture == "swift" or config.grid is not None


def read_config(value: Any, where: str) -> GPTConfig:
    """The configuration in the `config.json` of a checkpoint.

    Raises:
        DaedalError: a field is wrong, or asks for mathematics that GPT does not have.
    """
    if not isinstance(value, dict):
        raise DaedalError(f"{where} does not hold a JSON object", "Restore it from a copy")
    if value.get("model_type") == OWN:
        own = value.get("model")
        return GPTConfig.parse(own if isinstance(own, dict) else {}, where)
    architecture = _architecture(value, where)
    refuse(value, REFUSED, where)
    try:
        fields = _gpt2_fields(value, where) if architecture == "gpt2" else _llama_fields(architecture, value, where)
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise DaedalError(f"{where}: a field has a value of the wrong kind ({error})", "Correct it") from None
    return GPTConfig.parse({"architecture": architecture, **fields}, where)


def write_config(config: GPTConfig) -> dict[str, Any]:
    """The `config.json` of a model; what Transformers 4 and 5, vLLM and llama.cpp read."""
    if _is_own(config):
        return {"model_type": OWN, "vocab_size": config.vocab_size, "model": config.model_dump()}
    common: dict[str, Any] = {
        "architectures": [CLASSES[config.architecture]],
        "model_type": config.architecture,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tied,
        "use_cache": True,
    }
    if config.architecture == "gpt2":
        return common | {
            "n_embd": config.width, "n_layer": config.depth, "n_head": config.heads, "n_positions": config.context,
            "n_ctx": config.context, "n_inner": config.mlp_width,
            "activation_function": ACTIVATION_NAMES[config.activation], "layer_norm_epsilon": config.norm_eps,
            "resid_pdrop": config.dropout, "embd_pdrop": config.dropout, "attn_pdrop": config.dropout,
        }  # fmt: skip
    written = common | {
        "hidden_size": config.width, "num_hidden_layers": config.depth, "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads, "head_dim": config.head_width, "intermediate_size": config.mlp_width,
        "max_position_embeddings": config.context, "hidden_act": ACTIVATION_NAMES[config.activation],
        "rms_norm_eps": config.norm_eps, "attention_dropout": config.dropout, **_write_rope(config),
    }  # fmt: skip
    if config.architecture in ("llama", "qwen3"):
        written["attention_bias"] = config.attention_bias
    if config.architecture == "llama":
        written["mlp_bias"] = config.mlp_bias
    if config.architecture == "mistral":
        written["sliding_window"] = config.sliding_window
    if config.architecture in ("qwen2", "qwen3"):
        slides = config.sliding_window is not None
        written |= {
            "use_sliding_window": slides,
            "sliding_window": config.sliding_window,
            "max_window_layers": config.window_from if slides else config.depth,
        }
    return written


def _architecture(value: Mapping[str, Any], where: str) -> str:
    named = value.get("architectures") or [CLASSES.get(str(value.get("model_type")), value.get("model_type"))]
    for architecture, name in CLASSES.items():
        if named == [name]:
            return architecture
    raise DaedalError(f"{where}: models of kind {named!r} are not supported", f"Choose one of {', '.join(CLASSES)}")


def _gpt2_fields(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    width = value.get("n_embd", 768)
    heads = value.get("n_head", 12)
    whole(where, n_embd=width, n_head=heads)
    inner = value.get("n_inner")
    drops = {value.get(name, 0.1) for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")}
    return {
        "vocab_size": value.get("vocab_size", 50257), "width": width, "depth": value.get("n_layer", 12),
        "heads": heads, "kv_heads": heads, "head_width": width // heads,
        "mlp_width": 4 * width if inner is None else inner, "context": value.get("n_positions", 1024),
        "activation": activation(value.get("activation_function", "gelu_new"), where),
        "norm_eps": value.get("layer_norm_epsilon", 1e-5), "tied": value.get("tie_word_embeddings", True),
        "attention_bias": True, "mlp_bias": True, "dropout": drops.pop() if len(drops) == 1 else 0.0,
    }  # fmt: skip


# What Transformers takes a missing field to be, where the architectures differ
_DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {"vocab_size": 32000, "intermediate_size": 11008, "max_position_embeddings": 2048},
    "mistral": {
        "vocab_size": 32000, "intermediate_size": 14336, "max_position_embeddings": 131072, "num_key_value_heads": 8,
        "sliding_window": 4096,
    },
    "qwen2": {
        "vocab_size": 151936, "intermediate_size": 22016, "max_position_embeddings": 32768, "num_key_value_heads": 32,
        "sliding_window": 4096,
    },
    "qwen3": {
        "vocab_size": 151936, "intermediate_size": 22016, "max_position_embeddings": 32768, "num_key_value_heads": 32,
        "sliding_window": 4096, "head_dim": 128,
    },
}  # fmt: skip


def _llama_fields(architecture: str, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    get = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, **_DEFAULTS[architecture], **value}
    width, heads = get["hidden_size"], get["num_attention_heads"]
    whole(where, hidden_size=width, num_attention_heads=heads)
    head_width, kv_heads = get.get("head_dim"), get.get("num_key_value_heads")
    theta, scaling = _read_rope(get, where)
    return {
        "vocab_size": get["vocab_size"], "width": width, "depth": get["num_hidden_layers"], "heads": heads,
        "kv_heads": heads if kv_heads is None else kv_heads,
        "head_width": width // heads if head_width is None else head_width,
        "mlp_width": get["intermediate_size"], "context": get["max_position_embeddings"],
        "activation": activation(get.get("hidden_act", "silu"), where), "norm_eps": get.get("rms_norm_eps", 1e-6),
        "tied": get.get("tie_word_embeddings", False), "rope_theta": theta, "rope_scaling": scaling,
        "attention_bias": architecture == "qwen2" or (architecture != "mistral" and get.get("attention_bias", False)),
        "mlp_bias": architecture == "llama" and get.get("mlp_bias", False),
        "dropout": get.get("attention_dropout") or 0.0, **_read_window(architecture, get, where),
    }  # fmt: skip


def _read_window(architecture: str, get: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Which layers see only a window: all of Mistral's, the upper ones of Qwen's where it is switched on."""
    if architecture == "llama":
        return {}
    if architecture == "mistral":
        if set(get.get("layer_types") or ()) - {"sliding_attention"}:
            raise DaedalError(f"{where}: layer_types is not supported for Mistral", "Load the model with Transformers")
        return {"sliding_window": get["sliding_window"]}
    window = get["sliding_window"] if get.get("use_sliding_window", False) else None
    depth, first = get["num_hidden_layers"], get.get("max_window_layers", 28)
    kinds = get.get("layer_types")
    if kinds is not None:
        first = kinds.index("sliding_attention") if "sliding_attention" in kinds else depth
        full, sliding = ["full_attention"] * min(first, len(kinds)), ["sliding_attention"] * (len(kinds) - first)
        if kinds != full + sliding or len(kinds) != depth or (sliding and window is None):
            raise DaedalError(f"{where}: these layer_types are not supported", "Load the model with Transformers")
    return {} if window is None or first >= depth else {"sliding_window": window, "window_from": first}


_SCALING_NAMES = {
    "factor": "factor", "original_max_position_embeddings": "original_context", "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor", "beta_fast": "beta_fast", "beta_slow": "beta_slow",
    "attention_factor": "attention_factor", "mscale": "mscale", "mscale_all_dim": "mscale_all_dim",
    "truncate": "truncate",
}  # fmt: skip


def _read_rope(get: Mapping[str, Any], where: str) -> tuple[float, dict[str, Any] | None]:
    """Base and scaling from `rope_parameters` (Transformers 5) or `rope_theta` and `rope_scaling` (before it)."""
    rope = get.get("rope_scaling") or get.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise DaedalError(f"{where}: rope_parameters is not an object", "Correct that value")
    rope = dict(rope)
    theta = rope.pop("rope_theta", get.get("rope_theta", 10000.0))
    kind = rope.pop("rope_type", rope.get("type", "default"))
    rope.pop("type", None)
    if rope.pop("partial_rotary_factor", 1.0) not in (None, 1.0):
        raise DaedalError(f"{where}: partial rotary positions are not supported", "Load the model with Transformers")
    if kind == "default":
        return theta, None
    unknown = rope.keys() - _SCALING_NAMES.keys()
    if unknown or kind not in ("linear", "dynamic", "llama3", "yarn"):
        raise DaedalError(
            f"{where}: rope scaling {kind!r} with {sorted(unknown)} is not supported",
            "Load the model with Transformers",
        )
    if kind in ("llama3", "yarn"):
        outer = get.get("original_max_position_embeddings")
        if outer is not None:
            rope["original_max_position_embeddings"] = outer
        rope.setdefault("original_max_position_embeddings", get["max_position_embeddings"])
    scaling = {_SCALING_NAMES[name]: entry for name, entry in rope.items() if entry is not None}
    if kind == "yarn" and "factor" not in scaling:
        scaling["factor"] = get["max_position_embeddings"] / scaling["original_context"]
    return theta, {"kind": kind, **scaling}


def _write_rope(config: GPTConfig) -> dict[str, Any]:
    scaling = config.rope_scaling
    written: dict[str, Any] = {"rope_type": "default"}
    if scaling is not None:
        used: dict[str, tuple[str, ...]] = {"linear": ("factor",), "dynamic": ("factor",)}
        used["llama3"] = ("factor", "original_context", "low_freq_factor", "high_freq_factor")
        values = scaling.model_dump(exclude_none=True, exclude={"kind"})
        values = {name: values[name] for name in used.get(scaling.kind, tuple(values)) if name in values}
        written = {"rope_type": scaling.kind}
        written |= {theirs: values[ours] for theirs, ours in _SCALING_NAMES.items() if ours in values}
    return {
        "rope_theta": config.rope_theta,
        "rope_scaling": None if scaling is None else dict(written),
        "rope_parameters": {**written, "rope_theta": config.rope_theta},
    }
