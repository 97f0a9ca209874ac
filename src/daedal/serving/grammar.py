"""What an answer must look like, as a constraint for the engine: a form of JSON, calls of tools, or either of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from daedal.inference.enforced_schema import EnforcedSchema, one_way
from daedal.serving.errors import ApiError
from daedal.serving.tools import CALL, END_OF_CALL, Function, Toolbox

_LONGEST = 400_000
"""Characters of a grammar."""
_TOLD = 5
"""Places in a schema that a message names."""


def constraint(tools: Toolbox, form: Mapping[str, Any] | None, param: str = "response_format") -> dict[str, Any] | None:
    """The wire's constraint; None: anything may be written.

    `hidden` is the text with which begins what stop texts must not cut: a call, or, where it is empty, all of a JSON answer.
    `tools` has the schema of each, so that one that the engine refuses can be named.

    Args:
        form: `{"kind": "json_object"}` or `{"kind": "json_schema", "schema": ...}` that words must have; with `strict`,
            objects in it are closed.
        param: the field that asks for the form.

    Raises:
        ApiError: the tools are too large together, or a schema that must be enforced cannot be.
    """
    if form is not None and form["kind"] == "json_schema":
        form = {"kind": form["kind"], "schema": _form(form, param).schema}
    if tools.mode == "none":
        return {**form, "hidden": ""} if form is not None else None
    for function in tools.functions:
        if function.strict and function.enforced.beyond:
            said = f"The tool {function.name!r} is strict, and {_cannot(function.enforced.beyond)}"
            raise ApiError(400, f"{said}; or leave out strict", param="tools", code="invalid_constraint")
    grammar = _grammar(tools, form)
    if len(grammar) > _LONGEST:
        message = f"The tools' schemas have more than {_LONGEST:,} characters together"
        raise ApiError(400, message, param="tools", code="invalid_value")
    called = {function.name: _arguments(function) for function in tools.called}
    return {"kind": "lark", "grammar": grammar, "hidden": CALL if form is None else "", "tools": called}


def left_out(
    tools: Toolbox, form: Mapping[str, Any] | None, stops: Sequence[str] = (), param: str = "response_format"
) -> list[str]:
    """What is asked for and not done: where schemas say what is not enforced, as "tools.mail.properties.to.format", and stop
    texts of an answer that is JSON."""
    places = [
        f"tools.{function.name}.{place}"
        for function in tools.functions
        for place in (*function.enforced.formats, *function.enforced.beyond)
    ]
    if form is not None and form["kind"] == "json_schema":
        places += [f"{param}.{place}" for place in _form(form, param).formats]
    return [*places, *(["stop"] if form is not None and stops else [])]


def _form(form: Mapping[str, Any], param: str) -> EnforcedSchema:
    made = EnforcedSchema.of(form["schema"] or {}, closed=bool(form.get("strict")))
    if made.beyond:
        message = f"An answer always follows its schema, and {_cannot(made.beyond)}"
        raise ApiError(400, message, param=param, code="invalid_constraint")
    return made


def _cannot(places: Sequence[str]) -> str:
    said = f"{', '.join(places[:_TOLD])}{f' and {len(places) - _TOLD} more' if len(places) > _TOLD else ''}"
    return f"this in its schema cannot be enforced: {said}. Leave it out"


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
    return one_way(function.enforced.schema, loose=not function.strict)
