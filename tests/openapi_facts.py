"""Writes openapi_facts.json: of the official APIs, which fields, required keys and enums each object has; nothing else.

    python tests/openapi_facts.py openapi.json > tests/openapi_facts.json

The argument is `openapi.json` of github.com/openai/openai-openapi. Fields that only the newer client packages know are added
from their types; Anthropic's are all from its package.
"""

import json
import sys
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

REQUESTS = {
    "POST /v1/chat/completions": "CreateChatCompletionRequest",
    "POST /v1/completions": "CreateCompletionRequest",
    "POST /v1/responses": "CreateResponse",
    "POST /v1/responses/input_tokens": "TokenCountsBody",
    "POST /v1/embeddings": "CreateEmbeddingRequest",
    "POST /v1/moderations": "CreateModerationRequest",
    "POST /v1/images/generations": "CreateImageRequest",
    "POST /v1/images/edits": "CreateImageEditRequest",
    "POST /v1/images/variations": "CreateImageVariationRequest",
}
PARTS = [
    "ChatCompletionRequestDeveloperMessage", "ChatCompletionRequestSystemMessage", "ChatCompletionRequestUserMessage",
    "ChatCompletionRequestAssistantMessage", "ChatCompletionRequestToolMessage", "ChatCompletionMessageToolCall",
    "ChatCompletionRequestMessageContentPartText", "ChatCompletionRequestMessageContentPartRefusal", "ChatCompletionTool",
    "FunctionObject", "ChatCompletionStreamOptions", "ChatCompletionNamedToolChoice", "ChatCompletionAllowedToolsChoice",
    "ChatCompletionAllowedTools", "ResponseFormatJsonSchema", "EasyInputMessage", "InputMessage", "OutputMessage",
    "FunctionToolCall", "FunctionCallOutputItemParam", "ItemReferenceParam", "InputTextContent", "OutputTextContent",
    "FunctionTool", "ToolChoiceAllowed", "ToolChoiceFunction", "ResponseTextParam", "TextResponseFormatJsonSchema",
    "Reasoning", "ResponseStreamOptions",
]  # fmt: skip
ANSWERS = [
    "CreateChatCompletionResponse", "ChatCompletionResponseMessage", "ChatCompletionTokenLogprob", "CompletionUsage",
    "CreateChatCompletionStreamResponse", "ChatCompletionStreamResponseDelta", "ChatCompletionMessageToolCallChunk",
    "CreateCompletionResponse", "CreateEmbeddingResponse", "Embedding", "Response", "ResponseUsage", "ResponseItemList",
    "TokenCountsResource", "LogProb", "ResponseCreatedEvent", "ResponseInProgressEvent", "ResponseOutputItemAddedEvent",
    "ResponseContentPartAddedEvent", "ResponseTextDeltaEvent", "ResponseTextDoneEvent", "ResponseContentPartDoneEvent",
    "ResponseOutputItemDoneEvent", "ResponseFunctionCallArgumentsDeltaEvent", "ResponseFunctionCallArgumentsDoneEvent",
    "ResponseCompletedEvent", "ResponseIncompleteEvent", "ResponseFailedEvent", "ImagesResponse", "Image",
    "ImageGenPartialImageEvent", "ImageGenCompletedEvent", "ImageEditPartialImageEvent", "ImageEditCompletedEvent",
    "OpenAIFile", "ListFilesResponse", "DeleteFileResponse", "Model", "ListModelsResponse",
]  # fmt: skip


