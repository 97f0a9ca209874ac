"""Data are audited with what is found shown masked, and cards tell what a model and its data answer for."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from command_line import daedal
from daedal import api
from daedal.data import BuildOptions, build
from daedal.data.any_build import build_any
from daedal.errors import DaedalError
from daedal.evaluation.accounts import Accounts, Risk
from daedal.evaluation.card import model_card
from daedal.evaluation.cards import card_of, write_card
from daedal.evaluation.data_audit import audit_data
from daedal.training.private import Spent

TINY: dict[str, Any] = {
    "width": 16, "depth": 1, "heads": 1, "context": 16, "batch": 4, "steps": 3, "threads": 1, "precision": "fp32",
    "device": "cpu",
}  # fmt: skip
LEAKS = (
    "Dear all, write to jane.doe@example.org or call +1 415 555 2671 about the harvest.\n",
    'token = "ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5a1B2c3"\nDB_PASSWORD=Tiger042!\n',
)
SECRETS = ("jane.doe@", "415 555", "ghp_a1B2", "Tiger042")


def tales(count: int) -> list[str]:
    return [
        f"The {number} sheep of the {number * 7 % 50} farms went up the hill {number * 13}.\n"
        for number in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "letters"
    source.mkdir()
    for number, text in enumerate([*tales(30), *LEAKS]):
        (source / f"{number}.txt").write_text(text)
    (source / "LICENSE").write_text("Attribution-NonCommercial 4.0 International\n")
    return source


def test_files_are_searched_in_all_columns_and_before_copies_are_left_out(tmp_path: Path) -> None:
    rows = [f"{n},Person {n},person{n}@corp.example.com,a customer who likes apples" for n in range(20)]
    (tmp_path / "people.csv").write_text("\n".join(["id,name,email,notes", *rows]))
    report = audit_data(tmp_path / "people.csv")
    assert report.measured("texts-with-personal-data").value == 1
    assert any("people.csv, row 1" in str(block) for block in report.blocks)
    (tmp_path / "forms").mkdir()
    letter = "\n".join(f"This is line {n} of a letter that everybody gets." for n in range(40))
    for n in range(12):
        (tmp_path / "forms" / f"{n}.txt").write_text(f"{letter}\nReply to person{n}@corp.example.com.")
    report = audit_data(tmp_path / "forms")
    found = report.measured("texts-with-personal-data")
    assert (found.value, found.n) == (1, 12)
    assert any("0.txt:41" in str(block) for block in report.blocks)
    row = {"text": "fine words about nothing", "author": {"email": "a@corp.example.com"}}
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n")
    assert audit_data(tmp_path / "log.jsonl").measured("texts-with-personal-data").value == 1


def test_files_and_built_data_are_audited_in_one_way(folder: Path, tmp_path: Path) -> None:
    data = build(folder, tmp_path / "data")
    of_files, of_data = audit_data(folder), audit_data(data.folder)
    for report in (of_files, of_data):
        assert report.measured("secrets").n == 33
        assert report.measured("texts-with-secrets").value == pytest.approx(1 / 33)
        assert report.measured("texts-with-personal-data").value == pytest.approx(1 / 33)
        assert report.measured("files-of-unknown-licence").value == 0
        assert "CC-BY-NC-4.0" in report.model_dump_json()
        assert not any(secret in report.model_dump_json() for secret in SECRETS)
    assert of_files.written == ()
    assert {Path(each).name for each in of_data.written} == {"audit.html", "audit.json"}
    page = (data.folder / "audit.html").read_text()
    assert "&lt;email&gt;" in page
    assert not any(secret in page for secret in SECRETS)


def test_labelled_texts_chats_and_pictures_are_audited(tmp_path: Path) -> None:
    rows = [{"text": text, "label": "ab"[number % 3 == 0]} for number, text in enumerate([*tales(40), LEAKS[0]])]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = audit_data(tmp_path / "rows.jsonl", "labelled")
    assert report.measured("personal-data").value > 0
    assert report.measured("largest-of-classes").value == pytest.approx(27 / 41, abs=0.03)
    answer = {"role": "assistant", "content": "Yes."}
    chats = [{"messages": [{"role": "user", "content": text}, answer]} for text in (*tales(9), LEAKS[0])]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    assert audit_data(tmp_path / "chats.jsonl", "chat").measured("texts-with-personal-data").value == pytest.approx(0.1)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(6):
        exif = Image.Exif()
        if number < 2:
            exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
        Image.new("RGB", (16, 16), (number * 40, 90, 255 - number * 40)).save(photos / f"{number}.jpg", exif=exif)
    notes = " ".join(audit_data(photos).notes)
    assert "2 of 6 files tell by EXIF where" in notes


def test_the_card_of_data_opens_on_the_hub_and_names_no_place_of_the_disk(folder: Path, tmp_path: Path) -> None:
    data = build(folder, tmp_path / "data", options=None)
    audit_data(data.folder)
    card = write_card(data.folder)
    readme = (data.folder / "README.md").read_text()
    values = yaml.safe_load(readme.split("---\n")[1])
    assert values["license"] == "cc-by-nc-4.0"
    assert values["task_categories"] == ["text-generation"]
    assert values["size_categories"] == ["n<1K"]
    assert "No commercial use: CC-BY-NC-4.0." in readme
    assert "What was found in it" in readme
    assert str(tmp_path) not in readme
    record = json.loads((data.folder / "card.json").read_text())
    assert record["of"] == "data"
    assert record["accounts"]["risks"][0]["name"] == "audit"
    assert record["fingerprint"] == data.fingerprint
    assert card.limits in readme
    assert build(folder, tmp_path / "data").fingerprint == data.fingerprint  # a card changes nothing of the data


def test_a_model_card_tells_risks_licences_privacy_and_marks(folder: Path, tmp_path: Path) -> None:
    from test_report import hostile  # a report whose names are all hostile

    measured = hostile().measurements
    risk = Risk(name="audit", title="What it gives away", of="<script>x", measurements=measured, notes=("a | b",))
    data = build(folder, tmp_path / "data")
    spent = Spent(
        epsilon=3.2,
        delta=1e-5,
        clip=1.0,
        noise=1.0,
        rate=0.01,
        windows=900,
        context=64,
        steps=40,
        accountant="of the test",
    )
    accounts = Accounts(
        licences=data.manifest.licences, risks=(risk,), canaries=7, privacy=spent,
        marks=("found by verify",),
    )  # fmt: skip
    card = model_card(hostile(), accounts)
    header = yaml.safe_load(card.split("---\n", 2)[1])
    assert len(header["model-index"][0]["results"]) == 2
    for line in (
        "## What it gives away",
        "## Licences of the data",
        "CC-BY-NC-4.0",
        "epsilon 3.20 at delta 1.0e-05",
        "7 random secrets",
    ):
        assert line in card
    assert "Found by verify." in card
    assert "A \\| b." in card
    assert model_card(hostile()) == model_card(hostile(), Accounts())


def test_the_card_of_a_run_has_what_was_measured_since(folder: Path, tmp_path: Path) -> None:
    data = build(folder, tmp_path / "data", BuildOptions(canaries=2))
    api.train("gpt", data=data.folder, out=tmp_path / "run", **TINY)
    own = (tmp_path / "run" / "README.md").read_text()
    assert "## Licences of the data" in own
    assert "2 random secrets were planted" in own
    assert "daedal verify" in own
    assert write_card(tmp_path / "run").markdown == own  # training writes what the command writes
    audit_data(data.folder, out=tmp_path / "run")  # a report of the same form
    card = write_card(tmp_path / "run")
    assert "## What it gives away" in card.markdown
    record = json.loads((tmp_path / "run" / "card.json").read_text())
    assert record["of"] == "model"
    assert [each["name"] for each in record["accounts"]["risks"]] == ["audit"]
    assert record["accounts"]["licences"]["entries"][0]["licence"] == "CC-BY-NC-4.0"
    shutil.rmtree(data.folder)  # the card of a model whose data are gone
    assert "| unknown | unknown | data | 0 |" in write_card(tmp_path / "run").markdown


def test_what_has_no_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="no run and no data folder"):
        card_of(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DaedalError, match="not measured yet"):
        card_of(tmp_path)


def test_a_damaged_report_beside_is_told_in_the_card(folder: Path, tmp_path: Path) -> None:
    data = build(folder, tmp_path / "data")
    (data.folder / "audit.json").write_text('{"format": 3}')
    assert "audit.json in this folder cannot be read" in api.card(data.folder).markdown


def test_the_commands_say_the_same(folder: Path, tmp_path: Path) -> None:
    ended = daedal("audit", "data", folder, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["measurements"][0]["name"] == "secrets in a million characters"
    built = daedal("data", "build", folder, "--out", tmp_path / "data", "--mask", "key", "--mask", "personal")
    assert built.code == 0
    ended = daedal("card", tmp_path / "data", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["of"] == "data"
    for command in (("card", tmp_path / "nothing"), ("audit", "data", tmp_path / "nothing")):
        ended = daedal(*command)
        assert ended.code == 2
        assert len(ended.err.strip().splitlines()) <= 2


def test_a_kind_without_text_has_no_rates(tmp_path: Path) -> None:
    data = build_any(["scenes:60"], tmp_path / "scenes", "pictures", {"captions": "none"})
    report = audit_data(data.folder)
    assert not report.has("secrets")
    assert any("no text" in note for note in report.notes)
