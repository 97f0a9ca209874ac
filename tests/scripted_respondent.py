"""A respondent whose answers a test writes."""

from collections.abc import Callable, Iterator, Sequence

from daedal.prompting.respondent import Likelihood, Message, Prompt, Question, Reply, Wording


class Scripted:
    """Says what a function of the prompt and the sample says; keeps what it was asked.

    Args:
        likely: nats of a second text after a first.
    """

    def __init__(
        self,
        says: Callable[[str, int], str],
        likely: Callable[[str, str], float] | None = None,
        seconds: float = 0.01,
        cost: float | None = None,
    ) -> None:
        self.says, self.likely, self.seconds, self.cost = says, likely, seconds, cost
        self.name, self.identity = "scripted", "0" * 64
        self.asked: list[tuple[Prompt, int, Wording]] = []

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        for place in reversed(range(len(questions))):  # in no order that anyone may count on
            prompt, sample = questions[place]
            self.asked.append((prompt, sample, wording))
            text = self.says(prompt if isinstance(prompt, str) else str(prompt[-1]["content"]), sample)
            yield (
                place,
                Reply(
                    text=text, finish_reason="stop", prompt_tokens=3, completion_tokens=len(text), seconds=self.seconds,
                    cost=self.cost,
                ),
            )  # fmt: skip

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Likelihood]]:
        assert self.likely is not None
        for place in reversed(range(len(pairs))):
            yield place, Likelihood(self.likely(*pairs[place]), False, 1)

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        raise NotImplementedError

    def rendered(self, messages: Sequence[Message]) -> str:
        raise NotImplementedError
