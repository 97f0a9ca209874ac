"""What a server is told when it starts. Imports no PyTorch."""

from pathlib import Path

from pydantic import Field

from daedal.config import Config
from daedal.inference.sampling import Quantize
from daedal.safety.moderation.verdict import THRESHOLD


class Settings(Config):
    """How to serve.

    Attributes:
        models: name to run folder or hub id, of what is loaded at the start.
        folder: every run folder in it can be asked for by its name, and is loaded when it is.
        aliases: other names, to names of models.
        moderation: the name of the model that moderates, a classifier.
        moderation_map: categories of moderation by the labels of that model, where their names do not say it.
        moderation_rules: a file of words and patterns that moderate, or "builtin".
        moderation_threshold: probability of a category from which on a text is of it.
        moderation_window, moderation_delay: tokens of a text that wait for the moderation model together, and seconds that the
            first of them waits for others.
        keys: the file of the keys; None lets everybody in who reaches the server.
        hosts: names that it answers to, besides those of loopback and its own address.
        root_path: what a proxy has before every path, and does not take off.
        origins: pages of which origins may call it from a browser.
        data: where files, answers and videos are kept.
        rows: texts that a model writes at the same time.
        waiting: requests that may wait for a model.
        per_key: requests that a key may have under way.
        idle: minutes after which a model that nobody uses is unloaded; 0 for never.
        memory: share of the machine's memory that models may take together.
        watermark: whether what models make carries a watermark of this installation; `signed` a signature; `noted` whether
            the ledger notes it.
        certificate: a PEM file that signs in place of the installation's own.
        drain: seconds that what is under way has to finish when the server is told to stop.
        body: bytes of a request, at most; `upload` of one with files.
        quota: bytes of the files, answers and videos of one key.
    """

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    models: dict[str, str] = Field(default_factory=dict)
    folder: Path | None = None
    aliases: dict[str, str] = Field(default_factory=dict)
    moderation: str | None = None
    moderation_map: dict[str, str] = Field(default_factory=dict)
    moderation_rules: Path | None = None
    moderation_threshold: float = Field(THRESHOLD, gt=0, le=1)
    moderation_window: int = Field(24, ge=1)
    moderation_delay: float = Field(0.25, ge=0)
    keys: Path | None = None
    hosts: tuple[str, ...] = ()
    root_path: str = ""
    watermark: bool = False
    signed: bool = False
    noted: bool = False
    certificate: Path | None = None
    origins: tuple[str, ...] = ()
    data: Path
    quantize: Quantize | None = None
    rows: int = Field(32, ge=1, le=1024)
    waiting: int = Field(256, ge=0)
    per_key: int = Field(256, ge=1)
    idle: float = Field(30.0, ge=0)
    memory: float = Field(0.7, gt=0, le=1)
    drain: float = Field(30.0, ge=0)
    body: int = Field(2**25, ge=1024)
    upload: int = Field(2**29, ge=1024)
    quota: int = Field(2**33, ge=0)
