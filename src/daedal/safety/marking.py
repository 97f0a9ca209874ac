"""What an artifact gets on its way out: a watermark, a signature, and a row in the ledger.

Whatever writes an artifact takes a `Marking`, or None to write it bare. Order matters: the watermark goes into the picture or
the sound, which is then encoded; the manifest is bound to the bytes of the file; the ledger notes the file as it is given away.
All three say the same id, the watermark its first 32 bits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float
from PIL import Image

from daedal.errors import DaedalError
from daedal.files import atomic_path
from daedal.safety import likeness
from daedal.safety.claim import Claim
from daedal.safety.ledger import Kind, Ledger
from daedal.safety.sidecar import statement, write_statement
from daedal.safety.signing import SIGNED, Signer
from daedal.safety.watermark_keys import WatermarkKey, watermark_key

TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".tif": "image/tiff", ".tiff": "image/tiff", ".bmp": "image/bmp", ".wav": "audio/wav", ".flac": "audio/flac",
    ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".mp4": "video/mp4", ".mid": "audio/midi",
    ".midi": "audio/midi", ".txt": "text/plain", ".md": "text/markdown",
}  # fmt: skip
"""The type of content of a file, by the end of its name."""
PICTURE_MARK, SOUND_MARK, CLIP_MARK = "picture/1", "sound/1", "clip/1"
"""How watermarks of each are called in claims."""


class Marked(NamedTuple):
    """A file that was marked.

    Attributes:
        statement: what is signed beside it, where its format holds no signature and something signs; in the compact form.
    """

    data: bytes
    claim: Claim
    statement: str | None = None

    def write(self, path: Path) -> Path:
        """Write the file, and its statement where there is one."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(self.data)
        if self.statement is not None:
            write_statement(path, self.statement)
        return path


