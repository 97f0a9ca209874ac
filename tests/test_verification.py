"""What `verify` says: of what this installation made, of what others signed, of what nobody knows; and of what is damaged."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from PIL import Image

from artifacts import RECORD, files, picture, pixels
from authorities import Authority
from command_line import daedal, mistake, story
from daedal import api
from daedal.codecs.text import TextCodec
from daedal.inference.picture import picture_file
from daedal.inference.sound import Sound
from daedal.safety.ledger import Ledger
from daedal.safety.marking import TYPES, Marking
from daedal.safety.signing import Signer
from daedal.safety.watermark_keys import watermark_key
from test_signing import hostile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, data: bytes) -> Path:
    path = Path(name)
    path.write_bytes(data)
    return path


def test_what_was_made_here_is_known_in_every_format() -> None:
    for end, data in files(Marking(signer=Signer.own())).items():
        found = api.verify(write(f"a{end}", data))
        assert (found.outcome, found.part("signature").says) == ("made here", "made here"), end
        assert found.media_type == TYPES[end]


def test_what_has_no_signature_any_more_is_known_by_the_ledger() -> None:
    data = picture_file(picture(), ".png", RECORD, marking=Marking(ledger=Ledger())).data
    found = api.verify(write("a.png", data))
    assert (found.outcome, found.part("ledger").says) == ("made here", "made here")
    again = io.BytesIO()
    picture().resize((60, 40)).save(again, format="JPEG", quality=70)
    found = api.verify(write("b.jpg", again.getvalue()))
    assert found.outcome == "probably made here"
    assert "no proof" in found.told


def test_what_has_nothing_is_unknown_and_says_so() -> None:
    found = api.verify(write("a.png", picture_file(picture(), ".png", RECORD).data))
    assert found.outcome == "unknown"
    assert "nobody here can know" in found.told
    assert {part.says for part in found.parts} == {"nothing", "not judged"}


def test_what_was_changed_after_it_was_signed_is_told() -> None:
    data = picture_file(picture(), ".png", RECORD, marking=Marking(signer=Signer.own())).data
    at = data.index(b"IDAT") - 4
    other = picture_file(picture(9), ".png", RECORD).data
    transplanted = data[:at] + other[other.index(b"IDAT") - 4 :]
    found = api.verify(write("a.png", transplanted))
    assert found.outcome == "changed"
    assert "does not fit" in found.part("signature").told


def test_somebody_elses_signature_is_told_as_such_and_can_be_trusted() -> None:
    press = Authority("Press")
    path = press.issue("Ada").write(Path("ada.pem"))
    marking = Marking.of_installation(watermark=False, noted=False, certificate=path)
    picture_file(picture(), ".png", RECORD, marking=marking).write(Path("a.png"))
    found = api.verify("a.png")
    assert (found.outcome, found.signature.issuer, found.signature.by) == ("signed by another", "Ada", "somebody else")
    assert "cannot know" in found.part("signature").error
    roots = write("roots.pem", press.own)
    assert api.verify("a.png", trust=roots).signature.by == "trusted"
    assert "no certificate" in mistake("verify", "a.png", "--trust", write("none.pem", b"x"))


def by_another(data: bytes, manifest: dict[str, Any], remote: str | None = None) -> bytes:
    """A PNG that somebody else's program signed."""
    signer = Signer.chosen(Authority("Press").issue("Ada").write(Path("ada.pem")))
    builder, signed = c2pa.Builder(manifest, signer._context), io.BytesIO()
    if remote is not None:
        builder.set_remote_url(remote)
        builder.set_no_embed()
    builder.sign(signer._signer, "image/png", io.BytesIO(data), signed)
    return signed.getvalue()


def test_a_strangers_manifest_that_breaks_a_rule_of_form_is_not_called_changed() -> None:
    action = {"label": "c2pa.actions", "data": {"actions": [{"action": "c2pa.published"}]}}
    bare = picture_file(picture(), ".png", RECORD).data
    found = api.verify(write("a.png", by_another(bare, {"assertions": [action]})))
    assert (found.outcome, found.signature.issuer) == ("signed by another", "Ada")
    assert "first action" in found.part("signature").told
    found = api.verify(write("b.png", by_another(bare, {"assertions": []}, "http://127.0.0.1:9/x.c2pa")))
    assert found.outcome == "unknown"
    assert "not fetched" in found.part("signature").told


def test_what_a_stranger_says_is_told_as_theirs() -> None:
    said = {"id": "0" * 32, "made": "1999-01-01", "model": "of-theirs", "fingerprint": "f", "version": "1"}
    manifest = {"assertions": [{"label": "daedal.generation", "data": said}]}
    made = picture_file(picture(width=256, height=256), ".png", RECORD, marking=Marking.of_installation(signed=False))
    told = daedal("verify", write("a.png", by_another(made.data, manifest))).out
    assert '"Ada" says that it was made by of-theirs' in told
    found = api.verify("a.png")
    assert found.marked_entry is not None
    assert found.marked_entry.model == "drawer"


