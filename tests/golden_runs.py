"""Tiny runs of every family for test_golden.py: what they learn, draw and are measured at."""

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import daedal
from command_line import daedal as command
from golden_pictures import box, boxes, png
from golden_texts import digest, tale, write

RUN: dict[str, Any] = {
    "steps": 24, "batch": 8, "threads": 1, "precision": "fp32", "device": "cpu", "seed": 1, "log_every": 4,
    "evaluate_every": 12, "sample_every": 1000, "checkpoint_every": 1000, "learning_rate": 2e-3, "muon_learning_rate": 5e-3,
    "ema": 0.0,
}  # fmt: skip
GPT = {"width": 16, "depth": 1, "heads": 2, "kv_heads": 1, "head_width": 8, "mlp_width": 32}
VQVAE: dict[str, Any] = {"filters": 8, "depth": 1, "halvings": 1, "levels": (4, 4)}
FLOW = {"features": 8, "levels": 1, "text_width": 32, "text_depth": 1}
BY_CLASS = {"condition": "class", "features": 8, "levels": 1}
GAN = {"breadth": 8, "widest": 8, "latent": 4, "penalty_interval": 2, "learning_rate": 5e-4, "ema": 0.9}
GRID = {"filters": 8, "depth": 1, "halvings": 1, "latent": 0, "grid": 2}
SEED = 3
PROMPT = "a red box on the left of a blue wall"
CHURNED: dict[str, Any] = {"slow": True, "steps": 6, "churn": 2.0, "solver": "euler"}
BY_WORDS: dict[str, Any] = {"prompt": PROMPT, "guidance": 3.0}


