"""Configuration is data: frozen, validated, serialisable; every configuration in the house derives from `Config`."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from daedal.errors import DaedalError


class Config(BaseModel):
    """Base of all configurations: immutable, and a field that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Validate `values` that came from outside; `where` names them in the error.

        Raises:
            DaedalError: one line that names the first bad field.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise validation_error(error, where, tuple(cls.model_fields)) from None

    def but(self, **changes: Any) -> Self:
        """A validated copy with some values changed."""
        return self.parse({**self.model_dump(), **changes}, type(self).__name__)


def validation_error(error: ValidationError, where: str, known: Sequence[str] = ()) -> DaedalError:
    """The first fault of a pydantic error as one line. Of a field that is not known, it names the one that is meant."""
    first = error.errors(include_url=False, include_input=True)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if not field and isinstance(first.get("input"), dict):  # values that do not go together
        return DaedalError(f"{where}: {message}", "Correct these values")
    field = field or "value"
    given = repr(first.get("input"))
    shown = given if len(given) <= 60 else given[:57] + "..."
    near = difflib.get_close_matches(field, known, n=1) if first["type"] == "extra_forbidden" else []
    advice = f"Did you mean {near[0]}?" if near else "Correct that value"
    return DaedalError(f"{where}: {field}: {message} (got {shown})", advice)
