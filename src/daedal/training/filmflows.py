"""A flow that learns the codes of clips, after their captions or classes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.filmflow import FilmFlow, LatentFilm
from daedal.models.image import ImageBatch
from daedal.nn.noise import Noise
from daedal.nn.quantizer import FSQ
from daedal.training.clip_codes import CodedClips, CodedClipsTask, CodedSplit
from daedal.training.film_plan import FilmFlowPlan
from daedal.training.learner import Facts, Learner, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share

_LOOKED_AT = 64  # clips whose codes tell their deviation


class FilmFlowLearner(Learner):
    """A flow and the clips that it is to learn."""

    dataset: Any
    initial: FilmFlow | None
    guarded = "flow"
    passes = "every clip is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.clips = CodedClips(asked, dataset)
        self.dataset, quantizer = self.clips.dataset, self.clips.codec.quantizer
        if not isinstance(quantizer, FSQ):
            raise DaedalError(
                f"The codes of {asked.codec} are those of a codebook, and a flow learns fixed levels",
                "Train the tokenizer with --quantizer fsq, or train film on it",
            )
        self._quantizer = quantizer
        self.initial = None if asked.init is None else self.clips.begin(asked.init)

    def facts(self, given: Mapping[str, Any]) -> Facts:
        return self.clips.facts()

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        layout, (rows, columns) = self.clips.layout, self.clips.codec.grid
        choose.values.update(
            channels=self._quantizer.channels, height=rows, width=columns, groups=self.clips.codec.config.groups,
            code_levels=self._quantizer.levels, classes=layout.classes, words=layout.words, window=layout.window,
        )  # fmt: skip
        if self.initial is not None:
            known = self.initial.config.model_dump()
            self.keep(choose, {name: value for name, value in known.items() if name in self.plans.model_fields})
        else:
            ids, _, _ = self.clips.split("train").some(np.arange(min(_LOOKED_AT, facts.train)))
            choose("deviation", round(float(self._quantizer.codes(ids[:, None]).std()), 3))
        for name, value in {**FilmFlowPlan.recipe, **choose.given}.items():
            choose(name, value)
        batch = choose.values["batch"]
        choose("micro_batch", largest_share(batch, batch))

    def task(self, plan: Plan) -> "FilmFlowTask":
        assert isinstance(plan, FilmFlowPlan)
        inner = self.initial or self.begun(plan)
        assert isinstance(inner, FilmFlow)
        return FilmFlowTask(LatentFilm(inner, self.clips.codec), self.clips, plan)


class FilmFlowTask(CodedClipsTask):
    """Trains a flow on the codes of clips, some steps with those of their last frames besides."""

    unit = "clips"
    together = 16

    def batch(self, first: int, count: int) -> ImageBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        return self._coded(self._train, places.astype(np.int64), Noise(self._seed, first, count), self.leads(first))

    def held(self, places: Int[np.ndarray, " clips"]) -> tuple[ImageBatch, int]:
        return self._coded(self._held, places, Noise(0, int(places[0]), len(places)), led=False), len(places)

    def _coded(self, split: CodedSplit, places: Int[np.ndarray, " clips"], noise: Noise, led: bool) -> ImageBatch:
        """Clips as codes, below them those of their last frames where these are told."""
        ids, last, labels = split.some(places)
        ids = (torch.cat((ids, last), 1) if led else ids).view(len(ids), -1, self.model.config.width)
        return ImageBatch(self.whole.codec.quantizer.codes(ids), labels, noise)
