"""The `config.json` of BERT, RoBERTa, DistilBERT and ModernBERT and their heads as Transformers has it, in and out.

Every field of Transformers' configuration classes is honoured, refused, or known not to change the mathematics; a test
holds this against the installed Transformers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.models.answerer import Answerer, AnswererConfig
from daedal.models.bert import BERT, BERTConfig
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.embedder import Embedder, EmbedderConfig
from daedal.models.encoder import EncoderConfig, EncoderModel
from daedal.models.encoder_tensors import settle, spare, tensor_names
from daedal.models.formats import ACTIVATION_NAMES, activation, family_of, refuse, whole
from daedal.models.tagger import Tagger, TaggerConfig

__all__ = [
    "generation",
    "outline",
    "read_config",
    "settle",
    "spare",
    "tensor_names",
    "tokenizer_settings",
    "write_config",
]
_NAMES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert", "modernbert": "ModernBert"}
_MODELS: dict[type[EncoderConfig], tuple[type[EncoderModel], str]] = {
    BERTConfig: (BERT, "ForMaskedLM"),
    EmbedderConfig: (Embedder, "Model"),
    ClassifierConfig: (Classifier, "ForSequenceClassification"),
    TaggerConfig: (Tagger, "ForTokenClassification"),
    AnswererConfig: (Answerer, "ForQuestionAnswering"),
}
_CONFIGS = {model.family: config for config, (model, _) in _MODELS.items()}
_PROBLEMS = {
    "one": "single_label_classification", "several": "multi_label_classification", "number": "regression",
}  # fmt: skip
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
_DISTILLED_SIZES = ("dim", "n_layers", "n_heads", "hidden_dim")
_DROPOUTS = {
    # of states and of attention, then of what is less
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"),
    "modernbert": ("mlp_dropout", "attention_dropout", "embedding_dropout", "classifier_dropout"),
}
_POOLING = {"first": "cls", "mean": "mean"}
_OURS = ("weights", "smoothing", "none_threshold", "temperature")
"""Fields of heads that Transformers does not have: they stand under `daedal`."""
_LABELS = 2**20

REFUSED: dict[str, tuple[Any, ...]] = {
    # field: the values with which the mathematics is ours
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "position_embedding_type": ("absolute", None),
    "chunk_size_feed_forward": (0, None),
    "quantization_config": (None,),
    "pruned_heads": ({}, None),
    "norm_bias": (False,),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "classifier_bias": (False,),
    "classifier_activation": ("gelu",),
    "decoder_bias": (True,),
}


def read_config(value: Any, where: str) -> EncoderConfig:
    """The configuration in the `config.json` of a checkpoint, and of what sentence-transformers puts beside it.

    Raises:
        DaedalError: a field is wrong, or asks for mathematics that our encoders do not have.
    """
    family = family_of(value, where)
    kind = str(value.get("model_type", "bert"))
    if kind not in _NAMES:
        raise DaedalError(f"{where}: model_type {kind!r:.50} is not supported", f"One of {', '.join(_NAMES)} is")
    refuse(value, REFUSED, where)
    try:
        body = _modern_fields(value, where) if kind == "modernbert" else _bert_fields(kind, value, where)
        head = _head_fields(family, kind, value, where)
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError) as error:
        raise DaedalError(f"{where}: a field has a value of the wrong kind ({error})", "Correct it") from None
    return _CONFIGS[family].parse({"architecture": kind, **body, **head}, where)


def write_config(config: EncoderConfig) -> dict[str, Any]:
    """The `config.json` of a model."""
    kind = config.architecture
    written: dict[str, Any] = {
        "architectures": [_NAMES[kind] + _MODELS[type(config)][1]],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context + config.first_position,
        "tie_word_embeddings": not isinstance(config, BERTConfig) or config.tied,
    }
    names = _DISTILLED_SIZES if kind == "distilbert" else _SIZES
    written |= dict(zip(names, (config.width, config.depth, config.heads, config.mlp_width), strict=True))
    name = ACTIVATION_NAMES[config.activation]
    written |= dict.fromkeys(_DROPOUTS.get(kind, _DROPOUTS["bert"]), config.dropout)
    if kind == "distilbert":
        written |= {"activation": name}
    elif kind == "modernbert":
        written |= {"hidden_activation": name, "norm_eps": config.norm_eps, **_write_layers(config)}
    else:
        written |= {"hidden_act": name, "layer_norm_eps": config.norm_eps, "type_vocab_size": config.types}
    if kind == "roberta":
        written |= {"pad_token_id": config.pad_id}
    if isinstance(config, ClassifierConfig):
        written |= {"problem_type": _PROBLEMS[config.problem]}
        written |= {"classifier_pooling": _POOLING[config.pooling]} if kind == "modernbert" else {}
    if isinstance(config, ClassifierConfig | TaggerConfig):
        written |= {"id2label": {str(number): label for number, label in enumerate(config.labels)}}
        written |= {"label2id": {label: number for number, label in enumerate(config.labels)}}
    ours = config.model_dump(mode="json", include=set(_OURS))
    if isinstance(config, EmbedderConfig):
        ours |= {"pooling": config.pooling}
    return written | ({"daedal": ours} if ours else {})


def tokenizer_settings(config: EncoderConfig) -> dict[str, Any]:
    """How long a text may be, and whether the model is told the types of tokens."""
    types = ["token_type_ids"] if config.types > 1 else []
    return {"model_max_length": config.context, "model_input_names": ["input_ids", *types, "attention_mask"]}


def generation(config: EncoderConfig) -> None:
    """Nothing is written."""


def outline(config: EncoderConfig) -> EncoderModel:
    """The model of a configuration."""
    return _MODELS[type(config)][0](config)


def _bert_fields(kind: str, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The body of a BERT, a RoBERTa or a DistilBERT; a missing field is what Transformers takes it to be."""
    distilled, roberta = kind == "distilbert", kind == "roberta"
    names = _DISTILLED_SIZES if distilled else _SIZES
    others = (*_SIZES[:3], "hidden_dim")  # names that DistilBERT's have too
    width, depth, heads, mlp_width = (
        value.get(name, value.get(other, default))
        for name, other, default in zip(names, others, (768, 6 if distilled else 12, 12, 3072), strict=True)
    )
    positions, pad = value.get("max_position_embeddings", 512), value.get("pad_token_id", 1 if roberta else 0)
    whole(where, max_position_embeddings=positions)
    before = 0
    if roberta:
        whole(where, pad_token_id=pad + 1)
        before = pad + 1
    return {
        "vocab_size": value.get("vocab_size", 50265 if roberta else 30522), "width": width, "depth": depth,
        "heads": heads, "mlp_width": mlp_width, "context": positions - before,
        "activation": activation(value.get("activation" if distilled else "hidden_act", "gelu"), where),
        "norm_eps": 1e-12 if distilled else value.get("layer_norm_eps", 1e-12),
        "dropout": _dropout(value, kind, 0.1), "types": 0 if distilled else value.get("type_vocab_size", 2),
        "pad_id": pad if roberta else 0,
    }  # fmt: skip


