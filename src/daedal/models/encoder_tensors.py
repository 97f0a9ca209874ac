"""The names that Transformers gives the tensors of BERT, RoBERTa, DistilBERT and ModernBERT and their heads."""

from collections.abc import Collection, Iterator
from typing import Any

from daedal.models.answerer import AnswererConfig
from daedal.models.bert import BERTConfig
from daedal.models.classifier import ClassifierConfig
from daedal.models.embedder import EmbedderConfig
from daedal.models.encoder import EncoderConfig
from daedal.models.formats import TensorName, differ
from daedal.models.tagger import TaggerConfig

_PREFIXES = {"bert": "bert.", "roberta": "roberta.", "distilbert": "distilbert.", "modernbert": "model."}
_DECODERS = {  # the output layer of a masked language model, its bias, and that bias's other name
    "bert": ("cls.predictions.decoder.weight", "cls.predictions.bias", "cls.predictions.decoder.bias"),
    "roberta": ("lm_head.decoder.weight", "lm_head.bias", "lm_head.decoder.bias"),
    "distilbert": ("vocab_projector.weight", "vocab_projector.bias", "vocab_projector.bias"),
    "modernbert": ("decoder.weight", "decoder.bias", "decoder.bias"),
}
# What BERT and DistilBERT call the parts of a block: queries, keys and values, then all else
_PLAIN = ("attention.self.query", "attention.self.key", "attention.self.value"), {
    "attention.output.dense": "attention.out", "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "mlp.up", "output.dense": "mlp.down", "output.LayerNorm": "mlp_norm",
}  # fmt: skip
_DISTILLED = ("attention.q_lin", "attention.k_lin", "attention.v_lin"), {
    "attention.out_lin": "attention.out", "sa_layer_norm": "attention_norm",
    "ffn.lin1": "mlp.up", "ffn.lin2": "mlp.down", "output_layer_norm": "mlp_norm",
}  # fmt: skip


def settle(config: EncoderConfig, tensors: dict[str, Any]) -> EncoderConfig:
    """TensorFlow's first checkpoints call the parts of a norm gamma and beta; a body alone may have the prefix that it has
    under a head; the bias of a masked language model stands under two names. An output layer that differs from the embedding
    beside it is its own, whatever the configuration says."""
    prefix = _PREFIXES[config.architecture]
    for name in list(tensors):
        today = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        if isinstance(config, EmbedderConfig):
            today = today.removeprefix(prefix)
        if today != name:
            tensors[today] = tensors.pop(name)
    if not isinstance(config, BERTConfig):
        return config
    head, bias, alias = _DECODERS[config.architecture]
    words = next(_embeddings(config, prefix)).file
    if config.tied and differ(tensors.get(head), tensors.get(words)):
        config = config.but(tied=False)
    if alias in tensors and (bias not in tensors or not config.tied):  # Transformers adds the output layer's own
        tensors[bias] = tensors[alias]
    elif bias in tensors and not config.tied:
        tensors[alias] = tensors[bias]
    return config


def spare(config: EncoderConfig) -> Collection[str]:
    """Counts of positions; poolers, where no head reads them; the head of the next sentence; and a second name of the output
    layer of a masked language model."""
    names = [".position_ids", ".token_type_ids"]
    if not isinstance(config, ClassifierConfig) or config.architecture != "bert":
        names += ["pooler.dense.weight", "pooler.dense.bias"]
    if isinstance(config, BERTConfig):
        head, _, alias = _DECODERS[config.architecture]
        names += ["cls.seq_relationship.weight", "cls.seq_relationship.bias", alias]
        names += [head] if config.tied else []
    return names


def tensor_names(config: EncoderConfig) -> Iterator[TensorName]:
    """Every tensor of a checkpoint."""
    prefix = "" if isinstance(config, EmbedderConfig) else _PREFIXES[config.architecture]
    yield from _embeddings(config, prefix)
    for layer in range(config.depth):
        ours = f"encoder.transformer.blocks.{layer}"
        if config.architecture == "modernbert":
            yield from _modern_layer(config, f"{prefix}layers.{layer}", ours, layer)
        elif config.architecture == "distilbert":
            yield from _layer(config, f"{prefix}transformer.layer.{layer}", ours, _DISTILLED)
        else:
            yield from _layer(config, f"{prefix}encoder.layer.{layer}", ours, _PLAIN)
    if config.architecture == "modernbert":
        yield TensorName(f"{prefix}final_norm.weight", "encoder.transformer.norm.weight")
    yield from _head(config)


