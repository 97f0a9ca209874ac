"""Options that several commands share, and how the values of a configuration become options."""

import json
from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from daedal.config import Config
from daedal.errors import DaedalError

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is only ever switched on."""


def fields(group: str) -> Parameter:
    """Marks a configuration whose fields are all options of the command, under their own names."""
    return Parameter(name="*", group=group, negative_iterable=())


def given(values: Config | None) -> dict[str, Any]:
    """The values that were given on the command line, by name."""
    return {} if values is None else values.model_dump(exclude_unset=True)


def named_values(pairs: Iterable[str]) -> dict[str, Any]:
    """Values from texts such as `min_items=5`, by name; numbers, true and false are what they are in JSON.

    Raises:
        DaedalError: one is no such text.
    """
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise DaedalError(f"--set {pair}: there is no =", "Write it as --set min_items=5")
        try:
            values[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            values[name.replace("-", "_")] = value
    return values


def texts_by_name(pairs: Iterable[str]) -> dict[str, str]:
    """The texts of `--set NAME=TEXT`, by name, as they are.

    Raises:
        DaedalError: one is no such text, or a name stands twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise DaedalError(f"--set {pair}: there is no =", "Write it as --set topic=sheep")
        if name in values:
            raise DaedalError(f"--set gives {name} twice", "Give it once")
        values[name] = value
    return values


def numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers with commas between, no two alike.

    Raises:
        DaedalError: these are others.
    """
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = (-1,)
    if min(found) < 0 or len(set(found)) < len(found):
        raise DaedalError(f"{option} {text}: these are no different numbers", "Write them as 0,1,5")
    return found
