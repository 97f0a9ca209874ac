"""A model by what a user calls it: a run folder, an id of the Hugging Face Hub, or the URL of an API."""

from pathlib import Path
from typing import TYPE_CHECKING

from daedal.errors import DaedalError
from daedal.printable import printable
from daedal.prompting.address import is_here, is_url, looks_like_url, split_url
from daedal.prompting.connection import Prices
from daedal.prompting.endpoint import Endpoint
from daedal.prompting.memory import Remembered
from daedal.prompting.respondent import Respondent

if TYPE_CHECKING:
    from daedal.safety.text_marks.text_mark import TextMark

MOST_REQUESTS = 1000
"""To a machine that is not this one, unless more are allowed."""


def open_respondent(
    place: str | Path,
    *,
    api_key_env: str | None = None,
    model: str | None = None,
    memory: Path | None = None,
    requests_per_minute: float | None = None,
    most_requests: int | None = None,
    prices: Prices | None = None,
    remember: bool = True,
    watermark: "TextMark | None" = None,
) -> Respondent:
    """Whoever answers there.

    What an endpoint answers is kept (`memory.py`), and what a model on this machine says only where a `memory` is given.

    Args:
        place: a run folder, a Hub id, or a URL such as `http://127.0.0.1:8000/v1`, with `#MODEL` where it serves several.
        api_key_env: the environment variable that holds the key; OPENAI_API_KEY unless given, if it is set.
        model: the name of an endpoint's model.
        memory: the file that answers are kept in.
        requests_per_minute: to an endpoint, at most.
        most_requests: to an endpoint, at most; 1,000 unless given, and any number to this machine.
        prices: of an endpoint's tokens.
        remember: whether answers are kept.
        watermark: what a model on this machine marks sampled answers with; an endpoint marks its own.

    Raises:
        DaedalError: there is no such model, or it cannot be asked.
    """
    if looks_like_url(str(place)):
        raise DaedalError(f"{printable(str(place))[:80]} has no http:// before it", f"Write it as http://{place}")
    if not is_url(str(place)):
        if model is not None:
            raise DaedalError(f"{place} is one model, and {model} another", "Name one of them")
        from daedal.prompting.local import LocalModel  # and with it PyTorch, which an endpoint needs not

        local = LocalModel(place, watermark)
        return Remembered(local, memory) if memory is not None and remember else local
    if most_requests is None and not is_here(split_url(str(place))[0]):
        most_requests = MOST_REQUESTS
    endpoint = Endpoint(
        str(place), model=model, api_key_env=api_key_env, requests_per_minute=requests_per_minute,
        most_requests=most_requests, prices=prices,
    )  # fmt: skip
    return Remembered(endpoint, memory) if remember else endpoint
