"""What a data build may be asked for: one frozen configuration, kept in the manifest of what it built."""

from typing import Literal, Self

from pydantic import Field, model_validator

from daedal.config import Config

CodecKind = Literal["auto", "byte", "char", "bpe"]
MaskKind = Literal["key", "personal", "email", "phone", "ip", "iban", "card", "id", "address"]
MASK_KINDS: tuple[MaskKind, ...] = ("key", "personal")
"""Everything that can be masked."""
SPLITS = ("train", "validation", "test")
DEFAULT_SHARES = (90.0, 5.0, 5.0)


class CommonOptions(Config):
    """The options that a build of text and one of pictures share.

    Attributes:
        split: shares of train, validation and test, in any unit (90,5,5 by default).
        validation: sources that are the validation split, as they are; or a pattern of names of files that are it.
        test: sources that are the test split, as they are; or a pattern of names of files that are it, as '*_[0-4].wav'.
        exact_duplicates: keep only one of the documents, or pictures, that are exactly the same.
        near_duplicates: `drop` all but one of those that nearly agree, `keep` them together in one split, or do
            not look for them (`off`).
        licence: the licence of the sources, as SPDX writes it, where they do not say it themselves.
        opt_out: a file of SHA-256 hashes and names of files, addresses and hosts, a line each, that are left out.
        seed: of the hash that draws documents or pictures into splits.
    """

    split: tuple[float, float, float] | None = None
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    exact_duplicates: bool = True
    near_duplicates: Literal["drop", "keep", "off"] = "drop"
    licence: str | None = None
    opt_out: str | None = Field(default=None, min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _shares_make_sense(self) -> Self:
        if self.split is not None and (min(self.split) < 0 or self.split[0] <= 0):
            raise ValueError("shares are not negative, and some of it must be for training")
        return self

    def files(self) -> tuple[str | None, ...]:
        """Files that the options name: when one changes, what is asked for is something else."""
        return ()


class TextOptions(Config):
    """The options that only text has.

    Attributes:
        codec: how text becomes tokens; `auto` chooses from the size of the train split.
        vocab_size: tokens in the vocabulary of a BPE codec; chosen from the size of the train split where not given.
        tokenizer: a folder or run folder whose tokenizer is used as it is, in place of training one (to fine-tune a model).
        document: what a document is: a whole `file` (a row, where files have rows), or a `line` or `paragraph` of it.
        field: the column that holds the text in JSON Lines, CSV, TSV and Parquet; guessed, and told, where not given.
        encoding: the character encoding of every file; detected file by file where not given.
        split_by: `content` draws each document by a hash of what it says; `order` cuts all text in its order;
            `auto` is `content` unless there are too few documents for that (a single text is always cut in order).
        mend: undo wrong decodings ("cafÃ©") in text that is not source code.
        unicode: the Unicode normal form that text is brought to; `keep` leaves every character as it was.
        quality: rules that drop documents of poor quality; `auto` is `mild` for prose in corpora over 20 MB, else `off`.
        min_characters: documents with fewer characters that are not white space are dropped.
        similarity: the share of word five-grams (Jaccard) from which two documents nearly agree.
        mask: what to replace by its kind, as `<email>`: `key` secrets of all sorts; `personal` all personal data, or of it
            `email`, `phone`, `ip`, `iban`, `card`, `id` (numbers of people) and `address` (of a house).
        canaries: so many random secrets are planted in the train split, each 1 to 16 times, so that `daedal audit` can tell
            what a model of it learned by heart.
        codec_sample_mb: at most so much of the train split, in megabytes, is read to train a codec.
    """

    codec: CodecKind = "auto"
    vocab_size: int | None = Field(default=None, ge=258, le=1_000_000)
    tokenizer: str | None = None
    document: Literal["file", "line", "paragraph"] = "file"
    field: str | None = Field(default=None, min_length=1)
    encoding: str | None = Field(default=None, min_length=1)
    split_by: Literal["auto", "content", "order"] = "auto"
    mend: bool = True
    unicode: Literal["keep", "NFC", "NFKC"] = "keep"
    quality: Literal["auto", "off", "mild", "gopher", "c4"] = "auto"
    min_characters: int = Field(default=1, ge=1)
    similarity: float = Field(default=0.8, ge=0.5, le=1.0)
    mask: tuple[MaskKind, ...] = ()
    canaries: int = Field(default=0, ge=0, le=10_000)
    codec_sample_mb: float = Field(default=16.0, gt=0)

    @model_validator(mode="after")
    def _codec_is_chosen_once(self) -> Self:
        if self.tokenizer is not None and (self.codec != "auto" or self.vocab_size is not None):
            raise ValueError("a tokenizer that is given already has its kind and vocabulary")
        if self.vocab_size is not None and self.codec == "byte":
            raise ValueError("a byte codec always has 258 tokens")
        return self


class BuildOptions(CommonOptions, TextOptions):
    """The options of `daedal.data.build`; every one has a default that suits a folder of text.

    Those of `CommonOptions` are shared with builds of pictures, those of `TextOptions` are its own.
    """
