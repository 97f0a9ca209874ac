"""Translation memories: XML in which a unit has a text in each of some languages. TMX, and XLIFF 1.2 and 2.0.

Read by `daedal.data.kinds.pairs`.
"""

import io
from collections.abc import Iterator

from daedal.data.documents.package import End, Start, markup, without

ENDS = (".tmx", ".xlf", ".xliff")
_UNITS = ("tu", "trans-unit", "segment")
_SIDES = ("source", "target")
_LANGUAGES = ("source-language", "target-language", "srcLang", "trgLang")
_OTHERS = frozenset(
    # proposals, what is no text of the unit, and codes of the format that the text came from
    ("alt-trans", "ignorable", "note", "notes", "prop", "bpt", "ept", "it", "ph", "ut")
)


def translations(text: str) -> Iterator[dict[str, str]]:
    """What each unit says, by language.

    Raises:
        ValueError: it is broken, or declares entities of its own.
    """
    sides = dict(zip(_SIDES, _SIDES, strict=True))
    said: dict[str, str] = {}
    language, open_in = "", None
    for each in without(markup(io.StringIO(text)), lambda start: "" if start.name in _OTHERS else None):
        if isinstance(each, str):
            if open_in is not None:
                said[open_in] += each
        elif isinstance(each, End):
            if each.name in ("seg", *_SIDES):
                open_in = None
            elif each.name in _UNITS:
                yield said
        elif each.name in _UNITS:
            said = {}
        elif each.name == "tuv":
            language = next((value for name, value in each.attributes.items() if name.endswith("lang")), "")
        elif each.name in ("seg", *_SIDES):
            open_in = sides.get(each.name, language)
            said[open_in] = ""
        else:
            sides |= _named(each)


def _named(start: Start) -> dict[str, str]:
    """The languages of source and target, where an element says them."""
    said = ((side, start.attributes.get(name)) for name, side in zip(_LANGUAGES, 2 * _SIDES, strict=True))
    return {side: code for side, code in said if code}
