"""What licences ask, by their SPDX ids: a table, and expressions of it (`MIT OR Apache-2.0`).

It says what the texts of the licences ask of whoever passes on a work or an adaptation; whether a trained model is an
adaptation of its data in the law's sense, it does not say.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from daedal.data.filetypes import words

UNKNOWN = "NOASSERTION"
"""What SPDX writes where nobody says."""

_OPERATORS = ("AND", "OR", "WITH")
Asks = frozenset[str]

# What each licence asks of whoever passes on the work or an adaptation.
_CREATIVE = {
    "CC-BY": "attribution", "CC-BY-SA": "attribution share-alike", "CC-BY-NC": "attribution non-commercial",
    "CC-BY-NC-SA": "attribution non-commercial share-alike", "CC-BY-ND": "attribution no-derivatives",
    "CC-BY-NC-ND": "attribution non-commercial no-derivatives",
}  # fmt: skip
_ASKS = {
    **{f"{name}-{version}": asks for name, asks in _CREATIVE.items() for version in ("1.0", "2.0", "2.5", "3.0", "4.0")},
    **dict.fromkeys(("CC0-1.0", "Unlicense", "0BSD", "WTFPL", "PDDL-1.0", "MIT-0", "CDLA-Permissive-2.0"), ""),
    **dict.fromkeys(
        ("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "PSF-2.0", "Python-2.0", "BSL-1.0", "ODC-By-1.0",
         "CDLA-Permissive-1.0", "BSD-4-Clause", "Artistic-2.0", "MS-PL", "NCSA", "X11", "PostgreSQL", "OFL-1.1"),
        "attribution",
    ),
    **{
        f"{name}-{form}": f"attribution {asks}"
        for name, asks in (
            ("GPL-2.0", "copyleft"), ("GPL-3.0", "copyleft"), ("AGPL-3.0", "copyleft network"), ("LGPL-2.1", "weak-copyleft"),
            ("LGPL-3.0", "weak-copyleft"), ("GFDL-1.3", "share-alike"), ("LGPL-2.0", "weak-copyleft"),
        )
        for form in ("only", "or-later")
    },
    **dict.fromkeys(("MPL-2.0", "EPL-2.0", "EPL-1.0", "CDDL-1.0", "EUPL-1.2"), "attribution weak-copyleft"),
    **dict.fromkeys(("ODbL-1.0", "CDLA-Sharing-1.0"), "attribution share-alike"),
}  # fmt: skip
_BY_LOWER = {name.lower(): name for name in _ASKS} | {
    "gpl-2.0": "GPL-2.0-only", "gpl-2.0+": "GPL-2.0-or-later", "gpl-3.0": "GPL-3.0-only", "gpl-3.0+": "GPL-3.0-or-later",
    "agpl-3.0": "AGPL-3.0-only", "agpl-3.0+": "AGPL-3.0-or-later", "lgpl-2.1": "LGPL-2.1-only", "lgpl-3.0": "LGPL-3.0-only",
    "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-3.0+": "LGPL-3.0-or-later", "apache 2.0": "Apache-2.0", "apache": "Apache-2.0",
    "apache2": "Apache-2.0", "cc0": "CC0-1.0", "pddl": "PDDL-1.0", "odbl": "ODbL-1.0", "odc-by": "ODC-By-1.0",
    "bsd": "BSD-3-Clause", "gfdl": "GFDL-1.3-only", "public domain": "CC0-1.0", "psf": "PSF-2.0", "mpl": "MPL-2.0",
    "wtfpl": "WTFPL",
    **{f"{name.lower()}{dash}{version}": f"{name}-{version}"
       for name in _CREATIVE for version in ("3.0", "4.0") for dash in (" ", "_")},
}  # fmt: skip


def normal_licence(text: str) -> str:
    """A licence as SPDX writes it; what is none of the known ones stays as it was said.

    >>> normal_licence("cc-by-sa-4.0"), normal_licence("mit or apache-2.0")
    ('CC-BY-SA-4.0', 'MIT OR Apache-2.0')
    """
    text = " ".join(text.split())
    if (whole := _BY_LOWER.get(text.lower())) is not None:
        return whole
    words = re.findall(r"[()]|[^\s()]+", text)
    if any(word.upper() in _OPERATORS for word in words):
        named = [word.upper() if word.upper() in _OPERATORS else _BY_LOWER.get(word.lower(), word) for word in words]
        return re.sub(r"\( | \)", lambda match: match[0].strip(), " ".join(named))
    return text


def _alternatives(licence: str) -> list[list[str]]:
    """An expression as alternatives, each of licences that hold together; exceptions are left out."""
    words = re.findall(r"[()]|[^\s()]+", licence)
    place = 0

    def either() -> list[list[str]]:
        nonlocal place
        found = both()
        while place < len(words) and words[place] == "OR":
            place += 1
            found = found + both()
        return found

    def both() -> list[list[str]]:
        nonlocal place
        found = one()
        while place < len(words) and words[place] == "AND":
            place += 1
            found = [left + right for left in found for right in one()][:64]
        return found

    def one() -> list[list[str]]:
        nonlocal place
        if place >= len(words):
            return [[]]
        word = words[place]
        place += 1
        if word == "(":
            found = either()
            place += 1
            return found
        if place + 1 < len(words) and words[place] == "WITH":
            place += 2
        return [[word]]

    return either()


def asks_of(licence: str) -> Asks | None:
    """What the least demanding alternative of an expression asks; None where a part of it is not known."""
    known = [
        frozenset(word for name in names for word in _ASKS[name].split())
        for names in _alternatives(licence)
        if names and all(name in _ASKS for name in names)
    ]
    return min(known, key=lambda asks: (len(asks - {"attribution"}), len(asks)), default=None)


def obligations(licences: Iterable[str]) -> Iterator[str]:
    """What licences ask together."""
    licences = [each for each in licences if each != UNKNOWN]
    asks = {each: asks_of(each) for each in licences}
    by_word: dict[str, list[str]] = {}
    for licence, asked in asks.items():
        for word in sorted(asked or ()):
            by_word.setdefault(word, []).append(licence)
    says = {
        "attribution": "authors must be named",
        "share-alike": "adaptations must stand under the same licence",
        "copyleft": "derived works must stand under the same licence, with their source",
        "network": "the same holds for what is offered over a network",
        "weak-copyleft": "changed files must stay under the same licence",
        "non-commercial": "no commercial use",
        "no-derivatives": "adaptations must not be passed on",
    }
    for word, said in says.items():
        if word in by_word:
            yield f"{said}: {', '.join(by_word[word])}"
    unknown = sorted(each for each, asked in asks.items() if asked is None)
    if unknown:
        yield f"not in Daedal's table, so read what it asks: {', '.join(unknown)}"
    for place, one in enumerate(licences):
        for other in licences[place + 1 :]:
            known = [each for each in (asks[one], asks[other]) if each is not None and "no-derivatives" not in each]
            if len(known) == 2 and not _go_together(one, other):
                yield f"{one} and {other} do not go together in one adaptation"


class _Side(NamedTuple):
    name: str
    asks: Asks


def _go_together(one: str, other: str) -> bool:
    """Whether some alternative of each goes with one of the other."""
    return any(
        all(
            _fit(_Side(a, frozenset(_ASKS[a].split())), _Side(b, frozenset(_ASKS[b].split())))
            for a in left
            for b in right
        )
        for left in _alternatives(one)
        for right in _alternatives(other)
        if all(name in _ASKS for name in (*left, *right))
    )


def _fit(one: _Side, other: _Side) -> bool:
    """Whether one work may hold both: what asks for its own licence leaves no room for another that does, or that forbids
    more."""
    if one.name == other.name:
        return True
    strict = {"share-alike", "copyleft"}
    for a, b in ((one, other), (other, one)):
        if "no-derivatives" in a.asks:
            return False
        if a.asks & strict and "non-commercial" in b.asks and "non-commercial" not in a.asks:
            return False
        if a.name == "GPL-2.0-only" and b.name in ("Apache-2.0", "CDDL-1.0", "EPL-1.0", "EPL-2.0"):
            return False
        if a.name.startswith("GPL") and b.name in ("CDDL-1.0", "EPL-1.0", "BSD-4-Clause"):
            return False
    if not (one.asks & strict and other.asks & strict):
        return True
    family = {name: re.sub(r"-(?:only|or-later)$", "", name) for name in (one.name, other.name)}
    if len(set(family.values())) == 1:
        return True
    later = {"GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "AGPL-3.0-or-later"}
    same = {re.sub(r"-[\d.]+$", "", one.name), re.sub(r"-[\d.]+$", "", other.name)}
    adapted = {one.name, other.name}  # Creative Commons lists GPL 3 as compatible with its BY-SA 4.0, one way
    return (
        adapted <= later
        or (len(same) == 1 and next(iter(same)) in ("CC-BY-SA", "CC-BY-NC-SA"))
        or ("CC-BY-SA-4.0" in adapted and bool(adapted & {"GPL-3.0-only", "GPL-3.0-or-later"}))
    )


# -- as the Hugging Face Hub names them --------------------------------------------------------------------------------

_ON_HUB = words(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
    "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0 gfdl "
    "mpl-2.0 epl-1.0 epl-2.0 eupl-1.2 isc zlib bsl-1.0 unlicense wtfpl pddl odbl odc-by ofl-1.1 ms-pl ncsa postgresql "
    "artistic-2.0"
)


def hub_header(licences: Sequence[str]) -> list[str]:
    """The lines of a card's header that name the licence. One that all data has may be named; anything else is for the person
    who publishes to say, and `other` is what the Hub calls a licence that it has no name for."""
    known = [each for each in licences if each not in (UNKNOWN, "unknown")]
    if len(known) != 1 or len(licences) != 1:
        return ['license: "unknown"']
    name = re.sub(r"-(?:only|or-later)$", "", known[0]).lower()
    name = {"pddl-1.0": "pddl", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "gfdl-1.3": "gfdl"}.get(name, name)
    return [f'license: "{name}"'] if name in _ON_HUB else ["license: other", f"license_name: {json.dumps(known[0])}"]
