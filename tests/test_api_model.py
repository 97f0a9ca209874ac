"""The API with a model and its engine behind it: forms that hold, seeds that repeat, the numbers that lm-eval finds."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api_server import serve
from daedal.codecs.text import TextCodec
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from tiny_models import tiny_gpt

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "To be, or not to be: that is the question.",
    "naïve café 東京",
]
CITY: Any = {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    codec = TextCodec.train("bpe", TEXTS * 4, 300)
    codec.save(path)
    save_model(tiny_gpt(codec, context=1024), path)
    return path


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served"), models={"tiny": str(folder)}, aliases={}) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def ask(client: OpenAI, **asked: Any) -> Any:
    talk = [{"role": "user", "content": "The fox"}]
    return client.chat.completions.create(**{"model": "tiny", "messages": talk, "max_tokens": 300, **asked})


def test_a_seed_gives_the_same_text_alone_and_among_others(client: OpenAI) -> None:
    alone = ask(client, seed=5, max_tokens=20).choices[0].message.content
    several = ask(client, seed=5, max_tokens=20, n=3).choices
    assert several[0].message.content == alone
    assert len({choice.message.content for choice in several}) == 3
    streamed = ask(client, seed=5, max_tokens=20, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == alone


def test_without_a_seed_an_answer_is_another_each_time(client: OpenAI) -> None:
    def completed() -> Any:
        return client.completions.create(model="tiny", prompt="The fox", max_tokens=20).choices[0].text

    def responded() -> Any:
        return client.responses.create(model="tiny", input="The fox", max_output_tokens=20).output_text

    def said() -> Any:
        return ask(client, max_tokens=20).choices[0].message.content

    for asked in (completed, responded, said):
        assert len({asked() for _ in range(4)}) > 1
    fields = {"model": "tiny", "messages": [{"role": "user", "content": "The fox"}], "max_tokens": 20}
    assert len({client.post("/messages", body=fields, cast_to=object)["content"][0]["text"] for _ in range(4)}) > 1  # type: ignore[index]


def test_an_answer_in_one_piece_has_so_many_log_probabilities_at_most(client: OpenAI) -> None:
    asked: Any = {"model": "tiny", "prompt": ["a"] * 16, "n": 16, "max_tokens": 500, "logprobs": 20}
    with pytest.raises(openai.BadRequestError, match="stream it") as refused:
        client.completions.create(**asked)
    assert refused.value.param == "logprobs"
    with client.completions.create(**asked, stream=True) as stream:
        next(iter(stream))


def test_a_model_that_knows_nothing_keeps_to_the_form(client: OpenAI) -> None:
    for seed in range(3):
        form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
        made = ask(client, response_format=form, seed=seed).choices[0]
        assert made.finish_reason == "stop"
        assert json.loads(made.message.content)["city"] in ("Rome", "Paris")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_model_that_knows_nothing_calls_what_it_must(client: OpenAI, choice: Any) -> None:
    made = ask(client, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, seed=1).choices[0]
    assert (made.finish_reason, made.message.content) == ("tool_calls", None)
    (call,) = made.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Rome", "Paris")


def test_a_model_that_may_call_may_also_write(client: OpenAI) -> None:
    made = ask(client, tools=TOOLS, max_tokens=20, seed=1).choices[0]
    assert made.finish_reason in ("stop", "length")
    assert made.message.tool_calls is None
    assert "<tool_call>" not in made.message.content


def test_a_schema_that_cannot_be_enforced_is_a_bad_request(client: OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", "uniqueItems": True}}}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, response_format=form)
    assert refused.value.code == "invalid_constraint"
    assert refused.value.param == "response_format"
    assert "uniqueItems" in refused.value.message


def test_a_tool_that_cannot_be_enforced_is_named(client: OpenAI) -> None:
    bad = {"type": "function", "function": {"name": "bad", "parameters": {"properties": {"a": {"$ref": "#/no"}}}}}
    with pytest.raises(openai.BadRequestError, match="The tool 'bad': ") as refused:
        ask(client, tools=[*TOOLS, bad])
    assert refused.value.param == "tools"


def test_a_stop_text_cuts_no_call_and_no_json(client: OpenAI) -> None:
    strict = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]  # closed: it ends by itself
    made = ask(client, tools=strict, tool_choice="required", parallel_tool_calls=False, stop=["}", "a", ":"])
    assert made.choices[0].finish_reason == "tool_calls"
    assert json.loads(made.choices[0].message.tool_calls[0].function.arguments)["city"] in ("Rome", "Paris")
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    raw = client.chat.completions.with_raw_response.create(
        model="tiny", messages=[{"role": "user", "content": "x"}], response_format=form, stop=["}"], max_tokens=300
    )
    assert json.loads(raw.parse().choices[0].message.content)["city"] in ("Rome", "Paris")
    assert raw.headers["x-daedal-unused"] == "stop"


def test_the_place_of_what_is_not_enforced_makes_no_header_of_its_own(client: OpenAI) -> None:
    odd = {"properties": {"é\r\nx-evil: 1": {"type": "string", "format": "path"}}}
    raw = client.chat.completions.with_raw_response.create(
        model="tiny", messages=[{"role": "user", "content": "x"}], max_tokens=3,
        tools=[{"type": "function", "function": {"name": "f", "parameters": odd}}],
    )  # fmt: skip
    assert raw.headers["x-daedal-unused"] == "tools.f.properties.???x-evil??1.format"
    assert "x-evil" not in raw.headers


@pytest.mark.parametrize("text", TEXTS)
def test_a_prompt_is_read_as_the_library_reads_it(client: OpenAI, folder: Path, text: str) -> None:
    made: Any = client.completions.create(model="tiny", prompt=text, max_tokens=0, echo=True, logprobs=1).choices[0]
    codec = TextCodec.load(folder)
    first = codec.encode(text)[0]
    score = Generator.open(folder).score(text[len(codec.decode([first])) :], given=codec.decode([first]))
    assert made.text == text
    assert sum(made.logprobs.token_logprobs[1:]) == pytest.approx(score.log_likelihood, rel=1e-4)
    starts = [*made.logprobs.text_offset, len(text)]
    for token, start, end in zip(made.logprobs.tokens, starts, starts[1:], strict=False):
        assert token == text[start:end] or token.startswith("bytes:")


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("ends", ["itself", "a stop text", "its length"])
def test_every_token_that_is_counted_has_its_log_probability(client: OpenAI, folder: Path, ends: str, n: int) -> None:
    said = ask(client, seed=1, max_tokens=12).choices[0].message.content
    some: dict[str, Any] = {
        "itself": {"logit_bias": {str(TextCodec.load(folder).eos_id): 100}},
        "a stop text": {"stop": [said[4:6]]},
        "its length": {},
    }[ends]
    chat: dict[str, Any] = {"seed": 1, "max_tokens": 12, "logprobs": True, "top_logprobs": 1, "n": n, **some}
    whole = ask(client, **chat)
    assert sum(len(choice.logprobs.content) for choice in whole.choices) == whole.usage.completion_tokens
    parts = list(ask(client, **chat, stream=True, stream_options={"include_usage": True}))
    told = [choice for part in parts for choice in part.choices]
    assert sum(len(one.logprobs.content) for one in told if one.logprobs) == parts[-1].usage.completion_tokens
    text: dict[str, Any] = {
        "model": "tiny",
        "prompt": "The fox",
        "logprobs": 1,
        "max_tokens": 12,
        "seed": 1,
        "n": n,
        **some,
    }
    made: Any = client.completions.create(**text)
    assert sum(len(choice.logprobs.token_logprobs) for choice in made.choices) == made.usage.completion_tokens
    pieces: list[Any] = list(client.completions.create(**text, stream=True))
    entries = [len(choice.logprobs.tokens) for one in pieces for choice in one.choices if choice.logprobs]
    assert sum(entries) == made.usage.completion_tokens


def test_a_response_tells_of_the_tokens_that_ended_it(client: OpenAI) -> None:
    form: Any = {"format": {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}}
    asked: dict[str, Any] = {
        "model": "tiny",
        "input": "The fox",
        "text": form,
        "include": ["message.output_text.logprobs"],
    }
    made: Any = client.responses.create(**asked)
    assert made.status == "completed"
    assert len(made.output[0].content[0].logprobs) == made.usage.output_tokens
    events: list[Any] = list(client.responses.create(**asked, stream=True))
    told = [len(event.logprobs) for event in events if event.type == "response.output_text.delta"]
    assert sum(told) == events[-1].response.usage.output_tokens


LONG = "The quick brown fox " * 800
OVERFLOW: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": LONG},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": LONG}]},
    "/v1/responses": {"input": LONG},
    "/v1/messages": {"messages": [{"role": "user", "content": LONG}], "max_tokens": 1},
    "/v1/embeddings": {"input": LONG},
}


@pytest.mark.parametrize("longer", [1, 20])
@pytest.mark.parametrize("path", OVERFLOW)
def test_an_overflow_is_told_in_words_that_clients_know(url: str, path: str, longer: int) -> None:
    body = json.loads(json.dumps({"model": "tiny", **OVERFLOW[path]}).replace(LONG, LONG * longer))
    for streamed in (False, True) if path != "/v1/embeddings" else (False,):
        answer = httpx.post(f"{url}{path}", json={**body, **({"stream": True} if streamed else {})})
        said = answer.json()["error"]
        assert answer.status_code == 400
        assert said.get("code", "context_length_exceeded") == "context_length_exceeded"
        assert "This model's maximum context length is 1024 tokens" in said["message"]
        found = re.search(r"prompt is too long: (\d+) tokens > (\d+) maximum", said["message"])
        assert found is not None
        assert int(found[1]) > int(found[2]) >= 1023


def test_clients_know_an_overflow(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm, langchain = pytest.importorskip("litellm"), pytest.importorskip("langchain_openai")
    from langchain_core.exceptions import ContextOverflowError

    talk: Any = [{"role": "user", "content": LONG}]
    for kind, where in (("openai", f"{url}/v1"), ("anthropic", url)):
        with pytest.raises(litellm.ContextWindowExceededError):
            litellm.completion(f"{kind}/tiny", talk, api_base=where, api_key="none", max_tokens=1, max_retries=0)
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.text_completion(
            model="text-completion-openai/tiny", prompt=LONG, api_base=f"{url}/v1", api_key="none", max_retries=0
        )
    for responses in (False, True):
        chat = langchain.ChatOpenAI(
            base_url=f"{url}/v1", api_key="none", model="tiny", max_retries=0, use_responses_api=responses
        )
        with pytest.raises(ContextOverflowError):
            chat.invoke(LONG)


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "18446744073709551616", "-9223372036854775809", "1e300", "-0.0", "1.5"]
)
def test_a_whole_number_that_is_none_is_refused_with_its_range_or_honoured(url: str, number: str) -> None:
    asked = {
        "/v1/completions": {"prompt": "The"},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": "x"}]},
    }
    for path, body in asked.items():
        for field in ("seed", "max_tokens", "n", "top_k", "min_tokens"):
            text = json.dumps({"model": "tiny", "logit_bias": {"299": 100}, **body})[:-1] + f', "{field}": {number}}}'
            answer = httpx.post(f"{url}{path}", content=text, headers={"content-type": "application/json"}, timeout=60)
            if answer.status_code != 200:
                assert answer.status_code == 400
                error = answer.json()["error"]
                assert error["param"] in (field, "messages", "prompt")
                assert (
                    field != "seed"
                    or "from -9,223,372,036,854,775,808 to 9,223,372,036,854,775,807" in error["message"]
                )
            assert answer.status_code == 400 or field in ("max_tokens", "min_tokens")


def test_minus_one_takes_all_tokens(client: OpenAI) -> None:
    def said(**more: Any) -> Any:
        return ask(client, seed=3, max_tokens=20, extra_body=more).choices[0].message.content

    assert said(top_k=-1) == said(top_k=0) == said() != said(top_k=1)


def test_lm_eval_finds_the_same_numbers_through_the_api(url: str, folder: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("tenacity")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    from daedal.interop.lm_eval import DaedalLM

    asked = [(TEXTS[0], " It sleeps"), (TEXTS[1], " not"), ("The quick", " brown fox"), ("naïve", " café 東京")]

    def requests(kind: str, arguments: Any) -> list[Any]:
        return [Instance(kind, {}, one, number) for number, one in enumerate(arguments)]

    ours = DaedalLM(Generator.open(folder))
    for tokenized, batch in ((True, 3), (False, 1)):
        theirs = LocalCompletionsAPI(
            model="tiny",
            base_url=f"{url}/v1/completions",
            tokenizer=str(folder),
            tokenized_requests=tokenized,
            batch_size=batch,
            max_length=1024,
        )
        found = theirs.loglikelihood(requests("loglikelihood", asked), disable_tqdm=True)
        known = ours.loglikelihood(requests("loglikelihood", asked))
        assert [value for value, _ in found] == pytest.approx([value for value, _ in known], rel=1e-4)
        assert [greedy for _, greedy in found] == [greedy for _, greedy in known]
    until = [("The quick", {"until": ["."], "max_gen_toks": 12}), ("To be", {"until": ["e"], "max_gen_toks": 12})]
    assert theirs.generate_until(requests("generate_until", until), disable_tqdm=True) == ours.generate_until(
        requests("generate_until", until)
    )
