"""Signatures in files and beside them: what readers of C2PA say, and what a changed byte, a stranger or a forger does."""

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import RECORD, files, picture, pixels
from authorities import Authority
from daedal.errors import DaedalError
from daedal.inference.picture import picture_file
from daedal.safety.certificates import read_certificate
from daedal.safety.claim import Claim
from daedal.safety.marking import TYPES, Marking
from daedal.safety.sidecar import read_statement, statement
from daedal.safety.signing import SIGNED, SignatureFinding, Signer, read_signature

ENDS = (".png", ".jpg", ".webp", ".gif", ".tiff", ".wav", ".flac", ".mp3", ".mp4")


@pytest.fixture(scope="module")
def signed() -> dict[str, bytes]:
    return files(Marking(signer=Signer.own()))


@pytest.fixture(scope="module")
def bare() -> dict[str, bytes]:
    return files(None)


@pytest.fixture
def stranger(tmp_path: Path) -> Signer:
    return Signer(read_certificate(Authority("Press").issue("Ada").write(tmp_path / "ada.pem")))


def claim(**changes: Any) -> Claim:
    return Claim.of({**RECORD, **changes})


@pytest.mark.parametrize("end", ENDS)
def test_a_reader_of_c2pa_calls_it_valid_and_a_flipped_byte_invalid(end: str, signed: dict[str, bytes]) -> None:
    data = signed[end]
    with c2pa.Reader(TYPES[end], io.BytesIO(data)) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = reader.get_active_manifest()
    assert manifest is not None
    actions = next(each["data"] for each in manifest["assertions"] if each["label"].startswith("c2pa.actions"))
    assert actions["actions"][0]["action"] == "c2pa.created"
    assert actions["actions"][0]["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    where = bound(end, data)[-40]
    with c2pa.Reader(TYPES[end], io.BytesIO(flipped(data, where))) as reader:
        assert reader.get_validation_state() == "Invalid"


@pytest.mark.parametrize("end", ENDS)
def test_this_installation_knows_its_own(end: str, signed: dict[str, bytes], bare: dict[str, bytes]) -> None:
    found = read_signature(signed[end], TYPES[end])
    assert (found.state, found.by, found.generated) == ("whole", "this installation", True)
    assert found.claim is not None
    assert read_signature(bare[end], TYPES[end]).state == "none"


def test_what_is_shown_and_heard_stays_as_it_was(signed: dict[str, bytes], bare: dict[str, bytes]) -> None:
    for end in (".png", ".jpg", ".webp", ".gif", ".tiff"):
        assert np.array_equal(pixels(signed[end]), pixels(bare[end]))
    assert all(len(signed[end]) - len(bare[end]) < 8192 for end in ENDS)


@pytest.mark.parametrize("end", ENDS)
def test_no_byte_of_what_is_shown_or_heard_can_be_changed_unnoticed(end: str, signed: dict[str, bytes]) -> None:
    """A few bytes of the box itself mean nothing to anybody: what fills it up."""
    draw, data = np.random.default_rng(0), signed[end]
    for where in draw.choice(bound(end, data), 40):
        assert read_signature(flipped(data, int(where)), TYPES[end]).state != "whole", where


def test_no_word_of_what_is_signed_can_be_changed_unnoticed(signed: dict[str, bytes]) -> None:
    for end in ENDS:
        data = signed[end]
        for word in (b"trainedAlgorithmicMedia", b"c2pa.created", b"fingerprint"):
            assert read_signature(data.replace(word, word[::-1]), TYPES[end]).state != "whole"


def bound(end: str, data: bytes) -> np.ndarray:
    """The places of a file that are no part of its manifest."""
    if end == ".mp4":
        at = data.index(b"mdat")
        return np.arange(at + 4, at - 4 + int.from_bytes(data[at - 4 : at]))
    with c2pa.Reader(TYPES[end], io.BytesIO(data)) as reader:
        store = json.loads(reader.detailed_json())
    hashed = store["manifests"][store["active_manifest"]]["assertion_store"]["c2pa.hash.data"]
    kept = np.ones(len(data), dtype=bool)
    for each in hashed["exclusions"]:
        kept[each["start"] : each["start"] + each["length"]] = False
    return np.flatnonzero(kept)


def flipped(data: bytes, where: int) -> bytes:
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]


