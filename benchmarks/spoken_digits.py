"""Spoken digits: `daedal train speech` beside a DDPM of diffusers on the same log-mel frames, for the same CPU seconds.

    python benchmarks/spoken_digits.py PATH/TO/free-spoken-digit-dataset.zip [--seconds 2400] [--threads 1] [--only ours|ddpm]

- A listener is trained first (`--judge FOLDER` takes one that is there); recordings 0 to 4 of each digit and speaker are the
  official test, and its accuracy on them stands beside what it hears of the models.
- The peer is diffusers' `UNet2DModel` with a class for every digit of every speaker, hidden from a tenth of the examples for
  guidance, under the recipe of its example `train_unconditional.py` (DDPM, AdamW, cosine, EMA) at 64 x 64; drawn by DDIM in 50
  steps with guidance 1 to 3, the best of which counts.
- Both say every digit as every speaker `--each` times; both get their sound by the same Griffin-Lim; one listener hears both.

CPU seconds of this process and its threads are the budget of the peer and are told of ours; run it on an idle machine.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import daedal
from daedal.codecs.mel import MelCodec
from daedal.data.folder import open_data
from daedal.evaluation.means import share_of
from daedal.inference.sound import Sound
from daedal.models.speech import SpeechConfig
from daedal.training.speaking import Spoken
from picture_peers import UNETS, Clock

BATCH, FRAMES = 16, 64
GUIDANCES = (1.0, 2.0, 3.0)


def heard(judge: Any, sounds: list[Any], asked: list[tuple[str, str]]) -> dict[str, Any]:
    """The share of digits and of speakers that the listener hears right."""
    found = judge.transcribe(sounds)
    digits = sum(each.label == digit for each, (digit, _) in zip(found, asked, strict=True))
    speakers = sum(each.speaker == speaker for each, (_, speaker) in zip(found, asked, strict=True))
    return {"digits": share_of(digits, len(asked)), "speakers": share_of(speakers, len(asked))}


def ours(data: Path, seconds: float, threads: int, out: Path, asked: list[tuple[str, str]], judge: Any) -> Any:
    begun = time.process_time()
    daedal.train("speech", data=data, out=out, budget=seconds / threads, threads=threads)
    cpu = time.process_time() - begun
    model = daedal.load(out)
    begun = time.process_time()
    sounds = model.say_each([digit for digit, _ in asked], [speaker for _, speaker in asked], seed=0)
    factor = (time.process_time() - begun) / sum(len(each.samples) / each.rate for each in sounds)
    weights = sum(each.numel() for each in model.model.parameters())
    return {"cpu": cpu, "weights": weights, "real-time factor": factor, **heard(judge, sounds, asked)}


def ddpm(
    data: Any, seconds: float, network: str, rate: float, asked: list[tuple[str, str]], judge: Any
) -> dict[str, Any]:
    """diffusers' network and schedule, told a class."""
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
    from diffusers.training_utils import EMAModel

    torch.manual_seed(0)
    speakers, digits = data.classes("speaker"), data.classes("label")
    codec = data.codec("sound").codec
    mel = MelCodec.for_rate(codec.rate)
    facts = {name: getattr(mel, name) for name in ("rate", "fft", "hop", "floor")}
    config = SpeechConfig(
        channels=1, height=mel.bands, width=FRAMES, labels=digits, speakers=speakers, words=1, window=1, **facts
    )
    spoken = Spoken(data, "train", config, codec)
    pictures = spoken.pictures(spoken.places)  # the mean and the spread are those of its own
    middle, spread = pictures.mean(), pictures.std()
    pictures = (pictures - middle) / (2 * spread)
    classes = torch.tensor(
        [
            speakers.index(str(spoken.speakers[at])) * len(digits) + digits.index(str(spoken.said[at]))
            for at in spoken.places.tolist()
        ]
    )
    nobody = len(digits) * len(speakers)
    widths, down = UNETS[network]
    unet = UNet2DModel(
        sample_size=(mel.bands, FRAMES), in_channels=1, out_channels=1, layers_per_block=2, block_out_channels=widths,
        down_block_types=down, up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        norm_num_groups=min(32, widths[0]), num_class_embeds=nobody + 1,
    )  # fmt: skip
    schedule = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear", prediction_type="epsilon")
    optimizer = torch.optim.AdamW(unet.parameters(), rate, (0.95, 0.999), 1e-8, weight_decay=1e-6)
    average = EMAModel(unet.parameters(), decay=0.999, use_ema_warmup=True, inv_gamma=1.0, power=0.75)
    clock, steps = Clock(seconds), 0
    while not clock.over:
        share = min(1.0, clock.fraction)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, share / 0.05 + 1e-3) * 0.5 * (1 + math.cos(math.pi * share))
        rows = torch.randint(0, len(pictures), (BATCH,))
        told = classes[rows].masked_fill(torch.rand(BATCH) < 0.1, nobody)
        noise, times = torch.randn(BATCH, 1, mel.bands, FRAMES), torch.randint(0, 1000, (BATCH,))
        loss = F.mse_loss(unet(schedule.add_noise(pictures[rows], noise, times), times, told).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.step(unet.parameters())
        steps += 1
    cpu = clock.used
    average.copy_to(unet.parameters())
    unet.eval()
    wanted = torch.tensor([speakers.index(who) * len(digits) + digits.index(what) for what, who in asked])
    sampler, found = DDIMScheduler.from_config(schedule.config), {}

    @torch.no_grad()
    def drawn(guidance: float) -> torch.Tensor:
        made = []
        for part in wanted.split(50):
            sampler.set_timesteps(50)
            x = torch.randn(len(part), 1, mel.bands, FRAMES)
            for moment in sampler.timesteps:
                said = unet(x, moment, part).sample
                if guidance != 1:
                    nothing = unet(x, moment, torch.full_like(part, nobody)).sample
                    said = nothing + guidance * (said - nothing)
                x = sampler.step(said, moment, x).prev_sample
            made.append(x)
        return torch.cat(made) * (2 * spread) + middle

    for guidance in GUIDANCES:
        frames = config.frames(drawn(guidance))
        sounds = [Sound(mel.decode(each).numpy(), mel.rate) for each in frames]
        found[guidance] = heard(judge, sounds, asked)
    best = max(found, key=lambda each: found[each]["digits"]["value"])
    weights = sum(each.numel() for each in unet.parameters())
    return {"cpu": cpu, "weights": weights, "steps": steps, "guidance": best, **found[best]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--seconds", type=float, default=2400.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--only", choices=["ours", "ddpm"])
    parser.add_argument("--networks", nargs="+", choices=list(UNETS), default=["tiny", "small"])
    parser.add_argument("--rate", type=float, default=1e-3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        daedal.build_data([given.recordings], folder / "data", labels="names", test=["*_[0-4].wav"])
        data = open_data(folder / "data")
        if given.judge is None:
            daedal.train("listener", data=folder / "data", out=folder / "ears", budget=300, threads=given.threads)
        judge = daedal.load(given.judge or folder / "ears")
        test = data.split("test")
        real = [Sound(each.values[:, 0].astype(np.float32) / 32768, each.rate) for each in test.values("sound")]
        said = list(zip(test.values("label"), test.values("speaker"), strict=True))
        print(json.dumps({"real recordings": heard(judge, real, said)}), flush=True)
        asked = [(what, who) for what in data.classes("label") for who in data.classes("speaker")] * given.each
        if given.only != "ours":
            for network in given.networks:
                found = ddpm(data, given.seconds, network, given.rate, asked, judge)
                print(json.dumps({f"diffusers DDPM, {network} U-Net": found}), flush=True)
        if given.only != "ddpm":
            found = ours(folder / "data", given.seconds, given.threads, folder / "voice", asked, judge)
            print(json.dumps({"daedal": found}), flush=True)


if __name__ == "__main__":
    main()
