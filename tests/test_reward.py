"""A reward model: Transformers' numbers both ways, the loss by hand, learning, use and evaluation."""

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import daedal
from built import build, every
from command_line import daedal as command
from command_line import mistake
from daedal.codecs.chat import LINES, ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Turned, Turns, ending
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.evaluation.evaluate import evaluate
from daedal.evaluation.examples.preferences import Preferences
from daedal.evaluation.measures.length_bias import (
    aligned,
    controlled_win_rate,
    controlled_win_rate_interval,
    without_length,
)
from daedal.evaluation.predictors.word_preferences import WordPreferences
from daedal.models.bradley_terry import bradley_terry_loss, preferred
from daedal.models.checkpoint import load_model, save_model
from daedal.models.habits import Habits
from daedal.models.huggingface_rewards import CLASSES
from daedal.models.identity import Identity
from daedal.models.model import Moment
from daedal.models.reward import Reward, RewardConfig
from daedal.models.sequences import PreferenceBatch, Sequences
from daedal.nn.noise import Noise
from daedal.training.learner import open_learner
from kind_examples import WORDS
from tiny_models import noisy, tiny_gpt

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)
PAD = 96


# -- the model ---------------------------------------------------------------------------------------------------------


def theirs(architecture: str, **changes: Any) -> Any:
    """A small random reward model of Transformers."""
    values: dict[str, Any] = {
        "vocab_size": 97, "num_labels": 1, "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, **changes,
    }  # fmt: skip
    if architecture == "gpt2":
        values |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    else:
        values |= {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 64, "head_dim": 8,
        }  # fmt: skip
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(architecture).__class__(**values, attn_implementation="eager")
    model = getattr(transformers, CLASSES[architecture])(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def rows() -> list[list[int]]:
    """Of unequal length; one ends with what fills up, and one has it in its middle."""
    generator = torch.Generator().manual_seed(3)
    found = [torch.randint(0, PAD, (length,), generator=generator).tolist() for length in (9, 3, 17, 6)]
    found[1][-1] = found[2][4] = PAD
    return found


def rewards_there(model: Any, padded: list[list[int]]) -> torch.Tensor:
    """Filled up to the right and read at once."""
    longest = max(map(len, padded))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in padded])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in padded])
    with torch.no_grad():
        return torch.as_tensor(model(ids, attention_mask=mask).logits[:, 0])


@pytest.mark.parametrize("architecture", CLASSES)
def test_a_reward_model_of_transformers_gives_the_same_numbers_here_and_back(architecture: str, tmp_path: Path) -> None:
    model = theirs(architecture, **({"sliding_window": 5} if architecture == "mistral" else {}))
    model.save_pretrained(tmp_path / "theirs")
    mine = load_model(tmp_path / "theirs")
    assert isinstance(mine, Reward)
    with torch.no_grad():
        found = mine(Sequences.of(rows()))
    expected = rewards_there(model, rows())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    save_model(mine, tmp_path / "mine")
    back = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "mine").eval()
    assert back.config.num_labels == 1
    torch.testing.assert_close(rewards_there(back, rows()), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("architecture", [*CLASSES, "swift"])
def test_packed_is_one_by_one(architecture: Any, tmp_path: Path) -> None:
    config = RewardConfig.of(architecture, vocab_size=97, width=32, depth=2, heads=2, context=32, pad_id=PAD)
    model = noisy(Reward(config), 1)
    with torch.no_grad():
        together = model(Sequences.of(rows()))
        alone = torch.cat([model(Sequences.of([row])) for row in rows()])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    save_model(model, tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(Sequences.of(rows())), together, atol=1e-5, rtol=1e-5)


def test_several_labels_are_no_reward(tmp_path: Path) -> None:
    theirs("llama", num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(DaedalError, match="3 labels"):
        load_model(tmp_path)


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_bradley_terry_by_hand() -> None:
    chosen, rejected = torch.tensor([0.0, math.log(3), 1.0]), torch.tensor([0.0, 0.0, 1.0])
    found = bradley_terry_loss(chosen, rejected)
    # odds of one to one, of three to one, and of one to one
    torch.testing.assert_close(found, torch.tensor([math.log(2), math.log(4 / 3), math.log(2)]))
    # a margin of log 3 takes the three to one back
    with_margin = bradley_terry_loss(chosen[1:2], rejected[1:2], torch.tensor([math.log(3)]))
    torch.testing.assert_close(with_margin, torch.tensor([math.log(2)]))
    assert torch.isfinite(bradley_terry_loss(torch.tensor([-1e4]), torch.tensor([1e4]))).all()


def test_ties_are_half_right() -> None:
    chosen, rejected = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 2.0])
    assert preferred(chosen, rejected).tolist() == [1.0, 0.0, 0.5]


