"""A step that is tried before the run: how much memory training takes, told before it is taken, and how long a step takes.

Weights, gradients, optimizer and average are counted; what a step keeps for its gradients is told by a step on little.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.memory import free_memory, require_memory, size
from daedal.models.model import Model
from daedal.nn.transformer import Transformer, recompute
from daedal.training.machine import deterministic
from daedal.training.optimizers import Optimizer
from daedal.training.plan import Plan
from daedal.training.planning import largest_share

_PASSING = 1.3  # what a step takes and gives back again, beside what it keeps
_SECONDS = 0.5
_TOO_LONG = 5.0


class Trial(NamedTuple):
    """A step to be tried before the run.

    Attributes:
        optimizers: one for each player.
        batch: makes a micro batch, once it is known to fit.
        little, more: two small batches: what a step keeps grows from one to the other as it does to a micro batch.
        times: how many of what those count are in an example of the run.
    """

    model: Model
    optimizers: Mapping[str, Optimizer]
    batch: Callable[[], Any]
    little: Any
    more: Any
    times: int = 1


def state_bytes(model: nn.Module, plan: Plan) -> int:
    """Bytes of weights, gradients, the optimizer's moments and the averaged weights; of weights that are frozen, which are
    buffers, themselves alone. The model may be on the meta device."""
    weights = sum(parameter.numel() for parameter in model.parameters())
    copies = 2 + (1 if plan.optimizer == "muon" else 2) + (1 if plan.ema else 0)
    return 4 * weights * copies + sum(buffer.nbytes for buffer in model.buffers())


def require_state(
    make: Callable[[Mapping[str, Any]], tuple[nn.Module, Plan]], given: Mapping[str, Any], sizes: Iterable[str]
) -> None:
    """Refuse a model that does not fit this machine, before it is made.

    Args:
        make: a model on the meta device and its plan, of values that were given by hand.
        sizes: the names of values by which it grows.

    Raises:
        DaedalError: it does not fit; names the largest of those with halves of what was given that does.
    """
    model, plan = make(given)
    needed = state_bytes(model, plan)
    if needed <= free_memory(plan.device):
        return
    fix = "Take a smaller model, or a machine with more memory"
    grown = [name for name in sizes if isinstance(given.get(name), int)]
    while any(given[name] > 1 for name in grown):
        given = {**given, **{name: max(1, given[name] // 2) for name in grown}}
        try:
            fits = state_bytes(*make(given)) < 0.5 * free_memory(plan.device)
        except DaedalError:
            continue  # these do not go together
        if fits:
            options = " ".join(f"--{name.replace('_', '-')} {given[name]}" for name in grown)
            fix = f"{options} would fit"
            break
    require_memory(
        f"Training a model of {sum(p.numel() for p in model.parameters()) / 1e6:,.0f} M weights",
        needed,
        fix,
        plan.device,
    )


def require_step(trial: Trial, plan: Plan) -> None:
    """Refuse a step that does not fit this machine beside what `state_bytes` counts, before it is taken.

    Raises:
        DaedalError: the step does not fit; names the micro batch that would.
    """
    device = torch.device(plan.device)
    model, little, more = trial.model.to(device).train(), trial.little.to(device), trial.more.to(device)
    free = free_memory(plan.device) - state_bytes(model, plan)
    for player in model.players:
        first, second = (_kept_bytes(model, batch, player, plan) for batch in (little, more))
        each = (second - first) / (more.count - little.count)
        always = _PASSING * max(0.0, first - each * little.count)
        example = _PASSING * each * trial.times
        needed = int(always + plan.micro_batch * example)
        if needed > free:
            counted = "1 example" if plan.micro_batch == 1 else f"{plan.micro_batch} examples"
            raise DaedalError(
                f"A step of {counted} at once needs about {size(needed)} of memory, and "
                f"{size(max(0, free))} is free beside the model",
                _what_fits(plan, (free - always) / example if example else 0.0),
            )


def _what_fits(plan: Plan, examples: float) -> str:
    """What to do where so many examples of a plan, or such a part of one, fit."""
    if examples >= 1:
        option = "batch" if "micro_batch" in type(plan).derived else "micro-batch"
        return f"--{option} {largest_share(plan.batch, int(examples))} would fit"
    context = int(getattr(plan, "context", 0) * examples)
    keeps_less = "" if getattr(plan, "recompute", True) else "With --recompute a step keeps less. "
    return keeps_less + (f"--micro-batch 1 --context {context} would fit" if context > 1 else "Take a smaller model")


def _kept_bytes(model: Model, batch: Any, player: str, plan: Plan) -> int:
    """Bytes that a step holds for the gradients at once: where blocks are computed anew, of one block what it keeps, and of the
    others what they are given."""
    anew = [part for part in model.modules() if isinstance(part, Transformer) and part.recomputes]
    blocks = [block for part in anew for block in part.blocks]
    if not blocks:
        return _saved_bytes(model, batch, player, plan)
    given: list[int] = []
    hooks = [block.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].nbytes)) for block in blocks]
    outside = _saved_bytes(model, batch, player, plan)
    for hook in hooks:
        hook.remove()
    recompute(model, on=False)
    whole = _saved_bytes(model, batch, player, plan)
    recompute(model, on=True)
    return outside + sum(given) + (whole - outside) // len(blocks)


def _saved_bytes(model: Model, batch: Any, player: str, plan: Plan) -> int:
    """Bytes that a forward pass saves for the gradients, but for those of blocks that are computed anew."""
    kept: dict[int, int] = {}
    weights = {weight.untyped_storage().data_ptr() for weight in (*model.parameters(), *model.buffers())}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # so that no other takes its place
        return tensor

    held: list[Tensor] = []
    model.turn(player)
    device = torch.device(plan.device).type
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast(device, torch.bfloat16, enabled=plan.precision == "bf16"),
    ):
        model.loss(batch, player)
    return sum(kept.values())


def step_seconds(trial: Trial, plan: Plan) -> float:
    """The time of one optimizer step of all players: the mean of a few, the first left out, or the second where no time budget
    hangs on it.

    The parameters are as they were afterwards. The learning rates are zero, and the optimizers' states are to be dropped.
    """
    device, model = torch.device(plan.device), trial.model
    model.to(device).train()
    batch = trial.batch().to(device)
    parts = plan.batch // plan.micro_batch
    times: list[float] = []
    least, most, enough = (2, 2, 0.0) if plan.budget is None else (3, 20, _SECONDS)
    with deterministic(device):
        while len(times) < least or (sum(times) < enough and len(times) < most):
            seconds = 0.0
            for player in model.players:
                model.turn(player)
                start = time.perf_counter()
                with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
                    loss = model.loss(batch, player).total
                loss.backward()  # type: ignore[no-untyped-call]
                middle = time.perf_counter()
                trial.optimizers[player].step(0.0)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                seconds += (middle - start) * parts + time.perf_counter() - middle
            times.append(seconds)
            if seconds > _TOO_LONG:
                break
    model.zero_grad(set_to_none=True)
    return fmean(times[1:] or times)
