"""Filling in: rearranged documents are the documents, runs repeat to the bit, holes are filled, mistakes are told."""

from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI
from tokenizers import AddedToken, Tokenizer

from api_server import serve
from command_line import daedal, mistake
from daedal import api
from daedal.codecs.infilling import KNOWN, Infilling, with_marks
from daedal.codecs.text import TextCodec
from daedal.data.paths import paths_of
from daedal.data.shards import Dataset
from daedal.data.windows import Windows
from daedal.evaluation.documents import Documents
from daedal.evaluation.infilling import line_holes, prompt
from daedal.inference.skills.complete import ended
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT
from daedal.models.model import IGNORE
from daedal.training.gpt_plan import GPTPlan
from daedal.training.infilling import InfillingWindows
from daedal.training.language import LanguageTask
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from daedal.training.transformer_learner import gpt_config
from runs import same, stop_at
from tiny_models import tiny_gpt

CODE = "def add{0}(one, other):\n    total = one + other\n    return total * {0}\n\n\nprint('naïve 東京', add{0}(1, {0}))\n"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return with_marks(TextCodec.train("bpe", [CODE.format(number) for number in range(20)], 320))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    source = folder / "source"
    (source / "part").mkdir(parents=True)
    for number in range(40):
        lines = [CODE.format(number * 7 + line) for line in range(1 + number % 5)]
        (source / "part" / f"file{number}.py").write_text("".join(lines), encoding="utf-8")
    api.build_data([source], folder / "data", codec="bpe", vocab_size=300, near_duplicates="off", split=(80, 20, 0))
    return folder / "data"


def windows(data: Path, share: float = 1.0, context: int = 96, seed: int = 3) -> tuple[InfillingWindows, TextCodec]:
    dataset = Dataset.open(data)
    codec, paths = with_marks(dataset.codec), paths_of(data, "train")
    return InfillingWindows(dataset.split("train"), context, seed, codec, share, paths.__getitem__), codec


def pieces_of(codec: TextCodec, ids: list[int]) -> tuple[str | None, str, str, str]:
    """The path, the prefix, the middle and the suffix of a rearranged text that ends with its end."""
    marks = Infilling.of(codec)
    assert marks is not None
    assert ids[-1] == codec.eos_id
    path, body = None, ids[:-1]
    if body[0] == marks.file:
        begin = body.index(marks.prefix)
        path, body = codec.decode(body[1:begin]).removesuffix("\n"), body[begin:]
    assert body[0] == marks.prefix
    suffix, middle = body.index(marks.suffix), body.index(marks.middle)
    return path, codec.decode(body[1:suffix]), codec.decode(body[middle + 1 :]), codec.decode(body[suffix + 1 : middle])


# -- marks -------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["psm", "spm"]), st.sampled_from([None, "json/decoder.py"]))
def test_rearranged_pieces_joined_are_the_document(
    codec: TextCodec, one: str, two: str, three: str, order: Any, path: Any
) -> None:
    prefix, middle, suffix = codec.encode_batch([one, two, three])
    marks = Infilling.of(codec)
    assert marks is not None
    ids = [*marks.arranged(prefix, suffix, path, order), *middle, codec.eos_id or 0]
    told, before, written, after = pieces_of(codec, ids)
    assert told == path
    assert (before + written, after) == (one + two, three)
    if order == "psm":
        assert (before, written) == (one, two)
    assert [id for id in ids if id not in codec.special_ids][len(codec.encode(f"{path}\n")) if path else 0 :] == (
        prefix + suffix + middle if order == "psm" else suffix + prefix + middle
    )


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_marks_leave_the_other_ids_as_they_were(codec: TextCodec, text: str) -> None:
    plain = TextCodec.train("byte", ["x"])
    more = with_marks(plain)
    assert more.encode(text) == plain.encode(text)
    assert more.decode(more.encode(text)) == text
    assert more.vocab_size == plain.vocab_size + 4
    assert more.eos_id == plain.eos_id
    assert with_marks(more) is more


def test_text_that_spells_marks_stays_text(codec: TextCodec) -> None:
    marks = Infilling.of(codec)
    assert marks is not None
    forged = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert not set(codec.encode(forged)) & set(codec.special_ids)
    assert codec.decode(codec.encode(forged)) == forged


