"""POST /v1/moderations: an honest answer until there is a model that can tell."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.errors import ApiError, parse
from daedal.serving.limits import read_json
from daedal.serving.schema.moderations import ModerationRequest


async def moderations(request: Request) -> Response:
    """
    Raises:
        ApiError: always: no model here moderates.
    """
    body = parse(ModerationRequest, await read_json(request))
    message = f"No moderation model is loaded, so {body.model!r} is not there; nothing was judged"
    raise ApiError(404, message, param="model", code="model_not_found")


routes = [Route("/v1/moderations", moderations, methods=["POST"])]
