"""OpenAI's Python client talks to a server on a port and needs no change."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from api_server import CALL, NAME, TOOLS, serve, user


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


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


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the client's own
def test_what_was_parsed_can_be_given_back(client: OpenAI) -> None:
    said = user('say {"name": "Ada", "age": 36}')
    tools: Any = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
    for message in (
        client.chat.completions.parse(model=NAME, messages=said, response_format=Person).choices[0].message,
        client.chat.completions.parse(model=NAME, messages=user(f"say {CALL}"), tools=tools).choices[0].message,
    ):
        for given in (message, message.model_dump()):
            talk: Any = [*said, given, *user("command")]
            turn = json.loads(
                client.chat.completions.create(model=NAME, messages=talk).choices[0].message.content or ""
            )
            assert "parsed" not in json.dumps(turn)
    flat: Any = [{"type": "function", **tools[0]["function"]}]
    made = client.responses.parse(model=NAME, input=f"say {CALL}", text_format=Person, tools=flat)
    for whole in (made.to_dict(mode="json"), made.model_dump(), {"output": made.output, "tools": made.tools}):
        again: Any = [*user("Weather?"), *whole["output"], *user("say Sun")]  # type: ignore[misc]
        answer = client.responses.create(model=NAME, input=again, tools=whole["tools"])  # type: ignore[arg-type]
        assert answer.output_text == "Sun"


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
    assert sent["constraint"] == {"kind": "json_object", "hidden": ""}
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
        ({"logit_bias": {"9999": 1}}, "logit_bias", None),
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
    assert (info["vocab_size"], info["eos_token"], info["chat_template"]) == (5000, "<|endoftext|>", "{{ messages }}")
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
