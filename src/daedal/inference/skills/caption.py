"""What pictures show, in words, by a model that learned to say it; and so which of several fits a text best."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from daedal.inference.input_picture import AnyPicture
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.models.coded import TokenModel


class Caption(PictureSkill):
    """Captions of pictures, and how likely they are."""

    name = "caption"
    learned = TokenModel
    needs = ("caption",)
    verb = "say what a picture shows"
    _model: TokenModel

    def caption(
        self,
        pictures: Sequence[AnyPicture],
        *,
        seed: int = 0,
        temperature: float = 0.0,
        progress: Progress | None = None,
    ) -> list[str]:
        """What each picture shows, in words.

        Args:
            temperature: 0 takes the likeliest word each time; 1 draws them as the model finds them likely.
        """
        captions = self._conditions.captions
        assert captions is not None
        _, rows = self._of_each(
            pictures,
            lambda images, part, _: self._model.caption(images, part, temperature),
            progress=progress,
            seed=seed,
        )
        return [captions.decode(row) for row in rows]

    def caption_log_likelihood(self, text: str, pictures: Sequence[AnyPicture]) -> Float[Tensor, " pictures"]:
        """How likely the model would say a text of each picture, in nats."""
        words = self._texts([text])
        _, found = self._of_each(
            pictures,
            lambda images, part, _: self._model.caption_log_likelihood(images, words.expand(part.count, -1)),
        )
        return found

    def choose(self, text: str, pictures: Sequence[AnyPicture]) -> int:
        """The place of the picture of which the model would most likely say the text."""
        return int(self.caption_log_likelihood(text, pictures).argmax())
