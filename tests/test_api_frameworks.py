"""Frameworks talk to a server on a port and need no change; one that is not there is skipped (daedal[clients])."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from api_server import serve

NAME = "scripted"
CALL = 'say <tool_call>\\n{"name": "weather", "arguments": {"city": "Paris"}}\\n</tool_call>'


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


ADA = 'say {"name": "Ada", "age": 36}'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served")) as address:
        yield f"{address}/v1"


def weather(city: str) -> str:
    """Tells the weather."""
    return f"Sun in {city}"


def test_langchain(url: str) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(
        base_url=url, api_key="none", model=NAME, temperature=0.5, max_tokens=100, max_retries=0
    )
    assert chat.invoke("say Hello there").content == "Hello there"
    assert "".join(chunk.content for chunk in chat.stream("say Hello there")) == "Hello there"
    assert asyncio.run(chat.ainvoke("say Hello there")).content == "Hello there"
    assert chat.with_structured_output(Person).invoke(ADA) == Person(name="Ada", age=36)
    called = chat.bind_tools([weather]).invoke(CALL).tool_calls
    assert [(call["name"], call["args"]) for call in called] == [("weather", {"city": "Paris"})]
    responses = langchain.ChatOpenAI(base_url=url, api_key="none", model=NAME, use_responses_api=True, max_retries=0)
    assert responses.invoke("say Hello there").text == "Hello there"
    assert responses.bind_tools([weather]).invoke(CALL).tool_calls[0]["args"] == {"city": "Paris"}
    text = langchain.OpenAI(base_url=url, api_key="none", model=NAME, max_tokens=100, max_retries=0)
    assert text.invoke("say Hello there") == "Hello there"
    vectors = langchain.OpenAIEmbeddings(base_url=url, api_key="none", model=NAME, check_embedding_ctx_length=False)
    assert len(vectors.embed_query("a b")) == 8


def test_litellm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    asked: dict[str, Any] = {"model": f"openai/{NAME}", "api_base": url, "api_key": "none", "num_retries": 0}
    talk = [{"role": "user", "content": "say Hello there"}]
    assert litellm.completion(messages=talk, max_tokens=100, **asked).choices[0].message.content == "Hello there"
    stream = litellm.completion(messages=talk, stream=True, stream_options={"include_usage": True}, **asked)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "Hello there"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    called = litellm.completion(messages=[{"role": "user", "content": CALL}], tools=tools, **asked).choices[0].message
    assert json.loads(called.tool_calls[0].function.arguments) == {"city": "Paris"}
    parsed = litellm.completion(messages=[{"role": "user", "content": ADA}], response_format=Person, **asked)
    assert Person.model_validate_json(parsed.choices[0].message.content) == Person(name="Ada", age=36)
    assert len(litellm.embedding(input=["a b"], **asked).data[0]["embedding"]) == 8
    assert litellm.responses(input="say Hello there", **asked).output[0].content[0].text == "Hello there"
    made = litellm.text_completion(prompt="say Hello", **{**asked, "model": f"text-completion-openai/{NAME}"})
    assert made.choices[0].text == "Hello"
    ranked = litellm.rerank(query="a b", documents=["c", "b a", "a"], **{**asked, "model": f"hosted_vllm/{NAME}"})
    assert [(one["index"], one["relevance_score"]) for one in ranked.results] == [(1, 2.0), (2, 1.0), (0, 0.0)]


@pytest.mark.parametrize("kind", ["OpenAIChatCompletionsModel", "OpenAIResponsesModel"])
def test_agents(url: str, kind: str) -> None:
    agents = pytest.importorskip("agents")
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    model = getattr(agents, kind)(model=NAME, openai_client=client)
    agent = agents.Agent(name="A", instructions="Be brief", model=model, tools=[agents.function_tool(weather)])
    assert agents.Runner.run_sync(agent, "say Hello").final_output == "Hello"
    assert agents.Runner.run_sync(agent, CALL).final_output == "ok"


@pytest.mark.parametrize("kind", ["openai-chat", "openai-responses", "anthropic"])
def test_pydantic_ai(url: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ai = pytest.importorskip("pydantic_ai")
    for name, value in (("OPENAI", url), ("ANTHROPIC", url.removesuffix("/v1"))):
        monkeypatch.setenv(f"{name}_BASE_URL", value)
        monkeypatch.setenv(f"{name}_API_KEY", "none")
    agent = ai.Agent(f"{kind}:{NAME}")
    assert agent.run_sync("say Hello").output == "Hello"
    called = CALL.replace("weather", "final_result").replace('"city": "Paris"', '"name": "Ada", "age": 36')
    assert agent.run_sync(called, output_type=Person).output == Person(name="Ada", age=36)


def test_llama_index(url: str) -> None:
    like = pytest.importorskip("llama_index.llms.openai_like")
    model = like.OpenAILike(model=NAME, api_base=url, api_key="none", is_chat_model=True)
    assert model.complete("say Hello").text == "Hello"
    assert "".join(chunk.delta for chunk in model.stream_complete("say Hello")) == "Hello"


def test_inspect(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspect = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import includes

    monkeypatch.chdir(tmp_path)
    model = get_model(f"openai-api/daedal/{NAME}", base_url=url, api_key="none", config=GenerateConfig(max_retries=0))
    task = inspect.Task(
        dataset=[Sample(input="say Hello", target="Hello"), Sample(input="say No", target="Yes")], scorer=includes()
    )
    (log,) = inspect.eval(task, model=model, log_dir=str(tmp_path), display="none")
    assert log.status == "success"
    assert [sample.scores["includes"].value for sample in log.samples] == ["C", "I"]
    assert log.stats.model_usage
