"""The clients that people have talk to a server on a port and need no change: openai's, and Anthropic's."""

import asyncio
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI
from pydantic import BaseModel

from api_server import serve
from daedal.serving.keys import KeyRing

NAME = "scripted"
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
CALL = '<tool_call>\\n{"name": "weather", "arguments": {"city": "Paris"}}\\n</tool_call>'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


# -- chat --------------------------------------------------------------------------------------------------------------


def test_a_chat_is_answered(client: OpenAI) -> None:
    made = client.chat.completions.create(model=NAME, messages=user("say Hello there"), max_tokens=50, seed=1)
    assert made.choices[0].message.content == "Hello there"
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert made.usage.completion_tokens == 2
    assert made.usage.prompt_tokens == 4
    assert made.usage.prompt_tokens_details is not None
    assert made.usage.prompt_tokens_details.cached_tokens == 2
    assert made.system_fingerprint is not None


def test_a_chat_is_streamed_with_its_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=NAME, messages=user("say one two é three"), stream=True, n=2, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = ["", ""]
    for chunk in chunks[:-1]:
        assert chunk.usage is None
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == ["one two é three"] * 2
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]].count("stop") == 2
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_full_context_is_a_length_and_a_stop_text_is_a_stop(client: OpenAI) -> None:
    cut = client.chat.completions.create(model=NAME, messages=user("cut Hello there"))
    assert cut.choices[0].finish_reason == "length"
    few = client.chat.completions.create(model=NAME, messages=user("say Hello there"), max_completion_tokens=1)
    assert (few.choices[0].message.content, few.choices[0].finish_reason) == ("Hello", "length")
    stopped = client.chat.completions.create(model=NAME, messages=user("say Hello there"), stop=" th")
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("Hello", "stop")


def test_log_probabilities_are_told_whole_and_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=NAME, messages=user("say a é"), logprobs=True, top_logprobs=2)
    assert whole.choices[0].logprobs is not None
    content = whole.choices[0].logprobs.content
    assert content is not None
    assert b"".join(bytes(one.bytes or ()) for one in content).decode() == "a é"
    assert [len(one.top_logprobs) for one in content] == [2] * len(content)
    streamed = client.chat.completions.create(
        model=NAME, messages=user("say a é"), logprobs=True, top_logprobs=0, stream=True
    )
    parts = [one for chunk in streamed if (told := chunk.choices[0].logprobs) for one in told.content or ()]
    assert [one.token for one in parts] == [one.token for one in content]
    assert parts[0].top_logprobs == []


def test_tools_are_called_whole_and_streamed(client: OpenAI) -> None:
    asked: Any = {"model": NAME, "messages": user(f"say Let me see.\\n{CALL}\\n{CALL}"), "tools": TOOLS}
    made = client.chat.completions.create(**asked)
    choice = made.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Let me see.")
    calls: Any = choice.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}] * 2
    assert len({call.id for call in calls}) == 2
    arguments, names, words = ["", ""], [], ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        delta = chunk.choices[0].delta
        words += delta.content or ""
        for call in delta.tool_calls or ():
            names += [call.function.name] if call.id else []
            arguments[call.index] += call.function.arguments or ""
        last = chunk.choices[0].finish_reason
    assert (words, names, last) == ("Let me see.", ["weather", "weather"], "tool_calls")
    assert [json.loads(text) for text in arguments] == [{"city": "Paris"}] * 2


def test_a_conversation_goes_on_after_a_call(client: OpenAI) -> None:
    first = client.chat.completions.create(
        model=NAME, messages=user(f"say {CALL}"), tools=TOOLS, tool_choice="required"
    )
    said = first.choices[0].message
    answered: Any = {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": "Sun"}  # type: ignore[index]
    talk = [*user("Weather?"), said.model_dump(), answered, *user("say It is sunny")]
    second = client.chat.completions.create(model=NAME, messages=talk, tools=TOOLS)
    assert second.choices[0].message.content == "It is sunny"


class Person(BaseModel):
    name: str
    age: int


def test_an_answer_is_parsed_into_a_model(client: OpenAI) -> None:
    said = user('say {"name": "Ada", "age": 36}')
    assert client.chat.completions.parse(model=NAME, messages=said, response_format=Person).choices[
        0
    ].message.parsed == Person(name="Ada", age=36)
    assert client.responses.parse(model=NAME, input=said[0]["content"], text_format=Person).output_parsed == Person(
        name="Ada", age=36
    )
    with client.chat.completions.stream(model=NAME, messages=said, response_format=Person) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="Ada", age=36)