def test_the_prompt_is_told_by_its_hash_alone_unless_asked() -> None:
    data = picture_file(picture(), ".bmp", RECORD).data  # whose file says nothing of the prompt itself
    kept, told = claim(), Claim.of(RECORD, tell_prompt=True)
    assert kept.prompt_digest == told.prompt_digest
    assert (kept.prompt, told.prompt) == (None, "a red circle")
    png = io.BytesIO()
    picture().save(png, format="PNG")
    for made, said in ((kept, False), (told, True)):
        signed = Signer.own().sign(png.getvalue(), "image/png", made)
        assert (b"a red circle" in signed) is said
        stated = read_statement(statement(Signer.own(), data, "image/bmp", made).encode(), data)
        assert stated.claim == made == read_signature(signed, "image/png").claim


def test_licences_of_the_training_data_are_told() -> None:
    png = picture_file(picture(), ".png", RECORD).data
    made = Claim.of(RECORD, training=("CC-BY-4.0", "MIT"))
    found = read_signature(Signer.own().sign(png, "image/png", made), "image/png")
    assert found.claim is not None
    assert found.claim.training == ("CC-BY-4.0", "MIT")


def test_somebody_elses_signature_is_told_as_such(stranger: Signer, bare: dict[str, bytes]) -> None:
    data = stranger.sign(bare[".png"], "image/png", claim())
    found = read_signature(data, "image/png")
    assert (found.state, found.by, found.issuer) == ("whole", "somebody else", "Ada")
    root = stranger.certificate.pem.partition(b"-----END CERTIFICATE-----\n")[2]
    trusted = read_signature(data, "image/png", root)
    assert (trusted.state, trusted.by) == ("whole", "trusted")
    stated = read_statement(statement(stranger, b"hello", "text/plain", claim()).encode(), b"hello", root)
    assert (stated.state, stated.by, stated.issuer) == ("whole", "trusted", "Ada")


def test_a_name_alone_makes_nobody_this_installation(tmp_path: Path, bare: dict[str, bytes]) -> None:
    own = Signer.own().certificate
    forger = Signer(read_certificate(Authority(own.name).issue(own.name).write(tmp_path / "forged.pem")))
    assert forger.certificate.name == own.name
    found = read_signature(forger.sign(bare[".png"], "image/png", claim()), "image/png")
    assert (found.state, found.by) == ("whole", "somebody else")
    stated = read_statement(statement(forger, b"hello", "text/plain", claim()).encode(), b"hello")
    assert (stated.state, stated.by) == ("whole", "somebody else")


def test_our_certificate_below_a_strangers_signature_is_not_ours(stranger: Signer) -> None:
    protected, payload, signature = statement(Signer.own(), b"hello", "text/plain", claim()).split(".")
    _, _, other = statement(stranger, b"hello", "text/plain", claim()).split(".")
    found = read_statement(f"{protected}.{payload}.{other}".encode(), b"hello")
    assert (found.state, found.by) == ("changed", "somebody else")
    assert read_statement(f"{protected}.{payload}.{signature}".encode(), b"hello").by == "this installation"


