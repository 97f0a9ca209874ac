"""Runs in tests: what they came to, whether two are the same, and how to stop one on the way."""

import signal
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from daedal.training.run import RunFolder
from daedal.training.trainer import Trainer


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    """Whether two runs have the same weights, to the bit."""
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def logged(run: Path, name: str) -> list[float]:
    """The values of `name` in the log of a run."""
    return [record[name] for record in RunFolder(run).records("metrics.jsonl") if name in record]


def stop_at(trainer: Trainer, step: int) -> None:
    """Ask the trainer to stop while it takes its step number `step`."""
    take = trainer._step

    def stopping(*arguments: Any) -> Any:
        if trainer.step == step - 1:
            signal.raise_signal(signal.SIGTERM)
        return take(*arguments)

    trainer._step = stopping  # type: ignore[method-assign]
