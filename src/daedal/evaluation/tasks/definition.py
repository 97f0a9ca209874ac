"""What a task is, as data: the fields of lm-evaluation-harness's task YAML that are no Python. `yaml_file.py` reads them from
YAML, `recognised.py` makes them for rows whose columns say enough, `builtin.py` for our own tasks; `task.py` acts on them.
"""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from daedal.config import Config

OutputType = Literal["multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling"]
Template = str | int | list[Any] | dict[str, Any]
"""A Jinja template or the name of a column, the number of a choice, or the choices themselves."""


class MetricOptions(Config):
    """A metric of a task.

    Attributes:
        metric: its name (`metrics.py`). What else is given are its options, such as `ignore_case`.
        aggregation: how items become a number; the metric's own unless given.
    """

    model_config = ConfigDict(extra="allow")
    metric: str
    aggregation: str | None = None
    higher_is_better: bool | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What only this metric knows."""
        return dict(self.model_extra or {})


class FilterStep(Config):
    """One step of what is done with answers before they are scored (`filters.py`); what else is given are its options."""

    model_config = ConfigDict(extra="allow")
    function: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Filters(Config):
    """Steps, one after the other, under a name that its numbers carry."""

    name: str
    filter: tuple[FilterStep, ...]


_OTHER_WAYS = ("top_p", "top_k", "min_p", "num_beams", "repetition_penalty", "presence_penalty", "frequency_penalty")


class Generation(Config):
    """How answers are written, in lm-eval's names.

    Attributes:
        until: texts that end an answer; what separates the examples unless given.
    """

    until: tuple[str, ...] | None = None
    max_gen_toks: int = Field(256, ge=1)
    do_sample: bool | None = None
    temperature: float = Field(0.0, ge=0)

    @field_validator("until", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _names(cls, values: Any) -> Any:
        """Other names of the same; and what is no way to write here."""
        if isinstance(values, dict):
            values = dict(values)
            if unknown := [name for name in values if name in _OTHER_WAYS]:
                raise ValueError(f"answers are written greedily or at a temperature, without {unknown[0]}")
            for other in ("max_new_tokens", "max_tokens", "max_completion_tokens"):
                if other in values:
                    values["max_gen_toks"] = values.pop(other)
        return values

    @property
    def sampled(self) -> float:
        """The temperature that is in force."""
        sample = self.temperature > 0 if self.do_sample is None else self.do_sample
        return (self.temperature or 1.0) if sample else 0.0


class FewShot(Config):
    """Where examples come from and how they are shown, where that differs from the task's own.

    Attributes:
        sampler: "default" draws anew for each item as lm-eval does, "first_n" takes the first of the split, "balanced" draws
            once, balanced by class, and never a near copy of an item; "own" takes those that each item brings, a list in its
            column `examples`: each item then has a function of its own to be learned from them.
        samples: examples themselves, in place of a split.
    """

    sampler: Literal["default", "first_n", "balanced", "own"] = "default"
    split: str | None = None
    samples: tuple[dict[str, Any], ...] | None = None
    fewshot_indices: tuple[int, ...] | None = None
    doc_to_text: Template | None = None
    doc_to_choice: Template | None = None
    doc_to_target: Template | None = None
    gen_prefix: str | None = None
    fewshot_delimiter: str | None = None
    target_delimiter: str | None = None


class Definition(Config):
    """A task.

    Attributes:
        task: its name.
        dataset_path: `json`, `csv`, `text` or `parquet` of local files (`dataset_kwargs.data_files`), or a data set of the
            Hugging Face Hub.
        doc_to_text, doc_to_target, doc_to_choice: what is asked of an item, the right answer, and the choices.
        description: what stands before all examples.
        target_delimiter: between a question and its answer.
        fewshot_delimiter: between examples.
        gen_prefix: with which the answer begins.
        repeats: how often each question is asked.
        instructions: that a prompt search tries beside the description.
    """

    task: str
    task_alias: str | None = None
    tag: tuple[str, ...] = ()
    dataset_path: str | None = None
    dataset_name: str | None = None
    dataset_kwargs: dict[str, Any] = Field(default_factory=dict)
    training_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    fewshot_split: str | None = None
    output_type: OutputType = "generate_until"
    doc_to_text: Template = ""
    doc_to_target: Template = ""
    doc_to_choice: Template | None = None
    description: str = ""
    instructions: tuple[str, ...] = ()
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    gen_prefix: str | None = None
    num_fewshot: int | None = Field(None, ge=0)
    fewshot_config: FewShot = FewShot()
    metric_list: tuple[MetricOptions, ...] = ()
    filter_list: tuple[Filters, ...] = ()
    generation_kwargs: Generation = Generation()
    repeats: int = Field(1, ge=1, le=10_000)
    should_decontaminate: bool = False
    doc_to_decontamination_query: str | None = None
    metadata: dict[str, JsonValue] | None = None

    @field_validator("tag", mode="before")
    @classmethod
    def _tags(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value or ()

    @field_validator("fewshot_config", "generation_kwargs", "dataset_kwargs", mode="before")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("metric_list", "filter_list", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return () if value is None else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.output_type == "multiple_choice" and self.doc_to_choice is None:
            raise ValueError("multiple_choice needs doc_to_choice")
        if self.test_split is None and self.validation_split is None:
            raise ValueError("there is no test_split or validation_split to measure on")
        return self
