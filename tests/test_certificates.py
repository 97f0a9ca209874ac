"""The certificate of an installation: made once, kept from others, never shown; and one that a person gives."""

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from authorities import Authority
from daedal.errors import DaedalError
from daedal.safety.certificates import own_certificate, own_root, read_anchors, read_certificate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_it_is_made_once_for_the_owner_alone_and_names_nobody(home: Path) -> None:
    assert own_root() is None
    first, second = own_certificate(), own_certificate()
    assert first.chain == second.chain
    assert first.private_pem == second.private_pem
    assert stat.S_IMODE((home / "signing.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert first.name.startswith("Daedal installation ")
    assert own_root() == first.pem.partition(b"-----END CERTIFICATE-----\n")[2]


def test_no_text_form_shows_the_key() -> None:
    certificate = own_certificate()
    for line in certificate.private_pem.decode().splitlines()[1:-1]:
        assert line not in repr(certificate)
    assert b"PRIVATE" not in certificate.pem


def test_near_its_end_it_is_renewed_below_the_same_root(monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal.safety import certificates

    first = own_certificate()
    later = first.chain[0].not_valid_after_utc - datetime.timedelta(days=10)
    monkeypatch.setattr(certificates, "_now", lambda: later)
    second = own_certificate()
    assert second.chain[0] != first.chain[0]
    assert second.chain[1] == first.chain[1]
    assert second.chain[0].not_valid_after_utc > later + datetime.timedelta(days=3000)


def test_a_damaged_file_is_told(home: Path) -> None:
    own_certificate()
    content = (home / "signing.pem").read_bytes()
    for damaged in (content[:300], content.replace(b"A", b"B"), b"", content[len(content) // 2 :]):
        (home / "signing.pem").write_bytes(damaged)
        with pytest.raises(DaedalError, match=r"signing\.pem is damaged") as error:
            own_certificate()
        assert "PRIVATE" not in str(error.value)


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
def test_a_certificate_of_a_person_signs(kind: str, tmp_path: Path) -> None:
    key = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    path = Authority("Press").issue("Ada").write(tmp_path / "ada.pem", key=key)
    found = read_certificate(path)
    assert found.name == "Ada"
    assert found.algorithm == {"p256": "ES256", "p384": "ES384", "rsa": "PS256"}[kind]


def test_what_is_no_certificate_to_sign_with_is_one_line(tmp_path: Path) -> None:
    press, other = Authority("Press"), Authority("Other")
    ada = press.issue("Ada")
    cases = {
        "holds no certificate": ada.private,
        "holds no private key": ada.chain,
        "does not belong to the first": press.issue("Bob").private + ada.chain,
        "are no chain": ada.private + ada.own + other.own,
        "expired on": press.issue("Ada", days=(-20, -10)).whole,
        "is valid from": press.issue("Ada", days=(10, 20)).whole,
        "may not sign documents": press.private + press.own,
        "does not say what it may be used for": press.issue("Ada", uses=False).whole,
        "signs with no key of this kind": press.issue("Ada").with_key(ec.generate_private_key(ec.SECP256K1())).whole,
    }
    for said, content in cases.items():
        path = tmp_path / "given.pem"
        path.write_bytes(content)
        with pytest.raises(DaedalError, match=said) as error:
            read_certificate(path)
        assert "PRIVATE" not in str(error.value)
        assert not any(line in str(error.value) for line in content.decode().splitlines() if len(line) > 40)


@pytest.mark.parametrize(
    ("purpose", "signs"),
    [("EMAIL_PROTECTION", True), ("SERVER_AUTH", False), ("TIME_STAMPING", False), ("CODE_SIGNING", False)],
)
def test_a_certificate_signs_only_if_its_purpose_is_to_sign_documents(
    purpose: str, signs: bool, tmp_path: Path
) -> None:
    path = Authority("Press").issue("Ada", purpose=getattr(ExtendedKeyUsageOID, purpose)).write(tmp_path / "ada.pem")
    if signs:
        assert read_certificate(path).name == "Ada"
        return
    with pytest.raises(DaedalError, match="may not sign documents"):
        read_certificate(path)


def test_a_leaf_issues_no_certificates(tmp_path: Path) -> None:
    """Or whoever has one of an authority could sign in any name below it."""
    from daedal.safety.certificates import chains_to

    press = Authority("Press")
    ada = press.issue("Ada")
    forged = ada.issue("The Government")
    chain = tuple(x509.load_pem_x509_certificates(forged.own + ada.own))
    assert not chains_to(chain, x509.load_pem_x509_certificate(press.own))
    assert chains_to(chain[1:], x509.load_pem_x509_certificate(press.own))


def test_anchors_are_certificates(tmp_path: Path) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(Authority("Press").own)
    assert read_anchors(path).count(b"BEGIN") == 1
    path.write_bytes(b"nothing")
    with pytest.raises(DaedalError, match="holds no certificate"):
        read_anchors(path)
