"""Emoji after captions that name style and object ("noto red apple"), with pairs of style and object that were never trained.

    python benchmarks/emoji_captions.py PATH/TO/noto-emoji-72x72.zip PATH/TO/openmoji-72x72-color.zip [--minutes 30]
        [--run RUN] [--out runs/emoji-captions] [--quick]

- Data: drawings with a name, without those of a skin tone, at 32 pixels. Of one in ten objects that both archives have, chosen
  by a hash, one of the two drawings is held out: it is never trained, and the other is.
- Judge: a network that tells object and style of real drawings, trained on all of both styles, moved, turned, scaled,
  recoloured, blurred and noised. Chance is one in about 2,400. Beside its scores of drawn pictures stand those of real ones as
  the model's own tokenizer gives them back, which no drawing can exceed.
- Fair: no real drawing of a held-out pair is left to test that judge on, so a second one that never saw them is told as well:
  how often it finds the object of a style from the drawing of the other is what a network can know of a held-out pair at all.

The folder given by `--out` keeps all; what it has already is not made again. `--run` judges a run that is there.
"""

import argparse
import csv
import hashlib
import io
import json
import shutil
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import daedal
from composition import through
from daedal.data.images import ImageDataset
from daedal.inference.generator import Generator

SIDE, ONE_IN = 32, 10
WAYS: dict[str, dict[str, float]] = {
    "as it comes": {},
    "guidance 2, temperature 0.7": {"guidance": 2.0, "temperature": 0.7},
    "guidance 3, temperature 0.5": {"guidance": 3.0, "temperature": 0.5},
}

# --- data


