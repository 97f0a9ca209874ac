"""Texts as a model that reads both ways has them: cut into passages that fit its context, of which tokens are hidden."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.sequences import Sequences

Array = np.ndarray
_BATCH_TOKENS = 4096
_LOGITS = 2**22


class Hidden(NamedTuple):
    """Tokens of a passage that are hidden together, by their places in it."""

    passage: int
    places: Int[Array, " hidden"]


@dataclass(frozen=True)
class Judged:
    """What a model said of tokens that were hidden.

    Attributes:
        nats: of each.
        ranks: its place among all tokens, from 1, behind those that are as likely.
    """

    nats: Float64[Array, " hidden"]
    ranks: Int[Array, " hidden"]


@dataclass(frozen=True)
class MaskedText:
    """Texts cut into passages.

    Attributes:
        ids: of all passages, end to end.
        borders: where each begins, and last where all end.
        document: of which text each passage is.
        bytes: of all texts, in UTF-8.
    """

    name: str
    codec: TextCodec
    ids: Int[Array, " tokens"]
    borders: Int[Array, " passages_and_one"]
    document: Int[Array, " passages"]
    bytes: int
    fingerprint: str

    @classmethod
    def of_texts(cls, texts: Sequence[str], codec: TextCodec, context: int, name: str) -> Self:
        """Texts of which no passage is longer than the context, with what stands around it.

        Raises:
            DaedalError: there is no text, or nothing hides a token.
        """
        if codec.mask_id is None:
            raise DaedalError("The tokenizer has no token that hides another", "Use one whose mask_token is named")
        room = context - codec.framing.room
        rows, document = list[Int[Array, " tokens"]](), list[int]()
        digest, size = hashlib.sha256(), 0
        for number, (text, ids) in enumerate(zip(texts, codec.encode_batch(texts), strict=True)):
            written = text.encode("utf-8", "replace")
            digest.update(len(written).to_bytes(8, "little") + written)
            size += len(written)
            if ids:  # pieces of a long text are about equally long, as those that a model learns from
                rows += np.array_split(np.array(ids, dtype=np.int64), -(-len(ids) // room))
                document += [number] * (len(rows) - len(document))
        if not rows:
            raise DaedalError(f"{name} holds no text", "Give a file with some text in it")
        borders = np.cumsum([0, *map(len, rows)])
        return cls(name, codec, np.concatenate(rows), borders, np.array(document), size, digest.hexdigest())

    def __len__(self) -> int:
        return len(self.document)

    def __getitem__(self, passage: int) -> Int[Array, " tokens"]:
        return self.ids[self.borders[passage] : self.borders[passage + 1]]

    @property
    def lengths(self) -> Int[Array, " passages"]:
        found: Int[Array, " passages"] = np.diff(self.borders)
        return found

    @cached_property
    def free(self) -> Bool[Array, " tokens"]:
        """Which tokens may be hidden: those that stand for text, and not for what the vocabulary lacks."""
        special = np.zeros(self.codec.vocab_size, dtype=bool)
        special[sorted(self.codec.special_ids)] = True
        found: Bool[Array, " tokens"] = ~special[self.ids]
        return found

    @property
    def pieces(self) -> tuple[str, Int[Array, " passages"]]:
        """What intervals rest on, and which of these each passage is of: the texts, or of a few the passages themselves."""
        many = len(np.unique(self.document)) > 3
        return ("documents", self.document) if many else ("passages", np.arange(len(self)))

    def at(self, token: int) -> tuple[int, int]:
        """The passage of a token, counted through all of them, and its place in it."""
        passage = int(np.searchsorted(self.borders, token, side="right")) - 1
        return passage, token - int(self.borders[passage])


@torch.inference_mode()
def judge(model: Any, passages: MaskedText, hidden: Sequence[Hidden], progress: Any = None) -> Judged:
    """What a masked language model says of hidden tokens, those of all `hidden` in order. The softmax is taken in float64.

    Args:
        progress: told how much of it is done.

    Raises:
        DaedalError: its predictions are not numbers.
    """
    lengths = passages.lengths
    starts = np.cumsum([0, *(len(each.places) for each in hidden)])
    nats, ranks = np.zeros(starts[-1]), np.zeros(starts[-1], dtype=np.int64)
    done, total = 0, max(1, len(hidden))
    for batch in _batches([int(lengths[each.passage]) for each in hidden]):
        chosen = [hidden[at] for at in batch]
        found = _judge(model, passages, chosen)
        target = np.concatenate([np.arange(starts[at], starts[at + 1]) for at in batch])
        nats[target], ranks[target] = found.nats, found.ranks
        done += len(batch)
        if progress is not None:
            progress(done / total)
    if not np.isfinite(nats).all():
        raise DaedalError(
            "The model's predictions are not finite numbers",
            "Its training diverged or its weights are damaged: use an earlier checkpoint",
        )
    return Judged(nats, ranks)


def logits_of(model: Any, passages: MaskedText, hidden: Sequence[Hidden]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of each hidden token, and which token it is."""
    framing, rows, types, places, start = passages.codec.framing, [], [], [], 0
    truth = []
    for passage, hides in hidden:
        framed = framing.one(passages[passage])
        ids = framed.ids.copy()
        truth.append(ids[framed.first + hides])
        ids[framed.first + hides] = passages.codec.mask_id
        rows.append(ids)
        types.append(framed.types)
        places.append(start + framed.first + hides)
        start += len(ids)
    device = next(model.parameters()).device
    sequences = Sequences.of(rows, types if getattr(model.config, "types", 0) > 1 else None).to(device)
    asked = torch.from_numpy(np.concatenate(places)).to(device)
    return model.logits(sequences, asked), torch.from_numpy(np.concatenate(truth)).to(device)


def _judge(model: Any, passages: MaskedText, hidden: Sequence[Hidden]) -> Judged:
    logits, truth = logits_of(model, passages, hidden)
    nats, ranks = [], []
    rows = max(1, _LOGITS // logits.shape[1])
    for first in range(0, len(truth), rows):
        part, of = logits[first : first + rows].double(), truth[first : first + rows, None]
        own = part.gather(1, of)
        nats.append(part.logsumexp(1) - own[:, 0])
        ranks.append((part >= own).sum(1))
    return Judged(torch.cat(nats).cpu().numpy(), torch.cat(ranks).cpu().numpy())


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of about one length together, at most so many tokens at once, or one row."""
    order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], at))
    first = 0
    while first < len(order):
        count = max(1, _BATCH_TOKENS // max(1, lengths[order[first]]))
        yield order[first : first + count]
        first += count
