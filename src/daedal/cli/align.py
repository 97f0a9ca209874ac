"""`daedal align`: one command for each method."""

from cyclopts import App

from daedal.families import ALIGNMENTS

app = App(name="align", help_format="plaintext")
for _name, _line in ALIGNMENTS.items():
    app.command(f"daedal.cli.families:align_{_name}", name=_name, help=f"Align a model {_line.says}.")
