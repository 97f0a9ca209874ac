"""Commands and options are frozen: a change of them shows in `cli_options.txt`, where a reviewer sees it.

After a wanted change: python tests/test_cli_options.py > tests/cli_options.txt
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App

import daedal
from daedal.cli.main import command_line

FROZEN = Path(__file__).with_name("cli_options.txt")


def listing(app: App, path: tuple[str, ...]) -> Iterator[str]:
    """A line for every command and every option below `app`: names, type, whether it is required, choices."""
    if app.default_command is not None:
        yield " ".join(path)
        for argument in app.assemble_argument_collection(parse_docstring=False):
            names = [name for name in argument.names if name != "*"]
            if names and argument.parse:
                kind = "|".join(argument.get_choices() or ()) or re.sub(
                    r"[a-z_]+\.|<class '|'>", "", str(argument.hint)
                )
                yield f"    {' '.join(sorted(names))} {kind}{' required' if argument.required else ''}"
    for name in app:
        if not name.startswith("-"):
            yield from listing(app[name], (*path, name))


def text() -> str:
    return "\n".join(listing(command_line(), ("daedal",))) + "\n"


def test_commands_and_options_are_those_that_were_agreed() -> None:
    assert text() == FROZEN.read_text(encoding="utf-8")


def test_an_option_that_a_message_names_is_one_that_there_is() -> None:
    known = set(re.findall(r"--[a-z][a-z0-9-]*", FROZEN.read_text(encoding="utf-8"))) | {"--help"}
    for path in Path(daedal.__file__).parent.rglob("*.py"):
        if " --" not in path.read_text(encoding="utf-8"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith(
                ("Error", "Refusal", "TooFewPictures")
            ):
                said = " ".join(
                    each.value
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )
                named = set(re.findall(r"(?<![\w(-])--[a-z][a-z0-9-]*", said))
                assert named <= known, f"{path}:{node.lineno}"


def test_every_promised_command_is_there() -> None:
    lines = FROZEN.read_text(encoding="utf-8").splitlines()
    for command in (
        "data build", "data show", "plan gpt", "train", "train gpt", "train vae", "train vqvae", "train gan", "train flow",
        "generate", "interpolate", "edit", "reconstruct", "chat", "evaluate", "export",
    ):  # fmt: skip
        assert f"daedal {command}" in lines


if __name__ == "__main__":
    print(text(), end="")
