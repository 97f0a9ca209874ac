"""POST /models/{model}, as Hugging Face's Inference API has it: labels, names, answers and fillings, by what the model can."""

from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import opened, unable
from daedal.serving.access import owner
from daedal.serving.answers import json_answer
from daedal.serving.errors import ApiError, parse
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.inference import InferenceRequest, Question


class Task(NamedTuple):
    """Something that a model may do here.

    Attributes:
        top: of what is found, how much is told unless it is said; None for all.
        told: what was found of one text, as Hugging Face's clients read it.
        of_questions: whether it reads questions and contexts, not texts.
        bare: whether that of one text that is no list stands alone, not in a list.
    """

    top: int | None
    told: Callable[[Any, int | None], Any]
    of_questions: bool = False
    bare: bool = True


def _labels(found: Any, top: int | None) -> Any:
    if found["value"] is not None:
        return [{"label": found["label"], "score": found["value"]}]
    scores = zip(found["names"], found["probs"], strict=True)
    return [{"label": name, "score": prob} for name, prob in sorted(scores, key=lambda one: -one[1])[:top]]


def _entities(found: Any, top: int | None) -> Any:
    return [
        {"entity_group": one["label"], "score": one["probability"], "word": one["text"]}
        | {place: one[place] for place in ("start", "end")}
        for one in found
    ]


def _answers(found: Any, top: int | None) -> Any:
    """An answer of no text: the context does not say."""
    told = [
        {"answer": one["text"], "score": one["probability"], "start": one["start"], "end": one["end"]} for one in found
    ]
    return told if top is not None and top > 1 else told[0]


def _fillings(found: Any, top: int | None) -> Any:
    masks = [
        [
            {"score": one["probability"], "token": one["id"], "token_str": one["token"], "sequence": one["text"]}
            for one in mask
        ]
        for mask in found
    ]
    return masks[0] if len(masks) == 1 else masks


TASKS = {
    "classify": Task(None, _labels, bare=False),
    "tag": Task(None, _entities),
    "answer": Task(1, _answers, of_questions=True),
    "fill": Task(5, _fillings),
}
"""By the command that asks a process for it."""


async def infer(request: Request) -> Response:
    """What a classifier, a tagger, an answerer or a BERT says of texts; a list where `inputs` is one."""
    values = await read_json(request)
    body = parse(InferenceRequest, values, request)
    model = await opened(request, request.path_params["model"])
    op = next((op for op in TASKS if op in model.info.get("can", ())), None)
    if op is None:
        raise unable(model, "say what texts are")
    task = TASKS[op]
    for place, each in enumerate(body.inputs):
        if isinstance(each, Question) != task.of_questions:
            said = "Give a question and a context" if task.of_questions else "Give a text"
            raise ApiError(400, f"{said} to this model", param=f"inputs[{place}]", code="invalid_value")
    top = body.parameters.top_k or task.top
    inputs = [each.model_dump() if isinstance(each, Question) else each for each in body.inputs]
    if op == "classify":
        inputs = [{"text": each} for each in inputs]
    result = await unless_gone(request, model.ask(op, owner(request), inputs=inputs, top=top))
    found = (
        [{**one, "names": model.info["classes"]} for one in result["found"]] if op == "classify" else result["found"]
    )
    told = [task.told(one, top) for one in found]
    return json_answer(told if isinstance(values["inputs"], list) or not task.bare else told[0])


routes = [Route("/models/{model:path}", infer, methods=["POST"])]