def command(client: OpenAI, **asked: Any) -> dict[str, Any]:
    """What the worker was asked to do."""
    made = client.chat.completions.create(model=NAME, messages=user("command"), **asked)
    found: dict[str, Any] = json.loads(made.choices[0].message.content or "")
    return found


def test_every_choice_of_sampling_reaches_the_engine(client: OpenAI) -> None:
    sent = command(
        client,
        temperature=0.5,
        top_p=0.9,
        seed=7,
        stop=["§", "¶"],
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logit_bias={"5": -100},
        max_tokens=5000,
        extra_body={"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.1, "min_tokens": 2},
        response_format={"type": "json_object"},
    )
    assert sent["options"] == {
        "temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.1, "presence_penalty": 0.1,
        "frequency_penalty": 0.2, "logit_bias": {"5": -100}, "stop": ["§", "¶"], "seed": 7, "max_tokens": 5000,
        "logprobs": None,
    }  # fmt: skip
    assert sent["min_tokens"] == 2
    assert sent["constraint"] == {"kind": "json_object"}
    assert sent["prompt"] == {"messages": user("command"), "tools": None, "add_generation_prompt": True}


def test_a_developer_speaks_as_the_system(client: OpenAI) -> None:
    made = client.chat.completions.create(
        model=NAME, messages=[{"role": "developer", "content": "Be brief"}, *user("command")], n=1
    )
    sent = json.loads(made.choices[0].message.content or "")
    assert sent["prompt"]["messages"][0] == {"role": "system", "content": "Be brief"}


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"temperature": 3}, "temperature", None),
        ({"audio": {"voice": "x", "format": "wav"}}, "audio", None),
        ({"extra_body": {"temprature": 1}}, "temprature", "unknown_parameter"),
        ({"tool_choice": "required"}, "tool_choice", None),
        ({"messages": user("too long")}, None, "context_length_exceeded"),
        ({"messages": []}, "messages", None),
    ],
)
def test_a_mistake_is_a_bad_request_that_names_it(
    client: OpenAI, asked: Any, param: str | None, code: str | None
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**{"model": NAME, "messages": user("say x"), "stream": stream, **asked})
        assert refused.value.param == param
        assert code is None or refused.value.code == code


def test_a_model_that_is_not_there_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=user("say x"))
    with pytest.raises(openai.NotFoundError) as refused:
        client.moderations.create(input="x")
    assert refused.value.code == "model_not_found"


# -- texts -------------------------------------------------------------------------------------------------------------


def test_texts_go_on_from_strings_and_token_ids(client: OpenAI, url: str) -> None:
    ids = httpx.post(f"{url}/tokenize", json={"prompt": "say a b"}).json()["tokens"]
    for prompt in ("say a b", ids):
        made = client.completions.create(model=NAME, prompt=prompt)
        assert made.choices[0].text == "a b"
        assert made.usage is not None
        assert made.usage.prompt_tokens == 3
    for prompts in (["say a", "say b"], [ids, ids]):
        made = client.completions.create(model=NAME, prompt=prompts, n=2)  # type: ignore[arg-type]
        assert [choice.index for choice in made.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in client.completions.create(model=NAME, prompt=["say a", "say b"]).choices] == [
        "a",
        "b",
    ]


def test_texts_are_streamed(client: OpenAI) -> None:
    stream = client.completions.create(
        model=NAME, prompt=["say a b", "say c d"], n=2, stream=True, echo=True, stream_options={"include_usage": True}
    )
    texts = [""] * 4
    ended = 0
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            ended += choice.finish_reason == "stop"
    assert texts == ["say a ba b", "say a ba b", "say c dc d", "say c dc d"]
    assert ended == 4
    assert chunk.usage is not None
    assert chunk.usage.completion_tokens == 8


