"""The `config.json` and the tensors of T5 and Marian as Transformers has them, in and out.

Every field of Transformers' configuration classes is honoured, refused, or known not to change the mathematics; a test
holds this against the installed Transformers.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

from daedal.errors import DaedalError
from daedal.models.formats import ACTIVATION_NAMES, TensorName, activation, differ, refuse, whole
from daedal.models.translator import Translator, TranslatorConfig

OWN = "daedal_rotary"
"""The model type of what opens in Daedal only: the architecture rotary."""
_CLASSES = {"t5": "T5ForConditionalGeneration", "marian": "MarianMTModel"}
REFUSED: dict[str, tuple[Any, ...]] = {
    # field: the values with which the mathematics is ours
    "is_encoder_decoder": (True,),
    "is_decoder": (False,),
    "share_encoder_decoder_embeddings": (True,),
    "normalize_before": (False,),
    "normalize_embedding": (False,),
    "add_final_layer_norm": (False,),
    "static_position_embeddings": (True,),
    "quantization_config": (None,),
    "chunk_size_feed_forward": (0, None),
}


def read_config(value: Any, where: str) -> TranslatorConfig:
    """The configuration in the `config.json` of a checkpoint.

    Raises:
        DaedalError: a field is wrong, or asks for mathematics that our translators do not have.
    """
    kind = str(value.get("model_type"))
    if kind == OWN:
        own = value.get("model")
        return TranslatorConfig.parse(own if isinstance(own, dict) else {}, where)
    if kind not in _CLASSES:
        raise DaedalError(f"{where}: model_type {kind!r:.50} is not supported", f"One of {', '.join(_CLASSES)} is")
    refuse(value, REFUSED, where)
    try:
        fields = _t5_fields(value, where) if kind == "t5" else _marian_fields(value, where)
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise DaedalError(f"{where}: a field has a value of the wrong kind ({error})", "Correct it") from None
    own = value.get("daedal")
    suppressed = {"suppressed": own["suppressed"]} if isinstance(own, dict) and "suppressed" in own else {}
    return TranslatorConfig.parse({"architecture": kind, **fields, **suppressed}, where)


def write_config(config: TranslatorConfig) -> dict[str, Any]:
    """The `config.json` of a model."""
    if config.architecture == "rotary":
        return {"model_type": OWN, "vocab_size": config.vocab_size, "model": config.model_dump(mode="json")}
    written: dict[str, Any] = {
        "architectures": [_CLASSES[config.architecture]], "model_type": config.architecture,
        "vocab_size": config.vocab_size, "d_model": config.width, "is_encoder_decoder": True, "use_cache": True,
        "decoder_start_token_id": config.start_id, "pad_token_id": config.start_id, "eos_token_id": config.end_id,
        "bos_token_id": None,
    }  # fmt: skip
    if config.suppressed:
        written["daedal"] = {"suppressed": list(config.suppressed)}
    name = ACTIVATION_NAMES[config.activation]
    gate = "gelu" if config.activation == "gelu_tanh" else name  # with the approximation, as it was trained
    if config.architecture == "t5":
        scaled = config.output_scale != 1.0
        return written | {
            "d_kv": config.head_width, "d_ff": config.mlp_width, "num_layers": config.depth,
            "num_decoder_layers": config.decoder_depth, "num_heads": config.heads,
            "relative_attention_num_buckets": config.relative_buckets,
            "relative_attention_max_distance": config.relative_distance, "n_positions": config.context,
            "dropout_rate": config.dropout, "layer_norm_epsilon": config.norm_eps,
            "feed_forward_proj": f"gated-{gate}" if config.gated else name,
            "tie_word_embeddings": scaled,  # Transformers takes the scale from it, and from the weights what is tied
            "scale_decoder_outputs": scaled,
        }  # fmt: skip
    shapes = {
        f"{side}_{part}": size
        for side, depth in (("encoder", config.depth), ("decoder", config.decoder_depth))
        for part, size in (("layers", depth), ("ffn_dim", config.mlp_width), ("attention_heads", config.heads))
    }
    return written | shapes | {
        "decoder_vocab_size": config.vocab_size, "max_position_embeddings": config.context,
        "activation_function": name, "dropout": config.dropout, "attention_dropout": 0.0, "activation_dropout": 0.0,
        "scale_embedding": config.embedding_scale != 1.0, "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": config.tied, "forced_eos_token_id": None,
    }  # fmt: skip


def generation(config: TranslatorConfig) -> dict[str, Any]:
    """How texts are written: as `daedal.models.beam` does."""
    ends = {"pad_token_id": config.start_id, "eos_token_id": config.end_id, "bos_token_id": None}
    start = {"decoder_start_token_id": config.start_id, "forced_eos_token_id": None}
    never: dict[str, Any] = {"bad_words_ids": [[config.start_id]]} if config.start_id != config.end_id else {}
    never |= {"suppress_tokens": list(config.suppressed)} if config.suppressed else {}
    search = {"do_sample": False, "num_beams": 4, "length_penalty": 1.0, "early_stopping": False}
    return {**ends, **start, **never, **search, "max_length": config.context + 1, "renormalize_logits": True}


def outline(config: TranslatorConfig) -> Translator:
    """The model of a configuration."""
    return Translator(config)


def tensor_names(config: TranslatorConfig) -> Iterator[TensorName]:
    """Every tensor of a checkpoint."""
    if config.architecture == "rotary":
        with torch.device("meta"):
            return iter([TensorName(name, name) for name in Translator(config).state_dict()])
    return _t5_names(config) if config.architecture == "t5" else _marian_names(config)


def tokenizer_settings(config: TranslatorConfig) -> dict[str, Any]:
    """Nothing."""
    return {}


def settle(config: TranslatorConfig, tensors: dict[str, Any]) -> TranslatorConfig:
    """Whether the output layer is the embedding is seen from the weights, as Transformers does."""
    if config.architecture == "rotary":
        return config
    table = tensors.get("shared.weight", tensors.get("model.shared.weight"))
    if "lm_head.weight" not in tensors and table is not None and config.architecture == "t5":
        tensors["lm_head.weight"] = table
    return config.but(tied=not differ(tensors.get("lm_head.weight"), table))


def spare(config: TranslatorConfig) -> Collection[str]:
    """Copies of the one table of vectors; positions that can be computed; a bias that T5 does not use."""
    copies = {"embed_tokens.weight", "embed_positions.weight", "EncDecAttention.relative_attention_bias.weight"}
    return copies | ({"lm_head.weight"} if config.tied else set())


def _t5_fields(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a T5 is made of; a missing field is what Transformers takes it to be."""
    width, depth, heads = value.get("d_model", 512), value.get("num_layers", 6), value.get("num_heads", 8)
    whole(where, d_model=width, num_layers=depth, num_heads=heads)
    kind = value.get("feed_forward_proj", "relu")
    gated, name = kind.startswith("gated-"), kind.removeprefix("gated-")
    scaled = value.get("scale_decoder_outputs", value.get("tie_word_embeddings") is not False)
    decoder_depth, pad = value.get("num_decoder_layers"), value.get("pad_token_id", 0)
    return {
        "vocab_size": value.get("vocab_size", 32128), "width": width, "depth": depth,
        "decoder_depth": depth if decoder_depth is None else decoder_depth, "heads": heads,
        "head_width": value.get("d_kv", 64), "mlp_width": value.get("d_ff", 2048),
        "context": value.get("n_positions", 512), "gated": gated,
        "activation": "gelu_tanh" if kind == "gated-gelu" else activation(name, where),
        "norm_eps": value.get("layer_norm_epsilon", 1e-6), "output_scale": width**-0.5 if scaled else 1.0,
        "relative_buckets": value.get("relative_attention_num_buckets", 32),
        "relative_distance": value.get("relative_attention_max_distance", 128),
        "start_id": value.get("decoder_start_token_id", pad), "end_id": _end(value, 1, where),
        "dropout": value.get("dropout_rate", 0.1),
    }  # fmt: skip


