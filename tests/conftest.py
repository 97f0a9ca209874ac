"""The order of the tests: the longest first, so that no process is left with one of them when the others are done; and what
is the same for all of them on every machine."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

_LONGEST = ("test_what_a_page_shows_runs", "test_two_processes_train")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.name.startswith(_LONGEST))


@pytest.fixture(autouse=True, scope="session")
def secrets_are_kept_in_a_folder_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Never in the user's own."""
    with patch.dict("os.environ", DAEDAL_HOME=str(tmp_path_factory.mktemp("installation"))):
        yield


@pytest.fixture(autouse=True, scope="session")
def trainings_are_in_fp32_unless_a_test_says_otherwise() -> Iterator[None]:
    """Which precision is the fastest is a matter of the machine, and of what else it does."""
    from daedal.training import machine

    fastest = machine._fastest_precision
    with patch.object(machine, "_fastest_precision", lambda device, wanted: fastest(device, wanted or "fp32")):
        yield
