"""Whether the server is well, what it counts, and which models it has."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daedal import __version__
from daedal.serving.errors import ApiError
from daedal.serving.supervisor import ModelCard, Models


async def health(request: Request) -> Response:
    """Whether the server runs."""
    return JSONResponse({"status": "ok", "version": __version__})


async def ready(request: Request) -> Response:
    """Whether it can be sent work: 503 until the models of its start are loaded, and once it is told to stop."""
    models = _models(request)
    if models.ready:
        return JSONResponse({"status": "ready"})
    raise ApiError(
        503, "The server is stopping" if models.closing else "Models are loading", code="not_ready", retry_after=1
    )


async def metrics(request: Request) -> Response:
    """The counters, for Prometheus."""
    counted, processes = request.app.state.metrics, _models(request).processes
    counted.loaded.set(sum(process.ready for process in processes))
    for process, stats in zip(processes, await asyncio.gather(*map(_stats, processes)), strict=True):
        counted.memory.labels(process.name).set(process.bytes)
        counted.crashes.labels(process.name).set(process.crashes)
        counted.running.labels(process.name).set(stats.get("running", 0))
        counted.waiting.labels(process.name).set(stats.get("waiting", 0))
        counted.cache_tokens.labels(process.name).set(stats.get("cache_tokens", 0))
    return Response(counted.text(), media_type="text/plain; version=0.0.4")


async def _stats(process: Any) -> dict[str, Any]:
    if not process.ready:
        return {}
    try:
        return await asyncio.wait_for(process.ask("stats", ""), 2)
    except (ApiError, TimeoutError):
        return {}


async def index(request: Request) -> Response:
    """The models that can be asked for, and their other names."""
    cards = await _models(request).cards()
    data = [_told(card) for card in cards]
    data += [{**_told(card), "id": alias, "root": card.id} for card in cards for alias in card.aliases]
    return JSONResponse({"object": "list", "data": data})


async def retrieve(request: Request) -> Response:
    """A model, and what is known of it."""
    name = request.path_params["model"]
    return JSONResponse({**_told(await _models(request).card(name)), "id": name})


async def delete(request: Request) -> Response:
    """Models are folders of their owner's: a client does not delete them."""
    await _models(request).card(request.path_params["model"])
    raise ApiError(403, "Models are not deleted through this server: delete the run folder", code="not_deletable")


async def load(request: Request) -> Response:
    """Load a model now."""
    model = await _models(request).open(request.path_params["model"])
    return JSONResponse({"id": model.name, "object": "model", "loaded": True})


async def unload(request: Request) -> Response:
    """Give up a model's memory; it is loaded again when it is asked for."""
    name = request.path_params["model"]
    await _models(request).unload(name)
    return JSONResponse({"id": name, "object": "model", "loaded": False})


def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


def _told(card: ModelCard) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": "daedal",
        "loaded": card.loaded,
    }
    if "can" in card.info:
        told["capabilities"] = card.info["can"]
    if "context" in card.info:
        told["max_model_len"] = card.info["context"]
    return told


routes = [
    Route("/health", health, methods=["GET"]),
    Route("/ready", ready, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    Route("/v1/models", index, methods=["GET"]),
    Route("/v1/models/{model:path}/load", load, methods=["POST"]),
    Route("/v1/models/{model:path}/unload", unload, methods=["POST"]),
    Route("/v1/models/{model:path}", retrieve, methods=["GET"]),
    Route("/v1/models/{model:path}", delete, methods=["DELETE"]),
]
