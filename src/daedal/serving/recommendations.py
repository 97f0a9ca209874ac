"""POST /v1/recommendations, our own: what somebody may like next."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id, now, read_usage
from daedal.serving.errors import parse
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.recommendations import RecommendationRequest


async def recommend(request: Request) -> Response:
    """Items, the likeliest first, with the probability of each among all that may be recommended."""
    body = parse(RecommendationRequest, await read_json(request), request)
    named = "liked" if body.liked is not None else "history"
    model = await able(request, body.model, "recommend", history=named)
    history = body.liked if body.history is None else body.history
    asked = {"history": history, "user": body.user, "n": body.n, "again": body.again, "exclude": body.exclude}
    result = await unless_gone(request, model.ask("recommend", owner(request), **asked))
    return json_answer(
        {
            "id": new_id("rec-"),
            "object": "list",
            "created": now(),
            "model": body.model,
            "data": [{"object": "recommendation", **each} for each in result["found"]],
            "usage": read_usage(result["tokens"]),
        }
    )


routes = [Route("/v1/recommendations", recommend, methods=["POST"])]
