"""CLIP: ours beside Transformers' `CLIPModel`, from random weights on the same pairs, as many CPU seconds, one thread each.

    python benchmarks/clip_race.py DATA [--seconds 100] [--rate 1e-3] [--seed 0] [--quick] [--out FOLDER]

DATA is a data folder of captioned pictures. Ours trains by `daedal.train` with nothing set but steps, seed and threads, for
about so many seconds; the other then gets as many as ours took, planning and measuring included. The other: a vision
transformer and a causal text transformer of about as many weights, its own contrastive loss, AdamW (betas of the paper) with a
cosine, the same batch, tokens and precision. Both are measured by `retrieval` on the same held-out pairs.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import daedal
from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.retrieval import distinct, retrieval
from daedal.evaluation.measurement import Measurement
from daedal.inference.generator import Generator
from daedal.training.run import RunFolder

HELD_OUT = 1000
_TRIAL = 10  # steps that tell how long one takes


def ours(data: Path, out: Path, seconds: float, seed: int) -> tuple[Generator, float]:
    """A CLIP of ours, and the CPU seconds that it took."""

    def train(name: str, steps: int) -> float:
        start = time.process_time()
        daedal.train("clip", data=data, out=out / name, steps=steps, seed=seed, threads=1)
        return time.process_time() - start

    train("warm", 1)  # what is imported, and compiled, once
    short, long = train("short", 1), train("long", 1 + _TRIAL)
    took = train("ours", max(1, 1 + int((seconds - short) * _TRIAL / (long - short))))
    judge = daedal.load(out / "ours")
    assert isinstance(judge, Generator)
    return judge, took


class Theirs:
    """Transformers' CLIP, with our codecs of pictures and captions."""

    def __init__(self, captions: CaptionCodec, side: int, seed: int) -> None:
        from transformers import CLIPConfig, CLIPModel

        torch.manual_seed(seed)
        self.end, self.captions = captions.vocab_size, captions
        text = {
            "vocab_size": captions.vocab_size + 1, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2,
            "num_attention_heads": 4, "max_position_embeddings": captions.window + 1, "eos_token_id": self.end,
            "bos_token_id": 0, "pad_token_id": self.end,
        }  # fmt: skip
        vision = {
            "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
            "image_size": side, "patch_size": max(4, side // 8),
        }  # fmt: skip
        self.model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=64))

    def ids(self, texts: list[str]) -> Tensor:
        """Words from the left on, then ends: what is behind the first is not seen."""
        rows = F.pad(self.captions.encode(texts), (0, 1), value=-1)
        order = (rows < 0).int().argsort(stable=True, dim=1)
        rows = rows.gather(1, order)
        return torch.where(rows < 0, self.end, rows)

    def train(self, data: ImageDataset, batch: int, seconds: float, rate: float, bf16: bool, seed: int) -> int:
        """Steps that were taken in so many CPU seconds."""
        start, train = time.process_time(), data.split("train")
        ids, draw, steps = self.ids(list(train.captions)), np.random.default_rng(seed), 0
        optimizer = torch.optim.AdamW(self.model.parameters(), rate, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)
        order: np.ndarray = draw.permutation(train.count)
        self.model.train()
        while (done := (time.process_time() - start) / seconds) < 1:
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, done / 0.03) * (1 + math.cos(math.pi * done)) / 2
            if len(order) < batch:
                order = draw.permutation(train.count)
            some, order = np.sort(order[:batch]), order[batch:]
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = self.model(
                    input_ids=ids[torch.from_numpy(some)],
                    pixel_values=data.codec.encode_batch(train.images[some]),
                    return_loss=True,
                ).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            steps += 1
        self.model.eval()
        return steps

    @torch.no_grad()
    def embed(self, images: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=self.ids(texts), pixel_values=images)
        return out.image_embeds.float(), out.text_embeds.float()


def row(name: str, found: list[Measurement], **facts: Any) -> str:
    cells = [each.shown() for each in found]
    return "| " + " | ".join([name, *(f"{value}" for value in facts.values()), *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of the other")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where our run stays; nowhere unless given")
    parser.add_argument("--quick", action="store_true", help="five seconds: only to see that it runs")
    options = parser.parse_args()
    seconds = 5.0 if options.quick else options.seconds
    torch.set_num_threads(1)
    data = ImageDataset.open(options.data)
    held = data.split("test")
    kept = spread(held.count, min(held.count, HELD_OUT))
    pictures = np.asarray(held.images[kept])
    texts, right = distinct([held.captions[place] for place in kept])
    about = {"data_hash": held.fingerprint, "model_hash": ""}

    with tempfile.TemporaryDirectory() as folder:
        judge, took = ours(options.data, options.out or Path(folder), seconds, options.seed)
        run = RunFolder((options.out or Path(folder)) / "ours")
        plan = run.plan
        assert judge.captions is not None
        found, chance = retrieval(judge.embed_pictures(list(pictures)), judge.embed_texts(texts), right, **about)
        rows = [row("ours", found, weights=judge.model.parameter_count, steps=plan.steps, seconds=f"{took:.0f}")]
        other = Theirs(judge.captions, data.codec.height, options.seed)
        start = time.process_time()
        steps = other.train(data, plan.batch, took, options.rate, plan.precision == "bf16", options.seed)
        took = time.process_time() - start
        found, _ = retrieval(*other.embed(data.codec.encode_batch(pictures), texts), right, **about)
        weights = sum(parameter.numel() for parameter in other.model.parameters())
        rows.append(row("Transformers' CLIPModel", found, weights=weights, steps=steps, seconds=f"{took:.0f}"))
    head = ["", "weights", "steps", "CPU seconds", *(each.name for each in found)]
    print(f"{len(pictures)} pictures, {len(texts)} texts; batches of {plan.batch}, {plan.precision}\n")
    print("\n".join(["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1), *rows]))
    print(row("chance", list(chance.measurements), weights="", steps="", seconds=""))


if __name__ == "__main__":
    main()
