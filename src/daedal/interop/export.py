"""A run as others take it: the checkpoint alone, which Transformers, vLLM and llama.cpp's converter open as it is.

The run folder already is such a checkpoint; an export leaves out the training state and is checked first.
"""

import shutil
from pathlib import Path

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.files import atomic_folder, read_json
from daedal.models.checkpoint import load_model, resolve, weight_files
from daedal.models.huggingface import CLASSES, read_config

_FILES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "README.md",
    "model.safetensors.index.json",
)  # fmt: skip


def export(run: Path | str, to: Path | str) -> Path:
    """Write the checkpoint of a run, or of a Hugging Face id, to the folder `to`.

    Raises:
        DaedalError: the run is damaged, `to` holds something already, or its architecture opens in Daedal only.
    """
    folder, to = resolve(run), Path(to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise DaedalError(f"{to} exists already", "Choose a folder that is new or empty")
    config = read_config(read_json(folder / "config.json"), str(folder / "config.json"))
    if config.architecture not in CLASSES:
        raise DaedalError(
            f"The architecture {config.architecture!r} opens in Daedal only",
            f"Train one of {', '.join(CLASSES)} to leave with the model",
        )
    load_model(folder)
    codec = TextCodec.load(folder)
    if codec.vocab_size > config.vocab_size:
        raise DaedalError(
            f"{folder}: the tokenizer has {codec.vocab_size} ids and the model {config.vocab_size}",
            "Restore the files that belong together",
        )
    with atomic_folder(to) as temporary:
        for name in _FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, temporary / name)
        for path in weight_files(folder):
            shutil.copyfile(path, temporary / path.name)
    return to
