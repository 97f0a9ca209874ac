"""The process of a model that reads whole texts: what it answers, alone and in batches with others."""

import base64
from typing import Any

import numpy as np
import pytest
import torch

from daedal.codecs.text import TextCodec
from daedal.inference.generator import Generator
from daedal.models.answerer import Answerer
from daedal.models.bert import BERT
from daedal.models.classifier import Classifier
from daedal.models.embedder import Embedder
from daedal.models.tagger import Tagger
from daedal.serving.batch_commands import BatchDesk
from daedal.serving.commands import Refused
from tiny_models import tiny_codec, tiny_encoder, tiny_translator

torch.set_num_threads(1)
TEXTS = ["the cat sat on the mat", "a dog", "on the log, and the dog sat there", "x", "the mat and the log"]
CODEC = tiny_codec([text * 20 for text in TEXTS])
SYSTEM = {"role": "system", "content": "Be brief"}
PLAIN = TextCodec.train("bpe", [text * 20 for text in TEXTS], 300)
CLASSIFIER = Generator(tiny_encoder(Classifier, CODEC, labels=("bad", "fair", "good")), CODEC, "classifier")
SCORER = Generator(tiny_encoder(Classifier, CODEC, labels=("fit",), problem="number"), CODEC, "scorer")
EMBEDDER = Generator(tiny_encoder(Embedder, CODEC), CODEC, "embedder")
TRANSLATOR = Generator(tiny_translator(PLAIN), PLAIN, "translator")


