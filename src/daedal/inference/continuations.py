"""How likely texts are after others, under a GPT of our own: what multiple choice, minimal pairs and perplexities rest on.

- what is context and what is continuation in tokens is lm-eval's rule (`_encode_pair`): spaces that end a context begin the
  continuation, and the continuation is what is left of the tokens of both after as many as the context has
- texts that begin alike are read once: sorted, they are a tree (the few-shot examples, then the question, then each of its
  choices), whose branches are rows of tokens in the order of a walk through it, so that a token sees j where j stands before
  it and its branch has not ended; what all begin with is read into a cache
- rows of about one length together; logits only where something is predicted; the softmax in float64
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.gpt import GPT
from daedal.nn.cache import KVCache

_BATCH_TOKENS = {"cpu": 2048, "cuda": 2**15}  # what a CPU reads stays in its cache
_LONGEST_ROW = 2048  # tokens of a tree; attention costs their square
_SHARED = 0.25  # of a text that it must share with the one before, to be a branch of its tree
_TRUNK = 48  # tokens before the first branch that are worth a pass of their own
_WORTH = 16  # tokens that all begin with, which are worth a cache
_LOGITS = 2**17  # at once: 1 MiB of float64


class Tokens(NamedTuple):
    """A continuation and what it follows.

    Attributes:
        context: at least one id.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]


class Found(NamedTuple):
    """The log-likelihood of a continuation in nats, whether greedy decoding would give it, and how many tokens it has."""

    nats: float
    greedy: bool
    tokens: int


def likelihoods(
    model: GPT, codec: TextCodec, pairs: Sequence[tuple[str | Sequence[int], str]]
) -> Iterator[tuple[int, Found]]:
    """Of each second text after the first, with its place, as they are ready.

    What does not fit the context is cut from the left.

    Args:
        pairs: a context is a text, in which names of special tokens are plain text, or the ids of its tokens.

    Raises:
        DaedalError: a continuation is longer than the context, or the model's predictions are no numbers.
    """
    return score(model, encode_pairs(codec, pairs))


def rolling(model: GPT, codec: TextCodec, texts: Sequence[str]) -> Iterator[tuple[int, Found]]:
    """Of whole texts from their beginning, with their places: in windows of the model's context that do not overlap but for one
    token, as lm-eval has them.

    Raises:
        DaedalError: as `likelihoods`.
    """
    windows: list[Tokens] = []
    owners: list[int] = []
    for place, text in enumerate(texts):
        own = _windows([*codec.prefix_ids, *codec.encode(text)], _prefix(codec), model.config.context)
        windows += own
        owners += [place] * len(own)
    left = np.bincount(np.array(owners, dtype=np.int64), minlength=len(texts))
    sums = [Found(0.0, True, 0)] * len(texts)
    yield from ((place, sums[place]) for place in np.flatnonzero(left == 0).tolist())
    for number, found in score(model, windows):
        place = owners[number]
        before = sums[place]
        sums[place] = Found(before.nats + found.nats, before.greedy and found.greedy, before.tokens + found.tokens)
        left[place] -= 1
        if left[place] == 0:
            yield place, sums[place]


def encode_pairs(codec: TextCodec, pairs: Sequence[tuple[str | Sequence[int], str]]) -> list[Tokens]:
    """The tokens of contexts and continuations."""
    first = list(codec.prefix_ids)
    moved = []
    for context, continuation in pairs:
        kept = context.rstrip() if isinstance(context, str) else context
        moved.append((kept, continuation if kept is context else context[len(kept) :] + continuation))  # type: ignore[operator]
    contexts = {context for context, _ in moved if isinstance(context, str) and context}
    wanted = list(dict.fromkeys([*contexts, *(_whole(context, continuation) for context, continuation in moved)]))
    ids = dict(zip(wanted, codec.encode_batch(wanted), strict=True))
    found = []
    for context, continuation in moved:
        whole = ids[_whole(context, continuation)]
        if not isinstance(context, str):
            found.append(Tokens(tuple(context), tuple(whole)))
        elif context:
            known = [*first, *ids[context]]
            found.append(Tokens(tuple(known), tuple([*first, *whole][len(known) :])))
        else:
            prefix = _prefix(codec)
            cut = whole[1:] if whole[:1] == [prefix] else whole
            found.append(Tokens((prefix,), tuple(cut)))
    return found


def _whole(context: str | Sequence[int], continuation: str) -> str:
    """What is encoded for a continuation."""
    return context + continuation if isinstance(context, str) else continuation


def _prefix(codec: TextCodec) -> int:
    """What stands before a text that nothing stands before."""
    found = codec.eos_id if codec.bos_id is None else codec.bos_id
    if found is None:
        raise DaedalError("The codec has no token that begins or ends a text", "Use a tokenizer that names one")
    return found


def _windows(ids: Sequence[int], prefix: int, context: int) -> list[Tokens]:
    """A text in windows: each predicts what the one before has not, after as much as there is room for, one token at least."""
    found = []
    for start in range(0, len(ids), context):
        stop = min(len(ids), start + context)
        before = max(0, stop - context - 1) if start else 0
        known = ids[before:start] if start else [prefix]
        found.append(Tokens(tuple(known), tuple(ids[start:stop])))
    return found


