"""The winner of a search as a prompt file, in which the question is a variable."""

from typing import Any

import yaml

from daedal.evaluation.prompt_search.candidate import Candidate, asked_by
from daedal.evaluation.prompt_search.splits import Splits
from daedal.evaluation.tasks.task import Task

_HERE = "\ue000"


def prompt_file(task: Task, candidate: Candidate, splits: Splits, says: str, chat: bool = False) -> str | None:
    """The text of the file; None where each choice is a question of its own, so that no prompt stands before an answer.

    Its text, with `question` filled in, is to the letter what the search asked.
    """
    own = asked_by(task, candidate, splits.rows, "selection")
    item = own.item(0)
    if item.several_questions:
        return None
    shown = [splits.examples[place] for place in candidate.examples]
    (prompt,) = own.prompt(item._replace(asked=(_HERE,)), shown, chat)
    how = own.definition.generation_kwargs
    head: dict[str, Any] = {
        "description": f"Found by a search for {task.title}: {says}",
        "variables": {"question": {"type": "string"}},
    }
    if own.definition.output_type == "generate_until":
        head |= {"max_tokens": how.max_gen_toks, "temperature": how.sampled, "stop": list(own.stops)}
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)
    if isinstance(prompt, str):
        body = _template(prompt)
    else:
        body = "\n".join(f"# {turn['role']}\n{_template(turn['content'])}" for turn in prompt)
    return f"---\n{front}---\n{body}"


def _template(text: str) -> str:
    """A text as a template that gives it, but for the question."""
    for opening in ("{{", "{%", "{#"):
        text = text.replace(opening, f"\ue001{opening[1]}")
    return text.replace("\ue001", "{{ '{' }}").replace(_HERE, "{{ question }}")
