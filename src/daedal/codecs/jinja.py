"""Jinja for templates that come from elsewhere, with a downloaded model or a task: its immutable sandbox, bounded."""

from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MAX_REPEAT = 10**6


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which `"a" * 10**9` and `9 ** 10**9` are refused too."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) if isinstance(side, Sequence) else abs(side) for side in (left, right)]
        if (operator == "**" and max(sizes) > 1000) or (operator == "*" and sizes[0] * sizes[1] > _MAX_REPEAT):
            raise SecurityError(f"{operator} with operands this large")
        return super().call_binop(context, operator, left, right)
