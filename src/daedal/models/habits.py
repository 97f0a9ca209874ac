"""What a checkpoint says of its use beside its weights: what ends its texts, how it samples, how a conversation is written.

A model that training begins from another's weights keeps these too.
"""

from pathlib import Path
from typing import Any, NamedTuple, Self

from daedal.codecs.chat import read_template
from daedal.files import read_json, write_json, write_text

GENERATION, TEMPLATE, SETTINGS = "generation_config.json", "chat_template.jinja", "tokenizer_config.json"


class Habits(NamedTuple):
    """
    Attributes:
        sampling: all of `generation_config.json`.
        ends: the ids that end a text.
        jinja: the chat template of a file of its own.
        template: that of the tokenizer's settings: a text, or a list of named ones.
    """

    sampling: dict[str, Any]
    ends: tuple[int, ...]
    jinja: str | None
    template: Any

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those of a checkpoint.

        Raises:
            DaedalError: a file is damaged.
        """
        file = folder / TEMPLATE
        jinja = read_template(file) if file.exists() else None
        return cls(
            _object(folder / GENERATION), stop_ids(folder), jinja, _object(folder / SETTINGS).get("chat_template")
        )

    def generation(self, own: dict[str, Any]) -> dict[str, Any]:
        """The `generation_config.json` of a checkpoint that has these habits, and an end of texts of its own."""
        ends = list(dict.fromkeys(id for id in (own.get("eos_token_id"), *self.ends) if id is not None))
        return {**own, **self.sampling, "eos_token_id": ends[0] if len(ends) == 1 else ends or None}

    def save(self, folder: Path) -> None:
        """Write the chat template beside the tokenizer that is there.

        Raises:
            DaedalError: the disk is full or the folder cannot be written.
        """
        if self.jinja is not None:
            write_text(folder / TEMPLATE, self.jinja)
        if self.template is not None:
            write_json(folder / SETTINGS, {**_object(folder / SETTINGS), "chat_template": self.template})


def stop_ids(folder: Path | str) -> tuple[int, ...]:
    """The ids that end a generation, as `generation_config.json`, or else `config.json`, names them."""
    for name in (GENERATION, "config.json"):
        path = Path(folder) / name
        value = read_json(path) if path.exists() else {}
        ids = value.get("eos_token_id") if isinstance(value, dict) else None
        ids = ids if isinstance(ids, list) else [ids]
        if all(isinstance(entry, int) for entry in ids):
            return tuple(ids)
    return ()


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path) if path.is_file() else {}
    return value if isinstance(value, dict) else {}
