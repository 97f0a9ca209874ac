"""The plans of what learns rows of tokens of any length: a BERT and what is made of one, a translator, and a recommender."""

from typing import Literal

from pydantic import Field

from daedal.training.gpt_plan import CausalPlan, SizePlan, TransformerPlan


class RowPlan(SizePlan):
    """Of rows of any length."""

    derived = SizePlan.derived | {"length"}

    length: float = Field(gt=0, description="tokens of an example, on average")

    @property
    def seen_per_step(self) -> int:
        return max(1, round(self.batch * self.length))

    def of_batch(self) -> str:
        return f"{self.batch} rows of {self.length:.0f} tokens"


class EncoderPlan(RowPlan):
    """Of a Transformer that reads both ways."""

    architecture: Literal["bert", "roberta", "distilbert", "modernbert"] = Field(
        "modernbert", description="the Transformer's parts; all open in Transformers"
    )

    def of_model(self) -> str:
        return f"{self.architecture}{super().of_model().removeprefix(self.family)}"


class BERTPlan(EncoderPlan):
    """Of one that learns to fill in what is hidden."""

    family: Literal["bert"] = Field("bert", description="what kind of model")
    hidden: float = Field(0.4, gt=0, lt=1, description="share of the tokens that are hidden")
    whole_words: bool = Field(False, description="hide whole words, not single tokens")


class HeadPlan(EncoderPlan):
    """Of one that learns something of texts, from nothing or from a model that fills in."""

    pretrain_data: str | None = Field(
        None,
        description="a data folder of text: a bert learns it in the first part of the time, and its body is begun with",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer's learning rate, as a share of that of the layer above it"
    )
    head_first: float = Field(0.0, ge=0, lt=1, description="share of the run in which only the new head learns")


class ClassifierPlan(HeadPlan):
    """Of one that classifies."""

    family: Literal["classifier"] = Field("classifier", description="what kind of model")
    balance: bool = Field(False, description="weigh classes so that rare ones count as much as common ones")
    smoothing: float = Field(0.0, ge=0, lt=1, description="share of a label that is spread over all classes")
    pooling: Literal["first", "mean"] = Field(
        "first", description="what of a text is told apart: its first token, or all"
    )


class TaggerPlan(HeadPlan):
    """Of one that tags words."""

    family: Literal["tagger"] = Field("tagger", description="what kind of model")


class AnswererPlan(HeadPlan):
    """Of one that finds answers."""

    family: Literal["answerer"] = Field("answerer", description="what kind of model")
    stride: int = Field(ge=1, description="tokens from one window of a long text to the next")


class EmbedderPlan(HeadPlan):
    """Of one that makes vectors of texts, which has no head."""

    derived = HeadPlan.derived | {"head_first"}

    family: Literal["embedder"] = Field("embedder", description="what kind of model")


class RewardPlan(RowPlan, TransformerPlan, CausalPlan):
    """Of one that says how good an answer is; an example is a pair of conversations."""

    derived = RowPlan.derived | {"tied"}

    family: Literal["reward"] = Field("reward", description="what kind of model")
    margin: float = Field(
        0.5,
        ge=0,
        lt=100,
        description="by how much rewards are to differ where data say by how much answers do, on average",
    )

    def of_model(self) -> str:
        return f"reward model of a {super().of_model()}"

    def of_batch(self) -> str:
        return f"{self.batch} pairs of {self.length:.0f} tokens"


class TranslatorPlan(RowPlan):
    """Of an encoder and a decoder."""

    family: Literal["translator"] = Field("translator", description="what kind of model")
    architecture: Literal["t5", "marian", "rotary"] = Field(
        "rotary", description="the Transformer's parts; t5 and marian open in Transformers"
    )
    decoder_depth: int = Field(ge=1, le=1024, description="Transformer blocks of the decoder")
    head_width: int = Field(ge=2, le=2**12, description="features of one head")
    tied: bool = Field(True, description="one table for the tokens that are read, written and predicted")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of a target that is spread over all tokens")

    def of_model(self) -> str:
        return f"{self.architecture}{super().of_model().removeprefix(self.family)}, decoder of {self.decoder_depth}"


class RecommenderPlan(RowPlan):
    """Of a GPT over the items of histories."""

    family: Literal["recommender"] = Field("recommender", description="what kind of model")
    kind: str = Field("histories", description="the kind of example that is learned")
    architecture: Literal["gpt2", "qwen3", "swift"] = Field("swift", description="the Transformer's parts")
    negatives: int = Field(
        0, ge=0, le=2**20, description="items drawn for each history, to tell from what follows; 0 for all"
    )
    item_dropout: float = Field(0.0, ge=0, lt=1, description="share of the items of a history hidden in training")
    left_out: int = Field(
        2,
        ge=0,
        le=2,
        description="items at the end of a history that are held out: the last to measure, then to validate",
    )

    def of_model(self) -> str:
        return f"{self.architecture}{super().of_model().removeprefix(self.family)}"

    def of_batch(self) -> str:
        return f"{self.batch} histories of {self.length:.0f} items"

    @property
    def unit(self) -> str:
        return "items"
