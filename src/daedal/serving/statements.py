"""Signed statements of texts that are answered: in a header, for whoever asks for one by `x-daedal-statement: 1`.

Whoever keeps the text in a file, and the header beside it as `<file>.signed.json`, can have it verified later.
"""

from functools import lru_cache
from typing import Any

from starlette.requests import Request

from daedal.safety.claim import Claim
from daedal.safety.sidecar import HEADER, statement
from daedal.safety.signing import Signer
from daedal.serving.supervisor import Model


def stated(request: Request, model: Model, text: str | None) -> dict[str, str]:
    """The header of an answer that is one text; none where nobody asks for it, or nothing is signed here."""
    signer: Signer | None = request.app.state.signer
    if signer is None or not text or request.headers.get(HEADER) != "1":
        return {}
    record: dict[str, Any] = {"model": model.name, "fingerprint": model.info["fingerprint"]}
    claim = Claim.of(record, training=_licences(request.app.state.settings.models.get(model.name, "")))
    return {HEADER: statement(signer, text.encode("utf-8", "replace"), "text/plain", claim)}


@lru_cache(64)
def _licences(run: str) -> tuple[str, ...]:
    from daedal.safety.marking import licences_of  # and with it NumPy, which a server otherwise needs not

    return licences_of(run) if run else ()
