"""Whether tasks give the numbers of lm-evaluation-harness with transformers, and in which part of its time.

python benchmarks/lm_eval_parity.py DATA RUN [--limit N] [--tasks arc_easy,blimp,...] [--batch 16]

DATA is a folder with the authors' files as `arc/`, `blimp/BLiMP.zip`, `gsm8k/`, `superglue/`, `truthfulqa/` and
`../text/wikitext-2/test.txt`; RUN a GPT that transformers opens. Both run on one thread. Opening the model is not
timed; reading the data and building the prompts is.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import zipfile
from pathlib import Path

import torch

HERE = Path(__file__).parent / "tasks"
TASKS = ("arc_easy", "blimp", "boolq", "rte", "cb", "truthfulqa_mc1", "wikitext", "gsm8k")
SHOTS = {"arc_easy": (0, 5), "rte": (0, 5), "gsm8k": (1,)}
BLIMP = """task: blimp_{name}
dataset_path: json
dataset_kwargs: {{data_files: {{train: blimp/{name}.jsonl}}}}
output_type: multiple_choice
validation_split: train
doc_to_text: ""
doc_to_target: 0
doc_to_choice: "{{{{[sentence_good, sentence_bad]}}}}"
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def lay_out(data: Path, folder: Path) -> list[str]:
    """The task files and the data under one folder; the names of BLiMP's tasks."""
    for file in HERE.glob("*.yaml"):
        shutil.copy(file, folder)
    for name in ("arc", "gsm8k", "superglue", "truthfulqa"):
        (folder / name).symlink_to((data / name).resolve())
    shutil.copy(data / "../text/wikitext-2/test.txt", folder / "wikitext.txt")
    (folder / "blimp").mkdir()
    names = []
    with zipfile.ZipFile(data / "blimp/BLiMP.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("data/") and name.endswith(".jsonl"):
                stem = Path(name).stem
                rows = [json.loads(line) for line in archive.read(name).splitlines()]
                kept = [{key: row[key] for key in ("sentence_good", "sentence_bad")} for row in rows]
                (folder / f"blimp/{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))
                (folder / f"blimp_{stem}.yaml").write_text(BLIMP.format(name=stem))
                names.append(f"blimp_{stem}")
    return names


def ours(run_folder: Path, files: list[Path], shots: int, limit: int | None) -> tuple[dict[str, float], float]:
    """Our numbers, and the seconds that they took."""
    from daedal.evaluation.tasks import library
    from daedal.evaluation.tasks.run import TaskOptions, prepare, run
    from daedal.prompting.local import LocalModel

    model = LocalModel(run_folder)
    started = time.perf_counter()
    tasks = [task for file in files for task in library.find(file)]
    found = {}
    for job in prepare(tasks, TaskOptions(shots=(shots,), limit=limit)):
        result = run(model, job)
        for scored in result.scores.values():
            name = f"{scored.metric.name},{scored.filter or job.task.filters[0][0].name}"
            found[f"{job.task.name} {name}"] = scored.number().value
    return found, time.perf_counter() - started


def theirs(
    run_folder: Path, folder: Path, names: list[str], shots: int, limit: int | None, batch: int
) -> tuple[dict[str, float], float]:
    """lm-eval's numbers through transformers, and the seconds that they took."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=str(run_folder), device="cpu", dtype="float32", batch_size=batch)
    started = time.perf_counter()
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    results = lm_eval.simple_evaluate(
        model=model,
        tasks=names,
        num_fewshot=shots,
        limit=limit,
        task_manager=manager,
        bootstrap_iters=0,
        verbosity="ERROR",
    )["results"]
    seconds = time.perf_counter() - started
    found = {
        f"{task} {name}": float(value)
        for task in names
        for name, value in results[task].items()
        if isinstance(value, float | int) and "," in name and "stderr" not in name
    }
    return found, seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ours", action="store_true", help="time Daedal alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_folder = options.run.resolve()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        blimp = lay_out(options.data.resolve(), folder)
        os.chdir(folder)
        ours(run_folder, [folder / "cb.yaml"], 0, 8)  # what is imported is imported once
        if not options.ours:
            theirs(run_folder, folder, ["cb_raw"], 0, 8, options.batch)
        print("task | shots | numbers | largest difference | Daedal, s | lm-eval, s | share")
        for task in options.tasks.split(","):
            names = blimp if task == "blimp" else [f"{task}_raw"]
            files = [folder / f"{name}.yaml" for name in names] if task == "blimp" else [folder / f"{task}.yaml"]
            for shots in SHOTS.get(task, (0,)):
                own, mine = ours(run_folder, files, shots, options.limit)
                if options.ours:
                    print(f"{task} | {shots} | {len(own)} | | {mine:.2f} | |", flush=True)
                    continue
                other, other_seconds = theirs(run_folder, folder, names, shots, options.limit, options.batch)
                both = own.keys() & other.keys()
                apart = max(abs(own[name] - other[name]) / max(1.0, abs(other[name])) for name in both)
                print(
                    f"{task} | {shots} | {len(both)} | {apart:.1e} | {mine:.2f} | {other_seconds:.2f} | "
                    f"{mine / other_seconds:.2f}", flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    main()
