"""What a GPT of an hour knows of grammar: BLiMP's 67 paradigms of minimal pairs, after training on small open texts.

    python benchmarks/blimp.py DATA [--budget 60m] [--threads 1] [--vocabulary 4096] [--out runs/blimp] [OPTION=VALUE ...]

An OPTION is one of `daedal train gpt`, such as width=192. DATA is a folder with the sets that `paragraphs` reads, each in its
authors' files. All are brought to sentences as people write them (WikiText's and the Stanford sentiment sets' spaces before
punctuation are taken back), one a document, since BLiMP asks for single sentences; the build drops copies. The model is trained
for the budget, and told are its accuracy on all pairs and on each field of linguistics, with intervals, beside the published
5-gram (0.612) and LSTM (0.698) of Warstadt et al. 2020, which read 3,100 and 83 million words. What `--out` has already is not
made anew.
"""

import argparse
import csv
import gzip
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import daedal
from daedal import api
from daedal.cli.options import named_values
from daedal.files import write_text

TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}
output_type: multiple_choice
test_split: test
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
target_delimiter: ""
metric_list: [{{metric: acc}}]
"""
_SENTENCE = re.compile(r"(?<=[.!?][\"')]|[^A-Z][.!?])\s+(?=[\"'(]?[A-Z])")
_SPACED = (
    (re.compile(r" ?@([-,.])@ ?"), r"\1"), (re.compile(r" ([,.;:!?%)\]]|n't\b|'(?:s|re|ve|ll|d|m)\b)"), r"\1"),
    (re.compile(r"([(\[$]) "), r"\1"), (re.compile(r'" ([^"]*?) "'), r'"\1"'), (re.compile(r"``\s*|\s*''"), '"'),
)  # fmt: skip


def told(text: str) -> str:
    """A line with spaces as people set them."""
    for pattern, written in _SPACED:
        text = pattern.sub(written, text)
    return text[:1].upper() + text[1:]


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from file


def rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".json":
        yield from json.loads(path.read_text(encoding="utf-8"))
    else:
        yield from map(json.loads, lines(path))


def paragraphs(data: Path) -> Iterator[str]:
    """The text of every set, a paragraph at a time."""
    for name in ("valid.txt", "test.txt"):
        yield from (
            told(line.strip())
            for line in lines(data / "text/wikitext-2" / name)
            if "<unk>" not in line and " = " not in line
        )
        for line in lines(data / "text/wikitext-2" / name):
            if "<unk>" in line and not line.startswith(" ="):
                # A sentence whose words are all known is kept
                yield from (
                    told(each) for each in _SENTENCE.split(line.replace(" . ", " . \n").strip()) if "<unk>" not in each
                )
    speech = (data / "text/tinyshakespeare/input.txt").read_text(encoding="utf-8").split("\n\n")
    yield from (" ".join(each.split("\n")[1:]) for each in speech)
    with zipfile.ZipFile(data / "text/nltk/sentence_polarity.zip") as archive:
        for name in archive.namelist():
            if name.endswith((".pos", ".neg")):
                yield from map(told, io.TextIOWrapper(archive.open(name), encoding="latin-1"))
    for name in ("train.en.gz", "val.en.gz", "test_2016_flickr.en.gz"):
        yield from lines(data / "translation/multi30k" / name)
    for row in rows(data / "align/alpaca/alpaca_5000.json"):
        yield from (row["instruction"], row["input"], *row["output"].split("\n"))
    for row in rows(data / "align/llamafactory-demo/alpaca_en_demo.json"):
        yield from (row["instruction"], row["input"], *row["output"].split("\n"))
    for row in rows(data / "align/hh-rlhf/harmless-base/test.jsonl.gz"):
        for said in (row["chosen"], row["rejected"][len(row["chosen"]) // 2 :]):
            yield from re.split(r"\n+(?:Human: |Assistant: )?", said)
    for name in ("train.jsonl", "test.jsonl"):
        for row in rows(data / "eval/gsm8k" / name):
            yield row["question"]
            yield from (each for each in row["answer"].split("\n") if "<<" not in each and "####" not in each)
    for row in rows(data / "eval/superglue/BoolQ/val.jsonl"):
        yield from (row["question"][:1].upper() + row["question"][1:] + "?", row["passage"])
    for name in ("RTE", "CB"):
        for row in rows(data / "eval/superglue" / name / "val.jsonl"):
            yield from (row["premise"], row["hypothesis"])
    for row in rows(data / "eval/superglue/MultiRC/val.jsonl") if (data / "eval/superglue/MultiRC").is_dir() else ():
        yield row["passage"]["text"]
    for name in ("Dev", "Test"):
        for row in rows(data / f"eval/arc/ARC-Easy-{name}.jsonl"):
            yield row["question"]["stem"]
    for article in json.loads((data / "qa/xquad/xquad.en.json").read_text(encoding="utf-8"))["data"]:
        for each in article["paragraphs"]:
            yield each["context"]
            yield from (asked["question"] for asked in each["qas"])
    with (data / "images/t2i-prompts/PartiPrompts.tsv").open(encoding="utf-8") as file:
        yield from (row["Prompt"] for row in csv.DictReader(file, delimiter="\t"))


def sentences(data: Path) -> Iterator[str]:
    """Each once, in order."""
    known = set()
    for paragraph in paragraphs(data):
        for sentence in _SENTENCE.split(" ".join(paragraph.split())):
            if sentence.count(" ") >= 3 and "=" not in sentence and sentence not in known:
                known.add(sentence)
                yield sentence


def tasks(data: Path, folder: Path) -> list[Path]:
    """A task for each paradigm, in a group for each field of linguistics."""
    fields: dict[str, list[str]] = {}
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(data / "eval/blimp/BLiMP.zip") as archive:
        for name in sorted(archive.namelist()):
            if not (name.startswith("data/") and name.endswith(".jsonl")):
                continue
            stem = Path(name).stem
            (folder / f"{stem}.jsonl").write_bytes(archive.read(name))
            (folder / f"{stem}.yaml").write_text(TASK.format(name=stem), encoding="utf-8")
            fields.setdefault(json.loads(archive.read(name).splitlines()[0])["field"].replace("/", "_"), []).append(
                stem
            )
    for field, names in fields.items():
        listed = "".join(f"  - {name}\n" for name in names)
        (folder / f"group_{field}.yaml").write_text(f"group: {field}\ntask:\n{listed}", encoding="utf-8")
    return [folder / f"group_{field}.yaml" for field in fields]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("options", nargs="*", help="of the plan, as width=256")
    parser.add_argument("--budget", default="60m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--out", type=Path, default=Path("runs") / "blimp")
    options = parser.parse_intermixed_args()
    options.out.mkdir(parents=True, exist_ok=True)
    texts, run = options.out / "texts.jsonl", options.out / "gpt"
    if not texts.exists():
        write_text(texts, "".join(json.dumps({"text": each}) + "\n" for each in sentences(options.data)))
    if not (options.out / "data").exists():
        built = options.out / "data"
        daedal.build_data([texts], built, kind="text", near_duplicates="off", vocab_size=options.vocabulary)
    if not (run / "config.json").exists():
        given = named_values(options.options)
        daedal.train("gpt", data=options.out / "data", out=run, budget=options.budget, threads=options.threads, **given)
    report = api.evaluate_tasks(run, tasks(options.data, options.out / "tasks"), out=options.out / "report")
    means = [each for each in report.measurements if " acc, mean of " in each.name]
    paradigms = [
        each for each in report.measurements if " acc, mean of " not in each.name and each.name.endswith(" acc")
    ]
    print("| | accuracy |\n| --- | --- |")
    for each in means:
        print(f"| {each.name} | {each.shown()} |")
    error = math.sqrt(sum(each.value * (1 - each.value) / each.n for each in paradigms)) / len(paradigms)
    mean = sum(each.value for each in paradigms) / len(paradigms)
    print(f"| **all {len(paradigms)} paradigms** | {mean:.4f} [{mean - 1.96 * error:.4f}, {mean + 1.96 * error:.4f}] |")
    print(f"below 0.5: {', '.join(f'{each.name} {each.value:.2f}' for each in paradigms if each.value < 0.5)}")


if __name__ == "__main__":
    main()
