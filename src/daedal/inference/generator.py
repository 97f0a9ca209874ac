"""A trained model, ready to use: `daedal.load` gives it. It has the skills that its model can, and offers what they do."""

from pathlib import Path
from typing import Self

import torch

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.chat import ChatTemplate
from daedal.codecs.clip import ClipCodec
from daedal.codecs.image import PixelCodec
from daedal.codecs.items import ItemCodec
from daedal.codecs.mel_pictures import MEL_PICTURES, MelPictures
from daedal.codecs.pronunciations import PRONUNCIATIONS, Pronunciations
from daedal.codecs.sound import SoundCodec
from daedal.codecs.text import TextCodec
from daedal.codecs.tune_codec import TuneCodec
from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.inference.sampling import Quantize
from daedal.inference.skill import ModelAndCodec
from daedal.inference.skills.answer import FindAnswers
from daedal.inference.skills.caption import Caption
from daedal.inference.skills.classify import Classify
from daedal.inference.skills.complete import Complete
from daedal.inference.skills.compose import Compose
from daedal.inference.skills.draw import Draw
from daedal.inference.skills.draw_sounds import DrawSounds
from daedal.inference.skills.edit import Edit, Vary
from daedal.inference.skills.embed import Embed, EmbedRows
from daedal.inference.skills.fill import Fill
from daedal.inference.skills.film import MakeClips
from daedal.inference.skills.listen import Listen
from daedal.inference.skills.match import Match
from daedal.inference.skills.morph import Morph
from daedal.inference.skills.recommend import Recommend
from daedal.inference.skills.reconstruct import Reconstruct
from daedal.inference.skills.reconstruct_clips import ReconstructClips
from daedal.inference.skills.reconstruct_sounds import ReconstructSounds
from daedal.inference.skills.reward import RewardConversations
from daedal.inference.skills.score import ScorePictures, ScoreTexts
from daedal.inference.skills.speak import Speak
from daedal.inference.skills.tag import Tag
from daedal.inference.skills.translate import Translate
from daedal.inference.skills.vocode import Vocode
from daedal.inference.skills.write import Write
from daedal.models.checkpoint import load_model, resolve
from daedal.models.habits import stop_ids
from daedal.models.identity import IDENTITY, identify
from daedal.training.machine import choose_device


class Generator(ModelAndCodec):
    """A model and its codec, and the skills that the model has: what they offer, it offers."""

    table = (
        Write, Complete, Draw, Caption, Morph, Reconstruct, Edit, Vary, ScoreTexts, ScorePictures, Classify, Tag, FindAnswers,
        Fill, Translate, Match, Embed, EmbedRows, Compose, Listen, Speak, Vocode, ReconstructSounds, DrawSounds,
        MakeClips, ReconstructClips, Recommend, RewardConversations,
    )  # fmt: skip

    @classmethod
    def open(
        cls,
        folder_or_hub_id: Path | str,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        quantize: Quantize | None = None,
    ) -> Self:
        """The model in a run folder, or of a Hugging Face id such as `Qwen/Qwen3-0.6B`.

        Args:
            device: a GPU if there is one, unless given.
            dtype: float32 on a CPU and as stored on a GPU, unless given.

        Raises:
            DaedalError: a file is missing, damaged or hostile, or there is no such device or dtype.
        """
        folder, name = resolve(folder_or_hub_id), str(folder_or_hub_id)
        identity = identify(folder)
        pictures = identity.kind == "pictures"
        place = _device(device, pictures)
        model = load_model(folder, dtype=_dtype(dtype, place), device=place)
        if model.family != identity.family:
            raise DaedalError(
                f"{folder / IDENTITY} says that the model is a {identity.family}, and its weights are of a {model.family}",
                "Restore it from a copy",
            )
        if identity.kind == "histories":
            return cls(model, ItemCodec.load(folder), name, quantize=quantize)
        if identity.kind == "tunes":
            return cls(model, TuneCodec.load(folder), name, quantize=quantize)
        if identity.kind == "clips":
            captions = CaptionCodec.load(folder) if (folder / CAPTION_CODEC).is_file() else None
            classes = _class_names(folder)
            return cls(model, ClipCodec.load(folder), name, quantize=quantize, classes=classes, captions=captions)
        pictures |= (folder / MEL_PICTURES).is_file()
        if identity.kind == "sounds" and not pictures:
            captions = CaptionCodec.load(folder) if (folder / CAPTION_CODEC).is_file() else None
            said = Pronunciations.load(folder)
            if said is None and any(len(each) > 1 for each in getattr(model.config, "characters", ())):
                raise DaedalError(
                    f"{folder / PRONUNCIATIONS} is missing, and the model says phonemes", "Restore it from a copy"
                )
            return cls(model, SoundCodec.load(folder), name, quantize=quantize, captions=captions, pronunciations=said)
        if not pictures:
            text, template, ends = TextCodec.load(folder), ChatTemplate.load(folder), stop_ids(folder)
            return cls(model, text, name, template=template, stop_ids=ends, quantize=quantize)
        classes = _class_names(folder)
        captions = CaptionCodec.load(folder) if (folder / CAPTION_CODEC).is_file() else None
        codec = MelPictures if identity.kind == "sounds" else PixelCodec
        return cls(model, codec.load(folder), name, quantize=quantize, classes=classes, captions=captions)


def _class_names(folder: Path) -> list[str]:
    """The names of the classes that a model was trained with."""
    classes = read_json(folder / "config.json").get("class_names") or []
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise DaedalError(f"{folder / 'config.json'}: class_names is no list of names", "Restore it from a copy")
    return classes


def _device(device: torch.device | str | None, pictures: bool) -> torch.device:
    if device is None and not pictures:  # texts are scored in float64, which a GPU of Apple's does not have
        device = "cuda" if torch.cuda.is_available() else "cpu"
    place = torch.device(choose_device(None if device is None else str(device)))
    try:
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DaedalError(f"The device {place} cannot be used ({reason})", "Choose another") from None
    return place


def _dtype(dtype: torch.dtype | str | None, device: torch.device) -> torch.dtype | None:
    if dtype is None:
        # Half precision on a CPU is as slow as float32 at best and a hundred times slower at worst
        return torch.float32 if device.type == "cpu" else None
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found not in (torch.float32, torch.float16, torch.bfloat16):
        raise DaedalError(f"dtype: there is no {dtype}", "Choose float32, bfloat16 or float16")
    return found
