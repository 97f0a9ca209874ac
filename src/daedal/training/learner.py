"""A family and the data that it is to learn: one way from a time budget, a machine and a data folder to a plan.

A learner says what is peculiar to its family: what the data amount to (`facts`), which values follow from them (`settle`), the
model of a plan (`new`) and what is learned of the data (`task`). Trying a step, what fits into memory and time, guards against
overfitting and the rhythm of a run are the same for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from daedal.config import Config
from daedal.data import open_data
from daedal.data.images.dataset import ImageDataset
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.families import ALIGNMENTS, line, part, table
from daedal.kinds import table as kinds
from daedal.models.checkpoint import config_of
from daedal.models.layout import TokenLayout
from daedal.models.model import Model
from daedal.nn.transformer import recompute
from daedal.training.machine import Machine
from daedal.training.overfitting import RULES, choose_guards
from daedal.training.plan import Plan, Prediction, plan_class
from daedal.training.planning import UNPLANNED, Choice, Time, choose_length, choose_machine, choose_rhythm
from daedal.training.task import Task
from daedal.training.trial import Trial, require_state, require_step, step_seconds

_CODED = ("pictures", "clips", "sounds")  # of which another model makes codes, or which it makes itself
_COMPILE_PAYS = 300.0  # torch.compile takes about half a minute and saves about a quarter of a step (docs/log.md)


@dataclass(frozen=True)
class Facts:
    """What the data amount to, in the unit that is counted.

    Attributes:
        train: to learn from.
        validated: to validate on.
        vocab_size: of tokens, how many there are.
        layout: of a sequence that is a picture, where the tokens are of pictures.
        text: a piece of the validation text, as bytes; empty where the tokens are no text.
        examples: rows of any length to learn from, where each is an example.
        length, longest: tokens of such a row on average, and of about the longest.
    """

    train: int
    validated: int
    vocab_size: int = 0
    layout: TokenLayout | None = None
    text: bytes = b""
    examples: int = 0
    length: float = 0.0
    longest: int = 0


class Request(NamedTuple):
    """What is to be learned.

    Attributes:
        data: the data folder.
        codec: the run folder whose codes to learn in place of pixels.
        init: a run folder or Hugging Face id whose weights to start from.
    """

    family: str
    kind: str
    data: str
    codec: str | None = None
    init: str | None = None


class Learner(ABC):
    """A family and its data.

    Attributes:
        dataset: as a model learns from it.
        initial: the model to go on with, if there is one.

    Raises:
        DaedalError: the data do not fit the model to go on with, or the codec.
    """

    smaller: ClassVar[str] = "a smaller network"
    """What to do for cheaper steps."""
    passes: ClassVar[str] = "the data is read {} times"
    guarded: ClassVar[str | None] = None
    """Which of the rules against overfitting hold; those of the family's name unless said."""
    compiles: ClassVar[bool] = False
    """Whether compiled blocks are faster."""
    dataset: Dataset | ImageDataset
    initial: Model | None = None

    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.plans = plan_class(asked.family, asked.kind)

    # -- what is peculiar to a family ----------------------------------------------------------------------------------

    @abstractmethod
    def facts(self, given: Mapping[str, Any]) -> Facts:
        """What the data amount to, where these values of the plan are given."""

    @abstractmethod
    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        """Choose what the model is, and how it is optimised."""

    @abstractmethod
    def task(self, plan: Plan) -> Task:
        """The model of a plan with its first weights, and what it learns."""

    def configured(self, plan: Plan) -> Config:
        """The configuration of a plan's model."""
        config = config_of(self.asked.family)
        values = {name: getattr(plan, name) for name in config.model_fields if hasattr(plan, name)}
        return config.parse(values, "plan")

    def trial(self, plan: Plan) -> Trial:
        """What a step is tried with."""
        task = self.task(plan)
        optimizers = {player: task.optimizer(player, plan) for player in task.model.players}
        usual = partial(task.batch, 0, plan.micro_batch)
        return Trial(task.model, optimizers, usual, task.batch(0, 1), task.batch(0, 2))

    def step_seconds(self, trial: Trial, plan: Plan) -> float:
        """How long a step takes, with all that belongs to it."""
        return step_seconds(trial, plan)

    @property
    def rule(self) -> str:
        """By which of `RULES` learning by heart is guarded against, if it is one of them."""
        rule = self.guarded or self.asked.family
        return "fine-tuning" if self.initial is not None and rule in RULES else rule

    def guard(self, choose: Choice, draft: Plan) -> dict[str, str]:
        """What else is done where data are seen often, and why."""
        return {}

    def size_reason(self, facts: Facts, time: Time, machine: Machine) -> str | None:
        """Why the model has its size, where that follows from the budget."""
        return None

    def told(self, draft: Plan) -> dict[str, str]:
        """What else is to be told of a plan before it is followed."""
        return {}

    def expected_bits(self, model: Model, draft: Plan, seen: int, facts: Facts) -> float | None:
        """Bits per byte to expect when so much was learned from."""
        return None

    # -- what is the same for all --------------------------------------------------------------------------------------

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> Plan:
        """Choose every value that `given` leaves open.

        Args:
            budget: seconds for the whole run; None leaves the length to `given["steps"]`.

        Raises:
            DaedalError: a value does not fit, the data is too short, or the budget too short to train anything.
        """
        time = Time.of(budget, given)
        facts = self.facts(given)
        choose, draft = self._draft(facts, time, machine, given)
        sizes = list(config_of(self.asked.family).model_fields)
        require_state(lambda values: self._outlined(self._draft(facts, time, machine, values)[1]), given, sizes)
        trial = self.trial(draft)
        recompute(trial.model, getattr(draft, "recompute", False))
        require_step(trial, draft)
        per_step = self.step_seconds(trial, draft)
        learned = draft.seen_per_step
        guards: dict[str, str] = {}
        if time.budget is not None:
            fits = int(time.seconds / per_step)
            guards = choose_guards(choose, self.rule, learned / facts.train, fits, facts.validated)
            guards |= self.guard(choose, draft) if guards else {}
        steps = choose_length(choose, time, per_step, self.smaller)
        choose_rhythm(choose, steps, per_step, facts.validated * per_step / learned / 3)  # a forward pass only
        if self.compiles:
            choose("compile", machine.compiler and steps * per_step > _COMPILE_PAYS)
        prediction = Prediction(
            parameters=trial.model.parameter_count,
            seconds_per_step=per_step,
            seen=steps * learned,
            bits_per_byte=self.expected_bits(trial.model, draft, steps * learned, facts),
        )
        size = self.size_reason(facts, time, machine)
        why = {} if size is None else {"Size": size}
        times = steps * learned / facts.train
        passes = self.passes.format(f"{times:.1f}" if times >= 0.1 else f"{times:.1g}")
        why |= {"Length": f"a step took {per_step * 1000:.0f} ms when tried; {passes}", **guards, **self.told(draft)}
        return self.plans.parse({**choose.values, "predicted": prediction.model_dump(), "why": why}, "plan")

    def _draft(self, facts: Facts, time: Time, machine: Machine, given: Mapping[str, Any]) -> tuple[Choice, Plan]:
        """All values of a plan but those that follow from the time of a step."""
        settled = {**self.asked._asdict(), "budget": time.budget}
        choose = Choice(dict(given), settled)
        choose_machine(choose, machine)
        self.settle(choose, facts, time, machine)
        for name, value in given.items():
            choose(name, value)
        return choose, self.plans.parse({**UNPLANNED, **choose.values}, "plan")

    def _outlined(self, plan: Plan) -> tuple[Model, Plan]:
        """The model of a plan, on the meta device: it takes no memory."""
        if self.initial is not None:
            return self.initial, plan
        with torch.device("meta"):
            return self.new(plan), plan

    def new(self, plan: Plan) -> Model:
        """The model that a plan describes."""
        model: Model = part(line(self.asked.family).model)(self.configured(plan))
        return model

    def begun(self, plan: Plan) -> Model:
        """The same with its first weights."""
        model = self.new(plan)
        model.initialise(torch.Generator().manual_seed(plan.seed))
        return model

    def require_options(self, given: Mapping[str, Any]) -> None:
        """
        Raises:
            DaedalError: a value is given that matters only where the family learns examples of another kind.
        """
        family, kind, _, _, _ = self.asked
        for name in given.keys() - self.plans.model_fields.keys():
            others = [other for other in line(family).learns if name in plan_class(family, other).model_fields]
            option = name.replace("_", "-")
            raise DaedalError(f"--{option} is for {' or '.join(others)}, and this data is {kind}", "Leave it away")

    def keep(self, choose: Choice, settled: Mapping[str, Any]) -> None:
        """Take values of the model to go on with.

        Raises:
            DaedalError: another was given.
        """
        for name, value in settled.items():
            if choose.given.get(name, value) != value:
                raise DaedalError(
                    f"The model to start from has {name} {value}", f"Leave --{name.replace('_', '-')} away"
                )
            choose.values[name] = value


