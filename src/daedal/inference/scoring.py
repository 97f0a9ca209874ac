"""The likelihood of a text, and the fingerprint of the model that gave it."""

import hashlib
import math

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.completion import Score, TokenScore
from daedal.models.gpt import GPT

_POSITIONS = 128
"""Positions whose logits are in memory at once."""


def score(model: GPT, codec: TextCodec, text: str, given: str = "") -> Score:
    """How likely `model` finds `text` after `given`; see `Generator.score`."""
    target = codec.encode(text)
    if not target:
        raise DaedalError("There is no text to score", "Give at least one character")
    start = codec.eos_id if codec.bos_id is None else codec.bos_id
    known = [*codec.prefix_ids, *codec.encode(given)] if given else list(codec.prefix_ids)
    if not known and start is None:
        raise DaedalError("This model has no token that begins a text", "Give the text that comes before")
    known = known or [start or 0]
    likelihoods = log_likelihoods(model, [*known, *target], len(known)).tolist()
    total, size = math.fsum(likelihoods), len(text.encode("utf-8", "surrogatepass"))
    loss = -total / len(target)
    return Score(
        log_likelihood=total,
        bytes=size,
        loss=loss,
        perplexity=math.exp(min(loss, 700.0)),
        bits_per_byte=-total / math.log(2) / size,
        tokens=tuple(
            TokenScore(id=id, text=codec.token_bytes(id).decode("utf-8", "replace"), log_likelihood=value)
            for id, value in zip(target, likelihoods, strict=True)
        ),
    )


@torch.inference_mode()
def log_likelihoods(model: GPT, ids: list[int], first: int) -> Float64[Tensor, " targets"]:
    """Of each id from place `first` on, given those before it, in nats.

    What is longer than the context is read in windows; each token sees at least half a context before it.
    """
    context, device = model.config.context, model.embedding.weight.device
    given, parts = first, []
    while given < len(ids):
        begin = 0 if given < context else given - context // 2
        window = torch.tensor(ids[begin : begin + context + 1], device=device)
        hidden = model.hidden(window[None, :-1])[0, given - begin - 1 :]
        targets = window[given - begin :]
        for states, chosen in zip(torch.split(hidden, _POSITIONS), torch.split(targets, _POSITIONS), strict=True):
            logits = model.head(states).double()
            parts.append(logits.gather(1, chosen[:, None])[:, 0] - logits.logsumexp(1))
        given = begin + len(window)
    return torch.cat(parts)


def fingerprint(model: nn.Module) -> str:
    """SHA-256 of the names, shapes and values of the weights, and of whatever else was learned or fitted."""
    digest = hashlib.sha256()
    saved = model.state_dict().keys()
    fitted = [(name, buffer) for name, buffer in model.named_buffers() if name in saved]
    for name, tensor in sorted([*model.named_parameters(), *fitted], key=lambda entry: entry[0]):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}:{values.dtype}:{list(values.shape)}\n".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
