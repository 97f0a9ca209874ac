"""`daedal plan`: what would be trained, why, how long it takes and how good it should be."""

from cyclopts import App

from daedal.cli.families import WHAT

app = App(name="plan", help_format="plaintext")
for _family, _what in WHAT.items():
    app.command(f"daedal.cli.families:plan_{_family}", name=_family, help=f"Plan {_what}.")