def held_out(name: str, styles: Sequence[str]) -> str | None:
    """The style in which an object that all styles have is never trained, for one object in ten."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    return styles[number // ONE_IN % len(styles)] if number % ONE_IN == 0 else None


def unpack(archives: Sequence[Path], folder: Path) -> None:
    """Drawings as files, the held-out ones as the validation split, and a table of what they show."""
    drawings: dict[str, dict[str, tuple[str, bytes]]] = {}  # by style and name
    for path in archives:
        with zipfile.ZipFile(path) as archive:
            for row in csv.DictReader(io.StringIO(archive.read("captions.csv").decode())):
                if row["caption"] and row["skin_tone"] == "0":
                    data = archive.read(f"png/{row['file']}")
                    drawings.setdefault(row["style"], {}).setdefault(row["caption"], (row["codepoints"], data))
    shared = set.intersection(*(set(named) for named in drawings.values()))
    with (folder / "captions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "name", "style"])
        for style, named in drawings.items():
            for name, (points, data) in named.items():
                held = name in shared and held_out(name, sorted(drawings)) == style
                path = folder / ("validation" if held else "train") / f"{style}-{points}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
                table.writerow([path.name, name, style])


@dataclass(frozen=True)
class Drawings:
    """Real drawings.

    Attributes:
        pictures: uint8 [n side side 3].
        objects: the number of each one's object.
        styles: the number of each one's style.
    """

    captions: tuple[str, ...]
    pictures: np.ndarray
    objects: Tensor
    styles: Tensor

    def some(self, rows: np.ndarray) -> "Drawings":
        captions = tuple(self.captions[row] for row in rows)
        return Drawings(captions, self.pictures[rows], self.objects[rows], self.styles[rows])

    def __add__(self, other: "Drawings") -> "Drawings":
        return Drawings(
            self.captions + other.captions,
            np.concatenate((self.pictures, other.pictures)),
            torch.cat((self.objects, other.objects)),
            torch.cat((self.styles, other.styles)),
        )


def read(data: Path) -> tuple[Drawings, Drawings, int]:
    """What was trained, what was held out, and how many objects there are."""
    dataset = ImageDataset.open(data)
    splits = [dataset.split(name) for name in ("train", "validation")]
    styles, names = (
        sorted({caption.partition(" ")[place] for split in splits for caption in split.captions}) for place in (0, 2)
    )
    found = []
    for split in splits:
        told = [caption.partition(" ") for caption in split.captions]
        objects = torch.tensor([names.index(name) for _, _, name in told])
        found.append(
            Drawings(
                split.captions,
                np.asarray(split.images),
                objects,
                torch.tensor([styles.index(style) for style, _, _ in told]),
            )
        )
    return found[0], found[1], len(names)


# --- the judge


class Judge(nn.Module):
    """Pictures `[n 3 32 32]` from -1 to 1 to logits of objects and of two styles."""

    def __init__(self, objects: int) -> None:
        super().__init__()
        widths, strides = (3, 48, 96, 96, 192, 192), (2, 2, 1, 2, 1)
        self.stages = nn.Sequential(
            *(
                layer
                for place, stride in enumerate(strides)
                for layer in (
                    nn.Conv2d(widths[place], widths[place + 1], 3, stride, 1, bias=False),
                    nn.BatchNorm2d(widths[place + 1]),
                    nn.ReLU(),
                )
            ),
            nn.Flatten(),
            nn.Linear(widths[-1] * 16, 256, bias=False),
            nn.BatchNorm1d(256),
        )
        self.objects, self.styles = nn.Parameter(torch.randn(objects, 256)), nn.Linear(256, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stages(x)
        # angles alone: with two drawings of each object, lengths would only tell which was seen last
        return 20 * F.normalize(features) @ F.normalize(self.objects).T, self.styles(features)


def as_planes(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def varied(x: Tensor, draw: torch.Generator) -> Tensor:
    """Pictures moved, turned, scaled, recoloured, blurred and noised, as drawn ones may be."""

    def chance(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(x), *shape, generator=draw)

    angle, scale, moved = chance(-0.25, 0.25), chance(0.85, 1.15), chance(-0.15, 0.15, 2)
    turn = (
        torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), 1).unflatten(1, (2, 2))
        / scale[:, None, None]
    )
    places = F.affine_grid(torch.cat((turn, moved[..., None]), 2), list(x.shape), align_corners=False)
    x = 1 - F.grid_sample(1 - x, places, align_corners=False)  # outside all is white
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * chance(0.6, 1.4, 1, 1, 1)
    x = x * chance(0.8, 1.2, 1, 1, 1) + chance(-0.15, 0.15, 3, 1, 1)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, blurred, chance(-1.0, 1.0, 1, 1, 1).clamp(min=0))
    return (x + torch.randn(x.shape, generator=draw) * chance(0.0, 0.12, 1, 1, 1)).clamp(-1, 1)


def train_judge(real: Drawings, objects: int, views: int, batch: int = 32, rate: float = 3e-3) -> Judge:
    torch.manual_seed(0)
    judge, draw, steps = Judge(objects), torch.Generator().manual_seed(0), max(1, views // batch)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=rate, weight_decay=0.02)
    pictures, order = as_planes(real.pictures), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        share = step / steps
        optimizer.param_groups[0]["lr"] = rate * min(share / 0.1 + 0.05, (1 - share) / 0.9)
        if len(order) < batch:
            order = torch.cat((order, torch.randperm(len(pictures), generator=draw)))
        rows, order = order[:batch], order[batch:]
        said, style = judge(varied(pictures[rows], draw))
        loss = F.cross_entropy(said, real.objects[rows], label_smoothing=0.05) + 0.2 * F.cross_entropy(
            style, real.styles[rows]
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return judge.eval()


def kept_judge(path: Path, real: Drawings, objects: int, views: int) -> Judge:
    """The judge that the folder has, or a new one."""
    if path.exists():
        judge = Judge(objects)
        judge.load_state_dict(load_file(path))
        return judge.eval()
    start = time.process_time()
    judge = train_judge(real, objects, views)
    save_file(judge.state_dict(), path)
    print(f"{path.stem}: {time.process_time() - start:.0f} CPU seconds", flush=True)
    return judge


@torch.no_grad()
def scores(judge: Judge, pictures: np.ndarray, asked: Drawings) -> dict[str, float]:
    """Shares of pictures whose object is the judge's first guess, among its first five, and whose style is right."""
    said, style = (torch.cat(parts) for parts in zip(*map(judge, as_planes(pictures).split(256)), strict=True))
    right = said.topk(5).indices == asked.objects[:, None]
    return {
        "n": len(pictures),
        "top-1": right[:, 0].double().mean().item(),
        "top-5": right.any(1).double().mean().item(),
        "style": (style.argmax(1) == asked.styles).double().mean().item(),
    }