def test_marks_are_saved_for_other_programs(codec: TextCodec, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    codec.save(tmp_path)
    again = TextCodec.load(tmp_path)
    assert again.fingerprint() == codec.fingerprint()
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    asked = "<|fim_prefix|>def add<|fim_suffix|>return<|fim_middle|>"
    marks = Infilling.of(again)
    assert marks is not None
    assert theirs(asked).input_ids == marks.arranged(again.encode("def add"), again.encode("return"), order="psm")


@pytest.mark.parametrize("name", KNOWN)
def test_marks_of_others_are_known_by_their_names(name: str) -> None:
    names = KNOWN[name]
    tokenizer = Tokenizer.from_str(TextCodec.train("byte", ["x"])._tokenizer.to_str())
    spelled = [*(each for each in names[:4] if each), *names.ends]
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in spelled])
    found = Infilling.of(TextCodec(tokenizer, {"eos_token": "<|endoftext|>"}))
    assert found is not None
    assert [tokenizer.id_to_token(id) for id in (found.prefix, found.suffix, found.middle)] == list(names[:3])
    assert found.file == (None if names.file is None else tokenizer.token_to_id(names.file))
    assert {tokenizer.token_to_id(each) for each in names.ends} <= found.ends


def test_a_tokenizer_without_marks_has_none() -> None:
    assert Infilling.of(TextCodec.train("byte", ["x"])) is None


# -- windows -----------------------------------------------------------------------------------------------------------


def test_every_rearranged_document_is_whole_in_its_window_and_stands_in_the_data(data: Path) -> None:
    stream, codec = windows(data)
    marks, split = Infilling.of(codec), stream.split
    assert marks is not None
    texts = [split.text(number) for number in range(split.documents)]
    inputs, targets = stream.batch(0, 60)
    whole = [
        [*row[:1], *(target if target != IGNORE else -1 for target in said)]
        for row, said in zip(inputs.tolist(), targets.tolist(), strict=True)
    ]
    orders, paths, rearranged = set(), set(), 0
    for row in whole:
        ids = [id for id in row if id >= 0]
        begins = [place for place, id in enumerate(ids) if id == marks.prefix]
        for begin in begins:
            end = ids.index(codec.eos_id, begin)
            named = begin
            while named and ids[named - 1] not in (codec.eos_id, marks.prefix):
                named -= 1
            head = named if ids[named] == marks.file else begin
            path, before, middle, after = pieces_of(codec, ids[head : end + 1])
            orders.add("spm" if ids[begin + 1] == marks.suffix else "psm")
            paths.add(path)
            # of a document whose suffix was cut the joined text still stands in the document
            joined = before + middle + after
            assert any(joined in text for text in texts), joined
            rearranged += 1
    assert rearranged > 40
    assert orders == {"psm", "spm"}
    assert None in paths
    assert all(path.startswith("part/file") for path in paths if path)
    assert len(paths) > 3


def test_windows_are_functions_of_seed_and_number_alone(data: Path) -> None:
    stream, _ = windows(data, 0.5)
    together = stream.batch(5, 12)
    one_by_one = [stream.batch(5 + number, 1) for number in range(12)]
    for place in (0, 1):
        assert np.array_equal(together[place], np.concatenate([each[place] for each in one_by_one]))
    again, _ = windows(data, 0.5)
    assert np.array_equal(again.batch(5, 12)[0], together[0])
    other, _ = windows(data, 0.5, seed=4)
    assert not np.array_equal(other.batch(5, 12)[0], together[0])


def test_with_no_share_windows_are_those_of_left_to_right(data: Path) -> None:
    stream, _ = windows(data, 0.0)
    plain = Windows(stream.split, stream.context, stream.seed)
    for one, other in zip(stream.batch(0, 20), plain.batch(0, 20), strict=True):
        assert np.array_equal(one, other)


@settings(max_examples=15, deadline=None)
@given(context=st.integers(8, 200), seed=st.integers(0, 1000))
def test_no_window_is_longer_than_its_context_and_all_ids_are_known(data: Path, context: int, seed: int) -> None:
    stream, codec = windows(data, 1.0, context, seed)
    inputs, targets = stream.batch(seed, 6)
    assert inputs.shape == targets.shape == (6, context)
    assert inputs.min() >= 0
    assert max(inputs.max(), targets.max()) < codec.vocab_size
    known = targets != IGNORE
    assert np.array_equal(inputs[:, 1:][known[:, :-1]], targets[:, :-1][known[:, :-1]])


SMALL = (
    *("--width", "32", "--depth", "1", "--heads", "2", "--kv-heads", "1", "--context", "64"),
    *("--batch", "4", "--micro-batch", "4", "--threads", "1", "--precision", "fp32"),
)


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    ended = daedal("train", "gpt", "--data", data, "--out", out, "--fim", *SMALL, "--steps", "12", "--seed", "5")
    assert ended.code == 0, ended.err
    return out