def test_a_prompt_is_read_with_its_log_probabilities(client: OpenAI) -> None:
    """What lm-eval's `local-completions` does."""
    made = client.completions.create(model=NAME, prompt="say é b", max_tokens=0, echo=True, logprobs=1)
    told: Any = made.choices[0].logprobs
    assert made.choices[0].text == "say é b"
    assert told.token_logprobs[0] is None
    assert told.top_logprobs[0] is None
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == len(told.text_offset)
    assert told.tokens == ["say", " ", "bytes:\\xc3", "bytes:\\xa9", " b"]
    assert told.text_offset == [0, 3, 4, 4, 5]
    more: Any = client.completions.create(model=NAME, prompt="say é b", max_tokens=1, echo=True, logprobs=1).choices[0]
    assert more.logprobs.text_offset[-1] == 7
    assert more.logprobs.token_logprobs[1:-1] == told.token_logprobs[1:]


def test_the_best_of_several_texts_is_the_likeliest(client: OpenAI) -> None:
    made = client.completions.create(model=NAME, prompt="vary text", best_of=3, n=1)
    assert [choice.text for choice in made.choices] == ["text1"]
    assert made.choices[0].logprobs is None
    assert made.usage is not None
    assert made.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"prompt": [9999]}, "prompt"),
        ({"prompt": ["x"] * 200, "n": 16}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_a_mistake_in_a_text_is_named(client: OpenAI, asked: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{"model": NAME, "prompt": "say x", **asked})
    assert refused.value.param == param


# -- responses ---------------------------------------------------------------------------------------------------------


def test_a_response_is_made_kept_and_forgotten(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say Hello", instructions="Be kind", metadata={"a": "b"})
    assert made.output_text == "Hello"
    assert made.status == "completed"
    assert made.usage is not None
    assert made.usage.input_tokens_details.cached_tokens > 0
    assert client.responses.retrieve(made.id) == made
    listed = client.responses.input_items.list(made.id).data
    assert [item.type for item in listed] == ["message"]
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_response_that_is_not_stored_is_not_found(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model=NAME, input="say x", previous_response_id=made.id)
    assert refused.value.param == "previous_response_id"


def test_a_conversation_goes_on_from_a_response(client: OpenAI) -> None:
    first = client.responses.create(model=NAME, input="say One")
    second = client.responses.create(model=NAME, input="say Two", previous_response_id=first.id)
    third = client.responses.create(
        model=NAME, input=[*user("command")], previous_response_id=second.id, instructions="Be kind"
    )
    said = json.loads(third.output_text)["prompt"]["messages"]
    assert [turn["content"] for turn in said] == ["Be kind", "say One", "One", "say Two", "Two", "command"]


def test_a_response_is_streamed_with_every_event(client: OpenAI) -> None:
    events = list(client.responses.create(model=NAME, input="say Hello there", stream=True))
    assert [kind for kind, _ in groupby(event.type for event in events)] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    ended: Any = events[-1]
    assert ended.response.output_text == "Hello there"
    assert client.responses.retrieve(ended.response.id).output_text == "Hello there"
    with client.responses.stream(model=NAME, input="say Hello there") as stream:
        assert stream.get_final_response().output_text == "Hello there"


def test_a_response_calls_tools(client: OpenAI) -> None:
    tools: Any = [{"type": "function", **TOOLS[0]["function"]}]
    asked: Any = {"model": NAME, "input": f"say Let me see.\\n{CALL}", "tools": tools}
    made = client.responses.create(**asked)
    words, call = made.output
    assert (words.type, call.type) == ("message", "function_call")
    assert json.loads(call.arguments) == {"city": "Paris"}  # type: ignore[union-attr]
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events if "output_text" not in event.type and "content_part" not in event.type]
    assert kinds[2:5] == ["response.output_item.added", "response.output_item.done", "response.output_item.added"]
    assert kinds[-3:] == [
        "response.function_call_arguments.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == {"city": "Paris"}
    answered: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Sun"}, *user("say Sunny")]  # type: ignore[union-attr]
    assert (
        client.responses.create(model=NAME, input=answered, previous_response_id=made.id, tools=tools).output_text
        == "Sunny"
    )
    whole: Any = [*user("Weather?"), *(item.model_dump(exclude_none=True) for item in made.output), *answered]
    assert client.responses.create(model=NAME, input=whole, tools=tools).output_text == "Sunny"


def test_a_response_that_is_cut_off_is_incomplete(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="cut Hello")
    assert (made.status, made.output_text) == ("incomplete", "Hello")
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert list(client.responses.create(model=NAME, input="cut Hello", stream=True))[-1].type == "response.incomplete"


def test_a_response_tells_log_probabilities(client: OpenAI) -> None:
    made = client.responses.create(
        model=NAME, input="say a b", include=["message.output_text.logprobs"], top_logprobs=2
    )
    content: Any = made.output[0].content[0]  # type: ignore[union-attr, index]
    assert [one.token for one in content.logprobs] == ["a", " b"]
    assert len(content.logprobs[0].top_logprobs) == 2


def test_the_oldest_turns_are_left_out_where_that_is_asked_for(client: OpenAI) -> None:
    long: Any = [turn for number in range(50) for turn in user(f"number {number} of many")]
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=NAME, input=[*long, *user("command")])
    assert refused.value.code == "context_length_exceeded"
    made = client.responses.create(
        model=NAME, input=[*long, *user("command")], truncation="auto", instructions="Be kind", max_output_tokens=5000
    )
    said = [turn["content"] for turn in json.loads(made.output_text)["prompt"]["messages"]]
    assert said[0] == "Be kind"
    assert said[-2:] == ["number 49 of many", "command"]
    assert 10 < len(said) < 50
    counted = client.responses.input_tokens.count(model=NAME, input=[*long, *user("x")]).input_tokens
    assert counted > 200


# -- vectors, tokens ---------------------------------------------------------------------------------------------------


def test_embeddings_are_the_same_in_either_form(client: OpenAI) -> None:
    plain = client.embeddings.create(model=NAME, input=["a b", "c"], encoding_format="float")
    packed = client.embeddings.create(model=NAME, input=["a b", "c"])
    for one, other in zip(plain.data, packed.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)
    assert plain.usage.prompt_tokens == 3
    assert len(client.embeddings.create(model=NAME, input=[1, 2], dimensions=3).data[0].embedding) == 3
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=NAME, input="a", dimensions=9)
    assert refused.value.param == "dimensions"


