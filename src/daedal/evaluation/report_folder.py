"""A report that is kept in a folder, as a page and as JSON: what tasks, searches, judges and comparisons end with."""

from pathlib import Path

from daedal.evaluation.page import report_page
from daedal.evaluation.report import Report
from daedal.files import make_folder, require_place, write_json, write_text


def require_folder(folder: Path, name: str) -> None:
    """See that a report can be kept there, before anything is asked.

    Raises:
        DaedalError: the folder cannot be written.
    """
    require_place(folder / f"{name}.html")


def keep(report: Report, folder: Path, name: str, record: dict[str, object] | None = None) -> Report:
    """Write `name.html` and `name.json`; gives the report that knows where they are.

    Args:
        record: what stands in the JSON beside the report.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    make_folder(folder)
    page, data = folder / f"{name}.html", folder / f"{name}.json"
    write_json(data, {**report.model_dump(mode="json"), **(record or {})})
    write_text(page, report_page(report))
    return report.model_copy(update={"written": (str(page), str(data))})
