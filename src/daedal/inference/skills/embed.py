"""A text as one vector: the mean over its tokens of the state above a GPT's last block, of length one.

No training for it: near vectors mean that the model is in near states, not that a person finds the texts alike.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.skills.write import TextSkill


class Embed(TextSkill):
    """Texts as vectors."""

    name = "embed"
    needs = ("complete",)

    @torch.inference_mode()
    def embed(
        self, texts: str | Sequence[str | Sequence[int]], dimensions: int | None = None
    ) -> Float[Tensor, "texts width"]:
        """The vectors of texts, or of their token ids, none empty and none longer than the context.

        Args:
            dimensions: keep only so many of the first numbers, and make the rest of length one again.

        Raises:
            DaedalError: there is no text, one is empty or longer than the context or has an id that the model does not know, or
                the model's states hold NaN or infinity.
        """
        given, context = [texts] if isinstance(texts, str) else texts, self._model.config.context
        read = [self.read(text) if isinstance(text, str) else self.known(text) for text in given]
        if not read or not all(0 < len(text) <= context for text in read):
            raise DaedalError("There is no text, or one is empty or too long", f"Give texts of 1 to {context:,} tokens")
        if dimensions is not None and dimensions < 1:
            raise DaedalError(f"dimensions is {dimensions}: nothing is left of a vector", "Ask for at least 1")
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
