"""What little data comes to: held-out loss at the end of a run and at its best, with the plan's guards against overfitting and
without.

    python benchmarks/small_data.py DIGITS.png-folder|MNIST-folder EMOJI.zip TEXT [--out runs/small-data] [--only pictures] [--quick]

- pictures: a VAE on 900 digits (MNIST's idx files are read in place; a folder of pictures is taken as it is)
- emoji: a GPT over the tokens of 1,800 drawings with captions, after a tokenizer that both arms share
- text: a GPT on 300 documents, paragraphs of more than 300 characters
- steps: what an idle machine of two cores does in a budget of 3 minutes, as a number, so that a busy one changes nothing; one
  thread, and a model of the size that such a machine is given
- saved: the validation loss of the weights that are saved for use

The folder given by `--out` keeps all; what it has already is not run again.
"""

import argparse
import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import daedal
from daedal.training.run import RunFolder

MACHINE: dict[str, Any] = {"threads": 1, "precision": "fp32", "device": "cpu"}
SET: dict[str, tuple[str, int, dict[str, Any]]] = {
    "pictures": ("vae", 4000, {}),
    "emoji": ("gpt", 1600, {"condition": "caption"}),
    "text": ("gpt", 1500, {}),
}
"""Family, steps, and values of the plan."""
UNGUARDED: dict[str, Any] = {"keep": "last", "dropout": 0.0, "flip": False}


def digits(source: Path, folder: Path) -> None:
    with gzip.open(source / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 900 * 784), np.uint8)[16:].reshape(900, 28, 28)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index:03d}.png")


def emoji(source: Path, folder: Path) -> None:
    with zipfile.ZipFile(source) as archive, (folder / "captions.csv").open("w", newline="") as file:
        rows = csv.DictReader(io.StringIO(archive.read("captions.csv").decode()))
        chosen = [row for row in rows if row["caption"] and row["skin_tone"] == "0"][:1800]
        table = csv.writer(file)
        table.writerow(["file", "caption"])
        for row in chosen:
            (folder / row["file"]).write_bytes(archive.read(f"png/{row['file']}"))
            table.writerow([row["file"], row["caption"]])


def text(source: Path, folder: Path) -> None:
    paragraphs = [line.strip() for line in source.read_text(encoding="utf-8").splitlines() if len(line) > 300]
    for index, paragraph in enumerate(paragraphs[:300]):
        (folder / f"{index:03d}.txt").write_text(paragraph, encoding="utf-8")
