"""Personal data in text: addresses of mail, telephone numbers, accounts, cards, numbers of people, addresses of computers and
of houses.

Numbers are believed where their shape, their check digits or a word before them says what they are: a run of digits is read
once, and its shape (`999-99-9999`) tells which checks apply. As with secrets the time is linear in the text.
Next: `daedal.data.sensitive` masks what is found.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from itertools import accumulate

from daedal.data import checksums
from daedal.data.secrets import Finding

_LOCAL = re.compile(r"[\w.+%-]{1,64}")  # of a text read backwards
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,5}(?P<end>[^\W\d_]{2,24})(?![\w(]|\.\w)")
_FILES = frozenset(["png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "css", "js", "mjs"])
_V4 = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_VERSION = re.compile(r"(?i)(?:version|release|build|ver\.?|rev\.?|section|chapter|§)\s{0,3}[:=]?\s{0,3}[\"']?$")
_V6_SIGNS = re.compile(r"[0-9A-Fa-f:]{0,40}")
_V6_MIDDLE = re.compile(r":[0-9A-Fa-f]{0,4}:")
_DIAL = re.compile(r"\+[0-9](?:[ .\-/]?\(?[0-9]\)?){6,16}")
_DECIMAL = re.compile(r"\+[0-9]+\.[0-9]+")
_COUNTRY = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[1-368]|2[2-69]\d|3[578]\d|42[013]|5[09]\d|6[789]\d|8[05789]\d"
    r"|9[679]\d"
)
_CALLED = re.compile(
    r"(?i)\b(?:tel|telefon|telephone|téléphone|tél|phone|fax|mobile?|handy|cell|call|ring|sms)\W{0,4}$"
)
_TAXED = re.compile(r"(?i)(?:steuer|tax|tin\b|idnr|id-nr)[^\d\n]{0,36}$")
_INSURED = re.compile(r"(?i)(?:national insurance|\bni(?:no)?\b)[^\d\n]{0,16}$")
_NUMBER = re.compile(r"[0-9](?:[ .\-/]?[0-9]){6,24}")
_SHAPE = str.maketrans("012345678", "9" * 9)
_UNDIGITS = str.maketrans("", "", " .-/")
_LETTERED = re.compile(r"[A-Z](?:[A-Z](?:[A-Z]{4})? ?[0-9]{2}|-?[0-9]{7})")  # what all of the next begin with
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,34}")
_CODICE = re.compile(r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?![A-Z0-9])")
_FOREIGN = re.compile(r"[XYZ]-?\d{7}-?[A-Z](?![A-Z0-9])")
_PEOPLE: tuple[tuple[re.Pattern[str], str, Callable[[str], bool]], ...] = (
    (_CODICE, "codice fiscale", checksums.codice_fiscale),
    (_FOREIGN, "Spanish identity number", checksums.spanish),
)
_INSURANCE = re.compile(
    r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?P<space> ?)\d{2}(?P=space)\d{2}(?P=space)\d{2}(?P=space)[A-D]\b"
)
_STREET = re.compile(
    r"\d{1,5}[A-Za-z]?,? (?:[A-Z][\w'’.-]{1,20} ){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court"
    r"|Square|Terrace|Parkway|Crescent|Close)\b\.?(?! [A-Z]?[a-z]+s\b)(?:, (?:Apt|Suite|Flat) \w{1,5})?"
    r"(?:,? [A-Z][\w.-]{1,20}(?: [A-Z][\w.-]{1,20})?,? [A-Z]{2}\d? ?\d[\dA-Z]{2,4}(?:-\d{4})?\b)?"
)
_STREETS = (
    " St", " Ave", " Rd", " Blvd", " Ln", " Dr", " Road", " Boulevard", " Lane", " Court", " Square", " Terrace", " Parkway",
    " Crescent", " Close",
)  # fmt: skip
_RUES = (" rue ", " avenue ", " boulevard ", " place ", " chemin ", " allée ", " impasse ", " quai ")
_WEGE = ("straße ", "strasse ", "str. ", "weg ", "platz ", "allee ", "gasse ")
_WAYS = ("Straße ", "Strasse ", "Str. ", "Weg ", "Platz ", "Allee ")  # words of their own, behind another
_WEG = re.compile(r"[^\W\d_-]{1,30}(?:-[^\W\d_-]{1,30}){0,3}")  # read backwards
_WORD = re.compile(r"(?: [^\W\d_]{3,30}|(?:-[^\W\d_]{1,30}){1,4})(?![\w-])")
_HOUSE = re.compile(
    r"\d{1,4} ?[a-z]?\b(?!\s?[%€.,]?\d|\s?(?:km|m|Uhr|Jahre)\b)(?:,? (?:D-)?\d{5} [A-ZÄÖÜ][\wäöüß-]{1,30})?"
)
_RUE = re.compile(
    r"\d{1,4}(?: bis| ter)?,? (?:rue|avenue|boulevard|place|chemin|allée|impasse|quai) (?:d[eu]s? |de la |de l['’]|l['’]|la )?"
    r"[A-ZÀ-Ý][\w'’-]{1,30}(?: [A-ZÀ-Ý][\w'’-]{1,30}){0,3}(?:,? \d{5} [A-ZÀ-Ý][\w'’-]{1,30})?"
)


def find_mail(text: str) -> Iterator[Finding]:
    """Addresses of mail; `git@` and what stands in an address of the web are none of a person."""
    place = text.find("@")
    while place >= 0:
        end = _DOMAIN.match(text, place + 1)
        local = _LOCAL.match(text[max(0, place - 64) : place][::-1]) if end is not None else None
        if end is not None and local is not None and end["end"].lower() not in _FILES:
            begin = place - local.end()
            address = text.rfind("://", max(0, begin - 80), begin)
            within = address >= 0 and not re.search(r"[\s/]", text[address + 3 : begin])
            if not within and text[begin:place] != "git":
                yield Finding("email", "e-mail address", begin, end.end())
        place = text.find("@", place + 1)


def find_computers(text: str) -> Iterator[Finding]:
    """IP addresses that may lead to somebody: no numbers of versions, no loopback, no masks of nets."""
    if "." in text:
        for match in _V4.finditer(text):
            begin, end = match.span()
            parts = [int(part) for part in match[0].split(".")]
            alone = not _joined(text, begin, end, ".") and text[end : end + 1] != "-"
            told = parts[0] not in (0, 127, 255) and max(parts) > 9
            if max(parts) < 256 and alone and told and not _VERSION.search(text, max(0, begin - 20), begin):
                yield Finding("ip", "IP address", begin, end)
    done = 0
    for match in _V6_MIDDLE.finditer(text):
        if match.start() < done:
            continue
        before = _V6_SIGNS.match(text[max(done, match.start() - 40) : match.start()][::-1])
        after = _V6_SIGNS.match(text, match.end())
        assert before is not None
        assert after is not None  # they may be empty
        begin, end = match.start() - before.end(), after.end()
        done = end
        if _within_word(text, begin, end):
            continue
        found = text[begin:end].rstrip(":") if not text[begin:end].endswith("::") else text[begin:end]
        if len([part for part in found.split(":") if part]) >= 3 and any(map(str.isdigit, found)) and _is_v6(found):
            yield Finding("ip", "IP address", begin, begin + len(found))


def _is_v6(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _within_word(text: str, begin: int, end: int) -> bool:
    before, after = text[begin - 1 : begin] if begin else "", text[end : end + 1]
    return before.isalnum() or before == "_" or after.isalnum() or after == "_"


def _joined(text: str, begin: int, end: int, by: str = ".-/") -> bool:
    """Whether what stands there goes on: a letter or digit beside it, or a further digit behind a sign of `by`."""
    if _within_word(text, begin, end):
        return True
    before, after = text[max(0, begin - 2) : begin], text[end : end + 2]
    return (before[-1:] != "" and before[-1] in by and (len(before) < 2 or before[0].isalnum())) or (
        len(after) == 2 and after[0] in by and after[1].isdigit()
    )


def find_telephones(text: str) -> Iterator[Finding]:
    """Telephone numbers with the code of a country, in the forms of North America and France, or behind a word such as
    "Tel."."""
    if "+" in text:
        for match in _DIAL.finditer(text):
            begin, end = match.span()
            digits = "".join(filter(str.isdigit, match[0]))
            spaced = len(digits) + 1 < len(match[0])
            if (
                8 <= len(digits) <= 15
                and (spaced or len(digits) >= 10)
                and _COUNTRY.match(digits)
                and not _within_word(text, begin, end)
                and not _DECIMAL.fullmatch(match[0])
                and text[begin - 1 : begin] not in ("+", "-", "*", "/")
            ):
                yield Finding("phone", "telephone number", begin, end)


_Check = tuple[str, str, Callable[[str], bool] | None, re.Pattern[str] | None]
_SHAPES: dict[str, tuple[_Check, ...]] = {
    "999-99-9999": (("id", "US social security number", checksums.social_security, None),),
    "9999 9999 9999": (("id", "Aadhaar number", checksums.aadhaar, None),),
    "999.999.999-99": (("id", "CPF number", checksums.cpf, None),),
    "99.99.99-999.99": (("id", "Belgian register number", checksums.belgian_register, None),),
    "999999-9999": (("id", "Swedish personal number", checksums.swedish, None),),
    "99999999-9999": (("id", "Swedish personal number", lambda digits: checksums.swedish(digits[2:]), None),),
    "99 999 999 999": (("id", "German tax number", checksums.german_tax, None),),
    "9" * 11: (
        ("id", "PESEL number", checksums.pesel, None),
        ("id", "German tax number", checksums.german_tax, _TAXED),
    ),
    "9" * 15: (
        ("id", "French security number", checksums.french_security, None),
        ("card", "card number", checksums.card, None),
    ),
    "9 99 99 99 999 999 99": (("id", "French security number", checksums.french_security, None),),
    "9" * 18: (("id", "Chinese resident number", checksums.chinese, None),),
    "999-999-9999": (("phone", "telephone number", None, None),),
    "999.999.9999": (("phone", "telephone number", None, None),),
    "999 999-9999": (("phone", "telephone number", None, None),),
    "99 99 99 99 99": (("phone", "telephone number", lambda digits: digits[0] == "0" and digits[1] != "0", None),),
    "99.99.99.99.99": (("phone", "telephone number", lambda digits: digits[0] == "0" and digits[1] != "0", None),),
    **dict.fromkeys(
        (*("9" * size for size in (13, 14, 16, 17, 19)), "9999 9999 9999 9999", "9999-9999-9999-9999", "9999 999999 99999",
         "9999-999999-99999", "9999 999999 9999", "9999 9999 9999 9999 999"),
        (("card", "card number", checksums.card, None),),
    ),
}  # fmt: skip
_FEWEST = 7
"""Digits of a number that is looked for."""
_PIECES = max(shape.count(" ") for shape in _SHAPES) + 3
"""Pieces of a number at most, and some more for telephone numbers, which have no one shape."""
NUMBER_KINDS = frozenset(("card", "id", "phone"))


def find_numbers(text: str) -> Iterator[Finding]:
    """Cards, numbers of people and national forms of telephone numbers: runs of digits by their shapes."""
    for match in _NUMBER.finditer(text):
        begin, end = match.span()
        if (found := _number(text, begin, end)) is not None:
            yield found
        elif " " in match[0] and len(pieces := match[0].split(" ")) > 1:
            yield from _in_pieces(text, begin, pieces)


def _in_pieces(text: str, begin: int, pieces: list[str]) -> Iterator[Finding]:
    """Numbers that stand beside others: of neighbouring pieces, the longest first."""
    starts = [begin, *accumulate((len(piece) + 1 for piece in pieces), initial=begin)][1:]
    digits = list(accumulate((len(piece.translate(_UNDIGITS)) for piece in pieces), initial=0))
    first = 0
    while first < len(pieces):
        for last in range(min(len(pieces), first + _PIECES), first, -1):
            if digits[last] - digits[first] < _FEWEST:
                break
            low, high = starts[first], starts[last - 1] + len(pieces[last - 1])
            if (found := _number(text, low, high)) is not None:
                yield found
                first = last - 1
                break
        first += 1


def _number(text: str, begin: int, end: int) -> Finding | None:
    run = text[begin:end]
    shape = run.translate(_SHAPE)
    before, after = text[max(0, begin - 48) : begin], text[end : end + 2]
    if shape == "99999999" and (match := re.match(r"-?[A-Z](?![A-Za-z0-9])", text[end : end + 3])) is not None:
        good = checksums.spanish(run + match[0][-1]) and not before[-1:].isalnum()
        return Finding("id", "Spanish identity number", begin, end + match.end()) if good else None
    if shape == "9" * 17 and after[:1] == "X" and not _joined(text, begin, end + 1):
        return Finding("id", "Chinese resident number", begin, end + 1) if checksums.chinese(run + "X") else None
    if _joined(text, begin, end) or before[-1:] in ("+", "$", "€", "#"):
        return None
    digits = run.translate(_UNDIGITS)
    for kind, what, check, told in _SHAPES.get(shape, ()):
        if (check is None or check(digits)) and (told is None or told.search(before)):
            return Finding(kind, what, begin, end)
    if digits[0] == "0" and 7 <= len(digits) <= 13 and _CALLED.search(before[-14:]):  # a word, 4 signs, and one before
        return Finding("phone", "telephone number", begin, end)
    return None


_PARENTHESES = re.compile(r"\((?:\d{3}\) ?\d{3}[.\-]\d{4}|0\d{2,5}\) ?\d{3,5}(?:[ \-]\d{2,5}){0,2})(?![\w-])")


def find_bracketed(text: str) -> Iterator[Finding]:
    """Telephone numbers whose area stands in parentheses."""
    if "(" in text:
        for match in _PARENTHESES.finditer(text):
            before = text[match.start() - 1 : match.start()] if match.start() else ""
            if not before.isalnum() and (
                match[0][1] != "0" or _CALLED.search(text[max(0, match.start() - 32) : match.start()])
            ):
                yield Finding("phone", "telephone number", *match.span())


def find_lettered(text: str) -> Iterator[Finding]:
    """Numbers that have letters: IBANs, Italy's and Spain's of people, and the United Kingdom's, which have no check."""
    for start in _LETTERED.finditer(text):
        begin = start.start()
        if begin and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
            continue
        if (end := _account(text, begin)) is not None:
            yield Finding("iban", "IBAN", begin, end)
        for form, what, check in _PEOPLE:
            match = form.match(text, begin)
            if match is not None and check(match[0].replace("-", "")):
                yield Finding("id", what, begin, match.end())
        match = _INSURANCE.match(text, begin)
        if match is not None and (match["space"] or _INSURED.search(text, max(0, begin - 40), begin)):
            yield Finding("id", "UK insurance number", begin, match.end())


