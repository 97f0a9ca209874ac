"""The command line ends well: results on stdout, one line for a mistake, an exit code that means something."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cyclopts
import pytest

from daedal.cli import console, faults, main
from daedal.errors import DaedalError
from daedal.printable import harmless


def failing(fault: BaseException | type[BaseException]) -> Callable[[], cyclopts.App]:
    """A command line whose command `fail` ends with `fault`."""

    def command_line() -> cyclopts.App:
        app = cyclopts.App(name="daedal", suppress_keyboard_interrupt=False)

        @app.command
        def fail() -> None:
            raise fault

        return app

    return command_line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("trian gpt", "Unknown command 'trian'. Did you mean 'train'? See daedal --help."),
        (
            "dance",
            "Unknown command 'dance'. Choose data, plan, train, align, prompt, keys, ledger, detector, bench, audit, tasks, "
            "generate, interpolate, edit, reconstruct, caption, match, classify, tag, answer, fill, complete, transcribe, "
            "translate, recommend, ask, distil, judge, chat, serve, verify, evaluate, card, bias, compare, moderate, merge or "
            "export. See daedal --help.",
        ),
        ("train gtp", "Unknown command 'gtp'. Did you mean 'gpt'? See daedal train --help."),
        ("train gtp --data d --out r", "Unknown command 'gtp'. Did you mean 'gpt'? See daedal train --help."),
        ("train --verbos", "Unknown option: --verbos. See daedal train --help."),
        ("train gpt --data d --out r now", "Unexpected argument 'now'. See daedal train gpt --help."),
        ("--verbos", "Unknown option: --verbos. See daedal --help."),
        (
            "train gpt --data d --out r --stesp 3",
            "Unknown option: --stesp. Did you mean --steps? See daedal train gpt --help.",
        ),
        ("train gpt --data d", "--out is missing. See daedal train gpt --help."),
        ("train music --resume r", "--resume knows the family from the run: daedal train --resume RUN."),
        ("train gpt --data d --out r --resume r", "--resume knows the family from the run: daedal train --resume RUN."),
        ("train gpt --data", "--data needs a value. See daedal train gpt --help."),
        ("data build", "SOURCE is missing. See daedal data build --help."),
        ("data build s --out d --split 90 10", "--split needs 3 values. See daedal data build --help."),
        (
            "train gpt --data d --out r --steps many",
            "Invalid value 'many' for --steps: input should be a valid integer, unable to parse string as an integer. "
            "See daedal train gpt --help.",
        ),
        (
            "train gpt --data d --out r --precision fp16",
            "Invalid value 'fp16' for --precision: input should be 'fp32' or 'bf16'. See daedal train gpt --help.",
        ),
        (
            "data build s --out d --vocab-size 3",
            "Invalid value '3' for --vocab-size: input should be greater than or equal to 258. "
            "See daedal data build --help.",
        ),
        (
            "data build s --out d --mask emali",
            "Invalid value 'emali' for --mask: input should be 'key', 'personal', 'email', 'phone', 'ip', "
            "'iban', 'card', 'id' or 'address'. "
            "See daedal data build --help.",
        ),
        (
            "data build s --out d --codec byte --vocab-size 300",
            "A byte codec always has 258 tokens. See daedal data build --help.",
        ),
        (
            "generate m --temperature -1",
            "Invalid value '-1' for --temperature: input should be greater than or equal to 0. "
            "See daedal generate --help.",
        ),
        ("generate m --logit-bias x", "'x' is not a logit bias. Write it as ID=BIAS, such as 42=-100."),
        ("generate m -n two", 'Invalid value for -n: unable to convert "two" into int. See daedal generate --help.'),
        (
            "train",
            "Nothing to train. Name a family, as in daedal train gpt --data DIR --out RUN, or go on with --resume RUN.",
        ),
    ],
)
def test_a_wrong_command_line_gives_one_line_and_exit_code_2(
    arguments: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"error: {line}\n"


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (DaedalError("It is broken", "Mend it"), 2, "error: It is broken. Mend it.\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (
            OSError(28, "No space left on device", "/there/file"),
            2,
            "error: No space left on device (/there/file). Free ",
        ),
        (PermissionError(13, "Permission denied", "/there"), 2, "error: Permission denied (/there). Change "),
        (MemoryError(), 2, "error: Not enough memory."),
    ],
)
def test_a_failure_that_a_person_can_mend_is_one_line(
    fault: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "command_line", failing(fault))
    assert main.run(["fail"]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_a_bug_shows_its_traceback_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "command_line", failing(ZeroDivisionError("division by zero")))
    assert main.run(["fail"]) == faults.BUG
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError" in err
    assert err.splitlines()[-1].startswith("This is a bug in Daedal")


def test_a_reader_who_leaves_is_not_an_error() -> None:
    shell = f"set -o pipefail; {sys.executable} -m daedal --help | true"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert result.stderr == ""
    assert result.returncode in (0, 1, faults.PIPE_CLOSED)  # rich, which draws the help, ends with 1


def test_the_module_is_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "daedal", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [__import__("daedal").__version__]


@pytest.mark.parametrize("command", ["", "data", "data build", "data show", "plan", "plan gpt", "train", "train gpt",
                                     "generate", "interpolate", "edit", "reconstruct", "chat", "evaluate",
                                     "export"])  # fmt: skip
def test_every_command_has_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run([*command.split(), "--help"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith(f"Usage: daedal {command}".rstrip())
    assert err == ""


def test_no_name_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a file that nobody named, in an error, a note, a bar and a table."""
    name = "a\x1b[2J[/red]\x9b.txt"
    assert main.run(["data", "build", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
    console.note(f"1 of {name} left out")
    with console._bar() as report:
        report("reading", 1, 2, name)
    said = capsys.readouterr().err
    assert "[/red]" in said
    assert "\x1b[2J" not in said
    assert "\x9b" not in said


def test_a_model_cannot_steer_the_terminal() -> None:
    assert harmless("a\x1b[2Jb\r\x07\tc\nü") == "a\ufffd[2Jb\ufffd\ufffd\tc\nü"


def test_a_broken_family_of_another_package_stops_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from daedal import families

    broken = EntryPoint("dreams", "nowhere_to_be_found:LINE", "daedal.families")
    monkeypatch.setattr(families, "entry_points", lambda group: [broken])
    families.table.cache_clear()
    try:
        with pytest.warns(UserWarning, match="The family dreams of another package cannot be opened"):
            assert "vae" in families.table()
    finally:
        families.table.cache_clear()
