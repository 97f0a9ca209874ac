"""Secrets in text: keys of services, private keys, tokens, passwords in addresses and in assignments.

Each sort is looked for from something that it cannot be without (`ghp_`, `://`, `password`), found as fast as memory is read;
what stands around it is matched within a bound. So the time is linear in the text, whatever stands in it. An assignment is
believed where its value looks drawn at random; one to a password where a person could have typed it, and it is no placeholder.
Next: `daedal.data.sensitive` masks what is found.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Finding(NamedTuple):
    """Something in a text that should not be learned.

    Attributes:
        kind: what masks it: a name of `daedal.data.options.MaskKind`.
        what: it is, in words.
        begin, end: the characters of it.
    """

    kind: str
    what: str
    begin: int
    end: int


class _Token(NamedTuple):
    """A key that begins with something of its own.

    Attributes:
        random: whether it must look drawn at random, since words may begin so, too.
        within: what may not stand before it, since it would be in the middle of something.
    """

    what: str
    start: str
    form: re.Pattern[str]
    random: bool
    within: re.Pattern[str]


def _token(what: str, start: str, rest: str, random: bool = False, within: str = r"\w") -> _Token:
    return _Token(what, start, re.compile(re.escape(start) + rest), random, re.compile(within))


_DASHED = r"[\w-]"
_END = r"(?![\w-])"
_TOKENS = (
    *(_token("AWS access key", start, r"[0-9A-Z]{16}\b") for start in ("AKIA", "ASIA")),
    *(_token("GitHub token", f"gh{kind}_", r"[A-Za-z0-9]{36,255}\b") for kind in "pousr"),
    _token("GitHub token", "github_pat_", r"[A-Za-z0-9_]{50,255}\b"),
    _token("GitLab token", "glpat-", r"[\w-]{20,64}" + _END, random=True, within=_DASHED),
    _token("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,64}\b", random=True),
    _token("Google key", "AIza", r"[\w-]{35}" + _END, within=_DASHED),
    _token("Google secret", "GOCSPX-", r"[\w-]{28}" + _END, within=_DASHED),
    _token("Slack token", "xox", r"[abeprs]-[0-9A-Za-z-]{10,250}" + _END, random=True, within=_DASHED),
    _token(
        "Slack webhook",
        "hooks.slack.com/services/",
        r"T[0-9A-Z]{6,12}/B[0-9A-Z]{6,12}/[A-Za-z0-9]{16,32}\b",
        within=r"(?!)",
    ),
    *(
        _token("Stripe key", start, r"[A-Za-z0-9]{16,250}\b")
        for start in ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "pk_test_")
    ),
    _token("service key", "sk-", r"[\w-]{20,250}" + _END, random=True, within=_DASHED),
    _token("SendGrid key", "SG.", r"[\w-]{16,32}\.[\w-]{16,64}" + _END, within=_DASHED),
    _token("npm token", "npm_", r"[A-Za-z0-9]{36}\b"),
    _token("PyPI token", "pypi-AgE", r"[\w-]{50,1000}" + _END, within=_DASHED),
    _token("JSON Web Token", "eyJ", r"[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,2000}" + _END, within=_DASHED),
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = re.compile(r"(?:(?:\r?\n|\\n)[ \t]{0,8}[A-Za-z0-9+/=]{16,100})+")
_PEM_MOST = 2**14
_USER = re.compile(r"://[^\s:/@\"'<>?#]{0,64}:(?P<value>[^\s/@\"'<>]{3,128})@")
_NAMES = ("passw", "pwd", "secret", "token", "key", "credential", "auth")
_KEY_OF = re.compile(r"(?:api|access|secret|private|account|signing|encryption|client|consumer|master|shared)[_-]?$")
_ASSIGNED = re.compile(
    r"(?P<name>[A-Za-z0-9_-]{0,30})[\"'\]]{0,2}[ \t]{0,8}(?:=>|:=|[:=])[ \t]{0,8}(?:(?:Bearer|Basic|[Tt]oken) {1,2})?"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n<>]{6,200})(?P=quote)|[\"']?(?P<plain>[A-Za-z0-9+/_.~!#$%^&*-]{6,200}={0,2}))"
)
_NAME_OF_ANOTHER = re.compile(
    r"hash|digest|_?ids?$|name|length|size|type|url|uri|path|file|field|label|count|limit|policy|expir|input|param|regex|pattern"
    r"|format|prefix|column|header|izer|(?<!or)ization|ize\b|prompt|hint|help|text|class|error|message|endpoint|ring$"
)
_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.{3,}|0{6,}|1234567890|placeholder|changeme|change[_-]me|example|dummy|redacted|^your|^my[_-]"
    r"|^insert|\$\{|\{\{|\{\w*\}|%\(|%s|^\$|environ|getenv|getpass|^(?:password|passwd|passphrase|pass|secret|none|null|true|false|string"
    r"|undefined|required|optional|token|test|foobar)\d{0,3}$"
)
_WORDS = re.compile(r"[a-z]+(?:[ _.-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*|(?:[A-Za-z]+ ){2,}[A-Za-z]+[.!?]?")
_IDENTIFIER = re.compile(r"_*[A-Za-z]+\d?(?:[._/-]+(?:[A-Za-z]+\d?|\d))*")
_RANDOM = re.compile(r"[A-Za-z0-9+/_.~=-]{16,}")
_LOWER = {upper: upper + 32 for upper in range(65, 91)}


def find_secrets(text: str) -> Iterator[Finding]:
    """The secrets in a text, sort by sort; some may be found twice."""
    yield from _tokens(text)
    yield from _private_keys(text)
    yield from _in_addresses(text)
    yield from _assigned(text)


def looks_random(value: str) -> bool:
    """A value that seems drawn at random: letters and digits mixed, many different ones, few of them words.

    The entropy of its characters is 3 bits or more, and those of an identifier in words are letters for long.
    """
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and len(set(value)) > 9):
        return False
    if _IDENTIFIER.fullmatch(value):
        return False
    changes = sum(_sort(one) != _sort(other) for one, other in pairwise(value))
    counts = Counter(value).values()
    entropy = -sum(each / len(value) * math.log2(each / len(value)) for each in counts)
    return entropy >= 3.0 and changes >= len(value) / 6


def _sort(sign: str) -> int:
    return 0 if sign.isdigit() else 1 if sign.islower() else 2 if sign.isupper() else 3


def _places(text: str, what: str) -> Iterator[int]:
    place = text.find(what)
    while place >= 0:
        yield place
        place = text.find(what, place + len(what))


def _tokens(text: str) -> Iterator[Finding]:
    for token in _TOKENS:
        for place in _places(text, token.start):
            if place and token.within.match(text, place - 1):
                continue
            match = token.form.match(text, place)
            if match is not None and (not token.random or looks_random(match[0][len(token.start) :])):
                yield Finding("key", token.what, place, match.end())


def _private_keys(text: str) -> Iterator[Finding]:
    """Keys in PEM: to their end, or, where that was cut off, as far as they go."""
    ends = _PEM_END.finditer(text)
    end = next(ends, None)
    done = 0
    for place in _places(text, "-----BEGIN "):
        begin = _PEM.match(text, place) if place >= done else None
        if begin is None:
            continue
        while end is not None and end.start() < begin.end():
            end = next(ends, None)
        if end is not None and end.end() - begin.end() <= _PEM_MOST:
            done = end.end()
        elif (body := _PEM_BODY.match(text, begin.end())) is not None:
            done = body.end()
        else:
            continue
        yield Finding("key", "private key", place, done)


def _in_addresses(text: str) -> Iterator[Finding]:
    """Passwords in addresses, as in `postgres://name:password@host`."""
    for place in _places(text, "://"):
        match = _USER.match(text, place)
        if match is not None and not _PLACEHOLDER.search(match["value"]):
            yield Finding("key", "password in an address", match.start("value"), match.end("value"))


def _assigned(text: str) -> Iterator[Finding]:
    """Values of what is named a key, a token, a secret or a password."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters have a lower form of two characters
        lowered = text.translate(_LOWER)
    for name in _NAMES:
        for place in _places(lowered, name):
            if name == "key" and not _KEY_OF.search(lowered, max(0, place - 12), place):
                continue
            match = _ASSIGNED.match(text, place + len(name))
            if match is None:
                continue
            rest = match["name"].lower()
            password = name in ("passw", "pwd")
            if _NAME_OF_ANOTHER.search(rest.removeprefix("ord").removeprefix("d")):
                continue
            group = "plain" if match["quoted"] is None else "quoted"
            value, following = match[group], text[match.end() : match.end() + 1]
            if _PLACEHOLDER.search(value) or (group == "plain" and following in ("(", "[")):
                continue
            if (_RANDOM.fullmatch(value) and looks_random(value)) or (password and _typed(value, group == "quoted")):
                what = "password" if password else "key that is assigned"
                yield Finding("key", what, match.start(group), match.end(group))


def _typed(value: str, quoted: bool) -> bool:
    """Whether a value is a password that a person typed, and no word of a program or a sentence."""
    if _WORDS.fullmatch(value) or " " in value:
        return False
    if quoted:
        return True
    return (
        len(value) >= 8
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and not _IDENTIFIER.fullmatch(value)
    )
