"""The next token of each of several rows, from the model's logits: every row by its own options."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.engine_request import Logprob, Row
from daedal.inference.logits import choose, log_probabilities, penalise
from daedal.inference.marked_choice import choose_marked
from daedal.safety.text_marks.scheme import Scheme


@dataclass
class Chosen:
    """What was chosen.

    Attributes:
        ids: of each row that has no fault.
        logprobs: of each row that asked for them, in the model's own distribution.
        faults: why nothing could be chosen for a row.
    """

    ids: dict[Row, int] = field(default_factory=dict)
    logprobs: dict[Row, Logprob] = field(default_factory=dict)
    faults: dict[Row, DaedalError] = field(default_factory=dict)


def next_tokens(rows: Sequence[Row], logits: Float[Tensor, "rows vocab"]) -> Chosen:
    """Choose a token for every row, and use up the noise of its place."""
    chosen = Chosen()
    shaped = shape(rows, logits, chosen.faults)
    places = {row: place for place, row in enumerate(rows)}
    kinds: dict[tuple[float, int, float, float, Scheme | None], list[Row]] = {}
    for row in rows:
        if row not in chosen.faults:
            kinds.setdefault(_sampling(row), []).append(row)
    for alike in kinds.values():
        _draw(alike, shaped, places, chosen)
    asked = [row for row in chosen.ids if row.options.logprobs is not None]
    if asked:
        ids = torch.tensor([chosen.ids[row] for row in asked], device=logits.device)
        most = max(row.options.logprobs or 0 for row in asked)
        logprobs, tops = log_probabilities(logits[[places[row] for row in asked]], ids, most)
        for row, logprob, top in zip(asked, logprobs, tops, strict=True):
            chosen.logprobs[row] = logprob, tuple(top[: row.options.logprobs])
    return chosen


def shape(
    rows: Sequence[Row], logits: Float[Tensor, "rows vocab"], faults: dict[Row, DaedalError] | None = None
) -> Float[Tensor, "rows vocab"]:
    """Logit bias, penalties and constraints.

    Args:
        faults: takes in what is wrong with a row; raised where there is none.
    """
    shaped, early = logits, list[tuple[int, int]]()
    for place, row in enumerate(rows):
        options, constraint = row.options, row.request.constraint
        if not options.reshapes and constraint is None and not row.early:
            continue
        if shaped is logits:
            shaped = logits.float().clone()
        if options.logit_bias:
            ids = list(options.logit_bias)
            shaped[place, ids] += torch.tensor(list(options.logit_bias.values()), device=shaped.device)
        if row.history is not None:
            shaped[place : place + 1] = penalise(
                shaped[place : place + 1],
                row.history.seen[None],
                row.history.counts[None],
                repetition=options.repetition_penalty,
                presence=options.presence_penalty,
                frequency=options.frequency_penalty,
            )
        if row.early:
            early += [(place, id) for id in row.request.stop_ids]
        if constraint is not None:
            try:
                shaped[place].masked_fill_(~constraint.mask().to(shaped.device), float("-inf"))
            except DaedalError as error:
                if faults is None:
                    raise
                faults[row] = error
    if early:
        shaped[tuple(zip(*early, strict=True))] = float("-inf")
    return shaped


def draw(rows: Sequence[Row], logits: Float[Tensor, "rows vocab"], ahead: Sequence[int] = ()) -> list[int]:
    """One token for each of rows that sample in the same way, from shaped logits.

    Args:
        ahead: tokens after those of the only row, which are guessed.

    Raises:
        DaedalError: the logits of a row hold NaN or +infinity, or are all minus infinity.
    """
    if rows[0].marked is not None:
        return choose_marked(rows, logits, ahead)
    options, noise = rows[0].options, None
    if not options.greedy:
        noise = torch.stack([row.noise_at(len(ahead), logits.shape[1]) for row in rows]).to(logits.device)
    return choose(logits, options, noise)


def _draw(rows: list[Row], logits: Float[Tensor, "rows vocab"], places: dict[Row, int], chosen: Chosen) -> None:
    """Draw for rows that sample in the same way, and use up what chance had for it."""
    own = logits if len(rows) == len(logits) else logits[[places[row] for row in rows]]
    try:
        found = draw(rows, own)
    except DaedalError as error:
        if len(rows) == 1:
            chosen.faults[rows[0]] = error
            return
        for row in rows:
            _draw([row], logits, places, chosen)
        return
    for row, id in zip(rows, found, strict=True):
        chosen.ids[row] = id
        if row.marked is not None:
            row.marked.take(row.ids)
        elif row.noise:
            row.noise.popleft()


def _sampling(row: Row) -> tuple[float, int, float, float, Scheme | None]:
    """How a row is sampled."""
    options = row.options
    scheme = None if row.marked is None else row.marked.scheme
    return options.temperature, options.top_k, options.top_p, options.min_p, scheme