def carry_out(generator: Generator, *commands: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The events of commands that are begun together."""
    desk, events = BatchDesk(generator), list[dict[str, Any]]()
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


def classify(id: int, *texts: Any, owner: str = "me") -> dict[str, Any]:
    inputs = [{"text": text} if isinstance(text, str) else {"text": text[0], "pair": text[1]} for text in texts]
    return {"op": "classify", "id": id, "owner": owner, "inputs": inputs}


def embed(id: int, *texts: Any, **fields: Any) -> dict[str, Any]:
    inputs = [{"text": text} if isinstance(text, str) else {"ids": text} for text in texts]
    return {"op": "embed", "id": id, "owner": "me", "inputs": inputs, **fields}


def translate(id: int, text: str, n: int = 1, **options: Any) -> dict[str, Any]:
    options = {"max_tokens": 8, **options}
    return {
        "op": "generate",
        "id": id,
        "owner": "me",
        "prompt": {"text": text},
        "n": n,
        "options": options,
        "echo": None,
    }


def text(events: list[dict[str, Any]], index: int = 0) -> str:
    return "".join(event["text"] for event in events if event["event"] == "text" and event["index"] == index)


def vectors(event: dict[str, Any]) -> list[Any]:
    return [np.frombuffer(base64.b64decode(vector), "<f4") for vector in event["vectors"]]


# -- batches -----------------------------------------------------------------------------------------------------------


def test_what_is_found_of_a_text_is_the_same_whatever_is_read_beside_it() -> None:
    alone = [CLASSIFIER.classify(text)[0] for text in TEXTS]
    commands = [classify(0, *TEXTS), *(classify(1 + place, text, owner=text) for place, text in enumerate(TEXTS))]
    found = carry_out(CLASSIFIER, *commands)
    single = [found[1 + place][0]["found"][0] for place in range(len(TEXTS))]
    for one, other, known in zip(found[0][0]["found"], single, alone, strict=True):
        expected = [known.probabilities[name] for name in CLASSIFIER.labels]
        assert one["probs"] == pytest.approx(expected, abs=1e-6)
        assert other["probs"] == pytest.approx(expected, abs=1e-6)
        assert one["label"] == other["label"] == known.label
    assert found[0][0]["tokens"] == [len(CODEC.encode(text)) + 2 for text in TEXTS]


def test_texts_that_wait_are_read_as_one_batch_and_short_commands_do_not_wait_for_long_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, batches = BatchDesk(CLASSIFIER), list[int]()
    read = type(CLASSIFIER.skills["classify"]).classify
    monkeypatch.setattr(
        type(CLASSIFIER.skills["classify"]), "classify",
        lambda self, texts: batches.append(len(texts)) or read(self, texts),
    )  # fmt: skip
    desk.begin(desk.prepare(classify(1, *["the cat sat on the mat and the dog"] * 400)))
    for id in range(2, 6):
        desk.begin(desk.prepare(classify(id, "x", owner=f"key {id}")))
    first = desk.step()
    assert {event["id"] for event in first} == {2, 3, 4, 5}
    while desk.busy:
        last = desk.step()
    assert [event["id"] for event in last] == [1]
    assert sum(batches) == 404
    assert len(batches) < 8


def test_owners_take_turns_by_tokens_and_commands_of_one_by_texts() -> None:
    desk = BatchDesk(CLASSIFIER)
    for id in range(40):
        desk.begin(desk.prepare(classify(id, *["the cat sat on the mat"] * 20, owner="many")))
    desk.begin(desk.prepare(classify(100, *["the cat sat on the mat"] * 20, owner="one")))
    desk.begin(desk.prepare(classify(101, "x", owner="many")))
    done: list[int] = []
    while desk.busy:
        done += [event["id"] for event in desk.step()]
    assert done[:2] in ([100, 101], [101, 100])


def test_a_text_that_cannot_be_read_fails_its_command_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal.errors import DaedalError

    skill = type(CLASSIFIER.skills["classify"])
    read = skill.classify

    def stumbles(self: Any, texts: list[str]) -> Any:
        if "x" in texts:
            raise DaedalError("It broke")
        return read(self, texts)

    monkeypatch.setattr(skill, "classify", stumbles)
    found = carry_out(CLASSIFIER, classify(1, *TEXTS[:2]), classify(2, "a dog", "x", "a dog"), classify(3, TEXTS[2]))
    assert [events[-1]["event"] for events in found.values()] == ["result", "error", "result"]
    assert (found[2][0]["status"], found[2][0]["code"], len(found[2])) == (500, "generation_failed", 1)


def test_a_cancelled_command_says_nothing_more_and_its_texts_are_not_read() -> None:
    desk = BatchDesk(CLASSIFIER)
    desk.begin(desk.prepare(classify(1, *TEXTS * 300)))
    desk.begin(desk.prepare(classify(2, *TEXTS)))
    desk.step()
    desk.cancel(1)
    events = []
    while desk.busy:
        events += desk.step()
    assert {event["id"] for event in events} <= {2}
    assert desk.stats()["waiting"] == 0
    desk.cancel(77)


# -- what is found -----------------------------------------------------------------------------------------------------


def test_two_texts_are_read_as_one() -> None:
    (result,) = carry_out(CLASSIFIER, classify(1, "a dog", ("a dog", "the mat")))[1]
    (known,) = CLASSIFIER.classify(("a dog", "the mat"))
    assert result["found"][1]["probs"] == pytest.approx(
        [known.probabilities[name] for name in CLASSIFIER.labels], abs=1e-6
    )
    assert result["tokens"][1] == len(CODEC.encode("a dog")) + len(CODEC.encode("the mat")) + 3


def test_a_text_that_is_longer_than_the_context_is_read_in_windows_up_to_a_limit() -> None:
    (result,) = carry_out(CLASSIFIER, classify(1, "the cat sat " * 100, "x"))[1]
    assert [one["cut"] for one in result["found"]] == [True, False]
    with pytest.raises(Refused, match="prompt is too long") as refused:
        BatchDesk(CLASSIFIER).prepare(classify(1, "the cat " * 2_000_000))
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "inputs")


def test_vectors_are_those_of_each_text_alone_and_of_its_tokens() -> None:
    (result,) = carry_out(EMBEDDER, embed(1, *TEXTS))[1]
    for vector, text in zip(vectors(result), TEXTS, strict=True):
        assert vector == pytest.approx(EMBEDDER.embed(text)[0].numpy(), abs=1e-6)
    (again,) = carry_out(EMBEDDER, embed(1, *[CODEC.encode(text) for text in TEXTS]))[1]
    assert again == result
    found = carry_out(EMBEDDER, embed(1, TEXTS[0]), embed(2, TEXTS[0], dimensions=4))
    short, whole = vectors(found[2][0])[0], vectors(found[1][0])[0]
    assert short == pytest.approx(whole[:4] / np.linalg.norm(whole[:4]), abs=1e-5)


def test_documents_are_ranked_by_the_cosine_of_vectors_or_by_a_classifier_of_two() -> None:
    query, *documents = TEXTS
    asked = {"op": "rank", "id": 1, "owner": "me", "query": query, "documents": documents}
    (result,) = carry_out(EMBEDDER, asked)[1]
    assert result["scores"] == pytest.approx(EMBEDDER.similarity(query, documents)[0].tolist(), abs=1e-6)
    assert len(result["tokens"]) == 5
    (scored,) = carry_out(SCORER, asked)[1]
    assert scored["scores"] == pytest.approx(
        [one.value for one in SCORER.classify([(query, document) for document in documents])], abs=1e-6
    )
    assert "rank" not in BatchDesk(CLASSIFIER).info["can"]
    named = Generator(tiny_encoder(Classifier, CODEC, labels=("no", "Relevant")), CODEC, "pairs")
    (chances,) = carry_out(named, asked)[1]
    assert chances["scores"][0] == pytest.approx(
        named.classify((query, documents[0]))[0].probabilities["Relevant"], abs=1e-6
    )


@pytest.mark.parametrize(
    ("generator", "command", "code", "param"),
    [
        (EMBEDDER, embed(1, "the cat " * 40), "context_length_exceeded", "inputs"),
        (EMBEDDER, embed(1, [5] * 40), "context_length_exceeded", "inputs"),
        (EMBEDDER, embed(1, [10**6]), "invalid_value", "inputs"),
        (EMBEDDER, {"op": "rank", "id": 1, "query": "x " * 99, "documents": ["x"]}, "context_length_exceeded", "query"),
        (EMBEDDER, {"op": "rank", "id": 1, "query": "x", "documents": ["x " * 99]}, "context_length_exceeded", "documents"),
        (EMBEDDER, classify(1, "x"), "unsupported_operation", None),
        (CLASSIFIER, translate(1, "x"), "unsupported_operation", None),
        (CLASSIFIER, {"op": "draw", "id": 1}, "unsupported_operation", None),
        (TRANSLATOR, embed(1, "x"), "unsupported_operation", None),
        (TRANSLATOR, translate(1, "word" * 99), "context_length_exceeded", "prompt"),
        (TRANSLATOR, translate(1, "word\n" * 9999), "context_length_exceeded", "prompt"),
        (TRANSLATOR, translate(1, "word\n" * 99, n=16, temperature=1.0), "context_length_exceeded", "prompt"),
        (TRANSLATOR, translate(1, "x", top_k=3), "unsupported_parameter", "top_k"),
        (TRANSLATOR, translate(1, "x", logprobs=0), "unsupported_parameter", "logprobs"),
        (TRANSLATOR, {**translate(1, "x"), "constraint": {"kind": "json_object"}}, "unsupported_parameter", "constraint"),
        (TRANSLATOR, {**translate(1, "x"), "prompt": {"messages": [SYSTEM]}}, "invalid_prompt", "prompt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_a_line(generator: Generator, command: Any, code: str, param: str | None) -> None:
    (event,) = carry_out(generator, command)[1]
    assert (event["event"], event["status"], event["code"], event["param"]) == ("error", 400, code, param)
    assert len(event["message"].splitlines()) == 1


def test_names_answers_and_fillings_are_those_of_the_library() -> None:
    tagger = Generator(tiny_encoder(Tagger, CODEC, labels=("O", "B-PER", "I-PER")), CODEC, "tagger")
    (result,) = carry_out(tagger, {"op": "tag", "id": 1, "inputs": TEXTS})[1]
    for found, known in zip(result["found"], tagger.tag(TEXTS), strict=True):
        assert [one["text"] for one in found] == [one.text for one in known]
        assert [one["probability"] for one in found] == pytest.approx([one.probability for one in known], abs=1e-6)
    answerer = Generator(tiny_encoder(Answerer, CODEC), CODEC, "answerer")
    questions = [{"question": "a dog", "context": text} for text in TEXTS]
    asked = {"op": "answer", "id": 1, "inputs": questions}
    found = carry_out(answerer, asked, {**asked, "id": 2, "top": 3})
    best = answerer.answers(["a dog"] * 5, TEXTS)
    for one, several, known in zip(found[1][0]["found"], found[2][0]["found"], best, strict=True):
        assert [each["text"] for each in one] == [several[0]["text"]] == [known.text]
        assert one[0]["probability"] == pytest.approx(known.probability, abs=1e-6)
    bert = Generator(tiny_encoder(BERT, CODEC), CODEC, "bert")
    (result,) = carry_out(bert, {"op": "fill", "id": 1, "inputs": ["the [MASK] sat"], "top": 3})[1]
    assert [one["text"] for one in result["found"][0][0]] == [one.text for one in bert.fill("the [MASK] sat", 3)[0]]
    for wrong in ("no mask", "[MASK] " * 40, ""):
        (event,) = carry_out(bert, {"op": "fill", "id": 1, "inputs": [wrong], "top": 3})[1]
        assert (event["status"], event["param"]) == (400, "inputs")


# -- translations ------------------------------------------------------------------------------------------------------


def test_a_prompt_is_translated_and_of_a_conversation_what_the_user_said_last() -> None:
    talk = [
        SYSTEM, {"role": "user", "content": "a dog"},
        {"role": "assistant", "content": "x"}, {"role": "user", "content": TEXTS[0]},
    ]  # fmt: skip
    asked = [translate(1, TEXTS[0]), {**translate(2, ""), "prompt": {"messages": talk}}, translate(3, TEXTS[1], n=2)]
    found = carry_out(TRANSLATOR, *asked)
    (known,) = TRANSLATOR.translate(TEXTS[0], max_tokens=8)
    assert text(found[1]) == text(found[2]) == known.text
    assert text(found[3], 0) == text(found[3], 1) == TRANSLATOR.translate(TEXTS[1], max_tokens=8)[0].text
    assert [event["event"] for event in found[1]] == ["started", "text", "finished", "done"]
    assert found[1][0]["prompt_tokens"] == len(PLAIN.encode(TEXTS[0])) + 1
    assert found[1][2]["tokens"] == found[1][1]["count"] == known.tokens
    assert found[1][2]["reason"] == ("length" if known.cut else "stop")


def test_lines_are_told_as_they_are_done_and_are_those_of_the_library() -> None:
    said = "\n".join([*TEXTS, "", TEXTS[0]])
    events = carry_out(TRANSLATOR, translate(1, said, max_tokens=None), translate(2, TEXTS[1], max_tokens=None))
    (known,) = TRANSLATOR.translate(said)
    assert text(events[1]) == known.text
    pieces = [event for event in events[1] if event["event"] == "text"]
    assert len(pieces) > 3
    assert sum(event["count"] for event in pieces) == events[1][-2]["tokens"] == known.tokens


def test_a_limit_holds_for_all_lines_together() -> None:
    lines = [TRANSLATOR.translate(text, max_tokens=10)[0] for text in TEXTS]
    (finished,) = [
        event
        for event in carry_out(TRANSLATOR, translate(1, "\n".join(TEXTS), max_tokens=10))[1]
        if event["event"] == "finished"
    ]
    assert finished["tokens"] <= 10
    assert finished["reason"] == "length"
    assert lines[0].tokens <= 10


def test_a_stop_text_ends_a_translation_before_it() -> None:
    whole = TRANSLATOR.translate("\n".join(TEXTS), max_tokens=None)[0].text
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    events = carry_out(TRANSLATOR, translate(1, "\n".join(TEXTS), max_tokens=None, stop=[stop]))[1]
    assert text(events) == whole[: whole.index(stop)]
    assert (events[-2]["stop"], events[-2]["reason"]) == (stop, "stop")


def test_with_a_temperature_texts_are_drawn_and_a_seed_draws_them_again() -> None:
    asked = {"temperature": 1.5, "seed": 3}
    one = carry_out(TRANSLATOR, translate(1, TEXTS[0], n=3, **asked), translate(2, TEXTS[0], n=3, **asked))
    drawn = [text(one[1], index) for index in range(3)]
    assert drawn == [text(one[2], index) for index in range(3)]
    assert len(set(drawn)) > 1
    known = TRANSLATOR.translate([TEXTS[0]] * 3, method="sample", temperature=1.5, seed=3, max_tokens=8)
    assert drawn == [each.text for each in known]
    assert text(carry_out(TRANSLATOR, translate(1, TEXTS[0], temperature=0.0))[1]) == text(
        carry_out(TRANSLATOR, translate(1, TEXTS[0]))[1]
    )
    several = {text(carry_out(TRANSLATOR, translate(1, TEXTS[0], temperature=1.5))[1]) for _ in range(4)}
    assert len(several) > 1


def test_tokens_and_back() -> None:
    (said,) = carry_out(CLASSIFIER, {"op": "tokenize", "id": 1, "prompt": {"text": "the cat"}})[1]
    assert said["ids"] == CODEC.framing.one(CODEC.encode("the cat")).ids.tolist()
    talk = {"messages": [{"role": "user", "content": "the cat"}]}
    (said,) = carry_out(TRANSLATOR, {"op": "tokenize", "id": 1, "prompt": talk, "pieces": True})[1]
    assert said["ids"] == [*PLAIN.encode("the cat"), PLAIN.eos_id]
    (back,) = carry_out(TRANSLATOR, {"op": "detokenize", "id": 1, "ids": said["ids"]})[1]
    assert back["text"] == "the cat"
