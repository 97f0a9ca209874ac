"""A recommender that learns from clicks of simulated people, beside the one that it began as.

    daedal data build ml-latest-small --out films
    python benchmarks/recommend_feedback.py films RUN --rounds 5 --seeds 1 2 3

Who clicks is simulated by what is fitted to people that no recommender learned from (the validation and test splits): how
likely somebody clicks on an item that is looked at is logistic in its affinity, by matrix factorisation of all histories of
these people with the history that they have; how likely it is looked at falls with its place, `1 / log2(1 + place)`. In each
round everybody of the training split is recommended ten items, drawn without replacement from the first fifty by their
probability; what is clicked is liked above what was skipped before it (DPO over slates, `daedal.alignment.slates`). Then the
expected clicks on the ten best items, of people that are held out of this tuning. The simulator knows nothing of what people
really like.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

import daedal
from daedal.alignment.slate_learner import slate_logits
from daedal.alignment.slates import slate_losses
from daedal.codecs.items import END, UNKNOWN
from daedal.data import open_data
from daedal.data.next_items import items_of
from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.predictors.matrix_factors import MatrixFactors
from daedal.models.sequences import Sequences
from daedal.training.histories import seen

SHOWN, FROM, BATCH = 10, 50, 64
LOOKED = 1 / np.log2(1 + np.arange(1, SHOWN + 1))


class Clicks:
    """People who click.

    Args:
        histories: of those that they are fitted to.
    """

    def __init__(self, histories: list[Any], vocab: int, seed: int) -> None:
        self.factors = MatrixFactors.fit(histories, vocab, seed=seed)
        generator = np.random.default_rng(seed)
        taken, drawn = [], []
        for history in histories:  # one half says of whom, the other what was taken; beside as many that were not
            half = len(history) // 2
            if half:
                scores = self.factors.scores([history[:half]])[0]
                taken += scores[history[half:]].tolist()
                drawn += scores[generator.integers(END + 1, vocab, len(history) - half)].tolist()
        x = np.array([*taken, *drawn])
        y = np.array([1.0] * len(taken) + [0.0] * len(drawn))
        self.middle, self.spread = x.mean(), x.std()
        z, self.weight, self.bias = (x - self.middle) / self.spread, 1.0, 0.0
        for _ in range(200):  # logistic regression by gradient steps: two numbers
            away = 1 / (1 + np.exp(-(self.weight * z + self.bias))) - y
            self.weight -= 0.5 * (away * z).mean()
            self.bias -= 0.5 * away.mean()

    def chances(self, histories: list[Any], shown: Any) -> Any:
        """How likely each item that is shown is clicked on, `[people, shown]`."""
        scores = np.take_along_axis(self.factors.scores(histories), shown, 1)
        z = (scores - self.middle) / self.spread
        return LOOKED / (1 + np.exp(-(self.weight * z + self.bias - 2.0)))  # most of what is shown is not wanted


def logits_of(model: Any, histories: list[Any], context: int) -> Any:
    """After each history, minus infinity of what it has."""
    with torch.no_grad():
        found = torch.cat([
            model.next_items(Sequences.of([seen(each, context) for each in histories[first : first + 128]]))
            for first in range(0, len(histories), 128)
        ])  # fmt: skip
    for row, history in enumerate(histories):
        found[row, torch.from_numpy(history)] = float("-inf")
    return found


def clicked_slates(shown: Any, clicks: Any) -> list[tuple[int, int, list[int]]]:
    """Of each click the person, the item, and what was skipped before it."""
    found = []
    for person, (items, hits) in enumerate(zip(shown, clicks, strict=True)):
        for place in np.flatnonzero(hits):
            skipped = [int(item) for item, hit in zip(items[:place], hits[:place], strict=True) if not hit]
            if skipped:
                found.append((person, int(items[place]), skipped))
    return found


def tuned(model: Any, data: Any, histories: list[Any], beta: float, rate: float, seed: int) -> None:
    """A pass over slates."""
    reference, context = copy.deepcopy(model), model.config.context
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    order = np.random.default_rng(seed).permutation(len(data))
    for first in range(0, len(order), BATCH):
        some = [data[at] for at in order[first : first + BATCH]]
        sequences = Sequences.of([seen(histories[person], context) for person, _, _ in some])
        liked = torch.tensor([item for _, item, _ in some])
        others = torch.full((len(some), SHOWN), UNKNOWN)
        for row, (_, _, skipped) in enumerate(some):
            others[row, : len(skipped)] = torch.tensor(skipped)
        with torch.no_grad():
            before = slate_logits(reference, sequences, liked, others)
        away = slate_logits(model, sequences, liked, others) - before
        loss = slate_losses(away[:, 0], away[:, 1:], others != UNKNOWN, beta).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="a data folder of histories")
    parser.add_argument("run", type=Path, help="a recommender that was trained on it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--beta", type=float, default=0.5)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data: Any = open_data(asked.data)
    vocab = data.codec("items").codec.vocab_size
    split = {
        name: [np.asarray(items_of(row)) for row in data.split(name).ragged("items")] for name in data.manifest.splits
    }
    split = {
        name: [each[each != UNKNOWN] for each in rows if (each != UNKNOWN).sum() > 1] for name, rows in split.items()
    }
    people = [each[:-1] for each in split["train"]]  # the last was held out
    learning, judged = people[::2], people[1::2]
    after: list[Any] = []
    for seed in asked.seeds:
        generator = np.random.default_rng(seed)
        clicks = Clicks([*split["validation"], *split["test"]], vocab, seed)
        model = daedal.load(asked.run).model
        context = model.config.context

        def expected(model: Any = model, clicks: Clicks = clicks, context: int = context) -> Any:
            best = logits_of(model, judged, context).topk(SHOWN).indices.numpy()
            return clicks.chances(judged, best).sum(1)

        before = expected()
        print(f"seed {seed}: {before.mean():.3f} clicks on ten items before", flush=True)
        for number in range(asked.rounds):
            logits = logits_of(model, learning, context)
            values, items = logits.topk(FROM)
            keys = values.numpy() + generator.gumbel(size=values.shape)  # drawn without replacement
            shown = np.take_along_axis(items.numpy(), np.argsort(-keys, 1)[:, :SHOWN], 1)
            hits = generator.random(shown.shape) < clicks.chances(learning, shown)
            slates = clicked_slates(shown, hits)
            tuned(model, slates, learning, asked.beta, asked.learning_rate, seed + number)
            now = expected()
            print(
                f"seed {seed}, round {number + 1}: {hits.sum()} clicks, {len(slates)} slates; {now.mean():.3f} expected"
            )
        after.append(now - before)
    gains = np.mean(after, 0)
    pieces = np.stack((gains, np.ones_like(gains)), 1)
    low, high = bootstrap(pieces, lambda sums: sums[:, 0] / sums[:, 1]) or (0, 0)
    print(
        f"\nmore clicks on ten items, {len(gains)} people, mean over seeds: {gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    )


if __name__ == "__main__":
    main()