class House:
    """Data and codecs that several families share, made when first asked for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.text = cache(self._text)
        self.pictures = cache(self._pictures)
        self.later = cache(self._later)

    def _text(self) -> Path:
        source = write(self.place / "tales.jsonl", "".join(json.dumps({"text": tale(n, 4)}) + "\n" for n in range(90)))
        daedal.build_data([source], self.place / "text", workers=1, codec="bpe", vocab_size=300)
        return self.place / "text"

    def _pictures(self) -> Path:
        boxes(self.place / "boxes", 120)
        how: dict[str, Any] = {"near_duplicates": "off", "split": (90.0, 10.0, 0.0)}
        daedal.build_data([self.place / "boxes"], self.place / "pictures", workers=1, **how)
        return self.place / "pictures"

    def _later(self) -> Path:
        """Pictures to be measured against, none of which was learned."""
        boxes(self.place / "more", 120, first=500)
        how: dict[str, Any] = {"near_duplicates": "off", "split": (50.0, 0.0, 50.0)}
        daedal.build_data([self.place / "more"], self.place / "later", workers=1, **how)
        return self.place / "later"

    def run(self, family: str, on_text: bool = False, **options: Any) -> Path:
        out = self.place / f"{family}-{digest([on_text, {name: str(value) for name, value in options.items()}])}"
        if not out.exists():
            torch.set_num_threads(1)
            data = self.text() if on_text else self.pictures()
            daedal.train(family, data=data, out=out, **{**RUN, **options})
        return out


def text(house: House) -> dict[str, Any]:
    run = house.run("gpt", on_text=True, **GPT, context=32)
    writer = daedal.load(run)
    sampled = writer.generate(["The king", ""], n=2, seed=SEED, max_tokens=12, temperature=0.8, top_p=0.9)
    return {
        **learned(run),
        "greedy": str(writer.generate("The king", temperature=0, max_tokens=24)[0]),
        "sampled": [str(one) for one in sampled],
        "score": writer.score(tale(999)).model_dump(exclude={"tokens"}),
        "report": measured(json.loads((run / "evaluation.json").read_text())),
    }


def pictured(house: House, run: Path, slow: bool = False, searches: bool = False, **how: Any) -> dict[str, Any]:
    """What a run on pictures learned, draws, tells of a given picture, and is measured at.

    Args:
        slow: it goes back to latents in many steps: then it is not measured, and gives back no pictures.
        searches: it finds latents by a search, whose end is another on another machine.
        how: how to draw.
    """
    artist = daedal.load(run, device="cpu")
    given = [png(box(number)[0]) for number in (700, 713)]
    steps = {name: how[name] for name in ("steps",) if name in how}
    told: dict[str, Any] = {**learned(run), "capabilities": sorted(artist.capabilities)}
    if "sample" in artist.capabilities:
        told["drawn"] = pixels([one.image for one in artist.generate(3, seed=SEED, **how)])
    if "edit" in artist.capabilities:
        told["edited"] = pixels([one.image for one in artist.edit(given[0], None, 2, seed=SEED, strength=0.5, **steps)])
    if "interpolate" in artist.capabilities:
        told["morphed"] = pixels(list(artist.interpolate([1, 2 if searches else given[0]], frames=3, **steps).frames))
    if "reconstruct" in artist.capabilities and not slow:
        told["errors"] = [one.mse for one in artist.reconstruct(given)]
    if "score" in artist.capabilities:
        told["scores"] = [one.log_likelihood for one in artist.score(given)]
    if "caption" in artist.capabilities:
        told["captions"] = artist.caption(given) + artist.caption(given, seed=SEED, temperature=1.0)
    if "match" in artist.capabilities:
        told["matches"] = artist.probabilities(given, ["a red box", "a green wall", "left"]).tolist()
    if slow:
        return told
    # in time for all that there is: sizes by the speed of the machine would be others on others
    report = daedal.evaluate(run, house.later(), samples=24, extractor="random", seconds=1e5, seed=SEED)
    return told | {"report": measured(report.model_dump(mode="json"))}


def flow_of_codes(house: House) -> dict[str, Any]:
    codec = house.run("vae", **GRID)
    run = house.run("flow", codec=codec, features=8, levels=1)
    return {"codec": learned(codec), **pictured(house, run, slow=True, steps=8)}


def gpt_of_tokens(house: House) -> dict[str, Any]:
    codec = house.run("vqvae", **VQVAE)
    run = house.run("gpt", codec=codec, condition="class", **GPT)
    return {"codec": learned(codec), **pictured(house, run, label="left", guidance=2.0, temperature=0.9)}


def text_to_image(house: House) -> dict[str, Any]:
    codec = house.run("vqvae", **VQVAE)
    run = house.run("text-to-image", codec=codec, **GPT)
    asked = (
        "--prompt",
        PROMPT,
        "-n",
        "2",
        "--seed",
        str(SEED),
        "--best-of",
        "3",
        "--json",
        "--out",
        house.place / "best.png",
    )
    best = [one["number"] for one in json.loads(command("generate", run, *asked, "--replace").out)]
    return {"best": best, **pictured(house, run, **BY_WORDS, top_k=8)}


def text_to_image_in_two_stages(house: House) -> dict[str, Any]:
    run = house.run("text-to-image", steps=4, **GPT)
    return {"tokens": learned(run / "training" / "tokens"), **learned(run)}


def simple(family: str, how: dict[str, Any] | None = None, **options: Any) -> Callable[[House], dict[str, Any]]:
    """A family that learns pictures as they are."""
    return lambda house: pictured(house, house.run(family, **options), **(how or {}))


FAMILIES: dict[str, Callable[[House], dict[str, Any]]] = {
    "gpt": text,
    "vae": simple("vae", {"label": "right"}, condition="class", filters=8, depth=1, halvings=1, latent=4, couplings=2),
    "vqvae": simple("vqvae", **VQVAE),
    "vqvae that learns its codes": simple("vqvae", quantizer="vq", codes=16, filters=8, depth=1, halvings=1),
    "gan": simple("gan", {"slow": True, "searches": True}, **GAN),
    "flow": simple("flow", {"label": "left", "slow": True, "steps": 8, "guidance": 2.0}, **BY_CLASS),
    "flow of codes": flow_of_codes,
    "gpt of tokens": gpt_of_tokens,
    "clip": simple("clip", breadth=8, widest=16, features=32, text_width=32, text_depth=1, embedding=16),
    "text to image": text_to_image,
    "text to image in two stages": text_to_image_in_two_stages,
    "text to image by a flow": simple("text-to-image", {**BY_WORDS, **CHURNED}, prior="flow", **FLOW),
}  # fmt: skip


def learned(run: Path) -> dict[str, Any]:
    """The losses of a run, and all that is beside them, but for what tells of time."""
    records = [json.loads(line) for line in (run / "training" / "metrics.jsonl").read_text().splitlines()]
    timed = ("seconds", "tokens_per_second", "pictures_per_second")
    return {"metrics": [{name: value for name, value in one.items() if name not in timed} for one in records]}


def measured(report: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a report with the ends of their intervals, its baselines', and what it was measured on."""

    def numbers(measurements: list[dict[str, Any]]) -> dict[str, Any]:
        return {one["definition"]: [one["value"], *(one["interval"] or [])] for one in measurements}

    beside = {
        one["name"]: numbers(one["measurements"]) if "measurements" in one else numbers([one["bits_per_byte"]])
        for one in report["baselines"]
        if not one["name"].startswith(("gzip", "zstd"))  # as their libraries compress
    }
    facts = {name: value for name, value in report["data"].items() if isinstance(value, int)}
    return {"own": numbers(report["measurements"]), "baselines": beside, "data": facts}


def pixels(images: list[Image.Image]) -> list[dict[str, str]]:
    """Pictures as they are compared."""
    return [{"size": f"{one.width}x{one.height}", "pixels": base64.b64encode(one.tobytes()).decode()} for one in images]
