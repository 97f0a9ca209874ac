"""A task with its items: what is asked of each, after which examples, and what the right answer is. `run.py` asks."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from daedal.errors import DaedalError
from daedal.evaluation.tasks import filters as filtering
from daedal.evaluation.tasks.definition import Definition, Filters, MetricOptions
from daedal.evaluation.tasks.fields import Fields
from daedal.evaluation.tasks.filters import Step
from daedal.evaluation.tasks.metrics import DEFAULTS, Metric, checked
from daedal.evaluation.tasks.yaml_file import Located
from daedal.prompting.respondent import Prompt

Row = Mapping[str, Any]


class Item(NamedTuple):
    """What is known of an item.

    Attributes:
        choices: empty where there are none.
        gold: the numbers of the right choices.
        targets: the right answers as texts.
        asked: the question, or one for each choice.
    """

    row: Row
    choices: tuple[str, ...]
    gold: tuple[int, ...]
    targets: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def several_questions(self) -> bool:
        """Whether each choice is a question of its own, with one answer to all."""
        return len(self.asked) > 1


class Task:
    """A task.

    Args:
        read: gives the rows of each split.
        located: where its fields stand.
        origin: the file, or what else it is from.

    Attributes:
        group: that it was found as a part of.

    Raises:
        DaedalError: a metric or a filter is not known.
    """

    def __init__(
        self,
        definition: Definition,
        read: Callable[[], Mapping[str, Sequence[Row]]],
        located: Located | None = None,
        origin: str = "",
    ) -> None:
        self.definition, self.located, self.origin = definition, located, origin
        self._read = read
        self.group = ""
        self.metrics: list[tuple[Metric, dict[str, Any], bool | None]] = []
        wanted = definition.metric_list or tuple(
            MetricOptions(metric=name) for name in DEFAULTS[definition.output_type]
        )
        for place, options in enumerate(wanted):
            try:
                self.metrics.append(
                    (checked(options, definition.output_type), options.options, options.higher_is_better)
                )
            except DaedalError as error:
                raise self._fault(("metric_list", place, "metric"), error) from None
        self.filters: list[tuple[Filters, Step]] = []
        for place, each in enumerate(definition.filter_list or (filtering.NONE,)):
            try:
                self.filters.append((each, filtering.pipeline(each)))
            except DaedalError as error:
                raise self._fault(("filter_list", place), error) from None

    @property
    def name(self) -> str:
        return self.definition.task

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.definition.task_alias or self.name

    @cached_property
    def splits(self) -> Mapping[str, Sequence[Row]]:
        """The rows of each split."""
        return self._read()

    @property
    def split(self) -> str:
        """The split that is measured on."""
        return self.definition.test_split or self.definition.validation_split or ""

    @cached_property
    def rows(self) -> Sequence[Row]:
        """The items.

        Raises:
            DaedalError: there are none.
        """
        return self._of_split(self.split, "test_split" if self.definition.test_split else "validation_split")

    @cached_property
    def pool(self) -> Sequence[Row]:
        """What examples are drawn from: the split that is named, else the training data, else those of another split."""
        shots = self.definition.fewshot_config
        split = shots.split or self.definition.fewshot_split
        if split is not None:
            found = self._of_split(split, "fewshot_split")
        elif shots.samples is not None:
            return shots.samples
        elif self.definition.training_split is not None:
            found = self._of_split(self.definition.training_split, "training_split")
        elif self.definition.validation_split is not None:
            found = self._of_split(self.definition.validation_split, "validation_split")
        else:
            found = self.rows
        if shots.fewshot_indices:
            return [found[place] for place in shots.fewshot_indices if place < len(found)]
        return found

    @property
    def pool_is_measured(self) -> bool:
        """Whether examples may be items."""
        shots, definition = self.definition.fewshot_config, self.definition
        return (shots.samples is None and self.pool is self.rows) or (
            (shots.split or definition.fewshot_split) == definition.test_split and shots.samples is None
        )  # fmt: skip

    def _of_split(self, split: str, field: str) -> Sequence[Row]:
        if not self.splits.get(split):
            known = ", ".join(name for name, rows in self.splits.items() if rows) or "none"
            raise self._fault(
                (field,), DaedalError(f"{self.name} has no items in its split {split}", f"Its splits are: {known}")
            )
        return self.splits[split]

    @cached_property
    def fields(self) -> Fields:
        """What its fields say.

        Raises:
            DaedalError: a template uses what is no column.
        """
        return Fields(self.definition, list(self.rows[0]), self.located)

    def item(self, place: int) -> Item:
        """An item.

        Raises:
            DaedalError: a choice is empty, or the label is none of the choices.
        """
        row, fields, kind = self.rows[place], self.fields, self.definition.output_type
        choices = fields.choices(row) or []
        if kind != "loglikelihood_rolling" and (empty := [n for n, each in enumerate(choices) if not each]):
            raise DaedalError(
                f"{self._item(place)}: choice {empty[0] + 1} of {len(choices)} is empty",
                "Fill it, or take the item out",
            )
        asked: Any = "" if kind == "loglikelihood_rolling" else fields.text(row)
        target = fields.target(row)
        if isinstance(asked, int):
            gold = self._gold([asked], choices, place)
            return Item(row, tuple(choices), gold, (str(target),), tuple(choices))
        targets = target if isinstance(target, list) else [target]
        if kind == "multiple_choice":
            if not choices:
                raise DaedalError(f"{self._item(place)} has no choices", "Give it some, or take it out")
            return Item(row, tuple(choices), self._gold(targets, choices, place), (), (asked,))
        if choices:  # the number of a choice stands for its text
            gold = self._gold(targets, choices, place)
            return Item(row, tuple(choices), gold, tuple(choices[each] for each in gold), (asked,))
        return Item(row, (), (), tuple(str(each) for each in targets), (asked,))

    def _gold(self, targets: Sequence[Any], choices: Sequence[str], place: int) -> tuple[int, ...]:
        """The numbers of the right choices."""
        found = []
        if not targets:
            raise DaedalError(f"{self._item(place)} has no right choice", "Give it a label, or take it out")
        for target in targets:
            number = target if isinstance(target, int) else None
            if number is None and str(target) in choices:
                number = list(choices).index(str(target))
            if number is None or not 0 <= number < len(choices):
                shown = ", ".join(repr(each) if len(each) < 40 else repr(each[:37]) + "..." for each in choices[:8])
                raise DaedalError(
                    f"{self._item(place)}: the label {target!r} is none of its {len(choices)} choices ({shown})",
                    "Correct doc_to_target or the item",
                )
            found.append(number)
        return tuple(found)

    def _item(self, place: int) -> str:
        return f"{self.name}, item {place + 1} of {self.split}"

    def prompt(self, item: Item, examples: Sequence[Row], chat: bool = False) -> list[Prompt]:
        """What is asked, after examples; for items with several questions one for each of them.

        Raises:
            DaedalError: a conversation cannot have what the task asks.
        """
        definition, fields = self.definition, self.fields
        prefix = fields.prefix(item.row)
        if chat and prefix:
            raise DaedalError(
                f"{self.name} begins answers with gen_prefix, and conversations do not", "Leave --chat out"
            )
        turns: list[tuple[str, str, str]] = []  # role, what is said, what separates it from the next
        if description := fields.description(item.row):
            turns.append(("system", description, ""))
        for row in examples:
            turns += self._example(row)
        delimiter = definition.target_delimiter
        found: list[Prompt] = []
        for question in item.asked:
            between = "" if item.several_questions else delimiter
            own = [*turns, ("user", question, between if prefix and _apart(question, prefix) else "")]
            if prefix:
                own.append(("assistant", prefix, ""))
            if chat:
                found.append(tuple({"role": role, "content": said} for role, said, _ in own))
            else:
                found.append("".join(said + after for _, said, after in own))
        return found

    def _example(self, row: Row) -> list[tuple[str, str, str]]:
        """An example as a question and its answer."""
        definition, shots, fields = self.definition, self.definition.fewshot_config, self.fields
        question, answer = fields.text(row, True), fields.target(row, True)
        choices = fields.choices(row, True)
        prefix = fields.prefix(row) if shots.gen_prefix is None else shots.gen_prefix
        if isinstance(question, int):
            question, choices = (choices or [""])[question], None
        if isinstance(answer, list):
            answer = answer[0] if answer else ""
        if isinstance(answer, int):
            answer = choices[answer] if choices and 0 <= answer < len(choices) else str(answer)
        between = definition.target_delimiter if shots.target_delimiter is None else shots.target_delimiter
        after = definition.fewshot_delimiter if shots.fewshot_delimiter is None else shots.fewshot_delimiter
        if answer == "":
            return [("user", question, "")]
        apart = between if not prefix or _apart(question, prefix) else ""
        said = answer if not prefix else prefix + (" " if _apart(prefix, answer) else "") + answer
        return [("user", question, apart), ("assistant", said, after)]

    @property
    def stops(self) -> tuple[str, ...]:
        """What ends an answer."""
        until = self.definition.generation_kwargs.until
        return tuple(each for each in ((self.definition.fewshot_delimiter,) if until is None else until) if each)

    def queries(self, count: int) -> list[str]:
        """The texts of the first items that may stand in training data: what the task says, else the question, and the choices
        where nothing is asked."""
        found = []
        for place in range(count):
            row = self.rows[place]
            text = self.fields.query(row)
            found.append(text if text.strip() else " ".join(self.fields.choices(row) or [self.answer_of(row)]))
        return found

    def answer_of(self, row: Row) -> str:
        """The right answer to an item as a text."""
        turns = self._example(row)
        return turns[-1][1] if len(turns) > 1 else ""

    def label_of(self, row: Row) -> str:
        """The class of an item, to balance examples by: the number of its choice, or its answer."""
        target = self.fields.target(row, True)
        return str(target[0] if isinstance(target, list) and target else target)

    def _fault(self, path: tuple[str | int, ...], error: DaedalError) -> DaedalError:
        if self.located is None:
            return error
        return self.located.fault(path, error.what, error.fix)


def _apart(one: str, other: str) -> bool:
    """Whether two texts need something between them."""
    return bool(one) and not (one[-1].isspace() or other[:1].isspace())


def digest(row: Row) -> str:
    """SHA-256 of an item, the same in every run."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=True, default=str).encode()).hexdigest()
