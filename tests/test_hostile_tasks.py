"""What task files, their data and code problems may do to whoever runs them: nothing but a line that says what is wrong."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest

from daedal.codecs import jinja
from daedal.errors import DaedalError
from daedal.evaluation.code.problems import code_task
from daedal.evaluation.tasks import data_files, library
from daedal.evaluation.tasks.outcomes import Written
from daedal.evaluation.tasks.task import Task

ROW = {"q": "one", "l": 0, "choices": ["yes", "no"]}
TASK = """task: t
dataset_path: json
dataset_kwargs: {data_files: {test: d.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: q
doc_to_choice: choices
doc_to_target: l
"""
MBPP = {"task_id": 600, "text": "Write f.", "code": "def f(x):\n    return x", "test_list": ["assert f(1) == 1"]}


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    def make(text: str = TASK, row: dict[str, Any] = ROW) -> Task:
        (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
        return library.find(str(tmp_path / "t.yaml"))[0]

    return make


LOOP = "{% for i in range(99999) %}"
END = "{% endfor %}"
DOUBLING = "{% set all = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set all.x = OF %}{% endfor %}{{ all.x }}"


@pytest.mark.parametrize(
    "template",
    [
        f"{LOOP}{LOOP}{END}{END}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        DOUBLING.replace("OF", "all.x ~ all.x"),
        DOUBLING.replace("OF", "all.x + all.x"),
        DOUBLING.replace("'aaaaaaaa'", "2").replace("OF", "all.x * all.x"),
        "{{ '%1000000000d' % 1 }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ 'a'.ljust(10000000000) }}",
        "{{ 'a' | center(10000000000) }}",
        "{{ lipsum(n=10000000) }}",
    ],
)
def test_no_template_runs_for_ever_or_fills_the_memory(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jinja, "SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises((jinja2.exceptions.SecurityError, jinja2.exceptions.UndefinedError)):
        jinja.Sandbox().from_string(template).render()
    assert time.monotonic() - began < 5


def test_bounds_change_nothing_of_what_a_template_says() -> None:
    template = """{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}
{{- loop.index ~ loop.last ~ loop.length }}{% endfor %}{% for x in [] %}{% else %}{{ 'no' ~ ('b' ~ 1) }}{% endfor %}
{{- 1001 * 1000 }} {{ 'x' * 3 + 'y' }} {{ '%3d' % 5 }} {{ '{:>3}'.format(7) }} {{ 'a' ~ none ~ 'é' }}"""
    plain = jinja2.Environment().from_string(template).render()
    assert jinja.Sandbox().from_string(template).render() == plain


@pytest.mark.parametrize("depth", [100, 3000])
def test_a_template_that_is_nested_too_deeply(task: Callable[..., Task], depth: int) -> None:
    text = TASK.replace("doc_to_text: q", f"doc_to_text: '{{{{ {'(' * depth}q{')' * depth} }}}}'")
    with pytest.raises(DaedalError, match="line 6, column 14: doc_to_text is no template"):
        task(text).item(0)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("d.jsonl", "5", "'5' is no file"),
        ("d.jsonl", "[1, 2]", "'1' is no file"),
        ("d.jsonl", "/dev/zero", "There is no file|no regular file"),
        ("task: t", "task: t\ninclude: 5", "line 2, column 1: '5' is no file"),
        ("task: t", "task: t\nrepeats: 1000000000000", "line 2, column 10: repeats"),
        ("doc_to_text: q", "doc_to_text: '{{ 1 / 0 }}'", "division by zero"),
        ("doc_to_text: q", "doc_to_text: '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'", "recursion"),
    ],
)
def test_values_that_make_no_sense(task: Callable[..., Task], before: str, after: str, says: str) -> None:
    with pytest.raises(DaedalError, match=says):
        task(TASK.replace(before, after)).item(0)


def test_an_item_without_a_right_choice(task: Callable[..., Task]) -> None:
    with pytest.raises(DaedalError, match="item 1 of test has no right choice"):
        task(row=ROW | {"l": []}).item(0)


def test_what_only_looks_like_a_number_is_a_text(task: Callable[..., Task]) -> None:
    text = TASK.replace("doc_to_text: q", "doc_to_text: '{{ q }}'")
    assert task(text, ROW | {"q": "²"}).item(0).asked == ("²",)
    assert task(text, ROW | {"q": "9" * 5000}).item(0).asked == ("9" * 5000,)


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "_MOST", 10_000)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b" " * 20_000))
    with pytest.raises(DaedalError, match="unpacks to more than"):
        list(data_files.rows(tmp_path / "d.jsonl.gz"))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(b"{}" * 20)[:10] + b"junk" * 9)
    with pytest.raises(DaedalError, match="no whole gzip"):
        list(data_files.rows(tmp_path / "d.jsonl.gz"))


@pytest.mark.parametrize(
    "how",
    [
        "filter_list: [{name: f, filter: [{function: take_first_k, k: x}]}]",
        "filter_list: [{name: f, filter: [{function: take_first_k, k: 0}, {function: majority_vote}]}]",
        "filter_list: [{name: f, filter: [{function: map, default_value: 5}, {function: lowercase}]}]",
        "metric_list: [{metric: exact_match, regexes_to_ignore: ['(']}]",
        "metric_list: [{metric: exact_match, regexes_to_ignore: 5}]",
        "metric_list: [{metric: numeric, tolerance: x}]",
        "metric_list: [{metric: json_schema, schema: {$ref: 'http://127.0.0.1:9/x'}}]",
    ],
)
def test_filters_and_metrics_whose_options_make_no_sense(task: Callable[..., Task], how: str) -> None:
    text = TASK.replace("multiple_choice", "generate_until").replace("doc_to_choice: choices\n", "") + how
    found = task(text)

    def score() -> None:
        for _, step in found.filters:
            outcomes = [Written(step(["5"], ROW), ("5",), ROW)]
            for metric, options, _ in found.metrics:
                metric.scored(outcomes, options)

    with pytest.raises(DaedalError, match=r"filter|metric|schema"):
        score()


@pytest.mark.parametrize("tests", ["assert f(1) == 1", [], {"a": 1}, [5], None])
def test_code_problems_have_a_list_of_tests(tests: Any) -> None:
    with pytest.raises(DaedalError, match="row 1: "):
        code_task("t", [MBPP | {"test_list": tests}])
