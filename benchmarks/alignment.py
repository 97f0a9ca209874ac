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
from daedal.errors import DaedalError
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
    width, height, left, top = 520, 320, 44, 14
    start, *runs = found
    begin = (0.0, start["reward"][0], start["gold"][0])
    ways = [
        (
            each["method"],
            [
                *([begin] if each["curve"] else []),
                *((kl, reward, checked) for reward, checked, kl in each["curve"]),
                (each["kl"][0], each["reward"][0], each["gold"][0]),
            ],
        )
        for each in runs
    ]
    places = [begin, *(place for _, way in ways for place in way)]
    far = math.ceil(max(math.sqrt(max(0, kl)) for kl, _, _ in places)) or 1
    low, high = (edge(value for _, *both in places for value in both) for edge in (min, max))
    low, high = math.floor(2 * low) / 2, math.ceil(2 * high) / 2

    def at(kl: float, value: float) -> tuple[float, float]:
        return left + width * math.sqrt(max(0, kl)) / far, top + height * (high - value) / (high - low)

    parts = []
    for tick in range(round(2 * (high - low)) + 1):
        y = at(0, low + tick / 2)[1]
        parts.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{low + tick / 2:.1f}</text>')
    below = f'y="{top + height + 18}" text-anchor="middle"'
    parts += [f'<text x="{at(tick**2, 0)[0]:.1f}" {below}>{tick}</text>' for tick in range(far + 1)]
    for which, dash in ((1, "4 3"), (2, "none")):
        for method, way in [("start", [begin]), *ways]:
            colour = COLOURS[method]
            line = " ".join("{:.1f},{:.1f}".format(*at(each[0], each[which])) for each in way)
            how = f'fill="none" stroke="{colour}" stroke-dasharray="{dash}" opacity="0.5"'
            parts.append(f'<polyline points="{line}" {how}/>')
            x, y = at(way[-1][0], way[-1][which])
            fill = colour if which == 2 else "white"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>')
    aside = left + width + 14
    for row, (method, colour) in enumerate(COLOURS.items()):
        y = top + 10 + 18 * row
        parts.append(f'<circle cx="{aside}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(
            f'<text x="{aside + 10}" y="{y}" fill="{colour}">{method.replace("start", "the start").upper()}</text>'
        )
    for row, (name, fill) in enumerate((("reward", "white"), ("gold", "#333"))):
        y = top + 24 + 18 * (len(COLOURS) + row)
        parts.append(f'<circle cx="{aside}" cy="{y - 4}" r="4" fill="{fill}" stroke="#333"/>')
        parts.append(f'<text x="{aside + 10}" y="{y}">{name}</text>')
    across = "root of the divergence from the start, in nats an answer"
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">{across}</text>')
    box = f'viewBox="0 0 {aside + 90} {top + height + 48}"'
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="12" fill="#333">\n'
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n",
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
        for method in options.methods:
            try:
                found.append(run(method, seed, options, held))
            except DaedalError as error:  # one that was lost
                print(f"{method}, seed {seed}: {error}", flush=True)
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
