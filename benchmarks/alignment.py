"""Film reviews that come to be kind: PPO, GRPO, DPO and KTO from the same start, in the same time, by a reward that another
classifier checks.

    python benchmarks/alignment.py SENTENCES SST2 [--seconds 600] [--seeds 0 1 2] [--methods dpo kto ppo grpo] [--out DIR]

- SENTENCES is NLTK's `sentence_polarity.zip`: of each sentence the first four words are a prompt and the rest is its answer,
  and a GPT learns them from nothing (`--start` seconds). Two classifiers learn one half each of SST-2's training sentences
  (SST2/train.tsv): the log-odds of "positive" by the first are the reward; the second, which no method sees, is the gold.
- DPO and KTO learn from answers of the start to training prompts, four to each: of the best and the worst by the reward. PPO
  and GRPO answer themselves. Nothing is set but the budget and the seed.
- All answer the same 300 held-out prompts at temperature 1: mean reward and gold, the share that the gold finds positive, the
  divergence from the start in nats an answer, tokens, and distinct trigrams. Records are kept in `--out`, with
  `alignment.svg`: gold and reward against the root of the divergence.
"""

import argparse
import json
import math
import random
import time
import zipfile
from pathlib import Path
from statistics import fmean
from typing import Any

import daedal
from daedal.alignment.rewards import Asked, reward_of
from daedal.alignment.rollout import generate, log_probabilities
from daedal.alignment.subject import Subject
from daedal.evaluation.means import mean_interval
from daedal.training.run import RunFolder

METHODS = ("dpo", "kto", "ppo", "grpo")
WORDS, HELD, ANSWER, PAIRED, TRIED = 4, 300, 40, 1500, 4
COLOURS = {"start": "#888", "dpo": "#1f77b4", "kto": "#2ca02c", "ppo": "#d62728", "grpo": "#9467bd"}


def sentences(path: Path) -> list[str]:
    """Those of the archive, in a fixed order by chance."""
    found: list[str] = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".pos", ".neg")):
                found += archive.read(name).decode("latin-1").splitlines()
    known = list(dict.fromkeys(" ".join(each.split()) for each in found if len(each.split()) >= 2 * WORDS))
    random.Random(0).shuffle(known)
    return known


def prompt_of(sentence: str) -> dict[str, str]:
    return {"role": "user", "content": " ".join(sentence.split()[:WORDS])}