@torch.inference_mode()
def score(model: GPT, texts: Sequence[Tokens]) -> Iterator[tuple[int, Found]]:
    """Of each continuation, with its place, as they are ready.

    Raises:
        DaedalError: as `likelihoods`.
    """
    context = model.config.context
    longest = max((len(each.continuation) for each in texts), default=0)
    if longest > context:
        raise DaedalError(
            f"A continuation of {longest:,} tokens exceeds the context of {context:,}",
            "Use a model with a longer context",
        )
    rows: list[
        tuple[tuple[int, ...], int, int]
    ] = []  # what is read, which text it is, and the first place that predicts
    for place, (before, continuation) in enumerate(texts):
        if not continuation:
            yield place, Found(0.0, True, 0)
            continue
        read = (before + continuation[:-1])[-context:]
        rows.append((read, place, len(read) - len(continuation)))
    if not rows:
        return
    rows.sort()
    branching = model.config.sliding_window is None and model.config.grid is None
    common = _common(rows) if branching and len(rows) > 1 else 0
    prefix = _read(model, rows[0][0][:common]) if common >= _WORTH else None
    common = common if prefix is not None else 0
    trees = _trees(rows, texts, common, branching)
    device = model.embedding.weight.device
    for batch in _batches(trees, _BATCH_TOKENS.get(device.type, 2**13)):
        yield from _score(model, batch, texts, prefix)


def _common(rows: Sequence[tuple[tuple[int, ...], int, int]]) -> int:
    """Tokens that all begin with, before the first place of any that predicts. Rows are sorted."""
    return _alike(rows[0][0], rows[-1][0], min(first for _, _, first in rows))


def _alike(one: Sequence[int], other: Sequence[int], most: int) -> int:
    """How many tokens two texts begin with together, at most."""
    most = min(most, len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(place for place in range(most) if one[place] != other[place])


def _read(model: GPT, ids: Sequence[int]) -> KVCache:
    """A cache of what all texts begin with."""
    cache = model.new_cache(1, len(ids))
    model.hidden(torch.tensor([ids], device=cache.keys[0].device), cache)
    return cache


class _Tree:
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


def _trees(
    rows: Sequence[tuple[tuple[int, ...], int, int]], texts: Sequence[Tokens], skipped: int, branching: bool
) -> list[_Tree]:
    """Neighbours that share enough, together."""
    trees: list[_Tree] = []
    for read, owner, first in rows:
        shared = 0
        if branching and trees:
            tree = trees[-1]
            shared = _alike(tree.last, read, len(read)) - skipped
            new = len(read) - skipped - shared
            if shared < _SHARED * (len(read) - skipped) or len(tree) + new > max(_LONGEST_ROW, len(read)):
                shared = 0
        if not shared:
            trees.append(_Tree(skipped))
        trees[-1].add(read, shared, owner, first, texts[owner].continuation)
    return trees


def _batches(trees: list[_Tree], tokens: int) -> Iterator[list[_Tree]]:
    """Trees of about one length, the longest first."""
    trees = sorted(trees, key=lambda tree: -len(tree))
    first = 0
    while first < len(trees):
        count = max(1, tokens // max(1, len(trees[first])))
        yield trees[first : first + count]
        first += count


def _score(
    model: GPT, trees: Sequence[_Tree], texts: Sequence[Tokens], prefix: KVCache | None
) -> Iterator[tuple[int, Found]]:
    hidden, nodes = _read_trees(model, trees, prefix)
    targets = np.concatenate([np.array(tree.targets) for tree in trees])
    nats, greedy = _judge(model, hidden, nodes, targets)
    if not np.isfinite(nats).all():
        raise DaedalError(
            "The model's predictions are not finite numbers",
            "Its training diverged or its weights are damaged: use an earlier checkpoint",
        )
    owners = [owner for tree in trees for owner in tree.owners]
    starts = np.cumsum([0, *(count for _, count in owners)])[:-1]
    sums, all_greedy = np.add.reduceat(nats, starts), np.logical_and.reduceat(greedy, starts)
    for (owner, count), total, likeliest in zip(owners, sums.tolist(), all_greedy.tolist(), strict=True):
        yield owner, Found(total, likeliest, count)


def _read_trees(
    model: GPT, trees: Sequence[_Tree], prefix: KVCache | None
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
        parts.append(model.branching(read, at, seen, cache))
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


def _judge(
    model: GPT, states: Tensor, nodes: Int[np.ndarray, " predictions"], targets: Int[np.ndarray, " predictions"]
) -> tuple[Float64[np.ndarray, " predictions"], np.ndarray]:
    """Nats of each prediction, and whether nothing is likelier. Logits of a place are computed once, whatever follows it."""
    places, which = np.unique(nodes, return_inverse=True)
    order = np.argsort(which, kind="stable")
    asked = torch.from_numpy(targets[order]).to(states.device)
    owner = torch.from_numpy(which[order]).to(states.device)
    wanted = states[torch.from_numpy(places).to(states.device)]
    nats = torch.empty(len(targets), dtype=torch.float64, device=states.device)
    greedy = torch.empty(len(targets), dtype=torch.bool, device=states.device)
    step = max(1, _LOGITS // model.config.vocab_size)
    borders = np.searchsorted(which[order], np.arange(0, len(places) + step, step))
    for number, first in enumerate(range(0, len(places), step)):
        some = slice(int(borders[number]), int(borders[number + 1]))
        logits = model.head(wanted[first : first + step]).double()
        row, column = owner[some] - first, asked[some]
        nats[some] = logits[row, column] - logits.logsumexp(1)[row]
        greedy[some] = logits.argmax(1)[row] == column
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return nats.cpu().numpy()[back], greedy.cpu().numpy()[back]
