"""GRPO on pictures: a GPT that writes the tokens of pictures draws several for each prompt, and learns from which of them show
what was asked for. The same loss and the same rollouts as of texts; only who draws and who judges is another.

Prompts are those of scenes with an exact judge (`rule:scenes`), of what is trained and never of what is held out; or, for any
other reward, the captions of the data.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from daedal.alignment.divergence import Controller
from daedal.alignment.online import GRPOTask, Prompt
from daedal.alignment.online_learner import GRPOLearner
from daedal.alignment.policy import GroupPolicy
from daedal.alignment.rewards import Asked
from daedal.alignment.rollout import Answer, log_probabilities
from daedal.codecs.caption import CaptionCodec
from daedal.codecs.image import PixelCodec
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.evaluation.worlds.prompts import MAIN_TASKS, prompts
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_model
from daedal.models.coded import TokenModel
from daedal.models.gpt import GPT
from daedal.models.identity import Identity
from daedal.nn.noise import Noise
from daedal.training.learner import Facts
from daedal.training.machine import Machine
from daedal.training.picture_codes import identity_of
from daedal.training.planning import Choice, Time

_SCENES = "rule:scenes"
_OF_A_TASK, _HELD_OF_A_TASK = 500, 16
_LEARNED, _HELD = 1_000_001, 1_000_002  # seeds of prompts: others than evaluation takes


class Painter(NamedTuple):
    """A model that draws what captions say, and what it is made of."""

    whole: TokenModel
    captions: CaptionCodec
    pixels: PixelCodec

    @classmethod
    def open(cls, init: str | None) -> Self:
        """
        Raises:
            DaedalError: none is named, or it draws nothing that captions say.
        """
        if init is None:
            raise DaedalError("There is nothing to align", "Name a run of daedal train text-to-image by --init")
        whole = load_model(init, dtype=torch.float32)
        if not isinstance(whole, TokenModel) or not whole.layout.words:
            raise DaedalError(f"{init} does not draw what captions say", "Name a run of daedal train text-to-image")
        folder = resolve(init)
        return cls(whole, CaptionCodec.load(folder), PixelCodec.load(folder))

    @property
    def gpt(self) -> GPT:
        return self.whole.inner

    @property
    def identity(self) -> Identity:
        """What is written of it."""
        return identity_of(self.whole, "pictures")

    def write(self, gpt: GPT, folder: Path, *_: Any) -> None:
        """A GPT that was made of it, with the codecs."""
        save_model(gpt, folder, notes={"class_names": []})
        save_codecs(folder, self.pixels, self.whole.codec, self.captions)

    def prompts(self, texts: Sequence[str], known: Sequence[Any]) -> list[Prompt]:
        """What is to be drawn."""
        openings = self.whole.layout.opening(self.captions.encode(texts)).tolist()
        return [
            Prompt([{"role": "user", "content": text}], ids, about)
            for text, ids, about in zip(texts, openings, known, strict=True)
        ]


class PictureTask(GRPOTask):
    """Draws, and learns from what it drew."""

    subject: Any

    def give(
        self, prompts: Sequence[Prompt], samples: int, seed: int, numbers: Sequence[int], rows: Sequence[int]
    ) -> tuple[list[Answer], list[Asked]]:
        painter, gpt, whole = self.subject, self.model.gpt, self.subject.whole
        device, places, training = gpt.embedding.weight.device, whole.layout.places, gpt.training
        gpt.eval()
        openings = torch.tensor([each.ids for each in prompts for _ in range(samples)], device=device)
        blank = torch.full((len(openings), places), UNKNOWN, device=device)
        chances = Noise.join([Noise(seed, row, 1, device) for row in rows]).uniform("tokens", places)
        *_, written = write(
            TorchNetwork(gpt), torch.cat((openings, blank), 1), ByChance(chances), allowed=self.model.allowed
        )
        ids = written[:, -places:]
        pairs = [(opening, said) for opening, said in zip(openings.tolist(), ids.tolist(), strict=True)]
        logs = log_probabilities(gpt, pairs, allowed=self.model.allowed)
        with torch.no_grad():
            whole.codec.to(device)
            drawn = painter.pixels.decode_batch(whole.codec.decode_ids(ids.view(-1, *whole.codec.grid)))
        gpt.train(training)
        answers = [
            Answer(tuple(opening), tuple(said), tuple(likely.tolist()), True)
            for (opening, said), likely in zip(pairs, logs, strict=True)
        ]
        asked = [
            Asked(prompts[place // samples].messages, "a picture", prompts[place // samples].known, picture)
            for place, picture in enumerate(drawn)
        ]
        return answers, asked


class PictureGRPOLearner(GRPOLearner):
    """GRPO, and prompts for pictures."""

    dataset: ImageDataset
    subject: Painter
    tasks = PictureTask

    def opened(self, init: str | None) -> Any:
        return Painter.open(init)

    @property
    def vocab_size(self) -> int:
        return self.subject.gpt.config.vocab_size

    def context(self, given: Mapping[str, Any]) -> int:
        return self.subject.gpt.config.context

    def answer(self, given: Mapping[str, Any]) -> int:
        return self.subject.whole.layout.places

    def prompts(self, split: str, given: Mapping[str, Any]) -> list[Prompt]:
        held = split != "train"
        key = (split, str(given.get("reward")).startswith(_SCENES))
        if key not in self._read:
            if key[1]:
                count, seed = (_HELD_OF_A_TASK, _HELD) if held else (_OF_A_TASK, _LEARNED)
                asked = [each for task in MAIN_TASKS for each in prompts(task, "seen", count, seed)]
                fit = [each for each in asked if not self.subject.captions.unknown(each.text)]
                self._read[key] = self.subject.prompts([each.text for each in fit], fit)
            else:
                texts = [text for text in dict.fromkeys(self.dataset.split(split).captions) if text]
                self._read[key] = self.subject.prompts(texts, [None] * len(texts))
            if not self._read[key] and not held:
                raise DaedalError(
                    "There is nothing to draw: no prompt is of words that the model knows",
                    "Name data with captions, or another reward",
                )
        return self._read[key]

    def settle(self, choose: Choice, facts: Facts, within: Time, machine: Machine) -> None:
        if choose.given.get("lora"):
            raise DaedalError("Of a model of pictures all weights learn", "Leave --lora away")
        super().settle(choose, facts, within, machine)

    def policy(self, plan: Any) -> GroupPolicy:
        controller, allowed = Controller(plan.beta, plan.kl_target), slice(self.subject.whole.layout.tokens)
        return GroupPolicy(self.begun_gpt(plan), controller, plan.below, plan.above, allowed)
