"""Rows whose columns say what is asked: files that are tasks without any YAML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.evaluation.tasks.data_files import rows as rows_of
from daedal.evaluation.tasks.data_files import uniform
from daedal.evaluation.tasks.definition import Definition
from daedal.evaluation.tasks.task import Task

_QUESTION = "Question: {{question}}\nAnswer:"
_ACCURACY = [{"metric": name} for name in ("acc", "acc_norm", "acc_bytes")]
_ANSWER = [{"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}, {"metric": "f1"}]
_STRIPPED = [{"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}]
"""An answer begins with the space that parts it from its question, which is no part of it."""
_SEVERAL_LINES = {"until": ["\n\n", "\nQuestion:"], "max_gen_toks": 256}
_BALANCED = {"sampler": "balanced"}
_RIGHT = (
    "{{answer if answer is number else choices.index(answer) if answer in choices "
    "else 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.find(answer) if answer | length == 1 else -1}}"
)
"""The number of the right choice, from its number, its text or its letter."""

SHAPES: tuple[tuple[frozenset[str], str, dict[str, Any]], ...] = (
    (
        frozenset({"sentence_good", "sentence_bad"}), "minimal pairs",
        {
            "output_type": "multiple_choice", "doc_to_text": "", "doc_to_target": 0, "target_delimiter": "",
            "doc_to_choice": "{{[sentence_good, sentence_bad]}}", "metric_list": [{"metric": "acc"}],
        },
    ),
    (
        frozenset({"question", "choices", "answer"}), "questions with choices",
        {
            "output_type": "multiple_choice", "doc_to_text": _QUESTION, "doc_to_choice": "{{choices}}",
            "doc_to_target": _RIGHT, "metric_list": _ACCURACY, "fewshot_config": _BALANCED,
        },
    ),
    (
        frozenset({"question", "answer"}), "questions and answers",
        {
            "output_type": "generate_until", "doc_to_text": _QUESTION, "doc_to_target": "answer", "metric_list": _ANSWER,
            "filter_list": _STRIPPED,
            "fewshot_config": _BALANCED, "generation_kwargs": {"until": ["\n"], "max_gen_toks": 64},
        },
    ),
    (
        frozenset({"prompt", "answer"}), "prompts and answers",
        {
            "output_type": "generate_until", "doc_to_text": "prompt", "doc_to_target": "answer", "metric_list": _ANSWER,
            "filter_list": _STRIPPED,
            "fewshot_config": _BALANCED, "generation_kwargs": {"until": ["\n"], "max_gen_toks": 64},
        },
    ),
    (
        frozenset({"text"}), "texts",
        {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "text"},
    ),
)  # fmt: skip
"""The columns of each shape, what such rows are, and how they are asked. The first that fits is taken."""


def task_of(name: str, found: Sequence[Mapping[str, Any]], origin: str) -> Task:
    """The task that rows are.

    Raises:
        DaedalError: their columns say nothing.
    """
    columns = set(found[0]) if found else set()
    for needed, _, fields in SHAPES:
        if needed <= columns:
            if "generation_kwargs" in fields and any("\n" in str(row["answer"]).strip() for row in found):
                fields = {**fields, "generation_kwargs": _SEVERAL_LINES}  # a line alone could never be right
            definition = Definition.parse({"task": name, "test_split": "test", **fields}, origin)
            return Task(definition, lambda: {"test": found}, origin=origin)
    shapes = "; ".join(", ".join(sorted(needed)) for needed, _, _ in SHAPES)
    raise DaedalError(
        f"{origin} has the columns {', '.join(sorted(columns)) or 'none'}, which say not what is asked",
        f"Write a task as YAML, or name the columns as one of: {shapes}",
    )


def read(path: Path) -> Task:
    """The task that a file of rows is.

    Raises:
        DaedalError: it cannot be read, or its columns say nothing.
    """
    found = uniform(list(rows_of(path)))
    if not found:
        raise DaedalError(f"{path} has no items", "Write an object for each item, one a line")
    return task_of(path.name.removesuffix(".gz").rsplit(".", 1)[0], found, str(path))
