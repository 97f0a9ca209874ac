"""A prompt that is put to a model, and what it says, with all that it takes to ask again: `daedal ask`."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import referencing

from daedal import __version__
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.printable import printable
from daedal.prompting.connection import Used
from daedal.prompting.endpoint import Endpoint
from daedal.prompting.memory import Remembered, unwrapped
from daedal.prompting.respondent import Prompt, Question, Reply, Respondent, Wording


class Asked(Config):
    """What was asked, of whom, and what was said.

    Attributes:
        model: as the user named it.
        identity: SHA-256 of the weights, or of an endpoint's address and the name of its model.
        template: SHA-256 of the prompt file; empty where the prompt is a text.
        prompt: SHA-256 of the prompt with its values.
        matches: whether each answer is JSON that the schema allows; empty without a schema.
        used: what was sent to an endpoint.
    """

    daedal: str
    model: str
    identity: str
    template: str = ""
    prompt: str
    wording: Wording
    replies: tuple[Reply, ...]
    matches: tuple[bool, ...] = ()
    used: str = ""

    @property
    def valid(self) -> bool:
        """Whether all answers match the schema, if there is one."""
        return all(self.matches)


def ask(
    respondent: Respondent,
    prompt: Prompt,
    wording: Wording,
    *,
    n: int = 1,
    template: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Asked:
    """Put a prompt to a model.

    Args:
        n: samples.
        template: SHA-256 of the prompt's file.
        progress: told how many answers there are, of how many.

    Raises:
        DaedalError: it does not fit the context, the schema cannot be satisfied, or an endpoint cannot be asked.
    """
    if n < 1:
        raise DaedalError(f"{n} answers are none", "Ask for one at least")
    schema = wording.answer_schema
    if schema is not None:
        check_schema(schema)
    replies: dict[int, Reply] = {}
    for place, reply in respondent.answer([Question(prompt, sample) for sample in range(n)], wording):
        replies[place] = reply
        if progress is not None:
            progress(len(replies), n)
    said = tuple(replies[place] for place in range(n))
    return Asked(
        daedal=__version__, model=respondent.name, identity=respondent.identity, template=template,
        prompt=hash_of(prompt), wording=wording, replies=said,
        matches=() if schema is None else tuple(matches(reply.text, schema) for reply in said), used=told_use(respondent),
    )  # fmt: skip


def hash_of(prompt: Prompt) -> str:
    """SHA-256 of a prompt."""
    plain: Any = prompt if isinstance(prompt, str) else [dict(message) for message in prompt]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def used_of(respondent: Respondent) -> Used | None:
    """What an endpoint was sent; nothing where it is a model on this machine."""
    inner = unwrapped(respondent)
    return inner.used if isinstance(inner, Endpoint) else None


def told_use(respondent: Respondent) -> str:
    """The same in words, with how many answers were there already."""
    used = used_of(respondent)
    if used is None:
        return ""
    hits = respondent.hits if isinstance(respondent, Remembered) else 0
    return f"{used}; {hits:,} answers were there already" if hits else str(used)


def matches(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether a text is JSON that a schema allows."""
    try:
        return jsonschema.Draft202012Validator(schema, registry=referencing.Registry()).is_valid(json.loads(text))
    except (ValueError, RecursionError, jsonschema.exceptions.SchemaError):
        return False
    except Exception as error:  # a reference that leads nowhere, in a library's own exceptions
        if type(error).__module__.startswith(("referencing", "jsonschema")):
            return False
        raise


def check_schema(schema: Mapping[str, Any]) -> None:
    """See that a JSON schema is one.

    Raises:
        DaedalError: it is none.
    """
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "schema"
        raise DaedalError(f"This is no JSON schema: {where}: {printable(error.message)[:120]}", "Correct it") from None


def read_schema(path: Path) -> dict[str, Any]:
    """The schema in a file.

    Raises:
        DaedalError: there is none.
    """
    schema = read_json(path)
    if not isinstance(schema, dict):
        raise DaedalError(f"{path} holds no JSON schema", 'Write an object, such as {"type": "object"}')
    check_schema(schema)
    return schema
