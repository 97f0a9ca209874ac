"""SASRec's recipe as it was published, in plain PyTorch: the peer of `recommend.py`.

From the paper (Kang and McAuley 2018, arXiv:1808.09781, sections III, IV-D): a learned place for each item of a history,
`blocks` blocks of one causal attention head and a pointwise network of `hidden` features, each behind a layer norm with its
input added back and dropout; a last norm; one table of items, read and told. Binary cross-entropy of the next item against
one drawn item that the person did not have, at each place; Adam at 0.001, batches of 128 people, each seen by the last
`maxlen` items. With `loss="ce"`, the cross-entropy over all items instead, which is known since to be better (Klenitskiy and
Vasilev 2023, arXiv:2309.07602).
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SASRec(nn.Module):
    """The network; item 0 fills up histories at their left."""

    def __init__(self, items: int, maxlen: int, hidden: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(items, hidden, padding_idx=0)
        self.places = nn.Embedding(maxlen, hidden)
        self.drop = nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden, eps=1e-8) for _ in range(2 * blocks + 1))
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(hidden, 1, dropout, batch_first=True) for _ in range(blocks)
        )
        self.network = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden),
                nn.Dropout(dropout),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.Dropout(dropout),
            )
            for _ in range(blocks)
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_normal_(parameter)
        with torch.no_grad():
            self.items.weight[0] = 0

    def forward(self, rows: Tensor) -> Tensor:
        """The state after each place."""
        empty = (rows == 0)[..., None]
        x = self.items(rows) * self.items.embedding_dim**0.5 + self.places.weight
        x = self.drop(x).masked_fill(empty, 0)
        later = torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool).triu(1)
        for block, (attention, network) in enumerate(zip(self.attention, self.network, strict=True)):
            query = self.norms[2 * block](x)
            x = query + attention(query, x, x, attn_mask=later, need_weights=False)[0]
            inner = self.norms[2 * block + 1](x)
            x = (inner + network(inner)).masked_fill(empty, 0)
        found: Tensor = self.norms[-1](x)
        return found


class TrainedSASRec:
    """SASRec, trained for so many seconds of processor time; the state that was best on validation is kept.

    Args:
        histories: ids of items from `first` on.
        validation: pairs of a history and what followed.
        gain: of scores `[pairs, vocab]` of these, what is to be high.
    """

    def __init__(
        self, histories: Sequence[Any], vocab: int, seconds: float, validation: Any, gain: Any, *, loss: str = "bce",
        maxlen: int = 200, hidden: int = 50, blocks: int = 2, dropout: float = 0.2, seed: int = 0, looks: int = 20,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        generator = np.random.default_rng(seed)
        self.maxlen, self.model = maxlen, SASRec(vocab, maxlen, hidden, blocks, dropout)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, betas=(0.9, 0.98))
        learned = [each for each in histories if len(each) > 1]
        had = [set(each.tolist()) for each in learned]
        began, paused, best, self.steps = time.process_time(), 0.0, -1.0, 0
        self.told: list[float] = []
        while (spent := time.process_time() - began - paused) < seconds:
            self._step(learned, had, vocab, loss, optimizer, generator)
            if spent >= seconds * len(self.told) / looks:
                looking = time.process_time()
                self.told.append(gain(self.scores([history for history, _ in validation])))
                if self.told[-1] > best:
                    best = self.told[-1]
                    kept = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
                paused += time.process_time() - looking
        self.model.load_state_dict(kept)

    def _step(self, learned: Any, had: Any, vocab: int, loss: str, optimizer: Any, generator: Any) -> None:
        chosen = generator.choice(len(learned), min(128, len(learned)), replace=False)
        rows = torch.from_numpy(self._filled([learned[at][:-1] for at in chosen]))
        follows = torch.from_numpy(self._filled([learned[at][1:] for at in chosen]))
        known, table = follows != 0, self.model.items.weight
        states = self.model(rows)[known]
        if loss == "bce":
            others = self._others(follows.numpy(), [had[at] for at in chosen], vocab, generator)
            right = (states * table[follows[known]]).sum(-1)
            wrong = (states * table[torch.from_numpy(others)[known]]).sum(-1)
            total = F.softplus(-right).mean() + F.softplus(wrong).mean()
        else:
            total = F.cross_entropy(states @ table.T, follows[known])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        self.steps += 1

    def _filled(self, histories: Sequence[Any]) -> Any:
        rows = np.zeros((len(histories), self.maxlen), dtype=np.int64)
        for row, history in zip(rows, histories, strict=True):
            if len(last := history[-self.maxlen :]):
                row[-len(last) :] = last
        return rows

    @staticmethod
    def _others(follows: Any, had: Sequence[set[int]], vocab: int, generator: np.random.Generator) -> Any:
        """An item for each place that the person did not have."""
        drawn = generator.integers(2, vocab, follows.shape)
        for row, own in zip(drawn, had, strict=True):
            for at in range(len(row)):
                while int(row[at]) in own:
                    row[at] = generator.integers(2, vocab)
        return drawn

    @torch.no_grad()
    def scores(self, histories: Sequence[Any]) -> Any:
        """Of all items after each history."""
        self.model.eval()
        found = [
            self.model(torch.from_numpy(self._filled(histories[first : first + 128])))[:, -1]
            @ self.model.items.weight.T
            for first in range(0, len(histories), 128)
        ]
        self.model.train()
        return torch.cat(found).double().numpy()
