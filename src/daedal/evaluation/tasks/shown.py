"""What a task asks, as text: its first item with its examples, the right answer, and how answers are scored."""

from daedal.evaluation.tasks.run import TaskOptions, prepare
from daedal.evaluation.tasks.task import Task
from daedal.printable import counted


def shown(task: Task, shots: int | None = None) -> str:
    """A task for people to read.

    Raises:
        DaedalError: it makes no sense.
    """
    (job,) = prepare([task], TaskOptions(shots=None if shots is None else (shots,), limit=1))
    item, definition = job.items[0], task.definition
    lines = [
        f"{task.name}: {definition.output_type}, {counted(len(task.rows), 'item')} of the split {task.split}, "
        f"{counted(job.shots, 'shot')}",
        task.origin if task.origin == "built in" else f"from {task.origin}",
    ]
    metrics = (f"{metric.name}: {metric.says}" for metric, _, _ in task.metrics)
    lines += [f"  {line}" for line in metrics]
    if definition.output_type == "loglikelihood_rolling":
        return "\n".join([*lines, "", "text:", item.targets[0][:2000]])
    for prompt in job.prompts[0]:
        lines += ["", "asked:", str(prompt)]
    if definition.output_type == "generate_until":
        lines += ["", f"answers end at {', '.join(map(repr, task.stops)) or 'the end of the text'}"]
    if item.choices and not item.several_questions:
        marks = ("→" if place in item.gold else " " for place in range(len(item.choices)))
        between = definition.target_delimiter
        lines += [
            "",
            "choices:",
            *(f" {mark} {between + each!r}" for mark, each in zip(marks, item.choices, strict=True)),
        ]
    else:
        lines += ["", f"right: {', '.join(map(repr, item.targets))}"]
    return "\n".join(lines)
