"""The house stands: rooms import only what is below them, nothing is unpickled, files stay short, imports cheap."""

import ast
import importlib.util
import resource
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "daedal").rglob("*.py"))
BY_PATH = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src" / "daedal")))

HEAVY = ("torch", "transformers", "datasets", "pyarrow", "tokenizers", "numpy")
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "torch.hub.load", "os.system", "yaml.load"}
SANDBOXED = Path("evaluation/code/judge.py")  # which is there to run programs, in the sandbox


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments, "-c", code], capture_output=True, text=True, check=True)


def dotted(node: ast.expr) -> str:
    """`torch.load` for the expression `torch.load`, empty for what is not a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def test_rooms_import_only_rooms_below_them() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_imports_itself_over_others() -> None:
    """Neither at once nor when it is used; packages, which offer their modules' names, apart."""
    graph = grimp.build_graph("daedal")
    left = graph.modules - {"daedal", "daedal.data", "daedal.data.images"}
    while ends := {each for each in left if not graph.find_modules_directly_imported_by(each) & left}:
        left -= ends
    assert left == set()


@BY_PATH
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    allowed = {"exec"} if path.relative_to(ROOT / "src" / "daedal") == SANDBOXED else set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not UNSAFE_MODULES & {name.name.partition(".")[0] for name in node.names}, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in UNSAFE_MODULES, ast.unparse(node)
            names = {f"{node.module}.{name.name}" for name in node.names}
            assert not UNSAFE_CALLS & names, ast.unparse(node)
        elif isinstance(node, ast.Call):
            assert dotted(node.func) not in UNSAFE_CALLS - allowed, ast.unparse(node)
            for keyword in node.keywords:
                if keyword.arg in {"allow_pickle", "trust_remote_code", "shell"}:
                    assert ast.unparse(keyword.value) == "False", ast.unparse(node)


@BY_PATH
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@BY_PATH
def test_a_file_opens_with_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body


def test_importing_daedal_imports_nothing_heavy() -> None:
    loaded = run_python("import sys, daedal; print(*sys.modules)").stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_importing_daedal_is_quick() -> None:
    assert seconds("-c", "import daedal") < 0.3


def seconds(*arguments: str) -> float:
    """Processor time of a Python process, best of three: what it takes where nothing else runs."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = used()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        times.append(used() - before)
    return min(times)


def test_help_is_quick() -> None:
    assert seconds("-m", "daedal", "--help") < 0.5


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from daedal.cli.main import run; run(['--help']); print('\\n', *sys.modules)"
    assert not set(HEAVY) & set(run_python(code).stdout.splitlines()[-1].split())


def test_torchvision_is_not_installed() -> None:
    # Its wheels do not load beside a CPU build of torch, and then `import transformers` models fails too.
    assert importlib.util.find_spec("torchvision") is None


def test_the_version_is_told_once() -> None:
    from importlib.metadata import version

    import daedal

    assert version("daedal") == daedal.__version__