def _account(text: str, begin: int) -> int | None:
    """Where an IBAN ends that begins there: it is as long as its country's are."""
    match = _IBAN.match(text, begin)
    size = checksums.IBAN_LENGTHS.get(text[begin : begin + 2])
    if match is None or size is None:
        return None
    taken = [place for place, sign in enumerate(match[0]) if sign != " "][:size]
    end = begin + taken[-1] + 1
    whole = len(taken) == size and not text[end : end + 1].isalnum()
    return end if whole and checksums.iban(match[0][: taken[-1] + 1].replace(" ", "")) else None


def find_houses(text: str) -> Iterator[Finding]:
    """Streets with the number of a house, as they are written in English, German and French."""
    for form, named in ((_STREET, _STREETS), (_RUE, _RUES)):
        for begin, end in sorted({span for each in named for span in _around(form, text, each)}):
            left = text[begin - 1 : begin] if begin else ""
            if not left.isalnum() and left not in (".", ",", "-", "/"):
                yield Finding("address", "address", begin, end)
    for way in (*_WEGE, *_WAYS):
        place = text.find(way)
        while place >= 0:
            house = _HOUSE.match(text, place + len(way))
            before = _WEG if way in _WEGE else _WORD
            street = before.match(text[max(0, place - 60) : place][::-1]) if house is not None else None
            if house is not None and street is not None and text[place - street.end()].isupper() and street.end() > 2:
                yield Finding("address", "address", place - street.end(), house.end())
            place = text.find(way, place + 1)


def _around(form: re.Pattern[str], text: str, named: str) -> Iterator[tuple[int, int]]:
    """What has a form where a word stands that it cannot be without."""
    place = text.find(named)
    while place >= 0:
        match = form.search(text, max(0, place - 100), place + 120)
        if match is not None:
            yield match.span()
        place = text.find(named, place + 1)
