"""Every number that can be given as an option, at its worst: it works, or is refused in one line before anything is begun."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest

from command_line import daedal, stories
from daedal import api
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.families import table
from daedal.inference.generator import Generator
from daedal.inference.sampling import SamplingOptions
from daedal.models.image_sampling import ImageSampling
from daedal.serving.keys import KeyRing
from daedal.training.machine import Machine
from daedal.training.picture_plan import PicturePlan
from daedal.training.plan import Plan, options_of, plan_classes
from test_cli_options import FROZEN
from tiny_models import tiny_gpt

HUGE = 99999999999999999999
WORST: dict[type, tuple[Any, ...]] = {
    int: (HUGE, 2**63 - 1, 10**6, 0, -1),
    float: (math.nan, math.inf, 1e300, 0.0, -1.0),
}
MACHINE = Machine(
    device="cpu", name="a machine", cores=1, threads=1, memory=2**33, gflops=10.0, precision="fp32", compiler=False
)


def number(annotation: Any) -> type | None:
    """`int` or `float` where an option takes one."""
    if get_origin(annotation) is Annotated:
        return number(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return next((found for each in get_args(annotation) if (found := number(each)) is not None), None)
    return annotation if annotation in (int, float) else None


def numbers(family: str) -> Iterator[tuple[str, type]]:
    """The numeric options of a plan; those that all families share once only."""
    for name, field in options_of(plan_classes(family)).model_fields.items():
        kind = number(field.annotation)
        shared = name in Plan.model_fields or (name in PicturePlan.model_fields and family != "vae")
        if kind is not None and (family == "gpt" or not shared):
            yield name, kind


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    api.build_data([stories(folder / "in", 20)], folder / "built", codec="byte")
    return folder / "built"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    api.build_data(["scenes:60"], folder / "built", size=32)
    return folder / "built"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed, and there are 4 GB of memory."""
    monkeypatch.setattr("daedal.training.session.measure_machine", lambda *given: MACHINE)
    monkeypatch.setattr("daedal.training.learner.step_seconds", lambda *given: 0.01)
    for place in ("daedal.memory", "daedal.training.trial"):
        monkeypatch.setattr(f"{place}.free_memory", lambda device="cpu": 4 * 10**9)


@pytest.mark.parametrize("family", table())
def test_any_number_makes_a_plan_or_one_clear_line(family: str, text: Path, pictures: Path, quick: None) -> None:
    if family == "gpt":
        data, small = text, {"width": 16, "depth": 1, "heads": 1, "context": 16, "batch": 2}
    else:
        data, small = (
            pictures,
            {"batch": 2, **{name: 8 for name, _ in numbers(family) if name in ("filters", "breadth")}},
        )
    outcomes = {
        (name, value): outcome(
            lambda name=name, value=value: api.make_plan(family, data, **{"steps": 5, **small, name: value})
        )
        for name, kind in numbers(family)
        for value in WORST[kind]
    }
    assert {key: end for key, end in outcomes.items() if end not in ("planned", "refused")} == {}
    assert "refused" in outcomes.values()
    absurd = [
        key for key, end in outcomes.items() if end == "planned" and not (math.isfinite(key[1]) and key[1] != HUGE)
    ]
    assert absurd == []


def outcome(work: Callable[[], Any]) -> str:
    """What comes of something: that it was done, or refused in one line, or what else was raised."""
    try:
        work()
    except DaedalError as error:
        return "refused" if "\n" not in str(error) else str(error)
    except Exception as error:
        return repr(error)
    return "planned"


@pytest.mark.parametrize(
    "name", [name for name, field in SamplingOptions.model_fields.items() if number(field.annotation)]
)
def test_any_number_writes_a_text_or_one_clear_line(name: str) -> None:
    codec = TextCodec.train("byte", [])
    generator = Generator(tiny_gpt(codec), codec)
    kind = number(SamplingOptions.model_fields[name].annotation)
    assert kind is not None
    for value in (*WORST[kind], 1e-300 if kind is float else 1):
        end = outcome(lambda value=value: generator.generate("ab", **{"max_tokens": 3, name: value}))
        assert end in ("planned", "refused"), (name, value, end)


