"""Building data from text: Daedal against `datasets` + `tokenizers` doing the same steps, side by side in one run.

    python benchmarks/data_build.py PATH [--mb 200] [--quick]

Both read the same JSON Lines files, normalise line ends, drop empty and repeated documents, split by document, train the
same byte-level BPE on the same amount of text, encode every document and write arrays of tokens, each in a process of its
own with two workers. The peer runs twice: with our pre-tokenizer, and with the library's own of GPT-2. Near duplicates, which
it cannot find, are off in the comparison and measured apart. The text is that of the .py, .md, .rst and .txt files below PATH
(`site-packages` stands for this interpreter's packages), largest files left out; where that is less than asked, more
documents are put together from random paragraphs of these, and the output says how much.

Memory is the peak of the whole tree of processes, sampled twenty times a second: PSS, so that a shared page counts once.
"""

import argparse
import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

WORKERS = 2
VOCABULARY = 8192
SAMPLE_MB = 16
ENDS = (".py", ".md", ".rst", ".txt")


def write_corpus(source: Path, folder: Path, megabytes: float, files: int = 8) -> dict[str, float]:
    """Write about so many megabytes of documents as JSON Lines; says how much is real and how much recombined."""
    texts: list[str] = []
    real = 0
    for path in sorted(source.rglob("*")):
        if path.suffix in ENDS and path.is_file() and path.stat().st_size < 200_000:
            try:
                text = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            texts.append(text)
            real += len(text.encode())
            if real >= megabytes * 1e6:
                break
    rnd = random.Random(0)
    paragraphs = [part for text in texts for part in text.split("\n\n")] if real < megabytes * 1e6 else []
    made = 0
    while real + made < megabytes * 1e6:
        text = "\n\n".join(rnd.choices(paragraphs, k=rnd.randint(5, 60)))
        texts.append(text)
        made += len(text.encode())
    rnd.shuffle(texts)
    folder.mkdir(parents=True)
    for number in range(files):
        with (folder / f"{number}.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts[number::files])
    return {"documents": len(texts), "real MB": real / 1e6, "recombined MB": made / 1e6}


def ours(corpus: Path, out: Path, near: str) -> dict[str, Any]:
    """Daedal."""
    from daedal.data import BuildOptions, build

    options = BuildOptions(
        codec="bpe", vocab_size=VOCABULARY, near_duplicates=near, quality="off", codec_sample_mb=SAMPLE_MB, mend=False
    )
    dataset = build(corpus, out, options, workers=WORKERS)
    splits = dataset.manifest.splits.values()
    return {"tokens": sum(each.tokens for each in splits), "documents": sum(each.documents for each in splits)}


def peer(corpus: Path, out: Path, pattern: str) -> dict[str, Any]:
    """`datasets` and `tokenizers`, as their documentation does it: batched maps over two processes."""
    import hashlib

    import numpy as np
    from datasets import load_dataset
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    data = load_dataset("json", data_files=sorted(map(str, corpus.glob("*.jsonl"))), split="train", num_proc=WORKERS)

    def clean(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        texts = [text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") for text in batch["text"]]
        return {"text": texts, "hash": [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]}

    data = data.map(clean, batched=True, num_proc=WORKERS)
    seen: set[str] = set()

    def wanted(batch: dict[str, list[str]]) -> list[bool]:
        keep = []
        for text, digest in zip(batch["text"], batch["hash"], strict=True):
            keep.append(digest not in seen and not text.isspace() and bool(text))
            seen.add(digest)
        return keep

    data = data.filter(wanted, batched=True)
    halves = data.train_test_split(test_size=0.1, seed=0)
    rest = halves["test"].train_test_split(test_size=0.5, seed=0)
    splits = {"train": halves["train"], "validation": rest["train"], "test": rest["test"]}

    tokenizer = Tokenizer(models.BPE())
    if pattern == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        from daedal.codecs.byte_pairs import PATTERN

        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"), byte_level]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def sample() -> Any:
        read = 0
        for batch in splits["train"].iter(batch_size=1000):
            yield batch["text"]
            read += sum(map(len, batch["text"]))
            if read >= SAMPLE_MB * 1e6:
                return

    tokenizer.train_from_iterator(sample(), trainer)
    end = tokenizer.token_to_id("<|endoftext|>")

    def encode(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        ids = [[*each.ids, end] for each in tokenizer.encode_batch_fast(batch["text"])]
        return {"ids": ids, "length": [len(each) for each in ids]}

    out.mkdir()
    total = 0
    for name, split in splits.items():
        encoded = split.map(encode, batched=True, num_proc=WORKERS, remove_columns=split.column_names)
        size = sum(encoded["length"])
        array = np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=np.uint16, shape=(size,))
        place = 0
        for batch in encoded.with_format("numpy").iter(batch_size=1000):
            ids = np.concatenate(batch["ids"])
            array[place : place + len(ids)] = ids
            place += len(ids)
        array.flush()
        total += size
    tokenizer.save(str(out / "tokenizer.json"))
    return {"tokens": total, "documents": sum(len(split) for split in splits.values())}


def memory_of_tree(root: int) -> int:
    """Kilobytes of PSS of a process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, [])
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total


def measure(side: str, corpus: Path, folder: Path) -> dict[str, Any]:
    """Run one side in a process of its own: seconds from start to end, peak memory, and what it says."""
    out = folder / side
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / f"cache-{side}"), "HF_HUB_OFFLINE": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, str(corpus), "--side", side, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, memory_of_tree(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer, _ = process.communicate()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{side} failed: run it alone with --side {side} to see why")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak MiB": peak / 1024, **json.loads(answer.splitlines()[-1])}


def main() -> None:
    """Make the corpus, run each side, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="a folder of text, or site-packages")
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--quick", action="store_true", help="12 MB")
    parser.add_argument("--side", choices=["ours", "ours+near", "peer", "peer-gpt2"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        corpus = Path(arguments.path)
        if arguments.side.startswith("ours"):
            said = ours(corpus, arguments.out, "drop" if arguments.side == "ours+near" else "off")
        else:
            said = peer(corpus, arguments.out, "gpt2" if arguments.side == "peer-gpt2" else "ours")
        print(json.dumps(said))
        return
    path = Path(sysconfig.get_paths()["purelib"]) if arguments.path == "site-packages" else Path(arguments.path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what = write_corpus(path, folder / "corpus", min(arguments.mb, 12) if arguments.quick else arguments.mb)
        size = what["real MB"] + what["recombined MB"]
        print(", ".join(f"{key} {value:,.0f}" for key, value in what.items()))
        results = {
            side: measure(side, folder / "corpus", folder) for side in ("ours", "ours+near", "peer", "peer-gpt2")
        }
    for side, result in results.items():
        speed = f"{result['seconds']:7.1f} s  {size / result['seconds']:6.2f} MB/s  {result['cpu']:7.1f} cpu s"
        made = f"{result['documents']:,} documents  {result['tokens']:,} tokens"
        print(f"{side:10} {speed}  {result['peak MiB']:6.0f} MiB  {made}")
    best = min(results["peer"]["seconds"], results["peer-gpt2"]["seconds"])
    print(f"ours is {best / results['ours']['seconds']:.2f} times as fast as the faster peer (target 2)")


if __name__ == "__main__":
    main()
