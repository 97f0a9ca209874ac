"""The plan of each family."""

from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.families import line, part
from daedal.training.plan import Plan


def plan_class(family: str) -> type[Plan]:
    """The plan of a family.

    Raises:
        DaedalError: there is no such family.
    """
    found: type[Plan] = part(line(family).plan)
    return found


def read_plan(values: Any, path: Path) -> Plan:
    """The plan in a JSON value.

    Raises:
        DaedalError: it holds none.
    """
    if not isinstance(values, dict):
        raise DaedalError(f"{path} does not hold a plan", "Restore it from a copy, or train again")
    return plan_class(str(values.get("family", "gpt"))).parse(values, str(path))
