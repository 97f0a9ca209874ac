"""What in a text should not be learned: secrets and personal data, found by kind, and masked.

A mask is the name of its kind in angle brackets, as `<email>`: the same in every build, and none is found in it again. Of
findings that overlap the longer one counts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from daedal.data import personal
from daedal.data.options import MASK_KINDS, MaskKind
from daedal.data.secrets import Finding, find_secrets

PERSONAL: tuple[MaskKind, ...] = ("email", "phone", "ip", "iban", "card", "id", "address")
_FINDERS: tuple[tuple[frozenset[str], Callable[[str], Iterator[Finding]]], ...] = (
    (frozenset(("key",)), find_secrets),
    (frozenset(("email",)), personal.find_mail),
    (frozenset(("ip",)), personal.find_computers),
    (frozenset(("phone",)), personal.find_telephones),
    (frozenset(("phone",)), personal.find_bracketed),
    (personal.NUMBER_KINDS, personal.find_numbers),
    (frozenset(("iban", "id")), personal.find_lettered),
    (frozenset(("address",)), personal.find_houses),
)


def kinds_of(asked: Sequence[MaskKind]) -> frozenset[str]:
    """The kinds that are looked for; `personal` names all of those that are personal data."""
    return frozenset(each for kind in asked for each in (PERSONAL if kind == "personal" else (kind,)))


def find(text: str, asked: Sequence[MaskKind] = MASK_KINDS) -> list[Finding]:
    """What of these kinds stands in a text, in order; none overlaps another."""
    kinds = kinds_of(asked)
    found = [
        each for mine, finder in _FINDERS if not mine.isdisjoint(kinds) for each in finder(text) if each.kind in kinds
    ]
    chosen: list[Finding] = []
    for each in sorted(found, key=lambda each: (each.begin, -each.end)):
        if not chosen or each.begin >= chosen[-1].end:
            chosen.append(each)
        elif each.end - each.begin > chosen[-1].end - chosen[-1].begin:
            chosen[-1] = each
    return chosen


def mask(text: str, asked: Sequence[MaskKind], found: Counter[str]) -> str:
    """`text` with each thing of these kinds replaced by its kind, as `<email>`; counted in `found`.

    What stands beside a mask may only then be told from what it was joined to, so it is looked for until nothing is left.
    """
    while findings := find(text, asked):
        parts, done = [], 0
        for each in findings:
            parts += [text[done : each.begin], f"<{each.kind}>"]
            done = each.end
            found[each.kind] += 1
        text = "".join(parts) + text[done:]
    return text
