"""`daedal plan`: what would be trained, why, how long it takes and how good it should be."""

from cyclopts import App

from daedal.families import TUNINGS, table

app = App(name="plan", help_format="plaintext")
for _family, _line in (table() | TUNINGS).items():
    app.command(f"daedal.cli.families:plan_{_family}", name=_family, help=f"Plan {_line.says}.")
