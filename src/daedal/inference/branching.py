"""Texts that begin alike as rows of tokens that branch, and the states of a GPT above them: what they share is read once.

Sorted texts are a tree; the tokens of a walk through it are a row, in which a token sees j where j stands before it and the
branch of j has not ended.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.models.gpt import GPT
from daedal.nn.attention import Frame
from daedal.nn.cache import KVCache

_LONGEST_ROW = 2048  # tokens of a tree; attention costs their square
_SHARED = 0.25  # of a text that it must share with the one before, to be a branch of its tree
_TRUNK = 48  # tokens before the first branch that are worth a pass of their own


class Tokens(NamedTuple):
    """A continuation and what it follows.

    Attributes:
        context: at least one id.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]


def alike(one: Sequence[int], other: Sequence[int], most: int) -> int:
    """How many tokens two texts begin with together, at most."""
    most = min(most, len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(place for place in range(most) if one[place] != other[place])


class Tree:
    """Texts that begin alike, as a row of tokens.

    Attributes:
        ids, positions: of its tokens, those before which are in a cache left out.
        ends: where the branch of each ends, 0 where it goes on to the end of the row.
        path: the places of the tokens of the last text.
        nodes, targets: where something is predicted, and what.
        owners: the numbers of texts, each with how many predictions it has.
    """

    def __init__(self, skipped: int) -> None:
        self.skipped = skipped
        self.ids: list[int] = []
        self.positions: list[int] = []
        self.ends: list[int] = []
        self.path: list[int] = []
        self.last: Sequence[int] = ()
        self.nodes: list[int] = []
        self.targets: list[int] = []
        self.owners: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def trunk(self) -> int:
        """Tokens before the first branch."""
        return next((place for place, end in enumerate(self.ends) if end), len(self.ids))

    def add(self, read: Sequence[int], shared: int, owner: int, first: int, continuation: Sequence[int]) -> None:
        """Add a text that begins like the last one, `shared` tokens after those left out."""
        count = len(self.ids)
        for node in self.path[shared:]:
            self.ends[node] = count
        new = read[self.skipped + shared :]
        self.ids += new
        self.positions += range(self.skipped + shared, self.skipped + shared + len(new))
        self.ends += [0] * len(new)
        self.path[shared:] = range(count, count + len(new))
        self.last = read
        self.nodes += self.path[first - self.skipped :]
        self.targets += continuation
        self.owners.append((owner, len(continuation)))


def trees_of(
    rows: Sequence[tuple[tuple[int, ...], int, int]], texts: Sequence[Tokens], skipped: int, branching: bool
) -> list[Tree]:
    """Neighbours that share enough, together."""
    trees: list[Tree] = []
    for read, owner, first in rows:
        shared = 0
        if branching and trees:
            tree = trees[-1]
            shared = alike(tree.last, read, len(read)) - skipped
            new = len(read) - skipped - shared
            if shared < _SHARED * (len(read) - skipped) or len(tree) + new > max(_LONGEST_ROW, len(read)):
                shared = 0
        if not shared:
            trees.append(Tree(skipped))
        trees[-1].add(read, shared, owner, first, texts[owner].continuation)
    return trees


def read_trees(
    model: GPT, trees: Sequence[Tree], prefix: KVCache | None
) -> tuple[Float[Tensor, "places width"], Int[np.ndarray, " predictions"]]:
    """States of the tokens of some trees, and the places of those that predict.

    Long trunks are read first, as plain causal attention costs half, and their branches on top of them.
    """
    device, rows = model.embedding.weight.device, len(trees)
    trunks = np.array([tree.trunk for tree in trees])
    past = 0 if prefix is None else prefix.length
    trunk = int(trunks.max())
    if trunks.min() < min(_TRUNK, trunk) and not all(tree.trunk == len(tree) for tree in trees):
        trunks[:], trunk = 0, 0
    more = max(len(tree) - int(first) for tree, first in zip(trees, trunks, strict=True))
    cache = None if past == 0 and (trunk == 0 or more == 0) else _repeated(model, prefix, rows, trunk + more)
    parts = []
    if trunk:
        ids = _padded([tree.ids[:first] for tree, first in zip(trees, trunks, strict=True)], trunk)
        parts.append(model.hidden(torch.from_numpy(ids).to(device), cache))
    if more:
        above = [slice(first, None) for first in trunks.tolist()]
        ids = _padded([tree.ids[some] for tree, some in zip(trees, above, strict=True)], more)
        positions = _padded([tree.positions[some] for tree, some in zip(trees, above, strict=True)], more)
        ends = [
            [(end or len(tree)) - first for end in tree.ends[first:]]
            for tree, first in zip(trees, trunks.tolist(), strict=True)
        ]
        before = torch.from_numpy(past + trunks).to(device)
        seen = _seen(torch.from_numpy(_padded(ends, more, more)).to(device), before, model)
        if cache is not None:
            cache.lengths = before.tolist()
        read, at = torch.from_numpy(ids).to(device), torch.from_numpy(positions).to(device)
        parts.append(_branching(model, read, at, seen, cache))
    wide = trunk + more
    places = []
    for row, (tree, first) in enumerate(zip(trees, trunks.tolist(), strict=True)):
        nodes = np.array(tree.nodes)
        places.append(row * wide + np.where(nodes < first, nodes, nodes - first + trunk))
    hidden = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    return hidden.flatten(0, 1), np.concatenate(places)


def _padded(rows: Sequence[Sequence[int]], wide: int, filler: int = 0) -> Int[np.ndarray, "rows wide"]:
    found = np.full((len(rows), wide), filler, dtype=np.int64)
    for row, values in enumerate(rows):
        found[row, : len(values)] = values
    return found


def _seen(ends: Int[Tensor, "batch time"], before: Int[Tensor, " batch"], model: GPT) -> Tensor:
    """What is added to the logits of attention: a token sees what stands before the branches of its row, and of these those
    before it that have not ended.

    Args:
        before: columns of each row that lie in the cache.
    """
    rows, time = ends.shape
    total = int(before.max()) + time
    places = torch.arange(time, device=ends.device)
    seen = (places <= places[:, None]) & (places[:, None] < ends[:, None, :])
    mask = torch.full((rows, time, total), float("-inf"), dtype=model.embedding.weight.dtype, device=ends.device)
    mask.masked_fill_(torch.arange(total, device=ends.device) < before[:, None, None], 0.0)
    columns = (before[:, None, None] + places).expand(rows, time, time)
    mask.scatter_(2, columns, torch.where(seen, 0.0, float("-inf")).to(mask.dtype))
    return mask[:, None]


def _repeated(model: GPT, prefix: KVCache | None, rows: int, more: int) -> KVCache:
    """A cache of many rows that begin alike, with room for more tokens."""
    length = 0 if prefix is None else prefix.length
    cache = model.new_cache(rows, length + more)
    if prefix is not None:
        for stored, known in zip((*cache.keys, *cache.values), (*prefix.keys, *prefix.values), strict=True):
            stored[:, :, :length] = known[:, :, :length]
        cache.lengths = [length] * rows
    return cache


def _branching(
    model: GPT,
    ids: Int[Tensor, "batch time"],
    positions: Int[Tensor, "batch time"],
    seen: Float[Tensor, "batch 1 time total"],
    cache: KVCache | None,
) -> Float[Tensor, "batch time width"]:
    """The states above rows that branch.

    Args:
        positions: of each token in its text.
        seen: 0 where a token sees another, those of the cache first; minus infinity elsewhere.
        cache: what stands before them; the rows are added to it.
    """
    x = model.embedding(ids)
    if model.positions is not None:
        x = x + model.positions(positions)
    turns = None if model.rotary is None else model.rotary.turns(positions, int(positions.max()) + 1)
    if model.embedding_norm is not None:
        x = model.embedding_norm(x)
    past = 0 if cache is None else cache.length
    frame = Frame(ids.shape[1], past, None, turns, cache, x.device, x.dtype, ids, x, seen=seen)
    out: Tensor = model.transformer(x, frame)
    return out
