"""Text is decoded and mended whatever its encoding, and source code is left alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daedal.data.clean import documents_of, normalise
from daedal.data.decode import Decoder, decode, is_binary, known_encoding
from daedal.data.languages import language
from daedal.data.quality import fault
from daedal.data.sensitive import mask
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


DECLARATION = {
    "polish": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Zażółć gęślą jaźń.",
    "czech": "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň.",
    "hungarian": "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Testvéri szellemben, fűtőtől.",
    "french": "Tous les êtres humains naissent libres et égaux en dignité. À côté de la forêt, le garçon a goûté où il était.",
    "spanish": "Todos los seres humanos nacen libres. ¿Dónde está el niño? La declaración, sin distinción de nación, según él.",
    "portuguese": "Dotados de razão e de consciência, devem agir em espírito de fraternidade. Não há condições às três irmãs.",
    "danish": "Alle mennesker er født frie og lige i værdighed. De bør handle mod hverandre i en broderskabets ånd.",
    "turkish": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler, kardeşlik.",
    "lithuanian": "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Sąžinė, atžvilgiu, į, ūkis.",
    "russian": RUSSIAN,
    "greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון.",
    "arabic": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا.",
    "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "japanese": JAPANESE,
    "chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "taiwanese": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神互相對待。",
    "korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 서로 형제애의 정신으로 행동하여야 한다.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "encodings"),
    {
        "polish": "iso8859_2 cp1250",
        "czech": "iso8859_2 cp1250",
        "hungarian": "iso8859_2 cp1250",
        "french": "cp1252 iso8859_1 mac_roman cp850",
        "spanish": "cp1252 mac_roman",
        "portuguese": "cp1252",
        "danish": "cp1252",
        "turkish": "cp1254",
        "lithuanian": "cp1257",
        "russian": "cp1251 koi8_r iso8859_5 cp866",
        "greek": "cp1253 iso8859_7",
        "hebrew": "cp1255",
        "arabic": "cp1256 iso8859_6",
        "thai": "cp874",
        "japanese": "shift_jis euc_jp iso2022_jp",
        "chinese": "gb18030 gbk",
        "taiwanese": "big5",
        "korean": "euc_kr iso2022_kr",
    }.items(),
)
def test_encodings_of_before_unicode_are_told_by_a_sentence_or_two(language: str, encodings: str) -> None:
    text = DECLARATION[language]
    for encoding in encodings.split():
        data = text.encode(encoding)
        assert not is_binary(data)
        assert decode(data).text == text, encoding
        late = b"plain text\n" * 30_000 + data  # the first bytes above 127 come late
        assert decode(late).text[-len(text) :] == text, encoding


def test_a_stray_byte_leaves_the_rest_of_the_file_as_it_was() -> None:
    japanese, german, french = JAPANESE * 20, GERMAN * 20, "Un café près de la forêt. " * 20
    for text, stray in ((japanese, b"\xff"), (german, "Grüße".encode("latin-1")), (french, b"caf\xe9")):
        found = decode(text.encode() + stray + text.encode())
        assert found.encoding == "utf-8"
        assert found.replaced == sum(byte > 127 for byte in stray)
        assert found.text.startswith(text)
        assert found.text.endswith(text)
    shifted = decode(JAPANESE.encode("shift_jis") * 9 + b"\xff." + JAPANESE.encode("shift_jis") * 9)
    assert shifted.text.startswith(JAPANESE * 9)
    assert shifted.text.endswith(JAPANESE * 8)


def test_text_that_looks_like_no_language_is_not_guessed() -> None:
    found = decode(b"value \xff\xfe\x81 of \x90\x9d\xb1x" * 9)
    assert found.encoding == "utf-8"
    assert found.replaced > 0


def test_a_file_that_says_its_encoding_is_believed_where_that_is_possible() -> None:
    page = '<meta charset="{}"><p>lény, Kádár</p>'
    assert decode(page.format("iso8859-2").encode("iso8859-2")).encoding == "iso8859-2"
    assert decode(page.format("utf-8").encode("cp1252")).text == page.format("utf-8")
    assert decode("# -*- coding: cp437 -*-\nx = 'é'".encode("cp437")).text.endswith("'é'")


@pytest.mark.parametrize(
    "name",
    ["undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "utf-16-le", "hex", "cp037"],
)
def test_no_file_says_it_is_in_what_cannot_hold_that_word(name: str) -> None:
    said = f"# coding: {name}\nx = '\\u0041 +AGE- Grüße aus Köln, schön!!'"
    for data in (said.encode("cp1252"), said.encode("cp1252") + b" "):
        assert decode(data).text.startswith(said)


def test_a_damaged_character_that_was_there_before_is_not_counted_again() -> None:
    text = "\ufffd" * 3 + GERMAN
    for encoding in ("utf-8", "utf-16", "gb18030", "utf-8-sig"):
        found = decode(text.encode(encoding), encoding)
        assert (found.text, found.replaced) == (text, 0)
    assert decode(text.encode() + b"\xff").replaced == 1


@given(st.sampled_from([GERMAN, RUSSIAN, JAPANESE]), st.integers(1, 60))
def test_a_text_that_is_cut_in_a_character_loses_that_alone(text: str, cut: int) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        if encoding == "utf-16-le" and text is not GERMAN:
            continue  # without a mark only an alphabet with zeros in its codes is UTF-16
        data = (text * 5).encode(encoding)[:-cut]
        found = decode(data)
        assert found.text.rstrip("\ufffd") == (text * 5)[: len(found.text.rstrip("\ufffd"))]
        assert found.replaced == found.text.count("\ufffd") <= 1
        assert len((text * 5)[: len(found.text)].encode(encoding)) >= len(data)


@given(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\ufffd\x1b\0\ufeff"), min_size=40),
    st.sets(st.integers(0, 2**16), min_size=1, max_size=3),
)
def test_mostly_valid_utf_8_stays_itself_around_what_is_damaged(text: str, places: set[int]) -> None:
    text = "Grüße, ежи и 日本語. " * 3 + text
    data = bytearray(text.encode())
    damaged = sorted(place % len(data) for place in places)
    for place in damaged:
        data[place] = 0xFF
    found = decode(bytes(data), mend=False)
    assert found.encoding == "utf-8"
    kept = text.encode()
    for place in damaged:
        start = place
        while kept[start] & 0xC0 == 0x80:
            start -= 1
        before = kept[: min(damaged[0], start)].decode(errors="ignore")
        assert found.text.startswith(before)
    assert found.text.endswith(kept[damaged[-1] + 4 :].decode(errors="ignore"))
    assert found.replaced >= 1


@given(st.lists(st.binary(min_size=0, max_size=9), max_size=9))
def test_a_text_in_blocks_is_the_text_at_once(blocks: list[bytes]) -> None:
    begin = (GERMAN + "\ufffd").encode()
    decoder = Decoder("utf-8")
    pieces = [decoder.decode(begin[:9]), *(decoder.decode(block) for block in (begin[9:], *blocks))]
    text = "".join((*pieces, decoder.decode(b"", final=True)))
    whole = decode(begin + b"".join(blocks), "utf-8", mend=False)
    assert (text, decoder.replaced) == (whole.text, whole.replaced)


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
