"""Options that several commands share, and how the values of a configuration become options."""

from typing import Annotated, Any

from cyclopts import Parameter

from daedal.config import Config

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is only ever switched on."""


def fields(group: str) -> Parameter:
    """Marks a configuration whose fields are all options of the command, under their own names."""
    return Parameter(name="*", group=group, negative_iterable=())


def given(values: Config | None) -> dict[str, Any]:
    """The values that were given on the command line, by name."""
    return {} if values is None else values.model_dump(exclude_unset=True)
