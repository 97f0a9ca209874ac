"""What an answer must look like, as a constraint for the engine: a form of JSON, calls of tools, or either of them."""

import json
from collections.abc import Mapping
from typing import Any

from daedal.inference.json_form import closed, one_way, unenforceable
from daedal.serving.errors import ApiError
from daedal.serving.tools import CALL, END_OF_CALL, NO_ARGUMENTS, Function, Toolbox

_LONGEST = 400_000
"""Characters of a grammar."""


def constraint(tools: Toolbox, form: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The wire's constraint; None: anything may be written.

    Args:
        form: `{"kind": "json_object"}` or `{"kind": "json_schema", "schema": ...}` that words must have.

    Raises:
        ApiError: the tools are too large together, or a strict one asks for what cannot be enforced.
    """
    if tools.mode == "none":
        return dict(form) if form is not None else None
    grammar = _grammar(tools, form)
    if len(grammar) > _LONGEST:
        message = f"The tools' schemas have more than {_LONGEST:,} characters together"
        raise ApiError(400, message, param="tools", code="invalid_value")
    return {"kind": "lark", "grammar": grammar, "hidden": CALL}


def _grammar(tools: Toolbox, form: Mapping[str, Any] | None) -> str:
    mark = json.dumps(CALL)
    again = f' ("\\n" {mark} call)*' if tools.several else ""
    lines = ["%llguidance {}"]
    if tools.mode == "required":
        lines.append(f"start: {mark} call{again}")
    elif form is not None:
        lines.append(f"start: words | {mark} call{again}")
        lines.append(f"words: %json {one_way({'type': 'object'} if form['kind'] == 'json_object' else form['schema'])}")
    else:
        lines.append(f"start: WORDS | before call{again}")
        lines.append(rf"WORDS: /(.|\n)*/ & ~/(.|\n)*{CALL}(.|\n)*/")
        lines.append(rf"before[lazy]: /(.|\n)*/ {mark}")
    called = tools.called
    lines.append("call: " + " | ".join(f"call{number}" for number in range(len(called))))
    lines.extend(_call(number, function) for number, function in enumerate(called))
    return "\n".join(lines) + "\n"


def _call(number: int, function: Function) -> str:
    before, after = f'\n{{"name": "{function.name}", "arguments": ', f"}}\n{END_OF_CALL}"
    return f"call{number}: {json.dumps(before)} %json {_arguments(function)} {json.dumps(after)}"


def _arguments(function: Function) -> str:
    schema = _object(function.parameters)
    if not function.strict:
        return one_way(schema, loose=True)
    if in_vain := next(unenforceable(schema), None):
        said = f"The tool {function.name!r} is strict, and its schema's {in_vain} cannot be enforced"
        raise ApiError(400, f"{said}; leave it out, or strict", param="tools", code="invalid_function_parameters")
    return one_way(closed(schema))


def _object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Arguments are an object, whether or not the schema says so."""
    return {**(schema or NO_ARGUMENTS), "type": "object"}
