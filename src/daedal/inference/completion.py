"""What generation gives: a text with all that it takes to make it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daedal.config import Config
from daedal.files import write_json
from daedal.inference.provenance import TextProvenance
from daedal.safety.marking import Marking


class TokenLogprob(Config):
    """Natural log-probability of one generated token, and of the most likely ones, in the model's own distribution."""

    id: int
    text: str
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Completion(Config):
    """A generated text; `str()` gives it without its prompt.

    Attributes:
        ids: every generated token, also those of a stop string that `text` is cut before.
        finish_reason: "stop" (the model ended the text, or a stop string came), "length" (max_tokens), or "context" (no
            room is left).
        stop: the stop string that came.
        logprobs: one for each id, if asked for.
        forgotten: how many of the oldest messages of a conversation did not fit the context and were left out.
    """

    prompt: str
    text: str
    ids: tuple[int, ...]
    finish_reason: Literal["stop", "length", "context"]
    stop: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    forgotten: int = 0
    provenance: TextProvenance

    def __str__(self) -> str:
        return self.text

    def save(self, path: Path | str, marking: Marking | None = None) -> Path:
        """Write the text, and beside it all else as `<path>.json`; for a path that ends in `.json`, all in that file.

        Args:
            marking: signs the text in `<path>.signed.json`, and notes it.
        """
        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.model_dump(mode="json"))
        else:
            marking = Marking() if marking is None else marking
            marking.text(self.prompt + self.text, self.provenance.model_dump(mode="json"), path.suffix).write(path)
            write_json(path.with_name(path.name + ".json"), self.model_dump(mode="json"))
        return path


@dataclass(frozen=True)
class Chunk:
    """A piece of a text that is being written.

    Attributes:
        text: the new text: whole characters, and never a part of a stop string.
        completion: with the last piece, the whole.
    """

    text: str
    completion: Completion | None = None

    def __str__(self) -> str:
        return self.text
