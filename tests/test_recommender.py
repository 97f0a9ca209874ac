"""The recommender: what it learns of histories and what is held out, what it recommends, and how it is measured."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.alignment.dpo import dpo
from daedal.alignment.slate_learner import slates_of
from daedal.alignment.slates import slate_losses
from daedal.codecs.items import END, UNKNOWN, ItemCodec
from daedal.codecs.text import TextCodec
from daedal.data.examples import ExampleDataset
from daedal.data.next_items import held, items_of, learned
from daedal.errors import DaedalError
from daedal.evaluation.examples.recommending import found_of
from daedal.evaluation.kinds.histories import Cases
from daedal.evaluation.measures.popularity import Popularities
from daedal.evaluation.measures.ranks import discounted, places_among
from daedal.evaluation.predictors.item_counts import Popularity, Successors
from daedal.evaluation.predictors.item_neighbours import ItemNeighbours
from daedal.evaluation.predictors.matrix_factors import MatrixFactors
from daedal.inference.generator import Generator
from daedal.models.checkpoint import save_model
from daedal.models.model import IGNORE, Moment
from daedal.models.recommender import ItemBatch, Recommender, RecommenderConfig
from daedal.models.sequences import Sequences, TargetBatch
from daedal.nn.noise import Noise
from daedal.serving.batch_commands import BatchDesk
from daedal.serving.commands import Refused
from daedal.serving.schema.recommendations import RecommendationRequest
from daedal.serving.supervisor import makes
from daedal.training.histories import HeldRows, HistoryRows, seen
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import logged, same, stop_at
from tiny_models import tiny_gpt

torch.set_num_threads(1)
FILMS = [f"Film {number}, The ({1980 + number})" for number in range(24)]
QUICK = {"steps": 150, "threads": 1, "precision": "fp32", "width": 32, "context": 8, "evaluate_every": 50}


def ratings(folder: Path, people: int = 60, length: int = 9, step: int = 5) -> Path:
    """What follows a film is nearly always the same: five further on."""
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(people):
        film = user * 7 % len(FILMS)
        for place in range(length):
            lines.append(f"u{user},{film},{1 + (user + place) % 5},{10**9 + user * 100 + place}")
            film = (film + (step if (user + place) % 8 else 1)) % len(FILMS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    (folder / "movies.csv").write_text(
        "\n".join(["movieId,title,genres", *(f'{at},"{name}",Drama' for at, name in enumerate(FILMS))]) + "\n"
    )
    return folder


def build(source: Path, out: Path, **options: Any) -> ExampleDataset:
    data = daedal.build_data([source], out, workers=1, **options)
    assert isinstance(data, ExampleDataset)
    return data


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    build(ratings(folder / "in"), folder / "data")
    return folder / "data"


@pytest.fixture(scope="session")
def run(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recommender") / "rec"
    daedal.train("recommender", data=films, out=out, **QUICK)
    return out


def toy(**values: Any) -> Recommender:
    shape = {"vocab_size": 12, "width": 16, "depth": 2, "heads": 2, "mlp_width": 32, "context": 6, **values}
    model = Recommender(RecommenderConfig.of("swift", **shape))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return model.eval()


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_the_last_item_of_a_long_history_is_to_measure_by_and_the_one_before_to_validate_by() -> None:
    stored = np.array([4, 5, 6, 7, 8, END])
    items = items_of(stored)
    assert learned(items, 2).tolist() == [4, 5, 6]
    assert learned(items, 0).tolist() == [4, 5, 6, 7, 8]
    before, target = held(items, 1) or ((), 0)
    assert (list(before), target) == ([4, 5, 6, 7], 8)
    before, target = held(items, 2) or ((), 0)
    assert (list(before), target) == ([4, 5, 6], 7)


def test_a_short_history_is_learned_whole_and_nothing_of_it_is_held_out() -> None:
    assert learned(np.array([4, 5, 6, 7]), 2).tolist() == [4, 5, 6, 7]
    assert held(np.array([4, 5, 6, 7]), 1) is None


def test_training_never_sees_what_is_held_out(films: Path) -> None:
    from daedal.training.learner import open_learner

    learner: Any = open_learner("recommender", films)
    plan = learner.plans.parse(
        learner.make_plan(None, measured(), {"steps": 1, "width": 32, "context": 8}).model_dump(), "plan"
    )
    task = learner.task(plan)
    histories = [items_of(row).tolist() for row in learner.dataset.split("train").ragged("items")]
    rows = [row.tolist() for row in task.train._rows]
    assert rows == [[END, *history[:-2]] for history in histories]


def measured() -> Any:
    from daedal.training.machine import measure_machine

    return measure_machine("cpu", 1, "fp32")


def test_every_place_of_a_history_is_told_what_follows() -> None:
    rows = HistoryRows([np.array([3, 4, 5]), np.array([6, 7])], 12, context=6)
    batch = rows.batch(np.array([0, 1]), Noise(0, 0, 2))
    assert batch.sequences.ids.tolist() == [END, 6, END, 3, 4]
    assert batch.targets.tolist() == [6, 7, 3, 4, 5]


def test_a_long_history_is_seen_in_windows_that_reach_both_its_ends() -> None:
    history = np.arange(2, 32)
    rows = HistoryRows([history], 40, context=6)
    assert len(rows) == 5
    learned_items: set[int] = set()
    for visit in range(40):
        batch = rows.batch(np.arange(5), Noise(0, 5 * visit, 5))
        assert set(batch.sequences.packing.lengths) == {6}
        assert (batch.targets[1:6] - batch.targets[:5]).tolist() == [1] * 5
        learned_items |= set(batch.targets.tolist())
    assert learned_items == set(history.tolist())


def test_an_item_that_the_model_does_not_know_is_never_to_be_told() -> None:
    batch = HistoryRows([np.array([3, UNKNOWN, 5])], 12, context=6).batch(np.array([0]), Noise(0, 0, 1))
    assert batch.targets.tolist() == [3, IGNORE, 5]


def test_hidden_items_are_read_as_unknown_and_still_told() -> None:
    batch = HistoryRows([np.arange(2, 8)], 12, 8, item_dropout=0.5).batch(np.array([0]), Noise(1, 0, 1))
    assert batch.sequences.ids[0] == END
    assert 0 < int((batch.sequences.ids == UNKNOWN).sum()) < 5
    assert batch.targets.tolist() == [2, 3, 4, 5, 6, 7]


def test_the_loss_of_histories_together_is_that_of_each_alone() -> None:
    model = toy()
    histories = [[END, 3, 4, 5], [END, 7], [END, 2, 9, 2, 3, 4]]
    targets = [torch.tensor([3, 4, 5, 6]), torch.tensor([7, 8]), torch.tensor([2, 9, 2, 3, 4, 5])]
    whole = model.loss(TargetBatch(Sequences.of(histories), torch.cat(targets))).total
    alone = [
        model.loss(TargetBatch(Sequences.of([one]), known)).total for one, known in zip(histories, targets, strict=True)
    ]
    assert float(whole.detach()) == pytest.approx(float(sum(alone).detach()), rel=1e-5)  # type: ignore[union-attr]


def test_a_softmax_over_all_items_drawn_once_at_equal_rates_is_the_softmax() -> None:
    model = toy()
    sequences, targets = Sequences.of([[END, 3, 4], [END, 7]]), torch.tensor([3, 4, 5, 7, 8])
    rates = torch.full((12,), -2.0)
    drawn = model.loss(ItemBatch(sequences, targets, torch.arange(12), rates)).total
    whole = model.loss(TargetBatch(sequences, targets)).total
    assert float(drawn.detach()) == pytest.approx(float(whole.detach()), rel=1e-5)


def test_items_are_drawn_as_often_as_they_are_taken_and_estimate_the_whole_softmax() -> None:
    model = toy(context=16)
    rows = HistoryRows([np.array([2, 3, 4, 4, 4, 5, 6, 7, 8, 9, 10, 11])], 12, 16, drawn=60_000)
    batch = rows.batch(np.array([0]), Noise(0, 0, 1))
    assert batch.drawn is not None
    assert batch.rates is not None
    shares = torch.bincount(batch.drawn, minlength=12)[END + 1 :] / len(batch.drawn)
    assert shares.log().tolist() == pytest.approx(batch.rates[END + 1 :].tolist(), abs=0.05)
    with torch.no_grad():
        logits = model.head(model.states(batch.sequences))
    drawn = (logits[:, batch.drawn] - batch.rates[batch.drawn]).logsumexp(1) - np.log(len(batch.drawn))
    assert drawn.tolist() == pytest.approx(logits[:, END + 1 :].logsumexp(1).tolist(), abs=0.02)


def test_batches_that_are_accumulated_sum_to_one() -> None:
    model, rows = toy(), HistoryRows([np.arange(2, 9), np.arange(4, 8)], 12, 6)
    whole = rows.batch(np.array([0, 1]), Noise(0, 0, 2))
    total = model.loss(whole.at(Moment(whole.count))).total
    parts = [rows.batch(np.array([at]), Noise(0, at, 1)).at(Moment(whole.count)) for at in (0, 1)]
    summed = sum(float(model.loss(part).total.detach()) for part in parts)
    assert float(total.detach()) == pytest.approx(summed, rel=1e-5)


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**QUICK, "steps": 8, "negatives": 4, "item_dropout": 0.1, "dropout": 0.1, "checkpoint_every": 3}
    daedal.train("recommender", data=films, out=tmp_path / "whole", **asked)
    train = Trainer.train

    def stopped(self: Trainer) -> None:
        stop_at(self, 5)
        train(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train", stopped)
        with pytest.raises(Interrupted):
            daedal.train("recommender", data=films, out=tmp_path / "stopped", **asked)
    daedal.resume(tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")


def test_what_is_validated_is_the_place_among_all_that_a_person_did_not_have() -> None:
    model = toy()
    held_rows = HeldRows([(np.array([3, 4]), 5), (np.array([6]), 3)], context=6)
    batch = held_rows.batch(np.array([0, 1]), Noise(0, 0, 2))
    with torch.no_grad():
        logits = model.next_items(batch.sequences)
    assert batch.had is not None
    assert batch.had.tolist() == [[0, 1, 1], [6, 3, 4]]  # the shorter first
    assert logits.shape == (2, 12)
    assert bool(torch.isinf(logits[:, : END + 1]).all())


def test_training_goes_on_from_a_run_and_knows_its_items(run: Path, tmp_path: Path) -> None:
    build(ratings(tmp_path / "in", people=30, length=7), tmp_path / "data")
    daedal.train("recommender", data=tmp_path / "data", init=run, out=tmp_path / "on", steps=4, threads=1)
    one, other = ItemCodec.load(run), ItemCodec.load(tmp_path / "on")
    assert one.names == other.names
    with pytest.raises(DaedalError, match="has width 32"):
        daedal.train("recommender", data=tmp_path / "data", init=run, out=tmp_path / "no", steps=4, width=64)


def test_a_model_that_knows_none_of_the_items_is_no_beginning(run: Path, tmp_path: Path) -> None:
    text = "\n".join(["user,item,timestamp", *(f"u{n},other {n % 7},{n}" for n in range(200))])
    (tmp_path / "others.csv").write_text(text + "\n")
    build(tmp_path / "others.csv", tmp_path / "data", kind="histories", min_items=1)
    with pytest.raises(DaedalError, match="knows none of the items"):
        daedal.make_plan("recommender", tmp_path / "data", init=str(run), steps=4)


# -- what is recommended -----------------------------------------------------------------------------------------------


def test_it_learns_what_follows(run: Path) -> None:
    assert logged(run, "validation_ndcg_at_10")[-1] > 0.5
    found = daedal.load(run).recommend([FILMS[0], FILMS[5], FILMS[10]], n=3)
    assert FILMS[15] in [each.item for each in found]
    assert [each.rank for each in found] == [1, 2, 3]
    assert found[0].score >= found[1].score >= found[2].score > 0


def test_what_somebody_had_is_recommended_only_again(run: Path) -> None:
    model = daedal.load(run)
    assert not {each.item for each in model.recommend(FILMS[:20], n=24)} & set(FILMS[:20])
    assert len(model.recommend(FILMS[:20], n=24)) == 4
    assert len(model.recommend(FILMS[:20], n=24, again=True)) == 24
    assert FILMS[21] not in {each.item for each in model.recommend(FILMS[:20], n=24, exclude=[FILMS[21]])}


def test_many_at_once_are_each_alone(run: Path) -> None:
    model = daedal.load(run)
    histories: list[Sequence[str]] = [FILMS[at : at + 1 + at % 9] for at in range(12)]
    together = model.recommend_all(histories, n=5)
    for history, found in zip(histories, together, strict=True):
        alone = model.recommend_all([history], n=5)[0]
        assert [each.item for each in alone] == [each.item for each in found]
        assert [each.score for each in alone] == pytest.approx([each.score for each in found], rel=1e-4)


def test_titles_may_be_written_in_any_letters_and_without_their_year_and_article(run: Path) -> None:
    model = daedal.load(run)
    assert model.named(["film 3", "The Film 4", "FILM 5, THE (1985)"]) == FILMS[3:6]


def test_a_title_that_is_none_is_told_with_those_that_are_near(run: Path) -> None:
    with pytest.raises(DaedalError, match=r"There is no item 'Fim 3'\. Did you mean 'Film 3, The \(1983\)'"):
        daedal.load(run).recommend(["Fim 3"])


def test_two_items_of_a_title_are_told() -> None:
    names = ["Psycho (1960)", "Psycho (1998)", "Alien (1979)", *(f"x{n}" for n in range(7))]
    model = Generator(toy(), ItemCodec(names))
    with pytest.raises(DaedalError, match=r"2 items are called 'psycho'. Name one of them: 'Psycho \(1960\)'"):
        model.recommend(["psycho"])
    assert model.named(["alien"]) == ["Alien (1979)"]


def test_somebody_new_is_recommended_something_too(run: Path) -> None:
    assert len(daedal.load(run).recommend([], n=5)) == 5


def test_a_user_of_the_data_is_known_by_name_and_nobody_is_kept_in_the_run(run: Path) -> None:
    model = daedal.load(run)
    history = model.history_of("u3")
    assert len(history) == 9
    assert model.recommend(user="u3", n=4) == model.recommend(history, n=4)
    kept = [path for path in run.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl", ".md", ".html")]
    assert not any('"u3"' in path.read_text(errors="replace") for path in kept)


def test_the_command_recommends(run: Path) -> None:
    assert len(command("recommend", run, "--user", "u3", "-n", "3").out.splitlines()) == 3
    told = json.loads(command("recommend", run, "--liked", "film 3", "--liked", FILMS[8], "-n", "2", "--json").out)
    assert [each["rank"] for each in told] == [1, 2]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--user", "nobody"), "There is no user 'nobody' in the data"),
        (("--liked", "Nothing like it"), "There is no item 'Nothing like it'"),
        ((), "Whom to recommend to is not said, or twice"),
        (("--user", "u3", "--liked", "Film 3"), "Whom to recommend to is not said, or twice"),
        (("--user", "u3", "-n", "0"), "0 items cannot be recommended"),
        (("--liked", "Film 3", "--data", "x"), "--data is that of a --user"),
    ],
)
def test_a_mistake_is_told_in_a_line(run: Path, asked: tuple[str, ...], says: str) -> None:
    assert says in mistake("recommend", run, *asked)


def test_where_nothing_is_left_that_is_said(run: Path) -> None:
    ended = command("recommend", run, "--user", "u3", *(part for film in FILMS for part in ("--exclude", film)))
    assert ended.code == 0
    assert ended.err == "Nothing is left to recommend.\n"


def test_a_model_of_another_family_is_no_beginning(run: Path, films: Path, tmp_path: Path) -> None:
    other = tmp_path / "gpt"
    save_model(tiny_gpt(TextCodec.train("byte", []), context=16, width=32), other, codec=TextCodec.train("byte", []))
    asked = ("train", "recommender", "--data", films, "--steps", "1", "--out", tmp_path / "run", "--init", other)
    assert "is a gpt, not a recommender" in mistake(*asked)


def test_a_model_of_something_else_recommends_nothing(run: Path) -> None:
    with pytest.raises(DaedalError, match="cannot write"):
        daedal.load(run).generate("x")


# -- what people rated -------------------------------------------------------------------------------------------------


def test_a_slate_of_one_is_dpo_and_of_two_is_worked_out_by_hand() -> None:
    liked, others = torch.tensor([0.5]), torch.tensor([[0.1, -0.3]])
    one = slate_losses(liked, others, torch.tensor([[True, False]]), beta=2.0)
    pair = dpo(liked, others[:, 0], beta=2.0).losses
    assert float(one) == pytest.approx(float(pair)) == pytest.approx(np.log(1 + np.exp(-0.8)))
    two = slate_losses(liked, others, torch.tensor([[True, True]]), beta=2.0)
    assert float(two) == pytest.approx(np.log(1 + np.exp(-0.8) + np.exp(-1.6)))


def test_slates_are_what_was_liked_above_what_the_same_person_liked_less_and_had_later() -> None:
    items = np.array([2, 3, 4, 5, 6])
    found = slates_of(items, [1.0, 5.0, 4.0, 1.0, None])
    assert [(each.history.tolist(), each.liked, each.others.tolist()) for each in found] == [
        ([2], 3, [5]),
        ([2, 3], 4, [5]),
    ]
    assert slates_of(items, [4.0] * 5) == []
    assert slates_of(items, [float("nan")] * 5) == []
    assert slates_of(np.array([2, UNKNOWN, 4]), [3.0, 5.0, 1.0]) == []


def test_a_recommender_is_aligned_with_ratings(films: Path, run: Path, tmp_path: Path) -> None:
    daedal.train("dpo", data=films, init=str(run), out=tmp_path / "tuned", steps=30, threads=1)
    losses = logged(tmp_path / "tuned", "loss")
    assert losses[0] == pytest.approx(
        np.log(2), rel=0.7
    )  # it begins as the reference, of which no item is above another
    assert losses[-1] < losses[0]
    assert [each.item for each in daedal.load(tmp_path / "tuned").recommend(FILMS[:2], n=2)]
    assert "There is no recommender to align" in mistake("align", "dpo", "--data", films, "--out", tmp_path / "x")


# -- what is served ----------------------------------------------------------------------------------------------------


def served(generator: Generator, **asked: Any) -> dict[str, Any]:
    """What comes of a command beside another one."""
    desk, events = BatchDesk(generator), list[dict[str, Any]]()
    usual = {"op": "recommend", "owner": "me", "history": [], "user": None, "n": 2, "again": False, "exclude": []}
    for id, one in ((1, {**usual, **asked}), (2, {**usual, "history": FILMS[:3], "n": 4})):
        desk.begin(desk.prepare({"id": id, **one}))
    while desk.busy:
        events += desk.step()
    return next(event for event in events if event["id"] == 1)


def test_a_server_recommends_as_the_library_does(run: Path) -> None:
    model = daedal.load(run)
    for asked in (
        {"history": FILMS[:4]},
        {"history": FILMS[:4], "again": True},
        {"exclude": FILMS[:20]},
        {"user": "u3"},
    ):
        known: dict[str, Any] = {"history": [], "n": 2, **asked}
        if "user" in known:
            known["history"] = None
        alone = model.recommend(**known)
        found = served(model, **known)["found"]
        assert [each["item"] for each in found] == [each.item for each in alone]
        assert [each["score"] for each in found] == pytest.approx([each.score for each in alone], rel=1e-4)


def test_a_server_says_what_a_recommender_can(run: Path) -> None:
    info = BatchDesk(daedal.load(run)).info
    assert info["can"] == ["recommend"]
    assert makes(str(run)) == "readings"


@pytest.mark.parametrize(
    ("asked", "param", "says"),
    [
        ({"history": ["nothing like it"]}, "history", "There is no item"),
        ({"history": None, "user": "nobody"}, "user", "There is no user"),
        ({"exclude": ["nothing like it"]}, "exclude", "There is no item"),
    ],
)
def test_a_server_refuses_what_it_does_not_know(run: Path, asked: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        served(daedal.load(run), **asked)
    assert refused.value.param == param
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body", [{}, {"history": [], "user": "x"}, {"liked": []}, {"history": [""]}, {"user": ""}, {"history": [], "n": 0}]
)
def test_a_request_names_one_person(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecommendationRequest.model_validate({"model": "m", **body})


# -- bad data ----------------------------------------------------------------------------------------------------------


def test_people_with_one_item_are_left_out_and_told(tmp_path: Path) -> None:
    folder = ratings(tmp_path / "in")
    with (folder / "ratings.csv").open("a") as file:
        file.write("lonely,3,5,1\nlost,4,nan,2\nlost,5,nan,3\n")
    data = build(folder, tmp_path / "data")
    assert any("1 histories of fewer than 2 items" in note for note in data.manifest.notes)
    by_user = dict(zip(data.split("train").values("user"), data.split("train").values("ratings"), strict=True))
    assert "lonely" not in by_user
    assert by_user["lost"] in (None, [None, None])  # NaN is no rating


def test_data_with_one_item_each_hold_nothing_to_learn(tmp_path: Path) -> None:
    text = "\n".join(["user,item,timestamp", *(f"u{n},item {n % 7},{n}" for n in range(100))])
    (tmp_path / "one.csv").write_text(text + "\n")
    build(tmp_path / "one.csv", tmp_path / "data", kind="histories", min_items=1)
    with pytest.raises(DaedalError, match="The validation split has 0 histories"):
        daedal.make_plan("recommender", tmp_path / "data", steps=4)


def test_other_data_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The fox went to the river. " * 200)
    daedal.build_data([tmp_path / "a.txt"], tmp_path / "data")
    with pytest.raises(DaedalError, match="A recommender learns histories"):
        daedal.make_plan("recommender", tmp_path / "data", steps=4)
    assert "holds text, not histories" in mistake("recommend", run, "--user", "u3", "--data", tmp_path / "data")


# -- how it is measured ------------------------------------------------------------------------------------------------


def test_places_are_among_all_that_was_not_had() -> None:
    scores = np.array([[-np.inf, -np.inf, 0.9, 0.8, 0.5, 0.5, 0.1], [-np.inf, -np.inf, 0.1, 0.2, 0.3, 0.4, 0.5]])
    places, best = places_among(scores, [np.array([2]), np.array([5, 6])], [4, UNKNOWN], 3)
    assert places.tolist() == [3.0, np.inf]  # behind 0.8 and behind the other of 0.5; no item is not ranked
    assert best[0, 0] == 3
    assert best[1].tolist() == [4, 3, 2]
    assert discounted(places, 10).tolist() == [0.5, 0.0]
    assert discounted(np.array([1.0, 10.0, 11.0]), 10).tolist() == pytest.approx([1.0, 1 / np.log2(11), 0.0])


def test_where_there_are_fewer_items_than_places_all_are_ranked() -> None:
    places, best = places_among(np.array([[-np.inf, -np.inf, 0.9, 0.8]]), [np.array([], dtype=np.int64)], [3], 10)
    assert places.tolist() == [2.0]
    assert best.tolist()[0][:2] == [2, 3]


def test_popularity_is_lifted_by_what_is_recommended_beyond_what_is_taken() -> None:
    told = Popularities(np.array([0, 0, 8.0, 4.0, 2.0, 1.0]))
    assert told.percentile.tolist() == pytest.approx([0, 0, 1, 2 / 3, 1 / 3, 0])
    lift = told.lift(np.array([[2, 3], [5, 4]]), [np.array([5]), np.array([5, 4])])
    assert lift.tolist() == pytest.approx([5 / 6, 0.0])
    away = told.miscalibration(np.array([[2, 2], [5, 4]]), [np.array([2, 2, 2]), np.array([2])])
    assert away[0] == pytest.approx(0, abs=1e-9)
    assert away[1] == pytest.approx(np.log(100))


HISTORIES = [np.array(each) for each in ([2, 3, 4], [2, 3, 5], [3, 2], [6, 7])]


def test_counts_are_of_items_and_of_what_follows() -> None:
    assert Popularity.fit(HISTORIES, 8).scores([np.array([2])])[0].tolist() == [0, 0, 3, 3, 1, 1, 1, 1]
    after = Successors.fit(HISTORIES, 8).scores([np.array([2, 3])])[0]
    # after 3 once 4, 5 and 2 each; after 2, one back, 3 twice at a half; and the shares of all
    assert after.tolist() == pytest.approx([0, 0, 1.3, 1.3, 1.1, 1.1, 0.1, 0.1])


def test_neighbours_are_by_cosine_shrunk() -> None:
    near = ItemNeighbours.fit(HISTORIES, 8, neighbours=10, shrink=1.0).similar.toarray()
    assert near[2, 3] == near[3, 2] == pytest.approx(3 / (3 + 1))
    assert near[2, 4] == pytest.approx(1 / (np.sqrt(3) + 1))
    assert near[6, 7] == pytest.approx(1 / 2)
    assert near[2, 2] == near[2, 6] == 0
    nearest = ItemNeighbours.fit(HISTORIES, 8, neighbours=1, shrink=1.0).similar.toarray()
    assert np.count_nonzero(nearest[:, 4]) == 1  # of each item that may follow its own nearest


def test_factors_solve_their_least_squares() -> None:
    found = MatrixFactors.fit(HISTORIES, 8, factors=3, alpha=0.2, reg=0.01, rounds=30)
    history = np.array([2, 3])
    scores = found.scores([history])[0]
    target, weight = np.zeros(8), np.full(8, 0.2)
    target[history], weight[history] = 1 / 1.2, 1.2  # 1 of weight 1, and 0 of weight alpha
    decay = 0.01 * (2 + 0.2 * 8)
    items = found.items
    person = np.linalg.solve((items * weight[:, None]).T @ items + decay * np.eye(3), items.T @ (weight * target))
    assert scores.tolist() == pytest.approx((items @ person).tolist(), abs=1e-9)
    assert scores[4] > scores[7]


def test_cases_are_drawn_by_the_seed() -> None:
    cases = Cases([np.array([2])] * 20, list(range(20)), "data")
    assert cases.some(5, 1).targets == cases.some(5, 1).targets != cases.some(5, 2).targets
    assert cases.some(50, 1) is cases
    asked = lambda histories: np.tile(np.array([-np.inf, -np.inf, 0.5, 0.4, *[0.1] * 18]), (len(histories), 1))  # noqa: E731
    assert found_of(asked, Cases([np.array([2])], [3], "data")).places.tolist() == [1.0]


def test_it_is_measured_beside_simple_predictors_by_time_and_by_people(run: Path) -> None:
    report = json.loads((run / "evaluation.json").read_text())
    own = {each["definition"].split("/")[0]: each for each in report["measurements"]}
    assert own["ndcg-at-10"]["value"] > 0.5
    assert own["ndcg-at-10"]["n"] == 54
    assert own["ndcg-at-10"]["interval"][0] <= own["ndcg-at-10"]["value"] <= own["ndcg-at-10"]["interval"][1]
    assert own["ndcg-at-10-of-new-people"]["n"] == 3
    assert own["coverage-at-10"]["value"] <= 1
    assert {each["name"] for each in report["baselines"]} == {"popularity", "Markov chain", "item-kNN", "iALS"}
    assert all("among=all-not-had" in each["definition"] for each in own.values())
    card = (run / "README.md").read_text()
    assert "recommender" in card
    assert "did not learn the last two items" in card


def test_where_nothing_was_held_out_only_new_people_are_measured(films: Path, tmp_path: Path) -> None:
    daedal.train("recommender", data=films, out=tmp_path / "all", left_out=0, **{**QUICK, "steps": 4})
    report = json.loads((tmp_path / "all" / "evaluation.json").read_text())
    assert {each["n"] for each in report["measurements"]} == {3}
    assert RunFolder(tmp_path / "all").plan.left_out == 0  # type: ignore[attr-defined]


def test_it_is_measured_on_other_histories_too(run: Path, tmp_path: Path) -> None:
    report = daedal.evaluate(run, ratings(tmp_path / "in", people=12))
    assert {each.definition.split("/")[0] for each in report.measurements} >= {"ndcg-at-10-of-new-people"}


def test_what_a_model_reads_of_a_history_is_its_end() -> None:
    assert seen(np.array([3, 4]), 6).tolist() == [END, 3, 4]
    assert seen(np.arange(2, 12), 6).tolist() == [6, 7, 8, 9, 10, 11]
