"""From a GPT that has read texts to one that answers: fine-tuning by all weights and by a LoRA, on the same conversations.

    python benchmarks/assistant.py TEXT CHATS [--judge RUN] [--read 600] [--seconds 300] [--threads 1] [--out runs/assistant]

TEXT is a data source for `daedal data build` (or a folder of them), CHATS one of conversations, such as Alpaca's JSON.
A GPT reads TEXT for `--read` seconds; then it is tuned for `--seconds`, by all weights and by `--lora 16`. Told are the
loss of held-out answers before and after, in nats a token of the base's, and, where `--judge` names a reward model, win
rates over the base on held-out prompts; and the first answers, not chosen. What `--out` has already is not run anew.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import daedal
from daedal.training.run import RunFolder


def losses(run: Path) -> list[float]:
    """Of the held-out answers: before the first step, at each validation, at the end."""
    return [each["validation_loss"] for each in RunFolder(run).records("metrics.jsonl") if "validation_loss" in each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("chats")
    parser.add_argument("--judge")
    parser.add_argument("--read", type=float, default=600.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "assistant")
    options = parser.parse_args()
    out, how = options.out, {"threads": options.threads}
    out.mkdir(parents=True, exist_ok=True)
    for name, source in (("texts", options.text), ("chats", options.chats)):
        if not (out / name).exists():
            daedal.build_data([source], out / name)
    if not (out / "base" / "config.json").exists():
        daedal.train("gpt", data=out / "texts", out=out / "base", budget=options.read, context=options.context, **how)
    told: dict[str, Any] = {}
    for name, given in (("full", {}), ("lora", {"lora": 16})):
        run = out / name
        if not (run / "training" / "plan.json").exists():
            daedal.train(
                "chat", data=out / "chats", init=str(out / "base"), out=run, budget=options.seconds, **given, **how
            )
        found = losses(run)
        told[name] = {"before": found[0], "best": min(found), "last": found[-1]}
        print(f"{name}: {json.dumps(told[name])}", flush=True)
        report = daedal.compare(
            out / "base", run, out / "chats", options.judge, n=200, answer=64, out=out / f"{name}-beside-base"
        )
        print(report.summary(), flush=True)
    print(f"LoRA is at {told['lora']['best'] / told['full']['best']:.3f} times the loss of all weights")
    model = daedal.load(out / "full")
    for asked in (
        "Give three tips for staying healthy.",
        "What is the capital of France?",
        "Write a short poem about the sea.",
    ):
        said = model.chat([{"role": "user", "content": asked}], max_tokens=60, temperature=0.7, seed=0).text
        print(f"\n> {asked}\n{said}")


if __name__ == "__main__":
    main()
