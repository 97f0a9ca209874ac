"""The ledger: what is noted is found again, what is changed is told, and what is purged is gone."""

import hashlib
import multiprocessing
import secrets
import sqlite3
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import resample_poly

from artifacts import RECORD, picture, samples
from command_line import story
from daedal.errors import DaedalError
from daedal.safety import likeness
from daedal.safety.claim import Claim
from daedal.safety.ledger import Ledger

COUNT = 12


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def fill(ledger: Ledger, count: int = COUNT) -> Ledger:
    for number in range(count):
        owner = ("zoe", "tim")[number % 2]
        ledger.note(Claim.of(RECORD), "picture", b"%d" % number, owner=owner, bits=secrets.token_bytes(8))
    return ledger


def test_what_was_noted_is_found_by_its_bytes_its_mark_and_its_likeness(ledger: Ledger) -> None:
    fill(ledger)
    claim, image = Claim.of(RECORD), picture(3)
    bits = likeness.of_picture(image)
    ledger.note(claim, "picture", b"the file", bits=bits)
    assert [(match.how, match.entry.id) for match in ledger.find(b"the file")] == [("bytes", claim.id)]
    assert [(match.how, match.entry.id) for match in ledger.find(b"", payload=claim.payload)] == [
        ("watermark", claim.id)
    ]
    smaller = likeness.of_picture(image.resize((48, 32)))
    assert [(match.how, match.entry.id) for match in ledger.find(b"", bits=smaller)] == [("likeness", claim.id)]
    assert ledger.find(b"another", payload=claim.payload ^ 1, bits=likeness.of_picture(picture(4))) == []


def test_a_ledger_is_for_the_owner_alone_and_tells_no_prompt(ledger: Ledger) -> None:
    fill(ledger)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    everything = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    assert b"red circle" not in everything


def test_an_untouched_ledger_is_whole(ledger: Ledger) -> None:
    assert ledger.check() == 0
    assert fill(ledger).check() == COUNT
    head = ledger.head
    ledger.note(Claim.of(RECORD), "text", b"more")
    assert ledger.check() == COUNT + 1
    assert ledger.head != head


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rows SET said = replace(said, 'drawer', 'someone') WHERE number = 5",
        "UPDATE rows SET said = '{}' WHERE number = 5",
        "UPDATE rows SET said = x'ff00' WHERE number = 5",
        "UPDATE rows SET said = NULL, id = NULL, owner = NULL, media = NULL WHERE number = 5",
        "UPDATE rows SET said = NULL, id = NULL, owner = NULL, media = NULL, purge = 7 WHERE number = 5",
        "UPDATE rows SET digest = x'00' WHERE number = 5",
        "UPDATE rows SET chain = x'00' WHERE number = 5",
        "UPDATE rows SET media = x'00' WHERE number = 5",
        "UPDATE rows SET owner = 'eve' WHERE number = 5",
        "UPDATE rows SET id = 'ffffffffffffffffffffffffffffffff' WHERE number = 5",
        "UPDATE likenesses SET bits = x'0000000000000000' WHERE number = 5",
        "DELETE FROM likenesses WHERE number = 5",
        "DELETE FROM rows WHERE number = 5",
        "DELETE FROM rows WHERE number = 1",
        "DELETE FROM rows WHERE number >= 12",
        "DELETE FROM rows",
        "INSERT INTO rows (chain, digest, said) SELECT chain, digest, said FROM rows WHERE number = 5",
        "UPDATE rows SET number = 100 WHERE number = 5",
    ],
)
def test_any_change_is_told(change: str, ledger: Ledger) -> None:
    fill(ledger)
    with sqlite3.connect(ledger.path) as rows:
        rows.execute(change)
    with pytest.raises(DaedalError, match=r"was changed|is damaged"):
        Ledger(ledger.path).check()


