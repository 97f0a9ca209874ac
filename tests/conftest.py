"""The order of the tests: the longest first, so that no process is left with one of them when the others are done."""

import pytest

_LONGEST = ("test_what_a_page_shows_runs", "test_two_processes_train")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.name.startswith(_LONGEST))
