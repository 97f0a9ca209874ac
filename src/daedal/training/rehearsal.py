"""A few training steps on random tokens, to know what a step takes before the run."""

import time

import torch

from daedal.models.gpt import GPT
from daedal.models.model import Moment, TokenBatch
from daedal.training.language import gpt_optimizer
from daedal.training.plan import Plan

_SECONDS = 0.5
_TOO_LONG = 5.0


def step_seconds(model: GPT, plan: Plan) -> float:
    """The time of one optimizer step: the shortest of a few. The model is as it was afterwards.

    Its learning rate is zero, and the optimizer's state is dropped.
    """
    device = torch.device(plan.device)
    model.to(device).train()
    tokens = torch.randint(plan.vocab_size, (plan.micro_batch, plan.context), device=device)
    batch = TokenBatch(tokens, tokens, Moment(tokens.numel()))
    optimizer = gpt_optimizer(model, plan)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < _SECONDS and len(times) < 20):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss = model.loss(batch).total
        loss.backward()  # type: ignore[no-untyped-call]
        middle = time.perf_counter()
        optimizer.step(0.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        end = time.perf_counter()
        times.append((middle - start) * (plan.batch // plan.micro_batch) + end - middle)
        model.zero_grad(set_to_none=True)
        if end - start > _TOO_LONG:
            break
    return min(times)
