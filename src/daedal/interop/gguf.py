"""GGUF: weights, configuration and tokenizer in one file, which llama.cpp and what is built on it open (Ollama, LM Studio).

- matrices in the chosen numbers; vectors, and the positions of GPT-2, always as float32
- rotary channels: llama.cpp turns neighbours for the architecture llama, which is how we hold them, and channels half a head
  apart for qwen, which is how Hugging Face holds them
- what llama.cpp computes differently is refused by name. It has no sliding windows for these architectures: the context ends
  where a window would begin to matter

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Number
from torch import Tensor

from daedal.codecs.chat import PLAIN, ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.files import atomic_path
from daedal.interop.gguf_vocabulary import Vocabulary, vocabulary
from daedal.models.formats import TensorName
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.habits import stop_ids
from daedal.models.huggingface import tensor_names
from daedal.models.rotary_rows import unpair

Quantize = Literal["f32", "f16", "bf16", "q8_0", "q4_0"]
"""The numbers of the matrices: q8_0 has 8.5 bits for each, q4_0 4.5."""

_ARCHITECTURES = {
    "gpt2": gguf.MODEL_ARCH.GPT2, "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2, "qwen3": gguf.MODEL_ARCH.QWEN3,
}  # fmt: skip
_FILES = {
    "f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16, "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0, "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
}  # fmt: skip


def write_gguf(
    model: GPT,
    codec: TextCodec,
    folder: Path,
    to: Path,
    name: str,
    quantize: str = "f32",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a model and its codec to the file `to`.

    Args:
        folder: where they come from, for what else is said there: the chat template, the card, what ends a text.
        name: of the model, where its card has none.
        quantize: one of `Quantize`.
        progress: called with the bytes that are written and those that there will be.

    Raises:
        DaedalError: llama.cpp does not compute this model, or the disk is full.
    """
    if quantize not in get_args(Quantize):
        raise DaedalError(f"There is no quantization {quantize!r}", f"Choose one of {', '.join(get_args(Quantize))}")
    config = model.config
    _check(config)
    # Ollama has an engine of its own for qwen3, which reads merges only
    words = vocabulary(codec, config.vocab_size, pieces=config.architecture != "qwen3")
    template = ChatTemplate.load(folder)
    parameters = dict(model.named_parameters())
    shapes = {entry: _take(entry, config, parameters).shape for entry in tensor_names(config)}
    numbers = {entry: _number(entry, shape, quantize) for entry, shape in shapes.items()}
    sizes = {entry: _size(shape, numbers[entry]) for entry, shape in shapes.items()}
    turns = _turns(config)
    with atomic_path(to) as temporary, closing(gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[_arch(config)])) as writer:
        _describe(writer, folder, name, quantize)
        _configure(writer, config)
        _spell(writer, words, codec, folder, template)
        names = gguf.get_tensor_name_map(_arch(config), config.depth)
        for entry, shape in shapes.items():
            theirs = names.get_name(entry.file, try_suffixes=(".weight", ".bias"))
            assert theirs is not None
            writer.add_tensor_info(theirs, shape, np.dtype(np.float32), sizes[entry], numbers[entry])
        if turns is not None:
            writer.add_tensor_info("rope_freqs.weight", turns.shape, turns.dtype, turns.nbytes)
        writer.write_header_to_file(temporary)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        file, done, total = writer.fout[0], 0, sum(sizes.values())
        writer.write_padding(file, file.tell())
        for entry in shapes:
            data = _encode(_take(entry, config, parameters), numbers[entry])
            file.write(data)
            writer.write_padding(file, data.nbytes)
            done += data.nbytes
            if progress is not None:
                progress(done, total)
        if turns is not None:
            file.write(turns.data)
            writer.write_padding(file, turns.nbytes)


def _arch(config: GPTConfig) -> gguf.MODEL_ARCH:
    return _ARCHITECTURES[config.architecture]


def _check(config: GPTConfig) -> None:
    """That llama.cpp computes what this configuration says."""
    usual = "gelu_tanh" if config.architecture == "gpt2" else "silu"
    if config.activation != usual:
        raise DaedalError(
            f"llama.cpp computes {config.architecture} with {usual}, and this model has {config.activation}",
            "Export to a folder",
        )
    if config.architecture == "qwen3" and config.attention_bias:
        raise DaedalError("llama.cpp computes qwen3 without biases, and this model has some", "Export to a folder")
    if config.architecture == "qwen2" and config.head_width * config.heads != config.width:
        raise DaedalError("llama.cpp computes qwen2 with heads that add up to the width only", "Export to a folder")
    scaling = config.rope_scaling
    if scaling is None:
        return
    if scaling.kind == "llama3" and config.architecture in ("qwen2", "qwen3"):
        raise DaedalError(f"llama.cpp computes {config.architecture} without the scaling llama3", "Export to a folder")
    if scaling.kind == "yarn" and (scaling.beta_fast, scaling.beta_slow, scaling.truncate) != (32.0, 1.0, True):
        raise DaedalError(
            "llama.cpp computes yarn with a beta_fast of 32, a beta_slow of 1 and truncate only", "Export to a folder"
        )


