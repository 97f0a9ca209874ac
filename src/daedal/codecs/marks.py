"""Special tokens under names that nobody can guess: so a text may spell out `<|im_end|>` and not end a turn."""

import re
import secrets
from collections.abc import Mapping
from functools import cached_property

from tokenizers import AddedToken, Tokenizer


class Marks:
    """The special tokens of a tokenizer, and names for them.

    Args:
        special: by id.

    Attributes:
        contents: the tokens as texts spell them, the longest first.
        marks: the name of each.
    """

    def __init__(self, tokenizer: Tokenizer, special: Mapping[int, AddedToken]) -> None:
        secret = secrets.token_hex(8)
        self._plain, self._special = tokenizer, special
        self.contents = sorted((token.content for token in special.values()), key=len, reverse=True)
        self.marks = {token.content: f"\ue002{secret}{id}\ue003" for id, token in special.items()}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds them in a text."""
        first = "".join(re.escape(content[:1]) for content in dict.fromkeys(each[:1] for each in self.contents))
        return re.compile(f"(?=[{first}])(?:{'|'.join(map(re.escape, self.contents))})" if self.contents else r"(?!)")

    def may_begin(self, text: str) -> bool:
        """Whether a text ends as one of them begins."""
        return any(
            text[-length:] in self._beginnings for length in range(1, len(max(self.contents, key=len, default="")))
        )

    def encode(self, text: str) -> list[int]:
        """The ids of a text, in which a special token is written as its mark, and what spells one out is plain text."""
        tokenizer, ids = self._tokenizer
        encoded: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return [ids.get(id, id) for id in encoded]

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(content[:end] for content in self.contents for end in range(1, len(content)))

    @cached_property
    def _tokenizer(self) -> tuple[Tokenizer, dict[int, int]]:
        """A tokenizer that reads marks, and the special token of each id that it gives them."""
        tokenizer = Tokenizer.from_str(self._plain.to_str())
        tokenizer.encode_special_tokens = True
        names = {id: self.marks[token.content] for id, token in self._special.items()}
        tokenizer.add_tokens(
            [
                AddedToken(
                    names[id], normalized=False, lstrip=token.lstrip, rstrip=token.rstrip, single_word=token.single_word
                )
                for id, token in self._special.items()
            ]
        )
        return tokenizer, {id: of for of, name in names.items() if (id := tokenizer.token_to_id(name)) is not None}
