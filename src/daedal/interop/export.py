"""A run as others take it: the checkpoint alone, which Transformers and vLLM open as it is, or a GGUF file for llama.cpp.

The run folder already is such a checkpoint; an export leaves out the training state and is checked first.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.files import atomic_folder, read_json
from daedal.interop.merge import merge
from daedal.models.adapter import is_adapter
from daedal.models.checkpoint import load_model, resolve, weight_files
from daedal.models.formats import format_of
from daedal.models.gpt import GPT
from daedal.models.identity import identify

_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt", "source.spm", "target.spm",
    "chat_template.jinja", "README.md",
    "model.safetensors.index.json",
)  # fmt: skip
_OTHER_FILES = (".onnx", ".safetensors", ".bin", ".pt", ".pth", ".ggml", ".zip")


def export(
    run: Path | str,
    to: Path | str,
    quantize: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the checkpoint of a run, or of a Hugging Face id, to the folder `to`; to a file if it is called `*.gguf`.

    Args:
        quantize: the numbers of a GGUF file; see `daedal.interop.gguf.Quantize`. float32 unless given.
        progress: called with the bytes of a GGUF file that are written and those that there will be.

    Raises:
        DaedalError: the run is damaged, `to` is called as a file of another kind or holds something already, or the
            architecture opens in Daedal only.
    """
    folder, to = resolve(run), Path(to)
    single = to.suffix.lower() == ".gguf"
    if quantize is not None and not single:
        raise DaedalError("Only a GGUF file can be quantized", f"Export to {to}.gguf, or leave out --quantize")
    if to.suffix.lower() in _OTHER_FILES:
        raise DaedalError(f"{to} would be a file of a kind that is not written", "Name a folder, or a file NAME.gguf")
    if to.exists() and (single or not to.is_dir() or any(to.iterdir())):
        raise DaedalError(
            f"{to} exists already", "Choose a new name" if single else "Choose a folder that is new or empty"
        )
    values = read_json(folder / "config.json")
    if (found := identify(folder)).kind == "pictures":
        raise DaedalError(f"{folder} holds a model of pictures, which opens in Daedal only", "Export a model of text")
    form = format_of(found.family)
    if form is None:
        raise DaedalError(f"{folder} holds a {found.family}, which opens in Daedal only", "Export a gpt")
    config: Any = form.read_config(values, str(folder / "config.json"))
    if "architectures" not in form.write_config(config):
        raise DaedalError(
            f"The architecture {config.architecture!r} opens in Daedal only",
            "Train another one, by --architecture, to leave with the model",
        )
    if single and found.family != "gpt":
        raise DaedalError(f"{folder} holds a {found.family}, of which there is no GGUF file here", "Name a folder")
    model = load_model(folder)
    codec = TextCodec.load(folder)
    if codec.vocab_size > config.vocab_size:
        raise DaedalError(
            f"{folder}: the tokenizer has {codec.vocab_size} ids and the model {config.vocab_size}",
            "Restore the files that belong together",
        )
    if single:
        from daedal.interop.gguf import write_gguf

        assert isinstance(model, GPT)
        name = folder.resolve().name if Path(run).is_dir() else str(run).rpartition("/")[2]
        write_gguf(model, codec, folder, to, name, quantize or "f32", progress)
        return to
    if is_adapter(folder):
        return merge(folder, to)
    with atomic_folder(to) as temporary:
        for name in _FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, temporary / name)
        for path in weight_files(folder):
            shutil.copyfile(path, temporary / path.name)
    return to
