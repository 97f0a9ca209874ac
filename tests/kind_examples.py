"""A few files of each kind of example with columns, in the layouts in which people have them."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
from PIL import Image

WORDS = "meadow harbour engine winter river copper garden signal market window lantern valley".split()  # noqa: SIM905


def sentence(seed: int, words: int = 7) -> str:
    """A sentence of its own for each seed."""
    return (
        " ".join(WORDS[(seed * 7 + place * (3 + seed % 5)) % len(WORDS)] for place in range(words)) + f" number {seed}"
    )


def labelled(folder: Path) -> Path:
    """SST-2: three files of a text and 0 or 1 a line, without names of columns."""
    for split, count, begin in (("train", 40, 0), ("dev", 8, 100), ("test", 8, 200)):
        lines = [f"{sentence(begin + row)}\t{row % 2}" for row in range(count)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def pairs(folder: Path) -> Path:
    """Multi30k: a gzipped file of lines for each language and split."""
    for split, count, begin in (("train", 40, 0), ("val", 6, 100), ("test_2016_flickr", 6, 200)):
        for language in ("de", "en"):
            lines = [f"{language} {sentence(begin + row)}" for row in range(count)]
            (folder / f"{split}.{language}.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return folder


def questions(folder: Path) -> Path:
    """SQuAD 2.0: paragraphs with questions, of which some have no answer."""
    paragraphs = []
    for number in range(24):
        context = f"The {sentence(number)}. It stands in Grüntal {number}."
        start = context.index("Grüntal")
        answer = {"text": f"Grüntal {number}", "answer_start": start}
        asked = [
            {
                "id": f"{number}a",
                "question": f"Where does number {number} stand?",
                "answers": [answer],
                "is_impossible": False,
            },
            {"id": f"{number}b", "question": f"Who owns number {number}?", "answers": [], "is_impossible": True},
        ]
        paragraphs.append({"context": context, "qas": asked})
    (folder / "squad.json").write_text(
        json.dumps({"version": "v2.0", "data": [{"title": "A", "paragraphs": paragraphs}]})
    )
    return folder / "squad.json"


def tagged(folder: Path) -> Path:
    """CoNLL-2003: a word a line with its part of speech, its phrase and its name in IOB1; documents and sentences apart."""
    for split, count, begin in (("train", 40, 0), ("testa", 6, 100), ("testb", 6, 200)):
        lines = ["-DOCSTART- -X- O O", ""]
        for row in range(begin, begin + count):
            lines += [f"{word} NN I-NP O" for word in sentence(row).split()]
            lines += [
                "of IN I-PP O",
                "Green NNP I-NP I-LOC",
                f"Valley{row} NNP I-NP I-LOC",
                "Ann NNP B-NP I-PER",
                ". . O O",
                "",
            ]
        (folder / f"eng.{split}").write_text("\n".join(lines) + "\n")
    return folder


def chat(folder: Path) -> Path:
    """Alpaca: instructions, some with an input, and outputs."""
    rows = [
        {
            "instruction": f"Say {sentence(row, 3)}.",
            "input": sentence(row, 2) if row % 3 == 0 else "",
            "output": sentence(row),
        }
        for row in range(40)
    ]
    (folder / "alpaca.json").write_text(json.dumps(rows))
    return folder / "alpaca.json"


def preferences(folder: Path) -> Path:
    """Pairs of answers to a conversation in ShareGPT's form."""
    rows = [
        {
            "conversations": [{"from": "human", "value": f"Tell me of {sentence(row, 3)}."}],
            "chosen": {"from": "gpt", "value": sentence(row)},
            "rejected": {"from": "gpt", "value": sentence(row + 1, 2)},
        }
        for row in range(40)
    ]
    (folder / "dpo.json").write_text(json.dumps(rows))
    return folder / "dpo.json"


def histories(folder: Path) -> Path:
    """MovieLens: a row for each rating, and the titles of the films in another table."""
    ratings = [
        f"{user},{(user * 3 + place * 7) % 20},{1 + (user + place) % 5}.0,{10**9 + user * 1000 - place}"
        for user in range(1, 41)
        for place in range(4)
    ]
    ratings.insert(0, "userId,movieId,rating,timestamp")
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n")
    films = ["movieId,title,genres", *(f'{film},"Film, the {film}th (1995)",Drama' for film in range(20))]
    (folder / "movies.csv").write_text("\n".join(films) + "\n")
    return folder


def tunes(folder: Path) -> Path:
    """JSB chorales: for each step the pitches that sound, in splits of their own."""

    def chorale(seed: int) -> list[list[int]]:
        chance = random.Random(seed)
        tops = [chance.randint(67, 79) for _ in range(24)]
        return [sorted({top - 24, top - chance.randint(8, 10), top - 5, top}) for top in tops]

    splits = {"train": range(40), "valid": range(100, 106), "test": range(200, 206)}
    (folder / "chorales-quarter.json").write_text(
        json.dumps({name: [chorale(seed) for seed in seeds] for name, seeds in splits.items()})
    )
    return folder / "chorales-quarter.json"


def sounds(folder: Path) -> Path:
    """Free Spoken Digits: recordings that are named by class, speaker and number, and a table of what is said."""
    rows = ["file_name,transcription"]
    for number in range(48):
        label, speaker = number % 4, ("ada", "bob")[number // 4 % 2]
        name = f"{label}_{speaker}_{number}.wav"
        wav(folder / name, tone(300 * (1 + label) + number, 0.1 + 0.001 * number))
        rows.append(f"{name},{WORDS[label]} {WORDS[label + 1]}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


def tone(pitch: float, seconds: float, rate: int = 8000, size: float = 0.5) -> np.ndarray:
    """A sine, in Hz, of 16 bits."""
    return (size * 32767 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def wav(path: Path, samples: np.ndarray, rate: int = 8000, **how: str) -> Path:
    """A sound file, in the format that its name says."""
    soundfile.write(path, samples, rate, **how)
    return path


def clips(folder: Path) -> Path:
    """Animated GIFs, and a table with their captions."""
    rows = ["file,caption"]
    for number in range(48):
        shown = [Image.new("RGB", (16, 16), (5 * number, 40 * each, 0)) for each in range(4)]
        shown[0].save(folder / f"{number}.gif", save_all=True, append_images=shown[1:], duration=100)
        rows.append(f"{number}.gif,{WORDS[number % 12]} {number}")
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder


MADE: dict[str, Callable[[Path], Path]] = {
    "labelled": labelled,
    "pairs": pairs,
    "questions": questions,
    "tagged": tagged,
    "chat": chat,
    "preferences": preferences,
    "histories": histories,
    "tunes": tunes,
    "sounds": sounds,
    "clips": clips,
}
