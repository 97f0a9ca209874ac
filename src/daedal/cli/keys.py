"""`daedal keys`: who may use a server, and what marks the things that are made."""

from pathlib import Path
from typing import Literal

from cyclopts import App

from daedal.cli import console
from daedal.serving.keys import KeyRing, locked

app = App(name="keys", help_format="plaintext")
watermark = App(name="watermark", help="Make and list the keys that mark what this installation makes.")
app.command(watermark)


@app.command
def add(name: str, /, *, file: Path, scope: Literal["admin", "user", "read"] = "user") -> None:
    """Make a key, and show it this once: the file keeps only a hash.

    Parameters
    ----------
    name
        What the key is called: in the log, and to revoke it.
    file
        The file of the keys; it is made if there is none.
    scope
        admin: load and unload models, see the metrics. user: use models, keep files. read: look, and count tokens.
    """
    with locked(file):
        ring, token = (KeyRing.load(file) if file.exists() else KeyRing()).add(name, scope)
        ring.save(file)
    console.show(token)


@app.command(name="list")
def show(*, file: Path) -> None:
    """Show the names and scopes of the keys.

    Parameters
    ----------
    file
        The file of the keys.
    """
    for key in KeyRing.load(file).keys:
        console.show(f"{key.name}  {key.scope}")


@app.command
def revoke(name: str, /, *, file: Path) -> None:
    """Take a key away. A server that runs refuses it from its next request on.

    Parameters
    ----------
    name
        What the key is called.
    file
        The file of the keys.
    """
    with locked(file):
        KeyRing.load(file).without(name).save(file)
    console.show(f"{name} is revoked")


@watermark.command
def new() -> None:
    """Make a key that marks from now on. What older keys marked is still found."""
    from daedal import api

    key = api.new_watermark_key()
    console.show(f"{key.id} marks from now on")


@watermark.command(name="list")
def show_watermark_keys() -> None:
    """Show the ids of the keys, which tell nothing of them; the first marks."""
    from daedal import api

    for number, key in enumerate(api.watermark_keys()):
        console.show(f"{key.id}  {'marks' if number == 0 else 'is recognised'}")
