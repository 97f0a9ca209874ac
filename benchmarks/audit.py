"""How a model gives away what its training text repeats: passages and secrets that are planted 1 to 64 times, and what `audit`
says of them; its membership scores beside the papers' formulas, written plainly; how fast contamination is looked for.

    python benchmarks/audit.py DATA --out FOLDER [--budget 5m] [--audit 60s] [--passages 8] [--threads 2]

DATA is text of any kind that `daedal data build` reads, `python-docs` too. Passages of `--words` words of documents that are
in neither split are planted; duplicates are not left out.
"""

import argparse
import json
import time
import zlib
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

import daedal
from daedal import api
from daedal.data.contamination import contaminated
from daedal.data.shards import Dataset
from daedal.evaluation.audit.extraction import greedy
from daedal.evaluation.audit.membership import Side, membership
from daedal.evaluation.audit.passages import Passages, common_length, draw
from daedal.evaluation.audit.predictions import predict
from daedal.evaluation.audit.text import baseline
from daedal.evaluation.documents import Documents
from daedal.evaluation.kinds.text import read_texts
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT

TIMES = (1, 2, 4, 8, 16, 32, 64)
NAMES = ("Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ivy", "Jo", "Kit", "Lou", "Max", "Nan", "Oz", "Pam")


def planted(texts: list[str], passages: int, words: int, folder: Path, seed: int) -> tuple[Path, dict[str, int]]:
    """The texts as files, with passages and secrets among them so often as `TIMES` says; and the passages."""
    draw_ = np.random.default_rng(seed)
    taken = draw_.permutation([number for number, text in enumerate(texts) if len(text.split()) > 2 * words])
    taken = taken[: passages * len(TIMES)]
    kept = [text for number, text in enumerate(texts) if number not in set(taken.tolist())]
    known: dict[str, int] = {}
    for number, place in enumerate(taken.tolist()):
        split = texts[place].split(" ")
        at = int(draw_.integers(0, max(1, len(split) - words)))
        known[" ".join(split[at : at + words])] = TIMES[number % len(TIMES)]
    held = max(20, len(kept) // 10)
    order = draw_.permutation(len(kept)).tolist()
    train, secrets = order[held:], []
    for number in range(2 * len(TIMES)):
        digits = "".join(map(str, draw_.integers(0, 10, size=9)))
        text = f"The secret of {NAMES[number]} is {digits}."
        for _ in range(TIMES[number % len(TIMES)]):  # a line of its own in a document, wherever
            place = train[int(draw_.integers(len(train)))]
            lines = kept[place].split("\n")
            lines.insert(int(draw_.integers(len(lines) + 1)), text)
            kept[place] = "\n".join(lines)
        secrets.append({"text": text, "secret": digits, "repeats": TIMES[number % len(TIMES)]})
    again = [text for text, times in known.items() for _ in range(times)]
    for name, some in (("train", [kept[n] for n in train] + again), ("validation", [kept[n] for n in order[:held]])):
        rows = (json.dumps({"text": text}) + "\n" for text in some)
        (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")
    data = folder / "data"
    api.build_data(
        [folder / "train.jsonl"], data, "text", validation=(str(folder / "validation.jsonl"),), split=(1.0, 0.0, 0.0),
        exact_duplicates=False, near_duplicates="off", split_by="content", replace=True,
    )  # fmt: skip
    shape = {"template": "The secret of {name} is {secret}.", "alphabet": "0123456789", "length": 9}
    (data / "canaries.json").write_text(json.dumps({"format": shape, "secrets": secrets}), encoding="utf-8")
    return data, known


def by_repeats(model: GPT, train: Documents, known: dict[str, int], length: int) -> None:
    """What comes back of the passages that were planted, by how often."""
    rows, times = [], []
    for text, often in known.items():
        ids = train.codec.encode(text)
        if len(ids) >= length:
            rows.append([train.prefix, *ids[:length]])
            times.append(often)
    passages = Passages(np.array(rows), np.arange(len(rows)))
    said = predict(model, passages)
    back, loss = greedy(said, passages.given), -said.nats[:, passages.given :].mean(1)
    print(f"\nplanted passages of {length} tokens: half is given, half is to come back")
    print(f"{'planted':>8} {'passages':>9} {'loss':>7} {'extractable':>12}")
    for often in TIMES:
        mine = np.array(times) == often
        if mine.any():
            print(f"{often:8d} {mine.sum():9d} {loss[mine].mean():7.3f} {back[mine].mean():12.2f}")


def plainly(model: GPT, members: Side, others: Side) -> dict[str, float]:
    """The areas of the attacks, passage by passage, as their papers write them."""
    scores: dict[str, list[float]] = {"loss": [], "zlib": [], "min-k": [], "min-k++": []}
    for side in (members, others):
        for row, text in zip(side.passages.rows, side.texts(), strict=True):
            ids = torch.from_numpy(row[None])
            with torch.no_grad():
                logs = model(ids[:, :-1])[0].double().log_softmax(-1)
            nats = logs.gather(1, ids[0, 1:, None])[:, 0]
            mean = (logs.exp() * logs).sum(-1)
            deviation = ((logs.exp() * logs.square()).sum(-1) - mean.square()).sqrt()
            count = int(0.2 * len(nats))
            scores["loss"].append(float(nats.mean()))
            scores["zlib"].append(float(nats.mean()) / len(zlib.compress(text)))
            scores["min-k"].append(float(nats.sort().values[:count].mean()))
            scores["min-k++"].append(float(((nats - mean) / deviation).sort().values[:count].mean()))
    labels = [1] * len(members.passages) + [0] * len(others.passages)
    return {name: float(roc_auc_score(labels, each)) for name, each in scores.items()}


def scan(texts: list[str]) -> None:
    """Words a second of a core, and tokens as the data count them."""
    words = sum(len(text.split()) for text in texts)
    test = [" ".join(text.split()[5:45]) for text in texts[:500]]
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        found = contaminated(iter(texts), test)
        best = max(best, words / (time.process_time() - began))
    print(
        f"\ncontamination: {words:,} words, {best / 1e6:.2f} million words a second of a core; {found.mean():.0%} found"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--audit", default="60s")
    parser.add_argument("--passages", type=int, default=8, help="of each number of repeats")
    parser.add_argument("--words", type=int, default=120)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    texts = read_texts(asked.data).texts
    asked.out.mkdir(parents=True, exist_ok=True)
    data, known = planted(texts, asked.passages, asked.words, asked.out, asked.seed)
    run = asked.out / "run"
    if not (run / "model.safetensors").is_file():
        daedal.train("gpt", data=data, out=run, budget=asked.budget, seed=asked.seed)
    began = time.perf_counter()
    report = api.audit(run, budget=asked.audit)
    print(report.summary())
    print(f"\naudit took {time.perf_counter() - began:.1f} s")
    for block in report.blocks:
        if block.kind == "table" and block.title in ("Planted secrets", "Duplicates and memorization"):
            print(f"\n{block.title}\n{'  '.join(block.head)}")
            for row in block.rows:
                print("  ".join(f"{each:.3f}" if isinstance(each, float) else str(each) for each in row))
    generator = Generator.open(run)
    dataset = Dataset.open(data)
    train, held = (Documents.of_split(dataset.split(name), generator.codec) for name in ("train", "validation"))
    length = common_length(generator.model.config.context, train, held)
    by_repeats(generator.model, train, known, length)
    sides = []
    for documents in (train, held):
        passages = draw(documents, length, 200, asked.seed)
        sides.append(Side(documents, passages, predict(generator.model, passages)))
    ours = {each.name: each.value for each in membership(sides[0], sides[1], baseline).measurements}
    print("\nAUC, ours and plainly:")
    for name, value in plainly(generator.model, sides[0], sides[1]).items():
        print(f"  {name:8} {ours[f'AUC by {name}']:.6f} {value:.6f}")
    scan(texts)


if __name__ == "__main__":
    main()
