"""What a BERT is made into: a model that says something of texts. It begins with the body of another, whichever head that has,
or from nothing."""

from typing import Any, ClassVar

import torch

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.data.examples import ExampleSplit
from daedal.errors import DaedalError
from daedal.families import line, part
from daedal.models.checkpoint import load_model, resolve
from daedal.models.encoder import EncoderModel
from daedal.models.identity import identify
from daedal.models.model import Model
from daedal.training.learner import Facts
from daedal.training.plan import Plan
from daedal.training.planning import Choice
from daedal.training.row_plan import HeadPlan
from daedal.training.rows import RowLearner, chosen_tokenizer

_NEW = 0.1  # of a fine-tuning run, in which a head that nobody trained yet learns alone


class HeadLearner(RowLearner):
    """A family of heads on a Transformer that reads both ways.

    Attributes:
        fresh: whether the head is new.
    """

    guarded = "labelled"
    text: ClassVar[str] = "text"
    """The codec of its columns."""
    fresh = True

    def tokenizer(self) -> TextCodec:
        return chosen_tokenizer(self.asked, marked(self.dataset.codec(self.text).codec))

    def begin_from(self, init: str) -> Model:
        folder = resolve(init)
        model: Model
        if identify(folder).family == self.asked.family:
            model = load_model(folder, dtype=torch.float32)
            self.fresh = not self.goes_on(model)
            if not self.fresh:
                return model
        other, place = load_model(folder, dtype=torch.float32), line(self.asked.family).model
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
        model = super().begun(plan) if self.initial is None else self.initial
        assert isinstance(plan, HeadPlan)
        assert isinstance(model, EncoderModel)
        model.head_first = plan.head_first
        return model

    def ids(self, split: ExampleSplit, column: str) -> Any:
        """A column's texts as ids of the tokenizer."""
        own = self.dataset.codec(self.text).codec
        if [own.piece(id) for id in range(own.vocab_size)] == [self.codec.piece(id) for id in range(own.vocab_size)]:
            return [row[:-1] for row in split.ragged(column)]  # without its end mark
        return self.codec.encode_batch(split.values(column))