def test_swapping_chosen_and_rejected_turns_the_sign() -> None:
    config = RewardConfig.of("qwen3", vocab_size=97, width=32, depth=1, heads=2, context=32)
    model, one, other = noisy(Reward(config), 1), torch.tensor([0, 1]), torch.tensor([2, 3])
    with torch.no_grad():
        losses = [model.loss(PreferenceBatch(Sequences.of(rows()), *pair)) for pair in ((one, other), (other, one))]
    assert float(losses[0].parts["ahead"]) == pytest.approx(-float(losses[1].parts["ahead"]), rel=1e-6)
    # log sigmoid(x) - log sigmoid(-x) = x
    assert float(losses[1].total - losses[0].total) == pytest.approx(float(losses[0].parts["ahead"]), rel=1e-4)
    assert float(losses[0].parts["accuracy"] + losses[1].parts["accuracy"]) == 2


def test_accumulated_equals_one_large_batch(pairs: ExampleDataset, judge: Path) -> None:
    data: Any = open_learner("reward", pairs.folder).rows("train", {})  # type: ignore[attr-defined]
    model, found = load_model(judge), []
    for size in (8, 2):
        model.zero_grad()
        for first in range(0, 8, size):
            batch = data.batch(np.arange(first, first + size), Noise(0, first, size))
            model.loss(batch.at(Moment(8.0))).total.backward()
        found.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])
    assert len(found[0]) == len(list(model.parameters()))
    for one, parts in zip(*found, strict=True):
        torch.testing.assert_close(one, parts, atol=1e-6, rtol=1e-3)


# -- what it reads -----------------------------------------------------------------------------------------------------


def test_of_a_long_conversation_the_last_turns_are_read() -> None:
    said = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0, 1], dtype=bool)  # three questions, each with its answer
    turned = Turned(np.arange(10), said)
    assert ending(turned, 10).tolist() == list(range(10))
    assert ending(turned, 7).tolist() == [4, 5, 6, 7, 8, 9]
    assert ending(turned, 5).tolist() == [8, 9]
    assert ending(turned, 1).tolist() == [9]  # within the last turn
    assert ending(turned, 7, first=0).tolist() == [0, 4, 5, 6, 7, 8, 9]  # what begins every text stays
    assert ending(turned, 6, first=0).tolist() == [0, 8, 9]


