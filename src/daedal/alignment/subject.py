"""The model that is to be aligned, as it reads conversations and answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Turns
from daedal.errors import DaedalError
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT
from daedal.models.habits import Habits, stop_ids
from daedal.models.identity import Base, Identity
from daedal.training.chat_plan import LoRAPlan
from daedal.training.tuning import Start, save_tuned


class Subject(NamedTuple):
    """A GPT, how it reads, and what ends its answers."""

    gpt: GPT
    turns: Turns
    stop_ids: frozenset[int]
    habits: Habits

    @classmethod
    def open(cls, init: str | None) -> Self:
        """
        Raises:
            DaedalError: none is named, or it is no GPT over text.
        """
        if init is None:
            raise DaedalError(
                "There is nothing to align", "Name a trained GPT by --init, such as a run of daedal train chat"
            )
        start = Start.open(init)
        turns, eos_id = Turns(start.codec, start.template), start.codec.eos_id
        ends = {*turns.ends.ids, *stop_ids(start.folder), *(() if eos_id is None else (eos_id,))}
        return cls(start.model, turns, frozenset(ends), start.habits)

    @property
    def codec(self) -> TextCodec:
        return self.turns.codec

    @property
    def identity(self) -> Identity:
        """What is written of it."""
        return Identity.of("gpt", "chat", {"conversation": "tokenizer.json"}, self.gpt.capabilities)

    def write(self, gpt: GPT, folder: Path, plan: LoRAPlan | None = None, base: Base | None = None) -> None:
        """A GPT that was made of it, as a checkpoint; of a plan with a LoRA that alone."""
        if plan is None:
            save_model(gpt, folder, codec=self.codec, habits=self.habits)
        else:
            save_tuned(gpt, folder, plan, self.codec, self.habits, base)

    def text(self, ids: Sequence[int]) -> str:
        """What an answer says, without what ends it."""
        end = next((place for place, id in enumerate(ids) if id in self.stop_ids), len(ids))
        return self.codec.decode(list(ids[:end]))

    def fitting(self, messages: Sequence[Mapping[str, Any]], room: int) -> list[int] | None:
        """The ids of a prompt of at most so many; its oldest messages are left out where it is longer, a system message last.
        None where not even the newest fits, or the chat template refuses them."""
        kept = list(messages)
        while kept:
            try:
                ids = self.turns.prompt(kept)
            except DaedalError:
                if len(kept) == len(messages):
                    return None
            else:
                if len(ids) <= room:
                    return ids
            spoken = [place for place, each in enumerate(kept) if each.get("role") != "system"]
            if len(spoken) < 2:
                return None
            del kept[spoken[0]]
        return None
