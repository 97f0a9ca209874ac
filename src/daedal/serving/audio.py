"""POST /v1/audio/speech, /v1/audio/transcriptions and /v1/audio/music: speech, what is said in recordings, and tunes."""

import base64
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.safety.sidecar import HEADER
from daedal.serving import sse
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, now
from daedal.serving.commands import Event
from daedal.serving.errors import ApiError, note_unused, parse, shown
from daedal.serving.forms import read_file, read_form
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.moderation import moderation
from daedal.serving.schema.music import MusicRequest
from daedal.serving.schema.speech import SpeechRequest
from daedal.serving.schema.transcriptions import LISTS, TranscriptionRequest
from daedal.serving.streamed import Streamed
from daedal.serving.transcripts import lines_of, segments_of, srt, vtt

TYPES = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "ogg": "audio/ogg", "flac": "audio/flac", "wav": "audio/wav",
    "pcm": "audio/pcm", "midi": "audio/midi",
}  # fmt: skip
"""Of each format the type of its content."""
_GROWING = ("pcm", "opus", "ogg")
"""Formats that are sent as they come."""
_OPTIONS = ("guidance", "steps", "temperature", "top_k")
_LISTED = 20
"""Speakers that are named."""


# -- speech ------------------------------------------------------------------------------------------------------------


async def speech(request: Request) -> Response:
    """What a prompt says, as sound: a file, the pieces of one as they come, or events that carry them."""
    body = parse(SpeechRequest, await read_json(request), request)
    model = await able(request, body.model, "speak", prompt="input", format="response_format")
    await unless_gone(request, moderation(request).require_fine(model, owner(request), [body.input]))
    speakers: list[str] = model.info["speakers"]
    if body.voice is not None and not speakers:
        note_unused(request, ["voice"])
    elif body.voice is not None and body.voice not in speakers:
        more = f" and {len(speakers) - _LISTED} more" if len(speakers) > _LISTED else ""
        known = f"{', '.join(speakers[:_LISTED])}{more}"
        said = f"The model has heard no speaker '{shown(body.voice)}': choose {known}, or leave the voice out"
        raise ApiError(400, said, param="voice", code="voice_not_found")
    for name in _OPTIONS:
        if getattr(body, name) is not None and name not in model.info["options"]:
            raise ApiError(400, f"The model has no {name}", param=name, code="unsupported_parameter")
    seed = secrets.randbits(32) if body.seed is None else body.seed
    form = body.response_format
    asked = {
        "prompt": body.input, "speaker": body.voice if speakers else None, "seed": seed, "format": form,
        "stream": body.stream_format is not None, **{name: getattr(body, name) for name in _OPTIONS},
    }  # fmt: skip
    events = model.run("speak", owner(request), **asked)
    if body.stream_format == "sse":
        return sse.stream(request, _spoken_events(events))
    kind = f"audio/pcm;rate={model.info['rate']};channels=1" if form == "pcm" else TYPES[form]
    headers = {"x-daedal-seed": str(seed)}
    if form in _GROWING or body.stream_format == "audio":
        head = [(b"content-type", kind.encode()), (b"x-daedal-seed", str(seed).encode())]
        return Streamed(request, _spoken(events), head)
    return Response(await unless_gone(request, _all(_spoken(events))), 200, headers, kind)


async def _spoken(events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    async with aclosing(events) as stream:
        async for event in stream:
            if event["data"]:
                yield base64.b64decode(event["data"])


async def _all(pieces: AsyncGenerator[bytes]) -> bytes:
    async with aclosing(pieces) as stream:
        return b"".join([piece async for piece in stream])


async def _spoken_events(events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    """Tokens are what other servers bill: there are none here."""
    async with aclosing(events) as stream:
        async for event in stream:
            if event["data"]:
                yield _event({"type": "speech.audio.delta", "audio": event["data"]})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(told: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(told) + b"\n\n"


# -- transcriptions ----------------------------------------------------------------------------------------------------


async def transcriptions(request: Request) -> Response:
    """What is said in a recording: as JSON, as text, as subtitles, or as events."""
    async with read_form(request, {"file"}, set(TranscriptionRequest.model_fields), LISTS) as form:
        body = parse(TranscriptionRequest, form.body(fractions=("temperature",)), request)
        sound = await read_file(form.file("file"), "file", "recording", "invalid_audio")
    model = await able(request, body.model, "transcribe", audio="file")
    result = await unless_gone(request, model.ask("transcribe", owner(request), audio=sound))
    heard = result["transcript"]
    if body.stream:
        return sse.stream(request, _heard_events(heard))
    match body.response_format:
        case "text":
            return Response(heard["text"] + "\n", media_type="text/plain")
        case "srt":
            return Response(srt(heard), media_type="text/plain")
        case "vtt":
            return Response(vtt(heard), media_type="text/plain")
    usage = {"type": "duration", "seconds": heard["seconds"]}
    if body.response_format == "json":
        return json_answer({"text": heard["text"], "usage": usage})
    told: dict[str, Any] = {
        "task": "transcribe",
        "language": body.language or "unknown",
        "duration": heard["seconds"],
        "text": heard["text"],
        "usage": usage,
        **{name: heard[name] for name in ("label", "probabilities", "speaker", "speakers")},
    }
    if "segment" in (body.timestamp_granularities or ["segment"]):
        told["segments"] = segments_of(heard)
    if "word" in body.timestamp_granularities:
        told["words"] = [{"word": word["text"], "start": word["start"], "end": word["end"]} for word in heard["words"]]
    return json_answer(told)


async def _heard_events(heard: Mapping[str, Any]) -> AsyncIterator[bytes]:
    for piece in lines_of(heard["text"]):
        yield _event({"type": "transcript.text.delta", "delta": piece})
    yield _event({"type": "transcript.text.done", "text": heard["text"]})


# -- tunes -------------------------------------------------------------------------------------------------------------


async def music(request: Request) -> Response:
    """A tune, as MIDI or as sound; or several, in JSON."""
    body = parse(MusicRequest, await read_json(request), request)
    model = await able(request, body.model, "compose")
    first, _, last = (body.bars or "").partition(":")
    seed = secrets.randbits(32) if body.seed is None else body.seed
    form = body.response_format
    asked = {
        "n": body.n, "seed": seed, "said": body.said, "continue": body.continue_, "harmonise": body.harmonise,
        "infill": body.infill, "bars": [int(first), int(last or first)] if body.bars else None,
        "format": "midi" if form == "json" else form,
        **{name: getattr(body, name) for name in ("seconds", "temperature", "top_k", "top_p")},
    }  # fmt: skip
    tunes = await unless_gone(request, _composed(model.run("compose", owner(request), **asked)))
    if form != "json":
        stated = {} if tunes[0].get("statement") is None else {HEADER: tunes[0]["statement"]}
        return Response(base64.b64decode(tunes[0]["data"]), 200, {"x-daedal-seed": str(seed), **stated}, TYPES[form])
    data = [
        {
            "b64_midi": tune["data"], "seed": seed, **tune["record"],
            **({} if tune.get("statement") is None else {"statement": tune["statement"]}),
        }
        for tune in tunes
    ]  # fmt: skip
    return json_answer({"object": "list", "created": now(), "model": body.model or model.name, "data": data})


async def _composed(events: AsyncGenerator[Event]) -> list[Event]:
    async with aclosing(events) as stream:
        return [event async for event in stream if event["event"] == "tune"]


routes = [
    Route("/v1/audio/speech", speech, methods=["POST"]),
    Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
    Route("/v1/audio/music", music, methods=["POST"]),
]
