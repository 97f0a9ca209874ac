"""POST /v1/moderations: what the classifier and the rules that the server moderates by say; without any, an honest answer."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.safety.moderation.categories import CATEGORIES
from daedal.safety.moderation.verdict import Verdict
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id
from daedal.serving.errors import ApiError, parse, shown
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.moderation import moderation
from daedal.serving.schema.moderations import ModerationRequest
from daedal.serving.settings import Settings

_OFFICIAL = ("omni-moderation", "text-moderation")
"""How the names of OpenAI's moderation models begin, which stand for whatever this server has."""


async def moderations(request: Request) -> Response:
    """Whether texts are of the categories of OpenAI's moderation, or of those of the rules, by what `serve` was told to
    moderate by; 404 where nothing moderates.

    Raises:
        ApiError: no model here moderates, or not the one that is named.
    """
    body = parse(ModerationRequest, await read_json(request))
    settings: Settings = request.app.state.settings
    judge = moderation(request)
    if not judge.on:
        message = f"No moderation model is loaded, so '{shown(body.model)}' is not there; nothing was judged"
        raise ApiError(404, message, param="model", code="model_not_found")
    own = judge.name or "rules"
    if not body.model.startswith(_OFFICIAL) and settings.aliases.get(body.model, body.model) != own:
        message = f"The moderation model here is '{own}', not '{shown(body.model)}'; nothing was judged"
        raise ApiError(404, message, param="model", code="model_not_found")
    verdicts = await unless_gone(request, judge.judge(body.texts, owner(request)))
    results = [_result(verdict, judge.threshold) for verdict in verdicts]
    return json_answer({"id": new_id("modr-"), "model": body.model, "results": results})


def _result(verdict: Verdict, threshold: float) -> dict[str, Any]:
    scores = {**dict.fromkeys(CATEGORIES, 0.0), **verdict.scores}
    return {
        "flagged": verdict.flagged,
        "categories": {each: score >= threshold for each, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {each: ["text"] if each in verdict.scores else [] for each in scores},
    }


routes = [Route("/v1/moderations", moderations, methods=["POST"])]
