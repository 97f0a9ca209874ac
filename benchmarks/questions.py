"""Questions about articles that were never seen: an answerer from nothing, beside the span by overlap of words.

    python benchmarks/questions.py PATH/TO/xquad.en.json --text TEXT... [--seconds 1200] [--init BERT] [--out FOLDER]

Questions are made of the text (a name, a number or a date cut out of a sentence; Lewis et al. 2019) and of the paragraphs of
two thirds of XQuAD's articles. The model learns from them first, then from the questions of those articles, and is asked those
of the others. `--init` begins with a BERT of one's own in place of nothing.
"""

import argparse
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import daedal


def parted(path: Path, home: Path, seed: int) -> list[str]:
    """Two files of SQuAD's layout, of other articles each; gives the paragraphs of the first."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    Random(seed).shuffle(articles)
    border = 2 * len(articles) // 3
    for name, some in (("learned", articles[:border]), ("asked", articles[border:])):
        (home / f"{name}.json").write_text(json.dumps({"version": "1.1", "data": some}), encoding="utf-8")
    return [each["context"] for article in articles[:border] for each in article["paragraphs"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--seconds", type=float, default=1200, help="of training, four fifths of them on made questions"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--init", help="a BERT to begin with")
    parser.add_argument("--out", type=Path, default=Path("questions"))
    asked = parser.parse_args()
    home: Path = asked.out
    home.mkdir(parents=True, exist_ok=True)
    paragraphs = parted(asked.data, home, asked.seed)
    (home / "learned.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    tokens: dict[str, Any] = {"codec": "bpe", "vocab_size": asked.vocab_size}
    files = [file for given in asked.text for file in (sorted(given.rglob("*.*")) if given.is_dir() else [given])]
    for number, file in enumerate(files):  # by other names: of one file called test.txt all would be held out
        shutil.copyfile(file, home / f"text-{number}{file.suffix}")
    read = [home / f"text-{number}{file.suffix}" for number, file in enumerate(files)]
    daedal.build_data([*read, home / "learned.txt"], home / "made", "questions", from_text=True, **tokens)
    daedal.build_data([home / "learned.json"], home / "real", test=[str(home / "asked.json")], **tokens)
    common: dict[str, Any] = {"threads": 1, "seed": asked.seed}
    first, last = home / "first", home / "last"
    if not (first / "evaluation.json").exists():
        first_seconds = f"{0.8 * asked.seconds:.0f}s"
        begin = {"init": asked.init} if asked.init else {}
        daedal.train("answerer", data=home / "made", out=first, budget=first_seconds, **begin, **common)
    if not (last / "evaluation.json").exists():
        last_seconds = f"{0.2 * asked.seconds:.0f}s"
        daedal.train("answerer", data=home / "real", out=last, budget=last_seconds, init=str(first), **common)
    for run in (first, last):
        found = daedal.evaluate(run, data=home / "real", split="test")
        for name, each in (
            *(("", one) for one in found.measurements),
            *((b.name, one) for b in found.baselines for one in b.measurements),
        ):
            low, high = each.interval or (each.value, each.value)
            print(
                f"{run.name:6} {name or 'daedal':20} {each.name:30} {each.value:.3f} [{low:.3f}, {high:.3f}]",
                flush=True,
            )


if __name__ == "__main__":
    main()