def test_a_run_learns_and_is_measured_by_the_holes_it_fills(run: Path, data: Path) -> None:
    report = api.evaluate(run)
    own = {each.quantity for each in report.measurements}
    assert {"infilling-exact-match/v1", "infilling-bits-per-byte/v1", "bits-per-byte/v1"} <= own
    beside = {each.name: each for each in report.baselines}
    assert {"suffix first", "left to right"} <= beside.keys()
    dataset = Dataset.open(data)
    (bits,) = (each for each in report.measurements if each.quantity == "bits-per-byte/v1")
    assert bits.data_hash == dataset.split("validation").fingerprint  # as that of a model from left to right
    assert api.load(run).model.config.vocab_size == dataset.codec.vocab_size + 4


def trainer_for(data: Path, out: Path) -> Trainer:
    torch.set_num_threads(1)
    dataset = Dataset.open(data)
    codec = with_marks(dataset.codec)
    plan = GPTPlan.parse({"data": str(data), "vocab_size": codec.vocab_size, **SHAPE}, "plan")
    model = GPT(gpt_config(plan))
    model.initialise(torch.Generator().manual_seed(plan.seed))
    torch.manual_seed(plan.seed)
    run = RunFolder(out) if (out / "training" / "plan.json").exists() else RunFolder.create(out)
    run.write_plan(plan)
    return Trainer(LanguageTask(model, dataset, plan, codec=codec), plan, run, Processes(torch.device("cpu")))


SHAPE = {
    "width": 32, "depth": 1, "heads": 2, "kv_heads": 1, "head_width": 16, "mlp_width": 64, "context": 48, "batch": 8,
    "micro_batch": 4, "steps": 8, "learning_rate": 0.01, "threads": 1, "precision": "fp32", "checkpoint_every": 6,
    "evaluate_every": 8, "sample_every": 8, "device": "cpu", "fim": True,
}  # fmt: skip


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    trainer_for(data, tmp_path / "whole").train()
    first = trainer_for(data, tmp_path / "stopped")
    stop_at(first, 4)
    with pytest.raises(Interrupted):
        first.train()
    trainer_for(data, tmp_path / "stopped").train()
    assert same(tmp_path / "whole", tmp_path / "stopped")


def test_a_run_can_be_begun_from_another_that_fills_in(run: Path, data: Path, tmp_path: Path) -> None:
    more = ("--init", run, "--fim", "--steps", "2", "--batch", "4", "--micro-batch", "4", "--context", "64")
    ended = daedal("train", "gpt", "--data", data, "--out", tmp_path / "more", *more)
    assert ended.code == 0, ended.err
    assert api.load(tmp_path / "more").complete("def ", "\n", max_tokens=2)


def test_what_cannot_be_learned_so_is_refused(data: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    assert daedal("train", "gpt", "--data", data, "--out", plain, *SMALL, "--steps", "1").code == 0
    said = mistake("train", "gpt", "--data", data, "--out", tmp_path / "out", "--fim", "--init", plain, "--steps", "2")
    assert "no tokens for filling in the middle" in said
    assert "no room" in mistake(
        "train", "gpt", "--data", data, "--out", tmp_path / "out", "--fim", "--context", "8", "--steps", "2"
    )
    said = mistake("complete", plain, Path(__file__).as_posix() + ":1")
    assert "cannot fill the hole between two texts" in said
    assert not (tmp_path / "out").exists()


# -- holes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "before", "until", "left"),
    [
        ("a + b\n    more", "    return ", "line", "a + b"),
        ("\n    x = 1\n    y = 2\n", "def f():", "line", "\n    x = 1"),
        ("\n    x = 1\n    y = 2\nz = 3\n", "def f():", "block", "\n    x = 1\n    y = 2"),
        ("x\n\n    y\nz", "    ", "block", "x\n\n    y"),
        ("a\nb", "", "end", "a\nb"),
        ("", "x", "line", ""),
        ("\n\n", "x", "block", "\n\n"),
    ],
)
def test_a_middle_ends_at_a_sensible_place(text: str, before: str, until: Any, left: str) -> None:
    assert ended(text, before, until) == left


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["end", "line", "block"]))
def test_what_is_wanted_of_a_middle_is_its_beginning(text: str, before: str, until: Any) -> None:
    assert text.startswith(ended(text, before, until))


