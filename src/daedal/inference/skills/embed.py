"""A text as one vector of length one, and how alike texts are by them: by an embedder, which learned it from pairs of texts; by
a BERT or a GPT as the mean over its tokens of the state above the last block.

Those have no training for it: near vectors mean that the model is in near states, not that a person finds the texts alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.skills.rows import RowSkill, known_ids
from daedal.inference.skills.write import TextSkill
from daedal.models.embedder import Embedder
from daedal.models.sequences import Sequences

Texts = str | Sequence[str | Sequence[int]]


class Ranked(Config):
    """A document among others: its place among those given, and its cosine similarity to what was asked."""

    place: int
    score: float


class Vectors(ABC):
    """What vectors of texts are good for."""

    @abstractmethod
    def embed(self, texts: Texts, dimensions: int | None = None) -> Float[Tensor, "texts width"]:
        """The vectors of texts."""

    def similarity(self, one: Texts, other: Texts) -> Float[Tensor, "one other"]:
        """Cosine similarities of texts, from -1 to 1."""
        return self.embed(one) @ self.embed(other).mT

    def rerank(self, query: str, documents: Sequence[str]) -> list[Ranked]:
        """Documents, the most like a query first."""
        scores = self.similarity(query, documents)[0].tolist()
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return [Ranked(place=place, score=scores[place]) for place in order]


class EmbedRows(Vectors, RowSkill):
    """Texts as vectors, by a model that reads both ways."""

    name = "embed"
    needs = ("embed",)
    verb = "embed texts"

    def embed(self, texts: Texts, dimensions: int | None = None) -> Float[Tensor, "texts width"]:
        """The vectors of texts, or of their token ids; see `Embed.embed`."""
        given = [texts] if isinstance(texts, str) else texts
        room = self._context - self._codec.framing.room
        size = self._model.config.vocab_size
        read = [self._codec.encode(text) if isinstance(text, str) else known_ids(text, size) for text in given]
        _require(read, room, dimensions)
        rows = [self._codec.framing.one(ids) for ids in read]
        return F.normalize(torch.stack(self._read(rows, self._vectors))[:, :dimensions], dim=-1)

    def _vectors(self, sequences: Sequences) -> Float[Tensor, "rows width"]:
        if isinstance(self._model, Embedder):
            found: Tensor = self._model(sequences)
            return found
        return sequences.packing.mean(self._model.encoder(sequences).float())


class Embed(Vectors, TextSkill):
    """Texts as vectors, by a model that reads one way."""

    name = "embed"
    needs = ("complete",)

    @torch.inference_mode()
    def embed(self, texts: Texts, dimensions: int | None = None) -> Float[Tensor, "texts width"]:
        """The vectors of texts, or of their token ids, none empty and none longer than the context.

        Args:
            dimensions: keep only so many of the first numbers, and make the rest of length one again.

        Raises:
            DaedalError: there is no text, one is empty or longer than the context or has an id that the model does not know, or
                the model's states hold NaN or infinity.
        """
        given, context = [texts] if isinstance(texts, str) else texts, self._model.config.context
        read = [self.read(text) if isinstance(text, str) else self.known(text) for text in given]
        _require(read, context, dimensions)
        lengths = torch.tensor([len(text) for text in read], device=self._subject.device)
        longest = int(lengths.max())
        # A causal model does not see what stands behind a text, so a shorter one is filled up there
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in read], device=lengths.device)
        real = torch.arange(longest, device=lengths.device) < lengths[:, None]
        mean = (self._model.hidden(ids).float() * real[..., None]).sum(1) / lengths[:, None]
        if not bool(mean.isfinite().all()):
            raise DaedalError(
                "The model's states are not finite numbers (NaN or infinity)",
                "Its weights are damaged or its training diverged: use an earlier checkpoint",
            )
        return F.normalize(mean[:, :dimensions], dim=-1)


def _require(read: Sequence[Sequence[int]], longest: int, dimensions: int | None) -> None:
    if not read or not all(0 < len(text) <= longest for text in read):
        raise DaedalError("There is no text, or one is empty or too long", f"Give texts of 1 to {longest:,} tokens")
    if dimensions is not None and dimensions < 1:
        raise DaedalError(f"dimensions is {dimensions}: nothing is left of a vector", "Ask for at least 1")
