"""Instructions that a model proposes when it is shown examples of a task (Zhou et al. 2023, arXiv:2211.01910)."""

from collections.abc import Sequence

from daedal.evaluation.tasks.task import Row, Task
from daedal.prompting.respondent import Prompt, Question, Respondent, Wording

_SHOWN, _MOST_LETTERS = 4, 400
_WORDING = Wording(max_tokens=64, temperature=1.0, stop=("\n\n",))
_ASK = (
    "I gave a friend an instruction. For each question below he followed it and gave the answer.\n\n{examples}\n\n"
    "The instruction was:"
)


def question(task: Task, rows: Sequence[Row], sample: int, chat: bool) -> Question:
    """What a model is asked: other examples for each sample."""
    shown = [rows[(sample * _SHOWN + number) % len(rows)] for number in range(min(_SHOWN, len(rows)))]
    examples = "\n\n".join(
        f"Question: {_one_line(task.fields.text(row, True))}\nAnswer: {_one_line(task.answer_of(row))}" for row in shown
    )
    said = _ASK.format(examples=examples)
    prompt: Prompt = ({"role": "user", "content": said},) if chat else said
    return Question(prompt, sample)


def propose(task: Task, rows: Sequence[Row], proposer: Respondent, count: int, seed: int, chat: bool) -> list[str]:
    """Up to so many different instructions; what a model says that is none, as nothing or a template, is dropped.

    Raises:
        DaedalError: it cannot be asked.
    """
    if not rows:
        return []
    questions = [question(task, rows, sample, chat) for sample in range(count)]
    found = [""] * count
    for place, reply in proposer.answer(questions, _WORDING.but(seed=seed)):
        found[place] = _one_line(reply.text).strip(" \"'")
    return [
        each
        for each in dict.fromkeys(found)
        if 3 < len(each) <= _MOST_LETTERS and not {"{{", "{%", "{#"} & _pairs(each)
    ]


def _pairs(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}


def _one_line(text: object) -> str:
    said = " ".join(str(text).split())
    return said if len(said) <= _MOST_LETTERS else said[:_MOST_LETTERS]
