"""A GPT that composes: it learns the codes of tunes (`daedal.codecs.tune_codec`), and is a GPT in all else.

Where the codes are a grid of voices it is told the place of each, and what the same voice had before, as where they are the
grid of a picture (`GPTConfig.grid`).
"""

from daedal.models.gpt import GPT, GPTConfig


class MusicConfig(GPTConfig):
    """The shape of a GPT over codes of tunes; `grid` is the steps of a window and the voices of each."""


class Music(GPT):
    """A GPT over codes of tunes."""

    family = "music"
    capabilities = frozenset({"compose"})
    config: MusicConfig
