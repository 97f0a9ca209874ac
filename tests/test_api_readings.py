"""What models that read whole texts answer over the API: vectors, classes, ranks, moderation and translations, with the clients
that ask for them."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from api_server import NAME, serve
from daedal.codecs.text import TextCodec
from daedal.inference.generator import Generator
from daedal.models.answerer import Answerer
from daedal.models.bert import BERT
from daedal.models.checkpoint import save_model, save_own
from daedal.models.classifier import Classifier
from daedal.models.embedder import Embedder
from daedal.models.tagger import Tagger
from daedal.safety.moderation.categories import CATEGORIES
from tiny_models import tiny_codec, tiny_encoder, tiny_translator

TEXTS = ["the cat sat on the mat", "a dog", "on the log, and the dog sat there"]
LABELS = ("fine", "rude", "hate speech")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    codec, plain = tiny_codec([text * 20 for text in TEXTS]), TextCodec.train("bpe", [text * 20 for text in TEXTS], 300)
    save_model(tiny_encoder(Classifier, codec, labels=LABELS, problem="several"), path / "judge", codec=codec)
    save_model(tiny_encoder(Embedder, codec), path / "vectors", codec=codec)
    for name, model in (
        ("names", tiny_encoder(Tagger, codec, labels=("O", "B-PER", "I-PER"))),
        ("answers", tiny_encoder(Answerer, codec)),
        ("bert", tiny_encoder(BERT, codec)),
    ):
        save_model(model, path / "others" / name, codec=codec)
    save_own(tiny_translator(plain), path / "de")
    plain.save(path / "de")
    return path


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = {name: str(folder / name) for name in ("judge", "vectors", "de")}
    told: dict[str, Any] = {
        "models": models,
        "folder": folder / "others",
        "aliases": {"translate": "de"},
        "moderation": "judge",
        "moderation_map": {"rude": "harassment"},
    }
    with serve(tmp_path_factory.mktemp("served"), **told) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def unjudged(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a translator, which moderates nothing."""
    with serve(
        tmp_path_factory.mktemp("unjudged"), models={"de": str(folder / "de")}, aliases={"translate": "de"}
    ) as address:
        yield address


@pytest.fixture(scope="module")
def translators(unjudged: str) -> OpenAI:
    return OpenAI(base_url=f"{unjudged}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serve(tmp_path_factory.mktemp("scripted")) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def ask(url: str, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{url}{path}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- vectors, classes, ranks -------------------------------------------------------------------------------------------


def test_vectors_are_those_of_the_library(client: OpenAI, folder: Path) -> None:
    known = Generator.open(folder / "vectors").embed(TEXTS)
    for form in ("float", "base64"):
        made = client.embeddings.create(model="vectors", input=TEXTS, encoding_format=form)  # type: ignore[call-overload]
        found = made.data if form == "float" else client.embeddings.create(model="vectors", input=TEXTS).data
        for one, vector in zip(found, known.tolist(), strict=True):
            assert one.embedding == pytest.approx(vector, abs=1e-6)
    short = client.embeddings.create(model="vectors", input=TEXTS[0], dimensions=4).data[0].embedding
    assert math.hypot(*short) == pytest.approx(1, abs=1e-5)
    codec = TextCodec.load(folder / "vectors")
    by_ids = client.embeddings.create(model="vectors", input=codec.encode(TEXTS[0]))
    assert by_ids.data[0].embedding == pytest.approx(known[0].tolist(), abs=1e-6)
    assert by_ids.usage.prompt_tokens == len(codec.encode(TEXTS[0])) + 2


def test_classes_are_those_of_the_library_for_many_clients_at_once(url: str, folder: Path) -> None:
    known = Generator.open(folder / "judge").classify(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda text: ask(url, "/v1/classify", model="judge", input=text), TEXTS * 4))
    whole = ask(url, "/classify", model="judge", input=TEXTS)
    assert set(whole) == {"id", "object", "created", "model", "classes", "data", "usage"}
    assert (whole["object"], whole["model"], whole["classes"]) == ("list", "judge", list(LABELS))
    assert whole["id"].startswith("classify-")
    for index, (one, expected) in enumerate(zip(whole["data"], known, strict=True)):
        assert (one["index"], one["label"], one["num_classes"]) == (index, expected.label, 3)
        assert one["probs"] == pytest.approx([expected.probabilities[name] for name in LABELS], abs=1e-6)
        assert one["labels"] == list(expected.labels)
        assert alone[index]["data"][0]["probs"] == pytest.approx(one["probs"], abs=1e-6)
    assert whole["usage"]["prompt_tokens"] == whole["usage"]["total_tokens"] > 0
    pair = ask(url, "/v1/classify", model="judge", input=[{"text": TEXTS[0], "text_pair": TEXTS[1]}])
    assert pair["data"][0]["probs"] != whole["data"][0]["probs"]
    assert ask(url, "/v1/classify", model="judge", input="the cat " * 40)["data"][0]["cut"] is True


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
def test_documents_come_in_the_order_of_their_likeness(url: str, folder: Path, path: str) -> None:
    query, documents = "the dog", [*TEXTS, "the dog"]
    ranked = Generator.open(folder / "vectors").rerank(query, documents)
    made = ask(url, path, model="vectors", query=query, documents=[*documents[:-1], {"text": documents[-1]}])
    assert [one["index"] for one in made["results"]] == [one.place for one in ranked]
    assert [one["relevance_score"] for one in made["results"]] == pytest.approx([one.score for one in ranked], abs=1e-6)
    assert made["results"][0]["document"] == {"text": "the dog"}
    best = ask(url, path, model="vectors", query=query, documents=documents, top_n=2, return_documents=False)
    assert [set(one) for one in best["results"]] == [{"index", "relevance_score"}] * 2
    assert len(ask(url, path, model="vectors", query=query, documents=documents, top_n=0)["results"]) == 4


