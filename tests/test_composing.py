"""A GPT that composes: what it learns from, trains, resumes, writes, and how it is measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import daedal
from command_line import mistake
from daedal.codecs.midi import read_midi, write_midi
from daedal.codecs.tune import Note, Tune
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.voices import Voices
from daedal.data.tune_windows import Changes, TuneWindows
from daedal.errors import DaedalError
from daedal.evaluation.evaluate import evaluate
from daedal.evaluation.measures.tune_rules import Heard, crossings, in_key, longest_runs, parallels, repeated
from daedal.inference.generator import Generator
from daedal.inference.tune import save_each
from daedal.models.model import IGNORE
from daedal.models.music import Music, MusicConfig
from daedal.training.learner import open_learner
from daedal.training.machine import measure_machine
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from daedal.training.tune_likelihood import code_log_likelihoods
from kind_examples import tunes as made_tunes
from runs import same, stop_at
from sound_fonts import font
from test_tunes import midis

torch.set_num_threads(1)
CODEC = TuneCodec(Voices(lowest=48, highest=80))
SMALL: dict[str, Any] = {"width": 32, "depth": 1, "context": 32, "batch": 4, "steps": 4, "threads": 1}


def rows(count: int = 5) -> list[np.ndarray]:
    """Ids of tunes of different lengths."""
    chance = np.random.default_rng(0)
    return [np.array([CODEC.begin, *chance.integers(5, 25, 4 * (9 + 7 * each)), CODEC.end]) for each in range(count)]


def composer(seed: int = 1, steps: int = 8) -> Generator:
    config = MusicConfig.of(
        "swift", vocab_size=CODEC.vocab_size, width=32, depth=2, heads=2, context=4 * steps, grid=(steps, 4)
    )
    model = Music(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return Generator(model, CODEC, "toy")


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_window_to_learn_from_is_a_function_of_its_number_alone() -> None:
    windows, changes = TuneWindows(rows(), CODEC, 32), Changes(transpose=6, hidden=0.1)
    inputs, targets = windows.batch(0, 12, 3, changes)
    for first, count in ((0, 5), (7, 1), (11, 1)):
        some = windows.batch(first, count, 3, changes)
        assert np.array_equal(some[0], inputs[first : first + count])
        assert np.array_equal(some[1], targets[first : first + count])
    assert not np.array_equal(windows.batch(0, 12, 4, changes)[0], inputs)


def test_every_place_of_every_tune_is_learned_once_an_epoch_and_never_out_of_range() -> None:
    windows = TuneWindows(rows(), CODEC, 32)
    total = sum(map(len, windows.cuts))
    inputs, targets = windows.batch(0, total, 0, Changes(transpose=6))
    pitches = targets[(targets != IGNORE) & (targets < CODEC.layout.size - 1)]
    assert len(np.unique(pitches)) > 20
    assert pitches.max() < CODEC.layout.size - 1
    assert (inputs[:, 0] == CODEC.begin).all()
    whole = windows.batch(0, total, 0, Changes())
    begun = sum(int((row[0] != IGNORE).all()) for row in whole[1])
    assert 0 < begun < total


def test_every_code_is_judged_once_with_half_a_window_before_it() -> None:
    windows = TuneWindows(rows(), CODEC, 32)
    for row, codes in enumerate(windows.codes):
        places = [window for window in windows.judged() if window.row == row]
        assert [at for window in places for at in range(window.judged, window.last)] == list(range(len(codes)))
        assert all(window.judged == 0 or window.judged - window.first >= 16 for window in places)
        assert all(window.first % 4 == 0 for window in places)


def test_likelihoods_do_not_depend_on_what_is_judged_beside() -> None:
    generator = composer()
    every = code_log_likelihoods(generator.model, TuneWindows(rows(), CODEC, 32))
    alone = code_log_likelihoods(generator.model, TuneWindows(rows()[2:3], CODEC, 32))
    assert np.allclose(every[2], alone[0], atol=1e-5)
    assert (every[2] < 0).all()


# -- composing ---------------------------------------------------------------------------------------------------------


def test_a_tune_of_a_seed_is_the_same_in_any_number_and_as_long_as_asked() -> None:
    generator = composer()
    several = generator.generate(3, seed=1, seconds=15)
    assert [each.tune.seconds for each in several] == pytest.approx([15] * 3, abs=1.0)
    (alone,) = generator.generate(1, seed=1, first=2, seconds=15)
    assert alone.tune == several[2].tune
    assert alone.provenance == several[2].provenance
    assert several[0].tune != several[1].tune
    greedy = generator.generate(2, seed=1, seconds=5, temperature=0)
    assert greedy[0].tune == greedy[1].tune


def test_it_tells_how_far_it_is_within_a_tune_and_ends_where_nobody_waits() -> None:
    told: list[float] = []
    composer().generate(1, seed=1, seconds=20, progress=lambda done, total: told.append(done / total))
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == 1

    def leave(done: float, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        composer().generate(1, seed=1, seconds=20, progress=leave)


def test_it_goes_on_with_a_tune_and_leaves_that_as_it_is(tmp_path: Path) -> None:
    generator = composer()
    (begun,) = generator.generate(1, seed=3, seconds=15)
    path = begun.save(tmp_path / "begun.mid")
    (made,) = generator.generate(1, seed=4, begin=path, seconds=10)
    codes = CODEC.layout.encode(begun.tune)
    assert np.array_equal(CODEC.layout.encode(made.tune)[: len(codes)], codes)
    assert made.tune.seconds == pytest.approx(begun.tune.seconds + 10, abs=1.0)
    assert made.provenance.task == "continue"


def test_it_sets_voices_below_a_melody() -> None:
    generator = composer()
    melody = Tune.of(480, [Note(480 * n, 480, 70 + n % 5) for n in range(20)])
    (made,) = generator.generate(1, seed=1, melody=melody, tries=2)
    tops = [chord[0] for chord in Heard.of(made.tune).chords]
    assert CODEC.layout.encode(made.tune).reshape(-1, 4)[:, 0].max() >= 0
    assert all(top >= note.pitch for top, note in zip(tops, melody.notes, strict=True))
    assert made.tune.tempos[0][1] == 500_000
    low = Tune.of(480, [Note(0, 480, 20)])
    with pytest.raises(DaedalError, match="Transpose it"):
        generator.generate(1, melody=low)


def test_it_fills_in_bars_and_leaves_the_others() -> None:
    generator = composer()
    (given,) = generator.generate(1, seed=3, seconds=18)
    (made,) = generator.generate(1, seed=4, gap=(given.tune, (2, 3)), tries=3)
    before, after = (CODEC.layout.encode(each.tune).reshape(-1, 4) for each in (given, made))
    changed = np.flatnonzero((before != after[: len(before)]).any(1))
    assert len(changed)
    assert changed.min() >= 4
    assert changed.max() < 12
    with pytest.raises(DaedalError, match="no bar 40"):
        generator.generate(1, gap=(given.tune, (40, 41)))


def test_what_makes_no_sense_is_refused_in_a_line() -> None:
    generator = composer()
    tune = Tune.of(480, [Note(0, 480, 60)])
    for asked, why in (
        ({"begin": tune, "melody": tune}, "one at a time"),
        ({"begin": "nowhere.mid"}, "cannot be read"),
        ({"said": {"key": "C"}}, "no key"),
        ({"seconds": -1}, "seconds"),
        ({"gap": (tune, (3, 2))}, "no bars 3 to 2"),
        ({"n": 0}, "no 0 tunes"),
    ):
        with pytest.raises(DaedalError, match=why) as error:
            generator.generate(**asked)
        assert "\n" not in str(error.value)


def test_tunes_are_saved_as_midi_sound_and_pictures_with_where_they_come_from(tmp_path: Path) -> None:
    made = composer().generate(2, seed=1, seconds=3)
    for end in (".mid", ".wav", ".png"):
        made[0].save(tmp_path / f"tune{end}")
    assert read_midi((tmp_path / "tune.mid").read_bytes()).notes == made[0].tune.notes
    assert json.loads((tmp_path / "tune.wav.json").read_text())["seed"] == 1
    with pytest.raises(DaedalError, match=r"no tune is written as \.flv"):
        made[0].save(tmp_path / "tune.flv")
    paths = save_each(made, tmp_path / "tunes")
    assert [path.name for path in paths] == ["00000.mid", "00001.mid"]
    assert len((tmp_path / "tunes" / "index.jsonl").read_text().splitlines()) == 2
    assert "audio/wav" in made[0]._repr_html_()
    (tmp_path / "font.sf2").write_bytes(font())
    made[0].save(tmp_path / "played.wav", tmp_path / "font.sf2")
    assert soundfile.info(tmp_path / "played.wav").samplerate == 44_100


# -- rules -------------------------------------------------------------------------------------------------------------


def heard(*chords: list[int]) -> Heard:
    tune = Voices().decode(Voices().of_chords(list(chords)))
    assert tune is not None
    return Heard.of(tune)


def test_rules_find_what_they_are_named_for() -> None:
    fifths, well = heard([67, 60], [69, 62]), heard([67, 60], [65, 62])
    assert (parallels(7)(fifths), parallels(7)(well)) == (1.0, 0.0)
    assert (parallels(0)(heard([72, 60], [74, 62])), parallels(0)(fifths)) == (1.0, 0.0)
    assert (crossings(heard([72, 60], [59, 50])), crossings(well)) == (1.0, 0.0)
    assert in_key(heard([60, 64, 67], [65, 69, 72])) is not None
    assert in_key(heard([60, 64], [67, 72])) == 1.0
    assert in_key(heard([61, 60], [63, 62], [66, 65])) < 1.0  # type: ignore[operator]
    assert repeated(heard(*[[60], [62], [64], [65]] * 2)) == pytest.approx(1 / 5)


def test_the_longest_copy_is_found_and_ends_with_a_tune() -> None:
    corpus = [list("abcdef"), list("ghijkl")]
    found = longest_runs([list("xxbcdeyy"), list("efgh"), list("zz"), []], corpus)
    assert found.tolist() == [4, 2, 0, 0]


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chorales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chorales")
    daedal.build_data([made_tunes(folder)], folder / "data")
    return folder / "data"


def trained(data: Path, run: Path, stop: int = 0) -> Path:
    """A run of a small model, stopped on the way or not; it goes on where it was stopped."""
    learner = open_learner("music", data)
    plan = learner.make_plan(None, measure_machine("cpu", 1, "fp32"), {**SMALL, "steps": 8, "device": "cpu"})
    folder = RunFolder(run)
    folder.training.mkdir(parents=True, exist_ok=True)
    folder.write_plan(plan)
    torch.manual_seed(plan.seed)
    trainer = Trainer(learner.task(plan), plan, folder, Processes(torch.device("cpu")))
    if stop:
        stop_at(trainer, stop)
        with pytest.raises(Interrupted):
            trainer.train()
    else:
        trainer.train()
    return run


def test_a_run_that_was_stopped_goes_on_bit_for_bit(chorales: Path, tmp_path: Path) -> None:
    whole = trained(chorales, tmp_path / "whole")
    trained(chorales, tmp_path / "cut", stop=4)
    assert same(trained(chorales, tmp_path / "cut"), whole)


@pytest.fixture(scope="module")
def run(chorales: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("composer") / "run"
    daedal.train("music", data=chorales, out=out, **SMALL)
    return out


def test_a_composer_is_trained_measured_and_opened(run: Path) -> None:
    opened = daedal.load(run)
    assert opened.able == "can compose tunes"
    assert opened.generate(1, seed=1, seconds=4)[0].tune.notes
    report = evaluate(run, split="test")
    nats = report.measured("nats-per-step")
    assert nats is not None
    assert 0 < nats.value < 4 * np.log(opened.codec.vocab_size) + 1
    assert {each.name for each in report.baselines} == {"1-gram", "5-gram", "9-gram"}
    assert (run / "tunes.png").exists()
    assert report.measured("parallel-fifths") is not None


def test_events_are_learned_and_written_too(tmp_path: Path) -> None:
    (tmp_path / "midi").mkdir()
    folder = midis(tmp_path / "midi")
    daedal.build_data([folder], tmp_path / "data", workers=1, split=(100, 0, 0))  # nothing held out is not measured
    daedal.train("music", data=tmp_path / "data", out=tmp_path / "run", **{**SMALL, "context": 64})
    opened = daedal.load(tmp_path / "run")
    made = opened.generate(2, seed=1, seconds=3, said={"style": "waltz", "key": "G"})
    assert all(each.tune.key == "G" for each in made)
    with pytest.raises(DaedalError, match="layout=voices"):
        opened.generate(1, melody=made[0])
    tune = read_midi((folder / "waltz" / "0.mid").read_bytes())
    (filled,) = opened.generate(1, seed=1, gap=(tune, (3, 4)), tries=2)
    pitches, made_of = ([note.pitch for note in each.notes] for each in (tune, filled.tune))
    assert made_of[:12] == pitches[:12]
    assert made_of[-24:] == pitches[24:]
    (longer,) = opened.generate(1, seed=1, begin=tune, seconds=2)
    assert len(longer.tune.notes) >= len(tune.notes)


def test_the_command_line_says_what_cannot_be(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mid").write_bytes(b"MThd")
    assert "composes tunes: --class" in mistake("generate", run, "--class", "cat")
    assert "--infill A.mid --bars 3:5" in mistake("generate", run, "--bars", "3")
    assert "empty.mid" in mistake("generate", run, "--continue", tmp_path / "empty.mid")
    assert "no tune is written as .ogg" in mistake("generate", run, "--out", tmp_path / "a.ogg")
    assert "holds one tune" in mistake("generate", run, "-n", "2", "--out", tmp_path / "a.mid")
    assert "no sound font that can be read" in mistake("generate", run, "--sound-font", tmp_path / "empty.mid")
    (tmp_path / "font.sf2").write_bytes(font())
    played = ("--sound-font", tmp_path / "font.sf2", "--out", tmp_path / "a.mid")
    assert "A sound font has no part in" in mistake("generate", run, *played)
    assert write_midi(Tune.of(480, [Note(0, 1, 60)]))[:4] == b"MThd"