def open_learner(family: str, data: str | Path, init: str | None = None, codec: str | None = None) -> Learner:
    """A family with its data.

    Args:
        init: a run folder or Hugging Face id whose weights to start from.
        codec: the run folder of a VAE or a tokenizer whose codes to learn, in place of pixels.

    Raises:
        DaedalError: there is no such family, the data cannot be read, or the two or the codec do not fit.
    """
    line(family)
    dataset = open_data(Path(data))
    asked = Request(family, dataset.kind_name, str(data), codec, init)
    _require_fit(asked)
    opened: Learner = part(line(family).learns[asked.kind].learner)(asked, dataset)
    return opened


def _require_fit(asked: Request) -> None:
    """Refuse what a family does not learn, as its line in the table says."""
    family, kind, chosen = asked.family, asked.kind, line(asked.family)
    if kind not in chosen.learns:
        learners = [f"{_article(name)} {name}" for name, each in table().items() if kind in each.learns]
        raise DaedalError(
            f"{_article(family).capitalize()} {family} learns {' or '.join(map(_plural, chosen.learns))}, "
            f"and {asked.data} holds {_plural(kind)}",
            f"Name data of another kind (daedal data build --kind {next(iter(chosen.learns))}), "
            f"or train {' or '.join(learners)} on it"
            if learners
            else f"Name data of another kind: no family that is installed learns {kind}",
        )
    if asked.codec is not None and chosen.codes_of is None:
        learners = [f"a {name}" for name, each in table().items() if each.codes_of is not None]
        raise DaedalError(
            f"A {family} learns {chosen.over}, not the codes of another model",
            f"Leave --codec away, or train {' or '.join(learners)} on codes",
        )
    if asked.codec is not None and kind not in _CODED:
        raise DaedalError(f"--codec turns pictures into codes, and this data is {kind}", "Leave it away")
    if asked.codec is None and kind in _CODED and chosen.over == "tokens" and family not in ALIGNMENTS:
        raise DaedalError(
            f"A {family} learns tokens, and this data is {kind}",
            f"Train a tokenizer on it first (daedal train {chosen.codes_of}) and name its run folder by --codec",
        )


def _plural(kind: str) -> str:
    """What examples of a kind are called: `labelled texts`, `pairs`."""
    return f"{kind} {kinds()[kind].noun[1]}" if kind.endswith("ed") and kind in kinds() else kind


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
