"""`daedal serve`: models behind the OpenAI API."""

import ipaddress
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli.console import note
from daedal.cli.marking import text_mark
from daedal.cli.options import Switch
from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize

if TYPE_CHECKING:
    from daedal.serving.settings import Settings

_OPTIONS = {
    "moderation_threshold": "moderation-threshold",
    "waiting": "max-waiting",
    "idle": "idle-minutes",
    "drain": "drain-seconds",
}
"""Of settings that an option is named otherwise for."""
_HOST = re.compile(r"[\w.-]+", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?", re.ASCII)
_PREFIX = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
_USUAL = {"http": ":80", "https": ":443"}
"""Ports that browsers leave out."""


def serve(
    runs: Annotated[list[str], Parameter(name="RUN", negative=())] | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    models: Path | None = None,
    alias: Annotated[list[str], Parameter(negative=())] | None = None,
    moderation: str | None = None,
    moderation_map: Annotated[list[str], Parameter(negative=())] | None = None,
    moderation_rules: Path | None = None,
    moderation_threshold: float = 0.5,
    keys: Path | None = None,
    quantize: Quantize | None = None,
    allow_host: Annotated[list[str], Parameter(negative=())] | None = None,
    cors_origin: Annotated[list[str], Parameter(negative=())] | None = None,
    root_path: str = "",
    data: Path | None = None,
    rows: int = 32,
    max_waiting: int = 256,
    idle_minutes: float = 30.0,
    drain_seconds: float = 30.0,
    no_watermark: Switch = False,
    unsigned: Switch = False,
    no_ledger: Switch = False,
    certificate: Path | None = None,
) -> None:
    """Serve models to whatever speaks the OpenAI API: text, images, speech, music, videos and embeddings of your own.

    Parameters
    ----------
    runs
        Run folders or ids of the Hugging Face hub, loaded at the start; each goes by the last part of its name.
    host
        Where to listen. Other machines reach a server that does not listen on loopback: that needs --keys.
    port
        0 takes a free one.
    models
        A folder of run folders: each is loaded when a request names it.
    alias
        NAME=RUN, several times: another name for a model, such as gpt-4o-mini=runs/mine.
    moderation
        A classifier that judges what is asked and what is answered, and stands behind /v1/moderations: a RUN, or the name of
        one that is served.
    moderation_map
        LABEL=CATEGORY, several times: the category of moderation of one of its labels, where the name does not say it, such
        as rude=harassment.
    moderation_rules
        A YAML file of words and patterns by category, which are not to be asked or answered; or builtin.
    moderation_threshold
        The probability from which on a text is of a category, by the classifier.
    keys
        The file of the keys that are let in; daedal keys add makes it.
    quantize
        int8: int8 weights, faster. draft: an int8 copy guesses ahead for single texts, and the model checks.
    allow_host
        A host name that the server answers to, besides localhost; several times.
    cors_origin
        An origin whose pages may use the server from a browser; several times.
    root_path
        What a proxy has before every path and does not take off, such as /daedal; requests without it are answered too.
    data
        Where files, answers and videos are kept. [default: ~/.local/state/daedal/server]
    rows
        Texts that a model writes at the same time.
    max_waiting
        Requests that may wait for a model; more are told to come back later.
    idle_minutes
        A model that was loaded on demand is unloaded after so long without use; 0 for never.
    drain_seconds
        What is under way has so long to finish when the server is told to stop.
    no_watermark
        Put no watermark into what models make.
    unsigned
        Sign nothing: no C2PA manifest, no statement in a header.
    no_ledger
        Note nothing in the ledger of this installation. Texts are never noted.
    certificate
        A PEM file with a chain of certificates and its private key, which signs in place of this installation's own.
    """
    from daedal.safety.marking import Marking
    from daedal.serving import log
    from daedal.serving.server import serve as run

    if not host:
        raise DaedalError("--host is empty", "Name an address of this machine, such as 127.0.0.1")
    if models is not None and not models.is_dir():
        raise DaedalError(f"{models} is no folder", "Name one that holds run folders")
    named, other = _named(runs or [], alias or [], models)
    moderator = None if moderation is None else _moderator(moderation, named, other, models)
    meant = _meanings(moderation_map or [], moderator)
    if not named and models is None:
        raise DaedalError("There is nothing to serve", "Name a run folder, or a folder of them with --models")
    values = {
        "host": host,
        "port": port,
        "models": named,
        "folder": models,
        "aliases": other,
        "moderation": moderator,
        "moderation_map": meant,
        "moderation_rules": moderation_rules,
        "moderation_threshold": moderation_threshold,
        "keys": keys,
        "hosts": tuple(map(_host, allow_host or ())),
        "origins": tuple(map(_origin, cors_origin or ())),
        "root_path": _prefix(root_path),
        "data": data or _state(),
        "quantize": quantize,
        "rows": rows,
        "waiting": max_waiting,
        "idle": idle_minutes,
        "drain": drain_seconds,
        "watermark": not no_watermark,
        "signed": not unsigned,
        "noted": not no_ledger,
        "certificate": certificate,
    }
    settings = _settings(values)
    text_mark(no_watermark)  # so that the key is there, and is told of, before the models need it
    Marking.of_installation(  # whatever is wrong with keys and certificates is told now
        watermark=settings.watermark, signed=settings.signed, noted=settings.noted, certificate=certificate
    )
    log.begin()
    moderates = "" if moderator is None else _moderates(moderator, named.get(moderator), models, meant)
    moderates += "" if moderation_rules is None else _rules(moderation_rules)
    run(settings, lambda address: note(moderates + _greeting(address, named, models, keys is not None)))


def _settings(values: dict[str, Any]) -> "Settings":
    from pydantic import ValidationError

    from daedal.serving.settings import Settings

    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        option = _OPTIONS.get(str(fault["loc"][0]), fault["loc"][0])
        raise DaedalError(f"--{option}: {fault['msg']} (got {fault['input']})", "Correct that value") from None


def _host(text: str) -> str:
    """A name as the Host header of a request has it, which it is compared with."""
    name = text.lower()
    if not _HOST.fullmatch(name) and not _is_address(name):
        raise DaedalError(
            f"{text!r} is no name of a host", "Write it without scheme and port, as in models.example.com"
        )
    return name


def _prefix(text: str) -> str:
    """What stands before paths, without a slash at its end."""
    if text and not _PREFIX.fullmatch(text):
        raise DaedalError(f"--root-path: {text!r} is no beginning of a path", "Write it as /daedal")
    return text.rstrip("/")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _origin(text: str) -> str:
    """An origin as browsers send it, which it is compared with."""
    origin = text.lower()
    if origin != "*" and (not _ORIGIN.fullmatch(origin) or origin.endswith(_USUAL.get(origin.partition(":")[0], "/"))):
        raise DaedalError(
            f"{text!r} is no origin", "Write it as https://example.com, with a port only if it is unusual, and no path"
        )
    return origin


def _named(runs: list[str], aliases: list[str], folder: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """Models by name, and names of names."""
    models: dict[str, str] = {}
    for run in runs:
        name = _name(run)
        if name in models:
            raise DaedalError(f"Two models go by the name {name}", "Rename a folder, or give one with --alias NAME=RUN")
        models[name] = run
    others: dict[str, str] = {}
    for text in aliases:
        alias, _, run = text.partition("=")
        if not alias or not run:
            raise DaedalError(f"{text!r} is no alias", "Write it as NAME=RUN, such as gpt-4o-mini=runs/mine")
        if alias in models or alias in others:
            raise DaedalError(f"Two models go by the name {alias}", "Choose another alias")
        known = next((name for name, where in models.items() if run in (name, where)), None)
        if known is not None:
            others[alias] = known
        elif folder is not None and run in os.listdir(folder):
            others[alias] = run
        else:
            _name(run)
            models[alias] = run
    return models, others


def _moderator(run: str, models: dict[str, str], aliases: dict[str, str], folder: Path | None) -> str:
    """The name of the model that moderates, which is one of those that are served from now on."""
    known = next((name for name, where in models.items() if run in (name, where)), aliases.get(run))
    if known is None and folder is not None and run in os.listdir(folder):
        known = run
    if known is None:
        known = _name(run)
        if known in models:
            raise DaedalError(f"Two models go by the name {known}", "Rename a folder")
        models[known] = run
    return known


def _meanings(given: list[str], moderator: str | None) -> dict[str, str]:
    """Categories of moderation by labels."""
    if given and moderator is None:
        raise DaedalError("--moderation-map is for --moderation, which is not given", "Name a classifier with it")
    meanings: dict[str, str] = {}
    for text in given:
        label, _, category = text.rpartition("=")
        if not label or not category:
            raise DaedalError(f"{text!r} maps no label", "Write it as LABEL=CATEGORY, such as rude=harassment")
        if label in meanings:
            raise DaedalError(f"The label {label!r} is mapped twice", "Give it one category")
        meanings[label] = category
    return meanings


def _moderates(name: str, where: str | None, folder: Path | None, meant: dict[str, str]) -> str:
    """What is moderated, in a line; of a model of the hub nobody knows before it is loaded.

    Raises:
        DaedalError: the model cannot moderate so.
    """
    from daedal.safety.moderation.categories import ModerationCategories, labels_of

    path = Path(where) if where is not None else (folder or Path()) / name
    if not (path / "config.json").is_file():
        return f"Moderation by {name}, by the names of its labels.\n"
    labels, problem = labels_of(path)
    return f"Moderation by {name}: {ModerationCategories.of(labels, problem, meant).told(labels)}.\n"


def _rules(path: Path) -> str:
    """What rules moderate, in a line.

    Raises:
        DaedalError: they cannot be read.
    """
    from daedal.safety.moderation.rules import Rules

    rules = Rules.read(path)
    return f"Moderation by {rules.count:,} rules of {path}: {', '.join(rules.categories)}.\n"


def _name(run: str) -> str:
    """What a run goes by: the last part of its folder's name, or its id on the hub."""
    path = Path(run)
    if (path / "config.json").is_file():
        return path.resolve().name
    if path.exists():
        raise DaedalError(f"{run} is no run folder: it has no config.json", "Name one that daedal train has made")
    if run.startswith((".", "/", "~")) or run.count("/") != 1:
        raise DaedalError(f"{run} is missing", "Name a run folder, or the id of a model on the Hugging Face hub")
    return run


def _state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "daedal" / "server"


def _greeting(address: str, models: dict[str, str], folder: Path | None, locked: bool) -> str:
    served = ", ".join(models) or f"the models in {folder}"
    key = "YOUR KEY" if locked else "none"
    name, where = next(iter(models.items()), ("MODEL", ""))
    return (
        f"Serving {served} at {address}/v1\n"
        f"  from openai import OpenAI\n"
        f'  client = OpenAI(base_url="{address}/v1", api_key="{key}")\n'
        f"  client.{_first_call(name, where)}\n"
        "Ctrl-C stops it."
    )


def _first_call(name: str, where: str) -> str:
    """What to try of OpenAI's client with a model; one that is not here yet is taken for a language model."""
    from daedal.models.identity import identify
    from daedal.serving.supervisor import makes

    kind = identify(Path(where)).kind if (Path(where) / "config.json").is_file() else ""
    match makes(where), kind:
        case "images", _:
            return f'images.generate(model="{name}", prompt="...")'
        case "speech", _:
            return f'audio.speech.create(model="{name}", voice="...", input="...").write_to_file("said.mp3")'
        case "transcripts", _:
            return f'audio.transcriptions.create(model="{name}", file=open("a.wav", "rb"))'
        case "music", _:
            return f'post("/audio/music", body={{"model": "{name}", "response_format": "json"}}, cast_to=object)'
        case "videos", _:
            return f'videos.create_and_poll(model="{name}", prompt="...")'
        case "readings", "labelled":
            return f'post("/classify", body={{"model": "{name}", "input": "..."}}, cast_to=object)'
        case "readings", _:
            return f'embeddings.create(model="{name}", input="...")'
        case _, "pairs":
            return f'chat.completions.create(model="{name}", messages=[{{"role": "user", "content": "..."}}])'
        case _:
            return f'completions.create(model="{name}", prompt="...")'
