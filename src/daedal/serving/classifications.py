"""POST /v1/classify and /classify, as vLLM has it: what texts are."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id, now, read_usage
from daedal.serving.errors import parse
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.classify import ClassifyRequest


async def classify(request: Request) -> Response:
    """Of each text its label, and the probabilities of all labels, in the order of `classes`."""
    body = parse(ClassifyRequest, await read_json(request), request)
    model = await able(request, body.model, "classify", inputs="input")
    inputs = [{"text": each} if isinstance(each, str) else each.command for each in body.input]
    result = await unless_gone(request, model.ask("classify", owner(request), inputs=inputs))
    several = model.info["problem"] == "several"
    return json_answer(
        {
            "id": new_id("classify-"),
            "object": "list",
            "created": now(),
            "model": body.model,
            "classes": model.info["classes"],
            "data": [_entry(index, found, several) for index, found in enumerate(result["found"])],
            "usage": read_usage(result["tokens"]),
        }
    )


def _entry(index: int, found: dict[str, Any], several: bool) -> dict[str, Any]:
    """What is told of a text: `labels` where it may have several, `value` of a number, `cut` of one longer than the context."""
    told = {"index": index, "label": found["label"], "probs": found["probs"], "num_classes": len(found["probs"])}
    if several:
        told["labels"] = found["labels"]
    if found["value"] is not None:
        told["value"] = found["value"]
    return {**told, "cut": True} if found["cut"] else told


routes = [Route(path, classify, methods=["POST"]) for path in ("/v1/classify", "/classify")]
