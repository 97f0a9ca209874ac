"""The families of models: a line each, and packages of others may add their own; and the ways to go on with a trained one.

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


class Learning(NamedTuple):
    """How a family learns a kind of example. Places are `module:NAME`.

    Attributes:
        learner: what makes a plan and a task of it (`daedal.training.learner.Learner`).
        plan: the class of its plans.
    """

    learner: str
    plan: str


class Line(NamedTuple):
    """A family in the table.

    Attributes:
        says: what it is, in a few words, as `daedal train --help` shows it.
        over: what its network takes.
        model: where its class is, `module:NAME`; in the same module is its configuration, as `VAEConfig`.
        learns: kinds of example, and how.
        codes_of: the family whose codes it can learn in place of pixels, or which makes sound of what it draws.
    """

    says: str
    over: Literal["tokens", "pixels", "frames"]
    model: str
    learns: Mapping[str, Learning]
    codes_of: str | None = None


def _of_pictures(name: str, stem: str, says: str, codes_of: str | None = None, sounds: bool = False) -> Line:
    plan = f"daedal.training.picture_plan:{stem}Plan"
    learns = {"pictures": Learning("daedal.training.pictures:PictureLearner", plan)}
    learns |= {"sounds": Learning("daedal.training.sound_pictures:SoundPictureLearner", plan)} if sounds else {}
    return Line(says, "pixels", f"daedal.models.{name}:{stem}", learns, codes_of)


def _of_rows(name: str, stem: str, kind: str, learner: str, says: str) -> Line:
    learning = Learning(f"daedal.training.{learner}", f"daedal.training.row_plan:{stem}Plan")
    return Line(says, "tokens", f"daedal.models.{name}:{stem}", {kind: learning})


_STREAM = Learning("daedal.training.language:LanguageLearner", "daedal.training.gpt_plan:GPTPlan")
_GRIDS = Learning("daedal.training.grids:GridLearner", "daedal.training.gpt_plan:GridPlan")
BUILT_IN = {
    "gpt": Line(
        "a GPT: a Transformer that learns to go on with a text, or with the tokens of a picture",
        "tokens",
        "daedal.models.gpt:GPT",
        {"text": _STREAM, "chat": _STREAM, "pictures": _GRIDS},
        codes_of="vqvae",
    ),
    "bert": _of_rows(
        "bert",
        "BERT",
        "text",
        "masked:MaskedLearner",
        "a BERT: a Transformer that reads both ways and fills in what is hidden",
    ),
    "classifier": _of_rows(
        "classifier", "Classifier", "labelled", "labelled:LabelLearner", "a classifier: it says what a text is"
    ),
    "tagger": _of_rows(
        "tagger", "Tagger", "tagged", "tagged:TagLearner", "a tagger: it says what each word of a text is"
    ),
    "answerer": _of_rows(
        "answerer",
        "Answerer",
        "questions",
        "questions:QuestionLearner",
        "an answerer: it finds in a text what answers a question",
    ),
    "embedder": _of_rows(
        "embedder",
        "Embedder",
        "pairs",
        "pairs:TwinLearner",
        "an embedder: texts as vectors, near where they mean the same",
    ),
    "translator": _of_rows(
        "translator",
        "Translator",
        "pairs",
        "pairs:TranslationLearner",
        "a translator: it reads a text and writes another",
    ),
    "reward": _of_rows(
        "reward",
        "Reward",
        "preferences",
        "rewards:RewardLearner",
        "a reward model: it says how good people find an answer, learned from what they preferred",
    ),
    "vae": _of_pictures(
        "vae", "VAE", "a VAE: an encoder and a decoder that meet in a small space of latents", sounds=True
    ),
    "vqvae": Line(
        "a tokenizer of pictures: grids of ids, by FSQ or VQ, that a GPT can learn",
        "pixels",
        "daedal.models.vqvae:VQVAE",
        {
            "pictures": Learning("daedal.training.pictures:PictureLearner", "daedal.training.picture_plan:VQVAEPlan"),
        },
    ),
    "vqvae3d": Line(
        "a tokenizer of clips: a grid of ids for the first frame, and for each few of the others, that a GPT can learn",
        "frames",
        "daedal.models.vqvae3d:VQVAE3D",
        {"clips": Learning("daedal.training.clip_tokens:ClipTokenLearner", "daedal.training.film_plan:VQVAE3DPlan")},
    ),
    "gan": _of_pictures(
        "gan",
        "GAN",
        "a GAN: a generator that draws and a discriminator that tells its pictures from real ones",
        sounds=True,
    ),
    "flow": _of_pictures(
        "flow", "Flow", "a flow (the diffusion family of today): noise that learns to become a picture", codes_of="vae"
    ),
    "film": Line(
        "a GPT that writes clips, as the tokens that a tokenizer makes of them",
        "tokens",
        "daedal.models.film:Film",
        {"clips": Learning("daedal.training.films:FilmLearner", "daedal.training.film_plan:FilmPlan")},
        codes_of="vqvae3d",
    ),
    "filmflow": Line(
        "a flow that makes clips, over the codes that a tokenizer makes of them",
        "tokens",
        "daedal.models.filmflow:FilmFlow",
        {"clips": Learning("daedal.training.filmflows:FilmFlowLearner", "daedal.training.film_plan:FilmFlowPlan")},
        codes_of="vqvae3d",
    ),
    "listener": Line(
        "a listener: it tells what is said in a recording, what it is and who speaks",
        "frames",
        "daedal.models.listener:Listener",
        {"sounds": Learning("daedal.training.listening:ListenLearner", "daedal.training.sound_plan:ListenerPlan")},
    ),
    "speech": Line(
        "speech: a flow that says what it is told, in a voice that it has heard",
        "frames",
        "daedal.models.speech:Speech",
        {"sounds": Learning("daedal.training.speaking:SpeechLearner", "daedal.training.sound_plan:SpeechPlan")},
        codes_of="vocoder",
    ),
    "vocoder": Line(
        "a vocoder: it makes sound of log-mel frames, for speech that is to have a better sound",
        "frames",
        "daedal.models.vocoder:Vocoder",
        {"sounds": Learning("daedal.training.vocoding:VocoderLearner", "daedal.training.vocoder_plan:VocoderPlan")},
    ),
    "soundtokens": Line(
        "a tokenizer of sounds: a few codes of each moment, by residual FSQ, that a GPT can learn",
        "frames",
        "daedal.models.soundtokens:SoundTokens",
        {
            "sounds": Learning(
                "daedal.training.sound_tokens:SoundTokensLearner", "daedal.training.sound_token_plan:SoundTokensPlan"
            )
        },
    ),
    "soundgpt": Line(
        "a GPT that writes recordings, as the codes that a tokenizer makes of them",
        "tokens",
        "daedal.models.soundgpt:SoundGPT",
        {
            "sounds": Learning(
                "daedal.training.sound_codes:SoundGPTLearner", "daedal.training.sound_token_plan:SoundGPTPlan"
            )
        },
        codes_of="soundtokens",
    ),
    "music": Line(
        "a GPT that composes: a Transformer that learns to go on with a tune",
        "tokens",
        "daedal.models.music:Music",
        {"tunes": Learning("daedal.training.tunes:TuneLearner", "daedal.training.tune_plan:TunePlan")},
    ),
    "recommender": Line(
        "a recommender: it says what a person may like next, of what was taken before",
        "tokens",
        "daedal.models.recommender:Recommender",
        {"histories": Learning("daedal.training.histories:HistoryLearner", "daedal.training.row_plan:RecommenderPlan")},
    ),
    "clip": _of_pictures("clip", "CLIP", "a CLIP: it tells which text fits which picture, learned from captions"),
}


TUNINGS: dict[str, Line] = {
    "chat": Line(
        "a GPT that has learned already to answer in conversations: all of its weights, or a LoRA",
        "tokens",
        "daedal.models.gpt:GPT",
        {"chat": Learning("daedal.training.chats:ChatLearner", "daedal.training.chat_plan:ChatPlan")},
    ),
}
"""Ways to fine-tune what another family is, by `daedal train`: a line each, whose model is that of the family."""


def _aligned(method: str, says: str, by: str, *kinds: str, **others: str) -> Line:
    plan = f"daedal.alignment.plans:{method.upper()}Plan"
    learners = dict.fromkeys(kinds, f"{by}:{method.upper()}") | others
    learns = {kind: Learning(f"daedal.alignment.{learner}Learner", plan) for kind, learner in learners.items()}
    return Line(says, "tokens", "daedal.models.gpt:GPT", learns)


_SLATES = Learning("daedal.alignment.slate_learner:SlateLearner", "daedal.alignment.plans:SlatePlan")
_PAIRS = _aligned("dpo", "by pairs of answers, of which one was preferred, or by ratings", "offline", "preferences")
ALIGNMENTS = {
    "dpo": _PAIRS._replace(learns={**_PAIRS.learns, "histories": _SLATES}),
    "kto": _aligned("kto", "by answers that were liked or disliked", "offline", "preferences"),
    "ppo": _aligned("ppo", "by a reward for its answers, which a network foretells", "online_learner", "chat", "preferences"),
    "grpo": _aligned(
        "grpo", "by a reward for its answers, each compared with others to the same prompt", "online_learner",
        "chat", "preferences", pictures="pictures:PictureGRPO",
    ),
}  # fmt: skip
"""Ways to align a GPT, or a recommender, with what people prefer, by `daedal align`."""


class Pipeline(NamedTuple):
    """Families that are trained in stages, by one command: what is trained, and where what begins it, its options and what was
    asked of its stages (`daedal.training.stages.Stages`) are."""

    says: str
    train: str
    options: str
    stages: str


PIPELINES = {
    "text-to-image": Pipeline(
        "a tokenizer of pictures, and a GPT that draws with its tokens what captions say; or a flow that draws it",
        "daedal.training.text_to_image:train",
        "daedal.training.text_to_image:options",
        "daedal.training.text_to_image:TextToImage",
    ),
    "video": Pipeline(
        "a tokenizer of clips, and a GPT that writes with its tokens what captions say; or a flow over its codes",
        "daedal.training.video:train",
        "daedal.training.video:options",
        "daedal.training.video:Video",
    ),
    "sound": Pipeline(
        "a tokenizer of sounds, and a GPT that writes with its codes what it is told to say, or goes on with a sound",
        "daedal.training.sound:train",
        "daedal.training.sound:options",
        "daedal.training.sound:SoundStages",
    ),
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
    """The line of a family, or of a way to go on with one.

    Raises:
        DaedalError: there is no such family.
    """
    known = table() | TUNINGS | ALIGNMENTS
    if family not in known:
        raise DaedalError(f"There is no family {family!r}", f"Use one of {', '.join(known)}")
    return known[family]


def part(place: str, ending: str = "") -> Any:
    """What stands at a place, or beside it under its name with an ending: `VAEConfig` beside `VAE`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name + ending)
