"""How likely a model finds a text, or a picture."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.conditions import Chosen, Labels
from daedal.inference.input_picture import AnyPicture
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.inference.skills.write import TextSkill
from daedal.models.gpt import GPT
from daedal.models.image import ImageBatch, ImageSampling
from daedal.nn.noise import Noise


class TokenScore(Config):
    """Natural log-likelihood of one token of a text."""

    id: int
    text: str
    log_likelihood: float


class Score(Config):
    """How likely a text is. Likelihoods are in nats, their softmax taken in float64.

    Attributes:
        log_likelihood: of the whole text.
        bytes: of the text in UTF-8.
        loss: nats per token.
        perplexity: e to the loss.
        bits_per_byte: does not depend on the vocabulary, so models can be compared by it.
    """

    log_likelihood: float
    bytes: int
    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: tuple[TokenScore, ...]


class PictureScore(Config):
    """How likely a model finds a picture: exactly, or at least.

    Attributes:
        log_likelihood: in nats.
        bits_per_dimension: does not depend on the size of pictures.
    """

    log_likelihood: float
    bits_per_dimension: float


class ScoreTexts(TextSkill):
    """The likelihood of texts."""

    name = "score"
    needs = ("score",)
    verb = "score"

    def score(self, text: str, given: str = "") -> Score:
        """How likely the model finds `text`, after `given` or at the beginning of a document.

        Raises:
            DaedalError: the text is empty.
        """
        codec, target = self._codec, self._codec.encode(text)
        if not target:
            raise DaedalError("There is no text to score", "Give at least one character")
        known = self.read(given)
        likelihoods = log_likelihoods(self._model, [*known, *target], len(known)).tolist()
        total, size = math.fsum(likelihoods), len(text.encode("utf-8", "surrogatepass"))
        loss = -total / len(target)
        return Score(
            log_likelihood=total,
            bytes=size,
            loss=loss,
            perplexity=math.exp(min(loss, 700.0)),
            bits_per_byte=-total / math.log(2) / size,
            tokens=tuple(
                TokenScore(id=id, text=codec.token_bytes(id).decode("utf-8", "replace"), log_likelihood=value)
                for id, value in zip(target, likelihoods, strict=True)
            ),
        )


class ScorePictures(PictureSkill):
    """The likelihood of pictures, or a bound of it."""

    name = "score"
    needs = ("score",)
    verb = "score"

    def score(
        self,
        pictures: Sequence[AnyPicture],
        *,
        label: Labels = None,
        samples: int = 1,
        progress: Progress | None = None,
    ) -> list[PictureScore]:
        """How likely the model finds each picture.

        Args:
            samples: more make a bound tighter, where the likelihood is bounded.
        """

        def likelihood(images: Tensor, part: Noise, chosen: Chosen) -> Tensor:
            known, _, _ = self._model.condition(part.count, chosen, ImageSampling())
            return self._model.log_likelihood(ImageBatch(images, known, part), samples)

        _, found = self._of_each(pictures, likelihood, label, progress)
        bits = math.log(2) * math.prod(self._codec.shape)
        return [PictureScore(log_likelihood=nats, bits_per_dimension=-nats / bits) for nats in found.double().tolist()]


@torch.inference_mode()
def log_likelihoods(model: GPT, ids: list[int], first: int) -> Float64[Tensor, " targets"]:
    """Of each id from place `first` on, given those before it, in nats.

    What is longer than the context is read in windows; each token sees at least half a context before it.
    """
    context, device = model.config.context, model.embedding.weight.device
    given, parts = first, []
    while given < len(ids):
        begin = 0 if given < context else given - context // 2
        window = torch.tensor(ids[begin : begin + context + 1], device=device)
        hidden = model.hidden(window[None, :-1])[0, given - begin - 1 :]
        parts.append(model.judge(hidden, window[given - begin :])[0])
        given = begin + len(window)
    return torch.cat(parts)
