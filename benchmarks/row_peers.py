"""What a user would train instead: models of Transformers of a given shape, in a plain loop of PyTorch, for so many seconds.

Padded batches of about equal length, AdamW, a tenth of the time to warm up and a linear descent: what its examples do.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

Batch = dict[str, torch.Tensor]
IGNORE = -100


def train(
    model: Any, batches: Iterator[Batch], seconds: float, learning_rate: float, loss: Callable[[Any], Any] | None = None
) -> int:
    """Train for so many seconds; gives the number of steps."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    start, steps = time.perf_counter(), 0
    model.train()
    while (used := (time.perf_counter() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(used / 0.1 + 1e-3, (1 - used) / 0.9)
        batch = next(batches)
        found = model(**batch)
        (found.loss if loss is None else loss(found)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
    model.eval()
    return steps


def shuffled(count: int, batch: int, seed: int, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Numbers of examples, in batches of about equal length, in a new order each time; forever."""
    draw = np.random.default_rng(seed)
    while True:
        order = draw.permutation(count)
        for first in range(0, count, 50 * batch):
            pool = order[first : first + 50 * batch]
            pool = pool[np.argsort([lengths[at] for at in pool], kind="stable")]
            parts = [pool[at : at + batch] for at in range(0, len(pool), batch)]
            yield from (parts[at] for at in draw.permutation(len(parts)))


def padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])


def masked_batches(rows: Sequence[list[int]], tokenizer: Any, batch: int, seed: int) -> Iterator[Batch]:
    """Rows with 15 % hidden, as Transformers' own collator hides them."""
    from transformers import DataCollatorForLanguageModeling

    torch.manual_seed(seed)
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    for numbers in shuffled(len(rows), batch, seed, list(map(len, rows))):
        made = collate([{"input_ids": rows[at]} for at in numbers])
        yield {name: made[name] for name in ("input_ids", "attention_mask", "labels")}


def labelled_batches(
    rows: Sequence[list[int]], labels: Sequence[int], pad: int, batch: int, seed: int
) -> Iterator[Batch]:
    for numbers in shuffled(len(rows), batch, seed, list(map(len, rows))):
        ids = padded([rows[at] for at in numbers], pad)
        real = padded([[1] * len(rows[at]) for at in numbers], 0)
        yield {"input_ids": ids, "attention_mask": real, "labels": torch.tensor([labels[at] for at in numbers])}


def pair_batches(
    sources: Sequence[list[int]], targets: Sequence[list[int]], pad: int, start: int, batch: int, seed: int
) -> Iterator[Batch]:
    for numbers in shuffled(len(sources), batch, seed, list(map(len, sources))):
        some, other = [sources[at] for at in numbers], [targets[at] for at in numbers]
        yield {
            "input_ids": padded(some, pad),
            "attention_mask": padded([[1] * len(row) for row in some], 0),
            "decoder_input_ids": padded([[start, *row[:-1]] for row in other], pad),
            "labels": padded(other, IGNORE),
        }


@torch.no_grad()
def classified(model: Any, rows: Sequence[list[int]], pad: int) -> np.ndarray:
    """The likeliest class of each row."""
    found = np.zeros(len(rows), dtype=np.int64)
    order = np.argsort(list(map(len, rows)), kind="stable")
    for first in range(0, len(order), 64):
        some = order[first : first + 64]
        ids = padded([rows[at] for at in some], pad)
        real = padded([[1] * len(rows[at]) for at in some], 0)
        found[some] = model(input_ids=ids, attention_mask=real).logits.argmax(-1).numpy()
    return found
