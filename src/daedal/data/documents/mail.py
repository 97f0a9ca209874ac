"""Mail (RFC 5322 and MIME) -> what its writer wrote: the subject, and the body without quotes and signature.

Of two forms of one body the plain one is read, HTML where there is no other. Attached texts are documents of their own,
and mail that was forwarded whole is read as mail; other attachments are told.
"""

import codecs
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from typing import BinaryIO

from daedal.data.archives import safe_name
from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Form, Lost, Omitted, Raw
from daedal.data.documents.replies import marked_quotes, own_text, unflowed
from daedal.data.filetypes import file_type
from daedal.data.html import main_text
from daedal.data.plain_text import read_whole

_DEEPEST = 8  # mails forwarded in each other
_ENCRYPTED = frozenset(("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"))
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_OTHER_TEXT = frozenset(("text/calendar", "text/x-vcard", "text/vcard", "text/directory"))


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The documents in a file that is one mail."""
    yield from read_message(label, -1, read_whole(stream), encoding)


def read_message(label: str, row: int, data: bytes, encoding: str | None) -> Iterator[Event]:
    """The documents in the bytes of a mail: itself, and what is attached to it."""
    yield from _Mail(label, row, encoding).events(message_from_bytes(data, policy=compat32))


class _Mail:
    """One mail that is taken apart."""

    def __init__(self, label: str, row: int, encoding: str | None, depth: int = 0) -> None:
        self._label = label
        self._row = row
        self._encoding = encoding
        self._depth = depth
        self._codings: list[Coded] = []
        self._omitted: Counter[str] = Counter()

    def events(self, message: Message) -> Iterator[Event]:
        """What is in it."""
        bodies, attached = list[str](), list[Event]()
        self._walk(message, bodies, attached)
        subject = _header(message, "subject")
        text = "\n\n".join(filter(None, (subject, *bodies)))
        if any(bodies):
            yield Raw(self._label, self._row, text, "prose", "mail")
        elif not attached:
            yield Lost(self._label, "mail without text", self._where() + (subject or "no subject"), broken=False)
        yield from attached
        yield from self._codings
        yield from (Omitted(what, number) for what, number in self._omitted.items() if number)

    def _walk(self, part: Message, bodies: list[str], attached: list[Event]) -> None:
        kind = part.get_content_type()
        if kind in _ENCRYPTED:
            attached.append(Lost(self._label, "encrypted mail", self._where() + kind, broken=False))
        elif kind == "message/rfc822" or kind == "message/global":
            for inner in _parts(part):
                attached += self._forwarded(inner)
        elif part.is_multipart():
            parts = _parts(part)
            if kind == "multipart/alternative":
                parts = _preferred(parts)
            for each in parts:
                self._walk(each, bodies, attached)
        elif kind.startswith("multipart/"):
            attached.append(Lost(self._label, "broken mail", self._where() + "its parts have no bounds", broken=False))
        elif kind in _SIGNATURES:
            self._omitted["signatures"] += 1
        elif part.get_filename() or part.get_content_disposition() == "attachment" or not kind.startswith("text/"):
            attached += self._attachment(part, kind)
        elif kind == "text/html":
            self._own(main_text(marked_quotes(self._decoded(part))), bodies)
        elif kind not in _OTHER_TEXT:
            text = self._decoded(part)
            if str(part.get_param("format", "")).lower() == "flowed":
                text = unflowed(text, str(part.get_param("delsp", "")).lower() == "yes")
            self._own(text, bodies)

    def _own(self, text: str, bodies: list[str]) -> None:
        own = own_text(text)
        bodies.append(own.text)
        self._omitted["quoted lines of mail"] += own.quoted
        self._omitted["signatures"] += own.signed

    def _forwarded(self, message: Message) -> Iterator[Event]:
        if self._depth == _DEEPEST:
            yield Lost(self._label, "nested too deeply", f"more than {_DEEPEST} mails in each other", broken=False)
            return
        yield from _Mail(f"{self._label}!mail", self._row, self._encoding, self._depth + 1).events(message)

    def _attachment(self, part: Message, kind: str) -> Iterator[Event]:
        called = "".join(filter(str.isprintable, _words(part.get_filename() or "")))[:200]
        name = safe_name(called or kind.replace("/", "."))
        label = f"{self._label}!{name}"
        if not kind.startswith("text/") or kind in _OTHER_TEXT:
            yield Lost(self._label, "attachment", f"{self._where()}{name} ({kind}) is not read", broken=False)
            return
        text = self._decoded(part)
        form: Form = "prose"
        type_ = file_type(name)
        if type_.reader == "text":
            form = type_.form
        yield Raw(label, self._row, main_text(text) if kind == "text/html" else text, form, "attached text")

    def _decoded(self, part: Message) -> str:
        """The text of a part, in the encoding that it names; else in the one that the user named, or that it looks to
        be."""
        data = part.get_payload(decode=True)
        data = data if isinstance(data, bytes) else b""
        declared = _known(part.get_content_charset())
        decoder = Decoder(declared or self._encoding)
        text = decoder.decode(data, final=True)
        if decoder.replaced or (declared is None and not data.isascii()):
            self._codings.append(Coded(self._label, "utf-8" if declared else decoder.encoding, decoder.replaced))
        return text

    def _where(self) -> str:
        return "" if self._row < 0 else f"mail {self._row}: "


def _parts(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def _preferred(parts: list[Message]) -> list[Message]:
    """Of forms of the same the plain text, else HTML or what holds it, else all."""
    for wanted in ("text/plain", "text/html"):
        found = [each for each in parts if each.get_content_type() == wanted]
        if found:
            return found[-1:]
    return [each for each in parts if each.is_multipart()][-1:] or parts


def _header(message: Message, name: str) -> str:
    """A header as text in one line."""
    value = message.get(name)
    return " ".join(_words(str(value)).split()) if value is not None else ""


def _words(value: str) -> str:
    """A header with its encoded words (RFC 2047) decoded."""
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    texts = []
    for piece, charset in pieces:
        if isinstance(piece, str):
            texts.append(piece)
        else:
            texts.append(Decoder(_known(charset)).decode(piece, final=True))
    return "".join(texts)


def _known(charset: str | None) -> str | None:
    """The encoding as Python calls it; `None` where it says nothing: what calls itself ASCII and is more is of any."""
    try:
        name = codecs.lookup((charset or "").strip("\"' ")).name
        "".encode(name)  # some codecs are not of text
    except (LookupError, ValueError, TypeError):
        return None
    return None if name == "ascii" else name
