"""A LoRA and its base as one checkpoint, which every program opens: the thin products are added to the weights, once."""

from pathlib import Path

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.files import atomic_folder
from daedal.models.adapter import Adapter, is_adapter
from daedal.models.base_folder import base_folder, base_of
from daedal.models.checkpoint import load_model, resolve, save_model
from daedal.models.habits import Habits
from daedal.models.identity import identify


def merge(run: Path | str, out: Path | str) -> Path:
    """Write the model that a LoRA and its base are together, in the type of the base's weights: of a run of Daedal, or of a
    folder or id of the Hugging Face Hub that PEFT wrote.

    Args:
        out: the folder to write, which is new or empty.

    Raises:
        DaedalError: there is no LoRA, its base is gone or another, or the folder is taken.
    """
    folder, out = resolve(run), Path(out)
    if not is_adapter(folder):
        raise DaedalError(f"{run} holds no LoRA: its weights are whole", "Use it as it is, or copy it by daedal export")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DaedalError(f"{out} exists already", "Choose a folder that is new or empty")
    base = base_folder(Adapter.open(folder, base_of(folder)).base, folder)
    home = folder if (folder / "config.json").is_file() else base  # PEFT leaves the tokenizer with the base, as a rule
    identity = identify(home).but(base=None)
    with atomic_folder(out) as temporary:
        save_model(load_model(folder), temporary, codec=TextCodec.load(home), habits=Habits.of(home))
        if identity.made_with is not None:
            identity.write(temporary)
    return out
