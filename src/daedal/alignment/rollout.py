"""Answers that a model gives to prompts, with the log-probability of each of their tokens: what it learns from in PPO and GRPO.

They come from the engine (`daedal.inference`), all together, and are a function of the weights, the seed, the prompt and the
number of the sample. They are drawn from the model's own distribution, at temperature 1: from another one's the
log-probabilities would be of something else.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.inference.engine import Engine
from daedal.inference.engine_request import Fault, Request, Token
from daedal.inference.network import networks
from daedal.inference.sampling import SamplingOptions
from daedal.models.gpt import GPT
from daedal.models.model import IGNORE
from daedal.models.sequences import Sequences, line
from daedal.nn.fused import linear_log_probabilities

_ROWS = 256  # that are written together, at most


class Answer(NamedTuple):
    """What a model answered to a prompt.

    Attributes:
        prompt, ids: of the prompt, and of what follows it; what ends the answer is its own.
        log_probabilities: of each id of the answer, in nats.
        ended: whether the model ended it, and not the limit.
    """

    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    ended: bool


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    *,
    samples: int = 1,
    most: int,
    stop_ids: frozenset[int],
    seed: int,
    numbers: Sequence[int] | None = None,
) -> list[Answer]:
    """`samples` answers to each prompt, those to one side by side.

    Args:
        numbers: of the first sample of each prompt, where some of the same prompt were asked for elsewhere.
        most: tokens of an answer, at most.
        stop_ids: tokens that end an answer.

    Raises:
        DaedalError: a prompt leaves no room in the context, or the logits are no numbers.
    """
    training = model.training
    engine = Engine(networks(model.eval())[0], rows=_ROWS, prefixes=0, lookup=False)
    options = SamplingOptions(max_tokens=most, seed=seed, logprobs=0)
    rows = []
    for prompt, first in zip(prompts, numbers or first_samples(prompts, samples), strict=True):
        rows += [engine.submit(Request(tuple(prompt), options, first + at, stop_ids)) for at in range(samples)]
    logs: dict[int, list[float]] = {id(row): [] for row in rows}
    ended: set[int] = set()
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Fault):
                raise event.error
            if isinstance(event, Token):
                assert event.logprob is not None
                logs[id(event.row)].append(event.logprob)
                if event.finish == "stop":
                    ended.add(id(event.row))
    model.train(training)
    return [
        Answer(
            tuple(row.request.ids),
            tuple(row.ids[len(row.request.ids) :]),
            tuple(logs[id(row)]),
            id(row) in ended,
        )
        for row in rows
    ]


def first_samples(prompts: Sequence[Sequence[int]], samples: int) -> list[int]:
    """The number of the first sample of each prompt: those of one that comes again go on from where it was."""
    again: Counter[tuple[int, ...]] = Counter()
    found = []
    for prompt in map(tuple, prompts):
        found.append(again[prompt])
        again[prompt] += samples
    return found


class Said(NamedTuple):
    """Rows of a prompt and an answer, one after the other.

    Attributes:
        sequences: the rows, but for the last token of each, which nothing follows.
        targets: the token that follows each; `IGNORE` where that is not the answer's.
    """

    sequences: Sequences
    targets: Int[Tensor, " tokens"]


def said(answers: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Said:
    """Prompts with their answers, as a model reads them. Each has at least one token."""
    rows = [[*prompt, *ids] for prompt, ids in answers]
    targets = [[IGNORE] * (len(prompt) - 1) + list(ids) for prompt, ids in answers]
    return Said(Sequences.of([row[:-1] for row in rows]), line(targets))


class TokenLikelihoods(NamedTuple):
    """Of the tokens that were said, in order.

    Attributes:
        log_probabilities: in nats.
        states: above the last block, before each.
        rows: the row of each.
    """

    log_probabilities: Float[Tensor, " said"]
    states: Float[Tensor, "said width"]
    rows: Int[Tensor, " said"]


def states_of(model: GPT, sequences: Sequences) -> Float[Tensor, "tokens width"]:
    """The states above the last block; of pictures, whose rows are of one length, all rows beside one another."""
    if model.config.grid is None:
        return model.states(sequences)
    return model.hidden(sequences.ids.view(len(sequences), -1)).flatten(0, 1)


def likelihoods(
    model: GPT, sequences: Sequences, targets: Int[Tensor, " tokens"], allowed: slice = slice(None)
) -> TokenLikelihoods:
    """How likely a model finds what was said, as its gradients need it.

    Args:
        allowed: the ids that could be said, from the first on.
    """
    known = targets != IGNORE
    states = states_of(model, sequences)[known]
    found = linear_log_probabilities(states, model.head_weight[allowed], targets[known])
    return TokenLikelihoods(found, states, sequences.packing.rows[known])


@torch.no_grad()
def log_probabilities(
    model: GPT,
    answers: Sequence[tuple[Sequence[int], Sequence[int]]],
    tokens: int = 8192,
    allowed: slice = slice(None),
) -> list[Float[Tensor, " said"]]:
    """How likely a model finds each answer's tokens, in nats.

    Args:
        tokens: that are read together, about.
        allowed: the ids that could be said, from the first on.

    Raises:
        DaedalError: an answer with its prompt is longer than the context.
    """
    training, device = model.training, model.embedding.weight.device
    model.eval()
    order = sorted(range(len(answers)), key=lambda at: len(answers[at][0]) + len(answers[at][1]))
    found: list[Tensor] = [torch.empty(0)] * len(answers)
    group: list[int] = []
    for place, at in enumerate(order):
        group.append(at)
        longest = len(answers[at][0]) + len(answers[at][1])
        if longest * (len(group) + 1) > tokens or place == len(order) - 1:
            read = said([answers[each] for each in group])
            likely = likelihoods(model, read.sequences.to(device), read.targets.to(device), allowed)
            counts = torch.bincount(likely.rows, minlength=len(group)).tolist()
            for each, piece in zip(group, torch.split(likely.log_probabilities.cpu(), counts), strict=True):
                found[each] = piece
            group = []
    model.train(training)
    return found