def _modern_fields(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The body of a ModernBERT."""
    depth = value.get("num_hidden_layers", 22)
    whole(where, num_hidden_layers=depth)
    window, every = _read_layers(value, min(depth, 2**12), where)
    (global_theta, near_theta) = _read_rope(value, where)
    return {
        "vocab_size": value.get("vocab_size", 50368), "width": value.get("hidden_size", 768), "depth": depth,
        "heads": value.get("num_attention_heads", 12), "mlp_width": value.get("intermediate_size", 1152),
        "context": value.get("max_position_embeddings", 8192),
        "activation": activation(value.get("hidden_activation", "gelu"), where),
        "norm_eps": value.get("norm_eps", 1e-5), "dropout": _dropout(value, "modernbert", 0.0),
        "window": window, "global_every": every, "global_theta": global_theta, "near_theta": near_theta,
    }  # fmt: skip


def _dropout(value: Mapping[str, Any], kind: str, default: float) -> Any:
    """What those of the body are; where they differ, nothing is dropped until it is asked for."""
    found = {value.get(name, default) for name in _DROPOUTS.get(kind, _DROPOUTS["bert"])[:2]}
    return found.pop() if len(found) == 1 else 0.0


def _read_layers(value: Mapping[str, Any], depth: int, where: str) -> tuple[int | None, int]:
    """How far to each side layers with a window see, and of how many layers one sees all."""
    size, every = value.get("local_attention", 128), value.get("global_attn_every_n_layers", 3)
    whole(where, local_attention=size, global_attn_every_n_layers=every)
    kinds = value.get("layer_types")
    if kinds is not None:
        every = kinds.index("full_attention", 1) if "full_attention" in kinds[1:] else depth
        expected = ["sliding_attention" if layer % every else "full_attention" for layer in range(depth)]
        if kinds != expected:
            raise DaedalError(f"{where}: these layer_types are not supported", "Load the model with Transformers")
    return (size // 2 or None) if every > 1 else None, every


def _write_layers(config: EncoderConfig) -> dict[str, Any]:
    def rope(theta: float) -> dict[str, Any]:
        return {"rope_type": "default", "rope_theta": theta}

    every = 1 if config.window is None else config.global_every
    return {
        "local_attention": 2 * (config.window or 64),
        "layer_types": [
            "full_attention" if config.sees_all(layer) else "sliding_attention" for layer in range(config.depth)
        ],
        "global_attn_every_n_layers": every,  # this and the two thetas are what Transformers 4 reads
        "global_rope_theta": config.global_theta,
        "local_rope_theta": config.near_theta,
        "rope_parameters": {
            "full_attention": rope(config.global_theta), "sliding_attention": rope(config.near_theta),
        },
    }  # fmt: skip


def _read_rope(value: Mapping[str, Any], where: str) -> tuple[Any, Any]:
    """The bases of rotary positions, from `rope_parameters` (Transformers 5) or `global_rope_theta` (before it)."""
    outer = {"full_attention": value.get("global_rope_theta", 160000.0)}
    near = value.get("local_rope_theta", 10000.0)
    outer["sliding_attention"] = outer["full_attention"] if near is None else near
    if value.get("rope_scaling"):
        raise DaedalError(f"{where}: rope_scaling is not supported here", "Load the model with Transformers")
    found, given = [], value.get("rope_parameters") or {}
    for kind, theta in outer.items():
        rope = dict(given.get(kind) or {})
        found.append(rope.pop("rope_theta", theta))
        if rope.pop("rope_type", "default") != "default" or rope:
            raise DaedalError(f"{where}: rope scaling is not supported here", "Load the model with Transformers")
    return found[0], found[1]


def _head_fields(family: str, kind: str, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    ours = value.get("daedal") or {}
    head: dict[str, Any] = {name: ours[name] for name in _OURS if name in ours}
    if family == "bert":
        return head | {"tied": value.get("tie_word_embeddings", True)}
    if family == "embedder":
        return head | {"pooling": ours.get("pooling") or _pooling_beside(Path(where))}
    if family in ("classifier", "tagger"):
        head["labels"] = _labels(value, where)
    if family == "classifier":
        head["problem"] = _problem(value, len(head["labels"]), where)
        pooling = value.get("classifier_pooling", "cls") if kind == "modernbert" else "cls"
        if pooling not in _POOLING.values():
            raise DaedalError(f"{where}: classifier_pooling = {pooling!r:.50} is not supported", "Use cls or mean")
        head["pooling"] = "mean" if pooling == "mean" else "first"
    return head


def _labels(value: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The names of a head's classes; LABEL_0 and so on where they have none, as in Transformers."""
    names = value.get("id2label")
    if names is None:
        count = value.get("num_labels", 2)
        whole(where, num_labels=count)
        return tuple(f"LABEL_{number}" for number in range(min(count, _LABELS)))
    numbered = {int(number): label for number, label in names.items()}
    if sorted(numbered) != list(range(len(numbered))) or not all(isinstance(each, str) for each in numbered.values()):
        raise DaedalError(f"{where}: id2label does not name the labels 0, 1 and so on", "Correct it")
    return tuple(numbered[number] for number in range(len(numbered)))


def _problem(value: Mapping[str, Any], labels: int, where: str) -> str:
    """What a text's labels are. Where it is not said, a single label is yes or no, as `transformers.pipeline` has it."""
    told = value.get("problem_type")
    if told is None:
        return "one" if labels > 1 else "several"
    found = next((ours for ours, theirs in _PROBLEMS.items() if theirs == told), None)
    if found is None:
        raise DaedalError(f"{where}: problem_type = {told!r:.50} is not supported", "Correct that value")
    return found


def _pooling_beside(where: Path) -> str:
    """What sentence-transformers makes of the states, where it has written that beside the configuration; else the mean."""
    parts, pooling = where.parent / "modules.json", where.parent / "1_Pooling" / "config.json"
    if not parts.is_file():
        return "mean"
    kinds = [str(each.get("type", "")).rpartition(".")[2] for each in read_json(parts)]
    told = read_json(pooling) if pooling.is_file() else {}
    modes = [name.removeprefix("pooling_mode_") for name, on in told.items() if name.startswith("pooling_mode_") and on]
    found = {"cls_token": "first", "mean_tokens": "mean"}.get(modes[0] if len(modes) == 1 else "")
    if not set(kinds) <= {"Transformer", "Pooling", "Normalize"} or found is None:
        raise DaedalError(
            f"{parts} makes a vector of a text by {', '.join(kinds)} ({', '.join(modes)}), which is not supported",
            "Load the model with sentence-transformers",
        )
    return found
