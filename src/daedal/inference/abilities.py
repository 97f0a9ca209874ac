"""What a model of images can be asked for, and how what it cannot do is refused: in one line that says what it can."""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CaptionCodec, tidy
from daedal.errors import DaedalError
from daedal.models.coded import Coded
from daedal.models.image import ImageModel, ImageSampling
from daedal.models.model import Capability
from daedal.nn.noise import Noise

Label = str | int
Labels = Label | Sequence[Label] | None
"""A class by name or number, or several that are taken in turn."""
Prompts = str | Sequence[str] | None
"""What to draw, in words, or several that are taken in turn."""

VERBS: dict[Capability, str] = {
    "sample": "draw new pictures", "class": "draw a class", "prompt": "draw what a text says",
    "caption": "say what a picture shows", "interpolate": "interpolate", "reconstruct": "reconstruct",
    "edit": "edit", "score": "score", "match": "match pictures and texts",
}  # fmt: skip
"""What an image model may declare, in words."""
_LISTED = 20


def kind(model: ImageModel) -> str:
    """What sort of model it is, as a sentence begins."""
    if isinstance(model, Coded):
        return f"A {type(model.inner).__name__} over the codes of a {type(model.codec).__name__}"
    return f"A {type(model).__name__}"


class Abilities:
    """What a model can be asked for.

    Args:
        name: that the model was opened by.
        classes: the names of its labels; empty where it was trained without.
        captions: the codec of its captions; None where it was trained without.
    """

    def __init__(
        self, model: ImageModel, name: str, classes: Sequence[str], captions: CaptionCodec | None = None
    ) -> None:
        count, words, window = model.config.classes, model.config.words, model.config.window
        if words and (captions is None or (captions.vocab_size, captions.window) != (words, window)):
            raise DaedalError(f"{name} draws what captions say, and their codec is missing or another", "Restore it")
        if classes and count and len(classes) != count:
            raise DaedalError(f"{len(classes)} classes are named and the model knows {count}", "Name each of them")
        self.name, self.captions = name, captions if words else None
        self.classes: tuple[str, ...] = (tuple(classes) or tuple(str(i) for i in range(count))) if count else ()
        self.capabilities: frozenset[Capability] = model.capabilities
        if not count:
            self.capabilities -= {"class"}
        if not words:
            self.capabilities -= {"prompt", "caption"}
        self._kind, self._options, self._prompted = kind(model), model.options, model.prompted
        self._declared = model.capabilities

    def require(self, capability: Capability) -> None:
        """Make sure that the model can do something.

        Raises:
            DaedalError: it cannot.
        """
        if capability not in self.capabilities:
            raise DaedalError(
                f"{self._kind} cannot {VERBS[capability]}: it can {self._words()}", "Use a model that can"
            )

    def options(self, values: dict[str, Any], prompt: Prompts = None) -> ImageSampling:
        """How to draw; where a prompt is given, what it leaves open is as the family draws those best.

        Raises:
            DaedalError: there is no such option, its value makes no sense, or the family does not honour it.
        """
        how = ImageSampling.parse(values, "options")
        refused = sorted(name for name, value in how if value is not None and name not in self._options)
        if refused:
            takes = _listed(sorted(self._options)) if self._options else "no options"
            raise DaedalError(
                f"{self._kind} does not take {_listed(refused)}: it takes {takes}, and can {self._words()}",
                "Leave it out" if len(refused) == 1 else "Leave them out",
            )
        return how if prompt is None else self._prompted.but(**how.model_dump(exclude_none=True))

    def class_number(self, label: Label) -> int:
        """The number of a class, by name or number.

        Raises:
            DaedalError: the model knows no classes, or not this one.
        """
        if "class" not in self._declared:
            self.require("class")
        if not self.classes:
            raise DaedalError(
                f"There is no class {label}: {self.name} was trained without classes",
                "Leave it out, or train with --condition class",
            )
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        said = str(label)[:100]
        number = int(label) if said.isdecimal() and len(said) < 10 else -1
        if not 0 <= number < len(self.classes):
            near = difflib.get_close_matches(said, self.classes, n=1)
            more = len(self.classes) - _LISTED
            names = ", ".join(self.classes[:_LISTED]) + (f" and {more} more" if more > 0 else "")
            raise DaedalError(
                f"There is no class {said}. The classes are {names}",
                f"Did you mean {near[0]}?" if near else "Choose one of them",
            )
        return number

    def labels(self, label: Labels, prompt: Prompts, noise: Noise) -> Int[Tensor, "batch *window"] | None:
        """The class or caption of each example of the noise: as given, in turn by the example's number; or a class drawn from
        its own noise."""
        if label is None and prompt is None:
            return noise.integers("class", len(self.classes)) if self.classes else None
        return self.given_labels(label, noise, prompt)

    def given_labels(self, label: Labels, noise: Noise, prompt: Prompts = None) -> Int[Tensor, "batch *window"] | None:
        """The class or caption of each example of the noise, where one is given."""
        if prompt is not None:
            return self._prompts(prompt, noise)
        if label is None:
            return None
        given = [label] if isinstance(label, str | int) else list(label)
        if not given:
            raise DaedalError("No class is named", "Name at least one, or leave it out")
        numbers = [self.class_number(one) for one in given]
        examples = range(noise.first, noise.first + noise.count)
        return torch.tensor([numbers[i % len(numbers)] for i in examples], device=noise.device)

    def _prompts(self, prompt: str | Sequence[str], noise: Noise) -> Int[Tensor, "batch window"]:
        if "prompt" not in self._declared:
            self.require("prompt")
        if self.captions is None:
            raise DaedalError(
                f"{self.name} was trained without captions, and cannot draw what a text says",
                "Ask for a class" if self.classes else "Leave the prompt out, or train with --condition caption",
            )
        given = [prompt] if isinstance(prompt, str) else list(prompt)
        if not given or not all(tidy(one) for one in given):
            raise DaedalError("The prompt says nothing", "Say what to draw, or leave it out")
        if (longest := max(self.captions.lengths(given))) > (window := self.captions.window):
            strange = [word[:30] for one in given for word in self.captions.unknown(one)][:_LISTED]
            raise DaedalError(
                f"A prompt has {longest:,} tokens, and the model reads {window}",
                f"Leave out words that it never learned: {', '.join(strange)}" if strange else "Shorten it",
            )
        rows = self.captions.encode(given).to(noise.device)
        return rows[torch.arange(noise.first, noise.first + noise.count, device=noise.device) % len(rows)]

    def _words(self) -> str:
        return _listed([words for capability, words in VERBS.items() if capability in self.capabilities])


def _listed(words: Sequence[str]) -> str:
    """The words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "nothing"
