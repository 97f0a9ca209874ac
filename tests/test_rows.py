"""Whatever learns rows of tokens of any length is trained as everything is: the same bits again, also after a stop."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import daedal
from daedal.codecs.both_ways import first_tokens, marked
from daedal.codecs.text import TextCodec
from daedal.data.passages import Passages
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.models.model import IGNORE
from daedal.nn.noise import Noise
from daedal.training.labelled import fitted
from daedal.training.learner import open_learner
from daedal.training.machine import measure_machine
from daedal.training.masking import Masking
from daedal.training.plan import Plan
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import logged, same, stop_at

NAMES, PLACES = ("Anna", "Bob", "Clara", "Dario"), ("Paris", "Rome", "Oslo", "Lima")
SMALL: dict[str, Any] = {"width": 32, "depth": 2, "heads": 2, "mlp_width": 48}
RUN: dict[str, Any] = {
    "steps": 12, "batch": 8, "micro_batch": 8, "threads": 1, "precision": "fp32", "device": "cpu", "seed": 3, "log_every": 2,
    "evaluate_every": 6, "sample_every": 6, "checkpoint_every": 100, "learning_rate": 3e-3, "optimizer": "adamw",
}  # fmt: skip
FAMILIES = ("bert", "classifier", "tagger", "answerer", "embedder", "translator", "reward")


def _lines(count: int) -> list[tuple[str, str, str]]:
    """A name, a place, and a sentence of both."""
    draw = random.Random(0)
    made = {}
    for number in range(count):
        name, place = draw.choice(NAMES), draw.choice(PLACES)
        also = " and is happy" * (number % 3)
        made[f"{name} number {number} lives in {place}{also}."] = (name, place)
    return [(name, place, text) for text, (name, place) in made.items()]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data folder for each family."""
    home, lines = tmp_path_factory.mktemp("rows"), _lines(160)
    (home / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for *_, text in lines))
    (home / "labels.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": place}) + "\n" for _, place, text in lines)
    )
    tags, questions = [], []
    for name, place, text in lines:
        words = text[:-1].split()
        marks = {name: "B-PER", place: "B-LOC"}
        tags.append({"tokens": words, "ner_tags": [marks.get(word, "O") for word in words]})
        answers = {"text": [place], "answer_start": [text.index(place)]}
        questions.append({"question": f"Where does {name} live?", "context": text, "answers": answers})
    for stem, rows in (("tags", tags), ("questions", questions)):
        (home / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "pairs.jsonl").write_text(
        "".join(json.dumps({"source": text, "target": f"{place} has {name}."}) + "\n" for name, place, text in lines)
    )
    preferred = [
        {"prompt": f"Where does {name} live?", "chosen": f"{name} lives in {place}.",
         "rejected": f"I do not know {name}{also}."}
        for (name, place, _), also in zip(lines, (" yet" * (number % 3) for number in range(len(lines))), strict=True)
    ]  # fmt: skip
    (home / "preferred.jsonl").write_text("".join(json.dumps(row) + "\n" for row in preferred))
    kinds = {"reward": "preferred", "bert": "text", "classifier": "labels", "tagger": "tags", "answerer": "questions"}
    for stem in ("text", "labels", "tags", "questions", "pairs", "preferred"):
        how: dict[str, Any] = {"near_duplicates": "off"}
        daedal.build_data([home / f"{stem}.jsonl"], home / stem, workers=1, codec="bpe", vocab_size=320, **how)
    return {family: home / kinds.get(family, "pairs") for family in FAMILIES}


def made(family: str, data: Path, run: Path, **changes: Any) -> tuple[Trainer, Plan]:
    """A trainer of a small model."""
    learner = open_learner(family, data, changes.pop("init", None))
    values = {**RUN, **(SMALL if learner.initial is None else {}), **changes}
    plan = learner.make_plan(None, measure_machine("cpu", 1, "fp32"), values)
    folder = RunFolder(run)
    folder.training.mkdir(parents=True, exist_ok=True)
    folder.write_plan(plan)
    torch.manual_seed(plan.seed)
    return Trainer(learner.task(plan), plan, folder, Processes(torch.device("cpu"))), plan


def trained(family: str, data: Path, run: Path, **changes: Any) -> Path:
    made(family, data, run, **changes)[0].train()
    return run


