"""What the engine keeps of texts that were read before: keys and values of blocks of tokens, found by what they say.

A block is known by its tokens and all that came before them (PagedAttention, Kwon et al. 2023), and belongs to its owner:
how long an answer takes tells nobody what somebody else has asked.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from jaxtyping import Float
from torch import Tensor

from daedal.nn.cache import KVCache

BLOCK = 32
"""Tokens of a block."""


class PrefixCache:
    """Blocks of keys and values; the least recently used go first.

    Args:
        limit: bytes of all blocks.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._blocks: OrderedDict[bytes, Float[Tensor, "twice_depth kv_heads block width"]] = OrderedDict()

    def load(self, owner: str, ids: Sequence[int], cache: KVCache, row: int) -> int:
        """Fill the beginning of a row with what is known of `ids`; how many of them it was."""
        length = 0
        for name in _names(owner, ids):
            block = self._blocks.get(name)
            if block is None:
                break
            self._blocks.move_to_end(name)
            cache.write(row, length, block)
            length += BLOCK
        return length

    def save(self, owner: str, ids: Sequence[int], cache: KVCache, row: int) -> None:
        """Keep what a row holds of `ids`, in whole blocks."""
        for number, name in enumerate(_names(owner, ids)):
            if name in self._blocks:
                self._blocks.move_to_end(name)
                continue
            block = cache.read(row, number * BLOCK, (number + 1) * BLOCK)
            if block.nbytes > self.limit:
                return
            self._blocks[name] = block
            self.bytes += block.nbytes
            while self.bytes > self.limit:
                self.bytes -= self._blocks.popitem(last=False)[1].nbytes


def _names(owner: str, ids: Sequence[int]) -> list[bytes]:
    """The name of each whole block: a hash over all before it too."""
    names, digest = [], blake2b(repr(owner).encode(), digest_size=16)
    for start in range(0, len(ids) - BLOCK + 1, BLOCK):
        digest.update(repr(ids[start : start + BLOCK]).encode())
        names.append(digest.digest())
    return names
