"""Built-in tasks of in-context learning: held-out functions of the games that the source `in-context` is text of.

Each item has a function of its own, and brings examples of it; a function says nothing but by its examples. An item counts
where every token of the output and the end of its line is the most likely one: what greedy generation would write.
"""

from collections.abc import Callable
from random import Random

from daedal.data.worlds.in_context import ARROW, GAMES, IN_CONTEXT, function
from daedal.evaluation.tasks.definition import Definition
from daedal.evaluation.tasks.task import Row, Task

_COUNT = 400
_MOST_SHOTS = 8
_SAYS = {
    "linear": "a number times a, plus b; held-out pairs of a and b",
    "words": "two kinds of things and a label for each; held-out labels",
    "letters": "letters rearranged and changed; held-out pairs of both",
}


def _rows(game: str) -> list[Row]:
    draw = Random(f"{IN_CONTEXT} {game}")
    rows: list[Row] = []
    for _ in range(_COUNT):
        learned = function(game, draw, held_out=True)
        *examples, (asked, right) = learned.examples(_MOST_SHOTS + 1, draw)
        own = [{"input": one, "output": f" {other}\n"} for one, other in examples]
        rows.append({"input": asked, "output": f" {right}\n", "function": learned.name, "examples": own})
    return rows


def _made(game: str) -> Callable[[], Task]:
    def make() -> Task:
        definition = Definition.parse(
            {
                "task": f"{IN_CONTEXT}/{game}", "test_split": "test", "output_type": "loglikelihood",
                "doc_to_text": f"{{{{input}}}}{ARROW}", "doc_to_target": "output", "target_delimiter": "",
                "fewshot_delimiter": "",
                "fewshot_config": {"sampler": "own"}, "metric_list": [{"metric": "acc"}], "metadata": {"says": _SAYS[game]},
            },
            f"{IN_CONTEXT}/{game}",
        )  # fmt: skip
        return Task(definition, lambda: {"test": _rows(game)}, origin="built in")

    return make


GAME_TASKS: dict[str, Callable[[], Task]] = {f"{IN_CONTEXT}/{game}": _made(game) for game in GAMES}
"""By their names."""
