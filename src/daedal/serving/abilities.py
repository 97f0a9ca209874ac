"""Models by what they can: a request is for an ability, and one that a model does not have is refused in a line."""

from typing import NamedTuple

from starlette.requests import Request

from daedal.serving.errors import ApiError, shown
from daedal.serving.limits import unless_gone
from daedal.serving.supervisor import Model, Models


class Ability(NamedTuple):
    """What a model may do for a request.

    Attributes:
        verb: what it is called in a sentence.
        where: the endpoint that asks for it.
        makes: what comes of it, where it makes something: a request for that may leave the model out.
    """

    verb: str
    where: str
    makes: str = ""


ABILITIES = {
    "generate": Ability("write text", "/v1/completions", "text"),
    "embed": Ability("turn texts into vectors", "/v1/embeddings"),
    "classify": Ability("classify texts", "/v1/classify"),
    "rank": Ability("rank documents", "/v1/rerank"),
    "tag": Ability("tag words", "/models/{model}"),
    "answer": Ability("answer questions", "/models/{model}"),
    "fill": Ability("fill in masks", "/models/{model}"),
    "draw": Ability("draw new pictures", "/v1/images/generations", "images"),
    "edit": Ability("edit pictures", "/v1/images/edits", "images"),
    "vary": Ability("vary pictures", "/v1/images/variations", "images"),
    "speak": Ability("speak", "/v1/audio/speech", "speech"),
    "transcribe": Ability("listen to recordings", "/v1/audio/transcriptions", "transcripts"),
    "compose": Ability("compose tunes", "/v1/audio/music", "music"),
    "film": Ability("make clips", "/v1/videos", "videos"),
    "recommend": Ability("recommend items", "/v1/recommendations"),
    "tokenize": Ability("read texts", "/tokenize", "text"),
}
"""By the command that asks a process for it, in whose `can` it stands."""


async def able(request: Request, name: str | None, ability: str, **fields: str) -> Model:
    """The model of this name, if it can do that.

    Args:
        name: None where it may be left out: the only one that makes what is asked for.
        fields: how the request names fields of commands.

    Raises:
        ApiError: there is none, or it does something else.
    """
    asked = ABILITIES[ability]
    models: Models = request.app.state.models
    model = await opened(request, await models.only(asked.makes) if name is None else name)
    if ability not in model.info.get("can", ()):
        raise unable(model, asked.verb)
    model.fields = fields
    return model


async def opened(request: Request, name: str) -> Model:
    """The model of this name, loaded if it is not.

    Raises:
        ApiError: there is none, or it cannot be loaded.
    """
    models: Models = request.app.state.models
    return await unless_gone(request, models.open(name))


def unable(model: Model, verb: str) -> ApiError:
    """That a model does not do something, and where to ask it for what it does."""
    can = [ABILITIES[each] for each in model.info.get("can", ()) if each in ABILITIES and each != "tokenize"]
    places = dict.fromkeys(each.where.replace("{model}", shown(model.name)) for each in can)
    instead = f": use {' or '.join(places)} with it" if places else ""
    said = f"The model '{shown(model.name)}' does not {verb}{instead}"
    return ApiError(400, said, param="model", code="unsupported_model")
