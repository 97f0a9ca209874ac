"""The part of a mail that its writer wrote: without what is quoted of other mail, and without the signature."""

import re
from typing import NamedTuple

_QUOTED = re.compile(r"^ ?>")
_EMPTY_LINES = re.compile(r"\n{3,}")
_VERBS = "wrote|writes|schrieb|a écrit|escribió|ha scritto|schreef|skrev|escreveu|napisał"
_WROTE = re.compile(rf"^.{{4,200}}\b(?:{_VERBS})\s*:\s*$")
_ON_A_DAY_WROTE = re.compile(
    rf"^\s*(?:On|Am|Le|El|Il|Op|Den|Em|W dniu|Dnia)\b.{{4,300}}\b(?:{_VERBS})\b.{{0,80}}:\s*$", re.DOTALL
)
_ORIGINAL = (
    "Original Message|Original-Nachricht|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Messaggio originale"
)
_FORWARDED = re.compile(rf"^\s*[-_=]{{2,}}\s*(?:{_ORIGINAL})\s*[-_=]{{2,}}\s*$", re.IGNORECASE)
_OUTLOOK = re.compile(r"^\*?(?:From|Von|De|Da|Van)\s?:\*?\s.+$")
_OUTLOOK_NEXT = re.compile(
    r"^\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Inviato|Verzonden|To|An|À|Para|A|Aan)\s?:\*?\s.+$"
)
_SIGNATURE = re.compile(r"^-- ?$")
_LIST_FOOTER = re.compile(r"^_{20,}\s*$")
_DEVICE = re.compile(
    r"^(?:Sent from (?:my|Mail for|Outlook for|Yahoo|Proton)|Get Outlook for|Von meinem \S+ gesendet|Envoyé de mon"
    r"|Enviado desde mi)\b.{0,60}$"
)
_BLOCKQUOTE = re.compile(r"<(/?)blockquote\b[^>]{0,1000}>", re.IGNORECASE)


class Own(NamedTuple):
    """What somebody wrote, how many lines of it were quoted, and whether there was a signature."""

    text: str
    quoted: int
    signed: bool


def own_text(text: str) -> Own:
    """What was written of a plain mail. Answers between quotes stay."""
    lines, signed = _unsigned(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    kept = list[str]()
    quoted, quoting = 0, False
    for place, line in enumerate(lines):
        if _FORWARDED.match(line) or (_OUTLOOK.match(line) and _headers_follow(lines, place + 1)):
            _drop_introduction(kept)
            quoted += len(lines) - place
            break
        if _QUOTED.match(line):
            if not quoting:
                _drop_introduction(kept)
                kept.append("")
            quoting = True
            quoted += 1
        else:
            quoting = quoting and not line.strip()
            kept.append(line.rstrip())
    own = _EMPTY_LINES.sub("\n\n", "\n".join(kept)).strip()
    return Own(own, quoted, signed)


def marked_quotes(page: str) -> str:
    """A mail in HTML in which a quote is only a mark, as `own_text` knows them."""
    pieces, place, depth = list[str](), 0, 0
    for tag in _BLOCKQUOTE.finditer(page):
        if not tag[1]:
            if depth == 0:
                pieces += (page[place : tag.start()], "<p>&gt;</p>")
            depth += 1
        elif depth:
            depth -= 1
            place = tag.end()
    return "".join((*pieces, "" if depth else page[place:]))


def unflowed(text: str, joined: bool) -> str:
    """Text of `format=flowed` (RFC 3676) with its lines joined; without the space at which it was broken, where it was
    `joined`."""
    lines = list[str]()
    open_ = False
    for line in text.split("\n"):
        line = line.rstrip("\r")
        quoted = line.startswith(">")
        line = line[1:] if line.startswith(" ") else line
        if open_ and not quoted and line != "-- ":
            lines[-1] += line
        else:
            lines.append(line)
        open_ = line.endswith(" ") and line != "-- " and not quoted
        if open_ and joined:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _unsigned(lines: list[str]) -> tuple[list[str], bool]:
    """The lines before the signature, and whether there was one. What a list or a telephone adds is one too."""
    for place, line in enumerate(lines):
        if line.startswith("-----BEGIN PGP SIGNED"):
            lines[place : place + 1 + sum(each.startswith("Hash:") for each in lines[place + 1 : place + 2])] = [""]
        elif _SIGNATURE.match(line) or _DEVICE.match(line) or line.startswith("-----BEGIN PGP SIGNATURE"):
            rest = lines[place:]
            end = next((n for n, each in enumerate(rest) if _QUOTED.match(each) or _FORWARDED.match(each)), len(rest))
            return lines[:place] + rest[end:], True
        if _LIST_FOOTER.match(line) and place > 0 and not any(map(_OUTLOOK.match, lines[place + 1 : place + 3])):
            return lines[:place], True
    return lines, False


def _headers_follow(lines: list[str], place: int) -> bool:
    """Whether the head of a mail goes on here, as programs write it above what they quote."""
    return sum(bool(_OUTLOOK_NEXT.match(line)) for line in lines[place : place + 4]) >= 2


def _drop_introduction(kept: list[str]) -> None:
    """Take off the line, or the two, that say who wrote what is quoted next."""
    while kept and not kept[-1]:
        kept.pop()
    for count in (1, 2, 3):
        last = kept[-count:]
        if len(last) == count and all(last) and _ON_A_DAY_WROTE.match("\n".join(last)):
            del kept[-count:]
            return
    if kept and _WROTE.match(kept[-1]):
        kept.pop()
