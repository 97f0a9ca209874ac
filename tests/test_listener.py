"""A listener learns what is said of recordings, tells it of others, and is measured."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal.codecs.sound import SoundCodec
from daedal.data.columns import Signal
from daedal.errors import DaedalError
from daedal.evaluation.examples.transcripts import error_rates
from daedal.evaluation.measures.edit_distance import edit_distance
from daedal.inference.generator import Generator
from daedal.inference.sound import Sound
from daedal.models.listener import ListenBatch, Listener, ListenerConfig, collapsed
from daedal.models.model import Moment
from kind_examples import sounds, tone, wav

torch.set_num_threads(1)
CONFIG = ListenerConfig(
    rate=8000, fft=512, hop=128, bands=64, width=32, depth=2, channels=8, labels=("high", "low"), speakers=("ada", "bob"),
    characters=(" ", "e", "n", "o"),
)  # fmt: skip
SMALL = {"width": 32, "depth": 1, "channels": 8, "batch": 16, "seed": 1}


def listener() -> Listener:
    model = Listener(CONFIG)
    model.initialise(torch.Generator().manual_seed(0))
    return model.eval()


def batch(count: int = 4) -> ListenBatch:
    generator = torch.Generator().manual_seed(1)
    counts = torch.tensor([20, 33, 7, 40, 12, 25, 31, 9][:count])
    frames = torch.randn(count, 40, 64, generator=generator)
    lengths = torch.tensor([3, 0, 2, 4, 1, 3, 0, 2][:count])
    characters = torch.randint(4, (int(lengths.sum()),), generator=generator)
    labels = torch.tensor([0, 1, -1, 1, 0, 0, 1, -1][:count])
    return ListenBatch(frames, counts, labels, labels.flip(0), characters, lengths)


def part(whole: ListenBatch, first: int, last: int) -> ListenBatch:
    begin, end = int(whole.lengths[:first].sum()), int(whole.lengths[:last].sum())
    most = int(whole.counts[first:last].max())
    return ListenBatch(
        whole.frames[first:last, :most], whole.counts[first:last], whole.labels[first:last], whole.speakers[first:last],
        whole.characters[begin:end], whole.lengths[first:last],
    )  # fmt: skip


# -- the model ---------------------------------------------------------------------------------------------------------


def test_a_recording_is_heard_alone_as_beside_longer_ones_and_whatever_stands_behind_it() -> None:
    model, given = listener(), batch()
    given.frames[0, 20:] = 1e3
    together = model(given.frames, given.counts)
    alone = model(given.frames[:1, :20], given.counts[:1])
    assert torch.allclose(together.labels[0], alone.labels[0], atol=1e-4)
    assert torch.allclose(together.speakers[0], alone.speakers[0], atol=1e-4)
    assert torch.allclose(together.characters[0, :10], alone.characters[0], atol=1e-4)
    assert together.moments.tolist() == [10, 17, 4, 20]


def test_how_loud_a_recording_is_changes_nothing() -> None:
    model, given = listener(), batch()
    assert torch.allclose(
        model(given.frames, given.counts).labels, model(given.frames + 2.0, given.counts).labels, atol=1e-4
    )


def test_parts_of_a_batch_add_up_to_it() -> None:
    model, whole = listener(), batch(8).at(Moment(8.0))
    losses = [model.loss(part(whole, first, first + 4).at(Moment(8.0))) for first in (0, 4)]
    together = model.loss(whole)
    assert torch.allclose(sum(each.total for each in losses), together.total, rtol=1e-4)
    for name, value in together.parts.items():
        assert torch.allclose(sum(each.parts[name] for each in losses), value, rtol=1e-4)


def test_what_is_not_known_of_a_recording_is_not_learned() -> None:
    model, given = listener(), batch()
    none = ListenBatch(
        given.frames,
        given.counts,
        torch.full((4,), -1),
        torch.full((4,), -1),
        given.characters[:0],
        torch.zeros(4).long(),
    )
    assert model.loss(none).total.item() == 0.0


def test_repeats_and_blanks_are_no_text() -> None:
    assert collapsed([4, 1, 1, 4, 1, 0, 4, 0, 3, 2, 2, 4], (" ", "e", "n", "o")) == "ee on"
    assert collapsed([], ("a",)) == ""


def test_nothing_to_tell_apart_is_refused() -> None:
    with pytest.raises(DaedalError, match="nothing to tell apart"):
        CONFIG.but(labels=("one",), speakers=(), characters=())


# -- edits -------------------------------------------------------------------------------------------------------------

LETTERS = st.text("abc", max_size=8)


def test_edits_are_levenshteins() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("intention", "execution") == 5
    assert edit_distance(["the", "cat", "sat"], ["the", "cat", "on", "the", "mat"]) == 3


@given(LETTERS, LETTERS, LETTERS)
@settings(max_examples=60)
def test_edits_are_a_distance(one: str, two: str, three: str) -> None:
    assert edit_distance(one, two) == edit_distance(two, one)
    assert (edit_distance(one, two) == 0) == (one == two)
    assert edit_distance(one, three) <= edit_distance(one, two) + edit_distance(two, three)
    assert abs(len(one) - len(two)) <= edit_distance(one, two) <= max(len(one), len(two))


def test_error_rates_are_edits_a_word_and_a_character_that_was_said() -> None:
    found = error_rates(["the cat", "on a mat"], ["the cat sat", "on a mat"])
    assert found["word"]["value"] == pytest.approx(1 / 6)
    assert found["character"]["value"] == pytest.approx(4 / 19)
    assert error_rates(["a b c"], ["a"])["word"]["value"] == 2


# -- from recordings to a run -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A listener that has learned tones: their class, who plays them, and what is said of them."""
    folder = tmp_path_factory.mktemp("listener")
    (folder / "in").mkdir()
    daedal.build_data([sounds(folder / "in")], folder / "data", workers=1, split=(60, 20, 20))
    daedal.train("listener", data=folder / "data", out=folder / "run", steps=90, learning_rate=4e-3, **SMALL)
    return folder / "run"


