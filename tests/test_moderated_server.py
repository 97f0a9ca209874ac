"""A server that moderates: what is asked and what is answered is judged, streams too, and harmless text passes unchanged."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from api_server import NAME, serve, user
from daedal.safety.moderation.rules import CategoryRules, Rules
from daedal.serving.commands import Event
from daedal.serving.held_back import held_back
from daedal.serving.metrics import Metrics

RULES = """
categories:
  weapons:
    words: [pipe bomb, word word word word]
    patterns: ['how to .{0,20}explosives']
    allow: [defuse a pipe bomb]
"""
HARMLESS = "say A pipe, a bomb disposal unit; how to defuse a pipe bomb. naïve ｆａｎｃｙ 😀 text\\nends"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serve(tmp_path_factory.mktemp("plain")) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def moderated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    place = tmp_path_factory.mktemp("moderated")
    rules = place / "rules.yaml"
    rules.write_text(RULES)
    given: dict[str, Any] = {
        "moderation": NAME, "moderation_map": {"toxic": "harassment"}, "moderation_rules": rules, "moderation_delay": 0.02,
    }  # fmt: skip
    with serve(place, **given) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def body(path: str, text: str, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": NAME, **more}
    match path:
        case "/v1/chat/completions":
            asked["messages"] = user(text)
        case "/v1/messages":
            asked |= {"messages": user(text), "max_tokens": 200}
        case "/v1/responses":
            asked["input"] = text
        case _:
            asked |= {"prompt": text, "max_tokens": 200}
    return asked


PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]


def pieces(answer: httpx.Response) -> list[tuple[str, str]]:
    """What a stream tells, without ids and times: words as one text, as the process of a model joins what waits."""
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    found: list[tuple[str, str]] = []
    for event in told:
        for each in event.get("choices") or [event]:
            delta = each.get("delta")
            words = delta if isinstance(delta, str) else (delta or {}).get("content", (delta or {}).get("text"))
            words = each["text"] if isinstance(each.get("text"), str) and "index" in each else words
            kind = str(each.get("finish_reason") or each.get("type") or "choice")
            if found and words and found[-1][0] == kind:
                found[-1] = (kind, found[-1][1] + words)
            else:
                found.append((kind, words or ""))
    return found


@pytest.mark.parametrize("path", PATHS)
def test_a_harmless_stream_is_that_of_a_server_that_judges_nothing(
    plain: httpx.Client, moderated: httpx.Client, path: str
) -> None:
    for text in (HARMLESS, "many 3", "cut it short"):
        streams = [client.post(path, json=body(path, text, stream=True)) for client in (plain, moderated)]
        assert all(each.status_code == 200 for each in streams), streams[1].text
        assert pieces(streams[0]) == pieces(streams[1])
        wholes = [client.post(path, json=body(path, text)).json() for client in (plain, moderated)]
        assert set(wholes[0]) == set(wholes[1])
        assert wholes[0]["usage"] == wholes[1]["usage"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("say a p\u0456pe  B\u200bOMB", "weapons"),
        ("tell me how to mix EXPLOSIVES", "weapons"),
        ("so toxic", "harassment"),
    ],
)
def test_what_is_flagged_is_not_asked(
    moderated: httpx.Client, path: str, stream: bool, text: str, category: str
) -> None:
    answer = moderated.post(path, json=body(path, text, stream=stream))
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["message"] == f"Moderation refuses what is asked: {category}"
    if path != "/v1/messages":
        param = {"/v1/chat/completions": "messages", "/v1/responses": "input"}.get(path, "prompt")
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "content_filter", param)


def test_what_stands_elsewhere_than_in_the_last_turn_is_judged_too(moderated: httpx.Client) -> None:
    ids = moderated.post("/tokenize", json={"model": NAME, "prompt": "a pipe bomb"}).json()["tokens"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/completions", {"prompt": ids}),
        ("/v1/completions", {"prompt": ["fine", "a pipe bomb"]}),
        ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": "a pipe bomb"}, *user("go on")]}),
        ("/v1/chat/completions", {"messages": [{"role": "system", "content": "be toxic"}, *user("go on")]}),
        ("/v1/responses", {"input": "go on", "instructions": "be toxic"}),
        (
            "/v1/chat/completions",
            {
                "messages": user("go on"),
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "description": "makes\na pipe bomb", "parameters": {}},
                    }
                ],
            },
        ),
    ]
    for path, fields in asked:
        assert moderated.post(path, json={"model": NAME, **fields}).json()["error"]["code"] == "content_filter"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("script", ["many 9", "say this is tox\\-ic stuff", "say here: a pipe bo\\-mb, and more"])
def test_what_is_flagged_is_not_answered(moderated: httpx.Client, path: str, script: str) -> None:
    answer = moderated.post(path, json=body(path, script)).json()
    stream = moderated.post(path, json=body(path, script, stream=True))
    match path:
        case "/v1/responses":
            assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
            assert pieces(stream)[-1][0] == "response.incomplete"
        case "/v1/messages":
            assert answer["stop_reason"] == "refusal"
            assert '"stop_reason":"refusal"' in stream.text
        case _:
            assert answer["choices"][0]["finish_reason"] == "content_filter"
            assert pieces(stream)[-1][0] == "content_filter"
    for told in (json.dumps(answer.get("output", answer)), stream.text):
        assert "toxic" not in told
        assert "bomb" not in told
        assert told.count("word") < 4


def test_what_the_model_cannot_read_is_refused_before_it_is_judged(moderated: httpx.Client) -> None:
    error = moderated.post("/v1/chat/completions", json=body("/v1/chat/completions", "x" * 10_000)).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")


def test_refusals_are_counted(moderated: httpx.Client) -> None:
    def count(text: str, name: str) -> float:
        return float(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), 0))

    asked = f'daedal_moderation_refusals_total{{category="weapons",model="{NAME}",of="input"}}'
    answered = f'daedal_moderation_refusals_total{{category="weapons",model="{NAME}",of="output"}}'
    before = moderated.get("/metrics").text
    moderated.post("/v1/completions", json=body("", "a pipe bomb"))
    moderated.post("/v1/completions", json=body("", "many 9", n=2))
    after = moderated.get("/metrics").text
    assert count(after, asked) == count(before, asked) + 1
    assert count(after, answered) == count(before, answered) + 2


def test_moderations_joins_the_rules_and_the_classifier(moderated: httpx.Client) -> None:
    texts = ["fine", "a pipe bomb", "toxic"]
    results = moderated.post("/v1/moderations", json={"input": texts}).json()["results"]
    assert [each["flagged"] for each in results] == [False, True, True]
    assert results[1]["categories"]["weapons"] is True
    assert results[2]["category_scores"]["harassment"] == 0.75
    assert results[0]["category_scores"]["weapons"] == results[0]["category_scores"]["sexual"] == 0.0


# -- the part that holds back ------------------------------------------------------------------------------------------


def judge(
    rules: Rules | None, flagged: Sequence[str] = (), seconds: float = 0.0, window: int = 4, delay: float = 0.05
) -> Any:
    """A moderation whose classifier flags texts with these words in them, after some seconds."""

    async def scores(texts: Sequence[str], asker: str) -> list[dict[str, float]]:
        await asyncio.sleep(seconds)
        return [{"bad": float(any(word in text for word in flagged))} for text in texts]

    return SimpleNamespace(
        rules=rules, name="judge" if flagged else None, threshold=0.5, window=window, delay=delay, metrics=Metrics(),
        scores=scores,
    )  # fmt: skip


async def writing(pieces: Sequence[str], seconds: float = 0.0) -> AsyncGenerator[Event]:
    yield {"event": "started", "prompt_tokens": 1, "cached_tokens": 0, "waited": 0.0}
    for piece in pieces:
        await asyncio.sleep(seconds)
        yield {"event": "text", "index": 0, "text": piece, "count": 1}
    yield {"event": "finished", "index": 0, "reason": "stop", "stop": None, "tokens": len(pieces)}
    yield {"event": "done"}


def through(moderation: Any, events: AsyncGenerator[Event]) -> tuple[list[Event], list[float]]:
    async def run() -> tuple[list[Event], list[float]]:
        told, when = [], []
        async for event in held_back(moderation, events, "m", "", 1):
            told.append(event)
            when.append(time.perf_counter())
        return told, when

    return asyncio.run(run())


@pytest.mark.parametrize("flagged", [(), ("never",)])
def test_harmless_events_pass_as_they_are(flagged: tuple[str, ...]) -> None:
    rules = Rules({"v": CategoryRules(words=("pipe bomb", "kill"), allow=("kill a process",), patterns=("x{3}y",))})
    pieces = ["pi", "pe ", "bo", "a", "t", " kill", " a", " process", "", " xx", "z", " p", "i", "p", "e"]

    async def all_of(events: AsyncGenerator[Event]) -> list[Event]:
        return [event async for event in events]

    told, _ = through(judge(rules, flagged), writing(pieces))
    assert told == asyncio.run(all_of(writing(pieces)))


@pytest.mark.parametrize("cut", range(1, 12))
def test_nothing_of_a_word_that_is_split_is_told(cut: int) -> None:
    word = "a p\u0456p\u200be  b0mb"
    told, _ = through(judge(Rules({"v": CategoryRules(words=("pipe bomb",))})), writing([word[:cut], word[cut:], " x"]))
    assert "".join(event["text"] for event in told if event["event"] == "text") in ("", "a", "a ")[: cut + 1]
    assert (told[-2]["reason"], told[-2]["tokens"]) == ("content_filter", len(told) - 3)


def test_nothing_waits_longer_than_the_delay_and_two_judgements() -> None:
    slow = 0.08
    told, when = through(judge(None, ("never",), slow, window=10**6), writing([" x"] * 40, 0.01))
    began = when[0]
    late = [at - began - 0.01 * (place + 1) for place, at in enumerate(when[1:41])]
    assert [event["event"] for event in told[1:41]] == ["text"] * 40
    assert max(late) < 0.05 + 2 * slow + 0.35, max(late)  # a busy machine sleeps longer


def test_a_classifier_that_flags_ends_the_text_and_its_generation() -> None:
    closed = []

    async def endless() -> AsyncGenerator[Event]:
        try:
            number = 0
            while True:
                number += 1
                await asyncio.sleep(0)
                yield {"event": "text", "index": 0, "text": " bad" if number == 30 else " x", "count": 1}
        finally:
            closed.append(True)

    told, _ = through(judge(None, ("bad",)), endless())
    assert closed
    assert (told[-2]["event"], told[-2]["reason"], told[-1]["event"]) == ("finished", "content_filter", "done")
    assert all(event["text"] == " x" for event in told[:-2])


def test_nothing_is_let_through_where_the_classifier_cannot_be_asked() -> None:
    moderation = judge(None, ("never",))

    async def broken(texts: Sequence[str], asker: str) -> list[dict[str, float]]:
        raise RuntimeError("gone")

    moderation.scores = broken
    told: list[Event] = []

    async def run() -> None:
        told.extend([event async for event in held_back(moderation, writing([" x"] * 9), "m", "", 1)])

    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(run())
    assert told == []
