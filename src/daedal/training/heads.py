"""What a BERT is made into: a model that says something of texts. It begins with the body of another, whichever head that has,
or from nothing."""

from functools import cached_property
from typing import Any, cast

import torch

from daedal.codecs.both_ways import begins_with, marked
from daedal.codecs.text import TextCodec
from daedal.data.examples import ExampleSplit
from daedal.errors import DaedalError
from daedal.families import line, part
from daedal.models.checkpoint import load_model
from daedal.models.encoder import EncoderModel
from daedal.models.model import Model
from daedal.training.learner import Facts
from daedal.training.plan import Plan
from daedal.training.planning import Choice
from daedal.training.row_plan import HeadPlan
from daedal.training.rows import RowLearner, chosen_tokenizer

_NEW = 0.1  # of a fine-tuning run, in which a head that nobody trained yet learns alone
_WIDE = 256  # features of a model that needs less dropout, having read much


class HeadLearner(RowLearner):
    """A family of heads on a Transformer that reads both ways.

    Attributes:
        fresh: whether the head is new.
    """

    guarded = "labelled"
    fresh = True

    @property
    def rule(self) -> str:
        if self.initial is None:
            return super().rule
        return "wide head" if cast(EncoderModel, self.initial).config.width >= _WIDE else "head"

    def tokenizer(self) -> TextCodec:
        return chosen_tokenizer(self.asked, marked(self._own))

    @cached_property
    def _own(self) -> TextCodec:
        """The data's tokenizer."""
        found: TextCodec = self.dataset.codec("text").codec
        return found

    @cached_property
    def _encoded(self) -> bool:
        """Whether the data's ids are ids of the tokenizer."""
        return begins_with(self.codec, self._own)

    def begin_from(self, init: str) -> Model:
        other, place = load_model(init, dtype=torch.float32), line(self.asked.family).model
        self.fresh = other.family != self.asked.family or not self.goes_on(other)
        if not self.fresh:
            return other
        if not isinstance(other, EncoderModel):
            raise DaedalError(f"The model in {init} is a {other.family}, which reads one way", "Start from a bert")
        made: EncoderModel = part(place)(part(place, "Config").around(other.config, **self.more(None)))
        made.adopt(other)
        return made

    def goes_on(self, model: Any) -> bool:
        """Whether a model of the family can be gone on with as it is, its head too."""
        return True

    def choose_steps(self, choose: Choice, facts: Facts) -> None:
        super().choose_steps(choose, facts)
        if self.initial is not None:
            choose("layer_decay", 0.9)
            choose("head_first", _NEW if self.fresh and "head_first" not in self.plans.derived else 0.0)

    def begun(self, plan: Plan) -> Model:
        model = super().begun(plan)
        assert isinstance(plan, HeadPlan)
        assert isinstance(model, EncoderModel)
        model.head_first = plan.head_first
        return model

    def ids(self, split: ExampleSplit, column: str) -> Any:
        """A column's texts as ids of the tokenizer."""
        if self._encoded:
            return [row[:-1] for row in split.ragged(column)]  # without its end mark
        return self.codec.encode_batch(split.values(column))
