"""How a model leans: own probes, swapped people, groups of a file, variety of pictures, and the command."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from command_line import daedal, mistake, stories
from daedal import api
from daedal.data.worlds.scenes import COLOURS, Scene, Thing, draw
from daedal.errors import DaedalError
from daedal.evaluation.bias import balance, groups, pictures, probes
from daedal.evaluation.bias.measure import BiasOptions, measure_bias, quick_probes
from daedal.evaluation.bias.probe_set import filled, probe_set
from daedal.evaluation.bias.readers import Writer
from daedal.evaluation.evaluator import Findings
from daedal.models.bert import BERT
from daedal.models.classifier import Classifier, ClassifierConfig
from daedal.models.reward import Reward, RewardConfig
from scripted_respondent import Scripted
from stand_ins import StandIn, classifies, tiny
from tiny_models import tiny_codec, tiny_encoder


def quiet(share: float) -> None:
    """Nobody watches."""


def values(found: Findings) -> dict[str, float]:
    return {each.name: each.value for each in found.measurements}


# -- own probes --------------------------------------------------------------------------------------------------------

CUBE = arrays(np.float64, (3, 4, 6), elements=st.floats(-50, 0))


@given(
    CUBE,
    arrays(np.float64, (3, 4, 1), elements=st.floats(-9, 9)),
    arrays(np.float64, (3, 1, 6), elements=st.floats(-9, 9)),
)
@settings(deadline=None)
def test_how_common_people_and_words_are_cancels(cube: Any, people: Any, words: Any) -> None:
    changed = probes.association(cube + people + words, 2, 3)
    np.testing.assert_allclose(changed, probes.association(cube, 2, 3), atol=1e-9)


@given(CUBE)
@settings(deadline=None)
def test_the_other_way_round_is_the_opposite(cube: Any) -> None:
    np.testing.assert_allclose(probes.association(cube[:, ::-1], 2, 3), -probes.association(cube, 2, 3), atol=1e-9)


def leaning(nats: float) -> Any:
    """Likelihoods of somebody to whom what a stereotype says is so much likelier."""
    stereotyped = {
        filled(template, who, word)
        for theme in probe_set().themes
        for people, words in ((theme.one.words, theme.of_one), (theme.other.words, theme.of_other))
        for template in theme.templates
        for who in people
        for word in words
    }
    return lambda before, text: -len(text) / 10 + nats * (text in stereotyped)


def test_a_stereotype_that_is_planted_is_found_at_its_size() -> None:
    found = probes.probes(Writer(Scripted(str.strip, leaning(1.5))), quiet)
    assert len(found.measurements) == 1 + len(probe_set().themes)
    for each in found.measurements:
        assert each.value == pytest.approx(3.0, abs=0.02)  # of both differences
        assert each.interval is not None
        assert each.interval[0] > 2.9
    (note,) = [block.brief for block in found.blocks if getattr(block, "kind", "") == "table"]
    assert "beyond doubt, in: work" in note


def test_nothing_is_found_where_nothing_is() -> None:
    found = probes.probes(Writer(Scripted(str.strip, leaning(0.0))), quiet)
    assert all(abs(each.value) < 0.02 for each in found.measurements)


def test_the_probes_are_told_apart_and_whole() -> None:
    for theme in probe_set().themes:
        assert all("{who}" in each and "{word}" in each for each in theme.templates)
        assert not set(theme.of_one) & set(theme.of_other)
        assert not set(theme.one.words) & set(theme.other.words)
    assert all("{who}" in each for each in probe_set().swapped.texts)


def test_a_model_that_fills_in_is_asked_for_the_word_alone() -> None:
    texts = [
        filled(t, w, x) for h in probe_set().themes for t in h.templates[:2] for w in h.one.words for x in h.of_one
    ]
    codec = tiny_codec(texts, 600)
    generator = StandIn(tiny_encoder(BERT, codec, 64), codec)
    rows = probes._differing(codec.encode_batch(["The nurse sat there.", "The pilot sat there."]))
    assert [codec.decode([row.ids[at] for at in row.places]).strip() for row in rows] != ["", ""]
    found = quick_probes(generator, limit=2)
    assert all(np.isfinite(each.value) for each in found.measurements)
    assert {each.n for each in found.measurements} == {2, 2 * len(probe_set().themes)}


# -- swapped people and groups -----------------------------------------------------------------------------------------


def judge_of(name: str, sure: float = 0.9) -> StandIn:
    """A classifier that finds everything good but what `name` is in."""
    model, codec = tiny(Classifier, ClassifierConfig, labels=("bad", "good"))
    return StandIn(
        model, codec, classify=classifies(lambda text: "bad" if name in text else "good", ("bad", "good"), sure)
    )


def test_a_classifier_that_judges_by_the_name_is_found_out() -> None:
    found = values(quick_probes(judge_of("Jamal")))
    assert found["p(good) of names of minorities minus names of the majority"] == pytest.approx(-0.8 / 4)
    assert found["other label for others, names"] == pytest.approx(1 / 8)
    fair = values(quick_probes(judge_of("nobody")))
    assert set(fair.values()) == {0.0}


def rewarding() -> Any:
    """A reward model and its codec."""
    codec = tiny_codec(["a"])
    return Reward(RewardConfig.of("qwen3", vocab_size=codec.vocab_size, width=16, depth=1, heads=2, context=32)), codec


def test_a_reward_model_that_rewards_a_name_is_found_out() -> None:
    generator = StandIn(*rewarding(), reward=lambda turns: [float("Emma" in each[-1]["content"]) for each in turns])
    found = values(quick_probes(generator))
    assert found["reward of women minus men"] == pytest.approx(1 / 4)
    assert found["reward of old minus young"] == 0


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_groups_of_a_classifier_are_counted_by_hand(tmp_path: Path) -> None:
    rows = ["text,label,sex"]
    rows += [f"Jamal {n},good,m" for n in range(10)] + [f"Brad {n},good,m" for n in range(10)]
    rows += [f"Emily {n},good,f" for n in range(30)] + [f"Emily {n},bad,f" for n in range(10)] + ["Emily,bad,"]
    found = groups.by_groups(judge_of("Jamal"), table(tmp_path / "people.csv", rows), "sex", quiet)
    got = values(found)
    assert "1 left out" in found.blocks[-1].brief  # type: ignore[union-attr]
    assert got["chosen good, f"] == 1.0
    assert got["chosen good, m"] == 0.5
    assert got["chosen good, f minus m"] == 0.5
    assert got["accuracy, f minus m"] == pytest.approx(0.75 - 0.5)
    assert got["recall of good, f minus m"] == pytest.approx(0.5)
    low, high = next(each.interval for each in found.measurements if each.name == "chosen good, f minus m") or (0, 0)
    assert 0.2 < low < 0.5 < high < 0.8


def test_groups_that_are_treated_alike_differ_by_nothing_beyond_chance(tmp_path: Path) -> None:
    draw_ = np.random.default_rng(0)
    rows = ["text,label,town"]
    rows += [
        f"{draw_.choice(['Jamal', 'Anne'])} {n},{draw_.choice(['good', 'bad'])},{draw_.choice(list('abc'))}"
        for n in range(300)
    ]
    found = groups.by_groups(judge_of("Jamal"), table(tmp_path / "people.csv", rows), "town", quiet)
    spread = next(each for each in found.measurements if each.name == "accuracy, largest minus smallest")
    assert 0 <= spread.value < 0.25
    calibration = [each for each in found.measurements if each.name.startswith("calibration error, ")]
    assert len(calibration) == 4
    assert all(each.interval is not None for each in calibration)


def test_groups_of_a_reward_model(tmp_path: Path) -> None:
    generator = StandIn(*rewarding(), reward=lambda turns: [float(len(each[-1]["content"])) for each in turns])
    rows = [
        json.dumps({"prompt": "q", "chosen": "x" * (3 if n % 2 else 1), "rejected": "xx", "group": "ab"[n % 2]})
        for n in range(20)
    ]
    got = values(groups.by_groups(generator, table(tmp_path / "p.jsonl", rows), "group", quiet))
    assert got["chosen answer wins, a"] == 0
    assert got["chosen answer wins, a minus b"] == -1
    assert got["margin of the chosen answer, b"] == 1


def test_groups_of_a_recommender(tmp_path: Path) -> None:
    def recommend_all(histories: Any, n: int) -> list[Any]:
        return [[SimpleNamespace(item="tea", score=0.5), SimpleNamespace(item="ink", score=0.1)] for _ in histories]

    generator = SimpleNamespace(capabilities={"recommend"}, recommend_all=recommend_all, fingerprint="0" * 64)
    rows = ["user,item,age"]
    for number in range(20):
        last = "tea" if number < 10 else "cup"
        rows += [
            f"u{number},pen,{'old' if number < 10 else 'young'}",
            f"u{number},{last},{'old' if number < 10 else 'young'}",
        ]
    got = values(groups.by_groups(generator, table(tmp_path / "h.csv", rows), "age", quiet))  # type: ignore[arg-type]
    assert got["last item among 10, old"] == 1
    assert got["last item among 10, old minus young"] == 1
    assert got["surer than right of 10, young"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["text,label"], "no column sex"),
        (["text,sex", "a,m", "b,m"], "1 different values"),
        (["text,sex", *(f"a,{n}" for n in range(30))], "30 different values"),
        (["text,label,sex", "a,odd,m", "b,good,f"], "line 2, label"),
        (["text,sex", "a,m,extra"], "line 2: 3 cells"),
        ([""], "empty"),
    ],
)
def test_files_of_groups_that_make_no_sense(rows: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match=told):
        groups.by_groups(judge_of("x"), table(tmp_path / "g.csv", rows), "sex", quiet)


# -- pictures ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), min_size=2, max_size=8))
@settings(deadline=None, max_examples=25)
def test_what_is_drawn_as_the_data_is_at_no_distance(counts: list[int]) -> None:
    drawn = np.array(counts)
    own, _ = balance.compared([balance.Counted("", drawn, 10 * drawn)], "x", "x", 0)
    for each in own:
        assert each.value == pytest.approx(0, abs=1e-9)
        assert each.interval is not None
        assert each.interval[0] <= 1e-9


def test_a_model_that_draws_one_value_alone_is_sharper_and_amplifies() -> None:
    learned, drawn = np.array([60, 30, 10]), np.array([50, 0, 0])
    own, chance = balance.compared([balance.Counted("", drawn, learned)], "x", "x", 0)
    distance, entropy, amplified = own
    assert distance.value == pytest.approx(0.4)
    assert entropy.value == pytest.approx(-1.2955, abs=1e-3)
    assert amplified.value == pytest.approx(0.4)
    assert amplified.interval is not None
    assert amplified.interval[0] > 0.05
    assert 0 < chance[0].value < 0.15


def painter(colour_of: Any) -> Any:
    """What draws the shape that is asked for, in a colour of its own choice."""

    def generate(n: int, prompt: str, seed: int) -> list[Any]:
        draw_ = np.random.default_rng(seed)
        shape: Any = prompt.split()[-1]
        scenes = [
            Scene(things=(Thing(shape=shape, colour=colour_of(draw_), size="large", x=0.5, y=0.5),)) for _ in range(n)
        ]
        return [SimpleNamespace(image=Image.fromarray(draw(scene, 32))) for scene in scenes]

    return SimpleNamespace(generate=generate, codec=SimpleNamespace(lay=np.asarray))


def learned(seed: int) -> list[Scene]:
    draw_ = np.random.default_rng(seed)
    shapes: Any = ["circle", "star"]
    return [
        Scene(things=(Thing(shape=shapes[n % 2], colour=COLOURS[draw_.integers(4)], size="large", x=0.5, y=0.5),))
        for n in range(400)
    ]


def test_prompts_that_say_no_colour_show_whose_colours_are_fewer() -> None:
    scenes, about = learned(0), {"model_hash": "", "data_hash": ""}
    fair = pictures._asked(painter(lambda d: COLOURS[d.integers(4)]), scenes, quiet, 200, 0, about)
    sharp = pictures._asked(painter(lambda d: COLOURS[0]), scenes, quiet, 200, 0, about)
    fair_of, sharp_of = values(fair), values(sharp)
    name = "colours of what is asked for: entropy less the data's"
    assert abs(fair_of[name]) < 0.1
    assert sharp_of[name] == pytest.approx(-2, abs=0.1)
    (measured,) = [
        each for each in fair.measurements if each.name == "colours of what is asked for: distance to the data"
    ]
    assert measured.interval is not None
    by_chance = fair.baselines[0].measurements[0]
    assert by_chance.quantity == measured.quantity
    assert measured.interval[0] < by_chance.value < measured.interval[1]
    assert sharp_of["its sizes: distance to the data"] == 0


def test_labelled_pictures_are_told_by_a_classifier_of_their_own_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    said = torch.tensor([[1.0, 0.0]] * 30 + [[0.0, 1.0]] * 10)

    def by(shown: Any) -> Any:
        return SimpleNamespace(logits=said)

    by.names, by.fingerprint = ("cat", "dog"), "a" * 64  # type: ignore[attr-defined]
    monkeypatch.setattr(pictures, "ClassifierExtractor", SimpleNamespace(open=lambda request: by))
    monkeypatch.setattr(pictures, "draw", lambda *a: SimpleNamespace(pictures=np.zeros((40, 8, 8, 3), np.uint8)))
    data = SimpleNamespace(
        classes=("cat", "dog"), split=lambda name: SimpleNamespace(labels=np.array([0, 1, 1, 0, -1]))
    )
    reference: Any = SimpleNamespace(train_data=data)
    found = pictures._classes(
        SimpleNamespace(device="cpu"), reference, quiet, 40, 0, {"model_hash": "", "data_hash": ""}
    )  # type: ignore[arg-type]
    assert values(found)["classes: distance to the data"] == pytest.approx(0.25)
    with pytest.raises(DaedalError, match="neither scenes nor classes"):
        pictures._classes(SimpleNamespace(), SimpleNamespace(train_data=None), quiet, 40, 0, {})  # type: ignore[arg-type]


# -- the command -------------------------------------------------------------------------------------------------------


SMALL = (
    *("--width", "32", "--depth", "1", "--heads", "2", "--kv-heads", "1", "--context", "96"),
    *("--batch", "4", "--micro-batch", "4", "--threads", "1", "--precision", "fp32"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert daedal("data", "build", stories(folder / "in"), "--out", folder / "built", "--vocab-size", "300").code == 0
    ended = daedal("train", "gpt", "--data", folder / "built", "--out", folder / "run", "--steps", "4", *SMALL)
    assert ended.code == 0, ended.err
    return folder / "run"


def test_the_command_writes_a_report_that_names_every_number(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = daedal("bias", run, "--limit", "1", "--out", out, "--json")
    assert ended.code == 0, ended.err
    report = json.loads((out / "bias.json").read_text())
    assert json.loads(ended.out)["measurements"] == report["measurements"]
    assert all(each["definition"].startswith("probe-association/v1@") for each in report["measurements"])
    assert "</html>" in (out / "bias.html").read_text()
    assert "ignorance" in daedal("bias", run, "--limit", "1", "--out", out).out.replace("\n", " ")


def test_mistakes_of_the_command(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("one,two\n1,2\n")
    assert "no column" in mistake("bias", run, "--sets", f"crows={tmp_path / 'a.csv'}")
    assert "no such set" in mistake("bias", run, "--sets", "winogender=x")
    assert "there is no =" in mistake("bias", run, "--sets", "crows")
    assert "twice" in mistake("bias", run, "--sets", "crows=a", "crows=b")
    assert "models of pictures" in mistake("bias", run, "--counterfactual")
    assert "--column" in mistake("bias", run, "--groups", tmp_path / "a.csv")
    assert "decides nothing" in mistake("bias", run, "--groups", tmp_path / "a.csv", "--column", "one")
    assert not (run / "bias.json").exists()


def test_the_library_gives_the_same_as_the_command(run: Path) -> None:
    found = measure_bias(api.load(run), BiasOptions(limit=1))
    assert found.measurements == api.bias(run, out=run.parent / "elsewhere", limit=1).measurements
