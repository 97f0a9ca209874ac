"""`daedal plan FAMILY` and `daedal train FAMILY`: the same two commands for each family, with the options of its plan.

They are made when they are asked for, as `plan_gpt`, `train_vae` and so on: the plan of a family names the fields of its model,
and those come with PyTorch.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli import console, faults
from daedal.cli.options import Switch, fields, given
from daedal.cli.watch import watching
from daedal.config import Config
from daedal.families import ALIGNMENTS, PIPELINES, TUNINGS, line, part, table
from daedal.training.plan import options_of, plan_classes

if TYPE_CHECKING:
    from daedal.training.metrics import Listener
    from daedal.training.session import TrainingResult

_OPTIONS = """
    Parameters
    ----------
    data
        The data folder that `daedal data build` made.
    budget
        Time for the whole run, such as 30s, 3m or 1h30m. [default: 3m, unless --steps is given]
    init
        A run folder or Hugging Face id to start from instead of random weights.
    codec
        A run folder whose codes to learn, in place of pixels or frames: of a vae for a flow, of a vqvae for a gpt, of
        soundtokens for a soundgpt; or which makes sound of frames: a vocoder for speech.
"""
_ALIGNED = (
    "A run folder or Hugging Face id to start from instead of random weights.",
    "The model to align: a run folder or Hugging Face id.",
)


def __getattr__(name: str) -> Callable[..., None]:
    verb, _, asked = name.partition("_")
    if verb == "train":
        for family, pipeline in PIPELINES.items():
            if asked == family.replace("-", "_"):
                return _train(family, pipeline.says, part(pipeline.options)())
    known = {"plan": table() | TUNINGS, "train": table() | TUNINGS, "align": ALIGNMENTS}.get(verb, {})
    if asked not in known:
        raise AttributeError(name)
    options, says = options_of(plan_classes(asked)), known[asked].says
    if verb == "plan":
        return _plan(asked, options)
    return _train(asked, f"a model {says}" if verb == "align" else says, options, verb)


def _values(options: type[Config]) -> Any:
    return Annotated[options | None, fields("The plan (each value follows from budget and machine unless given)")]


def _codec(family: str) -> Any:
    """The option of what turns pictures into codes: listed by the families that learn them, refused in a line by the others."""
    learns = family in PIPELINES or line(family).codes_of is not None
    return Annotated[Path | None, Parameter(show=learns)]


def _plan(family: str, options: type[Config]) -> Callable[..., None]:
    def plan(
        *,
        data: Path,
        budget: str | None = None,
        init: str | None = None,
        codec: _codec(family) = None,  # type: ignore[valid-type]
        json: Switch = False,
        values: _values(options) = None,  # type: ignore[valid-type]
    ) -> None:
        from daedal import api

        made = api.make_plan(family, data=data, budget=budget, init=init, codec=codec, **given(values))
        if json:
            console.show_json(made)
        else:
            console.show(made.explain())

    plan.__doc__ = f"Plan {line(family).says}.\n{_OPTIONS}    json\n        Print the plan as JSON.\n"
    return plan


def _train(family: str, what: str, options: type[Config], verb: str = "train") -> Callable[..., None]:
    def train(
        *,
        data: Path,
        out: Path,
        budget: str | None = None,
        init: str | None = None,
        codec: _codec(family) = None,  # type: ignore[valid-type]
        values: _values(options) = None,  # type: ignore[valid-type]
    ) -> None:
        from daedal import api

        finish(
            out,
            lambda listener: api.train(
                family,
                data=data,
                out=out,
                budget=budget,
                init=init,
                codec=codec,
                progress=listener,
                **given(values),
            ),
        )

    opens = "; it opens in Hugging Face Transformers as it is" if family == "gpt" else ""
    told = _OPTIONS.replace(*_ALIGNED) if verb == "align" else _OPTIONS
    train.__doc__ = f"{verb.capitalize()} {what}.\n{told}    out\n        The run folder to write{opens}.\n"
    return train


def finish(run: Path, train: "Callable[[Listener], TrainingResult]") -> None:
    """Train, and tell the result; when asked to stop, tell how to go on. SIGTERM is no failure, Ctrl-C ends with 130."""
    from daedal.training.trainer import Interrupted

    try:
        with watching() as listener:
            result = train(listener)
    except Interrupted as stop:
        console.note(f"Stopped at step {stop.step}, and saved. Go on with: daedal train --resume {run}")
        sys.exit(faults.INTERRUPTED if stop.asked is signal.SIGINT else 0)
    if text := result.summary():  # under torchrun only one process has something to tell
        console.show(text)
