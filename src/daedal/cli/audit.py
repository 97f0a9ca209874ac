"""`daedal audit`: what data and models give away."""

from cyclopts import App

app = App(name="audit", help_format="plaintext")
app.command(
    "daedal.cli.audit_data:data", name="data", help="Look for personal data, secrets, licences, copies and imbalance."
)