def talk(prompt: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def rows_in(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def made_pairs(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """People like it polite, and a bit longer; some conversations have an earlier turn."""
    draw = random.Random(seed)

    def words(least: int, most: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, most)))

    return [
        {"prompt": f"Tell me of {words(2, 2)}.", "chosen": f"{words(2, 6)} please {words(1, 3)}",
         "rejected": f"{words(2, 5)} never {words(1, 3)}"}
        for _ in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> ExampleDataset:
    home = tmp_path_factory.mktemp("preferences")
    source = rows_in(home / "pairs.jsonl", made_pairs(300))
    return build(source, "data", near_duplicates="off", split=(0.7, 0.2, 0.1))


SHAPE: dict[str, Any] = {"width": 32, "depth": 1, "heads": 2, "kv_heads": 2, "head_width": 16, "mlp_width": 64}
HOW: dict[str, Any] = {
    "steps": 50, "batch": 8, "micro_batch": 8, "threads": 1, "precision": "fp32", "device": "cpu", "optimizer": "adamw",
    "learning_rate": 5e-3, "evaluate_every": 25, "sample_every": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def judge(pairs: ExampleDataset) -> Path:
    """A reward model that was trained from nothing."""
    run = pairs.folder.parent / "judge"
    daedal.train("reward", data=pairs.folder, out=run, **SHAPE, **HOW)
    return run


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT with a tokenizer of its own and no chat template, which learned nothing."""
    folder = tmp_path_factory.mktemp("gpt")
    codec = TextCodec.train("bpe", [f"User: {' '.join(WORDS)}\nAssistant: please never"], 300)
    save_model(tiny_gpt(codec, context=96), folder, codec=codec)
    return folder


def test_it_learns_what_people_prefer(judge: Path) -> None:
    model = daedal.load(judge)
    polite, rude = talk("Tell me of copper.", "river please copper"), talk("Tell me of copper.", "river never copper")
    good, bad = model.reward([polite, rude])
    assert good > bad + 1
    assert model.reward(polite) == [pytest.approx(good, abs=1e-4)]  # alone, and as beside others
    assert model.reward([{"messages": rude}]) == [pytest.approx(bad, abs=1e-4)]
    assert repr(model).endswith("it can say how good answers are>")
    assert model.too_long([polite, talk("Tell me.", "copper " * 200)]) == [False, True]
    assert math.isfinite(model.reward(talk("Tell me.", "copper " * 200))[0])


def test_transformers_gives_the_rewards_of_a_run(judge: Path) -> None:
    there = transformers.AutoModelForSequenceClassification.from_pretrained(judge).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(judge)
    talks = [talk("Tell me of copper.", "river please"), talk("Tell me.", "a river never copper copper")]
    read = tokenizer.apply_chat_template(talks, return_tensors="pt", padding=True, return_dict=True)
    with torch.no_grad():
        assert there(**read).logits[:, 0].tolist() == pytest.approx(daedal.load(judge).reward(talks), abs=1e-4)


def test_it_begins_with_the_body_of_a_gpt_and_reads_as_that_does(
    pairs: ExampleDataset, gpt: Path, tmp_path: Path
) -> None:
    learner: Any = open_learner("reward", pairs.folder, str(gpt))
    body: Any = load_model(gpt)
    begun = learner.initial.body.state_dict()
    assert all(torch.equal(begun[name], value) for name, value in body.state_dict().items() if name in begun)
    rows = learner.rows("validation", {})
    first = pairs.split("validation").values("chosen")[0]
    template = ChatTemplate(LINES, ChatTemplate.load(gpt).tokens)  # it has none, and is given one
    assert rows.pairs[0].chosen.tolist() == Turns(TextCodec.load(gpt), template).read(first).ids.tolist()
    daedal.train("reward", data=pairs.folder, out=tmp_path / "run", init=str(gpt), **{**HOW, "steps": 2})
    assert TextCodec.load(tmp_path / "run").fingerprint() == TextCodec.load(gpt).fingerprint()
    assert ChatTemplate.load(tmp_path / "run").source == LINES
    went_on: Any = open_learner("reward", pairs.folder, str(tmp_path / "run"))
    assert torch.equal(went_on.initial.score.weight, load_model(tmp_path / "run").score.weight)  # its head too


def test_the_data_s_own_ids_are_what_a_model_of_that_tokenizer_reads(pairs: ExampleDataset, judge: Path) -> None:
    own: Any = open_learner("reward", pairs.folder)
    turns, split = Turns(own.codec, ChatTemplate.load(judge)), pairs.split("train")
    read = own.rows("train", {}).pairs
    for column, ids in (("chosen", [each.chosen for each in read]), ("rejected", [each.rejected for each in read])):
        assert all((a == turns.read(b).ids).all() for a, b in zip(ids, split.values(column), strict=True))


def test_margins_ask_for_more_where_people_said_that_one_is_much_better(tmp_path: Path) -> None:
    rows = [{**each, "score_chosen": 5 + number % 3, "score_rejected": 4} for number, each in enumerate(made_pairs(60))]
    data = build(rows_in(tmp_path / "scored.jsonl", rows), near_duplicates="off", split=(0.7, 0.2, 0.1))
    assert sorted(set(every(data, "margin"))) == [1.0, 2.0, 3.0]
    learner: Any = open_learner("reward", data.folder)
    batch = learner.rows("train", {"margin": 0.5}).batch(np.arange(30), Noise(0, 0, 30))
    asked = [each.margin for each in learner.rows("train", {"margin": 0.5}).pairs]
    assert batch.margins.tolist() == pytest.approx(asked[:30])
    assert np.mean(asked) == pytest.approx(0.5)  # of the mean pair, others in proportion
    assert learner.rows("train", {"margin": 0.0}).batch(np.arange(3), Noise(0, 0, 3)).margins is None
    assert learner.rows("validation", {"margin": 0.5}).batch(np.arange(2), Noise(0, 0, 2)).margins is None


def test_of_scored_answers_the_margin_is_the_difference_of_the_scores(tmp_path: Path) -> None:
    answers = [{"response": text, "overall_score": score} for text, score in (("a good one", 8.5), ("a bad one", 3.0))]
    rows = [{"instruction": f"Say {number}.", "completions": answers} for number in range(12)]
    data = build(rows_in(tmp_path / "ultra.jsonl", rows), near_duplicates="off")
    assert set(every(data, "margin")) == {5.5}


# -- how good it is ----------------------------------------------------------------------------------------------------


def test_a_reward_model_is_measured_beside_chance_length_and_words(judge: Path, pairs: ExampleDataset) -> None:
    report = evaluate(judge)
    ranking = dict(report.ranking("preference-accuracy"))
    assert ranking.keys() == {"this model", "chance", "longer answer", "lengths alone", "bag of words"}
    assert ranking["chance"].value == 0.5  # all are ties
    assert ranking["this model"].value > 0.9
    assert ranking["bag of words"].value > 0.9
    held = pairs.split("validation")
    longer = [
        len(a["messages"][-1]["content"]) - len(b["messages"][-1]["content"])
        for a, b in zip(held.values("chosen"), held.values("rejected"), strict=True)
    ]
    assert ranking["longer answer"].value == pytest.approx(np.mean((1 + np.sign(longer)) / 2))
    at_equal_length = {
        each.name: next(m.value for m in each.measurements if m.quantity.startswith("preference-accuracy-at-equal"))
        for each in report.baselines
    }
    assert at_equal_length["longer answer"] == 0.5  # who goes by length alone
    for quantity in ("preference-log-loss", "expected-calibration-error", "reward-length-correlation"):
        assert report.has(quantity)
    assert "where the chosen answer is the shorter one" in report.summary()
    assert "AutoModelForSequenceClassification" in (judge / "README.md").read_text()
    shown = command("evaluate", judge, "--split", "test")
    assert shown.code == 0
    assert "accuracy at equal length" in shown.out


def test_ties_are_half_right_where_it_is_measured(pairs: ExampleDataset, judge: Path) -> None:
    from daedal.evaluation.examples.held_out import Examples
    from daedal.evaluation.kinds.examples import ExampleOptions, PreferenceSubject

    held = Examples.of_split(pairs, "validation").some(4, 0)
    subject = PreferenceSubject(load_model(judge), held, None, ExampleOptions(), daedal.load(judge))
    found = Preferences(held, np.array([1.0, 0.0, -1.0, 0.0]), subject).findings(None)
    assert found.measurements[0].value == 0.5
    loss = next(each for each in found.measurements if each.name == "log loss")
    assert loss.value == pytest.approx((2 * math.log(2) + math.log(1 + math.e) + math.log(1 + 1 / math.e)) / 4)


def test_what_goes_with_length_by_hand() -> None:
    longer = np.array([3.0, -4.0])
    assert aligned(longer * 2, longer) == pytest.approx(1)
    assert aligned(np.array([4.0, 3.0]), longer) == 0  # 12 - 12
    assert without_length(2 * longer, longer) == pytest.approx([0, 0])
    assert without_length(np.array([4.0, 3.0]), longer) == pytest.approx([4, 3])


def test_a_win_rate_at_equal_length_takes_away_what_length_wins() -> None:
    draw = np.random.default_rng(0)
    longer = draw.normal(30.0, 20.0, 2000)  # one is mostly longer
    by_length = (draw.random(2000) < 1 / (1 + np.exp(-2 * np.tanh(longer / longer.std())))).astype(float)
    assert by_length.mean() > 0.75
    assert controlled_win_rate(by_length, longer)[0] == pytest.approx(0.5, abs=0.07)
    honest = (draw.random(2000) < 0.7).astype(float)
    assert controlled_win_rate(honest, longer)[0] == pytest.approx(0.7, abs=0.07)
    low, high = controlled_win_rate_interval(honest, longer) or (0, 0)
    assert low < 0.7 < high
    assert controlled_win_rate(np.array([1.0, 0.0, 0.5, 0.5]), np.zeros(4))[0] == pytest.approx(0.5)
    assert 0.9 < controlled_win_rate(np.ones(30), draw.normal(0, 1, 30))[0] < 1  # no exceptions, and yet a number
    assert controlled_win_rate_interval(np.ones(1), np.ones(1)) is None


def test_words_that_people_prefer_are_worth_more() -> None:
    rows = made_pairs(80)
    found = WordPreferences.fit([row["chosen"] for row in rows], [row["rejected"] for row in rows])
    assert found.weights[found.places["please"]] > 0 > found.weights[found.places["never"]]
    good, bad, unknown = found.rewards(["river please", "river never", "zzz"])
    assert good > bad
    assert unknown == 0


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_thumbs_are_no_pairs(tmp_path: Path) -> None:
    rows = [{"prompt": each["prompt"], "completion": each["chosen"], "label": True} for each in made_pairs(40)]
    data = build(rows_in(tmp_path / "thumbs.jsonl", rows), near_duplicates="off")
    said = mistake("train", "reward", "--data", data.folder, "--out", tmp_path / "run", "--budget", "10s")
    assert "stand alone, with thumbs" in said
    assert "align kto" in said
    assert not (tmp_path / "run").exists()


def test_answers_that_stand_alone_among_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    made = made_pairs(60)
    alone = [{"prompt": each["prompt"], "completion": each["chosen"], "label": "up"} for each in made_pairs(12, 1)]
    both = rows_in(tmp_path / "pairs.jsonl", made), rows_in(tmp_path / "thumbs.jsonl", alone)
    how: dict[str, Any] = {"workers": 1, "near_duplicates": "off", "split": (0.7, 0.2, 0.1)}
    data: Any = daedal.build_data(list(both), tmp_path / "data", kind="preferences", **how)
    learner: Any = open_learner("reward", data.folder)
    rows = learner.rows("train", {})
    plan = daedal.make_plan("reward", data.folder, **SHAPE, **HOW)
    assert f"{len(data.split('train')) - len(rows)} answers stand alone" in plan.why["Pairs"]


def test_equal_answers_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [
        *made_pairs(30),
        *({"prompt": "Say.", "chosen": f"the same {n}", "rejected": f"the same {n}"} for n in range(4)),
    ]
    data = build(rows_in(tmp_path / "equal.jsonl", rows), near_duplicates="off")
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("chosen equals rejected", 4)]


@pytest.mark.parametrize("conversations", ["a text", [[]], [["a"]], [{"messages": "a"}]])
def test_what_is_no_conversation_is_refused(judge: Path, conversations: Any) -> None:
    with pytest.raises(DaedalError, match="conversation"):
        daedal.load(judge).reward(conversations)


def test_numbers_that_are_none_are_told(judge: Path) -> None:
    model = daedal.load(judge)
    with torch.no_grad():
        model.model.score.weight.fill_(float("nan"))
    with pytest.raises(DaedalError, match="not finite"):
        model.reward(talk("a", "b"))


def test_another_family_is_refused(judge: Path, pairs: ExampleDataset, gpt: Path, tmp_path: Path) -> None:
    assert "learns preferences" in mistake(
        "train", "reward", "--data", build(rows_in(tmp_path / "texts.jsonl", [{"text": f"a text {n}", "label": n % 2} for n in
        range(40)]), "labels", near_duplicates="off").folder, "--out", tmp_path / "run",
    )  # fmt: skip
    with pytest.raises(DaedalError, match="cannot say how good answers are"):
        daedal.load(gpt).reward(talk("a", "b"))
    with pytest.raises(DaedalError, match="cannot write on"):
        daedal.load(judge).generate("a")
    Identity.of("recommender", "histories", {"items": "items.json"}, ["recommend"]).write(
        Path(shutil.copytree(gpt, tmp_path / "other"))
    )
    begun = ("--init", tmp_path / "other", "--out", tmp_path / "run")
    assert "is a recommender, which reads no conversations" in mistake(
        "train", "reward", "--data", pairs.folder, *begun
    )
    said = mistake("train", "gpt", "--data", pairs.folder, "--out", tmp_path / "run")
    assert "A gpt learns" in said
    assert "a reward" in said


def test_a_template_of_the_model_to_begin_with_stays(pairs: ExampleDataset, gpt: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</s>{% endfor %}"
    folder = tmp_path / "templated"
    save_model(
        load_model(gpt), folder, codec=TextCodec.load(gpt), habits=Habits(sampling={}, ends=(), jinja=template, template=None)
    )  # fmt: skip
    daedal.train("reward", data=pairs.folder, out=tmp_path / "run", init=str(folder), **{**HOW, "steps": 2})
    assert (tmp_path / "run" / "chat_template.jinja").read_text() == template
