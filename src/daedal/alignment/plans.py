"""The plans of alignment: what is learned of preferences, and what of a reward."""

from typing import Literal

from pydantic import Field

from daedal.training.chat_plan import LoRAPlan
from daedal.training.row_plan import RowPlan


class AlignmentPlan(LoRAPlan, RowPlan):
    """Of a GPT that is aligned. Dropout would make what was written unlikely for no reason: there is none."""

    derived = RowPlan.derived | {"vocab_size", "width", "depth", "heads", "mlp_width", "dropout"}

    beta: float = Field(ge=0, le=100, description="what a nat costs that the model is away from where it began")

    @property
    def unit(self) -> str:
        return "answers"

    @property
    def seen_per_step(self) -> int:
        return self.batch

    def of_model(self) -> str:
        return f"a gpt by {self.family}, {self.depth} layers of width {self.width}{self.of_lora()}"


class DPOPlan(AlignmentPlan):
    """By direct preference optimisation."""

    family: Literal["dpo"] = Field("dpo", description="by which method")
    kind: str = Field("preferences", description="the kind of example that is learned")
    beta: float = Field(gt=0, le=100, description="what a nat costs that the model is away from where it began")
    form: Literal["dpo", "ipo"] = Field("dpo", description="ipo: a margin that is wanted, in place of one that grows")
    smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of the pairs that are taken to be the wrong way round"
    )

    @property
    def unit(self) -> str:
        return "pairs"

    def of_batch(self) -> str:
        return f"{self.batch} pairs of {self.length:.0f} tokens"


class KTOPlan(AlignmentPlan):
    """By KTO."""

    family: Literal["kto"] = Field("kto", description="by which method")
    kind: str = Field("preferences", description="the kind of example that is learned")
    beta: float = Field(gt=0, le=100, description="what a nat costs that the model is away from where it began")

    def of_batch(self) -> str:
        return f"{self.batch} answers of {self.length:.0f} tokens"


class OnlinePlan(AlignmentPlan):
    """Of a GPT that learns from the answers that it gives."""

    reward: str = Field(
        description="what an answer is worth: a run of daedal train reward, rule:NAME, or module:function"
    )
    gold: str | None = Field(
        None, description="a second reward that is watched and not learned: where it falls, the first is exploited"
    )
    answer: int = Field(ge=1, le=2**20, description="tokens of an answer, at most")
    samples: int = Field(ge=1, le=2**12, description="answers to each prompt")
    rollout: int = Field(ge=1, le=2**20, description="answers that are given before they are learned from")
    passes: int = Field(1, ge=1, le=100, description="times that they are learned from")
    kl_target: float | None = Field(
        None, gt=0, description="nats an answer that the model is to go away; beta follows. None leaves beta as it is"
    )
    held_prompts: int = Field(64, ge=1, le=2**16, description="held-out prompts that are answered at each validation")

    def of_batch(self) -> str:
        return f"{self.batch} answers of {self.rollout}, {self.samples} to a prompt, at most {self.answer} tokens"

    @property
    def steps_per_rollout(self) -> int:
        """Steps that a rollout is learned from."""
        return self.passes * self.rollout // self.batch


class GRPOPlan(OnlinePlan):
    """By group relative policy optimisation."""

    family: Literal["grpo"] = Field("grpo", description="by which method")
    samples: int = Field(ge=2, le=2**12, description="answers to each prompt, which are compared with one another")
    baseline: Literal["group", "rloo", "mean"] = Field(
        "group",
        description="what an answer is compared with: the others of its group, in deviations, or left out itself",
    )
    below: float = Field(0.2, ge=0, lt=1, description="how far a token's ratio may fall before it is clipped")
    above: float = Field(0.28, ge=0, le=100, description="how far it may rise")


class PPOPlan(OnlinePlan):
    """By proximal policy optimisation."""

    family: Literal["ppo"] = Field("ppo", description="by which method")
    clipping: float = Field(0.2, gt=0, le=1, description="how far ratios and values may move before they are clipped")
    gamma: float = Field(1.0, gt=0, le=1, description="what a reward is worth a token earlier")
    decay: float = Field(0.95, ge=0, le=1, description="lambda of the generalised advantages")
    value_share: float = Field(0.1, ge=0, le=100, description="weight of the value's loss")


class SlatePlan(RowPlan):
    """Of a recommender, by DPO over slates."""

    derived = RowPlan.derived | {"vocab_size", "width", "depth", "heads", "mlp_width", "context", "left_out"}

    family: Literal["dpo"] = Field("dpo", description="by which method")
    kind: str = Field("histories", description="the kind of example that is learned")
    beta: float = Field(gt=0, le=100, description="what a nat costs that the model is away from where it began")
    slate: int = Field(4, ge=1, le=1000, description="items of a slate that were not liked, at most")
    left_out: int = Field(2, ge=0, le=2, description="items at the end of a history that are held out")

    @property
    def unit(self) -> str:
        return "slates"

    @property
    def seen_per_step(self) -> int:
        return self.batch

    def of_model(self) -> str:
        return f"a recommender by dpo, {self.depth} layers of width {self.width}"

    def of_batch(self) -> str:
        return f"{self.batch} slates of {self.slate + 1} items"
