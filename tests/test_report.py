"""A report says what was measured, beside what, and nothing from outside can break out of it."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console

import daedal
from daedal.data import BuildOptions, Dataset, build
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Note, Numbers, Ranking, Sample, Sheet, Table, Texts
from daedal.evaluation.card import model_card
from daedal.evaluation.charts import curve
from daedal.evaluation.evaluate import evaluate, expected_seconds, write
from daedal.evaluation.kinds.text import TextSubject, presentation, read_texts
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.memorization import Copy, Memorization
from daedal.evaluation.page import report_page
from daedal.evaluation.report import CARD, JSON, PAGE, Baseline, Curve, DataFacts, ModelFacts, Predictor, Report
from daedal.evaluation.terminal import render
from daedal.evaluation.writing import table
from daedal.inference.generator import Generator
from tiny_models import tiny_gpt

HOSTILE = (
    '<script>alert("x")</script> "quoted" \'single\' & | `code` ```fence``` \x1b[31m --- [link](http://evil) \n# title'
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    words = ["the", "quick", "brown", "fox", "naïve", "東京", "jumps", "over", "lazy", "dogs"]
    (path / "texts").mkdir()
    for number in range(40):
        text = " ".join(generator.choice(words, 120))
        (path / "texts" / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return build([path / "texts"], path / "built", BuildOptions(codec="char", split=(80, 20, 0), near_duplicates="off"))


@pytest.fixture(scope="module")
def generator(dataset: Dataset) -> Generator:
    return Generator(tiny_gpt(dataset.codec, context=32), dataset.codec, "tiny")


@pytest.fixture(scope="module")
def report(generator: Generator, dataset: Dataset) -> Report:
    return evaluate(generator, dataset.folder, samples=4)


@pytest.fixture(scope="module")
def run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    shape = {"width": 16, "depth": 1, "heads": 2, "kv_heads": 2, "head_width": 8, "mlp_width": 32, "context": 32}
    daedal.train("gpt", data=dataset.folder, out=path, steps=12, batch=4, micro_batch=4, log_every=2, **shape)
    return path


def hostile() -> Report:
    """A report all of whose texts are hostile."""
    bits = Measurement(
        name="bits per byte",
        unit="bits per byte",
        value=2.0,
        n=3,
        definition=define("bits-per-byte", 1),
        interval=(1.9, 2.1),
    )
    loss = bits.but(name="loss", unit="nats per token", definition=define("nats-per-token", 1))
    perplexity = bits.but(name="perplexity", unit="per token", definition=define("perplexity", 1))
    copy = Copy(text=HOSTILE[:20], characters=20, tokens=3, start=0, document=0, offset=0)
    return Report(
        daedal="0", seconds=1.0,
        model=ModelFacts(name=HOSTILE, parameters=1, hash="h", says=HOSTILE),
        data=DataFacts(
            name=HOSTILE, hash="d", says=HOSTILE, trained=HOSTILE, sources=(HOSTILE,), licences=(HOSTILE,),
            languages=(HOSTILE,), notes=(HOSTILE,),
        ),
        presentation=presentation("qwen3", 1),
        measurements=(bits, loss, perplexity), baselines=(Predictor(name=HOSTILE, bits_per_byte=bits),),
        blocks=(
            Ranking(quantity="bits-per-byte", of=HOSTILE), Note(brief=HOSTILE),
            table(Memorization(samples=(copy,), held_out=(copy,), measurements=())),
            Table(title="Table", says=HOSTILE, head=(HOSTILE,), rows=((HOSTILE,), (1.5,))),
            Texts(title="Texts", says=HOSTILE, texts=(Sample(prompt=HOSTILE, text=HOSTILE, copied=HOSTILE[:20]),)),
        ),
        missing=(HOSTILE,), sampling={"seed": 0, "stop": HOSTILE}, plan={"optimizer": HOSTILE, "width": 16},
        curve=Curve(name="bits_per_byte", train=((1, 3.0), (2, 2.0)), validation=((2, 2.5),)),
    )  # fmt: skip


class Elements(HTMLParser):
    """All elements and attributes of a page, its tags checked to match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_holds_the_model_and_every_baseline_on_the_same_bytes(report: Report) -> None:
    assert [name for name, _ in report.ranking()].count("this model") == 1
    assert {each.name for each in report.baselines} == {"unigram", "5-gram", "gzip", "zstd", "zstd with training text"}
    for each in report.baselines:
        assert each.bits_per_byte.data_hash == report.bits_per_byte.data_hash == report.data.hash
    assert report.bits_per_byte.model_hash == report.model.hash != ""
    assert report.bits_per_byte.interval is not None


