"""What may stand where a text has a mask, by a BERT."""

from typing import ClassVar

import torch

from daedal.codecs.both_ways import HIDDEN
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.inference.skills.rows import RowSkill
from daedal.models.bert import BERT


class Filling(Config):
    """What may stand in the place of a mask.

    Attributes:
        id: of the token.
        token: as it is read.
        text: the text with it; other masks stay.
    """

    id: int
    token: str
    text: str
    probability: float


class Fill(RowSkill):
    """Fillings of masks."""

    name = "fill"
    learned: ClassVar[type[BERT]] = BERT
    needs = ("fill",)
    verb = "fill in what is hidden in a text"

    def fill(self, text: str, top: int = 5) -> list[list[Filling]]:
        """For each `[MASK]` of a text, in order, what may stand there, the likeliest first.

        Raises:
            DaedalError: the text has no mask, or is longer than the context; or `top` is less than 1.
        """
        codec, framing = self._codec, self._codec.framing
        if codec.mask_id is None:
            raise DaedalError("The model's tokenizer has no mask", "Use a model that learned to fill in")
        if top < 1:
            raise DaedalError(f"top is {top}: nothing is asked for", "Ask for at least 1")
        mask = codec.name(codec.mask_id)
        text = text.replace(HIDDEN, mask)
        row = framing.one(codec.encode(text, special=True))
        hidden = [place for place, id in enumerate(row.ids.tolist()) if id == codec.mask_id]
        if not hidden:
            raise DaedalError(f"The text has no {HIDDEN}", f"Put {HIDDEN} where something is to be filled in")
        if len(row.ids) > self._context:
            raise DaedalError(
                f"The text is {len(row.ids):,} tokens long, and the model reads {self._context:,}", "Shorten it"
            )
        places = torch.tensor(hidden, device=self._subject.device)
        (logits,) = self._read([row], lambda rows: self._model.logits(rows, places)[None])
        chances, ids = logits[:, : codec.vocab_size].double().softmax(-1).topk(min(top, codec.vocab_size))
        parts = text.split(mask)
        return [
            [
                self._filling(mask.join(parts[: number + 1]), mask.join(parts[number + 1 :]), id, chance)
                for id, chance in zip(ids[number].tolist(), chances[number].tolist(), strict=True)
            ]
            for number in range(len(hidden))
        ]

    def _filling(self, before: str, after: str, id: int, chance: float) -> Filling:
        codec, piece = self._codec, self._codec.piece(id)
        token = codec.name(id)
        if piece.startswith("##"):  # goes on with the word before it
            token = piece.removeprefix("##")
            before = before.rstrip()
        elif token[:1].isspace():
            before = before.rstrip()
        return Filling(id=id, token=token.strip() or token, text=before + token + after, probability=chance)
