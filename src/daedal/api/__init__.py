"""What the command line can do, as functions. They import what they need when they are called."""

from daedal.api.models import (
    build_data,
    compare,
    complete,
    evaluate,
    export,
    load,
    make_plan,
    merge,
    of_pictures,
    resume,
    train,
    use_fastest_threads,
)
from daedal.api.prompts import (
    ask,
    code_tasks,
    distil,
    evaluate_tasks,
    judge,
    prompt_search,
    prompt_test,
    show_tasks,
    tasks,
)
from daedal.api.safety import bias

__all__ = [
    "ask",
    "bias",
    "build_data",
    "code_tasks",
    "compare",
    "complete",
    "distil",
    "evaluate",
    "evaluate_tasks",
    "export",
    "judge",
    "load",
    "make_plan",
    "merge",
    "of_pictures",
    "prompt_search",
    "prompt_test",
    "resume",
    "show_tasks",
    "tasks",
    "train",
    "use_fastest_threads",
]
