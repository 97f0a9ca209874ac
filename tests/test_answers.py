"""A model of conversations is measured by its answers: nats of what it learned to say, over the bytes of that."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import daedal
from command_line import TINY
from command_line import daedal as command
from daedal.data.conversations import ConversationDataset, open_stream
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.evaluation.baselines import ngram
from daedal.evaluation.blocks import Texts
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluate import evaluate
from daedal.evaluation.likelihood import evaluate_documents
from daedal.evaluation.ngram import KneserNey
from daedal.evaluation.report import PAGE, Report
from daedal.inference.generator import Generator
from daedal.training.run import RunFolder
from kind_examples import MADE
from tiny_models import tiny_gpt


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> ConversationDataset:
    folder = tmp_path_factory.mktemp("chats")
    daedal.build_data([MADE["chat"](folder)], folder / "data", workers=1, split=(60, 40, 0))
    data = open_stream(folder / "data")
    assert isinstance(data, ConversationDataset)
    return data


@pytest.fixture(scope="module")
def documents(chats: ConversationDataset) -> Documents:
    split = chats.split("validation")
    return Documents.of_split(split, chats.codec).of_answers(split.learned)  # type: ignore[attr-defined]


def answers(chats: ConversationDataset) -> list[str]:
    """What the assistant says in each held-out conversation, as the template writes it."""
    examples = chats.examples
    assert isinstance(examples, ExampleDataset)
    return [
        "".join(f"{each['content']}\n" for each in value["messages"] if each["role"] == "assistant")
        for value in examples.split("validation").values("conversation")
    ]


def test_only_what_the_assistant_says_is_counted(chats: ConversationDataset, documents: Documents) -> None:
    said = answers(chats)
    assert documents.bytes.tolist() == [len(text.encode()) for text in said]
    assert documents.characters.tolist() == [len(text) for text in said]
    turns = np.array([text.count("\n") for text in said])  # each answer of these is one line; its mark has no bytes
    tokens = np.array([len(chats.codec.encode(text)) for text in said])
    assert (documents.counted >= turns + tokens).all()
    assert (documents.counted < documents.tokens).all()
    assert chats.split("validation").learnable[1] == documents.bytes.sum()


@pytest.mark.parametrize(("window", "stride"), [(512, 512), (24, 8)])
def test_the_nats_are_those_of_a_sum_over_what_is_learned(
    chats: ConversationDataset, documents: Documents, window: int, stride: int
) -> None:
    model, split = tiny_gpt(chats.codec, context=512), chats.split("validation")
    learned = split.learned  # type: ignore[attr-defined]
    nats, count = 0.0, 0
    for begin, end in zip(split.offsets[:-1], split.offsets[1:] - 1, strict=True):
        ids = [documents.prefix, *split.read(int(begin), int(end)).tolist()]
        for place in (np.flatnonzero(learned[begin:end]) + 1).tolist():
            step = 0 if place <= window else -(-(place - window) // stride)
            start = min(step * stride, max(0, len(ids) - 1 - window))
            logits = model(torch.tensor([ids[start:place]]))[0, -1].detach().double()
            nats -= float(logits.log_softmax(-1)[ids[place]])
            count += 1
    found = evaluate_documents(model, documents, window, stride)
    assert found.loss.value == pytest.approx(nats / count, rel=1e-5)
    said = "".join(answers(chats))
    assert found.bits_per_byte.value == pytest.approx(nats / math.log(2) / len(said.encode()), rel=1e-5)
    assert found.nats_per_character.value == pytest.approx(nats / len(said), rel=1e-5)
    assert found.bits_per_byte.definition.endswith("learned=answers")
    whole = evaluate_documents(model, Documents.of_split(split, chats.codec), window, stride)
    with pytest.raises(DaedalError, match="Measure both on the same data"):
        found.bits_per_byte.beside(whole.bits_per_byte)


def test_n_grams_see_all_and_are_counted_on_the_answers(chats: ConversationDataset, documents: Documents) -> None:
    train = Documents.of_split(chats.split("train"), chats.codec)
    split = chats.split("validation")
    counts = KneserNey(train.read(0, int(train.offsets[-1])), chats.codec.vocab_size, train.end, 5)
    nats = -counts.log_probabilities(split.read(0, split.tokens))[split.learned].sum()  # type: ignore[attr-defined]
    found = ngram(train, documents)
    assert found.bits_per_byte.value == pytest.approx(nats / math.log(2) / documents.bytes.sum())


def test_few_conversations_are_counted_in_blocks(chats: ConversationDataset) -> None:
    split = chats.split("validation")
    end = int(split.offsets[2])
    few = Documents(
        "few",
        chats.codec,
        split.offsets[:3],
        split.document_bytes[:2],
        split.document_bytes[:2],
        "f",
        split.read,
        split.text,
    ).of_answers(split.learned[:end])  # type: ignore[attr-defined]
    assert few.by_blocks
    tokens, sizes, characters = few.pieces
    assert (tokens.sum(), sizes.sum(), characters.sum()) == (few.counted.sum(), few.bytes.sum(), few.characters.sum())


def test_what_holds_no_answer_is_told(chats: ConversationDataset) -> None:
    split = chats.split("validation")
    with pytest.raises(DaedalError, match="no answer to measure"):
        Documents.of_split(split, chats.codec).of_answers(np.zeros(split.tokens, dtype=bool))


def test_the_report_of_a_run_on_conversations_is_of_answers(chats: ConversationDataset, tmp_path: Path) -> None:
    done = command("train", "gpt", "--data", chats.folder, "--out", tmp_path / "run", "--steps", "6", *TINY)
    assert done.code == 0, done.err
    report = Report.read(tmp_path / "run")
    assert report.bits_per_byte.definition.endswith("learned=answers")
    assert [each.name for each in report.baselines] == ["unigram", "5-gram"]
    assert any("Compressors" in line for line in report.missing)
    assert report.data.says.endswith("of answers")
    assert "answers" in (tmp_path / "run" / PAGE).read_text()
    split = chats.split("validation")
    openings = [chats.codec.decode(split.opening(index)) for index in range(split.documents)]
    assert all(openings)
    samples = [each for block in report.blocks if isinstance(block, Texts) for each in block.texts]
    assert samples
    for sample in samples:  # as much of an opening as a context holds beside its answer
        assert any(opening.endswith(sample.prompt) for opening in openings)
    told = RunFolder(tmp_path / "run").records("samples.jsonl")
    assert openings[0][-10:] in told[-1]["text"]


def test_conversations_in_other_tokens_are_measured_whole_and_that_is_told(chats: ConversationDataset) -> None:
    from daedal.codecs.text import TextCodec

    codec = TextCodec.train("byte", ["any"])
    report = evaluate(Generator(tiny_gpt(codec), codec, "other"), chats.folder, samples=0)
    assert "learned" not in report.bits_per_byte.definition
    assert "measured whole" in " ".join(report.data.notes)


def test_some_documents_are_what_they_are_among_all(documents: Documents) -> None:
    which = np.array([2, 0])
    some = documents.some(which)
    assert len(some) == 2
    for place, number in enumerate(which.tolist()):
        assert some.text(place) == documents.text(number)
        assert some.counted[place] == documents.counted[number]
        begin, end = documents.offsets[number : number + 2]
        assert (some.read(*some.offsets[place : place + 2]) == documents.read(begin, end)).all()
    assert some.fingerprint != documents.fingerprint
