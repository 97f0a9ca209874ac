"""A mistake is told in one line: what is wrong, then what to do."""

import pytest

from daedal.errors import DaedalError


@pytest.mark.parametrize(
    ("what", "fix", "line"),
    [
        ("The file is empty", "Give another", "The file is empty. Give another."),
        ("The file is empty.", "Give another.", "The file is empty. Give another."),
        ("The file is empty", "", "The file is empty."),
        ("There is none", "Did you mean 'one'?", "There is none. Did you mean 'one'?"),
        ("One\nand   two", "Mend\tit", "One and two. Mend it."),
    ],
)
def test_an_error_is_one_line(what: str, fix: str, line: str) -> None:
    assert str(DaedalError(what, fix)) == line


def test_an_error_keeps_its_parts() -> None:
    error = DaedalError("It is broken.", "Mend it.")
    assert (error.what, error.fix) == ("It is broken", "Mend it")
