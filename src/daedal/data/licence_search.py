"""Where licences are found: an SPDX line in a file, a licence's text beside files, the front matter of a data set's card.

What a file says of itself counts first, then what was given, then the nearest licence above it. `data build` writes what is
found into the manifest: see `daedal.data.licence_ledger`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from daedal.data.filetypes import file_type
from daedal.data.licence_ledger import LicenceEntry, LicenceLedger
from daedal.data.licence_terms import UNKNOWN, normal_licence
from daedal.data.sources import Item, Named

_HEAD = 2**13
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]{0,4}([\w.+() -]{2,120})")
_LICENCE_FILE = re.compile(r"(?i)(?:li[cs]en[cs]e|copying|unli[cs]en[cs]e)(?:[-_.][\w-]{1,24})?(?:\.(?:txt|md|rst))?")
_CARD = re.compile(r"(?i)(?:readme|dataset_?card)\.md")
_FRONT = re.compile(r"\A---\r?\n(.{0,8000}?)\r?\n---", re.DOTALL)
# Words of each licence's text, lower-case and on one line; of those that begin at one place the more special stand first.
_PHRASES = (
    ("AGPL-3.0-only", ("gnu affero general public license version 3, 19 november 2007",)),
    ("LGPL-3.0-only", ("gnu lesser general public license version 3, 29 june 2007",)),
    ("LGPL-2.1-only", ("gnu lesser general public license version 2.1, february 1999",)),
    ("LGPL-2.0-only", ("gnu library general public license version 2, june 1991",)),
    ("GPL-3.0-only", ("gnu general public license version 3, 29 june 2007",)),
    ("GPL-2.0-only", ("gnu general public license version 2, june 1991",)),
    ("Apache-2.0", ("apache license", "version 2.0, january 2004")),
    ("MPL-2.0", ("mozilla public license version 2.0",)),
    ("EPL-2.0", ("eclipse public license - v 2.0",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    *(
        (f"{name}-{version}", (f"{words} {version}",))
        for name, words in (
            ("CC-BY-NC-SA", "attribution-noncommercial-sharealike"), ("CC-BY-NC-ND", "attribution-noncommercial-noderivatives"),
            ("CC-BY-NC-ND", "attribution-noncommercial-noderivs"), ("CC-BY-NC", "attribution-noncommercial"),
            ("CC-BY-SA", "attribution-sharealike"), ("CC-BY-ND", "attribution-noderivatives"), ("CC-BY", "attribution"),
        )
        for version in ("4.0", "3.0")
    ),
    ("ODbL-1.0", ("open database license",)),
    ("ODC-By-1.0", ("open data commons attribution license",)),
    ("PDDL-1.0", ("public domain dedication and license",)),
    ("CDLA-Permissive-2.0", ("community data license agreement", "permissive", "version 2.0")),
    ("BSL-1.0", ("boost software license - version 1.0",)),
    ("PSF-2.0", ("python software foundation license version 2",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("WTFPL", ("do what the fuck you want to public license",)),
    ("OFL-1.1", ("sil open font license version 1.1",)),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "neither the name")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("Zlib", ("this software is provided 'as-is'", "altered source versions must be plainly marked")),
    ("ISC", ("permission to use, copy, modify, and/or distribute this software", "appear in all copies")),
    ("ISC", ("permission to use, copy, modify, and distribute this software", "appear in all copies")),
    ("MIT-0", ("permission is hereby granted, free of charge", "mit no attribution")),
    ("MIT", ("permission is hereby granted, free of charge", "the above copyright notice and this permission notice")),
)  # fmt: skip


def recognise_licence(text: str) -> str | None:
    """The licence whose text this is, by phrases that it has; None for one that is not known.

    Whether `or any later version` was chosen stands beside a program, not in the licence, so the GNU licences come as `-only`.
    """
    flat = " ".join(re.sub(r"[*_#=>]+", " ", text[:60_000]).lower().replace("licence", "license").split())
    if (header := _SPDX.search(text[:_HEAD])) is not None:
        return normal_licence(header[1])
    found = [(flat.find(phrases[0]), name) for name, phrases in _PHRASES if all(phrase in flat for phrase in phrases)]
    return min(found, key=lambda pair: pair[0])[1] if found else None  # licences mention others further down


def card_licence(text: str) -> str | None:
    """The licence in the front matter of a data set's card."""
    front = _FRONT.match(text)
    if front is None:
        return None
    import yaml

    try:
        values = yaml.safe_load(front[1])
    except yaml.YAMLError:
        return None
    said = values.get("license", values.get("licence")) if isinstance(values, dict) else None
    found = (
        said[0]
        if isinstance(said, list) and len(said) == 1
        else " AND ".join(map(str, said))
        if isinstance(said, list)
        else said
    )
    return (
        normal_licence(found)
        if isinstance(found, str) and found.strip() and found not in ("other", "unknown")
        else None
    )


