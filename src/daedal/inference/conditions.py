"""What the pictures or clips of a model can be asked to show: a class by name or number, or what a text says."""

import difflib
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CaptionCodec, tidy
from daedal.errors import DaedalError
from daedal.models.film_model import FilmModel
from daedal.models.image import ImageModel
from daedal.models.model import Model
from daedal.models.soundgpt import SoundModel
from daedal.nn.noise import Noise

Label = str | int
Labels = Label | Sequence[Label] | None
"""A class by name or number, or several that are taken in turn."""
Prompts = str | Sequence[str] | None
"""What to draw, in words, or several that are taken in turn."""
Chosen = Int[Tensor, "batch *window"] | None
"""The class of each picture of a batch, or the ids of its caption."""
_LISTED = 20


class Conditions:
    """The classes and captions that a model was trained with.

    Args:
        name: that the model was opened by.
        classes: the names of its labels; empty where it was trained without.
        captions: the codec of its captions; None where it was trained without.
    """

    def __init__(
        self, model: Model, name: str, classes: Sequence[str] = (), captions: CaptionCodec | None = None
    ) -> None:
        known = (
            model.config
            if isinstance(model, ImageModel)
            else model.layout
            if isinstance(model, FilmModel | SoundModel)
            else None
        )
        count, words, window = (known.classes, known.words, known.window) if known else (0, 0, 0)
        if words and (captions is None or (captions.vocab_size, captions.window) != (words, window)):
            raise DaedalError(f"{name} draws what captions say, and their codec is missing or another", "Restore it")
        if classes and count and len(classes) != count:
            raise DaedalError(f"{len(classes)} classes are named and the model knows {count}", "Name each of them")
        self.captions = captions if words else None
        self.classes: tuple[str, ...] = (tuple(classes) or tuple(str(i) for i in range(count))) if count else ()
        self._name, self._films = name, isinstance(model, FilmModel)

    def drawn(self, label: Labels, prompt: Prompts, noise: Noise) -> Chosen:
        """As `asked`; where neither is given, a class drawn from each example's own noise."""
        if label is None and prompt is None:
            return noise.integers("class", len(self.classes)) if self.classes else None
        return self.asked(label, prompt, noise)

    def asked(self, label: Labels, prompt: Prompts, noise: Noise) -> Chosen:
        """The class or caption of each example of the noise, where one is given: in turn by the example's number.

        Raises:
            DaedalError: the model knows no such class, or no captions, or the prompt says nothing or is too long.
        """
        if prompt is not None:
            return self._prompts([prompt] if isinstance(prompt, str) else list(prompt), noise)
        if label is None:
            return None
        given = [label] if isinstance(label, str | int) else list(label)
        if not given:
            raise DaedalError("No class is named", "Name at least one, or leave it out")
        numbers = [self._class_number(one) for one in given]
        examples = range(noise.first, noise.first + noise.count)
        return torch.tensor([numbers[i % len(numbers)] for i in examples], device=noise.device)

    def said(self, label: Int[Tensor, "*window"]) -> str | None:
        """The class or caption of a picture, as a person says it."""
        if self.captions is not None:
            return self.captions.decode(label) or None
        return self.classes[int(label)] if label >= 0 else None

    def _training(self, condition: str) -> str:
        """How a model is trained that knows classes, or captions."""
        if self._films:
            return (
                "train on clips with captions"
                if condition == "caption"
                else "train on clips with classes and no captions"
            )
        return f"train with --condition {condition}"

    def _class_number(self, label: Label) -> int:
        if not self.classes:
            raise DaedalError(
                f"There is no class {str(label)[:100]}: {self._name} was trained without classes",
                f"Leave it out, or {self._training('class')}",
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

    def _prompts(self, given: Sequence[str], noise: Noise) -> Int[Tensor, "batch window"]:
        if self.captions is None:
            raise DaedalError(
                f"{self._name} was trained without captions, and cannot {'film' if self._films else 'draw'} what a text says",
                "Ask for a class" if self.classes else f"Leave the prompt out, or {self._training('caption')}",
            )
        if not given or not all(tidy(one) for one in given):
            raise DaedalError(
                "The prompt says nothing", f"Say what to {'film' if self._films else 'draw'}, or leave it out"
            )
        if (longest := max(self.captions.lengths(given))) > (window := self.captions.window):
            strange = [word[:30] for one in given for word in self.captions.unknown(one)][:_LISTED]
            raise DaedalError(
                f"A prompt has {longest:,} tokens, and the model reads {window}",
                f"Leave out words that it never learned: {', '.join(strange)}" if strange else "Shorten it",
            )
        rows = self.captions.encode(given).to(noise.device)
        return rows[torch.arange(noise.first, noise.first + noise.count, device=noise.device) % len(rows)]


def listed(words: Sequence[str]) -> str:
    """The words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "nothing"
