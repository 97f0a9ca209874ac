"""`daedal plan FAMILY` and `daedal train FAMILY`: the same two commands for each family, with the options of its plan.

They are made when they are asked for, as `plan_gpt`, `train_vae` and so on: the plan of a family names the fields of its model,
and those come with PyTorch.
"""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model

from daedal.api import TEXT_TO_IMAGE
from daedal.cli import console, faults
from daedal.cli.options import Switch, fields, given
from daedal.cli.watch import watching
from daedal.config import Config
from daedal.families import line, table
from daedal.training.plan import options_of
from daedal.training.plans import plan_class

if TYPE_CHECKING:
    from daedal.api import TrainingResult
    from daedal.training.metrics import Listener

STAGES = "a tokenizer of pictures, and a GPT that draws with its tokens what captions say; or a flow that draws it"
"""What is trained for text to image."""

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
        A run folder whose codes of pictures to learn in place of pixels: of a vae for a flow, of a vqvae for a gpt.
"""


def __getattr__(name: str) -> Callable[..., None]:
    verb, _, family = name.partition("_")
    if name == "train_text_to_image":
        return _train(TEXT_TO_IMAGE, STAGES, _of_text_to_image())
    if verb not in ("plan", "train") or family not in table():
        raise AttributeError(name)
    options = options_of(plan_class(family))
    return _plan(family, options) if verb == "plan" else _train(family, line(family).says, options)


def _of_text_to_image() -> type[Config]:
    """The options of both priors; the plan of the one that is chosen refuses what is the other's alone."""
    settled = frozenset({"condition"})
    tokens, flow = (options_of(plan_class(family), settled).model_fields for family in ("gpt", "flow"))
    prior = Field(None, description="tokens: a tokenizer and a GPT; flow: a flow, all in one stage")
    fields: dict[str, Any] = {"prior": (Literal["tokens", "flow"] | None, prior)}
    fields |= {name: (field.annotation, field) for name, field in (flow | tokens).items()}
    options: type[Config] = create_model("TextToImageOptions", __base__=Config, **fields)
    return options


def _values(options: type[Config]) -> Any:
    return Annotated[options | None, fields("The plan (each value follows from budget and machine unless given)")]


def _plan(family: str, options: type[Config]) -> Callable[..., None]:
    def plan(
        *,
        data: Path,
        budget: str | None = None,
        init: str | None = None,
        codec: Path | None = None,
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


def _train(family: str, what: str, options: type[Config]) -> Callable[..., None]:
    def train(
        *,
        data: Path,
        out: Path,
        budget: str | None = None,
        init: str | None = None,
        codec: Path | None = None,
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

    opens = (
        "; it opens in Hugging Face Transformers as it is"
        if family != TEXT_TO_IMAGE and line(family).over == "tokens"
        else ""
    )
    train.__doc__ = f"Train {what}.\n{_OPTIONS}    out\n        The run folder to write{opens}.\n"
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