def test_tokens_and_back(url: str) -> None:
    made = httpx.post(f"{url}/tokenize", json={"model": NAME, "prompt": "say é", "return_token_strs": True}).json()
    assert made["count"] == len(made["tokens"]) == len(made["token_strs"])
    assert made["max_model_len"] == 200
    assert httpx.post(f"{url}/detokenize", json={"tokens": made["tokens"]}).json() == {"prompt": "say é"}
    talk = httpx.post(f"{url}/tokenize", json={"messages": user("hi")}).json()
    assert talk["count"] > 0
    info = httpx.get(f"{url}/tokenizer_info").json()
    assert info["vocab_size"] == 5000
    assert httpx.get(f"{url}/tokenizer_info?modle=x").status_code == 400


# -- ways of asking ----------------------------------------------------------------------------------------------------


def test_raw_responses_and_the_asynchronous_client(client: OpenAI, url: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=NAME, messages=user("say Hello"))
    assert raw.parse().choices[0].message.content == "Hello"
    assert raw.headers["content-type"] == "application/json"

    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as other:
            one = await other.chat.completions.create(model=NAME, messages=user("say Hello"))
            stream = await other.chat.completions.create(model=NAME, messages=user("say Hello"), stream=True)
            told = [chunk.choices[0].delta.content or "" async for chunk in stream]
            return [one.choices[0].message.content or "", "".join(told)]

    assert asyncio.run(ask()) == ["Hello", "Hello"]


# -- Anthropic's client ------------------------------------------------------------------------------------------------

INPUT: Any = [
    {"name": "weather", "description": "Tells the weather", "input_schema": TOOLS[0]["function"]["parameters"]}
]


@pytest.fixture(scope="module")
def claude(url: str) -> Anthropic:
    return Anthropic(base_url=url, api_key="none", max_retries=0)


