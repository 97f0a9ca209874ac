"""Data-parallel processes: the group that torchrun starts, or the one process that there is without it.

Every process holds the whole model, takes its share of each step's sequences and sums gradients with the others before the
optimizer steps. Gloo on a CPU, NCCL on GPUs.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_BUCKET_ELEMENTS = 8 * 2**20


def process_count() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Processes:
    """This process's place among those that train together.

    Attributes:
        rank: 0 for the process that writes files and talks to the person.
        count: how many there are.
        device: where this process computes.
    """

    def __init__(self, device: torch.device, rank: int = 0, count: int = 1) -> None:
        self.device, self.rank, self.count = device, rank, count

    @property
    def main(self) -> bool:
        return self.rank == 0

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Sum the gradients over all processes, in buckets of 32 MiB."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        bucket: list[Tensor] = []
        elements = 0
        for index, gradient in enumerate(gradients):
            bucket.append(gradient)
            elements += gradient.numel()
            if elements >= _BUCKET_ELEMENTS or index == len(gradients) - 1:
                flat = torch.cat([g.reshape(-1) for g in bucket])
                dist.all_reduce(flat)
                for g, piece in zip(bucket, torch.split(flat, [g.numel() for g in bucket]), strict=True):
                    g.copy_(piece.view_as(g))
                bucket, elements = [], 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a small tensor over all processes."""
        if self.count > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Whether each flag is up in any process: decisions such as stopping must be taken together."""
        if self.count == 1:
            return list(flags)
        return [up > 0 for up in self.sum(torch.tensor(flags, dtype=torch.float32)).tolist()]

    def agree(self, value: Any) -> Any:
        """The main process's JSON value, in every process."""
        if self.count == 1:
            return value
        payload = torch.tensor(list(json.dumps(value).encode()) if self.main else [], dtype=torch.uint8)
        length = torch.tensor([payload.numel()], dtype=torch.int64, device=self.device)
        dist.broadcast(length, 0)
        payload = (
            payload.to(self.device) if self.main else torch.empty(int(length), dtype=torch.uint8, device=self.device)
        )
        dist.broadcast(payload, 0)
        return json.loads(bytes(payload.cpu().tolist()))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the group that torchrun describes in the environment, if it does; leave it at the end."""
    count = process_count()
    if count == 1:
        yield Processes(torch.device(device))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    on_gpu = device.startswith("cuda")
    place = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(place)
    joined = not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(place, rank, count)
    finally:
        if joined:
            dist.destroy_process_group()
