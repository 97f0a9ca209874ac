"""Made texts with exact truth: secrets and personal data of every kind where they would stand, beside what only looks like
them.

A text is a few lines of prose, code, settings or logs. Every number passes its checks and belongs to nobody; keys have the form
of their services and are drawn at random. Some are written as the search is known to miss them (`jane (at) example.org`, a
password of plain words), and every second line is a hard negative: hashes, UUIDs, versions, order numbers, names of variables.
How well `daedal.data.sensitive` finds them is told by `score`.
"""

import base64
import random
import string
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from daedal.data import checksums
from daedal.data.sensitive import PERSONAL, find

_KINDS: tuple[str, ...] = ("key", *PERSONAL)
_FIRST = (
    "jane",
    "omar",
    "li",
    "anna",
    "pedro",
    "aisha",
    "tom",
    "mei",
    "ivan",
    "zoe",
    "ravi",
    "lena",
    "marco",
    "sofia",
    "erik",
)
_LAST = (
    "doe",
    "hassan",
    "wei",
    "keller",
    "garcia",
    "khan",
    "baker",
    "chen",
    "petrov",
    "martin",
    "patel",
    "vogel",
    "rossi",
)
_HOSTS = ["example.org", "mail.example.com", "example.co.uk", "firma.example.de", "post.example.fr", "uni.example.edu"]
_LETTERS, _SIGNS = string.ascii_letters + string.digits, string.ascii_letters + string.digits + "+/"


class LabelledText(NamedTuple):
    """A text and what is in it: the kind of each thing, its first character, and the one after its last."""

    text: str
    labels: tuple[tuple[str, int, int], ...]


class Scored(NamedTuple):
    """How well a kind is found.

    Attributes:
        there: how many there are.
        covered: of them found, to the last character.
        found: how many were found.
        right: of them that are.
    """

    there: int
    covered: int
    found: int
    right: int


def sensitive_texts(count: int, seed: int = 0) -> Iterator[LabelledText]:
    """So many texts, each with one or two things to find and as many that only look so."""
    draw = random.Random(seed)
    for number in range(count):
        lines: list[str] = []
        labels: list[tuple[str, int, int]] = []
        begin = 0
        for place in range(draw.randint(2, 5)):
            if place % 2:
                line, found = _negative(draw), None
            else:
                kind = _KINDS[(number + place) % len(_KINDS)]
                line, found = _positive(draw, kind)
            if found is not None:
                labels.append((found[0], begin + found[1], begin + found[2]))
            lines.append(line)
            begin += len(line) + 1
        yield LabelledText("\n".join(lines) + "\n", tuple(labels))


def score(
    texts: Iterable[LabelledText], finder: Callable[[str], Iterable[tuple[str, int, int]]] | None = None
) -> dict[str, Scored]:
    """How well each kind is found.

    Args:
        finder: kinds with their places in a text; that of Daedal unless given.
    """
    counts = {kind: [0, 0, 0, 0] for kind in _KINDS}
    for each in texts:
        found = (
            [(one.kind, one.begin, one.end) for one in find(each.text)] if finder is None else list(finder(each.text))
        )
        for kind, begin, end in each.labels:
            counts[kind][0] += 1
            counts[kind][1] += any(k == kind and low <= begin and end <= high for k, low, high in found)
        for kind, low, high in found:
            counts[kind][2] += 1
            counts[kind][3] += any(k == kind and low < end and begin < high for k, begin, end in each.labels)
    return {kind: Scored(*numbers) for kind, numbers in counts.items()}


def _positive(draw: random.Random, kind: str) -> tuple[str, tuple[str, int, int]]:
    value, lines = _POSITIVES[kind](draw)
    line = draw.choice(lines)
    begin = line.index("@@")
    return line.replace("@@", value), (kind, begin, begin + len(value))


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.digits, k=count))


def _of(draw: random.Random, signs: str, count: int) -> str:
    return "".join(draw.choices(signs, k=count))


def _passing(draw: random.Random, count: int, check: Callable[[str], bool], start: str = "") -> str:
    """Digits that pass a check."""
    while True:
        try:
            if check(digits := start + _digits(draw, count - len(start))):
                return digits
        except ValueError:
            continue


def _person(draw: random.Random) -> tuple[str, str]:
    return draw.choice(_FIRST), draw.choice(_LAST)