def chat(sentence: str) -> dict[str, Any]:
    rest = " ".join(sentence.split()[WORDS:])
    return {"messages": [prompt_of(sentence), {"role": "assistant", "content": rest}]}


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def prepare(options: argparse.Namespace) -> list[str]:
    """The start, the two classifiers, the data of preferences; gives the held-out prompts."""
    out, known = options.out, sentences(options.sentences)
    held, rest = known[:HELD], known[HELD:]
    if not (out / "chats").exists():
        source = write_lines(out / "chats.jsonl", [chat(each) for each in rest])
        daedal.build_data([source], out / "chats")
    if not (out / "start" / "config.json").exists():
        daedal.train(
            "gpt", data=out / "chats", out=out / "start", budget=options.start, threads=options.threads, context=128
        )
    rows = [line.split("\t") for line in (options.sst2 / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    random.Random(1).shuffle(rows)
    for name, half in (("proxy", rows[::2]), ("gold", rows[1::2])):
        if (out / name / "config.json").exists():
            continue
        given = [{"text": text, "label": "positive" if label.strip() == "1" else "negative"} for text, label in half]
        source = write_lines(out / f"{name}.jsonl", given)
        daedal.build_data([source], out / f"{name}-data")
        daedal.train("classifier", data=out / f"{name}-data", out=out / name, budget=120, threads=options.threads)
    if not (out / "preferences").exists():
        start, reward = Subject.open(str(out / "start")), reward_of(proxy(out))
        chosen = rest[:PAIRED]
        asked = [start.turns.prompt([prompt_of(each)]) for each in chosen]
        answers = generate(start.gpt, asked, samples=TRIED, most=ANSWER, stop_ids=start.stop_ids, seed=11)
        texts = [start.text(each.ids) for each in answers]
        worth = reward([Asked([prompt_of(chosen[place // TRIED])], text) for place, text in enumerate(texts)])
        pairs = []
        for place, sentence in enumerate(chosen):
            own = sorted(range(place * TRIED, (place + 1) * TRIED), key=worth.__getitem__)
            best, worst = texts[own[-1]], texts[own[0]]
            if best.strip() and worst.strip() and best != worst:
                pairs.append({"prompt": prompt_of(sentence)["content"], "chosen": best, "rejected": worst})
        daedal.build_data([write_lines(out / "pairs.jsonl", pairs)], out / "preferences")
    return held


def proxy(out: Path) -> str:
    return f"rule:class:positive:{out / 'proxy'}"


def gold(out: Path) -> str:
    return f"rule:class:positive:{out / 'gold'}"


def judged(run: Path, options: argparse.Namespace, held: list[str]) -> dict[str, Any]:
    """What a model answers to the held-out prompts."""
    model, start = Subject.open(str(run)), Subject.open(str(options.out / "start"))
    asked = [model.turns.prompt([prompt_of(each)]) for each in held]
    answers = generate(model.gpt, asked, most=ANSWER, stop_ids=model.stop_ids, seed=5)
    before = log_probabilities(start.gpt, [(each.prompt, each.ids) for each in answers])
    nats = [sum(each.log_probabilities) - float(ref.sum()) for each, ref in zip(answers, before, strict=True)]
    texts = [model.text(each.ids) for each in answers]
    given = [Asked([prompt_of(each)], text) for each, text in zip(held, texts, strict=True)]
    rewards, golds = (reward_of(which)(given) for which in (proxy(options.out), gold(options.out)))
    grams = [tuple(text.split()[at : at + 3]) for text in texts for at in range(len(text.split()) - 2)]
    told = {"reward": rewards, "gold": golds, "positive": [float(each > 0) for each in golds], "kl": nats}
    means = {name: [fmean(values), *mean_interval(values)] for name, values in told.items()}
    return {
        **means,
        "tokens": fmean(len(each.ids) for each in answers),
        "distinct": len(set(grams)) / max(1, len(grams)),
        "texts": texts[:8],
    }


def run(method: str, seed: int, options: argparse.Namespace, held: list[str]) -> dict[str, Any]:
    folder, out = options.out / f"{method}-{options.seconds:.0f}s-{seed}", options.out
    record = folder.with_suffix(".json")
    if record.exists():
        return dict(json.loads(record.read_text()))
    online = method in ("ppo", "grpo")
    given = {"reward": proxy(out), "gold": gold(out), "answer": ANSWER} if online else {}
    begun = time.process_time()
    result = daedal.train(
        method, data=out / ("chats" if online else "preferences"), init=str(out / "start"), out=folder,
        budget=options.seconds, seed=seed, threads=options.threads, **given,
    )  # fmt: skip
    cpu = time.process_time() - begun
    names = ("validation_reward", "validation_gold", "validation_kl")
    curve = [[each[name] for name in names] for each in RunFolder(folder).records("metrics.jsonl") if names[1] in each]
    found = {
        "method": method,
        "seed": seed,
        "steps": result.steps,
        "cpu": cpu,
        "curve": curve,
        **judged(folder, options, held),
    }
    record.write_text(json.dumps(found, indent=1))
    return found


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Gold, filled, and reward, open, of each run against the root of its divergence; of PPO and GRPO the way there too."""
    width, height, left, top = 560, 320, 50, 20
    points = [
        (
            each["method"],
            [(kl, reward, checked) for reward, checked, kl in each["curve"]]
            + [(each["kl"][0], each["reward"][0], each["gold"][0])],
        )
        for each in found
    ]
    far = max(math.sqrt(max(0, kl)) for _, line in points for kl, _, _ in line) or 1
    values = [value for _, line in points for _, *both in line for value in both]
    low, high = min(values), max(values)

    def at(kl: float, value: float) -> str:
        x = left + width * math.sqrt(max(0, kl)) / far
        return f"{x:.1f} {top + height * (high - value) / (high - low or 1):.1f}"

    parts = []
    for method, line in points:
        colour = COLOURS[method]
        for which, dash in ((1, "4 3"), (2, "")):
            path_of = "L".join(at(each[0], each[which]) for each in line)
            parts.append(
                f'<path d="M{path_of}" fill="none" stroke="{colour}" stroke-dasharray="{dash}" opacity="0.6"/>'
            )
            x, y = at(line[-1][0], line[-1][which]).split()
            fill = colour if which == 2 else "white"
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="{colour}"/>')
    parts += [
        f'<text x="{left + width + 12}" y="{top + 14 + 18 * row}" fill="{colour}">{method}</text>'
        for row, (method, colour) in enumerate(COLOURS.items())
    ]
    ticks = (low, (low + high) / 2, high)
    parts += [f'<text x="4" y="{at(0, value).split()[1]}">{value:.1f}</text>' for value in ticks]
    under = top + height + 24
    parts.append(f'<text x="{left}" y="{under}">0</text><text x="{left + width - 20}" y="{under}">{far:.1f}</text>')
    parts.append(
        f'<text x="{left + 90}" y="{under}">root of the divergence in nats an answer; gold filled, reward open</text>'
    )
    size = f'width="{left + width + 90}" height="{under + 10}"'
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>',
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("sst2", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--start", type=float, default=600.0, help="seconds that the start learns")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "alignment")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    held = prepare(options)
    found = [
        {
            "method": "start",
            "seed": 0,
            "steps": 0,
            "cpu": 0.0,
            "curve": [],
            **judged(options.out / "start", options, held),
        }
    ]
    for seed in options.seeds:
        found += [run(method, seed, options, held) for method in options.methods]
    plot(found, options.out / "alignment.svg")
    print("| | seed | steps | reward | gold | positive by gold | nats from the start | tokens | distinct 3-grams |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for each in found:
        means = (each[name] for name in ("reward", "gold", "positive", "kl"))
        cells = [
            each["method"],
            each["seed"],
            each["steps"],
            *(f"{mean:.2f} [{a:.2f}, {b:.2f}]" for mean, a, b in means),
        ]
        print(f"| {' | '.join(map(str, cells))} | {each['tokens']:.0f} | {each['distinct']:.2f} |")
    for each in found:
        print(f"\n{each['method']}, seed {each['seed']}: " + " / ".join(each["texts"][:4]))


if __name__ == "__main__":
    main()
