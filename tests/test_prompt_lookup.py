"""Prompt lookup, against a search that follows its definition."""

from hypothesis import given
from hypothesis import strategies as st

from daedal.inference.prompt_lookup import look_up


def searched(ids: list[int], count: int) -> list[int]:
    for size in (4, 3, 2):
        for start in range(len(ids) - size - 1, -1, -1):
            if ids[start : start + size] == ids[-size:]:
                return ids[start + size : start + size + count]
    return []


@given(st.lists(st.sampled_from([0, 1, 256, 65536, 16777216, 65792]), max_size=40), st.integers(0, 9))
def test_what_followed_the_last_time_is_found(ids: list[int], count: int) -> None:
    """Ids whose bytes look like those of others, moved: a place between two tokens is none."""
    assert look_up(ids, count) == (searched(ids, count) if count else [])
