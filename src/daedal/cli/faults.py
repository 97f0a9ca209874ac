"""How a failed command ends: a mistake in one line and exit code 2, a bug with a traceback and a plea to report it."""

import difflib
import errno
import os
import sys
import traceback
from typing import Any

from cyclopts import App
from cyclopts.argument import Argument
from cyclopts.exceptions import (
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.exceptions import ValidationError as CycloptsValidationError

from daedal.errors import DaedalError
from daedal.printable import harmless

MISTAKE = 2
BUG = 1
INTERRUPTED = 130
PIPE_CLOSED = 141

_RESUME = "--resume"
_REPORT = "This is a bug in Daedal, not a mistake of yours: please report it with the lines above."
_SYSTEM_FAULTS = {
    errno.ENOSPC: "Free some space and run the command again",
    errno.EDQUOT: "Free some space and run the command again",
    errno.EFBIG: "The file system or a limit allows no larger file: write to another place",
    errno.EROFS: "Choose a folder that can be written",
    errno.EACCES: "Change its permissions or choose another path",
    errno.EPERM: "Change its permissions or choose another path",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
}
"""Errors of the operating system that a user can mend, whichever line of code met them."""


def end(fault: BaseException, app: App) -> int:
    """Say on stderr what went wrong, and give the exit code."""
    match fault:
        case KeyboardInterrupt():
            _say("stopped")
            return INTERRUPTED
        case BrokenPipeError():
            _silence_stdout()
            return PIPE_CLOSED
        case DaedalError():
            _say(f"error: {fault}")
            return MISTAKE
        case CycloptsError():
            _say(f"error: {usage_fault(fault, app)}")
            return MISTAKE
        case MemoryError():
            _say("error: Not enough memory. Use a smaller batch, context or model, or close other programs.")
            return MISTAKE
        case OSError() if fault.errno in _SYSTEM_FAULTS:
            where = f" ({fault.filename})" if fault.filename else ""
            _say(f"error: {DaedalError(f'{fault.strerror}{where}', _SYSTEM_FAULTS[fault.errno])}")
            return MISTAKE
        case _:
            traceback.print_exception(fault, file=sys.stderr)
            _say(_REPORT)
            return BUG


def usage_fault(fault: CycloptsError, app: App) -> str:
    """What is wrong with the command line, in one line that ends with what to do."""
    fault.verbose = False
    here = fault.app or app
    command = " ".join([app.name[0], *(fault.command_chain or ())])
    # Cyclopts would import every command to list them; the names are enough.
    commands = [name for name in here if not name.startswith("-")]
    match fault:
        case CycloptsError(command_chain=["train", _], root_input_tokens=[*given]) if _RESUME in given:
            return f"{_RESUME} knows the family from the run: daedal train {_RESUME} RUN."
        case UnknownCommandError(unused_tokens=[token, *_]) | UnusedCliTokensError(unused_tokens=[token, *_]):
            what = _unknown(token, commands)
        case MissingArgumentError(argument=Argument() as argument, keyword=None) if not argument.tokens:
            what = f"{argument.name} is missing."
        case MissingArgumentError(argument=Argument() as argument):
            count, _ = argument.token_count()
            what = f"{fault.keyword or argument.name} needs {'a value' if count == 1 else f'{count} values'}."
        case CycloptsValidationError():
            what = _bad_value(fault)
        case UnknownOptionError(root_input_tokens=[*given]) if commands and not (
            word := [*given[len(fault.command_chain or ()) :], "-"][0]
        ).startswith("-"):
            what = _unknown(word, commands)  # the option may well be one of the command that was meant
        case _:
            what = str(fault)
    return f"{' '.join(what.split())} See {command} --help."


def _unknown(word: str, commands: list[str]) -> str:
    """What to say of a word that is neither a command nor an argument."""
    if word.startswith("-"):
        return f"Unknown option: {word}."
    if not commands:
        return f"Unexpected argument {word!r}."
    near = difflib.get_close_matches(word, commands, n=1)
    return f"Unknown command {word!r}. " + (f"Did you mean {near[0]!r}?" if near else f"Choose {_either(commands)}.")


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bad_value(fault: CycloptsValidationError) -> str:
    """The first field that pydantic refused, by the name of its option."""
    cause: Any = fault.__cause__
    if cause is None or not hasattr(cause, "errors"):
        return str(fault)
    first = cause.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ").removesuffix(".")
    names = [part for part in first["loc"] if isinstance(part, str)]
    if not names:
        return f"{message[:1].upper()}{message[1:]}."
    option = "--" + ".".join(names).replace("_", "-")
    return f"Invalid value {str(first.get('input'))!r} for {option}: {message[:1].lower()}{message[1:]}."


def _say(line: str) -> None:
    try:
        print(harmless(line), file=sys.stderr, flush=True)
    except OSError:
        return


def _silence_stdout() -> None:
    """Keep the interpreter from telling, when it flushes at its end, that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