def test_a_message_is_answered(claude: Anthropic) -> None:
    made = claude.messages.create(model=NAME, max_tokens=50, system="Be brief", messages=user("say Hello there"))
    assert made.content[0].text == "Hello there"  # type: ignore[union-attr]
    assert (made.stop_reason, made.stop_sequence) == ("end_turn", None)
    usage = made.usage
    assert usage.output_tokens == 2
    assert (usage.cache_read_input_tokens or 0) > 0
    assert claude.messages.count_tokens(
        model=NAME, system="Be brief", messages=user("say Hello there")
    ).input_tokens == (usage.input_tokens + (usage.cache_read_input_tokens or 0))


@pytest.mark.parametrize(
    ("asked", "reason", "stop"),
    [
        ({"messages": user("say a b"), "max_tokens": 1}, "max_tokens", None),
        ({"messages": user("cut a b")}, "model_context_window_exceeded", None),
        ({"messages": user("say a b"), "stop_sequences": ["x", " b"]}, "stop_sequence", " b"),
        ({"messages": user(f"say {CALL}"), "tools": INPUT}, "tool_use", None),
    ],
)
def test_a_message_says_why_it_ended(claude: Anthropic, asked: Any, reason: str, stop: str | None) -> None:
    asked = {"model": NAME, "max_tokens": 50, **asked}
    made = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for one in (made, streamed):
        assert (one.stop_reason, one.stop_sequence) == (reason, stop)
    assert made.usage.output_tokens == streamed.usage.output_tokens


def test_a_message_calls_tools_and_goes_on(claude: Anthropic) -> None:
    asked: Any = {"model": NAME, "max_tokens": 50, "tools": INPUT, "messages": user(f"say Let me see.\\n{CALL}")}
    made = claude.messages.create(**asked)
    words, call = made.content
    assert (words.text, call.name, call.input) == ("Let me see.", "weather", {"city": "Paris"})  # type: ignore[union-attr]
    with claude.messages.stream(**asked) as stream:
        assert [block.type for block in stream.get_final_message().content] == ["text", "tool_use"]
        assert stream.get_final_message().content[1].input == {"city": "Paris"}  # type: ignore[union-attr]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Sun"}]}  # type: ignore[union-attr]
    talk: Any = [
        *user("Weather?"),
        {"role": "assistant", "content": made.content},
        {"role": "user", "content": [result]},
    ]
    talk[-1]["content"].append({"type": "text", "text": "say Sunny"})
    assert claude.messages.create(**{**asked, "messages": talk}).content[0].text == "Sunny"  # type: ignore[union-attr]


def test_a_mistake_in_a_message_is_told_as_anthropic_tells_it(claude: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model=NAME, max_tokens=5, messages=user("too long"))
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nobody", max_tokens=5, messages=user("say x"))
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=NAME, max_tokens=5, messages=[*user("x"), {"role": "assistant", "content": "I"}])


# -- keys --------------------------------------------------------------------------------------------------------------


def test_what_one_key_has_stored_no_other_key_finds(tmp_path: Path) -> None:
    ring, secrets = KeyRing(), {}
    for name in ("ann", "bob"):
        ring, secrets[name] = ring.add(name, "user")
    ring.save(tmp_path / "keys.json")
    with serve(tmp_path / "data", keys=tmp_path / "keys.json") as url:
        ann, bob = (OpenAI(base_url=f"{url}/v1", api_key=secrets[name], max_retries=0) for name in ("ann", "bob"))
        made = ann.responses.create(model="alias", input="say Hello")
        assert ann.responses.retrieve(made.id).output_text == "Hello"
        for ask in (
            lambda: bob.responses.retrieve(made.id),
            lambda: bob.responses.delete(made.id),
            lambda: bob.responses.input_items.list(made.id),
            lambda: bob.responses.create(model="alias", input="say x", previous_response_id=made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        with pytest.raises(openai.AuthenticationError):
            OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0).responses.create(model="alias", input="say x")
        Anthropic(base_url=url, api_key=secrets["bob"]).messages.create(
            model="alias", max_tokens=5, messages=user("say x")
        )
