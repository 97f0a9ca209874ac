"""Special tokens under names that nobody can guess: so a text may spell out `<|im_end|>` and not end a turn.

- a normalizer makes `<` of `＜`, and what is special may be matched after it: only a mark is special here
- a vocabulary such as Unigram's holds `</s>` as a piece of its own: what is read so from a text is written in characters
"""

import json
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
    def exact(self) -> bool:
        """Whether a tokenizer that heeds special tokens finds them only where a text has them character by character."""
        return not any(token.normalized for token in self._special.values())

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
        return [of for id in encoded for of in ([ids[id]] if id in ids else self._harmless.get(id, [id]))]

    @cached_property
    def _harmless(self) -> dict[int, list[int]]:
        """By special token: the ids of its characters, for where the vocabulary finds the token itself in a text. What stands
        for unknown characters stays."""
        tokenizer, _ = self._tokenizer
        model = json.loads(tokenizer.to_str())["model"]
        unknown = {model.get("unk_id"), tokenizer.token_to_id(model.get("unk_token") or "")}
        found = {}
        for id, token in self._special.items():
            if id not in unknown:
                letters = (self._letter(tokenizer, letter) for letter in token.content)
                found[id] = [each for ids in letters for each in ids if each not in self._special or each in unknown]
        return found

    @staticmethod
    def _letter(tokenizer: Tokenizer, letter: str) -> list[int]:
        id = tokenizer.token_to_id(letter)
        ids: list[int] = [id] if id is not None else tokenizer.encode(letter, add_special_tokens=False).ids
        return ids

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(content[:end] for content in self.contents for end in range(1, len(content)))

    @cached_property
    def _tokenizer(self) -> tuple[Tokenizer, dict[int, int]]:
        """A tokenizer that reads marks, and the special token of each id that it gives them."""
        state = json.loads(self._plain.to_str())
        for token in state["added_tokens"]:  # else those that only a template makes special would be found in texts
            token["special"] = token["special"] or token["id"] in self._special
        tokenizer = Tokenizer.from_str(json.dumps(state))
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
