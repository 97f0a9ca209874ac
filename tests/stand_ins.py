"""Generators that answer what they are told to, for what measures them; the models beside them are real and tiny."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.inference.generator import Generator

SHAPE = {"width": 16, "depth": 1, "heads": 2, "context": 64}


class StandIn(Generator):
    """A generator whose skills are given.

    Args:
        skills: by the name of the method.
    """

    def __init__(self, model: Any, codec: TextCodec, **skills: Callable[..., Any]) -> None:
        self.model = self._model = model.eval()
        self.codec, self.name = codec, "stand-in"
        self.capabilities = model.capabilities
        self.skills = {}
        for name, skill in skills.items():
            setattr(self, name, skill)


def tiny(model: Any, config: Any, **values: Any) -> tuple[Any, TextCodec]:
    """A model of a family and a codec of bytes."""
    codec = marked(TextCodec.train("byte", []))
    return model(config.of("bert", **{**SHAPE, "vocab_size": codec.vocab_size, **values})), codec


def classifies(label_of: Callable[[str], str], labels: Sequence[str], sure: float = 0.9) -> Callable[..., list[Any]]:
    """Says of each text one label, this sure."""

    def classify(texts: Sequence[Any]) -> list[Any]:
        found = []
        for text in texts:
            label = label_of(text if isinstance(text, str) else "\n".join(text))
            rest = (1 - sure) / (len(labels) - 1)
            chances = {label: sure, **{name: rest for name in labels if name != label}}
            found.append(
                SimpleNamespace(label=label, probability=sure, probabilities=chances, labels=(label,), value=None)
            )
        return found

    return classify


def embeds(codec: TextCodec) -> Callable[..., torch.Tensor]:
    """The counts of bytes, of length one."""

    def embed(texts: Sequence[Sequence[int]]) -> torch.Tensor:
        counts = torch.stack([torch.bincount(torch.tensor(ids), minlength=codec.vocab_size) for ids in texts]).float()
        return torch.nn.functional.normalize(counts, dim=-1)

    return embed
