"""What the data card of running text says besides: its codec, its tokens, how long documents are, what they are written in."""

from daedal.data.card import Block, Own, counted
from daedal.data.options import SPLITS
from daedal.data.shards import Dataset

_DRAWN = 400  # documents whose languages are looked at, where there are more


def of_stream(dataset: Dataset) -> Own:
    """The facts and blocks of a data folder of text."""
    manifest = dataset.manifest
    rows = tuple(
        (
            name,
            *(f"{number:,}" for number in (each.documents, each.bytes, each.characters, each.tokens)),
            # ends of documents are no characters, so they are no tokens here
            f"{each.characters / max(1, each.tokens - each.documents):.2f}" if each.tokens else "",
        )
        for name, each in ((name, manifest.splits[name]) for name in SPLITS)
    )
    lengths = tuple((f"{int(each.name):,} to {2 * int(each.name) - 1:,}", each.count) for each in manifest.lengths)
    sampled = sum(each.count for each in manifest.languages)
    drawn = ", drawn by hash" if sampled >= _DRAWN else ""
    return Own(
        (("codec", f"{manifest.codec.kind}, {manifest.codec.vocab_size:,} tokens"),),
        (
            Block("Splits", ("split", "documents", "bytes", "characters", "tokens", "characters per token"), rows),
            Block("Length of documents, bytes", bars=lengths),
            *counted("File types, documents", manifest.file_types),
            *counted(f"Languages of {sampled:,} documents{drawn}", manifest.languages),
            *counted("Encodings", manifest.encodings),
            *counted("Mended and masked", manifest.mended),
        ),
    )