def _key(draw: random.Random) -> tuple[str, list[str]]:
    def jwt() -> str:
        parts = (base64.urlsafe_b64encode(draw.randbytes(size)).decode().rstrip("=") for size in (30, 32))
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
        return f"{head}.eyJ{next(parts)}.{next(parts)}"

    def pem() -> str:
        body = base64.b64encode(draw.randbytes(300)).decode()
        name = draw.choice(("", "RSA ", "EC ", "OPENSSH "))
        rows = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {name}PRIVATE KEY-----\n{rows}\n-----END {name}PRIVATE KEY-----"

    tokens: list[Callable[[], str]] = [
        lambda: "AKIA" + _of(draw, string.ascii_uppercase + string.digits, 16),
        lambda: draw.choice(("ghp_", "gho_", "ghs_")) + _of(draw, _LETTERS, 36),
        lambda: "github_pat_" + _of(draw, _LETTERS, 22) + "_" + _of(draw, _LETTERS, 59),
        lambda: "glpat-" + _of(draw, _LETTERS, 20),
        lambda: "hf_" + _of(draw, _LETTERS, 34),
        lambda: "AIza" + _of(draw, _LETTERS + "_-", 34) + draw.choice(_LETTERS),
        lambda: f"xoxb-{_digits(draw, 12)}-{_digits(draw, 12)}-{_of(draw, _LETTERS, 24)}",
        lambda: draw.choice(("sk_live_", "rk_live_")) + _of(draw, _LETTERS, 24),
        lambda: draw.choice(("sk-", "sk-proj-", "sk-ant-")) + _of(draw, _LETTERS, 48),
        lambda: f"SG.{_of(draw, _LETTERS, 22)}.{_of(draw, _LETTERS, 43)}",
        lambda: "npm_" + _of(draw, _LETTERS, 36),
        jwt,
    ]  # fmt: skip
    anywhere = [
        'client = Client("@@")',
        "export TOKEN=@@",
        "the log says: authorized with @@ at noon",
        "  value: @@",
        "@@",
    ]
    assigned = [
        "SECRET_KEY = '@@'", 'api_key="@@"', "aws_secret_access_key = @@", '"client_secret": "@@",', "auth_token: @@",
        'headers = {"X-Auth-Token": "@@"}', "ENCRYPTION_KEY=@@", "Authorization: Bearer @@",
    ]  # fmt: skip
    passwords = ['password = "@@"', "DB_PASSWORD=@@", "  passwd: '@@'", '{"user": "admin", "password": "@@"}', "PWD=@@"]
    address = ["DATABASE_URL=postgres://app:@@@db.example.com:5432/main", "see redis://:@@@cache.example.org:6379/0"]
    sort = draw.randrange(10)
    if sort < 4:
        return draw.choice(tokens)(), anywhere
    if sort == 4:
        return pem(), ["@@", 'KEY = """@@"""']
    if sort < 7:
        signs, size = draw.choice(((_LETTERS, 32), (_SIGNS, 40), ("0123456789abcdef", 32), (_LETTERS, 24)))
        return _of(draw, signs, size), assigned
    if sort == 7:
        return _of(draw, _LETTERS + "._~", draw.randint(8, 20)).strip("._~") + "7", address
    typed = (
        draw.choice(("Summer", "blue", "Tiger", "qwerty", "Pa55", "dragon")) + _digits(draw, 3) + draw.choice("!#x%")
    )
    if draw.random() < 0.1:
        typed = draw.choice(("correcthorse", "letmein please", "sunshine"))  # plain words, which are not found
    return typed, passwords


def _mail(draw: random.Random) -> tuple[str, list[str]]:
    first, last = _person(draw)
    local = draw.choice(
        (f"{first}.{last}", f"{first[0]}{last}{draw.randint(1, 99)}", f"{first}+list", f"{last}_{first}")
    )
    host = draw.choice(_HOSTS)
    value = f"{local} (at) {host}" if draw.random() < 0.04 else f"{local}@{host}"
    return value, [
        "Write to @@.",
        "Author: J. Doe <@@>",
        '{"mail": "@@"}',
        "mailto:@@",
        "from @@ (the sender), to all",
        "@@,42,true",
    ]


def _telephone(draw: random.Random) -> tuple[str, list[str]]:
    lines = ["call @@ now", "Reach us at @@.", '"phone": "@@",', "Name, @@, Berlin"]
    area, rest = draw.randint(201, 989), _digits(draw, 4)
    exchange = draw.randint(200, 999)
    sort = draw.randrange(6)
    if sort == 0:
        return f"+49 {draw.choice(('30', '89', '171'))} {draw.randint(1_000_000, 9_999_999)}", lines
    if sort == 1:
        return f"+1{draw.choice((' ', '-'))}{area}-{exchange}-{rest}", lines
    if sort == 2:
        return f"+44 (0)20 {_digits(draw, 4)} {rest}", lines
    if sort == 3:
        return draw.choice(
            (f"({area}) {exchange}-{rest}", f"{area}-{exchange}-{rest}", f"{area}.{exchange}.{rest}")
        ), lines
    if sort == 4:
        return f"0{draw.randint(1, 9)} " + " ".join(_digits(draw, 2) for _ in range(4)), lines
    national = f"0{draw.randint(20, 99)}{draw.choice((' ', '/', '-'))}{draw.randint(100_000, 9_999_999)}"
    return national, ["Tel.: @@", "Telefon @@", "Fax @@", *(lines[:1] if draw.random() < 0.3 else [])]


