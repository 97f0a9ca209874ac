"""POST /v1/moderations: what a classifier that the server was given for it says; without one, an honest answer."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.errors import DaedalError
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id
from daedal.serving.errors import ApiError, parse, shown
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.moderation_categories import ModerationCategories
from daedal.serving.schema.moderations import ModerationRequest
from daedal.serving.settings import Settings

_OFFICIAL = ("omni-moderation", "text-moderation")
"""How the names of OpenAI's moderation models begin, which stand for whatever this server has."""
_FLAGGED = 0.5


async def moderations(request: Request) -> Response:
    """Whether texts are of the categories of OpenAI's moderation, by the classifier of `--moderation`; 404 without one.

    Raises:
        ApiError: no model here moderates, or not the one that is named.
    """
    body = parse(ModerationRequest, await read_json(request))
    settings: Settings = request.app.state.settings
    name = settings.moderation
    if name is None:
        message = f"No moderation model is loaded, so '{shown(body.model)}' is not there; nothing was judged"
        raise ApiError(404, message, param="model", code="model_not_found")
    if not body.model.startswith(_OFFICIAL) and settings.aliases.get(body.model, body.model) != name:
        message = f"The moderation model here is '{name}', not '{shown(body.model)}'; nothing was judged"
        raise ApiError(404, message, param="model", code="model_not_found")
    model = await able(request, name, "classify", inputs="input")
    try:
        categories = ModerationCategories.of(model.info["classes"], model.info["problem"], settings.moderation_map)
    except DaedalError as error:  # of a model of the hub, whose labels nobody knew when the server started
        raise ApiError(503, str(error), code="model_load_failed") from None
    inputs = [{"text": text} for text in body.texts]
    result = await unless_gone(request, model.ask("classify", owner(request), inputs=inputs))
    results = [_result(categories, found["probs"]) for found in result["found"]]
    return json_answer({"id": new_id("modr-"), "model": body.model, "results": results})


def _result(categories: ModerationCategories, probabilities: list[float]) -> dict[str, Any]:
    scores = categories.scores(probabilities)
    flags = {each: score >= _FLAGGED for each, score in scores.items()}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {
            each: ["text"] if places else [] for each, places in categories.labels.items()
        },
    }


routes = [Route("/v1/moderations", moderations, methods=["POST"])]