@dataclass(frozen=True)
class Marking:
    """How artifacts are marked; each part may be left out.

    Attributes:
        key: of watermarks.
        signer: signs what is written.
        ledger: notes it.
        owner: the key of a server that asks; empty for the command line.
        tell_prompt: whether the signed claim tells the prompt itself, and not its hash alone.
        training: licences of what the model was trained on, for the claim.
        place: of the model's run folder, for the ledger.
    """

    key: WatermarkKey | None = None
    signer: Signer | None = None
    ledger: Ledger | None = None
    owner: str = ""
    tell_prompt: bool = False
    training: tuple[str, ...] = ()
    place: str = ""

    @classmethod
    def of_installation(
        cls,
        *,
        watermark: bool = True,
        signed: bool = True,
        noted: bool = True,
        certificate: Path | None = None,
        tell_prompt: bool = False,
    ) -> Self:
        """That of this installation, whose key and certificate are made where there are none yet.

        Args:
            certificate: a PEM file of a certificate that signs in place of the installation's own.

        Raises:
            DaedalError: the installation's folder cannot be read or written, or a certificate is not what it must be.
        """
        return cls(
            watermark_key() if watermark else None,
            Signer.chosen(certificate) if signed else None,
            Ledger() if noted else None,
            tell_prompt=tell_prompt,
        )

    def of_owner(self, owner: str) -> "Marking":
        """For what a key of a server asks for."""
        return replace(self, owner=owner)

    def of_model(self, run: Path | str) -> "Marking":
        """With what is known of the model in a run folder: where that is, and the licences of what it was trained on."""
        path = Path(run)
        if not path.is_dir():
            return self
        place = str(path.resolve()).encode("utf-8", "backslashreplace").decode()
        return replace(self, training=licences_of(path), place=place)

    # -- each kind of artifact -------------------------------------------------------------------------------------------

    def picture(
        self, image: Image.Image, record: Mapping[str, Any], end: str, encode: Callable[[Image.Image], bytes]
    ) -> Marked:
        """A picture as a file.

        Args:
            record: where it comes from.
            end: of the file's name.
            encode: makes a file of the picture, as it is with its watermark.
        """
        claim = self._claim(record)
        if self.key is not None:
            from daedal.safety.picture_mark import mark_picture

            marked = mark_picture(image, self.key, claim.payload)
            if marked is not None:
                image, claim = marked, claim.marked(PICTURE_MARK, self.key.id)
        return self._finished(claim, "picture", encode(image), end, lambda: {"bits": likeness.of_picture(image)})

    def sound(
        self,
        samples: Float[np.ndarray, "samples *channels"],
        rate: int,
        record: Mapping[str, Any],
        end: str,
        encode: Callable[[Float[np.ndarray, "samples *channels"]], bytes],
    ) -> Marked:
        """A sound as a file, mono or in channels; see `picture`."""
        claim = self._claim(record)
        if self.key is not None:
            from daedal.safety.sound_mark import mark_sound

            marked = mark_sound(samples, rate, self.key, claim.payload)
            if marked is not None:
                samples, claim = marked, claim.marked(SOUND_MARK, self.key.id)
        return self._finished(claim, "sound", encode(samples), end, lambda: {"bits": likeness.of_sound(samples, rate)})

    def passages(self, record: Mapping[str, Any], rate: int) -> Callable[[np.ndarray], np.ndarray]:
        """Puts a watermark into the passages of a sound that is sent while it is being made; all of them say the same. What is
        sent so is neither signed nor noted: its bytes are gone before they are known."""
        claim, key = self._claim(record), self.key

        def mark(samples: np.ndarray) -> np.ndarray:
            if key is None:
                return samples
            from daedal.safety.sound_mark import mark_sound

            marked = mark_sound(samples, rate, key, claim.payload)
            return samples if marked is None else marked

        return mark

    def clip(
        self,
        frames: Sequence[Image.Image],
        record: Mapping[str, Any],
        end: str,
        encode: Callable[[Sequence[Image.Image]], bytes],
    ) -> Marked:
        """A clip as a file; see `picture`."""
        claim = self._claim(record)
        if self.key is not None:
            from daedal.safety.clip_mark import mark_clip

            pixels = np.stack([np.asarray(frame.convert("RGB")) for frame in frames])
            marked = mark_clip(pixels, self.key, claim.payload)
            if marked is not None:
                frames, claim = [Image.fromarray(each) for each in marked], claim.marked(CLIP_MARK, self.key.id)
        shown = frames[len(frames) // 2]
        return self._finished(claim, "clip", encode(frames), end, lambda: {"bits": likeness.of_picture(shown)})

    def tune(self, data: bytes, record: Mapping[str, Any]) -> Marked:
        """A tune as MIDI, which has no room for a watermark that another player would not hear."""
        return self._finished(self._claim(record), "tune", data, ".mid", dict)

    def text(self, text: str, record: Mapping[str, Any], end: str = ".txt") -> Marked:
        """A text as a file; its watermark was put in while it was written."""
        data = text.encode("utf-8", "backslashreplace")
        return self._finished(self._claim(record), "text", data, end, lambda: {"words": likeness.of_text(text)})

    # -- what they share -------------------------------------------------------------------------------------------------

    def _claim(self, record: Mapping[str, Any]) -> Claim:
        return Claim.of(record, tell_prompt=self.tell_prompt, training=self.training)

    def _finished(
        self, claim: Claim, kind: Kind, data: bytes, end: str, alike: Callable[[], dict[str, bytes | None]]
    ) -> Marked:
        media_type, beside = TYPES.get(end, "text/plain"), None
        if self.signer is not None and media_type in SIGNED:
            data = self.signer.sign(data, media_type, claim)
        elif self.signer is not None:
            beside = statement(self.signer, data, media_type, claim)
        if self.ledger is not None:
            self.ledger.note(claim, kind, data, owner=self.owner, place=self.place, **alike())
        return Marked(data, claim, beside)


def licences_of(run: Path | str) -> tuple[str, ...]:
    """Of all that a run learned, by itself and before, `NOASSERTION` where nobody knows; none where the folder is no run."""
    from daedal.training.lineage import learned_licences
    from daedal.training.run import RunFolder

    if not RunFolder(run).begun:
        return ()
    try:
        return learned_licences(run).licences
    except DaedalError:  # a damaged plan: somebody else's folder
        return ()
