"""POST /tokenize, POST /detokenize and GET /tokenizer_info, as vLLM has them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer
from daedal.serving.chat import toolbox, turns
from daedal.serving.errors import parse
from daedal.serving.generation import check_ids
from daedal.serving.hearing import heard
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.tokens import DetokenizeRequest, TokenizeRequest, TokenizerQuery
from daedal.serving.tools import conversation


async def tokenize(request: Request) -> Response:
    """The token ids that the model would read."""
    body = parse(TokenizeRequest, await read_json(request))
    model = await able(request, body.model, "tokenize", prompt="messages" if body.messages else "prompt")
    prompt: dict[str, Any] = {"text" if body.add_special_tokens else "raw": body.prompt}
    if body.messages:
        tools = toolbox(body.tools, None, True)
        prompt = conversation(turns(await heard(request, body.messages)), tools, model.info["tool_template"])
        prompt["add_generation_prompt"] = body.add_generation_prompt
    result = await unless_gone(
        request, model.ask("tokenize", owner(request), prompt=prompt, pieces=body.return_token_strs)
    )
    return json_answer(
        {
            "count": len(result["ids"]),
            "max_model_len": model.info["context"],
            "tokens": result["ids"],
            "token_strs": result["pieces"],
        }
    )


async def detokenize(request: Request) -> Response:
    """The text of token ids."""
    body = parse(DetokenizeRequest, await read_json(request))
    model = await able(request, body.model, "tokenize")
    check_ids(model, "tokens", body.tokens)
    result = await unless_gone(request, model.ask("detokenize", owner(request), ids=body.tokens))
    return json_answer({"prompt": result["text"]})


async def tokenizer_info(request: Request) -> Response:
    """What there is to know of a model's tokenizer."""
    query = parse(TokenizerQuery, dict(request.query_params))
    model = await able(request, query.model, "tokenize")
    info = model.info
    return json_answer(
        {
            "model": model.name,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "codec": info["codec"],
            "vocab_size": info["vocab_size"],
            "model_max_length": info["context"],
            "chat_template": info["chat_template"],
            "tool_template": info["tool_template"],
            **info["special_tokens"],
        }
    )


routes = [
    Route("/tokenize", tokenize, methods=["POST"]),
    Route("/detokenize", detokenize, methods=["POST"]),
    Route("/tokenizer_info", tokenizer_info, methods=["GET"]),
]
