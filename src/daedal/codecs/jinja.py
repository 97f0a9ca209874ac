"""Jinja for templates that come from elsewhere, with a downloaded model or a task: its immutable sandbox, bounded.

Jinja's own sandbox keeps a template from Python, but not from running for ever or filling the memory. Here each rendering has
seconds, which loops and calls look at, and texts and numbers have a size: beyond them it ends with a `SecurityError`.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 5.0
"""What a rendering may take."""
_MAX_REPEAT = 10**6
_MAX_LENGTH = 2**25
_MAX_BITS = 2**14
_WIDE = re.compile(r"%[^%a-zA-Z]*(?:\d{6}|\*)|\{[^{}]*\d{6}")
_EACH, _JOINED = "each in time", "joined"  # no template can write the first, and the second does no harm


class _Timed(Context):
    """A rendering, which ends in time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.deadline = time.monotonic() + SECONDS

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise SecurityError(f"it takes more than {SECONDS:g} seconds")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which `"a" * 10**9`, `9 ** 10**9` and loops without end are refused too."""

    context_class = _Timed
    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.globals.pop("lipsum", None)
        self.filters[_EACH], self.filters[_JOINED] = _each, _joined
        for name in ("center", "indent", "format", "wordwrap", "batch", "slice", "round"):
            self.filters[name] = _bounded(self.filters[name])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        texts = [side for side in (left, right) if isinstance(side, Sequence)]
        whole = [abs(side) for side in (left, right) if isinstance(side, int)]
        match operator:
            case "**":
                refused = any(abs(side) > 1000 for side in (left, right))
            case "*" if texts:
                refused = bool(whole) and len(texts[0]) * whole[0] > _MAX_REPEAT
            case "%":
                refused = isinstance(left, str) and _WIDE.search(left) is not None
            case "+":
                refused = sum(map(len, texts)) > _MAX_LENGTH
            case _:
                refused = sum(side.bit_length() for side in whole) > _MAX_BITS
        if refused:
            raise SecurityError(f"{operator} with operands this large")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, as Jinja names them
        __context.check()
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            _check_size(owner, *args, *kwargs.values())
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        made, text = wrapped, value.__self__

        def bounded(*args: Any, **kwargs: Any) -> str:
            _check_size(text, *args, *kwargs.values())
            return made(*args, **kwargs)

        return bounded

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, _EACH, [], [], None, None, lineno=loop.lineno)
        for parent in [tree, *tree.find_all(nodes.Node)]:
            for field, value in parent.iter_fields():
                if isinstance(value, list):
                    value[:] = [_counted(each) for each in value]
                else:
                    setattr(parent, field, _counted(value))
        tree.set_environment(self)
        return tree


def _counted(node: Any) -> Any:
    """`a ~ b` as a filter that knows its size."""
    if not isinstance(node, nodes.Concat):
        return node
    return nodes.Filter(nodes.List(node.nodes, lineno=node.lineno), _JOINED, [], [], None, None, lineno=node.lineno)


@pass_context
def _each(context: Any, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        context.check()
        yield value


def _joined(values: Sequence[Any]) -> str:
    texts = [str(each) for each in values]
    if sum(map(len, texts)) > _MAX_LENGTH:
        raise SecurityError("a text this long")
    return "".join(texts)


def _bounded(filtered: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes no large number."""

    def bounded(*arguments: Any, **named: Any) -> Any:
        _check_size(*arguments, *named.values())
        return filtered(*arguments, **named)

    for mark in ("jinja_pass_arg", "jinja_async_variant"):
        if hasattr(filtered, mark):
            setattr(bounded, mark, getattr(filtered, mark))
    return bounded


def _check_size(text: Any, *values: Any) -> None:
    """Refuse widths and counts that no text has."""
    if any(isinstance(each, int) and abs(each) > _MAX_REPEAT for each in values) or (
        values and isinstance(text, str) and _WIDE.search(text)
    ):
        raise SecurityError("a number this large")
