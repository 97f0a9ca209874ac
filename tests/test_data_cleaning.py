"""Text is decoded and mended whatever its encoding, and source code is left alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daedal.data.clean import documents_of, mask, normalise
from daedal.data.decode import decode, is_binary, known_encoding
from daedal.data.languages import language
from daedal.data.quality import fault
from daedal.errors import DaedalError

GERMAN = "Der Bär fährt über die Brücke, „müde“ – für 5 €, und süße Grüße an die Mädchen. "
RUSSIAN = "Съешь же ещё этих мягких французских булок да выпей чаю, а потом иди домой спать. "
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_encodings_are_found(text: str, encoding: str) -> None:
    data = (text * 20).encode(encoding)
    assert not is_binary(data[:8192])
    assert decode(data).text == text * 20


def test_a_named_encoding_is_used() -> None:
    assert decode(
        GERMAN.replace("„", "").replace("“", "").replace("–", "").replace("€", "").encode("latin-1"), "latin-1"
    ).text
    assert decode("é".encode("cp850"), "cp850").text == "é"
    with pytest.raises(DaedalError, match="no character encoding called 'klingon'"):
        known_encoding("klingon")


def test_mojibake_is_mended_in_prose_and_not_in_code() -> None:
    broken = GERMAN.encode().decode("cp1252", errors="replace").encode()
    assert decode("cafÃ© â€“ naÃ¯ve".encode()).text == "café – naïve"
    assert decode("cafÃ© â€“ naÃ¯ve".encode(), mend=False).text == "cafÃ© â€“ naÃ¯ve"
    assert decode(broken).mended
    assert not decode(GERMAN.encode()).mended


@given(st.text())
def test_utf8_is_never_changed_where_mending_is_off(text: str) -> None:
    assert decode(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode(), mend=False).text.lstrip(
        "\ufeff"
    ) == text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").lstrip("\ufeff")


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", bytes(range(256)) * 8, b"\x7fELF\2\1\1\0", b"\1\2\3\4\5\6 ab"]
)
def test_binary_is_seen(data: bytes) -> None:
    assert is_binary(data)


def test_the_normal_form_leaves_code_alone() -> None:
    code = "def f(x):\n\tif x:\n\t\treturn '\u00e9\ufb01\u200b'  \n\n\n\x0cclass A: pass"
    assert normalise(code) == code
    assert normalise("a\r\nb\rc\0d\ud800") == "a\nb\ncd\ufffd"
    assert normalise("e\u0301", "NFC") == "é"
    assert normalise("\ufb01", "NFKC") == "fi"


@given(st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    for form in ("keep", "NFC", "NFKC"):
        once = normalise(text, form)
        assert normalise(once, form) == once
        once.encode()


def test_lines_join_to_the_text() -> None:
    text = "a\n\nb  \n c"
    assert "\n".join(documents_of(text, "line")) == text
    assert list(documents_of("\n\na\nb\n \n\n\nc\n", "paragraph")) == ["", "a\nb", "c"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to jane.doe+x@mail.example.org.", "Write to <email>."),
        ("the host 192.168.1.254, port 80", "the host <ip>, port 80"),
        ("see 2001:0db8:85a3:0000:0000:8a2e:0370:7334 there", "see <ip> there"),
        ("version 1.2.3 and 999.1.1.1", "version 1.2.3 and 999.1.1.1"),
        ("call +49 30 1234567 or (555) 123-4567 now", "call <phone> or <phone> now"),
        ("on 2024-01-15 and 3.14159265", "on 2024-01-15 and 3.14159265"),
        ("key AKIAIOSFODNN7EXAMPLE here", "key <key> here"),
        ('api_key = "a1b2c3d4e5f6g7h8i9j0"', 'api_key = "<key>"'),
        ("token: get_the_current_token_of", "token: get_the_current_token_of"),
        ("ghp_" + "a1B2c3D4e5" * 4, "<key>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "<key>"),
        ("user@host and a @decorator", "user@host and a @decorator"),
    ],
)
def test_masking_replaces_what_it_names(text: str, masked: str) -> None:
    found: Counter[str] = Counter()
    assert mask(text, ("email", "key", "ip", "phone"), found) == masked
    assert sum(found.values()) == masked.count("<")
    assert mask(text, (), found) == text


def test_masking_hostile_text_takes_no_time() -> None:
    found: Counter[str] = Counter()
    for text in (
        "a" * 50_000 + "@",
        "1." * 50_000,
        "+1 " * 30_000,
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "token=" * 10_000,
    ):
        mask(text, ("email", "key", "ip", "phone"), found)


def test_quality_rules_name_what_is_wrong() -> None:
    prose = "This is the kind of text that we have for the rules, and it passes them with ease to be sure. " * 10
    assert fault(prose, "gopher") is None
    assert fault(prose.replace(". ", ".\n"), "c4") is None
    assert fault("{" + prose, "c4") == "c4: curly bracket"
    assert fault("word " * 20, "gopher") is not None
    assert fault(prose, "off") is fault("", "off") is None
    assert fault("Lorem ipsum dolor sit amet", "mild") == "boilerplate"
    assert fault("$%&/()= 123 " * 50, "mild") == "mostly symbols or digits"
    assert fault("menu item one\n" * 50, "mild") == "the same lines over and over"
    assert fault("QUJD" * 1000, "mild") == "unbroken blob of characters"
    assert fault(prose, "mild") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GERMAN * 5, "German"),
        ("Он не был в городе, но все же знал, что это так и как бы то ни было, она его ждала у себя. " * 3, "Russian"),
        (JAPANESE * 3, "Japanese"),
        ("The cat is on the mat, and it was there that he had been for a while, as they said to us. " * 3, "English"),
        ("def f(x):\n    return g(x) + (h(x) == 2)\n" * 20, "unknown"),
        ("too short", "unknown"),
        ("1234 5678", "unknown"),
    ],
)
def test_a_language_is_told_or_unknown(text: str, name: str) -> None:
    assert language(text) == name
