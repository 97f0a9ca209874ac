"""The families of models: a line each, and packages of others may add their own.

A line says where a family's parts are and what it learns; nothing is imported until it is used. Others are found by the entry
point `daedal.families`, whose name is the family's and whose value is `module:LINE`, a `Line`.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple

from daedal.errors import DaedalError


class Line(NamedTuple):
    """A family in the table. Places are `module:NAME`.

    Attributes:
        says: what it is, in a few words, as `daedal train --help` shows it.
        over: what its network takes.
        model: its class; in the same module are its configuration and, of pictures, its shape, as `VAEConfig` and `VAEShape`.
        plan: the class of its plans.
        learns: by kind of example what makes a task of it (`daedal.training.family.Family`).
        codes_of: the family whose codes it can learn in place of pixels.
    """

    says: str
    over: Literal["tokens", "pixels"]
    model: str
    plan: str
    learns: Mapping[str, str]
    codes_of: str | None = None


def _of_pictures(name: str, stem: str, says: str, codes_of: str | None = None) -> Line:
    return Line(
        says,
        "pixels",
        f"daedal.models.{name}:{stem}",
        f"daedal.training.picture_plan:{stem}Plan",
        {"pictures": "daedal.training.pictures:PictureFamily"},
        codes_of,
    )


BUILT_IN = {
    "gpt": Line(
        "a GPT: a Transformer that learns to go on with a text, or with the tokens of a picture",
        "tokens",
        "daedal.models.gpt:GPT",
        "daedal.training.plan:GPTPlan",
        {
            "text": "daedal.training.language:LanguageFamily",
            "chat": "daedal.training.language:LanguageFamily",
            "pictures": "daedal.training.grids:GridFamily",
        },
        codes_of="vqvae",
    ),
    "vae": _of_pictures("vae", "VAE", "a VAE: an encoder and a decoder that meet in a small space of latents"),
    "vqvae": _of_pictures(
        "vqvae", "VQVAE", "a tokenizer of pictures: grids of ids, by FSQ or VQ, that a GPT can learn"
    ),
    "gan": _of_pictures(
        "gan", "GAN", "a GAN: a generator that draws and a discriminator that tells its pictures from real ones"
    ),
    "flow": _of_pictures(
        "flow", "Flow", "a flow (the diffusion family of today): noise that learns to become a picture", codes_of="vae"
    ),
    "clip": _of_pictures("clip", "CLIP", "a CLIP: it tells which text fits which picture, learned from captions"),
}


@cache
def table() -> dict[str, Line]:
    """All families: those of the house, then those that other packages add."""
    others: dict[str, Line] = {}
    for point in sorted(entry_points(group="daedal.families"), key=lambda each: each.name):
        try:
            others[point.name] = point.load()
        except Exception as error:  # another package's mistake is no reason to refuse a command
            warnings.warn(f"The family {point.name} of another package cannot be opened: {error}", stacklevel=2)
    return {**others, **BUILT_IN}


def line(family: str) -> Line:
    """The line of a family.

    Raises:
        DaedalError: there is no such family.
    """
    known = table()
    if family not in known:
        raise DaedalError(f"There is no family {family!r}", f"Use one of {', '.join(known)}")
    return known[family]


def part(place: str, ending: str = "") -> Any:
    """What stands at a place, or beside it under its name with an ending: `VAEConfig` beside `VAE`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name + ending)