@pytest.mark.parametrize(
    "name", [name for name, field in ImageSampling.model_fields.items() if number(field.annotation)]
)
def test_no_number_draws_what_is_no_picture(name: str) -> None:
    """What is taken keeps float32, in which pictures are drawn, finite."""
    kind = number(ImageSampling.model_fields[name].annotation)
    assert kind is not None
    taken = [
        value
        for value in WORST[kind]
        if outcome(lambda value=value: ImageSampling.parse({name: value}, "draw")) == "planned"
    ]
    assert all(abs(value) <= 10**9 for value in taken), (name, taken)


# -- commands ----------------------------------------------------------------------------------------------------------


def options(command: str) -> Iterator[tuple[str, type]]:
    """The numeric options of a command in the frozen list."""
    lines = iter(FROZEN.read_text().splitlines())
    for line in lines:
        if line == f"daedal {command}":
            break
    for line in lines:
        if not line.startswith(" "):
            return
        names = [word for word in line.split() if word.startswith("-")]
        kind = {"int": int, "float": float}.get(line.split()[len(names)])
        if kind is not None:
            yield names[-1], kind


def tried(command: str) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, kind in options(command) for value in WORST[kind]]


def check(*arguments: str | Path) -> None:
    ended = daedal(*arguments)
    assert ended.code in (0, 2), ended
    assert "Traceback" not in ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (ended.code == 2), ended.err


@pytest.mark.parametrize(("option", "value"), tried("serve"))
def test_any_number_serves_or_gives_one_clear_line(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daedal.serving.server.serve", lambda settings, greet: None)
    check("serve", "--models", tmp_path, option, value)


@pytest.mark.parametrize(("option", "value"), tried("data build"))
def test_any_number_builds_data_or_gives_one_clear_line(option: str, value: str, tmp_path: Path) -> None:
    if option == "--workers" and value == "1000000":
        pytest.skip("a million processes are a wish")
    check("data", "build", stories(tmp_path / "in", 4), "--out", tmp_path / "out", "--codec", "byte", option, value)


# -- a file where a folder is meant, and the other way round -----------------------------------------------------------

PATHS = (
    "train gpt --data {file} --out {new}", "train gpt --data {data} --out {file} --steps 1",
    "train gpt --data {data} --out {file}/below --steps 1", "train gpt --data {data} --out {new} --init {file}",
    "train vqvae --data {file} --out {new}", "train flow --data {file} --out {new} --codec {file}",
    "train text-to-image --data {file} --out {new}", "train --resume {file}", "train --resume {data}", "plan gpt --data {file}",
    "plan vae --data {file}/below", "data build {text} --out {file}", "data build {text} --out {file}/below",
    "data show {file}", "data show {data} --html {folder}", "data show {data} --html {file}/below",
    "data build {text} --out {new} --tokenizer {file}", "data build {text} --out {new} --validation {folder}",
    "evaluate {file}", "evaluate {data}", "generate {file}", "generate {folder}", "chat {file}", "export {file} --to {new}",
    "export {folder} --to {new}", "serve {file}", "serve --models {file}", "serve --models {folder} --keys {folder}",
    "keys add me --keys {folder}", "reconstruct {file}", "interpolate {file}", "caption {file} {text}", "match {file} {text}",
    "edit {file} --image {text}",
)  # fmt: skip


@pytest.mark.parametrize("command", PATHS)
def test_a_file_for_a_folder_or_a_folder_for_a_file_is_told(
    command: str, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setattr("daedal.serving.server.serve", lambda settings, greet: KeyRing.load(settings.keys))
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    stories(tmp_path / "text", 1)
    places = {name: tmp_path / name for name in ("file", "folder", "new")}
    words = [word.format(**places, data=text, text=tmp_path / "text" / "story-000.txt") for word in command.split()]
    ended = daedal(*words)
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err
    assert sum(line.startswith("error: ") for line in ended.err.splitlines()) == 1, ended.err
    assert (tmp_path / "file").read_text() == "a file"
    assert not (tmp_path / "new").exists()
