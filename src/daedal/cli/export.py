"""`daedal export`: what other programs open."""

from pathlib import Path
from typing import Literal

from daedal.cli import console


def export(run: str, /, *, to: Path, quantize: Literal["f32", "f16", "bf16", "q8_0", "q4_0"] | None = None) -> None:
    """Write a model so that others open it: Transformers and vLLM a folder, llama.cpp and Ollama a GGUF file.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub.
    to
        The folder to write; a single file if it ends in `.gguf`.
    quantize
        The numbers of a GGUF file; f32 unless given.
    """
    from daedal import api

    with console.progress() as report:
        api.export(run, to, quantize, lambda done, total: report(f"writing {to}", done, total))
    console.show(f"Exported {run} to {to}")
