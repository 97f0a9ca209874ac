"""`daedal evaluate`: measure a model beside its baselines, on data or on tasks."""

from functools import partial
from pathlib import Path
from typing import Any

from daedal.cli import console
from daedal.cli.options import Switch, numbers
from daedal.cli.remote import Remote, remote, use_threads_for
from daedal.errors import DaedalError

_SECONDS = 60.0
"""What measuring a model of images may take by hand."""


def evaluate(
    run: str,
    /,
    *,
    data: Path | None = None,
    task: str | None = None,
    shots: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    draws: int | None = None,
    orders: int | None = None,
    rotate: Switch = False,
    chat: Switch = False,
    against: str | None = None,
    samples: int | None = None,
    unsafe_sandbox: Switch = False,
    extractor: str | None = None,
    resize: str | None = None,
    split: str | None = None,
    judge: str | None = None,
    seconds: float | None = None,
    out: Path | None = None,
    behind: Remote = None,
    json: Switch = False,
) -> None:
    """Measure a model beside its baselines, on data or on tasks, and write the report.

    Parameters
    ----------
    run
        A run folder, the id of a model on the Hugging Face Hub, or for tasks the URL of an API, such as
        http://127.0.0.1:8000/v1.
    data
        A data folder or files to measure on, in place of the data that the run was trained on.
    task
        Tasks to ask a language model: built-in ones (see daedal tasks), files of YAML or of rows, with commas between.
    shots
        For tasks: how many examples stand before each item, such as 0,1,5; as each task says unless given.
    limit
        For tasks: ask the first so many items of each.
    seed
        For tasks: of the draw of examples; 1234 unless given, as lm-eval has it.
    draws
        For tasks: draw examples so often, to see how much it matters which they are.
    orders
        For tasks: put examples into so many orders, to see how much that matters.
    rotate
        For tasks: put the choices that a question shows into every place, to see whether one is preferred.
    chat
        For tasks: ask in conversations, by the model's chat template.
    against
        For tasks: another model, which is asked the same. For models of images: a data folder or a folder of pictures to
        measure against, in place of the held-out pictures of the run's own data.
    samples
        For models of images: how many pictures to draw; as many as there is time for unless given. For tasks that ask for
        programs: how many for each problem.
    unsafe_sandbox
        For tasks that ask for programs: run them also where they cannot be isolated from this machine.
    extractor
        For models of images: what sees the pictures: inception, inception@FILE, mobilenet@FOLDER, classifier or random. A
        classifier of the data's own labels, or random features where it has none, unless given.
    resize
        For models of images: tf1-bilinear, clean-bicubic, torch-bilinear or torch-antialias; the extractor's usual rule
        unless given.
    split
        For models of text: the split of the data to measure on: validation, or test where that is empty, unless given.
    judge
        For models that speak: the run folder of a listener, which says what it hears.
    seconds
        About how long it may take; a minute for models of images, two for others, and a GPT takes what it takes.
    out
        For tasks: a folder for the report; the run folder unless given.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render
    from daedal.models.checkpoint import resolve
    from daedal.models.identity import identify
    from daedal.prompting.address import is_url

    of_tasks: dict[str, Any] = {
        "shots": shots, "limit": limit, "seed": seed, "draws": draws, "orders": orders, "rotate": rotate or None,
        "chat": chat or None, "out": out, "unsafe_sandbox": unsafe_sandbox or None,
    }  # fmt: skip
    if task is not None:
        others: dict[str, object] = {
            "data": data, "extractor": extractor, "resize": resize, "split": split, "judge": judge,
            "seconds": seconds,
        }  # fmt: skip
        for name, other in others.items():
            if other is not None:
                raise DaedalError(f"--{name} is not for tasks", "Leave it out")
        _on_tasks(run, task, against, {**of_tasks, "samples": samples}, remote(behind), json)
        return
    for name, value in of_tasks.items():
        if value is not None:
            option = name.replace("_", "-")
            raise DaedalError(f"--{option} is for tasks", "Name one with --task, or leave it out")
    if behind is not None:
        raise DaedalError("How an API is asked is for tasks", "Name one with --task, or leave it out")
    if is_url(run):
        raise DaedalError(f"{run} is an API, which can be asked tasks alone", "Name some with --task")
    pictures = {"against": against, "samples": samples, "extractor": extractor, "resize": resize}
    texts: dict[str, object] = {"split": split, "judge": judge}
    folder = resolve(run)
    of_pictures = api.of_pictures(folder)
    for name, value in (texts if of_pictures else pictures).items():
        if value is not None:
            own, other = ("images", "text") if of_pictures else ("text", "images")
            raise DaedalError(f"--{name} is for models of {other}, and {run} is one of {own}", "Leave it out")
    if seconds is not None and not of_pictures and identify(folder).family == "gpt":
        raise DaedalError(
            "--seconds is for models of images and of examples, and a gpt takes what it takes", "Leave it out"
        )
    given = {**pictures, **texts, "seconds": _SECONDS if seconds is None and of_pictures else seconds}
    options = {name: value for name, value in given.items() if value is not None and name != "against"}
    if data is not None and against is not None:
        raise DaedalError("--data and --against both name what to measure against", "Give one of them")
    api.use_fastest_threads()
    with console.progress() as progress:
        report = api.evaluate(
            run,
            data=data if against is None else Path(against),
            progress=lambda done, total, doing="": progress("evaluating", done, total, doing),
            **options,
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
    if report.unwritten is not None:
        raise DaedalError(report.unwritten, "The numbers above are all there is of it")


def _on_tasks(
    run: str, task: str, against: str | None, given: dict[str, Any], endpoint: dict[str, Any], json: bool
) -> None:
    """Ask a language model tasks."""
    from daedal import api
    from daedal.evaluation.terminal import render

    options = {name: value for name, value in given.items() if value is not None}
    if "shots" in options:
        options["shots"] = numbers("--shots", options["shots"])
    if "out" not in options and Path(run).is_dir():
        options["out"] = Path(run)
    use_threads_for(run)
    with console.progress() as progress:
        report = api.evaluate_tasks(
            run,
            [name.strip() for name in task.split(",") if name.strip()],
            against=against,
            remote=endpoint,
            progress=partial(progress, "asking"),
            told=console.note,
            **options,
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
