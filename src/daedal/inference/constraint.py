"""Texts that must match a JSON schema, a regular expression or a grammar: at every place, which tokens may come.

By llguidance, an Earley parser over the bytes of tokens (github.com/guidance-ai/llguidance): tens of microseconds a token.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from torch import Tensor

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

Kind = Literal["json_object", "json_schema", "regex", "lark"]

_JSON = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""One way to write JSON: where whitespace is free, a small model may write nothing else for ever."""


class Constraint:
    """What one text must match, and how far it has come."""

    def __init__(self, matcher: LLMatcher, vocab: int) -> None:
        self._matcher, self._vocab = matcher, vocab

    @property
    def complete(self) -> bool:
        """Whether nothing more may come."""
        return bool(self._matcher.is_stopped())

    def mask(self) -> Bool[Tensor, " vocab"]:
        """The tokens that may come next.

        Raises:
            DaedalError: the grammar turned out to take too much work.
        """
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        return torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocab].astype(np.bool_))

    def add(self, id: int) -> None:
        """The token that came."""
        self._matcher.consume_token(id)
        self._check()

    def forced(self) -> list[int]:
        """Tokens of which it is certain that they come next."""
        return list(self._matcher.compute_ff_tokens())

    def copy(self) -> "Constraint":
        return Constraint(self._matcher.deep_copy(), self._vocab)

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _refused(self._matcher.get_error())


class ConstraintCompiler:
    """Makes constraints for texts of one codec.

    Args:
        vocab: of the model: not less than the codec's.
        stop_ids: tokens that end a text.
    """

    def __init__(self, codec: TextCodec, vocab: int, stop_ids: Sequence[int]) -> None:
        self._codec, self._vocab, self._stop_ids = codec, vocab, tuple(stop_ids)

    def compile(self, kind: Kind, value: str | Mapping[str, Any] | None = None) -> Constraint:
        """
        Args:
            value: the schema, the pattern or the Lark grammar; nothing for "json_object".

        Raises:
            DaedalError: it is not valid, says something that cannot be enforced, or is too large.
        """
        try:
            grammar = self._grammar(kind, value)
        except (ValueError, TypeError, RecursionError) as error:
            raise _refused(str(error)) from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        return Constraint(matcher, self._vocab)

    def _grammar(self, kind: Kind, value: str | Mapping[str, Any] | None) -> str:
        if kind == "json_object":
            return LLMatcher.grammar_from_json_schema({"type": "object"}, overrides=_JSON)  # type: ignore[arg-type]
        if kind == "json_schema":
            schema = json.dumps({name: rule for name, rule in dict(value or {}).items() if name != "x-guidance"})  # type: ignore[arg-type]
            return LLMatcher.grammar_from_json_schema(schema, overrides=_JSON)  # type: ignore[arg-type]
        if kind == "regex":
            return LLMatcher.grammar_from_regex(str(value))
        if kind == "lark":
            return LLMatcher.grammar_from_lark(str(value))
        raise DaedalError(f"There is no constraint {kind!r}", "Use json_object, json_schema, regex or lark")

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        if not self._stop_ids:
            raise DaedalError(
                "This model has no token that ends a text, so none can be constrained", "Use another model"
            )
        return LLTokenizer(
            TokenizerWrapper(_Vocabulary(self._codec, self._vocab, self._stop_ids)),
            n_vocab=self._vocab,
            eos_token=list(self._stop_ids),
        )

    @cached_property
    def _limits(self) -> LLParserLimits:
        # Below the library's own: a schema of a thousand fields passes, and no step takes a tenth of a second
        return LLParserLimits(
            initial_lexer_fuel=1_000_000, max_lexer_states=50_000, max_grammar_size=100_000, verbose_errors=False
        )


class _Vocabulary:
    """A codec as llguidance's wrapper asks for it."""

    def __init__(self, codec: TextCodec, vocab: int, stop_ids: Sequence[int]) -> None:
        self._codec = codec
        self.tokens = [codec.token_bytes(id) for id in range(vocab)]
        self.eos_token_id, self.bos_token_id = stop_ids[0], codec.bos_id
        self.special_token_ids = sorted({*codec.special_ids, *stop_ids})

    def __call__(self, text: bytes | str) -> list[int]:
        return self._codec.encode(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _refused(reason: str) -> DaedalError:
    line = " ".join(reason.split())[:200]
    return DaedalError(
        f"The text cannot be constrained so: {line}", "Correct or simplify the schema, pattern or grammar"
    )