@pytest.fixture(scope="module")
def whole(house: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each family that nobody stopped."""
    home = tmp_path_factory.mktemp("whole")
    return {family: trained(family, house[family], home / family, dropout=0.1) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns(family: str, whole: dict[str, Path]) -> None:
    losses = logged(whole[family], "loss")
    assert losses[-1] < losses[0]
    assert logged(whole[family], "validation_loss")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    family: str, house: dict[str, Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / family
    trainer, _ = made(family, house[family], run, dropout=0.1)
    stop_at(trainer, 5)
    with pytest.raises(Interrupted):
        trainer.train()
    assert not same(run, whole[family])
    trained(family, house[family], run, dropout=0.1)
    assert same(run, whole[family])


# an embedder's contrast is with a batch; for reward models see test_reward.py: new ones give equal rewards to all, and rounding
# decides their first steps
@pytest.mark.parametrize("family", [each for each in FAMILIES if each not in ("embedder", "reward")])
def test_accumulated_equals_one_large_batch(family: str, house: dict[str, Path], tmp_path: Path) -> None:
    one = logged(trained(family, house[family], tmp_path / "one", dropout=0.0), "loss")
    parts = logged(trained(family, house[family], tmp_path / "parts", dropout=0.0, micro_batch=2), "loss")
    assert np.allclose(one, parts, rtol=2e-3)


@pytest.mark.parametrize("family", [each for each in FAMILIES if each not in ("bert", "translator", "reward")])
def test_a_head_begins_with_the_body_of_a_bert(
    family: str, house: dict[str, Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    init = str(whole["bert"])
    data = house[family]
    learner = open_learner(family, data, init)
    body: Any = daedal.load(init).model
    begun: Any = learner.initial
    assert all(map(torch.equal, begun.encoder.state_dict().values(), body.encoder.state_dict().values()))
    trained(family, data, tmp_path / "run", init=init, steps=2)
    after: Any = daedal.load(str(tmp_path / "run")).model
    assert (after.config.width, after.config.vocab_size) == (body.config.width, body.config.vocab_size)


def test_a_body_rests_while_its_head_learns_alone(
    house: dict[str, Path], whole: dict[str, Path], tmp_path: Path
) -> None:
    init, data = str(whole["bert"]), house["classifier"]
    run = trained("classifier", data, tmp_path / "run", init=init, head_first=0.99, steps=3)
    before: Any = daedal.load(init).model
    after: Any = daedal.load(str(run)).model
    assert all(map(torch.equal, before.encoder.state_dict().values(), after.encoder.state_dict().values()))


def test_lower_layers_learn_less(house: dict[str, Path], whole: dict[str, Path]) -> None:
    learner = open_learner("classifier", house["classifier"], str(whole["bert"]))
    plan = learner.make_plan(None, measure_machine("cpu", 1, "fp32"), {**RUN, "layer_decay": 0.5})
    task = learner.task(plan)
    groups = task.optimizer("model", plan).parts[0].param_groups
    rate = {parameter: group["lr"] for group in groups for parameter in group["params"]}
    body = task.model.encoder
    assert rate[task.model.output.weight] == plan.learning_rate
    assert rate[body.transformer.blocks[1].mlp.down.weight] == pytest.approx(plan.learning_rate / 2)
    assert rate[body.transformer.blocks[0].mlp.down.weight] == pytest.approx(plan.learning_rate / 4)
    assert rate[body.embedding.weight] == pytest.approx(plan.learning_rate / 8)
    assert len(rate) == len(list(task.model.parameters()))


def test_text_is_learned_before_labels_in_one_budget(house: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    daedal.train(
        "classifier",
        data=house["classifier"],
        out=run,
        budget="24s",
        pretrain_data=str(house["bert"]),
        **SMALL,
        threads=1,
    )
    assert daedal.load(str(run / "training" / "bert")).capabilities == {"fill", "embed"}
    assert RunFolder(run).plan.init == str(run / "training" / "bert")
    assert daedal.load(str(run)).classify("Anna number 3 lives in Rome.")[0].label in PLACES


# -- what rows are made of ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return marked(TextCodec.train("bpe", [text for *_, text in _lines(160)], 300))


@pytest.mark.parametrize("words", [False, True])
def test_what_is_hidden_of_a_row_follows_from_the_seed_and_the_example(codec: TextCodec, words: bool) -> None:
    rows = [codec.framing.one(codec.encode(text)).ids for *_, text in _lines(24)]
    masking = Masking(codec, 0.15, words)
    together = masking(rows, Noise(5, 10, len(rows)))
    again = masking(rows[7:8], Noise(5, 17, 1))
    alone = list(torch.split(together.targets, list(together.sequences.packing.lengths)))
    assert any(torch.equal(part, again.targets) for part in alone)
    assert not torch.equal(masking(rows[7:8], Noise(6, 17, 1)).targets, again.targets)


def test_fifteen_in_a_hundred_tokens_are_hidden_and_no_marks(codec: TextCodec) -> None:
    rows = [codec.framing.one(codec.encode(" ".join(text for *_, text in _lines(6)))).ids for _ in range(200)]
    batch = Masking(codec, 0.15)(rows, Noise(0, 0, len(rows)))
    hidden, seen = batch.targets != IGNORE, batch.sequences.ids
    assert float(hidden.float().mean()) == pytest.approx(0.15, abs=0.01)
    assert not np.isin(batch.targets[hidden].numpy(), codec.special_ids).any()
    masked = seen[hidden] == codec.mask_id
    same_token = seen[hidden] == batch.targets[hidden]
    assert float(masked.float().mean()) == pytest.approx(0.8, abs=0.02)
    assert float(same_token.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert torch.equal(seen[~hidden], torch.cat([torch.from_numpy(row) for row in rows])[~hidden])


def test_pieces_of_documents_are_all_of_their_text(house: dict[str, Path]) -> None:
    split = Dataset.open(house["bert"]).split("train")
    pieces = Passages(split, 7)
    joined = np.concatenate([pieces[number] for number in range(len(pieces))])
    whole = np.concatenate([split.read(*split.offsets[at : at + 2])[:-1] for at in range(split.documents)])
    assert np.array_equal(joined, whole)
    assert max(pieces.lengths) <= 7


def test_two_texts_are_cut_where_they_are_longer() -> None:
    assert fitted([1] * 9, [2] * 3, 8) == ([1] * 5, [2] * 3)
    assert fitted([1] * 3, [2] * 9, 8) == ([1] * 3, [2] * 5)
    assert fitted([1] * 9, [2] * 9, 8) == ([1] * 4, [2] * 4)
    assert fitted([1] * 2, [2] * 2, 8) == ([1] * 2, [2] * 2)


def test_the_first_token_of_each_word_is_found(codec: TextCodec) -> None:
    words = ["Anna", "lives", "in", "Zürich", "!"]
    ((ids, places),) = codec.encode_with_places([" ".join(words)])
    firsts = first_tokens(words, places)
    assert len(firsts) == len(words)
    for first, after, word in zip(firsts, [*firsts[1:], len(ids)], words, strict=True):
        assert codec.decode(ids[first:after]).strip() == word


# -- what cannot be learned --------------------------------------------------------------------------------------------


def test_one_class_is_refused_in_one_line(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": "same"}) for *_, text in _lines(60)]
    (tmp_path / "one.jsonl").write_text("\n".join(lines))
    daedal.build_data([tmp_path / "one.jsonl"], tmp_path / "one", kind="labelled", workers=1, near_duplicates="off")
    with pytest.raises(DaedalError, match="one class"):
        daedal.make_plan("classifier", tmp_path / "one", "10s")


def test_a_bert_of_another_tokenizer_is_refused_for_a_stream_of_text(
    house: dict[str, Path], tmp_path: Path, whole: dict[str, Path]
) -> None:
    (tmp_path / "other.txt").write_text("\n".join(f"Something else entirely, {number}." for number in range(400)))
    daedal.build_data([tmp_path / "other.txt"], tmp_path / "other", workers=1, document="line", near_duplicates="off")
    with pytest.raises(DaedalError, match="another tokenizer"):
        open_learner("bert", tmp_path / "other", str(whole["bert"]))


def test_a_translator_begins_no_classifier(house: dict[str, Path], whole: dict[str, Path]) -> None:
    with pytest.raises(DaedalError, match="reads one way"):
        open_learner("classifier", house["classifier"], str(whole["translator"]))
