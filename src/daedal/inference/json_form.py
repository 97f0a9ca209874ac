"""How JSON is written in a text that must match a schema. Imports no PyTorch."""

import json
from collections.abc import Mapping
from typing import Any

_ONE_WAY = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As models write it themselves: where whitespace is free, a small one may write nothing else for ever."""


def one_way(schema: Mapping[str, Any], *, loose: bool = False) -> str:
    """A schema as llguidance takes it, and by which there is one way to write JSON, whatever it says itself.

    Args:
        loose: a `oneOf` whose schemas one text may fit together is taken for `anyOf`, and not refused.
    """
    rules = {name: rule for name, rule in schema.items() if name != "x-guidance"}
    return json.dumps({"x-guidance": {**_ONE_WAY, "coerce_one_of": loose}, **rules})