def _computer(draw: random.Random) -> tuple[str, list[str]]:
    lines = ["login from @@ failed", '@@ - - "GET / HTTP/1.1" 200', "client=@@ port=4711", "blocked [@@]"]
    if draw.random() < 0.25:
        parts = [f"{draw.randrange(1, 2**16):x}" for _ in range(8)]
        return ":".join(parts) if draw.random() < 0.5 else f"2001:{':'.join(parts[:3])}::{parts[3]}", lines
    return ".".join(
        str(draw.randint(11, 126)) if place == 0 else str(draw.randint(0, 255)) for place in range(4)
    ), lines


def _account(draw: random.Random) -> tuple[str, list[str]]:
    country = draw.choice(("DE", "FR", "GB", "NL", "ES", "AT", "CH", "PL"))
    size = checksums.IBAN_LENGTHS[country] - 4
    body = ("ABNA" + _digits(draw, size - 4)) if country in ("NL", "GB") else _digits(draw, size)
    check = 98 - int("".join(str(int(sign, 36)) for sign in f"{body}{country}00")) % 97
    whole = f"{country}{check:02}{body}"
    if draw.random() < 0.5:
        whole = " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    return whole, ["IBAN: @@", "please pay to @@ by May", '"account": "@@"', "@@;1.250,00;EUR"]


def _card(draw: random.Random) -> tuple[str, list[str]]:
    start, size = draw.choice((("4", 16), ("52", 16), ("37", 15), ("6011", 16)))
    digits = _passing(draw, size, checksums.card, start)
    if size == 16 and draw.random() < 0.6:
        by = draw.choice(" -")
        digits = by.join(digits[at : at + 4] for at in range(0, 16, 4))
    elif size == 15 and draw.random() < 0.5:
        digits = f"{digits[:4]} {digits[4:10]} {digits[10:]}"
    return digits, ["card @@ exp 12/27", '"pan": "@@"', "paid with @@.", "@@,2027-12,J DOE"]


def _identity(draw: random.Random) -> tuple[str, list[str]]:
    lines = ["id @@ on file", "Name: J. Doe, @@", '"national_id": "@@"', "@@;doe;jane"]
    d = _passing
    dated = f"{draw.randint(40, 99)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
    sort = draw.randrange(9)
    if sort == 0:
        digits = d(draw, 9, checksums.social_security)
        return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}", lines
    if sort == 1:
        digits = d(draw, 12, checksums.aadhaar)
        return f"{digits[:4]} {digits[4:8]} {digits[8:]}", lines
    if sort == 2:
        digits = d(draw, 11, checksums.cpf)
        return f"{digits[:3]}.{digits[3:6]}.{digits[6:9]}-{digits[9:]}", lines
    if sort == 3:
        return d(draw, 11, checksums.pesel, dated), lines
    if sort == 4:
        digits = d(draw, 11, checksums.german_tax)
        return digits, ["Steuer-ID: @@", "Steuerliche Identifikationsnummer @@", "IdNr. @@"]
    if sort == 5:
        number = draw.randint(10_000_000, 99_999_999)
        return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}", lines
    if sort == 6:
        digits = d(draw, 10, checksums.swedish, dated)
        return f"{digits[:6]}-{digits[6:]}", lines
    if sort == 7:
        digits = d(draw, 17, lambda each: True, f"110105{draw.randint(1950, 2005)}{dated[2:]}")
        return next(digits + last for last in "0123456789X" if checksums.chinese(digits + last)), lines
    letters = _of(draw, "ABCEGHJKLMNOPRSTWXYZ", 1) + _of(draw, "ABCEGHJKLMNPRSTWXYZ", 1)
    pairs = " ".join(_digits(draw, 2) for _ in range(3))
    return f"{letters} {pairs} {draw.choice('ABCD')}", lines


