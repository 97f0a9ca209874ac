"""An item with its choices in other places: whoever knows the answer finds it wherever it stands."""

from typing import Any

from daedal.evaluation.tasks.task import Item, Row, Task


def rotated(task: Task, item: Item, by: int) -> Item | None:
    """An item whose choices stand `by` places further to the front, the first ones at the end; None where the row does not say
    in a list which they are, or in a column which is right.

    The right answer may be the number of the choice, its letter (`A`) among choices that are letters, or its text.
    """
    row = moved(item.row, len(item.choices), by)
    target = task.definition.doc_to_target
    if row is None or not isinstance(target, str) or target not in row or len(item.gold) != 1 or item.several_questions:
        return None
    gold = (item.gold[0] - by) % len(item.choices)
    value = item.row[target]
    if isinstance(value, int) and value == item.gold[0]:
        row[target] = gold
    elif task.fields.choices(row) == list(item.choices):  # the choices are the places themselves, such as A, B, C
        row[target] = item.choices[gold]
    choices = tuple(task.fields.choices(row) or ())
    return Item(row, choices, (gold,), (), (str(task.fields.text(row)),))


def moved(row: Row, count: int, by: int) -> dict[str, Any] | None:
    """A row in which every list of `count` values is rotated, also inside of a column, but for lists of single characters,
    which name the places; None where there is no such list."""
    found = False

    def move(value: Any) -> Any:
        nonlocal found
        if isinstance(value, list) and len(value) == count and not all(len(str(each)) == 1 for each in value):
            found = True
            return [*value[by:], *value[:by]]
        return {name: move(each) for name, each in value.items()} if isinstance(value, dict) else value

    changed = {name: move(value) for name, value in row.items()}
    return changed if found else None
