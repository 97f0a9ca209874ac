"""The families by name, and the plan of each."""

from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.training.plan import GPTPlan, Plan

FAMILIES = ("gpt", "vae", "vqvae", "gan", "flow", "clip")


def plan_class(family: str) -> type[Plan]:
    """The plan of a family.

    Raises:
        DaedalError: there is no such family.
    """
    if family == "gpt":
        return GPTPlan
    if family not in FAMILIES:
        raise DaedalError(f"There is no family {family!r}", f"Use one of {', '.join(FAMILIES)}")
    from daedal.training.picture_plan import PLANS

    return PLANS[family]


def read_plan(values: Any, path: Path) -> Plan:
    """The plan in a JSON value.

    Raises:
        DaedalError: it holds none.
    """
    if not isinstance(values, dict):
        raise DaedalError(f"{path} does not hold a plan", "Restore it from a copy, or train again")
    return plan_class(str(values.get("family", "gpt"))).parse(values, str(path))
