"""`daedal ledger`: whether the record of what was made here is whole, and taking out of it what a key asked for."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console

app = App(name="ledger", help_format="plaintext")


@app.command
def check() -> None:
    """Follow the chain of the ledger from its beginning, and show its last link.

    Whoever notes the link elsewhere knows later whether anything before it was changed.
    """
    from daedal import api

    rows, head = api.check_ledger()
    console.show(f"{rows:,} rows, none changed\n{head}")


@app.command
def purge(key: str, /, *, keys: Path | None = None) -> None:
    """Take out all that is noted of what a key of a server asked for. The chain stays whole, and says that this was done.

    Parameters
    ----------
    key
        The name of the key; local for a server without keys.
    keys
        The file of the server's keys, which says what the ledger calls the key.
    """
    from daedal import api

    owner = key
    if keys is not None:
        from daedal.errors import DaedalError
        from daedal.serving.keys import KeyRing

        found = [each.owner for each in KeyRing.load(keys).keys if each.name == key]
        if not found:
            raise DaedalError(f"{keys} has no key {key}", "daedal keys list shows them")
        owner = found[0]
    done = api.purge_ledger(owner)
    console.show(f"{done.rows:,} rows say nothing any more")