def test_an_expired_certificate_is_told(tmp_path: Path, bare: dict[str, bytes]) -> None:
    soon = Authority("Press").issue("Ada", days=(-1, 2.2 / 86400))
    signer = Signer(read_certificate(soon.write(tmp_path / "old.pem")))
    compact = statement(signer, b"hello", "text/plain", claim())
    signed = signer.sign(bare[".png"], "image/png", claim())
    time.sleep(3.3)
    for found in (read_statement(compact.encode(), b"hello"), read_signature(signed, "image/png")):
        assert (found.state, found.by, found.issuer) == ("expired", "somebody else", "Ada")
    with pytest.raises(DaedalError, match="not valid"):
        signer.sign(bare[".png"], "image/png", claim())


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "PS256", "EdDSA"])
def test_statements_are_json_web_signatures(algorithm: str, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    keys: dict[str, Any] = {
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "PS256": lambda: rsa.generate_private_key(65537, 2048),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    path = Authority("Press").issue("Ada").write(tmp_path / "ada.pem", key=keys[algorithm]())
    made = claim()
    compact = statement(Signer(read_certificate(path)), b"hello", "text/plain", made)
    header, payload, signature = (base64.urlsafe_b64decode(part + "==") for part in compact.split("."))
    assert json.loads(header)["alg"] == algorithm
    assert json.loads(payload)["claim"]["id"] == made.id
    assert len(signature) == {"ES256": 64, "ES384": 96, "PS256": 256, "EdDSA": 64}[algorithm]
    assert read_statement(compact.encode(), b"hello").state == "whole"
    changed = read_statement(compact.encode(), b"hellp")
    assert (changed.state, changed.note) == ("changed", "the file is not the one that was signed")


# -- what is hostile -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_are_taken_for_a_statement(content: bytes) -> None:
    assert read_statement(content, b"hello").state == "unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000, b'{"a":' * 50_000, b"{" + b'"protected":"e30","payload":"e30","signature":"AA"}', b"a.b.c", b"..",
        b"x" * 2**19, json.dumps({"protected": None, "payload": 1, "signature": []}).encode(),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_hostile_statement_is_one_line(content: bytes) -> None:
    found = read_statement(content, b"hello")
    assert found.state == "unreadable"
    assert found.note is not None
    assert len(found.note) <= 200


def test_hostile_boxes_are_told_in_bounded_time(signed: dict[str, bytes]) -> None:
    began = time.monotonic()
    for number, (media_type, data) in enumerate(hostile(signed)):
        found = read_signature(data, media_type)
        assert found.state in ("unreadable", "changed", "none"), number
        assert len(found.note or "") <= 200
        assert "\n" not in (found.note or "")
    assert time.monotonic() - began < 10


def hostile(signed: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """Boxes of nonsense, of lengths beyond the file, cut off, and nested without end."""
    draw = np.random.default_rng(1)
    png, wav = signed[".png"], signed[".wav"]
    begin, made = png.index(b"caBX"), list[tuple[str, bytes]]()
    length = int.from_bytes(png[begin - 4 : begin])
    bodies = [draw.bytes(n) for n in (1, 8, 100, length)]
    bodies += [
        (2**32 - 1).to_bytes(4) + b"jumb" + draw.bytes(64),
        (1).to_bytes(4) + b"jumb" + b"\xff" * 8 + draw.bytes(64),
    ]
    nested = b""
    for _ in range(2000):
        nested = (len(nested) + 8).to_bytes(4) + b"jumb" + nested
    bodies += [nested, b"\x00\x00\x00\x08jumb" * 1000, b""]
    made += [("image/png", png_with(png, begin, length, body)) for body in bodies]
    box = bytearray(png)
    for _ in range(40):  # of what is signed, a few bytes are others
        damaged = bytearray(box)
        for where in draw.integers(begin + 4, begin + 4 + length, 8):
            damaged[where] = int(draw.integers(256))
        made.append(("image/png", png_with(png, begin, length, bytes(damaged[begin + 4 : begin + 4 + length]))))
    at = wav.index(b"C2PA")
    made += [
        ("audio/wav", wav[: at + 4] + size.to_bytes(4, "little") + wav[at + 8 :]) for size in (0, 3, 2**31, 2**32 - 1)
    ]
    made += [("image/png", png[:cut]) for cut in range(begin - 4, begin + length, 500)]
    return made


def png_with(png: bytes, begin: int, length: int, body: bytes) -> bytes:
    import zlib

    chunk = len(body).to_bytes(4) + b"caBX" + body + zlib.crc32(b"caBX" + body).to_bytes(4)
    return png[: begin - 4] + chunk + png[begin + 8 + length :]


def test_a_manifest_of_another_shape_is_unreadable_and_no_fault(signed: dict[str, bytes]) -> None:
    from daedal.safety import signing

    assert set(map(TYPES.get, ENDS)) == signing.SIGNED
    for text in ("[]", "{}", '{"manifests": 1, "active_manifest": []}', '{"manifests":{"a":1},"active_manifest":"a"}'):
        with pytest.raises((ValueError, TypeError, AttributeError, KeyError)):
            signing._found(json.loads(text), "this installation")
    assert isinstance(read_signature(b"", "image/png"), SignatureFinding)
    assert read_signature(b"anything", "audio/ogg").state == "none"
    assert "audio/ogg" not in SIGNED


def test_a_claim_says_the_name_of_a_model_and_not_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "painter").mkdir()
    for model in (tmp_path / "painter", "/home/ada/secret/painter", "./painter"):
        assert claim(model=str(model)).model == "painter"
    assert claim(model="ada/painter").model == "ada/painter"
    odd = claim(model="caf\udce9", label="caf\udce9")  # a name that is no UTF-8
    png = picture_file(picture(), ".png", RECORD).data
    assert read_signature(Signer.own().sign(png, "image/png", odd), "image/png").claim == odd
