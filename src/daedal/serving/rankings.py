"""POST /v1/rerank, /rerank and /v2/rerank, as Jina, Cohere and vLLM have it: documents by how well they fit a query."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id, read_usage
from daedal.serving.errors import parse
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.rerank import RerankRequest


async def rerank(request: Request) -> Response:
    """The documents that fit a query best, first: by the cosine of vectors, or by a classifier of two texts."""
    body = parse(RerankRequest, await read_json(request), request)
    model = await able(request, body.model, "rank")
    texts = body.texts
    result = await unless_gone(request, model.ask("rank", owner(request), query=body.query, documents=texts))
    scores: list[float] = result["scores"]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[: body.top_n or None]
    return json_answer(
        {
            "id": new_id("rerank-"),
            "model": body.model,
            "results": [
                {
                    "index": place,
                    **({"document": {"text": texts[place]}} if body.return_documents else {}),
                    "relevance_score": scores[place],
                }
                for place in order
            ],
            "usage": read_usage(result["tokens"]),
        }
    )


routes = [Route(path, rerank, methods=["POST"]) for path in ("/v1/rerank", "/rerank", "/v2/rerank")]
