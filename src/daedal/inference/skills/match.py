"""A CLIP and its codecs together: how well texts fit pictures, naming without training, ranking, choosing among drawings."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.caption import tidy
from daedal.errors import DaedalError
from daedal.inference.input_picture import AnyPicture
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.models.clip import CLIP

Pictures = Sequence[AnyPicture]


class Ranked(NamedTuple):
    """A picture among others: its place among those given, and its cosine similarity to the text."""

    place: int
    similarity: float


class Match(PictureSkill):
    """Tells which texts fit which pictures."""

    name = "match"
    learned = CLIP
    needs = ("match",)
    verb = "match pictures and texts"
    _model: CLIP

    def embed_pictures(
        self, pictures: Pictures, *, progress: Progress | None = None
    ) -> Float[Tensor, "pictures embedding"]:
        """The directions of pictures, each of length 1."""
        return self._of_each(pictures, lambda images, *_: self._model.embed_pictures(images), progress=progress)[1]

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "texts embedding"]:
        """The directions of texts, each of length 1. `captions.unknown` tells words that the model never saw."""
        ids = self._texts(texts)
        return torch.cat(list(self._in_batches(
            self._noise(0, 0, len(ids)), ids, None, lambda _, chosen: self._model.embed_texts(chosen)  # type: ignore[arg-type]
        )))  # fmt: skip

    def similarity(self, pictures: Pictures, texts: Sequence[str]) -> Float[Tensor, "pictures texts"]:
        """Cosine similarities, from -1 to 1."""
        said = self.embed_texts(texts)
        return self.embed_pictures(pictures) @ said.mT

    def probabilities(self, pictures: Pictures, texts: Sequence[str]) -> Float[Tensor, "pictures texts"]:
        """For each picture, how likely each text is if one of them is right."""
        return (self.similarity(pictures, texts) / self._model.temperature.detach()).softmax(1)

    def classify(self, pictures: Pictures, labels: Sequence[str], template: str = "{}") -> list[dict[str, float]]:
        """For each picture the probabilities of the labels, the likeliest first: naming without training on the names.

        Args:
            template: the caption that a label becomes, such as "a {}".

        Raises:
            DaedalError: there is no label, two are equal, the template has no place for one, or as `similarity`.
        """
        if "{}" not in template:
            raise DaedalError(f"The template {template!r} has no place for a label", "Put {} where it belongs")
        known: set[str] = set()
        for label in labels:
            if tidy(label) in known:
                raise DaedalError(
                    f"The text {label!r} is given twice", "Give each once: equal ones would share its chance"
                )
            known.add(tidy(label))
        found = self.probabilities(pictures, [template.replace("{}", label) for label in labels])
        return [
            dict(sorted(zip(labels, row, strict=True), key=lambda entry: -entry[1])) for row in found.double().tolist()
        ]

    def rank(self, text: str, pictures: Pictures) -> list[Ranked]:
        """The pictures, the nearest to the text first."""
        near = self.similarity(pictures, [text])[:, 0].double().tolist()
        return sorted((Ranked(*entry) for entry in enumerate(near)), key=lambda entry: -entry.similarity)

    def choose(self, text: str, pictures: Pictures) -> int:
        """The place of the picture that is nearest to the text."""
        return self.rank(text, pictures)[0].place