def test_a_watermark_that_was_copied_proves_nothing() -> None:
    marking = Marking.of_installation(signed=False)
    plain, other = picture(width=256, height=256), picture(3, 256, 256)
    made = picture_file(plain, ".png", RECORD, marking=marking).data
    again = io.BytesIO()
    Image.open(io.BytesIO(made)).save(again, format="PNG", compress_level=1)
    assert api.verify(write("again.png", again.getvalue())).outcome == "made here"
    residual = pixels(made).astype(int) - np.asarray(plain)
    forged = Image.fromarray(np.clip(np.asarray(other) + residual, 0, 255).astype(np.uint8))
    forged.save("forged.png")
    found = api.verify("forged.png")
    assert found.part("watermark").says == "made here"
    assert (found.outcome, found.part("ledger").says) == ("probably made here", "nothing")
    assert "copied" in found.told


def test_a_signature_is_told_of_what_cannot_be_decoded() -> None:
    silent = Sound(np.zeros(8000, np.float32), 8000)
    found = api.verify(write("a.wav", silent.encoded("wav", Marking(signer=Signer.own()))))
    assert (found.outcome, found.part("watermark").says) == ("made here", "not judged")
    assert "silent" in mistake("verify", write("b.wav", silent.encoded("wav", None)))


@pytest.mark.parametrize("begin", ["BMW", "GIF89 is", "ID3 is", "The ftyp"])
def test_a_text_is_one_whatever_it_begins_with(begin: str) -> None:
    assert api.verify(write("a.txt", f"{begin} {story(2)}".encode())).kind == "text"


def test_a_text_without_spaces_is_long_enough() -> None:
    assert api.verify("今日はとても良い天気ですね。散歩に行きましょう。").outcome == "unknown"


def test_another_installations_work_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_HOME", "elsewhere")
    write("a.png", picture_file(picture(), ".png", RECORD, marking=Marking.of_installation(watermark=False)).data)
    monkeypatch.setenv("DAEDAL_HOME", "home")
    assert api.verify("a.png").outcome == "signed by another"


def test_a_text_and_its_statement() -> None:
    text = story(3)
    marking = Marking(signer=Signer.own())
    marking.text(text, RECORD).write(Path("story.txt"))
    found = api.verify("story.txt")
    assert (found.kind, found.outcome, found.signature.how) == ("text", "made here", "statement")
    Path("story.txt").write_text(text + "And they lived happily.", encoding="utf-8")
    assert api.verify("story.txt").outcome == "changed"
    Path("story.txt.signed.json").write_bytes(b"{")
    assert "nothing else is known" in mistake("verify", "story.txt")
    Path("story.txt.signed.json").unlink()
    assert api.verify("story.txt").outcome == "unknown"
    assert api.verify(text).outcome == "unknown"


@pytest.mark.parametrize("content", [b"x" * 2**21, b"{}", b"a.b.c"])
def test_a_statement_that_is_none_ends_nothing(content: bytes) -> None:
    Marking(ledger=Ledger()).text(story(3), RECORD).write(Path("story.txt"))
    Path("story.txt.signed.json").write_bytes(content)
    found = api.verify("story.txt")
    assert (found.outcome, found.signature.state) == ("made here", "unreadable")


@pytest.mark.parametrize("chain", [[], "", ["AAAA"], ["MIIB"], [7]])
def test_certificates_of_a_statement_that_are_none_end_nothing(chain: Any) -> None:
    Marking(signer=Signer.own()).text(story(3), RECORD).write(Path("story.txt"))
    beside = Path("story.txt.signed.json")
    said = json.loads(beside.read_text())
    header = json.dumps({"alg": "ES256", "x5c": chain}).encode()
    said["protected"] = base64.urlsafe_b64encode(header).rstrip(b"=").decode()
    beside.write_text(json.dumps(said))
    assert "nothing else is known" in mistake("verify", "story.txt")


def test_of_a_few_words_nothing_is_said_unless_they_are_signed() -> None:
    assert "has 5 words" in mistake("verify", "five words are too few")
    write("a.txt", b"five words are too few")
    assert "has 5 words" in mistake("verify", "a.txt")
    Marking(signer=Signer.own()).text("five words are too few", RECORD).write(Path("a.txt"))
    assert api.verify("a.txt").outcome == "made here"


