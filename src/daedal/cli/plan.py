"""`daedal plan`: what would be trained, why, how long it takes and how good it should be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App

from daedal.cli import console
from daedal.cli.options import Switch, fields, given

if TYPE_CHECKING:
    from daedal.config import Config as PlanOptions  # it is made at run time from the fields of the plan
else:
    from daedal.training.plan import PlanOptions

PlanValues = Annotated[PlanOptions | None, fields("The plan (each value follows from budget and machine unless given)")]

app = App(name="plan", help_format="plaintext")


@app.command
def gpt(
    *,
    data: Path,
    budget: str | None = None,
    init: str | None = None,
    json: Switch = False,
    values: PlanValues = None,
) -> None:
    """Plan a GPT: a Transformer that learns to go on with a text.

    Parameters
    ----------
    data
        The data folder that `daedal data build` made.
    budget
        Time for the whole run, such as 30s, 3m or 1h30m. [default: 3m, unless --steps is given]
    init
        A run folder or Hugging Face id to start from instead of random weights.
    json
        Print the plan as JSON.
    """
    from daedal import api

    plan = api.make_plan("gpt", data=data, budget=budget, init=init, **given(values))
    if json:
        console.show_json(plan)
    else:
        console.show(plan.explain())
