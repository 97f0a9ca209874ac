"""Log-probabilities of tokens, as each endpoint writes them.

A token is a run of bytes and need not be whole characters: `bytes` has it exactly, and `token` as well as text can. A special
token adds nothing to the text: it has no bytes, and the wire has its name in their place.
"""

from collections.abc import Sequence
from typing import Any

IMPOSSIBLE = -9999.0
"""In place of minus infinity, which JSON does not have."""

Token = dict[str, Any]
Spelling = list[int] | str


def chat_logprobs(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """As chat completions and responses have them."""
    return [
        {
            **_entry(token["bytes"], token["logprob"]),
            "top_logprobs": [_entry(spelling, logprob) for _, spelling, logprob in token["top"]],
        }
        for token in tokens
    ]


def _entry(spelling: Spelling, logprob: float | None) -> dict[str, Any]:
    text = spelling if isinstance(spelling, str) else bytes(spelling).decode("utf-8", "replace")
    return {"token": text, "logprob": _known(logprob), "bytes": _written(spelling)}


class CompletionLogprobs:
    """As text completions have them, with the place of each token in the text.

    Args:
        offset: characters of the text before the first token.
        top: how many likely tokens were asked for.
    """

    def __init__(self, top: int, offset: int = 0) -> None:
        self._top, self._offset = top, offset

    def add(self, tokens: Sequence[Token], first_unknown: bool = False) -> dict[str, Any]:
        """The next tokens.

        Args:
            first_unknown: the first of them begins a text, so nothing predicted it.
        """
        columns: dict[str, list[Any]] = {"text_offset": [], "token_logprobs": [], "tokens": [], "top_logprobs": []}
        for place, token in enumerate(tokens):
            written = _written(token["bytes"])
            inside = bool(written) and written[0] & 0xC0 == 0x80  # goes on with the character before
            columns["text_offset"].append(max(0, self._offset - inside))
            self._offset += _characters(written)
            columns["tokens"].append(_spelled(token["bytes"]))
            unknown = first_unknown and place == 0
            columns["token_logprobs"].append(None if unknown else _known(token["logprob"]))
            columns["top_logprobs"].append(None if unknown else self._likely(token))
        return columns

    def _likely(self, token: Token) -> dict[str, float]:
        """The likely tokens, of which the first stands where two are spelled alike, and the chosen one."""
        likely: dict[str, float] = {}
        for _, spelling, logprob in token["top"][: self._top]:
            likely.setdefault(_spelled(spelling), _known(logprob))
        likely.setdefault(_spelled(token["bytes"]), _known(token["logprob"]))
        return likely


def echoed(tokens: Sequence[Token], top: int, characters: int) -> dict[str, Any]:
    """Those of a prompt.

    Args:
        characters: of its text. Some codecs put a space before the first word, which the text does not have.
    """
    more = sum(_characters(_written(token["bytes"])) for token in tokens) - characters
    return CompletionLogprobs(top, -more).add(tokens, first_unknown=True)


def _known(logprob: float | None) -> float:
    return IMPOSSIBLE if logprob is None else logprob


def _written(spelling: Spelling) -> list[int]:
    """The bytes that a token adds to the text."""
    return [] if isinstance(spelling, str) else spelling


def _characters(written: Sequence[int]) -> int:
    return sum(byte & 0xC0 != 0x80 for byte in written)


def _spelled(spelling: Spelling) -> str:
    """Text; `bytes:` and the bytes where they are not whole characters, so that no two tokens are spelled alike."""
    if isinstance(spelling, str):
        return spelling
    try:
        return bytes(spelling).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelling)
