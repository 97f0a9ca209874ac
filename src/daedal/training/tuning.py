"""A GPT that has learned already, opened to be tuned: by all of its weights, or by a LoRA beside them.

What `--init` names gives the weights, the tokenizer and the way in which conversations are written; a model that brings no chat
template, having learned texts alone, is given one that needs no token which is new to it.
"""

from pathlib import Path
from typing import NamedTuple, Self

import torch

from daedal.codecs.chat import LINES, ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.adapter import Settings, adapt, digest, is_adapter, loras, save_adapter
from daedal.models.checkpoint import describe, load_model, resolve, save_model, weight_files
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.models.identity import Base, identify
from daedal.training.chat_plan import LoRAPlan
from daedal.training.planning import Choice

OF_LORA = 10.0
"""Times the learning rate of all weights that a LoRA has (Schulman et al. 2025, LoRA Without Regret)."""


class Start(NamedTuple):
    """What tuning goes on with.

    Attributes:
        init: what was named.
        folder: where it lies.
        model: in float32.
        template: how it reads conversations.
        habits: what its checkpoint says of its use, with that template.
    """

    init: str
    folder: Path
    model: GPT
    codec: TextCodec
    template: ChatTemplate
    habits: Habits

    @classmethod
    def open(cls, init: str) -> Self:
        """
        Raises:
            DaedalError: there is no such model, or it is no GPT of text; its tokenizer has no end of text.
        """
        folder = resolve(init)
        identity = identify(folder)
        if identity.family != "gpt" or identity.kind not in ("text", "chat"):
            raise DaedalError(
                f"The model in {init} is a {identity.family} that has learned {identity.kind}, not a gpt of text",
                "Start from a run of daedal train gpt, or from an id of the Hugging Face Hub",
            )
        model, codec = load_model(folder, dtype=torch.float32), TextCodec.load(folder)
        assert isinstance(model, GPT)
        if codec.vocab_size > (known := model.config.vocab_size):
            raise DaedalError(
                f"{init}: the tokenizer has {codec.vocab_size} ids, and the weights know {known}",
                "Restore the files that belong together, or start from another model",
            )
        if codec.eos_id is None:
            raise DaedalError(f"The tokenizer of {init} has no end of text, by which answers end", "Start from another")
        template, habits = conversing(folder)
        return cls(init, folder, model, codec, template, habits)


def choose_lora(choose: Choice, rank: int = 0) -> int:
    """Choose the rank of a LoRA, or none.

    Raises:
        DaedalError: something is said of a LoRA, and there is none.
    """
    rank = int(choose("lora", rank))
    for name in ("lora_targets", "lora_alpha"):
        if not rank and choose.given.get(name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise DaedalError(
                f"{option} is of a LoRA, and all weights learn", f"Give --lora a rank, or leave {option} away"
            )
    return rank


def settings_of(plan: LoRAPlan) -> Settings | None:
    """The LoRA of a plan; None where all weights learn."""
    return Settings(plan.lora, plan.lora_alpha, plan.targets) if plan.lora else None


def tuned(model: GPT, plan: LoRAPlan) -> GPT:
    """A model as it is tuned by a plan: one with the same weights, and a LoRA beside them where the plan has one.

    Raises:
        DaedalError: a target of the LoRA is no layer of the model.
    """
    settings = settings_of(plan)
    if loras(model):
        return model  # what is frozen is not kept twice
    with torch.device("meta"):
        made = GPT(model.config.but(dropout=plan.dropout))
    made.load_state_dict(model.state_dict(), assign=True)
    if settings is not None:
        adapt(made, settings, torch.Generator().manual_seed(plan.seed), plan.four_bit)
    return made


def base_of_init(init: str, plan: LoRAPlan) -> Base | None:
    """What the LoRA of a plan is put beside.

    Raises:
        DaedalError: that is a LoRA itself.
    """
    if not plan.lora:
        return None
    folder = resolve(init)
    if is_adapter(folder):
        raise DaedalError(
            f"{init} is itself a LoRA, beside which there can be no other",
            f"Merge it first: daedal merge {init} --out MERGED; or leave --lora away",
        )
    return Base(name=init, weights=digest(weight_files(folder)), bits=4 if plan.four_bit else None)


def conversing(folder: Path) -> tuple[ChatTemplate, Habits]:
    """How the model in a folder reads conversations, and what its checkpoint says of its use; one that learned texts alone is
    given a template.

    Raises:
        DaedalError: a file is damaged.
    """
    template, habits = ChatTemplate.load(folder), Habits.of(folder)
    if template.plain:
        template, habits = ChatTemplate(LINES, template.tokens), habits._replace(jinja=LINES)
    return template, habits


def save_tuned(model: GPT, folder: Path, plan: LoRAPlan, codec: TextCodec, habits: Habits, base: Base | None) -> None:
    """Write what was tuned: a checkpoint; or, of a LoRA, that alone, with all of a checkpoint but its weights.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    settings = settings_of(plan)
    if settings is None or base is None:
        save_model(model, folder, codec=codec, habits=habits)
        return
    save_adapter(model, settings, base, folder)
    describe(model, folder, torch.float32, codec, habits=habits)
