"""Hugging Face's names for what a reward model is made of: those of the GPT that it is, with one number in place of the output
layer. Transformers calls it a classifier of sequences with one label."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import torch

from daedal.errors import DaedalError
from daedal.models import huggingface
from daedal.models.formats import TensorName
from daedal.models.reward import Reward, RewardConfig

CLASSES = {name: f"{of.removesuffix('ForCausalLM').removesuffix('LMHeadModel')}ForSequenceClassification"
           for name, of in huggingface.CLASSES.items()}  # fmt: skip
OWN = "daedal_swift_reward"
"""The model type of what opens in Daedal only: the architecture swift."""
_LABEL = "reward"


def read_config(value: Any, where: str) -> RewardConfig:
    """The configuration in the `config.json` of a checkpoint.

    Raises:
        DaedalError: a field is wrong, asks for mathematics that a GPT does not have, or there are several labels.
    """
    if not isinstance(value, dict):
        raise DaedalError(f"{where} does not hold a JSON object", "Restore it from a copy")
    if value.get("model_type") == OWN:
        own = value.get("model")
        return RewardConfig.parse(own if isinstance(own, dict) else {}, where)
    names = value.get("id2label")
    labels = len(names) if isinstance(names, dict) else value.get("num_labels", 2)  # as Transformers takes it to be
    if labels != 1:
        raise DaedalError(
            f"{where}: a classifier with {labels} labels that reads one way is not supported: a reward model has one",
            "Load the model with Transformers",
        )
    architecture = next(name for name, of in CLASSES.items() if value.get("architectures") == [of])
    pad = value.get("pad_token_id")
    if pad is not None and not isinstance(pad, int):
        raise DaedalError(f"{where}: pad_token_id = {pad!r} is not one id", "Correct that value")
    body = huggingface.read_config({**value, "architectures": [huggingface.CLASSES[architecture]]}, where)
    return RewardConfig.around(body, None if pad is None or pad < 0 else pad)


def write_config(config: RewardConfig) -> dict[str, Any]:
    """The `config.json` of a model."""
    if config.architecture == "swift":
        return {"model_type": OWN, "vocab_size": config.vocab_size, "model": config.model_dump()}
    return huggingface.write_config(config.body) | {
        "architectures": [CLASSES[config.architecture]], "pad_token_id": config.pad_id,
        "id2label": {"0": _LABEL}, "label2id": {_LABEL: 0},
    }  # fmt: skip


def generation(config: RewardConfig) -> None:
    """It writes no texts."""


def outline(config: RewardConfig) -> Reward:
    """The model of a configuration."""
    return Reward(config)


def tokenizer_settings(config: RewardConfig) -> dict[str, Any]:
    """Nothing but what its codec says."""
    return {}


def tensor_names(config: RewardConfig) -> Iterator[TensorName]:
    """Every tensor of a checkpoint."""
    if config.architecture == "swift":
        with torch.device("meta"):
            yield from [TensorName(name, name) for name, _ in Reward(config).named_parameters()]
        return
    for entry in huggingface.tensor_names(config.body):
        yield replace(entry, parameter=f"body.{entry.parameter}")
    yield TensorName("score.weight", "score.weight")


def settle(config: RewardConfig, tensors: dict[str, Any]) -> RewardConfig:
    """What a GPT's are called today."""
    huggingface.settle(config.body, tensors)
    return config


def spare(config: RewardConfig) -> Collection[str]:
    """What a GPT's may have, and an output layer that nobody asks."""
    return huggingface.spare(config.body)