def test_it_learns_and_is_measured_beside_what_is_simpler(run: Path) -> None:
    report = daedal.evaluate(run, split="test")
    values = {each.name: each.value for each in report.measurements}
    assert values["accuracy"] > 0.7
    assert {"speaker accuracy", "word error rate", "character error rate", "transcripts right"} <= values.keys()
    assert {each.name for each in report.baselines} == {"majority", "nearest centroid", "usual transcript"}
    assert "which classes are mistaken for which" in (run / "report.html").read_text().lower()
    assert "automatic-speech-recognition" in (run / "README.md").read_text()


def test_it_transcribes_files_bytes_and_samples_alike(run: Path, tmp_path: Path) -> None:
    ears = Generator.open(run)
    path = wav(tmp_path / "a.wav", tone(610, 0.12))
    samples = tone(610, 0.12)[:, None]
    found = ears.transcribe([path, path.read_bytes(), Signal(samples, 8000.0), Sound(samples[:, 0] / 32768, 8000)])
    assert len({(each.text, each.label, each.words) for each in found}) == 1
    for each in found:  # whose products round differently by their place in the batch on some machines
        assert each.probabilities == pytest.approx(found[0].probabilities, rel=1e-5)
        assert each.speakers == pytest.approx(found[0].speakers, rel=1e-5)
    assert sum(found[0].probabilities.values()) == pytest.approx(1)
    assert found[0].seconds == pytest.approx(0.12, abs=1e-3)
    assert " ".join(word.text for word in found[0].words) == found[0].text
    assert all(0 <= word.start < word.end <= 0.12 for word in found[0].words)
    assert ears.embed_sounds(path).shape == (1, 64)


