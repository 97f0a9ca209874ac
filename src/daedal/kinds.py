"""The kinds of example that data may be made of: a line each, and packages of others may add their own.

A kind is a declaration, `KIND` in the module that its line names; see `daedal.data.kind`. This table imports nothing, so that
`daedal --help` pays for none. Others are found by the entry point `daedal.kinds`, whose name is the kind's and whose value is
`module:KIND`.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple


class Line(NamedTuple):
    """A kind in the table.

    Attributes:
        noun: one example and several, as messages say it.
        home: where its declaration is: `module:NAME`.
        says: what an example of it is, in a line.
    """

    noun: tuple[str, str]
    home: str
    says: str


def _line(name: str, noun: tuple[str, str], says: str) -> Line:
    return Line(noun, f"daedal.data.kinds.{name}:KIND", says)


BUILT_IN = {
    "text": _line("text", ("document", "documents"), "running text: prose, source code, rows of a table"),
    "pictures": _line("pictures", ("picture", "pictures"), "pictures, with classes and captions or without"),
    "labelled": _line("labelled", ("text", "texts"), "a text, and its class, its classes or a number"),
    "pairs": _line("pairs", ("pair", "pairs"), "a text, and what it is in another language or form"),
    "questions": _line("questions", ("question", "questions"), "a question, a text, and where in it the answer is"),
    "tagged": _line("tagged", ("sentence", "sentences"), "the words of a sentence, and a tag for each"),
    "chat": _line(
        "chat", ("conversation", "conversations"), "the turns of a conversation, or an instruction and its answer"
    ),
    "preferences": _line(
        "preferences", ("preference", "preferences"), "answers of which a person liked one and another not"
    ),
    "histories": _line("histories", ("history", "histories"), "what a person took, one thing after the other"),
    "tunes": _line("tunes", ("tune", "tunes"), "music as notes: MIDI files, and chorales as JSON"),
    "clips": _line("clips", ("clip", "clips"), "a short film without sound, with a class and a caption or without"),
    "sounds": _line("sounds", ("sound", "sounds"), "a recording, and its class, its speaker and what is said in it"),
}


@cache
def table() -> dict[str, Line]:
    """All kinds: those of the house, then those that other packages add. Every installed package is looked at, once."""
    others = {
        point.name: Line((point.name, point.name), point.value, f"of {point.dist.name if point.dist else point.module}")
        for point in sorted(entry_points(group="daedal.kinds"), key=lambda point: point.name)
    }
    return {**others, **BUILT_IN}