@settings(max_examples=15, deadline=None)
@given(number=st.integers(1, COUNT - 1))
def test_a_row_written_anew_with_its_hash_breaks_what_follows(
    number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = fill(Ledger(tmp_path_factory.mktemp("forged") / "ledger.sqlite"))
    with sqlite3.connect(ledger.path) as rows:
        (said,) = rows.execute("SELECT said FROM rows WHERE number = ?", (number,)).fetchone()
        forged = said.replace("drawer", "forger")
        digest = hashlib.sha256(forged.encode()).digest()
        before = rows.execute("SELECT chain FROM rows WHERE number = ?", (number - 1,)).fetchone()
        begin = hashlib.sha256(b"daedal ledger/1").digest() if before is None else before[0]
        link = hashlib.sha256(begin + digest).digest()
        rows.execute("UPDATE rows SET said = ?, digest = ?, chain = ? WHERE number = ?", (forged, digest, link, number))
    with pytest.raises(DaedalError, match=f"row {number + 1} was changed"):
        Ledger(ledger.path).check()


def test_what_is_purged_is_gone_and_the_chain_is_whole(ledger: Ledger) -> None:
    fill(ledger)
    with sqlite3.connect(ledger.path) as rows:
        ids = [id for (id,) in rows.execute("SELECT id FROM rows WHERE owner = 'zoe'")]
    assert ledger.purge("zoe").rows == COUNT // 2
    assert ledger.find(b"0") == []
    assert len(ledger.find(b"1")) == 1
    assert ledger.check() == COUNT + 1
    everything = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    assert not any(id.encode() in everything for id in ids)
    assert b"zoe" not in everything
    assert ledger.purge("zoe").rows == 0
    fill(ledger, 4)
    assert ledger.purge("zoe").rows == 2
    assert Ledger(ledger.path).check() == COUNT + 6


def test_a_file_that_is_no_ledger_is_told(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"SQLite format 3\0" + b"nonsense" * 1000)
    for use in (ledger.check, lambda: ledger.find(b"x"), lambda: ledger.note(Claim.of(RECORD), "text", b"x")):
        with pytest.raises(DaedalError, match="is damaged"):
            use()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rows SET said = x'ff00', chain = 'abc', digest = 5",
        "UPDATE rows SET chain = 9223372036854775807",
        "UPDATE rows SET chain = 5",
        "UPDATE likenesses SET bits = 'abcdefgh'",
        "UPDATE likenesses SET number = number + 1000",
    ],
)
def test_rows_of_other_types_are_told(change: str, ledger: Ledger) -> None:
    bits = b"12345678"
    ledger.note(Claim.of(RECORD), "picture", b"x", bits=bits)
    with sqlite3.connect(ledger.path) as rows:
        rows.execute(change)
    use = ledger.note if "chain" in change else ledger.find
    with pytest.raises(DaedalError, match="damaged"):
        use(*((Claim.of(RECORD), "picture") if "chain" in change else ()), b"y", bits=bits)  # type: ignore[operator]


def _write(path: Path, count: int) -> None:
    ledger = Ledger(path)
    for _ in range(count):
        ledger.note(Claim.of(RECORD), "picture", secrets.token_bytes(8))


def test_several_processes_write_at_once(ledger: Ledger) -> None:
    context = multiprocessing.get_context("fork")
    ledger.note(Claim.of(RECORD), "picture", b"first")
    writers = [context.Process(target=_write, args=(ledger.path, 20)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert ledger.check() == 61


def test_a_likeness_is_found_among_a_hundred_thousand_soon(ledger: Ledger) -> None:
    sought = Claim.of(RECORD)
    bits = likeness.of_picture(picture(1))
    ledger.note(sought, "picture", b"x", bits=bits)
    with sqlite3.connect(ledger.path) as rows:
        rows.executemany(
            "INSERT INTO likenesses VALUES (?, ?, NULL)", ((n, secrets.token_bytes(8)) for n in range(2, 100_000))
        )
    began = time.perf_counter()
    found = ledger.find(b"", bits=bits)
    assert time.perf_counter() - began < 2  # 0.1 s on an idle machine
    assert found[0].entry.id == sought.id


# -- likenesses ----------------------------------------------------------------------------------------------------------


def apart(one: bytes | None, other: bytes | None) -> int:
    assert one is not None
    assert other is not None
    return int(likeness.bits_apart(one, np.frombuffer(other, dtype=np.uint8).reshape(1, 8))[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_looks_like_itself_however_it_is_passed_on(seed: int) -> None:
    import io

    image = picture(seed, 128, 96)
    own = likeness.of_picture(image)
    jpeg = io.BytesIO()
    image.save(jpeg, format="JPEG", quality=40)
    changed = [
        image.resize((50, 40)),
        Image.open(jpeg),
        image.point(lambda value: int(value * 0.85)),
        Image.fromarray(
            np.clip(np.asarray(image) + np.random.default_rng(0).normal(0, 8, (96, 128, 3)), 0, 255).astype(np.uint8)
        ),
    ]
    assert all(apart(own, likeness.of_picture(each)) <= likeness.NEAR_BITS for each in changed)
    assert apart(own, likeness.of_picture(picture(seed + 100, 128, 96))) > likeness.NEAR_BITS


def test_where_there_is_nothing_there_is_no_likeness() -> None:
    assert likeness.of_picture(Image.new("RGB", (64, 64), "white")) is None
    assert likeness.of_sound(np.zeros(8000, dtype=np.float32), 8000) is None
    assert likeness.of_sound(samples()[:100], 8000) is None
    assert likeness.of_text("five words are too few") is None


def test_a_sound_sounds_like_itself() -> None:
    own = likeness.of_sound(samples(0), 8000)
    assert apart(own, likeness.of_sound(samples(0) * 0.5, 8000)) <= likeness.NEAR_BITS
    assert apart(own, likeness.of_sound(samples(1), 8000)) > likeness.NEAR_BITS
    assert apart(own, likeness.of_sound(resample_poly(samples(0), 441, 80), 44100)) <= likeness.NEAR_BITS


def test_a_text_reads_like_itself_with_a_word_changed() -> None:
    text = story(1)
    own, other = likeness.of_text(text), likeness.of_text(story(2))
    changed = likeness.of_text(text.replace("king", "duke", 1) + " And so it ended.")
    assert own is not None
    assert changed is not None
    assert other is not None
    rows = np.frombuffer(changed + other, dtype=np.uint8).reshape(2, 128)
    near, far = likeness.words_shared(own, rows)
    assert near >= likeness.NEAR_WORDS > far
