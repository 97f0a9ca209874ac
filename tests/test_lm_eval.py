"""lm-eval gives the same numbers through our adapter as through its own for Hugging Face, and so does `evaluate`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from api_server import serve
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.documents import Documents
from daedal.evaluation.likelihood import evaluate_documents
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT
from tiny_models import tiny_gpt

pytest.importorskip("lm_eval")
pytest.importorskip("transformers")

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and then it sleeps for a while in the warm grass of the meadow.",
    "To be, or not to be: that is the question.",
    "naïve café 東京 🌸",
    "a",
]
QUESTIONS = [
    {"question": "The fox", "choices": ["jumps", " sleeps", "question"], "answer": 0},
    {"question": "To be, or ", "choices": ["not", "the warm grass of the meadow", "dog"], "answer": 0},
    {"question": TEXTS[0] + TEXTS[0], "choices": ["a", "b", " lazy dog"], "answer": 2},
]
PAIRS = [
    (start, end) for start in ("The fox", "To be, or", "naïve", "a", "東京 🌸") for end in (" jumps", " not", " a café")
]
TEMPLATE = (
    "{% for m in messages %}<|endoftext|>{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}So:{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    codec = TextCodec.train("bpe", TEXTS * 4, 300)
    codec.save(path)
    model = tiny_gpt(codec, context=32)
    with torch.no_grad():  # the likeliest next token is often the end of the text
        model.embedding.weight[codec.eos_id] = 1.5 * _last_states(model, codec).mean(0)
    save_model(model, path, codec=codec)
    (path / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return path


def _last_states(model: GPT, codec: TextCodec) -> torch.Tensor:
    """What the head sees after each pair."""
    return torch.stack([model.hidden(torch.tensor([codec.encode("".join(pair))]))[0, -1] for pair in PAIRS])


@pytest.fixture(scope="module")
def ours(folder: Path) -> Any:
    from daedal.interop.lm_eval import DaedalLM

    return DaedalLM(Generator.open(folder))


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=2)


def test_what_a_chat_template_wrote_is_read_as_hugging_face_reads_it(ours: Any, theirs: Any) -> None:
    turns = [{"role": "user", "content": "The fox"}, {"role": "assistant", "content": " jumps"}]
    written = ours.apply_chat_template(turns)
    assert written == theirs.apply_chat_template(turns)
    assert ours.tok_encode(written, add_special_tokens=False) == theirs.tok_encode(written, add_special_tokens=False)
    assert ours.tok_encode(written).count(ours.eot_token_id) == 2


def test_a_text_goes_on_from_what_a_chat_template_wrote_as_in_lm_evals_own_adapter(ours: Any, theirs: Any) -> None:
    options = {"max_gen_toks": 8, "until": ["zzz"], "do_sample": False}
    for count in (1, 9):  # the longer does not fit the context, and is cut from the left
        written = ours.apply_chat_template([{"role": "user", "content": "The fox"}] * count)
        one, other = (
            model.generate_until(instances("generate_until", [(written, options)]))[0] for model in (ours, theirs)
        )
        assert one.rstrip("\ufffd") == other.rstrip("\ufffd")


def test_what_begins_every_text_is_not_put_before_a_template_that_wrote_it(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours.generator.codec, "prefix_ids", (ours.eot_token_id,))
    for text in ("The fox", "<|endoftext|>The fox"):
        assert ours.tok_encode(text).count(ours.eot_token_id) == 1


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lm_eval.tasks import TaskManager

    path = tmp_path_factory.mktemp("tasks")
    (path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    (path / "questions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in QUESTIONS), encoding="utf-8")
    common = "dataset_path: json\ntest_split: test\n"
    data = "dataset_kwargs: {{data_files: {{test: {}}}}}\n"
    (path / "rolling.yaml").write_text(
        "task: daedal_rolling\noutput_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: '{{text}}'\n"
        + common + data.format(path / "texts.jsonl")
        + "metric_list:\n- metric: bits_per_byte\n- metric: byte_perplexity\n- metric: word_perplexity\n",
        encoding="utf-8",
    )  # fmt: skip
    (path / "choices.yaml").write_text(
        "task: daedal_choices\noutput_type: multiple_choice\ndoc_to_text: '{{question}}'\ndoc_to_choice: choices\n"
        "doc_to_target: answer\n" + common + data.format(path / "questions.jsonl")
        + "metric_list:\n- metric: acc\n- metric: acc_norm\n",
        encoding="utf-8",
    )  # fmt: skip
    (path / "writing.yaml").write_text(
        "task: daedal_writing\noutput_type: generate_until\ndoc_to_text: '{{question}}'\ndoc_to_target: '{{choices[0]}}'\n"
        + common + data.format(path / "questions.jsonl")
        + "generation_kwargs: {until: ['zzz'], max_gen_toks: 8, do_sample: false}\nmetric_list:\n- metric: exact_match\n",
        encoding="utf-8",
    )  # fmt: skip
    return TaskManager(include_path=str(path), include_defaults=False)


def harness(model: Any, tasks: Any, task: str) -> Any:
    import lm_eval

    return lm_eval.simple_evaluate(
        model=model, tasks=[task], task_manager=tasks, bootstrap_iters=0, log_samples=True, verbosity="ERROR"
    )


def numbers(results: Any, task: str) -> dict[str, float]:
    return {name: value for name, value in results["results"][task].items() if isinstance(value, float)}


def likelihoods(results: Any, task: str) -> list[float]:
    """Every log-likelihood that a task asked for."""
    samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
    responses = [response for sample in samples for group in sample["resps"] for response in group]
    return [float(r[0]) if isinstance(r, tuple | list) else float(r) for r in responses]


@pytest.mark.parametrize("task", ["daedal_rolling", "daedal_choices"])
def test_likelihoods_agree_with_lm_evals_own_adapter(ours: Any, theirs: Any, tasks: Any, task: str) -> None:
    one, other = harness(ours, tasks, task), harness(theirs, tasks, task)
    assert likelihoods(one, task) == pytest.approx(likelihoods(other, task), rel=1e-4, abs=1e-4)
    assert numbers(one, task) == pytest.approx(numbers(other, task), rel=1e-4)
    assert len(likelihoods(one, task)) == (len(TEXTS) if task == "daedal_rolling" else 9)


def test_whether_greedy_decoding_gives_a_continuation_agrees(ours: Any, theirs: Any) -> None:
    greedy = ours.generator.generate("The quick", max_tokens=3, temperature=0)[0].text
    requests = [SimpleNamespace(args=("The quick", text), task_name="t") for text in (greedy, " never this")]
    assert [bool(answer[1]) for answer in ours.loglikelihood(requests)] == [
        bool(answer[1]) for answer in theirs.loglikelihood(requests)
    ]


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served"), models={"tiny": str(folder)}, aliases={}) as address:
        yield address


def over_the_api(url: str, folder: Path, backend: str, batch: int = 1) -> Any:
    pytest.importorskip("tenacity")
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    where = {"tokenizer": str(folder)} if backend == "huggingface" else {}
    return LocalCompletionsAPI(
        model="tiny",
        base_url=f"{url}/v1/completions",
        tokenizer_backend=backend,
        batch_size=batch,
        max_length=32,
        max_retries=1,
        **where,
    )


def instances(kind: str, arguments: Sequence[Any]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, one, number) for number, one in enumerate(arguments)]


@pytest.mark.parametrize("backend", ["huggingface", "remote"])
@pytest.mark.parametrize("batch", [1, 8])
def test_likelihoods_over_the_api_agree_where_texts_want_to_end(
    url: str, folder: Path, ours: Any, theirs: Any, backend: str, batch: int
) -> None:
    codec, model = ours.generator.codec, ours.generator.model
    likeliest = model.head(_last_states(model, codec)).argmax(1)
    assert 5 <= (likeliest == codec.eos_id).sum() < len(PAIRS)
    asked = [*PAIRS, ("", "The fox"), ("The fox", codec.decode(likeliest[:1]) or " x")]
    served = over_the_api(url, folder, backend, batch).loglikelihood(
        instances("loglikelihood", asked), disable_tqdm=True
    )
    for other in (ours, theirs):
        known = other.loglikelihood(instances("loglikelihood", asked))
        assert [value for value, _ in served] == pytest.approx([value for value, _ in known], rel=1e-4, abs=1e-4)
        assert [bool(greedy) for _, greedy in served] == [bool(greedy) for _, greedy in known]


def test_a_remote_tokenizer_is_that_of_hugging_face(url: str, folder: Path) -> None:
    remote, local = (over_the_api(url, folder, backend) for backend in ("remote", "huggingface"))
    talk = [{"role": "user", "content": "The fox"}]
    for value in ("eot_token_id", "eos_string", "prefix_token_id"):
        assert getattr(remote, value) == getattr(local, value) is not None
    for text in (*TEXTS, "", "<|endoftext|>The fox"):
        assert remote.tok_encode(text) == local.tok_encode(text)
    assert remote.tokenizer.apply_chat_template(talk) == local.apply_chat_template(talk)


def test_texts_agree_with_lm_evals_own_adapter(ours: Any, theirs: Any, tasks: Any) -> None:
    one, other = (
        [sample["resps"][0][0] for sample in harness(model, tasks, "daedal_writing")["samples"]["daedal_writing"]]
        for model in (ours, theirs)
    )
    # Where a text ends within a character, we leave out its bytes and Hugging Face decodes them to U+FFFD; bytes that can
    # be no character end as U+FFFD in both
    assert [text.rstrip("\ufffd") for text in one] == [text.rstrip("\ufffd") for text in other]


def test_evaluate_without_overlap_agrees_with_lm_evals_bits_per_byte(ours: Any, tasks: Any) -> None:
    results = numbers(harness(ours, tasks, "daedal_rolling"), "daedal_rolling")
    generator = ours.generator
    documents = Documents.of_texts(TEXTS, generator.codec)
    window = generator.model.config.context
    measured = evaluate_documents(generator.model, documents, window, window)
    assert measured.bits_per_byte.value == pytest.approx(results["bits_per_byte,none"], rel=1e-6)


def test_the_empty_context_is_the_beginning_of_a_document(ours: Any, theirs: Any) -> None:
    requests = [SimpleNamespace(args=("", "The quick"), task_name="t")]
    assert ours.loglikelihood(requests)[0][0] == pytest.approx(theirs.loglikelihood(requests)[0][0], abs=1e-4)


def test_an_answer_that_fills_the_context_is_told(ours: Any) -> None:
    request = SimpleNamespace(args=("The", {"max_gen_toks": 32}))
    with pytest.raises(DaedalError, match="leaves no room"):
        ours.generate_until([request])


def test_sampling_is_repeatable(ours: Any) -> None:
    request = SimpleNamespace(args=("The", {"max_gen_toks": 8, "do_sample": True, "temperature": 1.0, "until": "\n\n"}))
    assert ours.generate_until([request]) == ours.generate_until([request])
