"""Every kind of example with columns is recognised, built, opened, shown, and goes on after a stop; each reads its layouts."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import daedal
from built import every
from command_line import TINY, mistake
from command_line import daedal as command
from daedal.data import card_html, open_data, render_card
from daedal.data.chat_exports import chats_in, is_export
from daedal.data.conversations import open_stream
from daedal.data.dialogues import conversation_of
from daedal.data.examples import ExampleDataset
from daedal.data.kind import open_kind
from daedal.data.recognition import recognise
from daedal.data.rows import Whole
from daedal.errors import DaedalError
from daedal.kinds import table
from daedal.models.model import IGNORE
from kind_examples import MADE, sentence

KINDS = pytest.mark.parametrize("kind", sorted(MADE))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ExampleDataset]:
    """The data of a kind, built once."""
    folder = tmp_path_factory.mktemp("kinds")

    sources: dict[str, Path] = {}

    def build(kind: str) -> ExampleDataset:
        if kind not in sources:
            (folder / kind).mkdir()
            (folder / kind / "in").mkdir()
            sources[kind] = MADE[kind](folder / kind / "in")
        opened = daedal.build_data([sources[kind]], folder / kind / "out", workers=1)
        assert isinstance(opened, ExampleDataset)
        return opened

    return build


def build(folder: Path, sources: Any, **options: Any) -> ExampleDataset:
    opened = daedal.build_data(
        sources if isinstance(sources, list) else [sources], folder / "out", workers=1, **options
    )
    assert isinstance(opened, ExampleDataset)
    return opened


def read_all(data: ExampleDataset) -> None:
    split = data.split("train")
    for name, record in data.manifest.columns.items():
        split.values(name)
        if record.stored == "ragged":
            list(split.ragged(name))
        elif record.stored in ("classes", "numbers"):
            getattr(split, record.stored)(name)


def shown(data: ExampleDataset) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(render_card(data))
    return console.file.getvalue()  # type: ignore[attr-defined]


# -- all kinds ---------------------------------------------------------------------------------------------------------


def test_every_kind_with_columns_is_tried_here() -> None:
    assert {*MADE, "text", "pictures"} == set(table())


@KINDS
def test_it_is_recognised_and_told(kind: str, built: Callable[[str], ExampleDataset]) -> None:
    data = built(kind)
    assert data.manifest.kind == kind
    assert data.manifest.notes[0].startswith(f"guessed: {kind}, ")
    assert all(data.manifest.splits[name].examples for name in ("train", "validation", "test"))


@KINDS
def test_the_same_request_opens_what_is_there(kind: str, built: Callable[[str], ExampleDataset]) -> None:
    data = built(kind)
    before = {path.name: path.stat().st_mtime_ns for path in data.folder.iterdir()}
    assert built(kind).fingerprint == data.fingerprint
    assert {path.name: path.stat().st_mtime_ns for path in data.folder.iterdir()} == before


@KINDS
def test_its_columns_open_as_they_were_read(kind: str, built: Callable[[str], ExampleDataset]) -> None:
    data = built(kind)
    split = data.split("train")
    for name, column in data.kind.columns.items():
        values = split.values(name)
        assert len(values) == len(split)
        if not data.has(name):
            assert column.omissible
            assert set(values) == {None}
            continue
        record = data.manifest.columns[name]
        if record.stored == "ragged":
            rows = split.ragged(name)
            assert len(rows) == len(split)
            encoded = data.codec(str(record.codec)).encode([value for value in values if value is not None])
            assert np.array_equal(np.concatenate(list(rows)), encoded.ids)
        elif record.stored == "classes":
            assert [record.names[number] for number in split.classes(name)] == values
        elif record.stored == "numbers":
            assert split.numbers(name).tolist() == values
        assert all(value is not None for value in values) or column.optional


@KINDS
def test_its_card_shows_on_a_terminal_and_as_a_page(kind: str, built: Callable[[str], ExampleDataset]) -> None:
    data = built(kind)
    card, page = shown(data), card_html(data)
    for word in ("Splits", "train", "Duplicates", f"guessed: {kind}"):
        assert word in card
        assert word in page
    assert command("data", "show", data.folder).code == 0


@KINDS
def test_workers_and_their_number_change_nothing(
    kind: str, built: Callable[[str], ExampleDataset], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    again = daedal.build_data([MADE[kind](tmp_path / "in")], tmp_path / "out", workers=2)
    assert again.fingerprint == built(kind).fingerprint


@KINDS
@pytest.mark.parametrize("stage", ["deduplicate", "learn codec", "encode", "write"])
def test_a_build_that_was_stopped_goes_on_to_the_same_data(
    kind: str, stage: str, built: Callable[[str], ExampleDataset], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = MADE[kind](tmp_path / "in")

    def stop(at: str, done: int, total: int | None) -> None:
        if at == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        daedal.build_data([source], tmp_path / "out", workers=1, progress=stop)
    assert not (tmp_path / "out").exists()
    assert daedal.build_data([source], tmp_path / "out", workers=1).fingerprint == built(kind).fingerprint


@KINDS
def test_a_damaged_folder_is_told_in_a_line(kind: str, built: Callable[[str], ExampleDataset], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = build(tmp_path, MADE[kind](tmp_path / "in"))
    for path in sorted(data.folder.glob("train.*")):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DaedalError, match=r"damaged|does not fit|missing"):
            read_all(ExampleDataset.open(data.folder))
        path.write_bytes(whole)


@KINDS
def test_no_family_learns_what_it_cannot(kind: str, built: Callable[[str], ExampleDataset], tmp_path: Path) -> None:
    data = built(kind)
    if kind != "sounds":  # whose frames are pictures to it
        assert f"holds {kind}" in mistake(
            "train", "vae", "--data", data.folder, "--out", tmp_path / "run", "--steps", "2"
        )
    if kind != "chat":
        assert f"holds {kind}" in mistake(
            "train", "gpt", "--data", data.folder, "--out", tmp_path / "run", "--steps", "2"
        )
    assert not (tmp_path / "run").exists()


# -- recognition -------------------------------------------------------------------------------------------------------


def test_numbers_without_text_are_no_kind(tmp_path: Path) -> None:
    matrices = {split: [[[0.5, 1.25, -3.75], [2.5, 0.125, 8.5]] * 20] for split in ("train", "valid", "test")}
    (tmp_path / "matrices.json").write_text(json.dumps(matrices))
    line = mistake("data", "build", tmp_path / "matrices.json", "--out", tmp_path / "out")
    assert "no kind of example is this" in line
    assert "text, pictures, labelled" in line
    assert not (tmp_path / "out").exists()
    assert daedal.build_data([tmp_path / "matrices.json"], tmp_path / "out", kind="text", split=(100, 0, 0))


def test_what_may_be_two_kinds_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from daedal.data.kinds import chat, pairs

    for module in (chat, pairs):
        monkeypatch.setattr(module, "KIND", replace(module.KIND, recognise=lambda sources: 0.8))
    (tmp_path / "a.jsonl").write_text('{"note": "A meadow in the morning"}\n' * 3)
    assert "may be pairs or chat. Say which it is with --kind" in mistake(
        "data", "build", tmp_path / "a.jsonl", "--out", tmp_path / "out"
    )


def test_a_kind_can_be_said(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": row % 2} for row in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert build(tmp_path, tmp_path / "a.jsonl").manifest.kind == "labelled"
    assert daedal.build_data([tmp_path / "a.jsonl"], tmp_path / "text", kind="text").manifest.format == "daedal-data"
    assert "There is no kind of example called 'tales'" in mistake(
        "data", "build", tmp_path / "a.jsonl", "--kind", "tales", "--out", tmp_path / "no"
    )


def test_columns_that_are_named_say_the_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Rezension;empfohlen\n" + "".join(f"{sentence(n)};ja{n % 2}\n" for n in range(30)))
    named = "--column", "text=Rezension", "--column", "label=empfohlen"
    command("data", "build", tmp_path / "a.csv", *named, "--out", tmp_path / "out")
    assert open_data(tmp_path / "out").manifest.kind == "labelled"
    assert "Say --kind" in mistake("data", "build", tmp_path / "a.csv", "--column", "no=a", "--out", tmp_path / "no")
    line = mistake("data", "build", tmp_path / "a.csv", "--kind", "labelled", "--out", tmp_path / "no")
    assert "(Rezension, empfohlen): --column text=NAME and --column label=NAME choose" in line


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "text": "A meadow."}, {"id": 2, "text": "A harbour."}],
        [{"text": sentence(row), "title": sentence(row, 2)} for row in range(30)],
        [{"text": sentence(row), "category": f"c{row}"} for row in range(30)],
    ],
)
def test_rows_of_text_without_classes_stay_text(rows: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = daedal.build_data([tmp_path / "a.jsonl"], tmp_path / "out", split=(100, 0, 0))
    assert data.manifest.format == "daedal-data"


def test_what_looks_like_another_kind_stays_text(tmp_path: Path) -> None:
    files = {
        "server.txt": [f"2021-03-12 10:{row:02d}:22 INFO server: {sentence(row)}" for row in range(30)],
        "worker.txt": [f"[2021-03-12 10:{row:02d}:22] worker-{row % 2}: {sentence(row)}" for row in range(30)],
        "tasks.jsonl": [json.dumps({"id": f"t{row}", "is_class": False, "text": sentence(row)}) for row in range(30)],
        "choices.jsonl": [
            json.dumps({"question": sentence(row), "choice1": "a b", "choice2": "c d", "label": row % 2})
            for row in range(30)
        ],
    }
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines))
        assert recognise(tmp_path / name, {}) == "text", name
    (tmp_path / "docs").mkdir()
    for language, lines in (("en", 3), ("de", 4)):
        (tmp_path / "docs" / f"guide.{language}.md").write_text(f"{sentence(1)}\n" * lines)
    assert recognise(tmp_path / "docs", {}) == "text"


def test_reviews_of_things_are_asked_about(tmp_path: Path) -> None:
    rows = [
        {
            "rating": row % 5,
            "text": sentence(row),
            "parent_asin": f"B{row % 9}",
            "user_id": f"A{row % 7}",
            "timestamp": row,
        }
        for row in range(60)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DaedalError, match="may be labelled or histories"):
        recognise(tmp_path / "a.jsonl", {})


def test_a_broken_kind_of_another_package_stops_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal import kinds

    broken = {"gone": "no_such_module:KIND", "none": "json:dumps"}
    lines = {name: kinds.Line((name, name), home, "") for name, home in broken.items()}
    for module in ("daedal.data.recognition", "daedal.data.kind"):
        monkeypatch.setattr(f"{module}.table", lambda: {**lines, **kinds.BUILT_IN})
    (tmp_path / "a.txt").write_text(sentence(1))
    with pytest.warns(UserWarning, match="passed over"):
        assert recognise(tmp_path / "a.txt", {}) == "text"
    with pytest.raises(DaedalError, match="The kind none cannot be opened"):
        open_kind("none")


def test_columns_that_are_not_there_are_refused_by_every_kind(
    built: Callable[[str], ExampleDataset], tmp_path: Path
) -> None:
    asked = {"preferences": "chosen=nope", "pairs": "source=nope"}
    for kind, column in asked.items():
        (tmp_path / kind).mkdir()
        with pytest.raises(DaedalError, match="nope"):
            build(tmp_path, MADE[kind](tmp_path / kind), kind=kind, column=(column,))
    rows = [{"question": "q", "context": "c", "answers": {"text": [], "answer_start": []}}]
    (tmp_path / "q.jsonl").write_text(json.dumps(rows[0]))
    with pytest.raises(DaedalError, match="has no column 'nope'"):
        build(tmp_path, tmp_path / "q.jsonl", kind="questions", column=("question=nope",))


def test_a_test_file_of_another_kind_is_refused_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "A meadow"}) + "\n")
    with pytest.raises(DaedalError, match="There is no conversation in"):
        build(tmp_path, MADE["chat"](tmp_path / "in"), test=(str(tmp_path / "a.jsonl"),))


def test_an_option_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = MADE["pairs"](tmp_path / "in")
    assert "--size is for pictures" in mistake("data", "build", source, "--out", tmp_path / "out", "--size", "32")
    assert "min_items" in mistake("data", "build", source, "--out", tmp_path / "out", "--set", "min_items=3")
    assert "write it as text=review" in mistake("data", "build", source, "--out", tmp_path / "out", "--column", "x")


# -- labelled ----------------------------------------------------------------------------------------------------------


def test_splits_of_the_source_are_kept_or_drawn_anew(built: Callable[[str], ExampleDataset], tmp_path: Path) -> None:
    data = built("labelled")
    assert [data.manifest.splits[name].examples for name in ("train", "validation", "test")] == [40, 8, 8]
    assert data.manifest.split_by == "given"
    (tmp_path / "in").mkdir()
    anew = build(tmp_path, MADE["labelled"](tmp_path / "in"), split=(50, 25, 25))
    assert [anew.manifest.splits[name].examples for name in ("train", "validation", "test")] == [28, 14, 14]
    assert any("drawn anew" in note for note in anew.manifest.notes)
    halves = anew.split("test").classes("label")
    assert (halves == 0).sum() == (halves == 1).sum() == 7  # each class has its share


def test_columns_are_found_by_name_or_said(tmp_path: Path) -> None:
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["id", "Review Text", "Stars", "wit"])
        writer.writerows([row, sentence(row), 1 + row % 3, "yes" if row % 4 else "no"] for row in range(60))
    data = build(tmp_path, tmp_path / "reviews.csv")
    assert data.classes("label") == ("1", "2", "3")
    assert any("text from 'Review Text', label from 'Stars'" in note for note in data.manifest.notes)
    said = daedal.build_data([tmp_path / "reviews.csv"], tmp_path / "wit", column=("label=wit",))
    assert said.classes("label") == ("no", "yes")
    assert "has no column 'mood'" in mistake(
        "data", "build", tmp_path / "reviews.csv", "--column", "label=mood", "--out", tmp_path / "no"
    )


def test_folders_are_classes(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            (tmp_path / "imdb" / split / label).mkdir(parents=True)
            for number in range(6):
                text = f"{sentence(number)} {split} {label}"
                (tmp_path / "imdb" / split / label / f"{number}.txt").write_text(text)
    (tmp_path / "imdb" / "README.md").write_text("Reviews.")
    data = build(tmp_path, tmp_path / "imdb")
    assert data.classes("label") == ("neg", "pos")
    assert data.manifest.splits["test"].examples == 12
    assert {value.split()[-1] for value in data.split("test").values("text")} == {"neg", "pos"}


def test_a_class_may_be_of_two_texts(tmp_path: Path) -> None:
    rows = [{"premise": sentence(row), "hypothesis": sentence(row + 50), "label": row % 3} for row in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl")
    assert (sentence(0), sentence(50)) in zip(every(data, "text"), every(data, "text_b"), strict=True)
    assert any("text from 'premise' and text_b from 'hypothesis'" in note for note in data.manifest.notes)
    alone = build(tmp_path / "alone", tmp_path / "a.jsonl", kind="labelled", column=("text=premise",))
    assert not alone.has("text_b")
    assert set(every(alone, "text_b")) == {None}


def test_tables_without_names_and_tests_without_classes_are_labelled(tmp_path: Path) -> None:
    for split, begin in (("train", 0), ("dev", 100)):
        lines = [f"gj04\t{row % 2}\t{'*' if row % 2 else ''}\t{sentence(begin + row)}" for row in range(40)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.tsv").write_text("\n".join(["index\tsentence", *(f"{row}\t{sentence(row)}" for row in range(9))]))
    data = build(tmp_path, [tmp_path / f"{split}.tsv" for split in ("train", "dev", "test")])
    assert data.manifest.kind == "labelled"
    assert data.classes("label") == ("0", "1")
    assert every(data, "text")[0].endswith("number 0")
    assert [each.count for each in data.manifest.dropped] == [9]


def test_classes_that_train_lacks_and_lists_are_told(tmp_path: Path) -> None:
    for split, classes in (("train", 2), ("test", 3)):
        rows = [{"text": f"{split} {sentence(row)}", "label": [row % classes]} for row in range(40)]
        rows.append({"text": "A text", "label": {"a": 1}})  # type: ignore[dict-item]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, [tmp_path / f"{split}.jsonl" for split in ("train", "test")], kind="labelled")
    assert data.classes("label") == ("0", "1")
    assert any("13 held-out texts have a label that train lacks ('2')" in note for note in data.manifest.notes)
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no label", 2)]


def test_what_a_class_lacks_is_said(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": "a"} for row in range(40)]
    rows += [{"text": sentence(1), "label": "b"}, {"text": sentence(99), "label": "b"}, {"text": "", "label": "a"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl", kind="labelled", near_duplicates="off")
    assert any("1 texts have more than one class" in note for note in data.manifest.notes)
    assert any("very different size: 'a' has 40 texts, 'b' 2" in note for note in data.manifest.notes)
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no text", 1)]


# -- pairs -------------------------------------------------------------------------------------------------------------


def test_halves_stay_together(built: Callable[[str], ExampleDataset]) -> None:
    data = built("pairs")
    for source, target in zip(every(data, "source"), every(data, "target"), strict=True):
        assert (source[:3], source[3:]) == ("de ", target[3:])
    assert list(data.manifest.codecs) == ["text"]  # both sides share it
    assert [data.manifest.splits[name].examples for name in ("train", "validation", "test")] == [40, 6, 6]


def test_either_language_may_be_the_source(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = build(tmp_path, MADE["pairs"](tmp_path / "in"), column=("source=en",))
    assert data.split("train").values("source")[0].startswith("en ")


def test_halves_of_different_length_are_lost_and_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = MADE["pairs"](tmp_path / "in")
    (source / "more.de").write_text("eins\nzwei\n")
    (source / "more.en").write_text("one\n")
    dropped = build(tmp_path, source).manifest.dropped
    assert [(each.reason, each.count) for each in dropped] == [("halves that do not fit", 1)]
    assert "have 2 and 1 lines" in dropped[0].examples[0]


def test_lines_end_as_they_may_and_a_third_language_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for code, end in (("de", "\r\n"), ("en", "\n"), ("fr", "\n")):
        text = "".join(f"{code} {sentence(row)}{end}" for row in range(40)) + (end if code == "en" else "")
        (tmp_path / "in" / f"x.{code}").write_bytes(text.encode("utf-8-sig"))
    data = build(tmp_path, tmp_path / "in")
    assert data.manifest.kind == "pairs"
    assert all(side.startswith("de ") and not side.endswith("\n") for side in every(data, "source"))
    assert [each.examples for each in data.manifest.dropped] == [
        ("in/x.fr: --column source=LANGUAGE and target=LANGUAGE choose",)
    ]
    other = build(tmp_path / "other", tmp_path / "in", column=("source=fr", "target=de"))
    assert every(other, "source")[0].startswith("fr ")


def test_halves_in_an_archive_are_pairs_whatever_their_languages_are_called(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pt_BR-zh.zip", "w") as archive:
        archive.writestr("LICENSE", "free")
        archive.writestr("README", "a corpus")
        for code in ("pt_BR", "zh-Hans"):
            archive.writestr(f"Books.pt-zh.{code}", "".join(f"{code} {sentence(row)}\n" for row in range(40)))
    data = build(tmp_path, tmp_path / "pt_BR-zh.zip")
    assert data.manifest.kind == "pairs"
    sides = zip(every(data, "source"), every(data, "target"), strict=True)
    assert all(one.removeprefix("pt_BR") == other.removeprefix("zh-Hans") for one, other in sides)


def test_rows_and_tmx_are_pairs(tmp_path: Path) -> None:
    rows = [{"translation": {"en": f"en {sentence(row)}", "fr": f"fr {sentence(row)}"}} for row in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert every(build(tmp_path, tmp_path / "a.jsonl"), "target")[0].startswith("fr ")
    del rows[0]["translation"]["fr"]  # the others still say what the two languages are
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = daedal.build_data([tmp_path / "b.jsonl"], tmp_path / "b")
    assert sum(len(data.split(name)) for name in data.manifest.splits) == 29
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>en {sentence(row)}</seg></tuv>'
        f'<tuv xml:lang="pl"><seg>pl <b>{sentence(row)}</b></seg></tuv></tu>'
        for row in range(30)
    )
    (tmp_path / "memory.tmx").write_text(f'<?xml version="1.0"?><tmx version="1.4"><body>{units}</body></tmx>')
    data = daedal.build_data([tmp_path / "memory.tmx"], tmp_path / "tmx")
    assert data.manifest.kind == "pairs"
    assert data.split("train").values("target")[0].startswith("pl ")
    bomb = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tmx><body><tu/></body></tmx>'
    (tmp_path / "bomb.tmx").write_text(bomb)
    assert "entities" in mistake("data", "build", tmp_path / "bomb.tmx", "--kind", "pairs", "--out", tmp_path / "bomb")


# -- questions ---------------------------------------------------------------------------------------------------------


def test_answers_stand_where_they_are_said_to(built: Callable[[str], ExampleDataset]) -> None:
    data = built("questions")
    asked = 0
    for context, answers in zip(every(data, "context"), every(data, "answers"), strict=True):
        for text, start in zip(answers["text"], answers["start"], strict=True):
            assert context[start : start + len(text)] == text
            asked += 1
    assert asked == 24
    assert any("24 have no answer" in note for note in data.manifest.notes)


def test_answers_that_are_elsewhere_than_said_are_counted(tmp_path: Path) -> None:
    paragraphs = []
    for number in range(40):
        context = f"Ä {sentence(number)} stands in Grüntal."
        start = [context.index("Grüntal"), len(context[: context.index("Grüntal")].encode()), -3, "4", 10**30][
            number % 5
        ]
        asked = {"question": f"Where is {number}?", "answers": [{"text": "Grüntal", "answer_start": start}]}
        paragraphs.append({"context": context, "qas": [asked]})
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    data = build(tmp_path, tmp_path / "a.json")
    assert any("32 answers of a.json are not where it says" in note for note in data.manifest.notes)
    for name in data.manifest.splits:
        for context, found in zip(data.split(name).values("context"), data.split(name).values("answers"), strict=True):
            assert context[found["start"][0] :].startswith("Grüntal")


def test_answers_may_be_texts_alone(tmp_path: Path) -> None:
    rows = [
        {"question": f"What of {n}?", "context": f"{sentence(n)} is red and blue.", "answers": ["red", "blue"]}
        for n in range(30)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl", kind="questions")
    assert every(data, "answers")[0]["text"] == ["red", "blue"]


def test_questions_about_one_text_alone_cannot_be_split_and_say_why(tmp_path: Path) -> None:
    rows = [{"question": f"What of {row}?", "context": "It is red.", "answers": "red"} for row in range(20)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DaedalError, match="20 questions, all copies of one or with one context"):
        build(tmp_path, tmp_path / "a.jsonl", kind="questions")


def test_questions_about_one_text_are_in_one_split(built: Callable[[str], ExampleDataset]) -> None:
    data = built("questions")
    contexts = [set(data.split(name).values("context")) for name in ("train", "validation", "test")]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 24


def test_squad_with_broken_parts_is_read_but_for_them(tmp_path: Path) -> None:
    good = [
        {"context": f"In {sentence(row)}", "qas": [{"question": sentence(row), "answers": []}]} for row in range(30)
    ]
    bad: list[Any] = [
        5,
        None,
        {"qas": [1, None]},
        {"context": 5, "qas": [{"question": "a", "answers": [{"text": "b"}]}]},
    ]
    bad.append({"context": "abc", "qas": [{"question": "q", "answers": {"text": ["abc"], "answer_start": 7}}]})
    articles = [{"paragraphs": good + bad}, {"paragraphs": 5}]
    (tmp_path / "a.json").write_text(json.dumps({"data": articles}))
    data = build(tmp_path, tmp_path / "a.json")
    assert len(every(data, "question")) == 31
    assert {"text": ["abc"], "start": [0]} in every(data, "answers")


def test_answers_move_with_their_text_and_those_outside_are_left_out(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"What is it, {row}?", "context": f"First.\r\n\r\nIt is {sentence(row)}.",
            "answers": {"text": ["It is"], "answer_start": [10]},
        }
        for row in range(30)
    ]  # fmt: skip
    rows.append({"question": "Where?", "context": "Here.", "answers": {"text": ["elsewhere"], "answer_start": [0]}})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl")
    assert {start for answers in every(data, "answers") for start in answers["start"]} == {8}
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [
        ("an answer that is not in its context", 1)
    ]


# -- conversations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}, "user:Hi assistant:Yes"),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes"}]}, "user:Hi assistant:Yes"),
        ({"instruction": "Add", "input": "1 2", "output": "3"}, "user:Add\n1 2 assistant:3"),
        ({"instruction": "Add", "input": "", "output": "3"}, "user:Add assistant:3"),
        (
            {"instruction": "B", "input": "", "output": "C", "system": "S", "history": [["x", "y"]]},
            "system:S user:x assistant:y user:B assistant:C",
        ),
        ({"prompt": "Hi", "completion": "Yes"}, "user:Hi assistant:Yes"),
        (
            {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Yes"}]},
            "user:Hi assistant:Yes",
        ),
        ({"question": "Hi", "answer": "Yes"}, "user:Hi assistant:Yes"),
        ({"messages": '[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]'}, "user:Hi"),
        ({"chat": "\n\nHuman: Hi\n\nAssistant: Yes"}, "user:Hi assistant:Yes"),
        ({"text": "Hi"}, None),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, None),
        ({"messages": []}, None),
        ({"prompt": "Hi"}, None),
    ],
)  # fmt: skip
def test_conversations_are_known_in_all_their_forms(row: dict[str, Any], said: str | None) -> None:
    found = conversation_of(row)
    spoken = found and " ".join(f"{each['role']}:{each['content']}" for each in found["messages"])
    assert spoken == said


def test_only_what_the_assistant_says_is_learned(built: Callable[[str], ExampleDataset]) -> None:
    data = built("chat")
    column, values = data.split("train").ragged("conversation"), data.split("train").values("conversation")
    codec = data.codec("chat").codec  # type: ignore[attr-defined]
    assert column.learned is not None
    for place, value in enumerate(values):
        begin, end = column.borders[place], column.borders[place + 1]
        ids, learned = column.ids[begin:end], column.learned[begin:end]
        answers = "".join(f"{each['content']}\n" for each in value["messages"] if each["role"] == "assistant")
        assert codec.decode(ids[learned]) == answers
        end_of_turn = codec.encode("<|im_end|>", special=True)[0]
        assert (ids[learned] == end_of_turn).sum() == 1
        assert not learned[ids == codec.eos_id].any()


def test_windows_of_conversations_have_targets_where_there_is_something_to_learn(
    built: Callable[[str], ExampleDataset],
) -> None:
    from daedal.data import Windows

    data = built("chat")
    split = open_stream(data.folder).split("train")
    inputs, targets = Windows(split, 16, seed=3).batch(0, 40)
    column = data.split("train").ragged("conversation")
    assert column.learned is not None
    for row, start in enumerate(Windows(split, 16, seed=3).starts(0, 40)):
        learned = column.learned[start + 1 : start + 17]
        assert np.array_equal(targets[row] != IGNORE, learned)
        assert np.array_equal(targets[row][learned], column.ids[start + 1 : start + 17][learned])
        assert np.array_equal(inputs[row], column.ids[start : start + 16])


@pytest.mark.parametrize("calls", ["junk", [1], {}, [{"function": None}], [{"function": {"arguments": {}}}]])
def test_calls_that_are_none_are_no_conversation(calls: Any) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": calls}]
    assert conversation_of({"messages": turns}) is None


def test_tools_are_kept_and_taught(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}

    def call(row: int) -> dict[str, Any]:
        return {"type": "function", "function": {"name": "weather", "arguments": f'{{"city": {row}}}'}}

    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Weather in {sentence(row, 1)}?"},
                {"role": "assistant", "content": None, "tool_calls": [call(row)]},
                {"role": "tool", "content": "rain"},
                {"role": "assistant", "content": "It rains."},
            ],
            "tools": [tool],
        }
        for row in range(30)
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl")
    column = data.split("train").ragged("conversation")
    codec = data.codec("chat").codec  # type: ignore[attr-defined]
    assert column.learned is not None
    whole = codec.decode(column[0])
    learned = codec.decode(column[0][column.learned[: column.borders[1]]])
    assert '"name": "weather"' in whole.partition("<tool_call>")[0]
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": ' in learned
    assert "It rains." in learned
    assert "rain\n" not in learned.replace("It rains.\n", "")


def test_a_gpt_learns_conversations_and_answers_in_turns(
    built: Callable[[str], ExampleDataset], tmp_path: Path
) -> None:
    data = built("chat")
    done = command("train", "gpt", "--data", data.folder, "--out", tmp_path / "run", "--steps", "6", *TINY)
    assert done.code == 0, done.err
    model = daedal.load(tmp_path / "run")
    assert not model.template.plain
    ids = model.codec.encode("<|im_end|>", special=True)
    assert set(ids) <= set(json.loads((tmp_path / "run" / "generation_config.json").read_text())["eos_token_id"])
    assert command("chat", tmp_path / "run", "--max-tokens", "5", stdin="Hello\n").code == 0


def test_chats_that_people_export_are_conversations(tmp_path: Path) -> None:
    said = "Of course, 0:\nand more in a second line\nBye"
    lines = ["12.03.21, 10:00 - Messages are end-to-end encrypted."]
    for day in range(30):
        lines += [
            f"{1 + day % 28:02d}.{1 + day // 28:02d}.21, 10:15 - Ann: {sentence(day)}?",
            f"{1 + day % 28:02d}.{1 + day // 28:02d}.21, 10:16 - Ann: <Media omitted>",
            f"{1 + day % 28:02d}.{1 + day // 28:02d}.21, 10:17 - Bob: Of course, {day}:",
            "and more in a second line",
            f"{1 + day % 28:02d}.{1 + day // 28:02d}.21, 10:18 - Bob: Bye",
        ]
    (tmp_path / "chat.txt").write_text("\n".join(lines))
    data = build(tmp_path, tmp_path / "chat.txt")
    assert data.manifest.kind == "chat"
    assert any("the assistant is 'Bob'" in note for note in data.manifest.notes)
    assert {
        "messages": [{"role": "user", "content": f"{sentence(0)}?"}, {"role": "assistant", "content": said}]
    } in every(data, "conversation")
    told = [
        {
            "type": "message",
            "date_unixtime": str(10**9 + 10**5 * (row // 2)),
            "from": "Ann" if row % 2 else "Bob",
            "text": ["Hm ", {"type": "bold", "text": sentence(row)}],
        }
        for row in range(60)
    ]
    (tmp_path / "result.json").write_text(json.dumps({"name": "Bob", "messages": told}))
    telegram = build(tmp_path / "telegram", tmp_path / "result.json", column=("assistant=Ann",))
    assert {each["messages"][1]["content"] for each in every(telegram, "conversation")} == {
        f"Hm {sentence(row)}" for row in range(1, 60, 2)
    }
    (tmp_path / "slack").mkdir()
    for day in range(30):
        rows: list[dict[str, str]] = [
            {"type": "message", "subtype": "channel_join", "user": "U3", "ts": "1.0", "text": "joined"}
        ]
        for place, user in enumerate(("U1", "U2")):
            text = f"<@U1> {sentence(day)} {place}"
            rows.append({"type": "message", "user": user, "ts": f"{10**9 + 86_400 * day}.{place}", "text": text})
        (tmp_path / "slack" / f"2021-01-{day + 1:02d}.json").write_text(json.dumps(rows))
    slack = build(tmp_path / "team", tmp_path / "slack", column=("assistant=U2",), near_duplicates="off")
    assert {tuple(each["role"] for each in one["messages"]) for one in every(slack, "conversation")} == {
        ("user", "assistant")
    }


@pytest.mark.parametrize(
    "stamp",
    [
        "[12.03.21, 10:{:02d}:22] ",
        "3/12/21, 1:{:02d}\u202fPM - ",
        "12/3/21 1:{:02d} p.\u00a0m. - ",
        "12/03/2021 à 10:{:02d} - ",
        "12.3.2021 klo 10.{:02d} - ",
        "2021/3/12 下午1:{:02d} - ",
    ],
)
def test_whatsapp_is_read_in_all_its_languages(stamp: str) -> None:
    text = "\n".join(f"{stamp.format(row)}{'Ann' if row % 2 else 'Bob'}: {sentence(row)}" for row in range(9))
    said = chats_in(Whole("chat.txt", text))[0]
    assert is_export(Whole("chat.txt", text))
    assert {each.who for each in said} == {"Ann", "Bob"}
    assert said[8].when - said[0].when == 8 * 60


def test_exports_of_several_chats_keep_them_apart(tmp_path: Path) -> None:
    chats = [
        {
            "messages": [
                {"type": "message", "date_unixtime": str(10**9 + row), "from": who, "text": sentence(chat * 9 + row)}
                for row, who in enumerate(("Ann", "Bob"))
            ]
        }
        for chat in range(30)
    ]
    (tmp_path / "result.json").write_text(json.dumps({"chats": {"list": chats}}))
    assert {len(each["messages"]) for each in every(build(tmp_path, tmp_path / "result.json"), "conversation")} == {2}
    channel = [
        {"type": "Default", "timestamp": "2021-03-12T10:15:22+00:00", "content": "Hm", "author": {"name": name}}
        for name in ("ann", "bob")
    ]
    assert [each.who for each in chats_in(Whole("d.json", "", {"messages": channel}))[0]] == ["ann", "bob"]


# -- preferences -------------------------------------------------------------------------------------------------------


def test_transcripts_are_parted_where_they_part(tmp_path: Path) -> None:
    rows = [
        {
            "chosen": f"\n\nHuman: Hi {row}\n\nAssistant: Hm?\n\nHuman: {sentence(row)}\n\nAssistant: Of course.",
            "rejected": f"\n\nHuman: Hi {row}\n\nAssistant: Hm?\n\nHuman: {sentence(row)}\n\nAssistant: No.",
        }
        for row in range(30)
    ]
    rows.append({"chosen": "\n\nHuman: Hi\n\nAssistant: Yes", "rejected": "\n\nHuman: Hi\n\nAssistant: Yes"})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl")
    assert data.manifest.kind == "preferences"
    prompt, chosen = data.split("train").values("prompt")[0], data.split("train").values("chosen")[0]
    assert [each["role"] for each in prompt] == ["user", "assistant", "user"]
    assert chosen["messages"][3:] == [{"role": "assistant", "content": "Of course."}]
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("chosen equals rejected", 1)]


def test_thumbs_are_one_side(tmp_path: Path) -> None:
    rows = [{"prompt": sentence(row), "completion": sentence(row, 3), "label": row % 2 == 0} for row in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl")
    assert data.manifest.kind == "preferences"
    chosen, rejected = every(data, "chosen"), every(data, "rejected")
    assert sum(each is not None for each in chosen) == sum(each is not None for each in rejected) == 15
    assert any("30 answers stand alone" in note for note in data.manifest.notes)


def test_answers_to_one_prompt_are_in_one_split(tmp_path: Path) -> None:
    rows = [{"prompt": sentence(row % 20), "chosen": f"yes {row}", "rejected": f"no {row}"} for row in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build(tmp_path, tmp_path / "a.jsonl", near_duplicates="off")
    prompts = [
        {each[0]["content"] for each in data.split(name).values("prompt")} for name in ("train", "validation", "test")
    ]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 20


# -- histories ---------------------------------------------------------------------------------------------------------


def test_histories_are_in_the_order_of_time_and_the_last_are_held_out(built: Callable[[str], ExampleDataset]) -> None:
    data = built("histories")
    ends = [data.split(name).numbers("last") for name in ("train", "validation", "test")]
    assert ends[0].max() < ends[1].min() <= ends[1].max() < ends[2].min()
    for items, times, user in zip(every(data, "items"), every(data, "times"), every(data, "user"), strict=True):
        assert times == sorted(times)
        assert items == [f"Film, the {(int(user) * 3 + place * 7) % 20}th (1995)" for place in (3, 2, 1, 0)]
    rows = data.split("train").ragged("items")
    codec = data.codec("items").codec  # type: ignore[attr-defined]
    assert [codec.decode(row) for row in rows] == data.split("train").values("items")


def test_what_was_not_liked_or_is_too_short_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    asked = ("--set", "min_rating=4", "--set", "min_items=2")
    done = command("data", "build", MADE["histories"](tmp_path / "in"), "--out", tmp_path / "out", *asked)
    assert done.code == 0, done.err
    data = open_data(tmp_path / "out")
    assert isinstance(data, ExampleDataset)
    assert min(rating for ratings in every(data, "ratings") for rating in ratings) >= 4
    assert any("rows are rated under 4" in note for note in data.manifest.notes)
    assert any("histories of fewer than 2 items" in note for note in data.manifest.notes)


def test_repeated_rows_and_broken_ones_are_told(tmp_path: Path) -> None:
    rows = [(user, thing, 10**9 + thing) for user in range(30) for thing in (user, user + 1)]
    lines = [f"A{user},B{thing},5.0,{time}" for user, thing, time in rows + rows[:10]]
    (tmp_path / "ratings_Books.csv").write_text("\n".join(lines))
    data = build(tmp_path, tmp_path / "ratings_Books.csv")
    assert data.manifest.kind == "histories"
    assert {len(items) for items in every(data, "items")} == {2}
    assert any("10 rows say again" in note for note in data.manifest.notes)
    head = "user,item,rating,time\n"
    lines = [f"u{user},i{thing},nan,inf\n" for user, thing, _ in rows] + [",i1,1,1\n"]
    (tmp_path / "odd.csv").write_text(head + "".join(lines))
    odd = build(tmp_path / "odd", tmp_path / "odd.csv")
    assert set(every(odd, "ratings")) == set(every(odd, "times")) == {None}
    assert any("60 rows have a time that is none" in note for note in odd.manifest.notes)
    assert [(each.reason, each.count) for each in odd.manifest.dropped] == [("no user or item", 1)]


def test_movielens_older_files_are_read(tmp_path: Path) -> None:
    lines = [
        f"{user}::{(user + place) % 9}::5::{10**9 + user * 10 + place}" for user in range(30) for place in range(3)
    ]
    (tmp_path / "ratings.dat").write_text("\n".join(lines))
    (tmp_path / "movies.dat").write_text("\n".join(f"{film}::Film {film} (1995)::Drama" for film in range(9)))
    data = build(tmp_path, [tmp_path])
    assert data.manifest.kind == "histories"
    assert all(item.endswith("(1995)") for items in every(data, "items") for item in items)
    assert sum(each.examples for each in data.manifest.splits.values()) == 30
