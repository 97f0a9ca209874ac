"""Where an API is, as users write it, and the key that it wants."""

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from daedal.errors import DaedalError
from daedal.printable import printable

_KEY = "OPENAI_API_KEY"


def is_url(place: str) -> bool:
    """Whether a model's name is a URL."""
    return place.lower().startswith(("http://", "https://"))


def looks_like_url(place: str) -> bool:
    """Whether a name is a URL whose http:// was left out: a host with a port, or localhost."""
    return re.fullmatch(r"(localhost|[\w.-]+:\d{1,5})(/.*)?", place) is not None and not Path(place).exists()


def split_url(url: str) -> tuple[str, str | None]:
    """The address of an API, and the model that is named after a `#`.

    Raises:
        DaedalError: it is no address, or holds a password or a query, which would be written where the URL is.
    """
    address, _, model = url.partition("#")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not address.isascii() or not address.isprintable():
        raise DaedalError(f"{printable(url)[:80]} is no address of an API", "Write it as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query:
        raise DaedalError(
            f"The URL of {parts.hostname} has a password or a query in it", "Give a key with --api-key-env NAME"
        )
    path = parts.path.rstrip("/") or "/v1"
    for ending in ("/chat/completions", "/completions"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}", model or None


def is_here(url: str) -> bool:
    """Whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def key_of(name: str | None, url: str) -> str:
    """The key; empty where there is none.

    Raises:
        DaedalError: the variable that is named holds none, or something that is none.
    """
    key = os.environ.get(name or _KEY, "").strip()
    if name is not None and not key:
        raise DaedalError(
            f"The environment variable {printable(name)[:60]} holds no key",
            f"Set it: export {printable(name)[:60]}=...",
        )
    if not (key.isascii() and key.isprintable()):
        raise DaedalError(f"What {name or _KEY} holds is no key", "Copy the key anew")
    if name is None and not (url.startswith("https:") or is_here(url)):
        return ""  # what is meant for OpenAI does not go unencrypted to somewhere else
    return key