def test_the_report_has_samples_from_nothing_and_from_held_out_text_and_their_copies(
    report: Report, dataset: Dataset
) -> None:
    (texts,) = (block.texts for block in report.blocks if isinstance(block, Texts))
    assert [bool(sample.prompt) for sample in texts] == [False, False, True, True]
    held_out = dataset.split("validation")
    whole = "".join(held_out.text(index) for index in range(held_out.documents))
    assert all(sample.prompt in whole for sample in texts)
    learned = dataset.split("train")
    assert all(
        sample.copied in sample.text and any(sample.copied in learned.text(index) for index in range(learned.documents))
        for sample in texts
    )
    (copies,) = (block for block in report.blocks if isinstance(block, Table))
    assert len(copies.rows) == sum(bool(sample.text) for sample in texts)
    (numbers,) = (block.measurements for block in report.blocks if isinstance(block, Numbers))
    assert [each.n for each in numbers] == [len(copies.rows)] * 4
    assert [each.name for each in numbers if "held-out" in each.name] == [
        "median copy in held-out text", "longest copy in held-out text",
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_report(generator: Generator, dataset: Dataset, report: Report) -> None:
    again = evaluate(generator, dataset.folder, samples=4)
    assert again.but(seconds=0) == report.but(seconds=0)
    other = evaluate(generator, dataset.folder, samples=4, seed=1)
    assert other.blocks != report.blocks
    assert other.bits_per_byte == report.bits_per_byte


def test_a_report_survives_its_file(report: Report, tmp_path: Path) -> None:
    written = write(report, tmp_path)
    assert Report.read(tmp_path).but(written=()) == report.but(written=())
    assert [Path(path).name for path in written.written] == [PAGE, CARD, JSON]
    json.loads((tmp_path / JSON).read_text(encoding="utf-8"))
    (tmp_path / JSON).write_text("{}", encoding="utf-8")
    with pytest.raises(DaedalError, match="not an evaluation report"):
        Report.read(tmp_path)


def test_a_run_keeps_its_report_with_the_curve_and_the_plan(run: Path) -> None:
    report = Report.read(run)
    assert report.plan is not None
    assert report.plan["steps"] == 12
    assert report.curve is not None
    assert report.curve.train[-1][0] == report.curve.validation[-1][0] == 12
    assert report.model.name == "run"
    page = (run / PAGE).read_text(encoding="utf-8")
    assert 'class="validation"' in page
    for baseline in report.baselines:
        assert baseline.name in page


def test_numbers_of_other_data_do_not_take_the_place_of_the_runs_own(run: Path, tmp_path: Path) -> None:
    card = (run / CARD).read_text(encoding="utf-8")
    text = tmp_path / "other.txt"
    text.write_text("the lazy fox jumps over brown dogs. " * 20, encoding="utf-8")
    report = evaluate(run, text)
    assert report.data.name == "other.txt"
    assert report.data.bytes == 720
    assert not report.written
    assert (run / CARD).read_text(encoding="utf-8") == card
    # The baselines still learn from what the model learned from
    assert "5-gram" in {each.name for each in report.baselines}


def test_data_in_other_tokens_is_encoded_anew(generator: Generator, dataset: Dataset, tmp_path: Path) -> None:
    source = dataset.manifest.sources[0].source
    other = build([source], tmp_path / "bytes", BuildOptions(codec="byte", split=(80, 20, 0), near_duplicates="off"))
    report = evaluate(generator, other.folder, samples=0)
    same = evaluate(generator, dataset.folder, samples=0)
    assert report.data.bytes == same.data.bytes
    assert report.bits_per_byte.value == pytest.approx(same.bits_per_byte.value, rel=1e-6)


def test_where_later_steps_overfit_is_told_wherever_the_report_is_read(report: Report) -> None:
    curve = Curve(name="bits_per_byte", train=((8, 2.0), (24, 1.0)), validation=((8, 2.0), (16, 1.5), (24, 1.9)))
    told = report.but(plan={"keep": "best"}, curve=curve)
    line = "best at step 16 (1.500 bits per byte); later steps overfit (1.900 at step 24); those weights are saved"
    console = Console(width=200, file=io.StringIO())
    console.print(render(told))
    assert line in console.file.getvalue()  # type: ignore[attr-defined]
    assert all(line in written for written in (told.summary(), model_card(told), report_page(told)))
    assert report.overfitting is None


def test_the_card_opens_on_the_hub(report: Report, tmp_path: Path) -> None:
    for each in (report, hostile()):
        card = model_card(each)
        _, header, body = card.split("---\n", 2)
        values = yaml.safe_load(header)
        assert values["pipeline_tag"] == "text-generation"
        assert values["library_name"] == "transformers"
        assert values["model-index"][0]["name"] == each.model.name
        metric = values["model-index"][0]["results"][0]["metrics"][0]
        assert metric["value"] == pytest.approx(each.bits_per_byte.value, rel=1e-5)
        assert f"**{each.bits_per_byte.value:.3f} bits per byte**" in body
    body = model_card(hostile()).split("---\n", 2)[2]
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", body, flags=re.M | re.S)
    assert len(outside) < len(body)
    assert not re.search(r"(?<!\\)<script", outside)
    assert not re.search(r"(?<!\\)\]\(http", outside)
    assert "\n# title" not in outside


def test_the_card_of_an_own_architecture_does_not_promise_transformers() -> None:
    card = model_card(hostile().but(presentation=presentation("swift", 1)))
    assert "AutoModelForCausalLM" not in card
    assert "library_name" not in card


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    page = report_page(hostile())
    elements = Elements(page)
    assert not elements.tags & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "a",
        "image",
        "use",
        "foreignobject",
    }
    assert not [name for name, _ in elements.attributes if name.startswith("on") or name in ("src", "href", "srcset")]
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert "\x1b" not in page
    assert "default-src 'none'" in page


