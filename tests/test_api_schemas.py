"""Every field of the official APIs is honoured or refused by name; what is wrong is said of the field that is wrong.

The facts are in openapi_facts.json, which openapi_facts.py writes.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from daedal.serving.schema import (
    base,
    chat,
    classify,
    completions,
    content,
    embeddings,
    formats,
    images,
    inference,
    items,
    messages,
    moderations,
    music,
    recommendations,
    rerank,
    responses,
    sampling,
    speech,
    tokens,
    tools,
    transcriptions,
    videos,
)

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "openapi_facts.json").read_text())
OBJECTS: dict[str, Any] = FACTS["objects"]
BODIES: dict[str, type[base.Request]] = {
    "POST /v1/chat/completions": chat.ChatRequest,
    "POST /v1/completions": completions.CompletionRequest,
    "POST /v1/responses": responses.ResponseRequest,
    "POST /v1/responses/input_tokens": responses.InputTokensRequest,
    "POST /v1/embeddings": embeddings.EmbeddingRequest,
    "POST /v1/moderations": moderations.ModerationRequest,
    "POST /v1/images/generations": images.GenerationRequest,
    "POST /v1/images/edits": images.EditRequest,
    "POST /v1/images/variations": images.VariationRequest,
    "POST /v1/audio/speech": speech.SpeechRequest,
    "POST /v1/audio/transcriptions": transcriptions.TranscriptionRequest,
    "POST /v1/videos": videos.VideoRequest,
    "POST /v1/messages": messages.MessageRequest,
    "POST /v1/messages/count_tokens": messages.CountRequest,
}
FILES = {"image", "mask", "file"}
"""What a form has besides the fields of its schema."""
PARTS: dict[str, type[base.Request]] = {
    "ChatCompletionRequestDeveloperMessage": chat.Message,
    "ChatCompletionRequestSystemMessage": chat.Message,
    "ChatCompletionRequestUserMessage": chat.Message,
    "ChatCompletionRequestAssistantMessage": chat.Message,
    "ChatCompletionRequestToolMessage": chat.Message,
    "ChatCompletionMessageToolCall": chat.ToolCall,
    "ChatCompletionMessageToolCall.function": chat.FunctionCall,
    "ChatCompletionRequestMessageContentPartText": content.TextPart,
    "ChatCompletionRequestMessageContentPartRefusal": content.TextPart,
    "ChatCompletionContentPartInputAudioParam": content.TextPart,
    "InputAudio": content.InputAudio,
    "ChatCompletionTool": tools.Tool,
    "FunctionObject": tools.FunctionDefinition,
    "ChatCompletionStreamOptions": sampling.StreamOptions,
    "ChatCompletionNamedToolChoice": tools.ToolChoice,
    "ChatCompletionNamedToolChoice.function": tools.FunctionChoice,
    "ChatCompletionAllowedToolsChoice": tools.ToolChoice,
    "ChatCompletionAllowedTools": tools.AllowedTools,
    "ResponseFormatJsonSchema": formats.ResponseFormat,
    "ResponseFormatJsonSchema.json_schema": formats.NamedSchema,
    "EasyInputMessage": items.Item,
    "InputMessage": items.Item,
    "OutputMessage": items.Item,
    "FunctionToolCall": items.Item,
    "FunctionCallOutputItemParam": items.Item,
    "ItemReferenceParam": items.Item,
    "InputTextContent": items.ItemPart,
    "OutputTextContent": items.ItemPart,
    "FunctionTool": responses.ResponseTool,
    "ToolChoiceAllowed": responses.ResponseToolChoice,
    "ToolChoiceFunction": responses.ResponseToolChoice,
    "ResponseTextParam": responses.TextConfig,
    "TextResponseFormatJsonSchema": responses.TextFormat,
    "Reasoning": responses.Reasoning,
    "ResponseStreamOptions": responses.ResponseStreamOptions,
    "TextBlockParam": messages.Block,
    "ToolUseBlockParam": messages.Block,
    "ToolResultBlockParam": messages.Block,
    "ToolParam": messages.MessageTool,
    "MetadataParam": messages.Who,
    "ToolChoiceAutoParam": messages.MessageToolChoice,
    "ToolChoiceAnyParam": messages.MessageToolChoice,
    "ToolChoiceToolParam": messages.MessageToolChoice,
    "ToolChoiceNoneParam": messages.MessageToolChoice,
    "OutputConfigParam": messages.OutputConfig,
    "JSONOutputFormatParam": messages.SchemaFormat,
    "CacheControlEphemeralParam": messages.CacheControl,
}
MODELS = {**{FACTS["requests"][route]: body for route, body in BODIES.items()}, **PARTS}
LEAST: dict[type[BaseModel], dict[str, Any]] = {
    chat.ChatRequest: {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    completions.CompletionRequest: {"model": "m", "prompt": "hi"},
    responses.ResponseRequest: {"model": "m", "input": "hi"},
    responses.InputTokensRequest: {"model": "m", "input": "hi"},
    embeddings.EmbeddingRequest: {"model": "m", "input": "hi"},
    moderations.ModerationRequest: {"input": "hi"},
    classify.ClassifyRequest: {"model": "m", "input": "hi"},
    rerank.RerankRequest: {"model": "m", "query": "hi", "documents": ["hi"]},
    recommendations.RecommendationRequest: {"model": "m", "liked": ["hi"]},
    inference.InferenceRequest: {"inputs": "hi"},
    messages.MessageRequest: {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
    messages.CountRequest: {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    images.GenerationRequest: {"model": "m", "prompt": "a cat"},
    images.EditRequest: {"model": "m", "prompt": "a cat"},
    images.VariationRequest: {"model": "m"},
    speech.SpeechRequest: {"input": "hi"},
    transcriptions.TranscriptionRequest: {"model": "m"},
    music.MusicRequest: {"model": "m"},
    videos.VideoRequest: {"prompt": "hi"},
    tokens.TokenizeRequest: {"prompt": "hi"},
    tokens.DetokenizeRequest: {"tokens": [1]},
}
"""Of each body, one that passes."""
CALL = {"type": "function", "function": {"name": "f"}}


def part(role: str, **values: Any) -> list[Any]:
    """A conversation of one turn with one part."""
    return [{"role": role, "content": [values]}]


def names(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


def faults(model: type[BaseModel], /, **values: Any) -> dict[str, str]:
    """Of a body, where it is wrong and what kind of fault that is."""
    body = {**LEAST[model], **values}
    try:
        model.model_validate(body)
    except ValidationError as error:
        return {".".join(map(str, one["loc"])): one["type"] for one in error.errors()}
    return {}


# -- the official fields -----------------------------------------------------------------------------------------------


def test_every_body_of_the_facts_has_a_schema() -> None:
    assert set(FACTS["requests"]) == set(BODIES)


@pytest.mark.parametrize("name", MODELS)
def test_every_official_field_is_known(name: str) -> None:
    assert set(OBJECTS[name]["fields"]) - FILES <= names(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_what_we_require_is_required_officially(name: str) -> None:
    ours = {info.alias or key for key, info in MODELS[name].model_fields.items() if info.is_required()}
    assert ours <= {*OBJECTS[name]["required"], "model", "type", "role", "input_schema"}


@pytest.mark.parametrize("model", LEAST)
def test_null_asks_for_nothing(model: type[base.Request]) -> None:
    empty = {name: None for name in names(model) if name not in LEAST[model]}
    assert faults(model, **empty) == {}


@pytest.mark.parametrize("model", LEAST)
def test_a_refused_field_is_refused_by_name_and_its_neutral_values_pass(model: type[base.Request]) -> None:
    for name, mark in model.refused().items():
        assert faults(model, **{name: {"ask": "for it"}}) == {name: "unsupported_parameter"}
        for value in mark.neutral:
            assert faults(model, **{name: value}) == {}


@pytest.mark.parametrize("model", LEAST)
def test_a_field_that_nobody_knows_is_refused(model: type[base.Request]) -> None:
    assert faults(model, temprature=1) == {"temprature": "extra_forbidden"}
    assert faults(model, temprature=None) == {"temprature": "extra_forbidden"}


@pytest.mark.parametrize("name", [name for name in MODELS if MODELS[name] in LEAST])
def test_every_official_value_is_taken_or_refused_by_name(name: str) -> None:
    model = MODELS[name]
    for field, values in OBJECTS[name].get("enums", {}).items():
        for value in values:
            found = faults(model, **{field: value})
            assert found == {} or found == {field: "unsupported_parameter"}, (field, value, found)


# -- what is wrong is said of the field --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "values", "where"),
    [
        (chat.ChatRequest, {"temperature": 2.1}, "temperature"),
        (chat.ChatRequest, {"temperature": "1"}, "temperature"),
        (chat.ChatRequest, {"temperature": True}, "temperature"),
        (chat.ChatRequest, {"n": 17}, "n"),
        (chat.ChatRequest, {"n": 10**30}, "n"),
        (chat.ChatRequest, {"seed": 2**63}, "seed"),
        (chat.ChatRequest, {"stop": ["a"] * 17}, "stop"),
        (chat.ChatRequest, {"stop": [""]}, "stop"),
        (chat.ChatRequest, {"stop": 3}, "stop"),
        (chat.ChatRequest, {"logit_bias": {"x": 1}}, "logit_bias"),
        (chat.ChatRequest, {"logit_bias": {"1": 101}}, "logit_bias"),
        (chat.ChatRequest, {"logit_bias": {str(id): 1 for id in range(5000)}}, "logit_bias"),
        (chat.ChatRequest, {"top_logprobs": 3}, "top_logprobs"),
        (chat.ChatRequest, {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        (chat.ChatRequest, {"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        (chat.ChatRequest, {"stream_options": {"include_usage": True}}, "stream_options"),
        (chat.ChatRequest, {"metadata": {"a": 1}}, "metadata.a"),
        (chat.ChatRequest, {"metadata": {str(key): "" for key in range(17)}}, "metadata"),
        (chat.ChatRequest, {"messages": []}, "messages"),
        (chat.ChatRequest, {"messages": [{"role": "user"}]}, "messages.0.content"),
        (chat.ChatRequest, {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        (chat.ChatRequest, {"messages": [{"role": "alien", "content": "x"}]}, "messages.0.role"),
        (chat.ChatRequest, {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        (chat.ChatRequest, {"messages": part("user", type="input_audio")}, "messages.0.content.0.input_audio"),
        (chat.ChatRequest, {"messages": part("user", type="input_audio", input_audio={})},
         "messages.0.content.0.input_audio.data"),
        (chat.ChatRequest, {"tools": [CALL, CALL]}, "tools"),
        (chat.ChatRequest, {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]},
         "tools.0.function.parameters"),
        (chat.ChatRequest, {"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        (chat.ChatRequest, {"tool_choice": "all"}, "tool_choice"),
        (chat.ChatRequest, {"tool_choice": {"type": "function"}}, "tool_choice.function"),
        (chat.ChatRequest, {"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        (chat.ChatRequest, {"tool_choice": {"type": "auto", "function": {"name": "f"}}}, "tool_choice.function"),
        (chat.ChatRequest, {"response_format": {"type": "json_schema"}}, "response_format"),
        (completions.CompletionRequest, {"prompt": []}, "prompt"),
        (completions.CompletionRequest, {"prompt": ["a", [1]]}, "prompt"),
        (completions.CompletionRequest, {"prompt": [[]]}, "prompt"),
        (completions.CompletionRequest, {"prompt": [-1]}, "prompt"),
        (completions.CompletionRequest, {"prompt": [True]}, "prompt"),
        (completions.CompletionRequest, {"prompt": {"a": 1}}, "prompt"),
        (completions.CompletionRequest, {"max_tokens": 0}, "max_tokens"),
        (completions.CompletionRequest, {"best_of": 1, "n": 2}, "best_of"),
        (completions.CompletionRequest, {"best_of": 3, "stream": True}, "best_of"),
        (completions.CompletionRequest, {"logprobs": True}, "logprobs"),
        (embeddings.EmbeddingRequest, {"input": ""}, "input"),
        (embeddings.EmbeddingRequest, {"dimensions": 0}, "dimensions"),
        (responses.ResponseRequest, {"input": [{"type": "function_call", "name": "f"}]}, "input.0"),
        (responses.ResponseRequest, {"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
        (responses.ResponseRequest, {"tool_choice": {"type": "function"}}, "tool_choice"),
        (messages.MessageRequest, {"messages": part("user", type="text")}, "messages.0.content.0"),
        (messages.MessageRequest, {"temperature": 1.5}, "temperature"),
        (messages.MessageRequest, {"stop_sequences": "x"}, "stop_sequences"),
        (tokens.TokenizeRequest, {"messages": [{"role": "user", "content": "x"}]}, ""),
        (tokens.DetokenizeRequest, {"tokens": [-1]}, "tokens.0"),
    ],
)  # fmt: skip
def test_the_wrong_field_is_named(model: type[BaseModel], values: dict[str, Any], where: str) -> None:
    found = faults(model, **values)
    assert where in found
    assert found[where] != "unsupported_parameter"


@pytest.mark.parametrize(
    ("model", "values", "where"),
    [
        (chat.ChatRequest, {"messages": [{"role": "user", "content": [{"type": kind, kind: {}}]}]}, "messages.0.content.0.type")
        for kind in ("image_url", "file")
    ]
    + [
        (chat.ChatRequest, {"messages": [{"role": "function", "content": "x"}]}, "messages.0.role"),
        (chat.ChatRequest, {"tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice.type"),
        (chat.ChatRequest, {"response_format": {"type": "grammar"}}, "response_format.type"),
        (responses.ResponseRequest, {"input": part("user", type="input_image")}, "input.0.content.0.type"),
        (responses.ResponseRequest, {"input": [{"type": "web_search_call"}]}, "input.0.type"),
        (responses.ResponseRequest, {"tools": [{"type": "function", "name": "f", "async": True}]}, "tools.0.async"),
        (responses.ResponseRequest, {"input": [{"type": "function_call", "async": True}]}, "input.0.async"),
        (responses.ResponseRequest, {"include": ["output.secrets"]}, "include"),
        (messages.MessageRequest, {"messages": part("user", type="image")}, "messages.0.content.0.type"),
    ],
)  # fmt: skip
def test_what_the_api_knows_and_we_do_not_is_refused_by_name(model: type[BaseModel], values: Any, where: str) -> None:
    assert faults(model, **values)[where] == "unsupported_parameter"


@pytest.mark.parametrize(
    ("model", "values", "names"),
    [
        (chat.ChatRequest, {"reasoning_effort": "high", "store": True, "verbosity": "low"},
         ["reasoning_effort", "store", "verbosity"]),
        (chat.ChatRequest, {"reasoning_effort": "none", "store": False, "service_tier": "auto"}, []),
        (chat.ChatRequest, {"tools": [{"type": "custom", "custom": {"name": "x"}}, CALL]}, ["tools.custom"]),
        (responses.ResponseRequest, {"text": {"verbosity": "low"}, "reasoning": {"effort": "low", "mode": "x"}},
         ["reasoning.effort", "reasoning.mode", "text.verbosity"]),
        (messages.MessageRequest, {"output_config": {"effort": "high"}, "context_management": {"edits": []}},
         ["context_management", "output_config.effort"]),
        (messages.MessageRequest, {"thinking": {"type": "disabled"}}, []),
    ],
)  # fmt: skip
def test_what_only_advises_is_accepted_and_named(model: type[base.Request], values: Any, names: list[str]) -> None:
    unused: list[str] = []
    made: Any = model.model_validate({**LEAST[model], **values}, context=unused)
    assert sorted(unused) == names
    assert len(made.tools) == sum(tool == CALL for tool in values.get("tools", ()))


@pytest.mark.parametrize("model", [chat.ChatRequest, responses.ResponseRequest, messages.MessageRequest])
def test_a_tool_of_a_type_that_nobody_knows_is_refused(model: type[base.Request]) -> None:
    assert faults(model, tools=[{"type": "functoin", "name": "f"}])["tools.0.type"] == "unsupported_parameter"


def test_fields_of_a_turn_that_nobody_knows_pass_if_they_are_null() -> None:
    turn = {"role": "assistant", "content": "x", "reasoning_content": None}
    assert faults(chat.ChatRequest, messages=[turn]) == {}
    assert "messages.0.reasoning_content" in faults(chat.ChatRequest, messages=[{**turn, "reasoning_content": "y"}])
    item = {"role": "user", "content": "x", "phase": None, "namespace": None}
    assert faults(responses.ResponseRequest, input=[item]) == {}


def test_a_schema_is_bounded_in_size_and_depth() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": {"a": deep}}
    wide = {"properties": {str(number): {} for number in range(10_000)}}
    long = {"pattern": "a" * 200_000}
    for schema in (deep, wide, long):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        assert faults(chat.ChatRequest, response_format=form) == {"response_format.json_schema.schema": "invalid_value"}
        tool = {"type": "function", "function": {"name": "x", "parameters": schema}}
        assert faults(chat.ChatRequest, tools=[tool]) == {"tools.0.function.parameters": "invalid_value"}
        assert faults(messages.MessageRequest, tools=[{"name": "x", "input_schema": schema}]) != {}


def test_negative_seeds_are_seeds_too() -> None:
    body = chat.ChatRequest.model_validate({**LEAST[chat.ChatRequest], "seed": -1})
    assert body.sampling()["seed"] == 2**63 - 1


def test_names_of_what_is_not_used_are_no_more_than_tools_may_be() -> None:
    tools = [{"type": f"web_search_{number}"} for number in range(100_000)]
    values = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": tools}
    noted: list[str] = []
    with pytest.raises(ValidationError, match="at most 128"):
        chat.ChatRequest.model_validate(values, context=noted)
    assert noted == []
