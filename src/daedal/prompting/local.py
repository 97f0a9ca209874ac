"""A model on this machine, asked."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from daedal.codecs.conversation import Conversation
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.continuations import likelihoods, rolling
from daedal.inference.generator import Generator
from daedal.inference.skill import fingerprint
from daedal.models.gpt import GPT
from daedal.prompting.respondent import Likelihood, Message, Prompt, Question, Reply, Wording
from daedal.safety.text_marks.text_mark import TextMark


class LocalModel:
    """A language model on this machine.

    Args:
        watermark: what sampled answers are marked with.

    Raises:
        DaedalError: it writes no texts.
    """

    def __init__(self, model: Generator | str | Path, watermark: TextMark | None = None) -> None:
        self.generator = model if isinstance(model, Generator) else Generator.open(model)
        if not isinstance(self.generator.model, GPT) or not isinstance(self.generator.codec, TextCodec):
            raise DaedalError(
                f"{self.generator.name} is a {self.generator.model.family}, which writes no texts", "Name a GPT"
            )
        self.name = self.generator.name
        self.identity = fingerprint(self.generator.model)
        self._watermark = watermark

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        options = {"max_tokens": wording.max_tokens, "temperature": wording.temperature, "stop": wording.stop}
        prompts = [each.prompt if isinstance(each.prompt, str) else list(each.prompt) for each in questions]
        samples = [each.sample for each in questions]
        began = time.monotonic()
        for place, written in self.generator.answers(
            prompts, samples, wording.answer_schema, watermark=self._watermark, seed=wording.seed, **options
        ):
            yield (
                place,
                Reply(
                    text=written.text,
                    finish_reason=written.finish_reason,
                    prompt_tokens=len(self.generator.codec.encode(written.prompt)),
                    completion_tokens=len(written.ids),
                    seconds=time.monotonic() - began,
                ),
            )

    def likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        codec, template = self.generator.codec, self.generator.template
        asked: list[tuple[str | list[int], str]] = []
        for context, text in pairs:
            known = context if isinstance(context, str) else Conversation(template, codec, list(context)).ids
            asked.append((known, text))
        for place, found in likelihoods(self.generator.model, codec, asked):
            yield place, Likelihood(*found)

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        for place, found in rolling(self.generator.model, self.generator.codec, texts):
            yield place, Likelihood(*found)

    def rendered(self, messages: Sequence[Message]) -> str:
        return self.generator.template.render(list(messages))
