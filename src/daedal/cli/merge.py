"""`daedal merge`: a LoRA and its base as one model."""

from pathlib import Path

from daedal.cli.console import show


def merge(run: str, /, *, out: Path) -> None:
    """Write the one model that a LoRA and its base are together; it opens wherever its base does.

    Parameters
    ----------
    run
        A run folder whose model was tuned by --lora or --qlora; or a folder, or an id of the Hugging Face Hub, that PEFT wrote.
    out
        The folder to write, which is new or empty.
    """
    from daedal import api

    show(f"Merged {run} with its base to {api.merge(run, out)}")
