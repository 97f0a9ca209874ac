"""GET /openapi.json: what is served, as OpenAPI 3.1, made from the routes and from the schemas that requests are checked with.

Requests are described field by field. Of answers it says the status, the content type and, of errors, the shape. A rule that
JSON Schema has no words for (one field beside another) is not in it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal import __version__
from daedal.serving.access import OPEN
from daedal.serving.answers import json_answer
from daedal.serving.schema import (
    base,
    chat,
    classify,
    completions,
    embeddings,
    images,
    inference,
    messages,
    moderations,
    music,
    queries,
    recommendations,
    rerank,
    responses,
    speech,
    tokens,
    transcriptions,
    videos,
)

TAKES: dict[str, type[base.Request] | None] = {
    "POST /v1/chat/completions": chat.ChatRequest,
    "POST /v1/completions": completions.CompletionRequest,
    "POST /v1/responses": responses.ResponseRequest,
    "POST /v1/responses/input_tokens": responses.InputTokensRequest,
    "GET /v1/responses/{response_id}": queries.RetrieveQuery,
    "DELETE /v1/responses/{response_id}": None,
    "POST /v1/responses/{response_id}/cancel": None,
    "GET /v1/responses/{response_id}/input_items": queries.ItemsQuery,
    "POST /v1/embeddings": embeddings.EmbeddingRequest,
    **dict.fromkeys(("POST /v1/classify", "POST /classify"), classify.ClassifyRequest),
    **dict.fromkeys(("POST /v1/rerank", "POST /rerank", "POST /v2/rerank"), rerank.RerankRequest),
    "POST /v1/recommendations": recommendations.RecommendationRequest,
    "POST /models/{model}": inference.InferenceRequest,
    "POST /v1/images/generations": images.GenerationRequest,
    "POST /v1/images/edits": images.EditRequest,
    "POST /v1/images/variations": images.VariationRequest,
    "POST /v1/audio/speech": speech.SpeechRequest,
    "POST /v1/audio/transcriptions": transcriptions.TranscriptionRequest,
    "POST /v1/audio/music": music.MusicRequest,
    "POST /v1/videos": videos.VideoRequest,
    "GET /v1/videos": videos.VideosQuery,
    "GET /v1/videos/{video_id}": None,
    "DELETE /v1/videos/{video_id}": None,
    "GET /v1/videos/{video_id}/content": videos.ContentQuery,
    "POST /v1/messages": messages.MessageRequest,
    "POST /v1/messages/count_tokens": messages.CountRequest,
    "POST /v1/moderations": moderations.ModerationRequest,
    "POST /v1/content_provenance_checks": None,
    "POST /tokenize": tokens.TokenizeRequest,
    "POST /detokenize": tokens.DetokenizeRequest,
    "GET /tokenizer_info": tokens.TokenizerQuery,
}
"""Of each endpoint that makes or reads something, what it takes: a body, or for GET a query; None: nothing."""
_TEXT: JsonSchemaValue = {"type": "string"}
_FILE: JsonSchemaValue = {"type": "string", "contentMediaType": "application/octet-stream"}
_FORMS: dict[str, tuple[dict[str, JsonSchemaValue], list[str]]] = {
    "POST /v1/images/edits": ({"image": _FILE, "mask": _FILE}, ["image"]),
    "POST /v1/images/variations": ({"image": _FILE}, ["image"]),
    "POST /v1/audio/transcriptions": ({"file": _FILE}, ["file"]),
    "POST /v1/videos": ({"input_reference": _FILE}, []),
    "POST /v1/content_provenance_checks": ({"file": _FILE}, ["file"]),
    "POST /v1/files": (
        {
            "file": _FILE,
            "purpose": _TEXT,
            "expires_after[anchor]": {"const": "created_at"},
            "expires_after[seconds]": {"type": "integer"},
        },
        ["file", "purpose"],
    ),
}
"""Endpoints that take forms: fields besides those of the schema, and which of them are needed."""
_EITHER = "POST /v1/videos"
"""Takes JSON too."""
_LISTED = {"limit": {"type": "integer"}, "order": {"enum": ["asc", "desc"]}, "after": _TEXT, "purpose": _TEXT}
_SOUNDS = ("audio/mpeg", "audio/ogg", "audio/flac", "audio/wav")
_OTHER_ANSWERS: dict[str, tuple[str, ...]] = {
    "GET /metrics": ("text/plain",),
    "GET /v1/files/{id}/content": ("application/octet-stream",),
    "POST /v1/audio/speech": (*_SOUNDS, "audio/pcm", "text/event-stream"),
    "POST /v1/audio/transcriptions": ("application/json", "text/plain", "text/event-stream"),
    "POST /v1/audio/music": ("audio/midi", *_SOUNDS, "application/json"),
    "GET /v1/videos/{video_id}/content": ("video/mp4", "image/webp", "image/png"),
}
"""Types of content, of those that answer with something else than JSON."""
_ALWAYS, _WITH_BODY = (400, 401, 403, 404, 429, 500, 503), (408, 409, 413, 415)
_SAID = {
    400: "Something in the request is wrong", 401: "A key is needed", 403: "The key or the page may not",
    404: "There is no such thing", 408: "The request came too slowly", 409: "It is busy", 413: "The request is too large",
    415: "Of another content type", 416: "There is no such part", 429: "Too many requests: try again later",
    500: "A fault of the server", 503: "Not now: try again later",
}  # fmt: skip


class _Schemas(GenerateJsonSchema):
    """Requests as they are taken, which is wider than what they become."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Lists and objects that a text may stand for, as that of `stop` or `content`."""
        made = super().function_before_schema(schema)
        whole = schema["schema"]["type"] in ("model", "model-fields")
        plain = not made or made.get("type") == "string" or "enum" in made or "const" in made
        return made if whole or plain else {"anyOf": [made, _TEXT]}

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """A field that is refused but for what asks for nothing, or one of which no value is used."""
        check = getattr(schema["function"]["function"], "__self__", None)
        if isinstance(check, base.Refused):
            return {"enum": [*check.neutral, None], "description": f"not supported: {check.why}"}
        if isinstance(check, base.Unused):
            return {"description": "accepted, not used, and named in x-daedal-unused"}
        return super().function_plain_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """With null for whatever may be left out."""
        made = super().model_schema(schema)
        needed = made.get("required", ())
        for name, field in made.get("properties", {}).items():
            nothing = None in field.get("enum", ()) or {"type": "null"} in field.get("anyOf", ())
            if name not in needed and not nothing:
                shown = {key: field.pop(key) for key in ("description", "default") if key in field}
                made["properties"][name] = {"anyOf": [field, {"type": "null"}], **shown}
        return made


