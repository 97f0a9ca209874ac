"""Run folders of small models of sounds and tunes, with random weights: for what serves them."""

from pathlib import Path

import torch

from daedal.codecs.caption import CaptionCodec
from daedal.codecs.sound import SoundCodec
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.voices import Voices
from daedal.models.checkpoint import save_own
from daedal.models.identity import Identity
from daedal.models.listener import Listener, ListenerConfig
from daedal.models.music import Music, MusicConfig
from daedal.models.speech import Speech, SpeechConfig
from tiny_models import shaken

RATE = 8000
_SOUND = {"sound": "sound_codec.json"}


def voice(folder: Path, speakers: tuple[str, ...] = ("ada", "bob")) -> Path:
    """A flow that says "0" and "1"."""
    values = {
        "channels": 1,
        "height": 64,
        "width": 16,
        "rate": RATE,
        "fft": 512,
        "hop": 128,
        "mean": -5.0,
        "spread": 3.0,
    }
    small = {"features": 16, "levels": 2, "blocks": 1, "text_width": 32, "text_depth": 1, "labels": ("0", "1")}
    told = [f"{who} says {what}" for who in (*speakers, "anybody") for what in "01"] + ["says 0", "says 1"]
    captions = CaptionCodec.train(told, window=8)
    known = {"words": captions.vocab_size, "window": captions.window, "speakers": speakers}
    model = shaken(Speech(SpeechConfig.parse({**values, **small, **known}, "config")))
    save_own(model, folder)
    SoundCodec(rate=RATE).save(folder)
    captions.save(folder)
    Identity.of("speech", "sounds", {**_SOUND, "label": None}, model.capabilities).write(folder)
    return folder


def ears(folder: Path, characters: tuple[str, ...] = (" ", "e", "n", "o")) -> Path:
    """A listener that hears something or other."""
    model = Listener(
        ListenerConfig(
            rate=RATE, fft=512, hop=128, bands=64, width=32, depth=1, channels=8, labels=("high", "low"),
            speakers=("ada", "bob"), characters=characters,
        )
    )  # fmt: skip
    model.initialise(torch.Generator().manual_seed(0))
    save_own(model, folder)
    SoundCodec(rate=RATE).save(folder)
    Identity.of("listener", "sounds", {**_SOUND, "label": None}, model.capabilities).write(folder)
    return folder


def composer(folder: Path) -> Path:
    """A GPT over chorales that knows of keys."""
    codec = TuneCodec(Voices(lowest=48, highest=80), {"style": ["plain", "wild"]})
    model = Music(
        MusicConfig.of("swift", vocab_size=codec.vocab_size, width=32, depth=1, heads=2, context=33, grid=(8, 4))
    )
    save_own(shaken(model), folder)
    codec.save(folder)
    Identity.of("music", "tunes", {"tune": "tune_codec.json"}, model.capabilities).write(folder)
    return folder