# -- moderation --------------------------------------------------------------------------------------------------------


def test_moderation_is_what_the_classifier_says_of_its_labels(client: OpenAI, folder: Path) -> None:
    known = Generator.open(folder / "judge").classify(TEXTS)
    made = client.moderations.create(input=TEXTS)
    assert (len(made.results), made.model) == (3, "omni-moderation-latest")
    assert made.id.startswith("modr-")
    for one, expected in zip(made.results, known, strict=True):
        scores = one.category_scores.model_dump(by_alias=True)
        assert set(scores) == set(one.categories.model_dump(by_alias=True)) == set(CATEGORIES)
        assert scores["harassment"] == pytest.approx(expected.probabilities["rude"], abs=1e-6)
        assert scores["hate"] == pytest.approx(expected.probabilities["hate speech"], abs=1e-6)
        assert {score for name, score in scores.items() if name not in ("harassment", "hate")} == {0}
        flags = one.categories.model_dump(by_alias=True)
        assert flags == {name: score >= 0.5 for name, score in scores.items()}
        assert one.flagged == any(flags.values())
        read = one.category_applied_input_types.model_dump(by_alias=True)
        assert read == {name: ["text"] if name in ("harassment", "hate") else [] for name in CATEGORIES}
    parts: Any = [{"type": "text", "text": TEXTS[0]}, {"type": "text", "text": TEXTS[1]}]
    assert len(client.moderations.create(input=parts, model="judge").results) == 1


def test_what_cannot_be_moderated_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="looks at images") as refused:
        client.moderations.create(input=[{"type": "image_url", "image_url": {"url": "data:,"}}])
    assert refused.value.param == "input[0].type"
    with pytest.raises(openai.NotFoundError, match="moderation model here is 'judge'"):
        client.moderations.create(input="x", model="vectors")
    with pytest.raises(openai.BadRequestError) as refused:
        client.moderations.create(input="the cat " * 40_000)
    assert client.moderations.create(input="the cat " * 2_000).results[0].category_scores.hate > 0
    assert (refused.value.param, refused.value.code) == ("input", "context_length_exceeded")