def _marian_fields(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a Marian model is made of; a missing field is what Transformers takes it to be."""
    width, vocab_size = value.get("d_model", 1024), value.get("vocab_size", 58101)
    whole(where, d_model=width)
    heads, mlp_width = (
        _same(value, part, default, where) for part, default in (("attention_heads", 16), ("ffn_dim", 4096))
    )
    whole(where, attention_heads=heads)
    if value.get("decoder_vocab_size") not in (None, vocab_size):
        raise DaedalError(
            f"{where}: a decoder with a vocabulary of its own is not supported", "Load it with Transformers"
        )
    return {
        "vocab_size": vocab_size, "width": width, "depth": value.get("encoder_layers", 12),
        "decoder_depth": value.get("decoder_layers", 12), "heads": heads, "head_width": width // heads,
        "mlp_width": mlp_width, "context": value.get("max_position_embeddings", 1024),
        "activation": activation(value.get("activation_function", "gelu"), where), "norm_eps": 1e-5,
        "embedding_scale": width**0.5 if value.get("scale_embedding", False) else 1.0, "output_bias": True,
        "start_id": value.get("decoder_start_token_id", 58100), "end_id": _end(value, 0, where),
        "dropout": value.get("dropout", 0.1),
    }  # fmt: skip


def _same(value: Mapping[str, Any], part: str, default: int, where: str) -> Any:
    """What is said of the encoder and of the decoder."""
    one, other = (value.get(f"{side}_{part}", default) for side in ("encoder", "decoder"))
    if one != other:
        raise DaedalError(
            f"{where}: encoder_{part} = {one!r} and decoder_{part} = {other!r} are not supported together",
            "Load the model with Transformers",
        )
    return one


def _end(value: Mapping[str, Any], default: int, where: str) -> Any:
    """The token that ends a text."""
    end = value.get("eos_token_id", default)
    if isinstance(end, list) and len(end) != 1:
        raise DaedalError(f"{where}: eos_token_id {end!r:.50} is not supported", "Give the one that ends a text")
    return end[0] if isinstance(end, list) else end


def _stacked(file: str, ours: str, names: tuple[str, ...], size: int, kinds: tuple[str, ...]) -> Iterator[TensorName]:
    """Matrices of one size that the model holds as one, in this order."""
    for kind in kinds:
        for number, name in enumerate(names):
            rows = (number * size, (number + 1) * size)
            yield TensorName(f"{file}.{name}.{kind}", f"{ours}.{kind}", rows)


def _t5_names(config: TranslatorConfig) -> Iterator[TensorName]:
    inner, plain = config.heads * config.head_width, ("weight",)
    yield TensorName("shared.weight", "embedding.weight")
    for side, depth in (("encoder", config.depth), ("decoder", config.decoder_depth)):
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield TensorName(bias, f"{side}_bias.weight")
        for layer in range(depth):
            file, ours = f"{side}.block.{layer}.layer", f"{side}.blocks.{layer}"
            yield TensorName(f"{file}.0.layer_norm.weight", f"{ours}.attention_norm.weight")
            yield from _stacked(f"{file}.0.SelfAttention", f"{ours}.attention.qkv", ("q", "k", "v"), inner, plain)
            yield TensorName(f"{file}.0.SelfAttention.o.weight", f"{ours}.attention.out.weight")
            if side == "decoder":
                cross = f"{file}.1.EncDecAttention"
                yield TensorName(f"{file}.1.layer_norm.weight", f"{ours}.cross_norm.weight")
                yield TensorName(f"{cross}.q.weight", f"{ours}.cross.query.weight")
                yield from _stacked(cross, f"{ours}.cross.key_value", ("k", "v"), inner, plain)
                yield TensorName(f"{cross}.o.weight", f"{ours}.cross.out.weight")
            last = f"{file}.{2 if side == 'decoder' else 1}"
            mlp = f"{last}.DenseReluDense"
            yield TensorName(f"{last}.layer_norm.weight", f"{ours}.mlp_norm.weight")
            if config.gated:
                yield from _stacked(mlp, f"{ours}.mlp.gate_up", ("wi_0", "wi_1"), config.mlp_width, plain)
            else:
                yield TensorName(f"{mlp}.wi.weight", f"{ours}.mlp.up.weight")
            yield TensorName(f"{mlp}.wo.weight", f"{ours}.mlp.down.weight")
        yield TensorName(f"{side}.final_layer_norm.weight", f"{side}.norm.weight")
    if not config.tied:
        yield TensorName("lm_head.weight", "unembedding.weight")
    elif config.output_scale == 1.0:  # Transformers 4 looks for it where logits are not scaled
        yield TensorName("lm_head.weight", "embedding.weight")


def _marian_names(config: TranslatorConfig) -> Iterator[TensorName]:
    kinds = ("weight", "bias")
    yield TensorName("model.shared.weight", "embedding.weight")
    for side, depth in (("encoder", config.depth), ("decoder", config.decoder_depth)):
        for layer in range(depth):
            file, ours = f"model.{side}.layers.{layer}", f"{side}.blocks.{layer}"
            yield from _stacked(
                f"{file}.self_attn", f"{ours}.attention.qkv", ("q_proj", "k_proj", "v_proj"), config.width, kinds
            )
            parts = {
                "self_attn.out_proj": "attention.out", "self_attn_layer_norm": "attention_norm", "fc1": "mlp.up",
                "fc2": "mlp.down", "final_layer_norm": "mlp_norm",
            }  # fmt: skip
            if side == "decoder":
                cross = f"{file}.encoder_attn"
                yield from _stacked(cross, f"{ours}.cross.key_value", ("k_proj", "v_proj"), config.width, kinds)
                parts |= {
                    "encoder_attn.q_proj": "cross.query", "encoder_attn.out_proj": "cross.out",
                    "encoder_attn_layer_norm": "cross_norm",
                }  # fmt: skip
            for theirs, part in parts.items():
                yield from (TensorName(f"{file}.{theirs}.{kind}", f"{ours}.{part}.{kind}") for kind in kinds)
    yield TensorName("final_logits_bias", "output_bias")
    if not config.tied:
        yield TensorName("lm_head.weight", "unembedding.weight")