def test_the_watermark_of_a_text_is_looked_for_by_the_tokens_of_a_model() -> None:
    codec = TextCodec.train("byte", [])
    codec.save("run")
    watermark_key()
    found = api.verify(story(3), model="run")
    assert found.part("watermark").says == "nothing"
    assert found.mark is not None
    assert (found.mark.unit, found.part("watermark").p_value) == ("tokens", found.mark.p_value)
    assert "--model" in api.verify(story(3)).part("watermark").told
    assert "error: " in mistake("verify", story(3), "--model", "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"nonsense" * 20, "damaged or cannot be read"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "damaged or cannot be read"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt nonsense", "cannot be read"),
        ("a.mp4", b"\0\0\0\x18ftypisom" + b"nonsense" * 20, "cannot be read"),
        ("a.bin", bytes(range(256)), "neither a picture"),
        ("a.txt", b"", "is empty"),
        ("missing.png", None, "is missing"),
        ("folder", "", "is a folder"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line(name: str, content: bytes | str | None, said: str) -> None:
    if isinstance(content, bytes):
        write(name, content)
    elif content is not None:
        Path(name).mkdir()
    assert said in mistake("verify", name)
    assert "BytesIO" not in mistake("verify", name)


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    bomb = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(bomb, format="PNG")
    assert "10,000 x 10,000 pixels" in mistake("verify", write("bomb.png", bomb.getvalue()))


def test_hostile_boxes_end_in_a_line_or_a_verdict() -> None:
    signed = files(Marking(signer=Signer.own()))
    for number, (media_type, data) in enumerate(hostile(signed)):
        end = next(end for end, each in TYPES.items() if each == media_type)
        ended = daedal("verify", write(f"{number}{end}", data))
        assert ended.code in (0, 2)
        assert "Traceback" not in ended.err
        assert "made here\n" not in ended.out
        assert len(ended.err.splitlines()) == (ended.code == 2), ended.err


def test_what_it_says_in_json_is_what_it_says() -> None:
    data = picture_file(picture(), ".png", RECORD, marking=Marking.of_installation(watermark=False)).data
    told = json.loads(daedal("verify", write("a.png", data), "--json").out)
    assert (told["outcome"], told["signature"]["claim"]["model"]) == ("made here", "drawer")
    assert {part["name"] for part in told["parts"]} == {"signature", "watermark", "ledger", "detector"}
    plain = daedal("verify", "a.png").out
    assert plain.startswith("a.png: made here\n")
    assert "drawer" in plain


def test_a_name_that_would_steer_a_terminal_is_shown_harmless() -> None:
    record = {**RECORD, "model": "\x1b[2Jevil\u202e"}
    data = picture_file(picture(), ".png", record, marking=Marking(signer=Signer.own())).data
    assert "\x1b" not in daedal("verify", write("a.png", data)).out


def test_the_ledger_is_checked_and_purged_from_the_command_line(home: Path) -> None:
    assert daedal("ledger", "check").out.startswith("0 rows")
    ledger = Ledger()
    picture_file(picture(), ".png", RECORD, marking=Marking(ledger=ledger, owner="local"))
    assert daedal("ledger", "check").out == f"1 rows, none changed\n{ledger.head}\n"
    assert daedal("ledger", "purge", "local").out == "1 rows say nothing any more\n"
    assert daedal("ledger", "check").out.startswith("2 rows")
    daedal("keys", "add", "ada", "--file", "keys.json")
    assert daedal("ledger", "purge", "ada", "--keys", "keys.json").out == "0 rows say nothing any more\n"
    assert "has no key bob" in mistake("ledger", "purge", "bob", "--keys", "keys.json")
    (home / "home" / "ledger.sqlite").write_bytes(b"nonsense" * 100)
    assert "is damaged" in mistake("ledger", "check")


def test_nothing_of_a_key_is_told(home: Path) -> None:
    data = picture_file(picture(), ".png", RECORD, marking=Marking.of_installation(watermark=False)).data
    watermark_key()
    said = daedal("verify", write("a.png", data), "--json").out + repr(Marking.of_installation())
    secrets = [path.read_text() for path in (home / "home").iterdir() if path.suffix in (".pem", ".keys")]
    lines = [line for text in secrets for line in text.splitlines() if len(line) > 40]
    assert lines
    assert not any(line in said for line in lines)


def test_a_clip_is_known_by_its_middle_frame() -> None:
    from daedal.inference.clip import Clip

    frames = tuple(picture(seed, 48, 48) for seed in range(5))
    Clip(frames, 8).save("a.gif", marking=Marking(ledger=Ledger()))
    with Image.open("a.gif") as file:
        again = []
        for number in range(5):
            file.seek(number)
            again.append(Image.fromarray(np.asarray(file.convert("RGB").resize((100, 100)))))
    Clip(tuple(again), 8).save("b.webp")
    found = api.verify("b.webp")
    assert (found.kind, found.outcome) == ("clip", "probably made here")