def test_without_a_moderation_model_nothing_is_judged(scripted: httpx.Client) -> None:
    answer = scripted.post("/v1/moderations", json={"input": "x"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


# -- translations ------------------------------------------------------------------------------------------------------


def test_a_translator_answers_with_the_translation_of_what_was_said_last(
    translators: OpenAI, unjudged: str, folder: Path
) -> None:
    said = "\n".join(TEXTS)
    (known,) = Generator.open(folder / "de").translate(said)
    talk: Any = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": said}]
    made = translators.chat.completions.create(model="translate", messages=talk)
    assert made.choices[0].message.content == known.text
    assert made.choices[0].finish_reason == ("length" if known.cut else "stop")
    assert made.usage is not None
    assert (made.usage.completion_tokens, made.usage.prompt_tokens > 10) == (known.tokens, True)
    stream = translators.chat.completions.create(
        model="de", messages=talk, stream=True, temperature=0, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == known.text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == known.tokens
    assert translators.completions.create(model="de", prompt=TEXTS[:2], max_tokens=50).choices[1].text
    assert translators.responses.create(model="de", input=said, store=False).output_text == known.text
    message = ask(unjudged, "/v1/messages", model="de", messages=talk[1:], max_tokens=500, system="Be brief")
    assert message["content"][0]["text"] == known.text
    counted = ask(unjudged, "/v1/messages/count_tokens", model="de", messages=talk[1:])
    assert counted["input_tokens"] > 10


def test_a_translation_that_is_drawn_can_be_drawn_again(translators: OpenAI) -> None:
    talk: Any = [{"role": "user", "content": TEXTS[0]}]

    def drawn(**options: Any) -> list[str | None]:
        made = translators.chat.completions.create(model="de", messages=talk, temperature=1.2, max_tokens=12, **options)
        return [choice.message.content for choice in made.choices]

    assert drawn(seed=3, n=3) == drawn(seed=3, n=3)
    assert len(set(drawn(seed=3, n=4))) > 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"top_p": 0.5}, "top_p"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": [{"role": "user", "content": "word" * 99}]}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ],
)
def test_what_only_language_models_do_is_refused_of_a_translator(translators: OpenAI, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        translators.chat.completions.create(**{"model": "de", "messages": [{"role": "user", "content": "x"}], **fields})
    assert refused.value.param == param


# -- what a model cannot -----------------------------------------------------------------------------------------------

TALK = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("model", "path", "body", "said"),
    [
        ("judge", "/v1/chat/completions", {"messages": TALK}, "does not write text: use /v1/classify with it"),
        (
            "vectors",
            "/v1/completions",
            {"prompt": "x"},
            "does not write text: use /v1/embeddings or /v1/rerank with it",
        ),
        ("vectors", "/v1/classify", {"input": "x"}, "does not classify texts"),
        ("de", "/v1/embeddings", {"input": "x"}, "does not turn texts into vectors: use /v1/completions with it"),
        ("judge", "/v1/rerank", {"query": "x", "documents": ["x"]}, "does not rank documents"),
        ("judge", "/v1/images/generations", {"prompt": "x"}, "does not draw new pictures"),
    ],
)
def test_what_a_model_cannot_is_refused_in_a_line(url: str, model: str, path: str, body: Any, said: str) -> None:
    answer = httpx.post(f"{url}{path}", json={"model": model, **body})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("model", "unsupported_model")
    assert said in error["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"input": "the cat " * 40}, "input"),
        ("/v1/rerank", {"query": "the cat " * 40, "documents": ["x"]}, "query"),
        ("/v1/rerank", {"query": "x", "documents": ["x", "the cat " * 40]}, "documents"),
    ],
)
def test_a_text_that_is_too_long_is_told_of_its_field(url: str, path: str, body: Any, param: str) -> None:
    error = httpx.post(f"{url}{path}", json={"model": "vectors", **body}).json()["error"]
    assert (error["param"], error["code"]) == (param, "context_length_exceeded")
    assert "This model's maximum context length is 32 tokens" in error["message"]


def test_a_request_without_a_model_means_the_only_one_that_writes(url: str) -> None:
    assert ask(url, "/tokenize", prompt="the cat")["count"] > 1
    assert ask(url, "/tokenize", prompt="the cat", model="judge")["max_model_len"] == 32
    assert ask(url, "/detokenize", tokens=ask(url, "/tokenize", prompt="the cat")["tokens"])["prompt"] == "the cat"


def test_what_a_loaded_model_can_stands_in_the_list(url: str) -> None:
    listed = {model["id"]: model.get("capabilities") for model in httpx.get(f"{url}/v1/models").json()["data"]}
    assert listed["judge"] == ["classify", "tokenize"]
    assert listed["vectors"] == ["embed", "rank", "tokenize"]
    assert listed["de"] == listed["translate"] == ["generate", "tokenize"]