def test_the_terminal_shows_every_predictor_and_no_control_characters(report: Report) -> None:
    for each in (report, hostile()):
        console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(render(each))
        text = console.export_text()
        assert "bits per byte" in text
        assert "\x1b" not in text
        assert "\x1b" not in each.summary()
    assert "5-gram" in report.summary()


def test_numbers_beside_four_baselines_keep_to_the_line() -> None:
    share = hostile().measurements[0].but(unit="of prompts", value=1.0, interval=(2.8e-17, 0.2991), better="neither")
    names = ("true clips", "through its tokens", "shuffled frames", "frozen")
    report = hostile().model_copy(update={
        "measurements": tuple(share.but(name=name) for name in ("overall, held-out pairs", "precision-motion network")),
        "baselines": tuple(Baseline(name=name, why="", measurements=(share,)) for name in names), "blocks": (),
    })  # fmt: skip
    console = Console(width=100, file=io.StringIO())
    console.print(render(report))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    table = lines[next(at for at, line in enumerate(lines) if "measurement" in line) :]
    assert max(map(len, lines)) <= 100
    assert not any("…" in line or "e-17" in line for line in table)
    assert any(line.split()[-5:] == ["0.299", "1", "1", "1", "1"] for line in table)
    assert any("↔" in line for line in table)


def test_one_of_a_unit_is_told_in_the_singular() -> None:
    copy = hostile().measurements[0].but(name="longest copy", unit="chords", interval=None)
    assert [copy.but(value=each).shown() for each in (1.0, 2.0)] == ["1 chord", "2 chords"]
    assert copy.but(value=1.0, unit="of prompts").shown() == "1 of prompts"