def test_a_recording_of_another_rate_is_heard_about_the_same(run: Path) -> None:
    ears = Generator.open(run)
    same, other = ears.transcribe([Signal(tone(610, 0.12, rate)[:, None], float(rate)) for rate in (8000, 44100)])
    assert same.label == other.label
    assert same.probabilities[same.label] == pytest.approx(other.probabilities[same.label], abs=0.1)


def test_the_command_tells_it(run: Path, tmp_path: Path) -> None:
    paths = [wav(tmp_path / f"{pitch}.flac", tone(pitch, 0.12)) for pitch in (310, 1210)]
    shown = command("transcribe", run, *paths)
    assert shown.code == 0
    assert [line.partition(":")[0] for line in shown.out.splitlines()] == ["310.flac", "1210.flac"]
    told = json.loads(command("transcribe", run, paths[0], "--json").out)
    assert {"file", "text", "words", "label", "speaker", "probabilities", "seconds"} <= told[0].keys()
    assert "cannot be read" in mistake("transcribe", run, tmp_path / "nope.wav")
    (tmp_path / "text.wav").write_text("no sound")
    assert "broken file" in mistake("transcribe", run, tmp_path / "text.wav")


def test_a_run_goes_on_from_another_where_they_tell_the_same(run: Path, tmp_path: Path) -> None:
    data = run.parent / "data"
    daedal.train("listener", data=data, out=tmp_path / "more", init=str(run), steps=2, batch=8)
    before, after = (daedal.load(each).model.config for each in (run, tmp_path / "more"))
    assert before == after.but(dropout=before.dropout)
    daedal.build_data([run.parent / "in"], tmp_path / "other", workers=1, rate=4000)
    with pytest.raises(DaedalError, match="does not tell apart what this data has at its rate"):
        daedal.train("listener", data=tmp_path / "other", out=tmp_path / "no", init=str(run), steps=2)


def test_recordings_of_which_nothing_is_said_are_refused(run: Path, tmp_path: Path) -> None:
    daedal.build_data([run.parent / "in"], tmp_path / "data", workers=1, labels="none", transcripts="none")
    with pytest.raises(DaedalError, match="Nothing is said of the recordings"):
        daedal.train("listener", data=tmp_path / "data", out=tmp_path / "run", steps=2)


def test_what_nobody_tells_of_held_out_recordings_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(20):
        who = ("ada", "bob")[number // 2 % 2]
        wav(tmp_path / "in" / f"c{number}_{who}_{number}.wav", tone(300 + 40 * number, 0.1))
    daedal.build_data([tmp_path / "in"], tmp_path / "data", workers=1, labels="names", split=(60, 20, 20))
    daedal.train("listener", data=tmp_path / "data", out=tmp_path / "run", steps=1, **SMALL)
    rows = [json.loads(line) for line in (tmp_path / "run" / "training" / "metrics.jsonl").read_text().splitlines()]
    measured = {name for row in rows for name in row if name.startswith("validation_")}
    assert measured == {"validation_loss", "validation_speaker", "validation_speaker_accuracy"}


def test_a_codec_of_another_rate_is_refused(run: Path) -> None:
    with pytest.raises(DaedalError, match="samples a second"):
        Generator(daedal.load(run).model, SoundCodec(rate=16000))


def test_samples_are_changed_by_their_seed_alone(run: Path) -> None:
    from daedal.training.learner import open_learner
    from daedal.training.plan import plan_class

    learner = open_learner("listener", run.parent / "data")
    plan = plan_class("listener", "sounds").parse(json.loads((run / "training" / "plan.json").read_text()), "plan")
    task = learner.task(plan)
    one, again, later = task.batch(0, 4), task.batch(0, 4), task.batch(2, 2)
    assert torch.equal(one.frames, again.frames)
    most = int(later.counts.max())
    assert torch.allclose(one.frames[2:, :most], later.frames[:, :most], atol=1e-4)
    assert not np.array_equal(one.counts, task.batch(4, 4).counts)
