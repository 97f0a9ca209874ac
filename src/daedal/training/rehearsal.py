"""A few training steps on made-up examples, to know what a step takes before the run."""

import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch

from daedal.models.model import Model
from daedal.training.machine import deterministic
from daedal.training.optimizers import Optimizer
from daedal.training.plan import Plan

_SECONDS = 0.5
_TOO_LONG = 5.0


def step_seconds(model: Model, optimizers: Mapping[str, Optimizer], batch: Any, plan: Plan) -> float:
    """The time of one optimizer step of all players: the mean of a few, the first left out.

    The parameters are as they were afterwards. The learning rates are zero, and the optimizers' states are to be dropped.

    Args:
        batch: a micro batch.
    """
    device = torch.device(plan.device)
    model.to(device).train()
    batch = batch.to(device)
    parts = plan.batch // plan.micro_batch
    times: list[float] = []
    with deterministic(device):
        while len(times) < 3 or (sum(times) < _SECONDS and len(times) < 20):
            seconds = 0.0
            for player in model.players:
                model.turn(player)
                start = time.perf_counter()
                with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
                    loss = model.loss(batch, player).total
                loss.backward()  # type: ignore[no-untyped-call]
                middle = time.perf_counter()
                optimizers[player].step(0.0)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                seconds += (middle - start) * parts + time.perf_counter() - middle
            times.append(seconds)
            if seconds > _TOO_LONG:
                break
    model.zero_grad(set_to_none=True)
    return fmean(times[1:] or times)
