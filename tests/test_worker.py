"""The process of a model: what it answers to commands, alone and all at once."""

import base64
import io
import json
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from daedal.codecs.text import TextCodec
from daedal.inference.constraint import Constraint, Unconstrainable
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from daedal.serving.commands import Refused
from daedal.serving.logprobs import CompletionLogprobs, chat_logprobs, echoed
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Models
from daedal.serving.text_commands import TextDesk
from daedal.serving.worker import Outlet, Worker
from tiny_models import tiny_gpt
from warm_python import started_warm

CODEC = TextCodec.train("bpe", ["the cat sat on the mat and the dog sat on the log. " * 20], 300)
GENERATOR = Generator(tiny_gpt(CODEC, context=64), CODEC, "tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    save_model(tiny_gpt(CODEC, context=64), path)
    CODEC.save(path)
    return path


def carry_out(desk: TextDesk, *commands: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The events of commands that are begun together."""
    events: list[dict[str, Any]] = []
    for command in commands:
        try:
            job = desk.prepare(command)
            if isinstance(job, dict):
                events.append({"id": command["id"], **job})
            else:
                desk.begin(job)
        except Refused as refused:
            events.append(refused.event(command["id"]))
    while desk.busy:
        events += desk.step()
    return {command["id"]: [event for event in events if event["id"] == command["id"]] for command in commands}


def generate(id: int = 1, prompt: str = "the cat", **fields: Any) -> dict[str, Any]:
    options = fields.pop("options", {"temperature": 0, "max_tokens": 10})
    return {"op": "generate", "id": id, "owner": "me", "prompt": {"text": prompt}, "options": options, **fields}


def text(events: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(event["text"] for event in events if event["event"] == "text" and event["index"] == index)


def test_a_text_is_what_the_library_writes() -> None:
    desk = TextDesk(GENERATOR)
    found = carry_out(
        desk, generate(1), generate(2, "the dog", options={"seed": 3, "max_tokens": 12}), generate(3, n=2)
    )
    assert text(found[1]) == GENERATOR.generate("the cat", temperature=0, max_tokens=10)[0].text
    assert text(found[2]) == GENERATOR.generate("the dog", seed=3, max_tokens=12)[0].text
    assert text(found[3], 0) == text(found[3], 1) == text(found[1])
    for events in found.values():
        assert next(event["event"] for event in events if event["event"] != "text") == "started"
        assert events[-1] == {"id": events[0]["id"], "event": "done"}
    finished = [event for event in found[3] if event["event"] == "finished"]
    assert [(event["index"], event["reason"], event["tokens"]) for event in finished] == [
        (0, "length", 10),
        (1, "length", 10),
    ]


def test_a_stop_string_ends_the_text_before_it() -> None:
    whole = text(carry_out(TextDesk(GENERATOR), generate())[1])
    options = {"temperature": 0, "max_tokens": 10, "stop": [whole[3:5]]}
    events = carry_out(TextDesk(GENERATOR), generate(options=options))[1]
    assert text(events) == whole[: whole.index(whole[3:5])]
    assert events[-2]["stop"] == whole[3:5]
    assert not GENERATOR.engine.busy


def test_a_space_that_a_codec_puts_first_moves_no_offset() -> None:
    tokens = [{"bytes": list(piece.encode()), "logprob": -1.0, "top": []} for piece in (" naïve", " café", "s")]
    for text, offsets in (("naïve cafés", [0, 5, 10]), (" naïve cafés", [0, 6, 11])):
        assert echoed(tokens, 0, len(text))["text_offset"] == offsets


def test_an_answer_that_a_stop_string_ends_is_kept_for_the_next_turn() -> None:
    options: dict[str, Any] = {"seed": 3, "max_tokens": 150, "logprobs": 0}
    desks = [TextDesk(Generator(tiny_gpt(CODEC, context=400), CODEC, "long")) for _ in range(2)]
    whole = text(carry_out(desks[0], generate(options=options))[1])
    stop = next(whole[i : i + 3] for i in range(len(whole) // 2, len(whole)) if whole.find(whole[i : i + 3]) == i)
    answer = carry_out(desks[1], generate(options={**options, "stop": [stop]}))[1]
    ids = [token["id"] for event in answer if event["event"] == "text" for token in event["tokens"]]
    assert answer[-2]["stop"] == stop
    assert 40 < len(ids) < 150
    again = carry_out(desks[1], {**generate(2), "prompt": {"ids": [*CODEC.encode("the cat"), *ids]}})[2]
    assert next(event["cached_tokens"] for event in again if event["event"] == "started") >= len(ids) - 32


def test_without_a_seed_each_request_has_its_own() -> None:
    commands = [generate(number, options={"max_tokens": 12}) for number in range(6)]
    assert len({text(events) for events in carry_out(TextDesk(GENERATOR), *commands).values()}) > 4


def test_log_probabilities_come_with_the_text_and_the_prompt() -> None:
    options = {"temperature": 0, "max_tokens": 3, "logprobs": 2}
    events = carry_out(TextDesk(GENERATOR), generate(options=options, echo=1))[1]
    prompt = next(event for event in events if event["event"] == "prompt")["tokens"]
    assert [token["id"] for token in prompt] == CODEC.encode("the cat")
    assert prompt[0]["logprob"] is None
    assert prompt[1]["logprob"] == pytest.approx(
        GENERATOR.score(" cat", given="the").tokens[0].log_likelihood, abs=1e-4
    )
    tokens = [token for event in events if event["event"] == "text" for token in event["tokens"]]
    assert b"".join(bytes(token["bytes"]) for token in tokens).decode() == text(events)
    assert all(token["top"][0][0] == token["id"] and len(token["top"]) == 2 for token in tokens)
    only = carry_out(TextDesk(GENERATOR), generate(options={"temperature": 0, "max_tokens": 0}, echo=0))[1]
    assert [event["event"] for event in only] == ["started", "prompt", "finished", "done"]


def test_a_special_token_has_a_name_and_no_place_in_the_text() -> None:
    ids = [CODEC.eos_id, *CODEC.encode("the cat")]
    asked = {**generate(options={"max_tokens": 0, "logprobs": 2}, echo=2), "prompt": {"ids": ids}}
    tokens = next(event for event in carry_out(TextDesk(GENERATOR), asked)[1] if event["event"] == "prompt")["tokens"]
    columns = CompletionLogprobs(2).add(tokens, first_unknown=True)
    assert list(zip(columns["tokens"], columns["text_offset"], strict=True))[:3] == [
        ("<|endoftext|>", 0),
        ("the", 0),
        (" cat", 3),
    ]
    first = chat_logprobs(tokens)[0]
    assert (first["token"], first["bytes"]) == ("<|endoftext|>", [])


@pytest.mark.parametrize(
    ("constraint", "fits"),
    [
        ({"kind": "json_object"}, lambda said: isinstance(json.loads(said), dict)),
        (
            {
                "kind": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"type": "integer", "minimum": -9, "maximum": 99}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
            },
            lambda said: isinstance(json.loads(said)["a"], int),
        ),
        ({"kind": "regex", "pattern": "(yes|no), [a-c]{3}"}, lambda said: said[:3] in ("yes", "no,")),
        ({"kind": "lark", "grammar": 'start: "<" /[0-9]{2}/ ">"'}, lambda said: said[0] == "<" and len(said) == 4),
    ],
)
def test_a_constrained_text_fits_whatever_the_model_would_say(constraint: dict[str, Any], fits: Any) -> None:
    for seed in range(3):
        options = {"seed": seed, "max_tokens": 50, "temperature": 1.5}
        events = carry_out(TextDesk(GENERATOR), generate(options=options, constraint=constraint))[1]
        if events[-2]["reason"] == "stop":
            assert fits(text(events)), text(events)
        assert constraint["kind"] == "json_object" or events[-2]["reason"] == "stop"


def test_at_least_so_many_tokens() -> None:
    bias = {str(CODEC.eos_id): 100.0}
    options = {"temperature": 0, "max_tokens": 10, "logit_bias": bias}
    assert carry_out(TextDesk(GENERATOR), generate(options=options))[1][-2]["tokens"] == 1
    assert carry_out(TextDesk(GENERATOR), generate(options=options, min_tokens=4))[1][-2]["tokens"] == 5


def test_vectors_are_those_of_each_text_alone() -> None:
    texts = ["the cat", "a dog on the log", "x"]
    command = {"op": "embed", "id": 1, "owner": "", "inputs": [{"text": text} for text in texts]}
    (result,) = carry_out(TextDesk(GENERATOR), command)[1]
    vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in result["vectors"]]
    assert [vector.shape for vector in vectors] == [(16,)] * 3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1] * 3, abs=1e-5)
    (short,) = carry_out(TextDesk(GENERATOR), {**command, "inputs": [{"text": texts[2]}], "dimensions": 4})[1]
    found = np.frombuffer(base64.b64decode(short["vectors"][0]), "<f4")
    assert found == pytest.approx(vectors[2][:4] / np.linalg.norm(vectors[2][:4]), abs=1e-5)


def test_tokens_and_back() -> None:
    desk = TextDesk(GENERATOR)
    (said,) = carry_out(desk, {"op": "tokenize", "id": 1, "prompt": {"text": "the cat é"}})[1]
    assert said["ids"] == CODEC.encode("the cat é")
    (back,) = carry_out(desk, {"op": "detokenize", "id": 1, "ids": said["ids"]})[1]
    assert back["text"] == "the cat é"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"prompt": {"text": "cat " * 100}}, "context_length_exceeded"),
        ({"prompt": {"ids": [10**6]}}, "invalid_prompt"),
        ({"prompt": {"ids": []}}, "invalid_prompt"),
        ({"options": {"temperature": -1}}, None),
        ({"options": {"logit_bias": {"1000000": 1}}}, "invalid_value"),
        ({"constraint": {"kind": "regex", "pattern": "("}}, "invalid_constraint"),
        ({"constraint": {"kind": "json_schema", "schema": {"type": "nonsense"}}}, "invalid_constraint"),
        ({"constraint": {"kind": "json_schema", "schema": {"$ref": "#"}}}, "invalid_constraint"),
        ({"constraint": {"kind": "lark", "grammar": "start: other"}}, "invalid_constraint"),
        ({"op": "draw"}, "unsupported_operation"),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing_behind(fields: dict[str, Any], code: str | None) -> None:
    desk = TextDesk(GENERATOR)
    (event,) = carry_out(desk, {**generate(n=2), **fields})[1]
    assert (event["event"], event["status"], event["code"]) == ("error", 400, code)
    assert len(event["message"]) < 400
    assert not desk.busy


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "#"}, "no text can match it"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#"}]}}}, "leads back to itself"),
        ({"properties": {"a": {"oneOf": [{"type": "number"}, {"type": "integer"}]}}}, "anyOf can"),
        ({"$ref": "https://example.com/schema"}, "none is ever fetched"),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_told_in_plain_words(schema: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        TextDesk(GENERATOR).prepare(generate(constraint={"kind": "json_schema", "schema": schema}))


def test_a_text_that_cannot_go_on_as_it_must_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(self: Constraint, id: int) -> None:
        raise Unconstrainable("The text cannot be constrained so: too many items")

    for fields, code, param in (
        ({"constraint": {"kind": "regex", "pattern": ""}, "min_tokens": 5}, "invalid_value", "min_tokens"),
        ({"constraint": {"kind": "json_object"}}, "invalid_constraint", "constraint"),
    ):
        if code == "invalid_constraint":
            monkeypatch.setattr(Constraint, "add", stuck)
        desk = TextDesk(GENERATOR)
        events = carry_out(desk, generate(1, n=2, **fields), generate(2))
        assert (events[1][-1]["status"], events[1][-1]["code"], events[1][-1]["param"]) == (400, code, param)
        assert text(events[2]) == GENERATOR.generate("the cat", temperature=0, max_tokens=10)[0].text
        assert not desk.busy


def test_damaged_weights_are_told_and_give_no_vectors() -> None:
    model = tiny_gpt(CODEC, context=64)
    torch.nn.init.constant_(model.embedding.weight, math.nan)
    desk = TextDesk(Generator(model, CODEC, "damaged"))
    found = carry_out(desk, {"op": "embed", "id": 1, "owner": "", "inputs": [{"text": "the cat"}] * 3}, generate(2))
    for events in found.values():
        assert (events[-1]["event"], events[-1]["status"], events[-1]["code"]) == ("error", 500, "generation_failed")
        assert "not finite" in events[-1]["message"]
    assert not desk.busy


def test_a_cancelled_command_says_nothing_more() -> None:
    desk = TextDesk(GENERATOR)
    desk.begin(desk.prepare(generate(1, n=3)))
    desk.begin(desk.prepare(generate(2)))
    desk.step()
    desk.cancel(1)
    events = []
    while desk.busy:
        events += desk.step()
    assert {event["id"] for event in events} == {2}
    desk.cancel(77)


class Process:
    """A worker as a server starts it; warm, unless it is told where."""

    def __init__(self, folder: Path, where: Path | None = None) -> None:
        with nullcontext() if where else started_warm():
            command = Models(Settings(data=folder, models={"tiny": str(folder)}))._worker("tiny", str(folder))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=where)

    def say(self, command: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        event: dict[str, Any] = json.loads(self.process.stdout.readline())
        return event


@pytest.fixture
def process(folder: Path) -> Iterator[Process]:
    process = Process(folder)
    yield process
    process.process.kill()
    process.process.wait()


def test_the_process_answers_and_ends_with_its_server(process: Process) -> None:
    ready = process.hear()
    assert ready["event"] == "ready"
    assert ready["info"]["context"] == 64
    process.say(generate(5))
    events = []
    while not events or events[-1]["event"] != "done":
        events.append(process.hear())
    assert text(events) == GENERATOR.generate("the cat", temperature=0, max_tokens=10)[0].text
    process.say(generate(6, options={"temperature": 0}))
    process.say({"op": "cancel", "target": 6})
    process.say({"op": "stats", "id": 7})
    while (event := process.hear())["id"] != 7:
        assert event["id"] == 6
    assert (event["running"], event["waiting"]) == (0, 0)
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(5) == 0


def test_no_file_beside_a_model_runs_and_who_stops_the_server_does_not_stop_it(folder: Path, tmp_path: Path) -> None:
    for module in ("grp", "json", "torch", "daedal"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('run')")
    process = Process(folder, tmp_path)
    assert process.hear()["event"] == "ready"
    for number in (signal.SIGTERM, signal.SIGINT):  # as they come to all of a server's processes
        process.process.send_signal(number)
    process.say(generate(5))
    while process.hear()["event"] != "done":
        pass
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert process.process.wait(5) == 0


def test_a_prompt_that_is_far_too_long_is_refused_before_it_is_read() -> None:
    desk, began = TextDesk(GENERATOR), time.process_time()
    huge = "the cat " * 2_000_000
    talk = {"messages": [{"role": "user", "content": huge}]}
    for command in (
        generate(prompt=huge),
        {**generate(), "prompt": talk},
        {"op": "embed", "id": 1, "owner": "me", "inputs": [{"text": huge}]},
    ):
        with pytest.raises(Refused) as refused:
            desk.prepare(command)
        assert refused.value.code == "context_length_exceeded"
    assert time.process_time() - began < 3  # to read one of them takes longer
    counted = desk.prepare({"op": "tokenize", "id": 1, "prompt": {"text": "the cat " * 2000}})
    assert len(counted["ids"]) >= 2000


def test_a_large_text_lets_others_go_on_while_it_is_read() -> None:
    reading = threading.Thread(target=CODEC.encode, args=("the cat sat " * 150_000,))
    reading.start()
    gaps, last = [0.0], time.perf_counter()
    while reading.is_alive():
        time.sleep(0.002)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    assert max(gaps) < 0.5 * sum(gaps)


def test_a_model_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    process = Process(tmp_path)
    assert process.hear()["event"] == "failed"
    assert process.process.wait(5) == 2


def test_who_asks_for_no_constraint_waits_for_none_that_is_compiled() -> None:
    compiling, begun = threading.Event(), threading.Event()

    class Desk:
        info: ClassVar[dict[str, Any]] = {}
        busy = False

        def prepare(self, command: dict[str, Any]) -> Any:
            if command.get("constraint"):
                compiling.wait(30)
            return [command]

        def begin(self, job: Any) -> None:
            begun.set()

        def cancel(self, id: int) -> None: ...
        def step(self) -> list[Any]:
            return []

        def stats(self) -> dict[str, Any]:
            return {}

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as sink:
        worker = threading.Thread(target=Worker(Desk(), source, Outlet(io.BytesIO())).run, daemon=True)
        worker.start()
        for id in range(6):
            sink.write(json.dumps(generate(id, constraint={"kind": "regex", "pattern": "a"})).encode() + b"\n")
        sink.write(json.dumps(generate(6)).encode() + b"\n")
        sink.flush()
        assert begun.wait(30)
        assert not compiling.is_set()
        compiling.set()
        sink.close()
        worker.join(30)