def test_what_does_not_fit_is_left_out_on_the_far_sides_and_told(run: Path) -> None:
    generator = api.load(run)
    before, after = "one = 1\n" * 400, "\nother = 2" * 400
    (middle,) = generator.complete(before, after, max_tokens=8, temperature=0)
    first, last = middle.left_out
    assert 0 < first < len(before)
    assert 0 < last < len(after)
    (near,) = generator.complete(before[first:], after[: len(after) - last], max_tokens=8, temperature=0)
    assert near.text == middle.text
    assert near.left_out == (0, 0)
    (streamed,) = ["".join(piece.text for piece in generator.stream_middle(before, after, max_tokens=8, temperature=0))]
    assert streamed == middle.text


def test_the_command_shows_the_filled_lines(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text("one = 1\ntwo = 2\nthree = 3\n", encoding="utf-8")
    ended = daedal("complete", run, f"{file}:2:7", "--max-tokens", "4")
    assert ended.code == 0, ended.err
    shown = ended.out.splitlines()
    assert shown[0] == "1 | one = 1"
    assert shown[1].startswith("2 | two = «")
    assert "three = 3" in ended.out
    piped = daedal("complete", run, "-:2:7", "--max-tokens", "4", "--json", stdin=file.read_text(encoding="utf-8"))
    assert piped.code == 0, piped.err
    assert '"before": "one = 1\\ntwo = "' in piped.out


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("{file}:9", "no line 9"),
        ("{file}:1:99", "no column 99"),
        ("{file}:0", "names no line"),
        ("{file}", "names no line"),
        ("{folder}/none.py:1", "cannot be read"),
        ("{folder}/bytes:1", "no text"),
        ("{folder}/latin:1", "cannot be read as text"),
        ("{folder}:1", ""),
    ],
)
def test_a_mistake_in_a_place_is_told(run: Path, tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "some.py").write_text("one = 1\n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"a\0b\n")
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    assert said in mistake("complete", run, place.format(file=tmp_path / "some.py", folder=tmp_path))


def test_holes_are_lines_and_prompts_fit_the_context(data: Path) -> None:
    dataset = Dataset.open(data)
    codec = with_marks(dataset.codec)
    documents = Documents.of_split(dataset.split("validation"), codec)
    for hole in line_holes(documents, 20, 0, 24):
        assert hole.before + hole.text + hole.after == documents.text(hole.document)
        assert "\n" not in hole.text
        for order in ("psm", "spm", None):
            row = prompt(codec, hole, 64, order)
            assert codec.decode(row.hole) == hole.text
            assert len(row.ids) + len(row.hole) <= 64


# -- the server --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    plain = tmp_path_factory.mktemp("plain")
    codec = TextCodec.train("bpe", [CODE.format(1)] * 4, 280)
    codec.save(plain)
    save_model(tiny_gpt(codec, context=64), plain)
    models = {"coder": str(run), "plain": str(plain)}
    with serve(tmp_path_factory.mktemp("served"), models=models, aliases={}) as address:
        yield OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


ASKED: dict[str, Any] = {
    "model": "coder",
    "prompt": "def add(",
    "suffix": "\n    return",
    "max_tokens": 8,
    "seed": 1,
    "temperature": 0,
}


def test_openais_client_fills_a_hole(client: OpenAI, run: Path) -> None:
    made = client.completions.create(**ASKED)
    (middle,) = api.load(run).complete("def add(", "\n    return", max_tokens=8, temperature=0)
    assert made.choices[0].text == middle.text
    assert made.usage is not None
    codec = TextCodec.load(run)
    assert made.usage.prompt_tokens == len(codec.encode("def add(")) + len(codec.encode("\n    return")) + 3
    streamed = client.completions.create(**ASKED, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == middle.text
    echoed = client.completions.create(**ASKED, echo=True)
    assert echoed.choices[0].text == "def add(" + middle.text
    of_ids = client.completions.create(**{**ASKED, "prompt": codec.encode("def add(")})
    assert of_ids.choices[0].text == middle.text


def test_a_suffix_that_asks_for_nothing_changes_nothing(client: OpenAI) -> None:
    plain = {name: value for name, value in ASKED.items() if name != "suffix"}
    assert (
        client.completions.create(**plain).choices[0].text
        == client.completions.create(**plain, suffix="").choices[0].text
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"model": "plain"}, "not trained to fill"),
        ({"echo": True, "logprobs": 1}, "without a suffix"),
        ({"suffix": "x = 1\n" * 400}, "context"),
        ({"suffix": 3}, "suffix"),
    ],
)
def test_a_suffix_that_cannot_be_is_refused(client: OpenAI, more: Any, said: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{**ASKED, **more})
    assert said in str(refused.value)
