"""From token ids to text as it comes: no half characters, and never a part of a stop string."""

from codecs import getincrementaldecoder
from collections.abc import Sequence

from daedal.codecs.text import TextCodec


class TextStream:
    """Gives the text of ids that come one by one, as early as it is certain.

    Held back: the bytes of a character that is not complete, and an ending that may grow into a stop string. A stop
    counts from the moment that it is complete, whatever tokens it is made of, and the text ends before it. Where two
    become complete at once, the longer one counts.

    Args:
        strip_space: leave out one space at the beginning: codecs that mark words by the space before them (`▁Once`) mark
            the first word of a document too.
        hidden: a text with which begins what no stop may cut, such as a call of a tool; empty where all of it is such.

    Attributes:
        stop: the stop string that ended the text, or None.
    """

    def __init__(
        self, codec: TextCodec, stops: Sequence[str] = (), strip_space: bool = False, hidden: str | None = None
    ) -> None:
        self._codec, self._strip_space = codec, strip_space
        self._stops = () if hidden == "" else tuple(stops)
        self._hidden = hidden if self._stops else None
        self._utf8 = getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.stop: str | None = None

    def push(self, token: int) -> str:
        """The text that is certain now that `token` has come; empty after a stop."""
        if self.stop is not None:
            return ""
        text = self._utf8.decode(self._codec.token_bytes(token))
        if text and self._strip_space:
            text, self._strip_space = text.removeprefix(" "), False
        return self._release(self._held + text)

    def finish(self) -> str:
        """What was held back for a stop that did not come. The bytes of a character cut in two are dropped."""
        rest, self._held = self._held, ""
        return "" if self.stop is not None else self._before_stop(rest)

    def _release(self, text: str) -> str:
        visible, mark, _ = text.partition(self._hidden) if self._hidden else (text, "", "")
        begun = 0 if mark else _overlap(text, self._hidden or "")  # what may be the mark is not yet known to be seen
        before = self._before_stop(visible[: len(visible) - begun])
        if self.stop is not None:
            self._held = ""
            return before
        if mark:
            self._stops, self._hidden, self._held = (), None, ""
            return text
        held = max([begun, *(_overlap(text, stop) for stop in self._stops)])
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def _before_stop(self, text: str) -> str:
        """A text as far as the first stop in it, which is noted."""
        found = [(start + len(stop), start, stop) for stop in self._stops if (start := text.find(stop)) >= 0]
        if not found:
            return text
        _, start, self.stop = min(found)
        return text[:start]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest ending of `text` that `stop` starts with."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