def find_licences(
    named: Iterable[Named], given: str | None, known: dict[str, str], archived: Counter[str] | None = None
) -> LicenceLedger:
    """The ledger of sources that were resolved.

    Args:
        given: what `--licence` says of them.
        known: the licences of sources that Daedal makes, or that say theirs when asked, by their names.
        archived: licence files that were met inside archives: `archive\\tlicence`.
    """
    inside: dict[str, str] = {}
    for each in archived or ():
        archive, _, licence = each.partition("\t")
        inside.setdefault(archive, licence)
    entries: Counter[tuple[str, str, str, str]] = Counter()
    for source in named:
        around = _Around()
        for item in source.items:
            entries[(source.source, *_of_item(item, source.source, given, known, around, inside))] += 1
    return LicenceLedger(
        entries=tuple(
            LicenceEntry(source=name, licence=licence, how=how, where=where, files=files)
            for (name, licence, how, where), files in sorted(entries.items(), key=lambda pair: (-pair[1], pair[0]))
        )
    )


def _of_item(
    item: Item, source: str, given: str | None, known: dict[str, str], around: "_Around", inside: dict[str, str]
) -> tuple[str, str, str]:
    path = Path(item.path)
    on_disk = item.kind == "file" and bool(item.path)
    written = file_type(item.label).reader in ("text", "html") and not is_licence_file(item.label)
    if on_disk and written and (header := header_licence(_head(path))) is not None:
        return header, "header", ""
    if given is not None:
        return normal_licence(given), "given", ""
    if source in known:
        return normal_licence(known[source]), "built in", ""
    if item.label in inside:
        return inside[item.label], "licence file", item.label
    if on_disk:
        levels = item.label.count("/") + 1  # up to the folder that was named; of a file that was, the one it lies in
        for folder in list(path.parents)[: max(1, levels - 1)]:
            if (found := around.of(folder)) is not None:
                return found
    return UNKNOWN, "unknown", ""


def header_licence(text: str) -> str | None:
    """The licence that a file's first lines name by SPDX."""
    found = _SPDX.search(text[:_HEAD])
    return normal_licence(re.sub(r"\s*(?:-->|\*/).*", "", found[1]).strip(" -")) if found is not None else None


def is_licence_file(label: str) -> bool:
    """Whether a file, or a member of an archive, is called as licences are."""
    return _LICENCE_FILE.fullmatch(re.split(r"[/!]", label)[-1]) is not None


def _head(path: Path, most: int = _HEAD) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace")
    except OSError:  # what cannot be read is told by who reads it
        return ""


class _Around:
    """What the folders of a source say of their files, each looked at once."""

    def __init__(self) -> None:
        self._found: dict[Path, tuple[str, str, str] | None] = {}

    def of(self, folder: Path) -> tuple[str, str, str] | None:
        if folder not in self._found:
            self._found[folder] = self._look(folder)
        return self._found[folder]

    def _look(self, folder: Path) -> tuple[str, str, str] | None:
        try:
            names = sorted(each.name for each in folder.iterdir())
        except OSError:
            return None
        texts = [name for name in names if _LICENCE_FILE.fullmatch(name) and (folder / name).is_file()]
        found = [(name, recognise_licence(_head(folder / name, 60_000))) for name in texts]
        licences = sorted({licence for _, licence in found if licence is not None})
        if licences:  # two texts in a folder are two offers, as LICENSE-MIT and LICENSE-APACHE are
            return (
                " OR ".join(licences),
                "licence file",
                ", ".join(name for name, licence in found if licence is not None),
            )
        if texts:
            return UNKNOWN, "unknown", texts[0]
        for name in names:
            if _CARD.fullmatch(name) and (licence := card_licence(_head(folder / name, 10_000))) is not None:
                return licence, "card", name
        return None
