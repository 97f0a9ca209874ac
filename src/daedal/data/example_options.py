"""What a build of examples with columns may be asked for; kinds add to it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from daedal.data.options import CodecKind, CommonOptions, MaskKind


class ExampleOptions(CommonOptions):
    """The options of all kinds of examples with columns; each has a default. Those of the same names mean what they mean for
    text: see `daedal.data.options.TextOptions`.

    Attributes:
        column: which column of the source is which of an example, as `text=review`; guessed, and told, where not given.
    """

    column: tuple[str, ...] = ()
    codec: CodecKind = "auto"
    vocab_size: int | None = Field(default=None, ge=258, le=1_000_000)
    tokenizer: str | None = None
    encoding: str | None = Field(default=None, min_length=1)
    mend: bool = True
    unicode: Literal["keep", "NFC", "NFKC"] = "keep"
    similarity: float = Field(default=0.8, ge=0.5, le=1.0)
    mask: tuple[MaskKind, ...] = ()
    codec_sample_mb: float = Field(default=16.0, gt=0)

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        for each in self.column:
            name, equals, source = each.partition("=")
            if not (name and equals and source):
                raise ValueError(f"write it as text=review, not {each!r}")
        return self

    @model_validator(mode="after")
    def _codec_is_chosen_once(self) -> Self:
        if self.tokenizer is not None and (self.codec != "auto" or self.vocab_size is not None):
            raise ValueError("a tokenizer that is given already has its kind and vocabulary")
        return self

    @property
    def columns(self) -> dict[str, str]:
        """The column of the source that each named column of an example is."""
        return {name: source for name, _, source in (each.partition("=") for each in self.column)}
