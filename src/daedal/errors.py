"""The one exception that a user's mistake raises: one sentence for what is wrong, one for what to do."""


class DaedalError(Exception):
    """A mistake that the user can mend.

    Args:
        what: what is wrong, naming the file, field or value.
        fix: what to do about it.
    """

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = " ".join(what.split()).rstrip(".")
        self.fix = " ".join(fix.split()).rstrip(".")
        end = "" if self.fix.endswith("?") else "."
        super().__init__(f"{self.what}. {self.fix}{end}" if self.fix else f"{self.what}.")