async def openapi(request: Request) -> Response:
    """What is served, as OpenAPI has it."""
    settings = request.app.state.settings
    found = [route for route in request.app.routes if isinstance(route, Route)]
    return json_answer(description(found, settings.root_path, settings.keys is not None))


def description(routes: Sequence[Route], prefix: str = "", keys: bool = False) -> dict[str, Any]:
    """The whole document.

    Args:
        prefix: of all paths, as clients see them.
        keys: whether a key is needed.
    """
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Daedal", "version": __version__},
        "servers": [{"url": prefix or "/"}],
        "paths": {},
        "components": {"schemas": {**_components(), "Error": _error(), "AnthropicError": _anthropic_error()}},
    }
    if keys:
        made["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
    for route in routes:
        path = re.sub(r":path}", "}", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            operation = _operation(f"{method} {path}", route)
            if keys and path not in OPEN:
                operation["security"] = [{"bearer": []}, {"header": []}]
            made["paths"].setdefault(path, {})[method.lower()] = operation
    return made


def _operation(name: str, route: Route) -> dict[str, Any]:
    """What one method of one route takes and answers."""
    method, _, path = name.partition(" ")
    told = " ".join((route.endpoint.__doc__ or "").split("Raises:")[0].split())
    named = "_".join(re.findall(r"\w+", f"{method.lower()} {path}"))
    places = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for part in re.findall(r"{(\w+)}", path)
    ]
    query = TAKES.get(name) if method == "GET" else None
    if query is not None or name == "GET /v1/files":
        fields = _LISTED if query is None else _components()[query.__name__]["properties"]
        places += [{"name": field, "in": "query", "schema": schema} for field, schema in fields.items()]
    body = _body(name)
    operation: dict[str, Any] = {
        "operationId": named,
        "summary": told,
        "responses": _answers(name, path, body is not None),
    }
    return operation | ({"parameters": places} if places else {}) | ({"requestBody": body} if body else {})


def _body(name: str) -> dict[str, Any] | None:
    model = TAKES.get(name) if name.startswith("POST ") else None
    if name in _FORMS:
        files, needed = _FORMS[name]
        own: dict[str, Any] = (
            _components()[model.__name__] if model is not None else {"type": "object", "additionalProperties": False}
        )
        form = {
            **own,
            "properties": {**own.get("properties", {}), **files},
            "required": [*own.get("required", ()), *needed],
        }
        plain = {"application/json": {"schema": _reference(model.__name__)}} if model and name == _EITHER else {}
        return {"required": True, "content": {"multipart/form-data": {"schema": form}, **plain}}
    if model is None:
        return None
    return {"required": True, "content": {"application/json": {"schema": _reference(model.__name__)}}}


def _answers(name: str, path: str, body: bool) -> dict[str, Any]:
    """By status."""
    kinds = _OTHER_ANSWERS.get(name, ("application/json",))
    content: dict[str, Any] = {
        kind: {"schema": {"type": "object"} if kind == "application/json" else {}} for kind in kinds
    }
    model = TAKES.get(name)
    if body and model is not None and "stream" in model.model_fields:
        content["text/event-stream"] = {"schema": _TEXT}
    shape = _reference("AnthropicError" if path.startswith("/v1/messages") else "Error")
    statuses = [*_ALWAYS, *(_WITH_BODY if body or path.endswith("load") else ())]
    ranges = name == "GET /v1/files/{id}/content"
    failed = {"application/json": {"schema": shape}}
    return {
        "200": {"description": "Done", "content": content},
        **({"206": {"description": "A part", "content": content}} if ranges else {}),
        **{
            str(status): {"description": _SAID[status], "content": failed}
            for status in sorted([*statuses, *([416] if ranges else [])])
        },
    }


@cache
def _components() -> dict[str, Any]:
    """The schemas of all requests and of what is in them."""
    models = [model for model in TAKES.values() if model is not None]
    inputs = [(model, "validation", model.__pydantic_core_schema__) for model in models]
    maker = _Schemas(ref_template="#/components/schemas/{model}")
    _, made = maker.generate_definitions(inputs)  # type: ignore[arg-type]
    return {str(name): schema for name, schema in made.items()}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _error() -> Mapping[str, Any]:
    """As `errors.body` writes it."""
    maybe = {"type": ["string", "null"]}
    inner = {"message": _TEXT, "type": _TEXT, "param": maybe, "code": maybe}
    return _closed(error=_closed(**inner))


def _anthropic_error() -> Mapping[str, Any]:
    return _closed(type={"const": "error"}, error=_closed(type=_TEXT, message=_TEXT))


def _closed(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


routes = [Route("/openapi.json", openapi, methods=["GET"])]
