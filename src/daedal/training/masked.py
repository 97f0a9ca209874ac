"""A BERT over the documents of a data folder: it learns to fill in what is hidden of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.both_ways import begins_with, marked
from daedal.codecs.text import TextCodec
from daedal.data.passages import Passages
from daedal.errors import DaedalError
from daedal.models.bert import BERT
from daedal.models.checkpoint import load_model, resolve
from daedal.models.model import IGNORE, Model
from daedal.models.sequences import TargetBatch
from daedal.nn.noise import Noise
from daedal.training.masking import Masking
from daedal.training.row_plan import BERTPlan
from daedal.training.rows import RowLearner, Rows, RowTask, chosen_tokenizer

Array = np.ndarray
_MOST = 128  # tokens of a piece, unless a context is given
_JUDGED = 0.15  # of held-out tokens, that are hidden
_SAMPLE = 24  # tokens of the text in which a sample shows what is filled in


class MaskedRows(Rows):
    """Pieces of documents, of which some tokens are hidden."""

    def __init__(self, passages: Passages, codec: TextCodec, masking: Masking) -> None:
        self.passages, self.framing, self.masking = passages, codec.framing, masking
        self.lengths = passages.lengths + codec.framing.room

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> TargetBatch:
        return self.masking([self.framing.one(self.passages[int(index)]).ids for index in indexes], noise)


class MaskedTask(RowTask):
    """Trains a BERT; what counts are the tokens that are hidden."""

    unit = "hidden_tokens"
    model: BERT

    def judge(self, batch: TargetBatch) -> dict[str, torch.Tensor]:
        places = (batch.targets != IGNORE).nonzero()[:, 0]
        said = self.model.logits(batch.sequences, places).argmax(-1)
        return {"accuracy": (said == batch.targets[places]).sum()}

    def sample(self, seed: int, path: Any) -> str:
        """A held-out text with what was hidden of it, and what the model says was there."""
        row = np.array([int(np.abs(self.held.lengths - _SAMPLE).argmin())])
        batch = self.held.batch(row, Noise(seed, 0, 1)).to(next(self.model.parameters()).device)
        places = (batch.targets != IGNORE).nonzero()[:, 0]
        guesses = self.model.logits(batch.sequences, places).argmax(-1).tolist()
        shown = [self.codec.decode([id]) for id in batch.sequences.ids.tolist()]
        for place, guess in zip(places.tolist(), guesses, strict=True):
            true = int(batch.targets[place])
            said, was = (self.codec.decode([id]).strip() for id in (guess, true))
            shown[place] = f" [{said}]" if guess == true else f" [{said} (was: {was})]"
        return "".join(shown).strip()


class MaskedLearner(RowLearner):
    """A BERT and its text."""

    guarded = "masked"
    columns = ("text",)
    tasks = MaskedTask
    usual = _MOST

    def tokenizer(self) -> TextCodec:
        own: TextCodec = self.dataset.codec
        chosen = chosen_tokenizer(self.asked, marked(own))
        if self.asked.init is not None and not begins_with(chosen, own):
            raise DaedalError(
                f"The data was encoded with another tokenizer than that of {self.asked.init}",
                f"Build the data again with --tokenizer {self.asked.init}",
            )
        return chosen

    def begin_from(self, init: str) -> Model:
        model = load_model(resolve(init), dtype=torch.float32)
        if not isinstance(model, BERT):
            raise DaedalError(f"The model in {init} is a {model.family}, not a bert", "Start from another")
        return model

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return (
            self.longest_row(given) - self.codec.framing.room,
            given.get("hidden", BERTPlan.model_fields["hidden"].default),
            bool(given.get("whole_words")),
        )

    def make_rows(self, split: str, longest: int, hidden: float, words: bool) -> Rows:
        share = hidden if split == "train" else _JUDGED  # so that runs which hide other shares can be compared
        return MaskedRows(Passages(self.dataset.split(split), longest), self.codec, Masking(self.codec, share, words))
