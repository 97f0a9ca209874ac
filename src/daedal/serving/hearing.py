"""Messages that carry sound: a model of texts hears nothing itself, so a listener of the same server says what is said."""

from collections.abc import Sequence

from starlette.requests import Request

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.errors import ApiError
from daedal.serving.limits import unless_gone
from daedal.serving.schema.chat import Message
from daedal.serving.schema.content import TextPart
from daedal.serving.supervisor import Models

MOST = 16
"""Recordings of a conversation."""


async def heard(request: Request, messages: Sequence[Message]) -> list[Message]:
    """The messages, with what a listener heard in place of sound; it is named to the client in a header.

    Raises:
        ApiError: there is sound, and no listener or several; or a recording cannot be listened to.
    """
    sounds = [
        (at, place)
        for at, message in enumerate(messages)
        for place, part in enumerate(message.content)
        if part.input_audio is not None
    ]
    if not sounds:
        return list(messages)
    first = _where(*sounds[0])
    if len(sounds) > MOST:
        raise ApiError(400, f"A conversation has at most {MOST} recordings", param=first, code="invalid_value")
    models: Models = request.app.state.models
    names = await models.that_make("transcripts")
    if len(names) != 1:
        said = "The model hears no audio, and no listener is served beside it that would"
        if names:
            said = (
                f"The model hears no audio, and {len(names)} listeners are served: ask one at /v1/audio/transcriptions"
            )
        raise ApiError(400, said, param=first, code="unsupported_parameter")
    told = [message.model_copy(update={"content": list(message.content)}) for message in messages]
    for at, place in sounds:
        sound = messages[at].content[place].input_audio
        assert sound is not None
        model = await able(request, names[0], "transcribe", audio=_where(at, place))
        result = await unless_gone(request, model.ask("transcribe", owner(request), audio=sound.data))
        told[at].content[place] = TextPart(type="text", text=result["transcript"]["text"])
    request.state.listener = names[0]
    return told


def _where(at: int, place: int) -> str:
    return f"messages[{at}].content[{place}].input_audio.data"
