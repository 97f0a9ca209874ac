"""What is said of an artifact when it is signed and noted: a number of its own, the model, and what may be known of the prompt.

It is made of the record that the artifact carries (`daedal.inference.provenance`): signature, ledger and file say the same.
"""

import datetime
import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from daedal import __version__
from daedal.config import Config

_PAYLOAD = 8
"""Hexadecimal digits of an id that a watermark carries: 32 bits."""


class Claim(Config):
    """What is said of one artifact.

    Attributes:
        id: 32 hexadecimal digits, drawn by lot; a watermark carries the first 8 (the soft binding).
        made: when, in UTC, as RFC 3339 has it.
        model: the name of the model; of a run folder the last part of its path, which tells nobody where it lies.
        fingerprint: SHA-256 of its weights.
        version: of Daedal.
        prompt_digest: SHA-256 of the prompt, in UTF-8; None where nothing was asked for.
        prompt: the prompt itself, where it may be told.
        composite: whether it is made of something that was given, such as a picture that was edited.
        training: licences of what the model was trained on, where they are known.
        mark: how a watermark was put in, such as "dct/1"; None where there is none.
        mark_key: the id of its key.
    """

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    made: str
    model: str
    fingerprint: str
    version: str
    prompt_digest: str | None = None
    prompt: str | None = None
    composite: bool = False
    training: tuple[str, ...] = ()
    mark: str | None = None
    mark_key: str | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any], *, tell_prompt: bool = False, training: tuple[str, ...] = ()) -> Self:
        """A new claim about what has this record of where it comes from."""
        prompt = next((_text(record[name]) for name in ("prompt", "label") if isinstance(record.get(name), str)), None)
        digest = None if prompt is None else hashlib.sha256(prompt.encode()).hexdigest()
        if "codec" in record and isinstance(record.get("prompt"), str):  # a text's record holds the digest already
            prompt, digest = None, record["prompt"]
        return cls(
            id=secrets.token_hex(16),
            made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            model=_name(_text(record.get("model", "unknown"))),
            fingerprint=_text(record.get("fingerprint", "")),
            version=_text(record.get("version", __version__)),
            prompt_digest=digest,
            prompt=prompt if tell_prompt else None,
            composite=record.get("source") is not None or record.get("task") in ("edit", "reconstruct"),
            training=training,
        )

    @property
    def payload(self) -> int:
        """What a watermark carries: the first 32 bits of the id."""
        return payload_of(self.id)

    def marked(self, scheme: str, key: str) -> Self:
        """The claim of what carries a watermark."""
        return self.model_copy(update={"mark": scheme, "mark_key": key})


def _text(value: Any) -> str:
    """A text that can be written anywhere: half of a surrogate pair stands for a byte of a file's name that is no UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _name(model: str) -> str:
    """A hub id as it is; of a path its last part."""
    path = Path(model)
    return (
        path.resolve().name or model if path.is_absolute() or model.startswith((".", "~")) or path.is_dir() else model
    )


def payload_of(id: str) -> int:
    """The first 32 bits of an id."""
    return int(id[:_PAYLOAD], 16)
