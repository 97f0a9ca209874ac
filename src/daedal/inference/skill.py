"""A skill: something that a model and its codec can do together. A file in `skills/` for each, and a line in `generator.py`.

A skill says which capability of a model it needs; a generator has the skills that its model can. What a skill offers, its
public methods and attributes, the generator offers as its own.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar, get_args

import torch
from torch import nn

from daedal import __version__
from daedal.codecs.caption import CaptionCodec
from daedal.codecs.chat import ChatTemplate
from daedal.codecs.clip import ClipCodec
from daedal.codecs.image import PixelCodec
from daedal.codecs.items import ItemCodec
from daedal.codecs.pronunciations import Pronunciations
from daedal.codecs.sound import SoundCodec
from daedal.codecs.text import TextCodec
from daedal.codecs.tune_codec import TuneCodec
from daedal.errors import DaedalError
from daedal.inference.conditions import Conditions, listed
from daedal.inference.network import prepared
from daedal.inference.provenance import Provenance
from daedal.inference.sampling import Quantize
from daedal.models.coded import Coded
from daedal.models.encoder import EncoderModel
from daedal.models.film import Film
from daedal.models.film_model import FilmModel
from daedal.models.filmflow import FilmFlow
from daedal.models.gpt import GPT
from daedal.models.image import ImageModel
from daedal.models.listener import Listener
from daedal.models.model import Capability, Model
from daedal.models.music import Music
from daedal.models.recommender import Recommender
from daedal.models.reward import Reward
from daedal.models.soundgpt import SoundModel
from daedal.models.soundtokens import SoundTokens
from daedal.models.speech import Speech
from daedal.models.translator import Translator
from daedal.models.vocoder import Vocoder
from daedal.models.vqvae3d import VQVAE3D, VQVAE3DConfig
from daedal.training.clip_pictures import pixels_of

P = TypeVar("P", bound=Provenance)
_CALLED = {
    "FilmModel": "model of clips", "Music": "model of tunes", "SoundModel": "model of sounds",
    "SoundTokens": "tokenizer of sounds", "Speech": "model of speech", "VQVAE3D": "tokenizer of clips",
    "Reward": "reward model",
}  # fmt: skip
"""What a model is called where the name of its class is no name of one."""


class Unable(DaedalError, AttributeError):
    """A model cannot do what it is asked for."""


class ModelAndCodec:
    """A model, its codec, and what they can do together.

    Args:
        codec: of the texts, pictures, tunes or items that the model knows.
        template: how conversations are written.
        stop_ids: tokens that end a text, besides the codec's own.
        quantize: "int8" reads a quarter of the bytes for each token and "int4" an eighth, at a loss of quality; "draft" lets
            an int8 copy guess ahead and the model itself check, for single texts: faster, and the text is the model's own.
            Translators and models that read both ways have int8 only.
        classes: the names of the labels that condition a model of pictures.
        captions: the codec of the captions that condition one.
        pronunciations: how a model that speaks was told that words are said.

    Attributes:
        skills: what it can do, by name.
        capabilities: what the model can do; `class` and `prompt` only where it was trained so.
        table: all skills that there are, in the order in which they are told.
    """

    table: ClassVar[tuple[type["Skill"], ...]] = ()

    def __init__(
        self,
        model: Model,
        codec: TextCodec | PixelCodec | TuneCodec | ClipCodec | SoundCodec | ItemCodec,
        name: str = "model",
        *,
        template: ChatTemplate | None = None,
        stop_ids: Sequence[int] = (),
        quantize: Quantize | None = None,
        classes: Sequence[str] = (),
        captions: CaptionCodec | None = None,
        pronunciations: Pronunciations | None = None,
    ) -> None:
        _require_fit(model, codec, quantize)
        self._model = model.eval()
        self.model: Any = model  # of which family, its skills know
        self.codec: Any = codec
        self.name, self.quantize, self.pronunciations = name, quantize, pronunciations
        own = {codec.eos_id} if isinstance(codec, TextCodec) and codec.eos_id is not None else set()
        self.template, self.stop_ids = template or ChatTemplate(), frozenset(stop_ids) | own
        self.conditions = Conditions(model, name, classes, captions)
        self.classes, self.captions = self.conditions.classes, self.conditions.captions
        self.capabilities = model.learned_capabilities
        self.skills = {each.name: each(self) for each in self.table if each.fits(self)}

    @property
    def device(self) -> torch.device:
        return next(self._model.parameters()).device

    @cached_property
    def running(self) -> Any:
        """The model as its skills run it, one that reads both ways or translates."""
        return prepared(self._model, self.quantize)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self.model)

    @property
    def kind(self) -> str:
        """What sort of model it is, as a sentence begins."""
        if isinstance(self.model, Coded | FilmModel):
            return f"A {type(self.model.inner).__name__} over the codes of a {type(self.model.codec).__name__}"
        name = type(self.model).__name__
        name = _CALLED.get(name, name)
        return f"{'An' if name[0] in 'AEIO' else 'A'} {name}"

    @property
    def able(self) -> str:
        """What it can do, as a sentence goes on."""
        words = {each: word for skill in self.skills.values() for each, word in skill.words().items()}
        return f"can {listed([word for each, word in words.items() if each in self.capabilities])}"

    def refusal(self, words: str, fix: str = "Use a model that can") -> Unable:
        """That it cannot do something."""
        return Unable(f"{self.kind} cannot {words}: it {self.able}", fix)

    def require(self, capability: Capability) -> None:
        """Make sure that it can do something.

        Raises:
            DaedalError: it cannot; the line says what it can.
        """
        if capability not in self.capabilities:
            raise self.refusal(next(each.words()[capability] for each in self.table if capability in each.words()))

    def __getattr__(self, name: str) -> Any:
        """What its skills offer."""
        if name != "skills":
            for skill in self.skills.values():
                if skill.offers(name):
                    return getattr(skill, name)
            for kind in sorted(self.table, key=lambda each: not isinstance(self.model, each.learned)):
                if kind.offers(name):
                    mine = listed([f"{each.main()}(...)" for each in self.skills.values()])
                    fix = f"Use a model that can; this one has {mine}" if self.skills else "Use a model that can"
                    raise self.refusal(kind.verb or kind.name, fix)
        raise AttributeError(f"A generator has no {name}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for each in self.skills.values() for name in each.offered())})

    def __repr__(self) -> str:
        return f"<{self.kind} from {self.name}: it {self.able}>"

    def signed(self, kind: type[P], **facts: Any) -> P:
        """The record of an artifact that it made."""
        return kind(model=self.name, fingerprint=self.fingerprint, version=__version__, **facts)


class Skill:
    """Something that a model can do.

    Attributes:
        learned: the models that may have it.
        needs: any of these capabilities is enough.
        verb: what it is called in a sentence.
    """

    name: ClassVar[str] = ""
    learned: ClassVar[type[Model]] = Model  # type: ignore[type-abstract]
    needs: ClassVar[tuple[Capability, ...]] = ()
    verb: ClassVar[str] = ""

    def __init__(self, subject: ModelAndCodec) -> None:
        self._subject = subject

    @classmethod
    def words(cls) -> dict[Capability, str]:
        """What the capabilities that it makes use of are called in a sentence."""
        return {cls.needs[0]: cls.verb} if cls.verb else {}

    @classmethod
    def fits(cls, subject: ModelAndCodec) -> bool:
        """Whether a model has it."""
        return isinstance(subject.model, cls.learned) and not subject.capabilities.isdisjoint(cls.needs)

    @classmethod
    def offers(cls, name: str) -> bool:
        """Whether that is a method of it."""
        return not name.startswith("_") and hasattr(cls, name) and not hasattr(Skill, name)

    @classmethod
    def offered(cls) -> list[str]:
        """The names of all that."""
        return [name for name in dir(cls) if cls.offers(name)]

    @classmethod
    def main(cls) -> str:
        """The name of the first method of it: what it is there for."""
        return next(
            name for each in cls.__mro__ for name, value in vars(each).items() if cls.offers(name) and callable(value)
        )

    def __repr__(self) -> str:
        return f"<{self.name}: {', '.join(self.offered())}>"


def _rate_of(model: Any) -> int:
    """Samples in a second of the sounds that a model knows."""
    config = model.codec.config if isinstance(model, SoundModel) else model.config
    return int(config.rate)


def _require_fit(
    model: Model,
    codec: TextCodec | PixelCodec | TuneCodec | ClipCodec | SoundCodec | ItemCodec,
    quantize: Quantize | None,
) -> None:
    """Make sure that a codec is a model's own, and its weights may be held so."""
    if quantize not in (None, *get_args(Quantize)):
        raise DaedalError(
            f"quantize: there is no {quantize!r}", f"Choose {', '.join(get_args(Quantize))}, or leave it out"
        )
    match model, codec:
        case (
            (Listener() | Speech() | Vocoder() | SoundTokens() | SoundModel()),
            SoundCodec(),
        ) if codec.rate != _rate_of(model):
            raise DaedalError(
                f"The codec has {codec.rate:,} samples a second and the model {_rate_of(model):,}",
                "Use the codec that the model was trained with",
            )
        case ((Listener() | Speech() | Vocoder() | SoundTokens() | SoundModel()), SoundCodec()) if quantize is not None:
            raise DaedalError("A model of sounds has no quantized form", "Leave --quantize out")
        case ImageModel(), PixelCodec() if codec.shape != model.config.shape:
            raise DaedalError(
                f"The codec's pictures are {codec.shape} and the model's {model.config.shape} (channels, height, width)",
                "Use the codec that the model was trained with",
            )
        case ImageModel(), PixelCodec() if quantize is not None:
            raise DaedalError("A model of images has no quantized form", "Leave --quantize out")
        case GPT() | EncoderModel() | Translator() | Reward(), TextCodec() if (
            codec.vocab_size > model.config.vocab_size
        ):
            raise DaedalError(
                f"The tokenizer has {codec.vocab_size} tokens and the model knows {model.config.vocab_size}",
                "Use the tokenizer that the model was trained with",
            )
        case Recommender(), ItemCodec() if codec.vocab_size != model.config.vocab_size:
            raise DaedalError(
                f"The codec has {codec.vocab_size} items and the model knows {model.config.vocab_size}",
                "Use the codec that the model was trained with",
            )
        case Recommender(), ItemCodec() if quantize is not None:
            raise DaedalError("A recommender has no quantized form", "Leave --quantize out")
        case Music(), TuneCodec() if codec.vocab_size != model.config.vocab_size:
            raise DaedalError(
                f"The codec of tunes has {codec.vocab_size} ids and the model knows {model.config.vocab_size}",
                "Use the codec that the model was trained with",
            )
        case Music(), TuneCodec() if quantize is not None:
            raise DaedalError("A model of tunes has no quantized form", "Leave --quantize out")
        case _, ClipCodec() if quantize is not None:
            raise DaedalError("A model of clips has no quantized form", "Leave --quantize out")
        case EncoderModel(), TextCodec() if 1 < model.config.types <= codec.framing.types:
            raise DaedalError(
                f"The tokenizer counts types of tokens up to {codec.framing.types} and the model has {model.config.types}",
                "Use the tokenizer that the model was trained with",
            )
        case FilmModel() | VQVAE3D(), ClipCodec() if pixels_of(codec).shape != _clips_of(model).shape:
            raise DaedalError(
                f"The codec's clips are {pixels_of(codec).shape} and the model's {_clips_of(model).shape} (colours of all "
                "frames, height, width)",
                "Use the codec that the model was trained with",
            )
        case Film() | FilmFlow(), ClipCodec():
            raise DaedalError(
                "The model learned tokens of clips, and the model that makes those is missing",
                "Restore the folder codec from a copy",
            )
        case GPT(), PixelCodec():
            raise DaedalError(
                "The model learned codes of pictures, and the model that makes those is missing",
                "Restore the folder codec from a copy",
            )
        case ImageModel(), TextCodec():
            raise DaedalError(
                "The model is of pictures, and the codec of text", "Use the codec that it was trained with"
            )


def _clips_of(model: FilmModel | VQVAE3D) -> VQVAE3DConfig:
    return (model.codec if isinstance(model, FilmModel) else model).config


def fingerprint(model: nn.Module) -> str:
    """SHA-256 of the names, shapes and values of the weights, and of whatever else was learned or fitted."""
    digest = hashlib.sha256()
    saved = model.state_dict().keys()
    fitted = [(name, buffer) for name, buffer in model.named_buffers() if name in saved]
    for name, tensor in sorted([*model.named_parameters(), *fitted], key=lambda entry: entry[0]):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name}:{values.dtype}:{list(values.shape)}\n".encode())
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