def _both(file: str, parameter: str, **where: Any) -> Iterator[TensorName]:
    for part in ("weight", "bias"):
        yield TensorName(f"{file}.{part}", f"{parameter}.{part}", **where)


def _embeddings(config: EncoderConfig, prefix: str) -> Iterator[TensorName]:
    if config.architecture == "modernbert":
        yield TensorName(f"{prefix}embeddings.tok_embeddings.weight", "encoder.embedding.weight")
        yield TensorName(f"{prefix}embeddings.norm.weight", "encoder.norm.weight")
        return
    yield TensorName(f"{prefix}embeddings.word_embeddings.weight", "encoder.embedding.weight")
    yield TensorName(f"{prefix}embeddings.position_embeddings.weight", "encoder.positions.weight")
    if config.types:
        yield TensorName(f"{prefix}embeddings.token_type_embeddings.weight", "encoder.types.weight")
    yield from _both(f"{prefix}embeddings.LayerNorm", "encoder.norm")


def _layer(
    config: EncoderConfig, file: str, ours: str, names: tuple[tuple[str, ...], dict[str, str]]
) -> Iterator[TensorName]:
    for number, theirs in enumerate(names[0]):
        rows = (number * config.width, (number + 1) * config.width)
        yield from _both(f"{file}.{theirs}", f"{ours}.attention.qkv", rows=rows)
    for theirs, part in names[1].items():
        yield from _both(f"{file}.{theirs}", f"{ours}.{part}")


def _modern_layer(config: EncoderConfig, file: str, ours: str, layer: int) -> Iterator[TensorName]:
    if layer:
        yield TensorName(f"{file}.attn_norm.weight", f"{ours}.attention_norm.weight")
    yield TensorName(
        f"{file}.attn.Wqkv.weight", f"{ours}.attention.qkv.weight", paired=config.width // config.heads,
        turned=2 * config.width,
    )  # fmt: skip
    yield TensorName(f"{file}.attn.Wo.weight", f"{ours}.attention.out.weight")
    yield TensorName(f"{file}.mlp_norm.weight", f"{ours}.mlp_norm.weight")
    yield TensorName(f"{file}.mlp.Wi.weight", f"{ours}.mlp.gate_up.weight")
    yield TensorName(f"{file}.mlp.Wo.weight", f"{ours}.mlp.down.weight")


def _head(config: EncoderConfig) -> Iterator[TensorName]:
    kind = config.architecture
    if kind == "modernbert" and not isinstance(config, EmbedderConfig):
        yield TensorName("head.dense.weight", "transform.dense.weight")
        yield TensorName("head.norm.weight", "transform.norm.weight")
    match config:
        case BERTConfig():
            head, bias, alias = _DECODERS[kind]
            dense, norm = {
                "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
                "roberta": ("lm_head.dense", "lm_head.layer_norm"),
                "distilbert": ("vocab_transform", "vocab_layer_norm"),
            }.get(kind, ("", ""))
            if dense:
                yield from _both(dense, "transform.dense")
                yield from _both(norm, "transform.norm")
            yield TensorName(bias, "bias")
            if not config.tied:
                yield TensorName(head, "output.weight")
                if alias != bias:
                    yield TensorName(alias, "bias")
        case ClassifierConfig():
            pooler = {"bert": "bert.pooler.dense", "roberta": "classifier.dense", "distilbert": "pre_classifier"}
            if kind in pooler:
                yield from _both(pooler[kind], "pooler")
            yield from _both("classifier.out_proj" if kind == "roberta" else "classifier", "output")
        case TaggerConfig():
            yield from _both("classifier", "output")
        case AnswererConfig():
            yield from _both("classifier" if kind == "modernbert" else "qa_outputs", "output")
