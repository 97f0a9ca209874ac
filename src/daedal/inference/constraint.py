"""Texts that must match a JSON schema, a regular expression or a grammar: at every place, which tokens may come.

By llguidance, an Earley parser over the bytes of tokens (github.com/guidance-ai/llguidance): tens of microseconds a token.
"""

import time
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
from daedal.inference.enforced_schema import EnforcedSchema, one_way
from daedal.inference.joined_schema import is_too_large

Kind = Literal["json_object", "json_schema", "regex", "lark"]

_START, _STEP = 1.0, 0.02
"""Seconds of work that a text may take for its constraint, and more for each of its tokens: others wait meanwhile."""
_TOO_MUCH = "it takes too much work to find out what may come"
_PLAINLY = {
    "TooComplex": _TOO_MUCH,
    "too many expressions": _TOO_MUCH,
    "NoExtension": "no text can match it: it leads back to itself without an end, or rules everything out",
    "oneOf constraints": "oneOf can be enforced only where no text fits two of its schemas; anyOf can",
    "Default retriever": "it refers to another document, and none is ever fetched",
}
"""What llguidance means where its own words tell a client nothing."""


class Unconstrainable(DaedalError):
    """What a text must match is not valid, cannot be enforced, or takes too much work."""


class Constraint:
    """What one text must match, and how far it has come."""

    def __init__(self, matcher: LLMatcher, vocab: int) -> None:
        self._matcher, self._vocab = matcher, vocab
        self._left = _START

    @property
    def complete(self) -> bool:
        """Whether nothing more may come."""
        return bool(self._matcher.is_stopped())

    def mask(self) -> Bool[Tensor, " vocab"]:
        """The tokens that may come next.

        Raises:
            Unconstrainable: nothing can match, or the grammar turned out to take too much work.
        """
        began = time.thread_time()
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._check()
        self._left += _STEP - (time.thread_time() - began)
        if self._left < 0:
            raise _refused(_TOO_MUCH)
        return torch.from_numpy(np.unpackbits(bits, bitorder="little")[: self._vocab].astype(np.bool_))

    def add(self, id: int) -> None:
        """The token that came."""
        self._matcher.consume_token(id)
        self._check()

    def forced(self) -> list[int]:
        """Tokens of which it is certain that they come next."""
        return list(self._matcher.compute_ff_tokens())

    def copy(self) -> "Constraint":
        copied = Constraint(self._matcher.deep_copy(), self._vocab)
        copied._left = self._left
        return copied

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
            Unconstrainable: it is not valid, says something that cannot be enforced, or is too large.
        """
        try:
            grammar = self._grammar(kind, value)
        except (ValueError, TypeError, RecursionError) as error:
            raise _refused(str(error)) from None
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=self._limits)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        constraint = Constraint(matcher, self._vocab)
        self._try(constraint)
        return constraint

    def _try(self, constraint: Constraint) -> None:
        """What nothing can match, or takes too much work, is known before anything is written: it shows with the first token
        or, where the fuel ran out on the way to that, with the second."""
        may = constraint.mask()
        may[list(self._stop_ids)] = False
        if may.any():
            tried = constraint.copy()
            tried.add(int(may.int().argmax()))
            tried.mask()

    def _grammar(self, kind: Kind, value: str | Mapping[str, Any] | None) -> str:
        if kind == "json_object":
            return LLMatcher.grammar_from_json_schema(one_way({"type": "object"}))
        if kind == "json_schema":
            made = EnforcedSchema.of(dict(value or {}))  # type: ignore[arg-type]
            if made.beyond:
                raise ValueError(f"this in the schema cannot be enforced: {', '.join(made.beyond)}")
            if is_too_large(made.schema):
                raise ValueError(_TOO_MUCH)
            return LLMatcher.grammar_from_json_schema(one_way(made.schema))
        if kind == "regex":
            return LLMatcher.grammar_from_regex(str(value))
        if kind == "lark":
            return LLMatcher.grammar_from_lark(str(value))
        raise DaedalError(f"There is no constraint {kind!r}", "Use json_object, json_schema, regex or lark")

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        if not self._stop_ids:
            raise Unconstrainable(
                "This model has no token that ends a text, so none can be constrained", "Use another model"
            )
        return LLTokenizer(
            TokenizerWrapper(_Vocabulary(self._codec, self._vocab, self._stop_ids)),
            n_vocab=self._vocab,
            eos_token=list(self._stop_ids),
        )

    @cached_property
    def _limits(self) -> LLParserLimits:
        # While it works the interpreter waits, so a step is short: at most a tenth of a second or so. A schema of two
        # thousand fields passes: each of them is four items in a row
        return LLParserLimits(
            initial_lexer_fuel=200_000,
            max_lexer_states=50_000,
            max_grammar_size=100_000,
            max_items_in_row=10_000,
            step_max_items=10_000,
            verbose_errors=False,
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


def _refused(reason: str) -> Unconstrainable:
    plainly = (plain for said, plain in _PLAINLY.items() if said in reason)
    line = next(plainly, " ".join(reason.split())[:200])
    return Unconstrainable(
        f"The text cannot be constrained so: {line}", "Correct or simplify the schema, pattern or grammar"
    )
