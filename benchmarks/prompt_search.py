"""Prompt search on three tasks: the honest gain with its interval beside the optimistic one, and DSPy at as many calls.

    python benchmarks/prompt_search.py PATH/TO/data --out FOLDER [--budget 6m] [--calls 600] [--seeds 0,1]

PATH holds `text/sst2` and `eval/arc`. A GPT learns for the budget from documents in which a task is shown by examples, half
of them under an instruction: film reviews with the words that the document has for good and bad, letters of words, and ARC's
questions with letters. It has never seen the items, and no instruction that is told to the search is needed to be one of those.
Each task begins with no instruction and no example.

DSPy (where it is installed) asks the same model through our server, in the same plain layout by an adapter of its own, and
chooses on the same items: BootstrapFewShot, which needs few calls, and BootstrapFewShotWithRandomSearch with as many as ours.
Its winner and ours are measured on the same held-out items, beside the same start.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import daedal
from daedal.evaluation.prompt_search.report import verdict
from daedal.evaluation.prompt_search.search import Found, Search, SearchOptions, gain
from daedal.evaluation.tasks.library import find
from daedal.evaluation.tasks.task import Task
from daedal.prompting.local import LocalModel

SHOTS = (0, 1, 2, 4, 8)
WORDS = (("good", "bad"), ("positive", "negative"), ("great", "terrible"), ("yes", "no"))
LETTERS = {
    "Write the last letter of the word.": lambda word: word[-1],
    "Write the first letter of the word.": lambda word: word[0],
    "Write the second letter of the word.": lambda word: word[1],
    "Write the word in capitals.": str.upper,
    "Write how many letters the word has.": lambda word: str(len(word)),
}
TASKS: dict[str, dict[str, Any]] = {
    "reviews": {
        "doc_to_text": "review: {{text}}\nsentiment:",
        "instructions": ["Say whether each review is good or bad.", "Is the film good?", "Answer with one word."],
    },
    "letters": {
        "doc_to_text": "word: {{text}}\nanswer:",
        "instructions": ["Write the last letter of the word.", "Spell the word.", "Letters."],
    },
    "arc": {
        "doc_to_text": "question: {{text}}\nanswer:",
        "instructions": ["Choose the right answer.", "Think of school.", "Answer with a letter."],
    },
}


def reviews(data: Path, split: str) -> list[tuple[str, int]]:
    lines = (data / "text" / "sst2" / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.rpartition("\t") for line in lines)
    return [(text, int(label)) for text, _, label in rows if len(text.split()) <= 20]


def questions(data: Path, split: str) -> list[tuple[str, str]]:
    """ARC-Easy's, with their choices in a line."""
    found = []
    for line in (data / "eval" / "arc" / f"ARC-Easy-{split}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)["question"]
        if len(row["choices"]) == 4:
            letters = {each["label"]: letter for each, letter in zip(row["choices"], "ABCD", strict=True)}
            said = " ".join(f"{letters[each['label']]}. {each['text']}" for each in row["choices"])
            found.append((f"{row['stem']} {said}", letters[json.loads(line)["answerKey"]]))
    return found


def document(
    draw: random.Random, films: Sequence[tuple[str, int]], words: Sequence[str], arc: Sequence[tuple[str, str]]
) -> str:
    """A task that is shown by examples, half of the time under an instruction."""
    kind = draw.choices(("reviews", "letters", "arc"), (5, 4, 1))[0]
    if kind == "reviews":
        good, bad = draw.choice(WORDS)
        head = f"Say whether each review is {good} or {bad}."
        shown = [f"review: {text}\nsentiment: {(bad, good)[label]}" for text, label in draw.sample(films, 8)]
    elif kind == "letters":
        head, change = draw.choice(list(LETTERS.items()))
        shown = [f"word: {word}\nanswer: {change(word)}" for word in draw.sample(words, 14)]
    else:
        head = "Choose the right answer."
        shown = [f"question: {text}\nanswer: {letter}" for text, letter in draw.sample(arc, 5)]
    return "\n\n".join([head, *shown] if draw.random() < 0.5 else shown)


def prepare(data: Path, out: Path, budget: str) -> Path:
    """The model and the task files."""
    films, arc = reviews(data, "train"), questions(data, "Dev")
    words = sorted({word for text, _ in films for word in text.split() if word.isalpha() and 3 <= len(word) <= 9})
    draw = random.Random(0)
    draw.shuffle(words)
    held, known = words[:1200], words[1200:]
    items = {
        "reviews": [(text, ("bad", "good")[label]) for text, label in (*reviews(data, "dev"), *reviews(data, "test"))],
        "letters": [(word, word[-1]) for word in held],
        "arc": questions(data, "Test"),
    }
    for name, rows in items.items():
        told = "".join(json.dumps({"text": text, "target": target}) + "\n" for text, target in rows)
        (out / f"{name}.jsonl").write_text(told, encoding="utf-8")
        values = {
            "task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
            "test_split": "test", "output_type": "generate_until", "doc_to_target": "{{target}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 6}, "metric_list": [{"metric": "exact_match"}],
            "filter_list": [{"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
            **TASKS[name],
        }  # fmt: skip
        (out / f"{name}.yaml").write_text(json.dumps(values), encoding="utf-8")  # YAML holds JSON
    if not (out / "run" / "evaluation.json").exists():
        texts = [document(draw, films, known, arc) for _ in range(60_000)]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (out / "documents.jsonl").write_text(lines, encoding="utf-8")
        daedal.build_data([out / "documents.jsonl"], out / "data", near_duplicates="off", vocab_size=2048, replace=True)
        daedal.train("gpt", data=out / "data", out=out / "run", budget=budget, context=384, threads=1)
    return out / "run"


def searched(task: Task, model: LocalModel, calls: int, seed: int) -> Found:
    options = SearchOptions(calls=calls, shots=SHOTS, seed=seed, held_out=400)
    return Search(task, model, options, task.definition.instructions).run()


class Asked:
    """DSPy, which asks our server."""

    def __init__(self, url: str, model: str) -> None:
        import dspy
        import openai

        client, counted = openai.OpenAI(base_url=f"{url}/v1", api_key="none"), self
        self.calls = 0

        class Served(dspy.BaseLM):  # type: ignore[misc, name-defined]
            """One completion a call; nothing is remembered."""

            def forward(self, prompt: Any = None, messages: Any = None, **options: Any) -> Any:
                counted.calls += 1
                said = client.completions.create(
                    model=model, prompt=prompt or messages[-1]["content"], max_tokens=6, stop=["\n"],
                    temperature=options.get("temperature") or 0.0, seed=counted.calls,
                )  # fmt: skip
                if not said.choices[0].text.strip():
                    said.choices[0].text = "?"  # DSPy takes an empty answer for a fault
                return said

        class Plain(dspy.Adapter):  # type: ignore[misc, name-defined]
            """The layout that our search has."""

            def format(self, signature: Any, demos: Any, inputs: Any) -> Any:
                shown = [f"{each['text']} {each['answer']}" for each in demos if each.get("answer")]
                head = [signature.instructions] if signature.instructions.strip("- ") else []
                return [{"role": "user", "content": "\n\n".join([*head, *shown, inputs["text"]])}]

            def parse(self, signature: Any, completion: str) -> Any:
                return {"answer": completion.strip()}

        self.dspy = dspy
        dspy.configure(lm=Served(model=model, model_type="text", cache=False), adapter=Plain())

    def winner(self, found: Found, calls: int, seed: int) -> dict[str, tuple[int, np.ndarray]]:
        """By its name, the calls of each optimizer, and what its program gets on the items that are held out."""
        dspy, task = self.dspy, found.task
        items = {
            side: [dspy.Example(text=task.fields.text(row), answer=row["target"]).with_inputs("text") for row in rows]
            for side, rows in found.splits.rows.items()
        }

        def metric(example: Any, said: Any, trace: Any = None) -> bool:
            return bool(said.answer == example.answer)

        student = dspy.Predict(dspy.Signature("text -> answer", "-"))
        results = {}
        trained = items["examples"] + items["selection"]
        random.Random(seed).shuffle(trained)
        some = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=4, max_labeled_demos=8)
        of = max(8, (calls - 40) // 11)  # 8 sets and the 3 that it begins with, and what bootstrapping takes
        many = dspy.BootstrapFewShotWithRandomSearch(
            metric=metric, max_bootstrapped_demos=4, max_labeled_demos=8, num_candidate_programs=8, num_threads=1
        )
        for name, optimizer, more in (
            ("BootstrapFewShot", some, {}),
            ("with random search", many, {"valset": trained[-of:]}),
        ):
            self.calls = 0
            program = optimizer.compile(student.deepcopy(), trainset=trained[:-of], **more)
            spent = self.calls
            got = [metric(each, program(text=each.text)) for each in items["held-out"]]
            results[name] = (spent, np.array(got, dtype=np.float64))
        return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", default="6m")
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--seeds", default="0,1")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    run = prepare(options.data, options.out, options.budget)
    model = LocalModel(run)
    results: list[dict[str, Any]] = []
    for name in TASKS:
        (task,) = find(options.out / f"{name}.yaml")
        for seed in map(int, options.seeds.split(",")):
            began = time.perf_counter()
            found = searched(task, model, options.calls, seed)
            seconds = time.perf_counter() - began
            results.append(
                {
                    "task": name, "seed": seed, "who": "daedal", "calls": found.calls[0], "seconds": round(seconds, 1),
                    "start": float(found.held_start.mean()), "winner": float(found.held_winner.mean()),
                    "honest": found.honest, "optimistic": found.optimistic, "says": verdict(found),
                    "prompt": found.winner.candidate.says,
                }
            )  # fmt: skip
            print(json.dumps(results[-1]), flush=True)
            results += _peers(run, found, options.calls, seed)
    (options.out / "results.json").write_text(json.dumps(results, indent=1))


def _peers(run: Path, found: Found, calls: int, seed: int) -> list[dict[str, Any]]:
    try:
        import dspy  # noqa: F401
    except ImportError:
        return []
    from daedal.serving.probe import trial

    rows = []
    with trial([str(run)]) as server:
        for name, (spent, got) in Asked(server.url, run.name).winner(found, calls, seed).items():
            rows.append(
                {
                    "task": found.task.name, "seed": seed, "who": f"DSPy {name}", "calls": spent,
                    "start": float(found.held_start.mean()), "winner": float(got.mean()),
                    "honest": gain(found.held_start, got),
                }
            )  # fmt: skip
            print(json.dumps(rows[-1]), flush=True)
    return rows


if __name__ == "__main__":
    main()
