"""`/v1/files`: files that a client keeps here."""

import asyncio
import os
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from daedal.serving.access import owner
from daedal.serving.errors import ApiError, shown
from daedal.serving.forms import read_form
from daedal.serving.store import Files, StoredFile

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MOST = 10_000
_SHORTEST, _LONGEST = 3600, 2_592_000
"""Seconds after which a file may be gone."""


async def create(request: Request) -> Response:
    """Keep a file: a form with `file` and `purpose`."""
    async with read_form(request, {"file"}, {"purpose", "expires_after[anchor]", "expires_after[seconds]"}) as form:
        purpose = form.text("purpose")
        if purpose not in PURPOSES:
            raise ApiError(400, f"purpose is one of {', '.join(PURPOSES)}", param="purpose", code="invalid_value")
        upload = form.file("file")
        name = (upload.filename or "file")[:255]
        stored = await _files(request).add(owner(request), upload.file, name, purpose, _seconds(form.texts))
    return JSONResponse(_told(stored))


async def index(request: Request) -> Response:
    """The files of the key that asks, a page at a time."""
    query = dict(request.query_params)
    for name in query:
        if name not in ("purpose", "after", "limit", "order"):
            raise ApiError(400, "There is no such field", param=name, code="unknown_parameter")
    limit = query.get("limit", str(_MOST))
    if not 1 <= _number(limit) <= _MOST:
        raise ApiError(400, f"limit is a number from 1 to {_MOST}", param="limit", code="invalid_value")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ApiError(400, "order is asc or desc", param="order", code="invalid_value")
    most = int(limit)
    found = await _files(request).page(
        owner(request), query.get("purpose"), query.get("after"), most + 1, order == "desc"
    )
    page = [_told(file) for file in found[:most]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return JSONResponse({"object": "list", "data": page, "has_more": len(found) > most, **ends})


async def retrieve(request: Request) -> Response:
    """What is known of a file."""
    return JSONResponse(_told(await _found(request)))


async def content(request: Request) -> Response:
    """The bytes of a file: to be saved, never to be shown as a page."""
    file = await _found(request)
    path = _files(request).path(file)
    try:
        told = await asyncio.to_thread(os.stat, path)
    except FileNotFoundError:
        raise _missing(file.id) from None
    return _Download(
        path,
        media_type="application/octet-stream",
        filename=file.filename,
        stat_result=told,
        content_disposition_type="attachment",
    )


class _Download(FileResponse):
    """A range that cannot be given is told in the one shape of errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def checked(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                size = Headers(raw=message["headers"]).get("content-range")
                said = "The header range is damaged" if size is None else "The file has no bytes there"
                also = None if size is None else {"content-range": size}
                raise ApiError(message["status"], said, param="range", code="invalid_range", also=also)
            await send(message)

        await super().__call__(scope, receive, checked)


async def delete(request: Request) -> Response:
    """Forget a file."""
    file = await _found(request)
    await _files(request).delete(owner(request), file.id)
    return JSONResponse({"id": file.id, "object": "file", "deleted": True})


async def _found(request: Request) -> StoredFile:
    id = request.path_params["id"]
    file = await _files(request).get(owner(request), id)
    if file is None:
        raise _missing(id)
    return file


def _missing(id: str) -> ApiError:
    return ApiError(404, f"There is no file '{shown(id)}'", param="id", code="file_not_found")


def _files(request: Request) -> Files:
    files: Files = request.app.state.store.files
    return files


def _seconds(texts: dict[str, str]) -> int | None:
    anchor, seconds = (texts.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at" or not _SHORTEST <= _number(seconds or "") <= _LONGEST:
        said = f"expires_after is created_at and {_SHORTEST} to {_LONGEST} seconds"
        raise ApiError(400, said, param="expires_after", code="invalid_value")
    return _number(seconds or "")


def _number(text: str) -> int:
    """A number of a client's; -1 for what is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _told(file: StoredFile) -> dict[str, Any]:
    told = {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }
    return told if file.expires_at is None else {**told, "expires_at": file.expires_at}


routes = [
    Route("/v1/files", create, methods=["POST"]),
    Route("/v1/files", index, methods=["GET"]),
    Route("/v1/files/{id}", retrieve, methods=["GET"]),
    Route("/v1/files/{id}", delete, methods=["DELETE"]),
    Route("/v1/files/{id}/content", content, methods=["GET"]),
]
