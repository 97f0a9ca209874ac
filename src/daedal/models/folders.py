"""Where a model lies: a folder here, or one that the Hugging Face Hub gives; and the files of its weights."""

from pathlib import Path

from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.models.adapter import is_adapter

_WANTED = ("*.json", "*.safetensors", "merges.txt", "vocab.txt", "*.spm", "*.jinja", "tokenizer.model", "README.md")
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def resolve(folder_or_hub_id: Path | str) -> Path:
    """The local folder of a checkpoint; a Hugging Face id is downloaded first.

    Raises:
        DaedalError: there is no such folder, and no such id that can be reached; or the folder holds no model.
    """
    folder = Path(folder_or_hub_id)
    if (folder / "config.json").is_file() or is_adapter(folder):
        return folder
    if (folder / "training").is_dir() and not any(folder.glob("*.safetensors")):
        raise DaedalError(
            f"The run in {folder} has saved no model yet", f"Go on with it by daedal train --resume {folder}"
        )
    if folder.is_dir():
        raise DaedalError(
            f"{folder} holds no trained model: it has no config.json", "Name a folder that `daedal train` wrote"
        )
    name = str(folder_or_hub_id)
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise DaedalError(f"{name} is not a folder", "Give a run folder, or a Hugging Face id such as Qwen/Qwen3-0.6B")
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(
                name,
                allow_patterns=list(_WANTED),
            )
        )
    except Exception as error:  # the hub library has dozens: no network, no such id, gated, cache not writable
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DaedalError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gives ({reason})",
            "Check the name and the connection",
        ) from None


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: one, or the shards that the index names."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single]
    if not index.exists():
        if any(any(folder.glob(pattern)) for pattern in _PICKLES):
            raise DaedalError(
                f"{folder} holds weights only as pickles, which can run code when they are read",
                "Convert them to safetensors with Transformers in a place that you trust",
            )
        raise DaedalError(f"{single} is missing", "Check the path, or train the model again")
    value = read_json(index)
    names = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise DaedalError(f"{index} has no weight_map", "Restore it from a copy")
    files = sorted(set(names.values()))
    for name in files:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise DaedalError(f"{index} names {name!r}, which is not a safetensors file beside it", "Do not trust it")
        if not (folder / name).exists():
            raise DaedalError(f"{folder / name} is missing", "Restore it from a copy, or download it again")
    return [folder / name for name in files]
