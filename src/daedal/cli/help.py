"""Help as it is shown: descriptions are wrapped to the terminal, not where the source code has the ends of its lines."""

from typing import Any

from cyclopts.help import DefaultFormatter


class WrappedHelp(DefaultFormatter):
    """cyclopts' own, but for ends of lines within a description."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        for entry in panel.entries:
            shown = getattr(entry.description, "primary_renderable", None)
            if shown is not None and "\n" in shown.plain:
                shown.plain = " ".join(shown.plain.split())
        super().__call__(console, options, panel)
