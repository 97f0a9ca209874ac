"""How to sample, as options that `generate` and `chat` share."""

from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from daedal.cli.options import fields, given
from daedal.errors import DaedalError
from daedal.inference.sampling import SamplingOptions


class _Flags(SamplingOptions):
    __doc__ = SamplingOptions.__doc__
    logit_bias: Annotated[dict[int, float], Parameter(parse=False)] = Field(default_factory=dict)  # see LogitBias


Sampling = Annotated[_Flags | None, fields("Sampling")]
LogitBias = Annotated[list[str] | None, Parameter(negative=(), group="Sampling")]
"""`ID=BIAS`, several times: a number that is added to the logit of a token."""


def sampling(values: _Flags | None, logit_bias: list[str] | None) -> dict[str, Any]:
    """The sampling options that were given on the command line, by name."""
    options = given(values)
    if logit_bias:
        options["logit_bias"] = dict(_bias(text) for text in logit_bias)
    return options


def _bias(text: str) -> tuple[int, float]:
    token, _, bias = text.partition("=")
    try:
        return int(token), float(bias)
    except ValueError:
        raise DaedalError(f"{text!r} is not a logit bias", "Write it as ID=BIAS, such as 42=-100") from None
