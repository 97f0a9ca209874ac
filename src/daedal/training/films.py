"""A GPT that learns to write clips after their captions or classes, as the tokens that a tokenizer makes of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.models.film import Film, FilmConfig, TokenFilm
from daedal.models.model import Model, TokenBatch
from daedal.nn.noise import Noise
from daedal.training.clip_codes import CodedClips, CodedClipsTask
from daedal.training.film_plan import FilmPlan
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.transformer_learner import GPTLearner

_TOKENS = 4096  # of a step, about


class FilmLearner(GPTLearner):
    """A GPT and the clips that it is to learn."""

    dataset: Any
    initial: Film | None
    guarded = "tokens"
    architecture = "swift"  # what learns the tokens of our own tokenizer opens in no other program anyway
    passes = "every clip is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.clips = CodedClips(asked, dataset)
        self.dataset, self.codec = self.clips.dataset, self.clips.codec
        self.initial = None if asked.init is None else self.clips.begin(asked.init)

    def facts(self, given: Mapping[str, Any]) -> Facts:
        layout, clips = self.clips.layout, self.clips.facts()
        return Facts(clips.train * layout.length, clips.validated * layout.length, layout.vocab_size, layout)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        assert facts.layout is not None
        choose.values.update(grid=self.codec.grid, groups=self.codec.config.groups, window=facts.layout.window)
        super().settle(choose, facts, time, machine)
        length = facts.layout.length
        batch = choose("batch", min(self.dataset.split("train").count, 2 ** int(np.log2(max(8, _TOKENS / length)))))
        choose("micro_batch", largest_share(batch, max(1, 8192 // length)))

    def longest(self, model: Model) -> int:
        assert isinstance(model, Film)
        return model.config.context - model.config.group

    def configured(self, plan: Plan) -> FilmConfig:
        assert isinstance(plan, FilmPlan)
        return FilmConfig.of(plan.architecture, **plan.shape)

    def task(self, plan: Plan) -> "FilmTask":
        assert isinstance(plan, FilmPlan)
        whole = TokenFilm(self.initial or Film(self.configured(plan)), self.codec)
        if self.initial is None:
            whole.initialise(torch.Generator().manual_seed(plan.seed))
        return FilmTask(whole, self.clips, plan)


class FilmTask(CodedClipsTask):
    """Trains a GPT on the tokens of clips, each after its caption or class, and some steps after their last frames besides."""

    unit = "tokens"
    together = 8
    whole: TokenFilm

    def __init__(self, whole: TokenFilm, clips: CodedClips, plan: FilmPlan) -> None:
        super().__init__(whole, clips, plan)
        self._dropout = plan.label_dropout

    def batch(self, first: int, count: int) -> TokenBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        ids, last, labels = self._train.some(places.astype(np.int64))
        hidden = Noise(self._seed, first, count).uniform("label") < self._dropout
        labels = labels.masked_fill(hidden.view(-1, *[1] * (labels.ndim - 1)), -1)
        return self.whole.to_learn(ids, labels, last if self.leads(first) else None)

    def held(self, places: Int[np.ndarray, " clips"]) -> tuple[TokenBatch, int]:
        ids, _, labels = self._held.some(places)
        batch = self.whole.to_learn(ids, labels)
        return batch, batch.count