def _house(draw: random.Random) -> tuple[str, list[str]]:
    lines = ["She lives at @@.", "Ship to: @@", '"address": "@@"']
    number = draw.randint(1, 999)
    sort = draw.choices(range(4), weights=(10, 10, 10, 1))[0]
    if sort == 0:
        name = draw.choice(("Oak", "Maple", "Evergreen", "Martin Luther King", "Washington", "St. James"))
        way = draw.choice(("Street", "Avenue", "Rd", "Lane", "Drive", "Terrace", "Blvd"))
        tail = draw.choice(("", f", Springfield, IL {_digits(draw, 5)}"))
        return f"{number} {name} {way}{tail}", lines
    if sort == 1:
        name, way = draw.choice((
            ("Haupt", "straße"), ("Garten", "weg"), ("Schiller", "str."), ("Bahnhof", "platz"), ("Karl-Marx-", "Allee"),
            ("Berliner ", "Straße"), ("Goethe", "strasse"),
        ))  # fmt: skip
        return f"{name}{way} {number % 200 + 1}{draw.choice(('', 'a', ', 10115 Berlin'))}", lines
    if sort == 2:
        way = draw.choice(("rue de la", "avenue", "boulevard", "place de la"))
        name = draw.choice(("Paix", "République", "Victor Hugo", "Liberté"))
        return f"{number % 200 + 1} {way} {name}{draw.choice(('', ', 75002 Paris'))}", lines
    return f"Via Roma {number % 100 + 1}, 00184 Roma", lines  # Italian, which is not found


_POSITIVES: dict[str, Callable[[random.Random], tuple[str, list[str]]]] = {
    "key": _key, "email": _mail, "phone": _telephone, "ip": _computer, "iban": _account, "card": _card, "id": _identity,
    "address": _house,
}  # fmt: skip


def _negative(draw: random.Random) -> str:
    """A line that looks as if something were in it, and has nothing."""
    hexes = "0123456789abcdef"
    made: tuple[Callable[[], str], ...] = (
        lambda: f"sha256: {_of(draw, hexes, 64)}",
        lambda: f"commit {_of(draw, hexes, 40)}",
        lambda: f"request {uuid.UUID(int=draw.getrandbits(128))} took {draw.randint(1, 99)} ms",
        lambda: f'token_id = "{uuid.UUID(int=draw.getrandbits(128))}"',
        lambda: f"version {draw.randint(1, 9)}.{draw.randint(0, 40)}.{draw.randint(0, 40)}.{draw.randint(0, 40)}",
        lambda: f"requires numpy>=2.{draw.randint(0, 30)}.{draw.randint(0, 30)} and lodash@4.17.{draw.randint(0, 99)}",
        lambda: f"order number {_digits(draw, draw.choice((8, 10, 12, 16)))}",
        lambda: f"invoice {draw.randint(2000, 2030)}-{_digits(draw, 4)}-{_digits(draw, 2)}",
        lambda: f"ISBN 978-3-{_digits(draw, 2)}-{_digits(draw, 6)}-{_digits(draw, 1)}",
        lambda: f"{draw.randint(1990, 2030)}-{draw.randint(1, 12):02}-17 12:34:{draw.randint(10, 59)}.{_digits(draw, 6)}",
        lambda: 'password = os.environ["DB_PASSWORD"]',
        lambda: draw.choice(('password: "<your-password>"', "api_key = YOUR_API_KEY_HERE_123", "token = ${GITHUB_TOKEN}")),
        lambda: draw.choice(("token = tokenizer.next_token_2(text)", "secret = load_secret_v2()", "pwd = os.getcwd()")),
        lambda: 'postgres://user:password@localhost/db is the form, and git@github.com:team/repo.git the remote',
        lambda: "@property and x = q@k.transpose(-1, -2); icon@2x.png",
        lambda: f"MAC 00:1b:44:11:3a:{_of(draw, hexes, 2)}, localhost 127.0.0.1, mask 255.255.255.0",
        lambda: f"std::map<int, std::string> at 12:34:{draw.randint(10, 59)}",
        lambda: f"pi is 3.14159{_digits(draw, 10)}, {_digits(draw, 3)},{_digits(draw, 3)}.{_digits(draw, 2)} in all",
        lambda: f"tensor([0.{_digits(draw, 4)}, -0.{_digits(draw, 4)}, {_digits(draw, 2)}.{_digits(draw, 4)}])",
        lambda: f"ids: {_digits(draw, 5)} {_digits(draw, 5)} {_digits(draw, 5)} {_digits(draw, 5)}",
        lambda: f"part no. {_of(draw, 'ABCEHX', 2)}{_digits(draw, 6)}{_of(draw, 'ABCD', 1)} in stock",
        lambda: f"He scored {draw.randint(10, 99)} points on Main Road in {draw.randint(1900, 2020)}, 3 Street Fighters won",
        lambda: f"data:image/png;base64,{_of(draw, _SIGNS, 60)}",
        lambda: "-----BEGIN PUBLIC KEY----- is no private key, and sk-estimator-html-doc-link is a class of CSS",
        lambda: f"coordinates 52.{_digits(draw, 4)}, 13.{_digits(draw, 4)}; size {draw.randint(100, 999)}x768",
        lambda: "The secretary told the author that the key to success was a token of trust, not a password.",
    )  # fmt: skip
    return draw.choice(made)()