class Description:
    """The parts of an OpenAPI description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.version = document["info"]["version"]
        self._schemas = document["components"]["schemas"]
        self.facts: dict[str, Any] = {}

    def add(self, name: str) -> None:
        self._object(name, self._schemas[name])

    def _object(self, name: str, schema: dict[str, Any]) -> None:
        properties, required = self._flat(schema)
        fact: dict[str, Any] = {"fields": sorted(properties), "required": sorted(required)}
        enums = {
            key: values for key, value in sorted(properties.items()) if key != "model" and (values := self._enum(value))
        }
        if enums:
            fact["enums"] = enums
        self.facts[name] = fact
        for key, value in properties.items():
            inner = self._inline(value)
            if inner is not None:
                self._object(f"{name}.{key}", inner)

    def _flat(self, schema: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        if "$ref" in schema:
            return self._flat(self._named(schema))
        properties, required = dict(schema.get("properties", {})), set(schema.get("required", ()))
        for part in schema.get("allOf", ()):
            more, needed = self._flat(part)
            properties.update(more)
            required |= needed
        if not properties:
            for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
                more, needed = self._flat(part)
                properties.update(more)
                required |= needed
        return properties, required

    def _named(self, schema: dict[str, Any]) -> dict[str, Any]:
        return self._schemas[schema["$ref"].rpartition("/")[2]]

    def _enum(self, schema: dict[str, Any]) -> list[Any]:
        if "$ref" in schema:
            return self._enum(self._named(schema))
        found = [value for value in schema.get("enum", ()) if value is not None]
        for part in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
            if "$ref" not in part or "enum" in self._named(part):
                found.extend(self._enum(part))
        return sorted(set(found), key=str)

    def _inline(self, schema: dict[str, Any]) -> dict[str, Any] | None:
        """An object that is described where it is used, or the items of a list of such."""
        if "properties" in schema:
            return schema
        if "items" in schema:
            return self._inline(schema["items"])
        return next((found for part in schema.get("anyOf", ()) if (found := self._inline(part))), None)


def typed(kind: Any, module: Any) -> dict[str, Any]:
    """The facts of a TypedDict or a model of a client package."""
    if hasattr(kind, "__required_keys__"):
        hints = get_type_hints(kind, vars(sys.modules[kind.__module__]) | vars(module))
        required = [name for name in hints if "Required[" in str(kind.__annotations__.get(name))]
    else:
        hints = {name: info.annotation for name, info in kind.model_fields.items()}
        required = [name for name, info in kind.model_fields.items() if info.is_required()]
    fact: dict[str, Any] = {"fields": sorted(hints), "required": sorted(required)}
    named = {name: hint for name, hint in sorted(hints.items()) if name != "model"}
    enums = {name: sorted(values, key=str) for name, hint in named.items() if (values := literals(hint))}
    return {**fact, **({"enums": enums} if enums else {})}


def literals(hint: Any) -> set[Any]:
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    if get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        return set().union(*(literals(part) for part in get_args(hint)))
    return set()


def main(path: str) -> None:
    import anthropic
    import openai
    from anthropic import types as other
    from openai.types import chat as chat_parts
    from openai.types import completion_create_params, embedding_create_params, responses
    from openai.types.chat import completion_create_params as chat

    with open(path, encoding="utf-8") as file:
        description = Description(json.load(file))
    for name in [*REQUESTS.values(), *PARTS, *ANSWERS]:
        description.add(name)
    newer = {
        "CreateChatCompletionRequest": chat.CompletionCreateParamsBase,
        "CreateCompletionRequest": completion_create_params.CompletionCreateParamsBase,
        "CreateResponse": responses.response_create_params.ResponseCreateParamsBase,
        "CreateEmbeddingRequest": embedding_create_params.EmbeddingCreateParams,
        "TokenCountsBody": responses.input_token_count_params.InputTokenCountParams,
        "FunctionTool": responses.FunctionToolParam,
        "FunctionToolCall": responses.ResponseFunctionToolCallParam,
    }
    for name, kind in newer.items():
        fact = description.facts[name]
        fact["fields"] = sorted({*fact["fields"], *kind.__annotations__})
    requests = {
        "POST /v1/messages": other.message_create_params.MessageCreateParamsBase,
        "POST /v1/messages/count_tokens": other.MessageCountTokensParams,
    }
    media: dict[str, Any] = {
        "POST /v1/audio/speech": openai.types.audio.SpeechCreateParams,
        "POST /v1/audio/transcriptions": openai.types.audio.transcription_create_params.TranscriptionCreateParamsBase,
        "POST /v1/videos": openai.types.VideoCreateParams,
    }
    heard = chat_parts.chat_completion_content_part_input_audio_param
    shown = [
        heard.ChatCompletionContentPartInputAudioParam, heard.InputAudio, openai.types.Video,
        openai.types.VideoDeleteResponse, openai.types.audio.Transcription, openai.types.audio.TranscriptionVerbose,
        openai.types.audio.TranscriptionSegment, openai.types.audio.TranscriptionWord,
        openai.types.audio.TranscriptionTextDeltaEvent, openai.types.audio.TranscriptionTextDoneEvent,
    ]  # fmt: skip
    parts = [
        other.TextBlockParam, other.ToolUseBlockParam, other.ToolResultBlockParam, other.ToolParam, other.MetadataParam,
        other.ToolChoiceAutoParam, other.ToolChoiceAnyParam, other.ToolChoiceToolParam, other.ToolChoiceNoneParam,
        other.OutputConfigParam, other.JSONOutputFormatParam, other.CacheControlEphemeralParam,
    ]  # fmt: skip
    answers = [
        other.Message, other.Usage, other.TextBlock, other.ToolUseBlock, other.MessageTokensCount, other.MessageDeltaUsage,
        other.RawMessageStartEvent, other.RawContentBlockStartEvent, other.RawContentBlockDeltaEvent,
        other.RawContentBlockStopEvent, other.RawMessageDeltaEvent, other.RawMessageStopEvent,
    ]  # fmt: skip
    facts = {
        "from": {
            "github.com/openai/openai-openapi": description.version,
            "openai (Python)": openai.__version__,
            "anthropic (Python)": anthropic.__version__,
        },
        "requests": {**REQUESTS, **{route: kind.__name__ for route, kind in {**media, **requests}.items()}},
        "objects": description.facts
        | {kind.__name__: typed(kind, openai.types) for kind in [*media.values(), *shown]}
        | {kind.__name__: typed(kind, other) for kind in [*requests.values(), *parts, *answers]},
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
