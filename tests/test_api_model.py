"""The API with a model and its engine behind it: forms that hold, seeds that repeat, the numbers that lm-eval finds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
