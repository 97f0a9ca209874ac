"""How endpoints are asked, as options that commands share which ask models behind URLs."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from daedal.cli.options import fields
from daedal.config import Config
from daedal.errors import DaedalError


class RemoteFlags(Config):
    """How endpoints are asked.

    Attributes:
        api_key_env: The environment variable that holds the key; OPENAI_API_KEY unless given, if it is set. The key is never
            written anywhere.
        requests_per_minute: Requests to a URL, at most.
        most_requests: Requests to a URL that may be sent in all; 1,000 unless given, any number to this machine.
        price_in: Dollars for a million tokens of prompts.
        price_out: Dollars for a million tokens of answers.
        memory: A file to keep answers in; those of URLs are kept in the cache folder unless given.
        no_memory: Keep no answers, and take none that were kept.
    """

    api_key_env: str | None = None
    requests_per_minute: float | None = Field(None, gt=0)
    most_requests: int | None = Field(None, ge=1)
    price_in: float | None = Field(None, ge=0)
    price_out: float | None = Field(None, ge=0)
    memory: Path | None = None
    no_memory: Annotated[bool, Parameter(negative=())] = False


Remote = Annotated[RemoteFlags | None, fields("Models behind a URL")]


def remote(flags: RemoteFlags | None) -> dict[str, Any]:
    """The options of `open_respondent`.

    Raises:
        DaedalError: one price is given without the other, or `--memory` is a file of something else.
    """
    given = (flags or RemoteFlags()).model_dump(exclude_none=True)
    given["remember"] = not given.pop("no_memory")
    if "memory" in given:
        from daedal.prompting.memory import require_database

        require_database(given["memory"])
    prices = given.pop("price_in", None), given.pop("price_out", None)
    if prices != (None, None):
        from daedal.prompting.connection import Prices

        if None in prices:
            raise DaedalError("Prompts and answers both have a price", "Give --price-in and --price-out")
        given["prices"] = Prices(prompt=prices[0], completion=prices[1])
    return given


def use_threads_for(model: str) -> None:
    """Let PyTorch use as many threads as are fastest; where an API answers, PyTorch is not even loaded."""
    from daedal import api
    from daedal.prompting.address import is_url

    if not is_url(model):
        api.use_fastest_threads()
