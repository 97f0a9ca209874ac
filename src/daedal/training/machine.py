"""What this machine can do, found by measuring for about a second: device, threads, precision, speed."""

import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F

from daedal.config import Config
from daedal.errors import DaedalError


class Machine(Config):
    """The measured machine.

    Attributes:
        device: where to compute.
        threads: how many CPU threads were fastest.
        gflops: speed of a Transformer-sized matrix product in `precision`, in 1e9 floating point operations a second.
        compiler: whether torch.compile can work here.
    """

    device: str
    name: str
    cores: int
    threads: int
    memory: int
    gflops: float
    precision: Literal["fp32", "bf16"]
    compiler: bool


def choose_device(device: str | None) -> str:
    """The device asked for, or the best that there is.

    Raises:
        DaedalError: the device asked for is not there.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise DaedalError(f"There is no device called {device!r}", "Use cpu, cuda or mps")
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise DaedalError(f"This machine has no {kind} device that PyTorch can use", "Use --device cpu")
    return device


def measure_machine(device: str | None = None, threads: int | None = None, precision: str | None = None) -> Machine:
    """Measure; what is given is taken as it is.

    Raises:
        DaedalError: the device asked for is not there.
    """
    device = choose_device(device)
    kind = device.split(":")[0]
    available = cores()
    if threads is None:
        threads = use_fastest_threads() if kind == "cpu" else torch.get_num_threads()
    torch.set_num_threads(threads)
    chosen, gflops = _fastest_precision(device, precision)
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    else:
        name, memory = _processor_name(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    compiler = kind != "mps" and any(shutil.which(c) for c in ("c++", "g++", "clang++"))
    return Machine(
        device=device,
        name=name,
        cores=available,
        threads=threads,
        memory=memory,
        gflops=gflops,
        precision=chosen,
        compiler=compiler,
    )


def _seconds(works: Sequence[Callable[[], object]], device: str, least: float = 0.1) -> list[tuple[float, float]]:
    """The shortest and the mean time of one call of each, tried in turn for `least` seconds in all: what other work on the
    machine takes from one it then takes from the others too."""
    for work in works:
        work()
    shortest, whole = [math.inf] * len(works), [0.0] * len(works)
    rounds, begun = 0, time.perf_counter()
    while rounds < 3 or time.perf_counter() - begun < least:
        for index, work in enumerate(works):
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            start = time.perf_counter()
            work()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            shortest[index], whole[index] = min(shortest[index], seconds), whole[index] + seconds
        rounds += 1
    return [(short, total / rounds) for short, total in zip(shortest, whole, strict=True)]


def use_fastest_threads() -> int:
    """Set PyTorch's number of CPU threads to what is fastest now; what the environment sets stays. Gives the number.

    One thread beats many on a machine that is busy with other work: this tries, and does not guess.
    """
    choices = thread_choices()
    if choices:
        torch.set_num_threads(_fastest_threads(choices))
    return torch.get_num_threads()


def thread_choices() -> tuple[int, ...]:
    """Numbers of CPU threads that are worth a try here; none where the environment sets the number."""
    if "OMP_NUM_THREADS" in os.environ:
        return ()
    return tuple(sorted({1, max(1, cores() // 2), cores()}))


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fastest_threads(choices: Sequence[int]) -> int:
    x, w = torch.randn(1024, 256), torch.randn(1024, 256)
    best, best_time = 1, math.inf
    for threads in choices:
        torch.set_num_threads(threads)
        # the mean, not the shortest time: threads that wait for a busy core make some calls very slow
        start, calls = time.perf_counter(), 0
        while time.perf_counter() - start < 0.1:
            F.silu(F.linear(x, w))
            calls += 1
        seconds = (time.perf_counter() - start) / calls
        if seconds < best_time * 0.9:
            best, best_time = threads, seconds
    return best


def _fastest_precision(device: str, wanted: str | None) -> tuple[Literal["fp32", "bf16"], float]:
    """bf16 is twice as fast as fp32 on some processors and hundreds of times slower on others."""
    rows, width = (8192, 2048) if device.startswith("cuda") else (1024, 512)
    kinds: list[tuple[Literal["fp32", "bf16"], torch.dtype]] = [("fp32", torch.float32), ("bf16", torch.bfloat16)]
    kinds = [kind for kind in kinds if wanted in (None, kind[0])]
    works: list[Callable[[], object]] = []
    for _, dtype in kinds:
        x, w = torch.randn(rows, width, device=device).to(dtype), torch.randn(width, width, device=device).to(dtype)
        works.append(partial(F.linear, x, w))
    seconds = _seconds(works, device)
    # autocast adds casts around every product: bf16 must be clearly faster to pay
    chosen = len(kinds) - 1 if seconds[-1][0] < seconds[0][0] / 1.3 else 0
    # what else the machine does now it will go on with: the mean tells how fast we will be beside it
    return kinds[chosen][0], 2 * rows * width * width / seconds[chosen][1] / 1e9


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """The same run twice gives the same bits, on a GPU too."""
    cuda, before = device.type == "cuda", torch.are_deterministic_algorithms_enabled()
    if cuda:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(cuda)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