def _describe(writer: gguf.GGUFWriter, folder: Path, name: str, quantize: str) -> None:
    card = _card(folder)
    writer.add_type("model")
    writer.add_name(str(card.get("name") or name))
    if isinstance(licence := card.get("license"), str) and licence != "unknown":
        writer.add_license(licence)
    writer.add_file_type(_FILES[quantize])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _card(folder: Path) -> dict[str, Any]:
    """What the header of the model card says, and the name that it gives the model."""
    from huggingface_hub import metadata_load

    try:
        card = metadata_load(folder / "README.md")
    except Exception:  # no card, or one whose header is not YAML: a name and a licence are not worth a failure
        return {}
    if not isinstance(card, dict):
        return {}
    index = card.get("model-index")
    first = index[0] if isinstance(index, list) and index else None
    return {**card, "name": first.get("name") if isinstance(first, dict) else None}


def _configure(writer: gguf.GGUFWriter, config: GPTConfig) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(min(config.context, config.sliding_window or config.context))
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.depth)
    writer.add_feed_forward_length(config.mlp_width)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    if config.architecture == "gpt2":
        writer.add_layer_norm_eps(config.norm_eps)
        return
    writer.add_key_length(config.head_width)
    writer.add_value_length(config.head_width)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(config.rope_theta)
    scaling = config.rope_scaling
    if scaling is None or scaling.kind in ("dynamic", "llama3"):  # one only beyond the context, one in _turns
        return
    writer.add_rope_scaling_type(gguf.RopeScalingType(scaling.kind))
    writer.add_rope_scaling_factor(scaling.factor)
    if scaling.kind == "yarn":
        assert scaling.original_context is not None
        writer.add_rope_scaling_orig_ctx_len(scaling.original_context)
        wanted = _rotary(config).frequencies(config.context)[1]
        writer.add_rope_scaling_attn_factors(wanted / (1 + 0.1 * math.log(scaling.factor)))  # what they multiply by


def _rotary(config: GPTConfig) -> Any:
    from daedal.nn.position import Rotary

    return Rotary(config.head_width, config.rope_theta, config.context, config.rope_scaling)


def _turns(config: GPTConfig) -> "np.ndarray[Any, Any] | None":
    """What Llama 3.1's scaling divides each frequency by."""
    scaling = config.rope_scaling
    if scaling is None or scaling.kind != "llama3":
        return None
    plain = 1.0 / config.rope_theta ** (torch.arange(0, config.head_width, 2) / config.head_width)
    return np.ascontiguousarray((plain / _rotary(config).frequencies(config.context)[0]).numpy(), np.float32)


def _spell(writer: gguf.GGUFWriter, words: Vocabulary, codec: TextCodec, folder: Path, template: ChatTemplate) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.texts)
    writer.add_token_types(words.kinds)
    writer.add_token_merges(words.merges)
    if words.scores:
        writer.add_token_scores(words.scores)
    stops = [id for id in (codec.eos_id, *stop_ids(folder)) if id is not None]
    for id, add in (
        (codec.bos_id, writer.add_bos_token_id), (stops[0] if stops else None, writer.add_eos_token_id),
        (next((id for id in stops if id != stops[0]), None), writer.add_eot_token_id),
        (codec.pad_id, writer.add_pad_token_id),
    ):  # fmt: skip
        if id is not None:
            add(id)
    writer.add_add_bos_token(bool(codec.prefix_ids))
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(words.space_prefix)
    if template.source != PLAIN:
        named = [{"name": name, "template": source} for name, source in template.named.items() if name != "default"]
        writer.add_chat_template([{"name": "default", "template": template.source}, *named])


def _take(entry: TensorName, config: GPTConfig, parameters: dict[str, torch.nn.Parameter]) -> Tensor:
    """A tensor as llama.cpp wants it; a view where that is possible."""
    tensor = parameters[entry.parameter].detach()
    tensor = tensor if entry.rows is None else tensor[slice(*entry.rows)]
    return tensor if _arch(config) == gguf.MODEL_ARCH.LLAMA else unpair(tensor, entry.paired)


def _number(entry: TensorName, shape: torch.Size, quantize: str) -> Number:
    """What the elements of a tensor are written as."""
    if len(shape) == 1 or entry.parameter == "positions.weight":
        return Number.F32
    wanted = Number[quantize.upper()]
    if wanted == Number.Q4_0 and entry.parameter in ("embedding.weight", "unembedding.weight"):
        wanted = Number.Q8_0  # four bits cost most where a token is read and chosen
    return Number.F16 if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] else wanted


def _size(shape: torch.Size, number: Number) -> int:
    elements, nbytes = gguf.GGML_QUANT_SIZES[number]
    return shape.numel() // elements * nbytes


def _encode(tensor: Tensor, number: Number) -> "memoryview":
    plain = np.ascontiguousarray(tensor.to("cpu", torch.float32).numpy())
    return np.ascontiguousarray(gguf.quantize(plain, number)).data.cast("B")
