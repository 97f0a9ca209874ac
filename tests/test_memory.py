"""What does not fit the machine is refused in one line before it is begun, with what would fit."""

from pathlib import Path

import pytest
import torch

from daedal import api, memory
from daedal.errors import DaedalError
from daedal.memory import free_memory, require_memory, size
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.model import Moment, TokenBatch
from daedal.nn.transformer import recompute
from daedal.training.gpt_plan import GPTPlan
from daedal.training.trial import _kept_bytes
from test_runs import TINY, build
from test_training_parts import SMALL

GIGA = 10**9
MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1000000 kB\nMemAvailable: 8000000 kB\nHugePages_Total: 0\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8.192 GB free, whose files a test can write."""
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr("sys.platform", "linux")
    put(tmp_path, {"proc/meminfo": MEMINFO})
    return tmp_path


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_a_machine_without_limits_gives_what_it_has_available(machine: Path) -> None:
    assert free_memory() == 8_192_000_000


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"proc/self/cgroup": "0::/a/b\n", "groups/a/memory.max": f"{4 * GIGA}\n", "groups/a/memory.current": f"{GIGA}\n"}, 3),
        ({"proc/self/cgroup": "0::/host/path\n", "groups/memory.max": f"{2 * GIGA}\n", "groups/memory.current": "0\n"}, 2),
        ({"proc/self/cgroup": "0::/a\n", "groups/a/memory.max": "max\n", "groups/a/memory.current": "5\n"}, 8.192),
        (
            {
                "proc/self/cgroup": "0::/a\n", "groups/a/memory.max": f"{4 * GIGA}", "groups/a/memory.current": f"{4 * GIGA}",
                "groups/a/memory.stat": f"anon 5\ninactive_file {GIGA}\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,memory:/a\n1:name=x:/\n", "groups/memory/a/memory.limit_in_bytes": f"{5 * GIGA}",
                "groups/memory/a/memory.usage_in_bytes": f"{GIGA}",
            },
            4,
        ),
        ({"proc/self/cgroup": "0::/../x\n"}, 8.192),
        (
            {
                "proc/self/cgroup": "0::/a\n", "groups/a/memory.max": f"{4 * GIGA}", "groups/a/memory.current": f"{4 * GIGA}",
                "groups/a/memory.stat": f"inactive_file {GIGA}\nactive_file {2 * GIGA}\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/a\n", "groups/memory/a/memory.limit_in_bytes": f"{5 * GIGA}",
                "groups/memory/a/memory.usage_in_bytes": f"{5 * GIGA}",
                "groups/memory/a/memory.stat": f"inactive_file 0\nactive_file 7\ntotal_inactive_file {GIGA}\n"
                f"total_active_file {GIGA}\n",
            },
            2,
        ),
        ({"proc/self/cgroup": "odd\n\n0:\n", "groups/memory.max": "\u00b2\n"}, 8.192),
        (
            {
                "proc/self/cgroup": "0::/\n", "groups/memory.max": f"{GIGA}\n", "groups/memory.current": "max\n",
                "groups/memory.stat": "\nfile\nactive_file\ninactive_file x\n",
            },
            1,
        ),
    ],
)  # fmt: skip
def test_the_limits_of_a_container_are_respected(machine: Path, files: dict[str, str], free: float) -> None:
    put(machine, files)
    assert free_memory() == free * GIGA


def test_what_does_not_fit_is_told_in_one_line(machine: Path) -> None:
    with pytest.raises(DaedalError, match=r"^This needs about 9\.0 TB of memory, and 8\.2 GB is free\. Take less\.$"):
        require_memory("This", 9 * 10**12, "Take less")
    require_memory("This", 8 * GIGA, "Take less")


def test_sizes_read_as_a_person_says_them() -> None:
    assert [size(count) for count in (12, 5 * 10**6, 1_500_000_000, 3 * 10**12)] == [
        "12 bytes",
        "5.0 MB",
        "1.5 GB",
        "3.0 TB",
    ]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("data") / "built")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "built"
    api.build_data(["digits"], folder)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 2 GB."""
    for room in ("daedal.memory", "daedal.training.trial"):
        monkeypatch.setattr(f"{room}.free_memory", lambda device="cpu": 2 * GIGA)


def fits(said: str) -> dict[str, int]:
    """The options that a refusal says would fit."""
    words = said.removesuffix(" would fit.").rpartition(". ")[2].split()
    return {
        name.removeprefix("--").replace("-", "_"): int(value)
        for name, value in zip(words[::2], words[1::2], strict=True)
    }


@pytest.mark.parametrize(
    ("family", "given"),
    [
        ("gpt", {"width": 30000, "depth": 60}), ("gpt", {"context": 10**8}), ("gpt", {"batch": 2**22, "micro_batch": 2**22}),
        ("flow", {"features": 4096, "blocks": 50}), ("vae", {"filters": 2048, "depth": 64}), ("vae", {"batch": 2**24}),
    ],
)  # fmt: skip
def test_a_run_that_does_not_fit_is_refused_with_what_would(
    family: str, given: dict[str, int], text: Path, digits: Path, small: None
) -> None:
    values = {name: TINY[name] for name in ("steps", "threads", "precision", "device")}
    with pytest.raises(DaedalError, match=r"needs about [\d.,]+ [GT]B of memory.* would fit\.$") as refused:
        api.make_plan(family, text if family == "gpt" else digits, **{**values, **given})
    smaller = fits(str(refused.value))
    assert smaller
    assert all(value < given.get(name, 2**62) for name, value in smaller.items())


def test_a_model_that_does_not_fit_is_not_loaded(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.train("gpt", data=text, out=tmp_path / "run", **TINY)
    monkeypatch.setattr("daedal.memory.free_memory", lambda device="cpu": 1000)
    with pytest.raises(DaedalError, match=r"needs about .* of memory, and 1,000 bytes is free"):
        api.load(tmp_path / "run")


def test_what_a_step_keeps_grows_evenly_so_that_little_tells_of_much() -> None:
    plan = GPTPlan.parse({**SMALL, "precision": "fp32"}, "plan")
    model = GPT(GPTConfig.of("qwen3", vocab_size=4000, width=64, depth=2, heads=2, context=64))
    model.initialise(torch.Generator().manual_seed(0))
    rows = [torch.zeros(count, 64, dtype=torch.long) for count in (1, 2, 9)]
    kept = [_kept_bytes(model, TokenBatch(ids, ids, Moment(ids.numel())), "model", plan) for ids in rows]
    assert kept[2] == pytest.approx(kept[0] + 8 * (kept[1] - kept[0]), rel=0.01)
    assert kept[1] < 1.5 * kept[0]  # most is the same for every batch


def test_of_blocks_that_are_computed_anew_little_is_kept() -> None:
    plan = GPTPlan.parse({**SMALL, "precision": "fp32"}, "plan")
    model = GPT(GPTConfig.of("qwen3", vocab_size=50, width=64, depth=12, heads=2, context=64))
    model.initialise(torch.Generator().manual_seed(0))
    ids = torch.zeros(8, 64, dtype=torch.long)
    batch = TokenBatch(ids, ids, Moment(ids.numel()))
    whole = _kept_bytes(model, batch, "model", plan)
    recompute(model, on=True)
    least = 12 * ids.numel() * 64 * 4  # what each block is given
    assert least < _kept_bytes(model, batch, "model", plan) < whole / 5
    assert all(block._forward_pre_hooks == {} for block in model.transformer.blocks)