# --- the whole


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], enlarged: int = 2) -> Image.Image:
    """A line for each prompt: its words, then pictures."""
    side, words = SIDE * enlarged, 260
    page = Image.new("RGB", (words + side * max(len(pictures) for _, pictures in rows), side * len(rows)), "white")
    pen = ImageDraw.Draw(page)
    for row, (text, pictures) in enumerate(rows):
        pen.text((4, row * side + side // 2), text, fill="black", anchor="lm")
        for place, picture in enumerate(pictures):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            page.paste(large, (words + place * side, row * side))
    return page


def prepared(options: argparse.Namespace) -> Path:
    """The data folder."""
    data, pictures = options.out / "data", options.out / "pictures"
    if not data.exists():
        shutil.rmtree(pictures, ignore_errors=True)
        pictures.mkdir(parents=True)
        unpack(options.archives, pictures)
        daedal.build_data(pictures, data, size=SIDE, caption_template="{style} {name}", labels="none")
    return data


def trained(options: argparse.Namespace, data: Path) -> Path:
    """The run folder."""
    run = options.run or options.out / f"run-{options.minutes:g}m-{options.seed}"
    if not run.exists():
        start = time.process_time()
        shape: dict[str, Any] = {} if options.threads is None else {"threads": options.threads}
        budget = 60 * options.minutes
        result = daedal.train("text-to-image", data=data, out=run, budget=budget, seed=options.seed, **shape)
        print(f"{run}: {result.steps:,} steps, {time.process_time() - start:.0f} CPU seconds", flush=True)
    return run


def drawn(generator: Generator, how: dict[str, float], asked: Drawings, seed: int = 1) -> np.ndarray:
    found = generator.generate(len(asked.captions), prompt=list(asked.captions), seed=seed, **how)
    return np.stack([np.asarray(picture.image) for picture in found])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", type=Path, nargs=2, help="archives of drawings, each with a captions.csv")
    parser.add_argument("--minutes", type=float, default=30, help="for the training")
    parser.add_argument("--run", type=Path, help="judge this run, which was trained on the same data")
    parser.add_argument("--prompts", type=int, default=400, help="captions of each kind to draw, at most")
    parser.add_argument("--views", type=int, default=150_000, help="pictures that each judge is shown")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs") / "emoji-captions", help="where everything is kept")
    parser.add_argument("--quick", action="store_true", help="two minutes: only to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.prompts, options.views = min(options.minutes, 1), 20, 2000
    data = prepared(options)
    run = trained(options, data)
    train, held, objects = read(data)
    judge = kept_judge(options.out / f"judge-{options.views}.safetensors", train + held, objects, options.views)
    blind = kept_judge(options.out / f"judge-blind-{options.views}.safetensors", train, objects, options.views)
    both = np.flatnonzero(np.bincount(train.objects)[train.objects] == 2)
    order = np.random.default_rng(0)
    asked = {
        "trained": train.some(order.permutation(both)[: options.prompts]),
        "held-out": held.some(order.permutation(len(held.captions))[: options.prompts]),
    }
    generator = Generator.open(run)
    rows: list[dict[str, Any]] = []
    for part, drawings in asked.items():
        tell = partial(scores, asked=drawings)
        rows.append({"pictures": "real", "captions": part, **tell(judge, drawings.pictures)})
        kept = np.stack(through(generator)(list(drawings.pictures)))
        rows.append({"pictures": "real, through its tokens", "captions": part, **tell(judge, kept)})
        if part == "held-out":
            rows.append(
                {"pictures": "real, by a judge without them", "captions": part, **tell(blind, drawings.pictures)}
            )
        for way, how in WAYS.items():
            rows.append({"pictures": way, "captions": part, **tell(judge, drawn(generator, how, drawings))})
    columns = list(rows[0])
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(f'{value:.1%}' if isinstance(value, float) else str(value) for value in row.values())} |")
    name = f"{run.name}-judged"
    (options.out / f"{name}.json").write_text(json.dumps({"run": str(run), "objects": objects, "rows": rows}, indent=1))
    shown = [drawings.some(np.arange(min(12, len(drawings.captions)))) for drawings in asked.values()]
    how = WAYS["guidance 2, temperature 0.7"]
    lines = []
    for drawings in shown:
        tries = [drawn(generator, how, drawings, seed) for seed in range(1, 5)]
        for row, caption in enumerate(drawings.captions):
            lines.append((caption, [drawings.pictures[row], *(pictures[row] for pictures in tries)]))
    sheet(lines).save(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
