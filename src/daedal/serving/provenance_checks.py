"""POST /v1/content_provenance_checks: where a file comes from, in OpenAI's shape, by `daedal.evaluation.verification`.

OpenAI's results are of two types: `c2pa`, and `synthid` for a watermark, which here is that of this installation; `scheme` says
which. What goes beyond them stands in `verdict`. Nothing tells who asked for what was made.
"""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.errors import DaedalError
from daedal.serving.answers import json_answer, now
from daedal.serving.errors import ApiError
from daedal.serving.forms import read_file, read_form
from daedal.serving.limits import unless_gone
from daedal.serving.settings import Settings

if TYPE_CHECKING:
    from daedal.evaluation.verification.evidence import Verification

_ABREAST = 2
"""Files that are looked at at once: each takes a core."""
_TOKENIZERS = 8
"""Models that are served whose tokenizers are tried of a text."""
_STATES = {"none": "not_present", "whole": "valid", "changed": "invalid", "expired": "invalid", "unreadable": "invalid"}


async def content_provenance_checks(request: Request) -> Response:
    """Whether a file carries a signature or a watermark, and what that says of where it comes from.

    Raises:
        ApiError: the file is none that can be looked at.
    """
    async with read_form(request, {"file"}, set()) as form:
        data = base64.b64decode(await read_file(form.file("file"), "file", "file", "invalid_file"))
    settings: Settings = request.app.state.settings
    runs = [where for where in settings.models.values() if (Path(where) / "tokenizer.json").is_file()]
    found = await unless_gone(request, _verified(data, runs[:_TOKENIZERS]))
    return json_answer(
        {
            "object": "content_provenance_check",
            "created_at": now(),
            "results": [_signature(found), _watermark(found)],
            "verdict": {
                "outcome": found.outcome,
                "told": found.told,
                "parts": [part.model_dump(mode="json") for part in found.parts],
            },
        }
    )


async def _verified(data: bytes, runs: list[str]) -> "Verification":
    """
    Raises:
        ApiError: 400, the file cannot be looked at.
    """
    from daedal.evaluation.verification.artifact import Artifact
    from daedal.evaluation.verification.verdict import verify

    def look() -> "Verification":
        return verify(Artifact.of_bytes(data, "The file"), runs=runs)

    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), look)
    except DaedalError as error:
        raise ApiError(400, str(error), param="file", code="invalid_file") from None


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_ABREAST, thread_name_prefix="verify")


def _signature(found: "Verification") -> dict[str, Any]:
    whole = found.signature.state == "whole"
    claim = found.signature.claim if whole else None
    trusted = whole and found.signature.by != "somebody else"
    return {
        "type": "c2pa",
        "outcome": _outcome(whole and found.signature.generated),
        "validation_state": "trusted" if trusted else _STATES[found.signature.state],
        "issuer": found.signature.issuer,
        "model": None if claim is None else claim.model,
        "generated_at": found.signature.made if whole else None,
    }


def _watermark(found: "Verification") -> dict[str, Any]:
    part = found.part("watermark")
    scheme = None if found.mark is None else found.mark.scheme
    entry = found.marked_entry
    return {
        "type": "synthid",
        "outcome": _outcome(part.says == "made here"),
        "model": None if entry is None else entry.model,
        "generated_at": None if entry is None else entry.made,
        "scheme": scheme,
        "p_value": part.p_value,
    }


def _outcome(detected: bool) -> str:
    return "detected" if detected else "not_detected"


routes = [Route("/v1/content_provenance_checks", content_provenance_checks, methods=["POST"])]
