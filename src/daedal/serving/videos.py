"""`/v1/videos`: clips that are made beside requests, as jobs that are asked how they stand, and then for what came of them."""

import base64
import binascii
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id, now
from daedal.serving.database import KEPT
from daedal.serving.errors import ApiError, parse, shown
from daedal.serving.forms import LARGEST, read_file, read_form
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.moderation import moderation
from daedal.serving.schema.queries import plain
from daedal.serving.schema.videos import ContentQuery, VideoRequest, VideosQuery
from daedal.serving.video_jobs import VideoJobs
from daedal.serving.video_store import Job, Videos

_OPTIONS = ("guidance", "steps", "temperature", "top_k")


async def create(request: Request) -> Response:
    """Ask for a clip: what is wrong is told at once, and the rest is a job. JSON, or a form with a file `input_reference`."""
    body, picture = await _read(request)
    model = await able(request, body.model, "film", picture="input_reference")
    if body.prompt and model.info["conditions"] is None:
        said = "The model was trained without captions: it films whatever it has learned. Send an empty prompt"
        raise ApiError(400, said, param="prompt", code="unsupported_parameter")
    for name in _OPTIONS:
        if getattr(body, name) is not None and name not in model.info["options"]:
            raise ApiError(400, f"The model has no {name}", param=name, code="unsupported_parameter")
    me, videos, jobs = owner(request), _videos(request), _jobs(request)
    await unless_gone(request, moderation(request).require_fine(model, me, [body.prompt or ""]))
    asked: dict[str, Any] = {
        "prompt": body.prompt or None,
        "seed": secrets.randbits(32) if body.seed is None else body.seed,
        **{name: getattr(body, name) for name in _OPTIONS if getattr(body, name) is not None},
    }
    size = None if body.size == "auto" else body.size
    settled = await unless_gone(
        request,
        model.ask("check_film", me, **asked, seconds=body.seconds, fps=body.fps, size=size, picture=picture),
    )
    asked |= {name: settled[name] for name in ("frames", "fps", "scale", "picture")}
    height, width = (side * settled["scale"] for side in model.info["size"])
    created = now()
    job: Job = {
        "id": new_id("video_"),
        "model": body.model or model.name,
        "status": "queued",
        "prompt": body.prompt,
        "seconds": f"{settled['frames'] / settled['fps']:.3f}".rstrip("0").rstrip("."),
        "size": f"{width}x{height}",
        "created_at": created,
        "completed_at": None,
        "expires_at": created + KEPT,
        "error": None,
        "unknown": settled["unknown"],
        "begun": 0,
        "asked": asked,
    }
    await videos.add(me, job)
    jobs.begin(me, job)
    return json_answer(_told(request, job))


async def index(request: Request) -> Response:
    """The videos of the key that asks, a page at a time."""
    query = parse(VideosQuery, plain(request.query_params))
    found = await _videos(request).page(owner(request), query.after, query.limit + 1, query.order == "desc")
    page = [_told(request, job) for job in found[: query.limit]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return json_answer({"object": "list", "data": page, "has_more": len(found) > query.limit, **ends})


async def retrieve(request: Request) -> Response:
    """How a video stands: `queued`, `in_progress`, `completed` or `failed`, and how much of it is done in percent."""
    return json_answer(_told(request, await _found(request)))


async def delete(request: Request) -> Response:
    """Forget a video, made or not: work on it ends."""
    job = await _found(request)
    await _jobs(request).cancel(job["id"])
    await _videos(request).delete(owner(request), job["id"])
    return json_answer({"id": job["id"], "object": "video.deleted", "deleted": True})


async def content(request: Request) -> Response:
    """What came of a video."""
    query = parse(ContentQuery, plain(request.query_params))
    job = await _found(request)
    found = await _videos(request).content(owner(request), job["id"], query.variant)
    if found is None:
        status, progress = _jobs(request).status(job)
        why = f": {job['error']['message']}" if job["error"] else f", {progress} %" if status == "in_progress" else ""
        raise ApiError(404, f"The video is {status}{why}", param="video_id", code="video_not_ready")
    end = found.type.partition("/")[2]
    headers = {"content-disposition": f'attachment; filename="{job["id"]}-{query.variant}.{end}"'}
    return Response(found.data, 200, headers, found.type)


async def _read(request: Request) -> tuple[VideoRequest, str | None]:
    """What is asked for, and the picture that is given, in base64."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        body = parse(VideoRequest, await read_json(request), request)
        return body, None if body.input_reference is None else _inline(body.input_reference.image_url)
    texts = set(VideoRequest.model_fields) - {"input_reference"}
    async with read_form(request, {"input_reference"}, texts) as form:
        body = parse(VideoRequest, form.body(("seed", "steps", "top_k"), ("fps", "guidance", "temperature")), request)
        if "input_reference" not in form.files:
            return body, None
        return body, await read_file(form.file("input_reference"), "input_reference", "picture", "invalid_image")


def _inline(address: str) -> str:
    """The picture of an address that holds it, in base64.

    Raises:
        ApiError: it is an address of something else, or none.
    """
    head, _, data = address.partition(",")
    if not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
        said = "Send the picture itself, as data:image/png;base64,...: no address is followed"
        raise ApiError(400, said, param="input_reference.image_url", code="invalid_value")
    try:
        size = len(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(400, "That is no base64", param="input_reference.image_url", code="invalid_value") from None
    if size > LARGEST:
        said = f"A picture has at most {LARGEST:,} bytes"
        raise ApiError(413, said, param="input_reference.image_url", code="request_too_large")
    return data


async def _found(request: Request) -> Job:
    id = request.path_params["video_id"]
    job = await _videos(request).get(owner(request), id)
    if job is None:
        raise ApiError(404, f"There is no video '{shown(id)}'", param="video_id", code="video_not_found")
    return job


def _videos(request: Request) -> Videos:
    videos: Videos = request.app.state.store.videos
    return videos


def _jobs(request: Request) -> VideoJobs:
    jobs: VideoJobs = request.app.state.jobs
    return jobs


def _told(request: Request, job: Job) -> dict[str, Any]:
    """As clients read it."""
    status, progress = _jobs(request).status(job)
    told = {
        name: job[name]
        for name in ("id", "model", "prompt", "seconds", "size", "created_at", "completed_at", "expires_at")
    }
    told |= {
        "object": "video",
        "status": status,
        "progress": progress,
        "error": job["error"],
        "remixed_from_video_id": None,
    }
    told |= {name: job["asked"][name] for name in ("seed", "frames", "fps")}
    return told | ({"unknown_words": job["unknown"]} if job["unknown"] else {})


routes = [
    Route("/v1/videos", create, methods=["POST"]),
    Route("/v1/videos", index, methods=["GET"]),
    Route("/v1/videos/{video_id}", retrieve, methods=["GET"]),
    Route("/v1/videos/{video_id}", delete, methods=["DELETE"]),
    Route("/v1/videos/{video_id}/content", content, methods=["GET"]),
]
