"""YAML with places: values are PyYAML's, and every mistake is told with its line and column."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.marked_yaml import parse, read

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    assert parse(yaml.safe_dump(value), "x").value == value


@given(PLAIN, st.booleans())
def test_every_value_has_a_place_inside_of_the_file(value: Any, core: bool) -> None:
    text = yaml.safe_dump(value)
    lines = text.splitlines() or [""]
    for mark in parse(text, "x", core=core).marks.values():
        assert 0 <= mark.line <= len(lines)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        parse(text, "x")
    except DaedalError as error:
        said = str(error)
    assert "\n" not in said


class Inner(Config):
    number: int


class Outer(Config):
    items: tuple[Inner, ...] = ()
    text: str = ""


def said(text: str, **options: Any) -> str:
    with pytest.raises(DaedalError) as caught:
        parse(text, "a.yaml", **options).parse(Outer)
    return str(caught.value)


def test_mistakes_are_told_with_line_and_column() -> None:
    assert said("items:\n  - number: 1\n  - numbre: 2\n").startswith("a.yaml, line 3, column 5: ")
    assert said("items:\n- number: one\n").startswith("a.yaml, line 2, column 3: ")
    assert said("text: a\ntxet: b\n") == (
        "a.yaml, line 2, column 1: txet: Extra inputs are not permitted (got 'b'). Did you mean text?"
    )
    assert said("text: a\ntext: b\n").startswith("a.yaml, line 2, column 1: text stands twice")
    assert said("text: [a\n").startswith("a.yaml, line 2, column 1: this is not YAML")
    assert said("text: {{ name }}\n").startswith("a.yaml, line 1, column 8: a key that is no text")
    assert said("text: !function utils.f\n", refused={"!function": "Write Jinja"}) == (
        "a.yaml, line 1, column 7: !function is not read here. Write Jinja."
    )
    assert said("text: !!python/object/apply:os.system [ls]\n").startswith("a.yaml, line 1, column 7: !!python")
    assert said("text: &a [*a]\n").startswith("a.yaml, line 1, column 7: a value that contains itself")
    assert said("text: a\x00b\n").startswith("a.yaml, line 1: a character")


def test_aliases_do_not_explode() -> None:
    bomb = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert "more than" in said(bomb)


def test_deep_nesting_is_refused() -> None:
    assert "nested too deeply" in said("[" * 100_000)


def test_yaml_1_2_keeps_yes_and_no() -> None:
    text = "[yes, no, on, true, 010, 1e5, .inf, null, 2020-01-01]"
    assert parse(text, "x", core=True).value == ["yes", "no", "on", True, 10, 1e5, float("inf"), None, "2020-01-01"]
    assert parse(text, "x").value == [True, False, True, True, 8, "1e5", float("inf"), None, "2020-01-01"]


def test_merges_are_read() -> None:
    text = "base: &base {number: 1, text: a}\nown:\n  <<: *base\n  number: 2\n"
    assert parse(text, "x", core=True).value["own"] == {"number": 2, "text": "a"}


def test_a_line_inside_of_a_text_is_named() -> None:
    document = parse("a: 1\ntext: |\n  first\n  second\n", "x")
    assert document.where_in(("text",), 2) == "x, line 4"
    assert document.where(("text", "none")) == "x, line 2, column 1"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DaedalError, match="not UTF-8"):
        read(tmp_path / "a.yaml")
    with pytest.raises(DaedalError, match="cannot be read"):
        read(tmp_path / "b.yaml")
