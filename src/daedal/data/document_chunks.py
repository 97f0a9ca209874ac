"""Running text on its way through a build: documents, cut, cleaned, judged and masked, their UTF-8 in chunks of the spool."""

from collections import Counter
from hashlib import blake2b

from daedal.data.clean import documents_of, text_of
from daedal.data.document import Raw
from daedal.data.ingest import Chunks
from daedal.data.quality import fault
from daedal.data.sensitive import mask

_LOOKED_AT = 2000


class DocumentChunks(Chunks):
    """Collects documents."""

    def take(self, found: Raw) -> None:
        options = self.options
        text, mended = text_of(found, options.mend, options.unicode)
        if mended:
            self.tally.count("mended", "mojibake")
        for place, piece in enumerate(documents_of(text, options.document)):
            self._take(piece, found.row if options.document == "file" else place, found)

    def _take(self, text: str, row: int, raw: Raw) -> None:
        options = self.options
        if not text or text.isspace():
            if options.document == "file":
                self._drop("empty", text, raw)
            return
        if self.unit.role == "train":
            if options.min_characters > 1 and len(text) - sum(map(str.isspace, text)) < options.min_characters:
                self._drop("too short", text, raw)
                return
            if reason := fault(text, "off" if raw.form == "code" else options.quality):
                self._drop(reason, text, raw)
                return
        if options.mask:
            found: Counter[str] = Counter()
            text = mask(text, options.mask, found)
            for kind, number in found.items():
                self.tally.count("masked", kind, number)
        encoded = text.encode()
        digest = blake2b(encoded, digest_size=16).digest()
        part = raw.part and options.document == "file"
        self.put(encoded, encoded, len(text), digest, raw.label, row, part=part)
        self.tally.count("types", raw.type)

    def _drop(self, reason: str, text: str, raw: Raw) -> None:
        where = raw.label if raw.row < 0 else f"{raw.label}#{raw.row}"
        begins = text[:_LOOKED_AT]  # it is shown in the card
        if self.options.mask:
            begins = mask(begins, self.options.mask, Counter())
        shown = " ".join(begins[:80].split())
        self.tally.drop(reason, len(text), f"{where}: {shown}" if text.strip() else where)
