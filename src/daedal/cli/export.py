"""`daedal export`: a folder that other programs open."""

from pathlib import Path

from daedal.cli import console


def export(run: str, /, *, to: Path) -> None:
    """Write a model so that Transformers, vLLM and llama.cpp's converter open it as it is.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub.
    to
        The folder to write.
    """
    from daedal import api

    api.export(run, to)
    console.show(f"Exported {run} to {to}")