def test_what_is_read_is_counted(url: str) -> None:
    def read() -> float:
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith('daedal_prompt_tokens_total{model="judge"}')
        )

    before = read()
    usage = ask(url, "/v1/classify", model="judge", input=TEXTS)["usage"]
    assert read() - before == usage["prompt_tokens"]


# -- Hugging Face's API ------------------------------------------------------------------------------------------------


def test_hugging_faces_client_asks_for_labels_names_answers_and_fillings(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: False)  # the server is on this machine

    def client(name: str) -> Any:
        return hub.InferenceClient(model=f"{url}/models/{name}", token="none", timeout=60)

    library = {name: Generator.open(folder / "others" / name) for name in ("names", "answers", "bert")}
    (known,) = Generator.open(folder / "judge").classify(TEXTS[0])
    labels = client("judge").text_classification(TEXTS[0])
    assert {one.label: one.score for one in labels} == pytest.approx(known.probabilities, abs=1e-6)
    assert [one.label for one in labels] == list(known.probabilities)
    assert len(client("judge").text_classification(TEXTS[0], top_k=1)) == 1
    (entities,) = library["names"].tag(TEXTS[2])
    named = client("names").token_classification(TEXTS[2])
    assert [(one.entity_group, one.word, one.start, one.end) for one in named] == [
        (one.label, one.text, one.start, one.end) for one in entities
    ]
    context = "the cat sat on the mat and the dog sat on the log " * 4
    answers = library["answers"].answer("the dog", context, top=3)
    best = client("answers").question_answering(question="the dog", context=context)
    assert (best.answer, best.start, best.end) == (answers[0].text, answers[0].start, answers[0].end)
    several = client("answers").question_answering(question="the dog", context=context, top_k=3)
    assert [one.answer for one in several] == [one.text for one in answers]
    (fillings,) = library["bert"].fill("the [MASK] sat", 5)
    filled = client("bert").fill_mask("the [MASK] sat")
    assert [(one.token, one.sequence) for one in filled] == [(one.id, one.text) for one in fillings]
    assert len(ask(url, "/models/bert", inputs=["the [MASK] sat", "[MASK] [MASK]"])[1]) == 2
    assert len(ask(url, "/v1/embeddings", model="bert", input="the cat")["data"][0]["embedding"]) == 16


@pytest.mark.parametrize(
    ("model", "body", "param"),
    [
        ("bert", {"inputs": "no mask"}, "inputs"),
        ("bert", {"inputs": "the [MASK] " * 40}, "inputs"),
        ("bert", {"inputs": {"question": "x", "context": "x"}}, "inputs[0]"),
        ("answers", {"inputs": "x"}, "inputs[0]"),
        ("answers", {"inputs": {"question": "x", "context": ""}}, "inputs[0].context"),
        ("names", {"inputs": "x", "parameters": {"top_k": 0}}, "parameters.top_k"),
        ("vectors", {"inputs": "x"}, "model"),
        ("de", {"inputs": "x"}, "model"),
    ],
)
def test_what_a_model_cannot_say_of_texts_is_refused_in_a_line(url: str, model: str, body: Any, param: str) -> None:
    answer = httpx.post(f"{url}/models/{model}", json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/classify", {"input": []}, "input"),
        ("/v1/classify", {"input": [1]}, "input[0]"),
        ("/v1/classify", {"input": "x", "truncate_prompt_tokens": 5}, "truncate_prompt_tokens"),
        ("/v1/classify", {"input": ["x"] * 2049}, "input"),
        ("/v1/rerank", {"query": "", "documents": ["x"]}, "query"),
        ("/v1/rerank", {"query": "x", "documents": []}, "documents"),
        ("/v1/rerank", {"query": "x", "documents": [""]}, "documents[0]"),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "top_n": -1}, "top_n"),
        ("/v1/moderations", {"input": []}, "input"),
    ],
)
def test_the_wrong_field_is_named(scripted: httpx.Client, path: str, body: Any, param: str) -> None:
    answer = scripted.post(path, json={"model": NAME, **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