def test_every_renderer_shows_every_block() -> None:
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, format="PNG")
    copies = hostile().measurements[0].but(name="copies", definition=define("copies", 1))
    report = hostile().model_copy(update={
        "files": {"sheet.png": pixel.getvalue()},
        "blocks": (
            Ranking(quantity="bits-per-byte", of="Bits of it"), Note(brief="a note"), Numbers(measurements=(copies,)),
            Sheet(title="Sheet", says="what is on it", file="sheet.png"),
            Table(title="Table", says="of rows", head=("name", "share"), rows=(("one", 0.25),)),
            Table(title="Long", says="of many rows", head=("name",), rows=(("many",),), brief="in short"),
            Texts(title="Texts", says="how", texts=(Sample(prompt="Once ", text="upon a time", copied="upon"),)),
        ),
    })  # fmt: skip
    console = Console(width=200, file=io.StringIO())
    console.print(render(report))
    terminal = console.file.getvalue()  # type: ignore[attr-defined]
    card, page = model_card(report), report_page(report)
    for shown in (terminal, card, page):
        assert all(said in shown for said in ("A note.", "copies", "this model", "share", "0.250", "Table", "of rows"))
    assert '<th>name</th><th class="number">share</th>' in page, "a head stands over its numbers"
    assert all("In short." in shown for shown in (terminal, card))
    assert "Once upon a time" in terminal
    assert "Once upon a time" in card
    assert "<b>Once </b><mark>upon</mark> a time" in page
    assert "many" in page
    assert "![Sheet](sheet.png)" in card
    assert page.count('src="data:image/png;base64,') == 1


def test_a_curve_of_one_point_or_none_is_drawn() -> None:
    assert curve((), (), [], "") == ""
    assert "svg" in curve(((1, 2.0),), (), [], "")
    assert "svg" in curve(((0, 2.0),), ((0, 2.0),), [("gzip", 2.0)], "")


def test_progress_goes_from_nothing_to_all(generator: Generator, dataset: Dataset) -> None:
    seen: list[float] = []
    evaluate(
        generator, dataset.folder, samples=2, progress=lambda done, total, doing="": seen.append(done / (total or 1))
    )
    assert seen[0] == 0
    assert seen[-1] == 1
    assert seen == sorted(seen)


def test_the_expected_time_is_of_the_right_size(generator: Generator, dataset: Dataset) -> None:
    assert 0.5 < expected_seconds(TextSubject.of(generator.model, dataset)) < 20


def test_any_file_that_data_build_reads_can_be_measured(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
    (tmp_path / "page.md").write_text("# three", encoding="utf-8")
    assert sorted(read_texts(tmp_path).texts) == ["# three", "one", "two"]


def test_text_is_measured_as_data_build_would_read_it_and_what_was_replaced_is_told(
    generator: Generator, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text("<nav><a href=x>Menu</a></nav><article><p>The page.</article>")
    (tmp_path / "in" / "b.txt").write_bytes("one\r\ntwo ö".encode()[:-1])
    (tmp_path / "in" / "c.jsonl").write_text('{"text": "three"}\n{"text": "cut')
    report = evaluate(generator, tmp_path / "in", samples=0)
    assert sorted(read_texts(tmp_path / "in").texts) == ["The page.", "one\ntwo \ufffd", "three"]
    told = " / ".join(report.data.notes)
    assert "became U+FFFD: 1 in in/b.txt" in told
    assert "1 left out: broken JSON line, as in/c.jsonl: line 2" in told
    shown = Console(width=120)
    with shown.capture() as printed:
        shown.print(render(report))
    assert "became U+FFFD: 1 in in/b.txt" in printed.get()


def test_what_cannot_be_measured_is_told(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 40)
    for name, message in (("empty.txt", "no text"), ("binary.txt", "no text"), ("missing.txt", "does not exist")):
        with pytest.raises(DaedalError, match=message):
            evaluate(generator, tmp_path / name)
    with pytest.raises(DaedalError, match="what to measure it on"):
        evaluate(generator)
