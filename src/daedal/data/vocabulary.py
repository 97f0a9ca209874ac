"""The codec of a build: given, or learned from the train split alone, whose size says which suits it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

# Train bytes below which each vocabulary is the better one: a larger vocabulary shortens the sequence, but its rarer
# tokens are seen too seldom to be learned.
_VOCABULARIES = ((400_000, 512), (1_500_000, 1024), (20_000_000, 2048), (100_000_000, 4096), (1_000_000_000, 8192))
_LARGEST = 16384
_BYTES_BELOW = 100_000


def given_tokenizer(path: str) -> "TextCodec":
    """The tokenizer of a folder, to encode with.

    Raises:
        DaedalError: it cannot be used.
    """
    from daedal.codecs.text import TextCodec

    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DaedalError(f"{folder} is not a folder with a tokenizer", "Give a run folder or a model's folder")
    codec = TextCodec.load(folder)
    if codec.eos_id is None:
        raise DaedalError(f"The tokenizer in {folder} has no end-of-text token", "Give another one")
    return codec


def choose_codec(train_bytes: int) -> tuple[Literal["byte", "bpe"], int]:
    """The codec kind and vocabulary size for a train split of `train_bytes` bytes of UTF-8."""
    if train_bytes < _BYTES_BELOW:
        return "byte", 258
    return "bpe", choose_vocabulary(train_bytes)


def choose_vocabulary(train_bytes: int) -> int:
    """The BPE vocabulary size for a train split of `train_bytes` bytes of UTF-8."""
    return next((size for limit, size in _VOCABULARIES if train_bytes < limit), _LARGEST)
