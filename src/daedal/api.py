"""What the command line can do, as functions: build data, plan, train, load, evaluate, export."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.alignment.rewards import Reward
    from daedal.data.examples import ExampleDataset
    from daedal.data.images.dataset import ImageDataset
    from daedal.data.shards import Dataset
    from daedal.evaluation.prompt_tests.outcome import TestReport
    from daedal.evaluation.report import Report
    from daedal.evaluation.tasks.task import Task as PromptTask
    from daedal.inference.generator import Generator
    from daedal.prompting.respondent import Respondent
    from daedal.training.metrics import Listener
    from daedal.training.plan import Plan
    from daedal.training.session import TrainingResult
    from daedal.training.task import Task


def build_data(
    sources: Sequence[str | Path], out: str | Path, kind: str | None = None, **options: Any
) -> "Dataset | ImageDataset | ExampleDataset":
    """Turn sources into a data folder.

    Args:
        kind: of example, such as "text", "pictures", "labelled" or "chat"; guessed from the sources, and told, unless given.
        options: those of the kind: `daedal.data.BuildOptions` of text, `daedal.data.images.ImageOptions` of pictures,
            `daedal.data.kind.Kind.options` of the others; and `workers`, `replace` and `progress`, as `daedal.data.build` has
            them.
    """
    from daedal.data.any_build import build_any

    return build_any(sources, out, kind, options)


def make_plan(
    family: str,
    data: str | Path,
    budget: str | float | None = None,
    init: str | None = None,
    codec: str | Path | None = None,
    **options: Any,
) -> "Plan":
    """What `train` would do, and why.

    Args:
        data: a data folder.
        budget: seconds, or a text such as "3m".
        options: values of the plan, set by hand.
    """
    from daedal.training.session import make_plan as plan

    return plan(family, data, budget, init, codec, options)[0]


def train(
    family: str,
    *,
    data: str | Path,
    out: str | Path,
    budget: str | float | None = None,
    init: str | None = None,
    codec: str | Path | None = None,
    progress: "Listener | None" = None,
    **options: Any,
) -> "TrainingResult":
    """Train a model on a data folder within a time budget, then measure it.

    Args:
        family: "gpt" for text; "vae", "vqvae", "gan" or "flow" for pictures; "clip" for pictures and their captions;
            "music" for tunes; "text-to-image" for a tokenizer and a GPT that learns its tokens after their captions, in one
            budget, or, with `prior="flow"`, for a flow that learns captions.
        data: a data folder that `build_data` made.
        out: the run folder to make.
        budget: seconds, or a text such as "3m", for everything from this call to its end; 3 minutes unless `steps` is given.
        init: a run folder or Hugging Face id whose weights to start from.
        codec: a run folder whose codes to learn in place of pixels, of a "vae" for a flow, of a "vqvae" for a GPT; or which
            makes sound of frames, of a "vocoder" for speech.
        progress: whoever wants to watch.
        options: values of the plan, set by hand, such as `steps=300` or `context=256`.

    Raises:
        DaedalError: the data, the folder or an option is wrong, the budget too short, or training diverged.
        Interrupted: a signal asked to stop; `resume` goes on.
    """
    started = time.monotonic()
    from daedal.families import PIPELINES, part
    from daedal.training.machine import choose_device
    from daedal.training.processes import processes
    from daedal.training.run import RunFolder, claimed
    from daedal.training.session import Session

    with processes(choose_device(options.get("device"))) as group, claimed(RunFolder(out), group, new=True):
        session = Session(group, _measure, started, progress)
        if family in PIPELINES:
            train_stages: Callable[..., TrainingResult] = part(PIPELINES[family].train)
            return train_stages(session, data, Path(out), budget, init, codec, options)
        if options.get("pretrain_data") is not None:
            from daedal.training.pretraining import Pretraining

            return Pretraining.asked(family, data, budget, init, options).train(session, Path(out))
        return session.begin(family, data, out, budget, init, codec, options)


def resume(run: str | Path, progress: "Listener | None" = None, data: str | Path | None = None) -> "TrainingResult":
    """Go on with a run that was stopped, to the same bits as if it had not been; `data` names where its data was moved to.

    Raises:
        DaedalError: there is no run, it is damaged, another process is at it, or its data has changed.
    """
    started = time.monotonic()
    from daedal.families import PIPELINES, part
    from daedal.training.machine import choose_device
    from daedal.training.pretraining import Pretraining
    from daedal.training.processes import processes
    from daedal.training.run import RunFolder, claimed
    from daedal.training.session import Session

    folder = RunFolder.open(run)
    staged = (*(part(each.stages) for each in PIPELINES.values()), Pretraining)
    request: Any = next(filter(None, (kind.of(folder) for kind in staged)), None)
    device = folder.plan.device if folder.begun or request is None else choose_device(request.options.get("device"))
    with processes(device) as group, claimed(folder, group):
        session = Session(group, _measure, started, progress)
        if request is not None and not folder.begun:
            gone_on: TrainingResult = request.go_on(session, folder, data)
            return gone_on
        return session.go_on(folder, data, 0.0 if request is None else request.spent)


def load(run_or_hub_id: str | Path, **options: Any) -> "Generator":
    """A model and its codec, ready to do what the model can: its `skills`.

    A language model writes, streams, scores and chats; a model of images draws, morphs, edits and reconstructs; a CLIP matches
    pictures and texts.
    """
    from daedal.inference.generator import Generator

    return Generator.open(run_or_hub_id, **options)


def of_pictures(folder: Path) -> bool:
    """Whether a model folder is of a model of images."""
    from daedal.models.identity import identify

    return identify(folder).kind == "pictures"


def evaluate(run_or_hub_id: str | Path, data: str | Path | None = None, **options: Any) -> "Report":
    """Measure a model on a data folder's held-out split; on its own data unless `data` is given.

    A model of images is measured against the pictures of `data`, by drawing some; a CLIP by what it finds among them. What was
    aligned on prompts or preferences is set beside the model that it began as.
    """
    from daedal.evaluation.evaluate import evaluate as measure
    from daedal.families import ALIGNMENTS
    from daedal.training.run import RunFolder

    run = RunFolder(run_or_hub_id) if data is None and isinstance(run_or_hub_id, str | Path) else None
    of_texts = run is not None and run.reference.is_dir() and run.plan.kind in ("chat", "preferences")
    if run is not None and of_texts and run.plan.family in ALIGNMENTS:
        from daedal.alignment.measuring import measured_again

        return measured_again(run.path, **options)
    return measure(run_or_hub_id, data, **options)


def evaluate_tasks(
    model: "str | Path | Respondent",
    tasks: "str | Path | Sequence[str | Path | PromptTask]",
    *,
    against: "str | Path | Respondent | None" = None,
    out: str | Path | None = None,
    progress: Callable[[float, float | None, str], None] | None = None,
    told: Callable[[str], None] | None = None,
    api_key_env: str | None = None,
    most_requests: int | None = None,
    **options: Any,
) -> "Report":
    """Measure a model on tasks, zero- and few-shot, beside simple baselines; see `daedal.evaluation.tasks.evaluate`.

    Args:
        model: a run folder, the id of a model on the Hugging Face Hub, the URL of an API, or whoever answers prompts.
        tasks: names of built-in tasks, files, or tasks.
        against: another model, which is asked the same.
        out: a folder for the report. What a model on this machine has said is kept there until the report is whole, so that a
            run which was stopped goes on; what an API has said is kept for good (`daedal.prompting.memory`).
        api_key_env, most_requests: of an API; see `daedal.prompting.open`.
        options: the fields of `TaskOptions`.

    Raises:
        DaedalError: there is no such model or task, or one makes no sense.
    """
    from daedal.evaluation.tasks import library
    from daedal.evaluation.tasks.evaluate import evaluate_tasks as measure
    from daedal.evaluation.tasks.run import TaskOptions
    from daedal.evaluation.tasks.task import Task
    from daedal.files import require_place

    chosen = TaskOptions.parse(options, "evaluate")
    named = [tasks] if isinstance(tasks, str | Path) else tasks
    found = [task for each in named for task in ([each] if isinstance(each, Task) else library.find(each))]
    kept = None if out is None else Path(out) / "answers.sqlite"
    if kept is not None:
        require_place(kept)
    how: dict[str, Any] = {"api_key_env": api_key_env, "most_requests": most_requests, "kept": kept}
    asked, other = _respondent(model, **how), None if against is None else _respondent(against, **how)
    says, parameters = _said_of(asked)
    report = measure(
        asked, found, chosen, says=says, parameters=parameters, against=other, train=_learned(model),
        out=None if out is None else Path(out), progress=progress, told=told,
    )  # fmt: skip
    if kept is not None:
        for name in (kept.name, f"{kept.name}-wal", f"{kept.name}-shm"):
            kept.with_name(name).unlink(missing_ok=True)
    return report


def _learned(model: "str | Path | Respondent") -> "Callable[[], Iterable[str]] | None":
    """The texts that a run learned from, where its data are still there."""
    from daedal.training.run import RunFolder

    if not isinstance(model, str | Path) or not RunFolder(model).training.is_dir():
        return None
    from daedal.data.shards import Dataset

    plan = RunFolder(model).plan
    if plan.kind != "text" or not (folder := Path(plan.data)).is_dir():
        return None
    split = Dataset.open(folder).split("train")
    return lambda: (split.text(number) for number in range(split.documents))


def tasks() -> "list[PromptTask]":
    """The built-in tasks."""
    from daedal.evaluation.tasks.builtin import BUILTIN

    return [make() for make in BUILTIN.values()]


def show_tasks(name: str | Path, shots: int | None = None) -> list[str]:
    """What the tasks of a name ask; see `daedal.evaluation.tasks.shown`."""
    from daedal.evaluation.tasks import library
    from daedal.evaluation.tasks.shown import shown

    return [shown(task, shots) for task in library.find(name)]


def _respondent(
    model: "str | Path | Respondent",
    *,
    kept: Path | None = None,
    api_key_env: str | None = None,
    most_requests: int | None = None,
) -> "Respondent":
    """Whoever answers.

    Args:
        kept: a file for the answers of a model on this machine.
    """
    from daedal.prompting.endpoint import is_url
    from daedal.prompting.open import open_respondent

    if not isinstance(model, str | Path):
        return model
    if is_url(str(model)):
        return open_respondent(model, api_key_env=api_key_env, most_requests=most_requests)
    return open_respondent(model, memory=kept)


def _said_of(respondent: "Respondent") -> tuple[str, int]:
    """What is known of whoever answers, in a line, and its number of parameters, 0 where that is not known."""
    from daedal.prompting.local import LocalModel

    inner = getattr(respondent, "inner", respondent)
    if not isinstance(inner, LocalModel):
        return "asked through its API", 0
    model = inner.generator.model
    return f"a {model.config.architecture} of {model.parameter_count:,} parameters", model.parameter_count


def compare(
    one: str | Path, other: str | Path, prompts: str | Path, judge: "str | Reward | None" = None, **options: Any
) -> "Report":
    """What two language models answer to the same held-out prompts, which of them a judge prefers, and how far they are apart;
    see `daedal.alignment.comparison.compare`."""
    from daedal.alignment.comparison import compare as beside

    return beside(one, other, prompts, judge, **options)


def prompt_test(suite: str | Path, models: Sequence[str | Path] = (), **options: Any) -> "TestReport":
    """Ask models the prompts of a YAML file of tests, and say what passes; see `daedal.evaluation.prompt_tests.run.run_tests`.

    Args:
        models: run folders, ids of the Hugging Face Hub, or URLs; those that the file names unless given.
        options: those of `run_tests`.
    """
    from daedal.evaluation.prompt_tests.run import run_tests
    from daedal.evaluation.prompt_tests.suite import Suite

    return run_tests(Suite.read(Path(suite)), _respondent, models=[str(each) for each in models], **options)


def prompt_search(
    task: str | Path,
    model: str | Path,
    *,
    budget: str | float | None = None,
    calls: int | None = None,
    proposer: str | Path | None = None,
    out: str | Path | None = None,
    tell: Callable[[float, float | None, str], None] | None = None,
    **options: Any,
) -> "Report":
    """Search for a better prompt of a task, and say honestly what it gains; see `daedal.evaluation.prompt_search.search`.

    Args:
        task: a built-in task or a file of one; its `instructions` are tried.
        model: a run folder, an id of the Hugging Face Hub, or a URL.
        budget: seconds, or a text such as "5m"; 5 minutes unless `calls` are given.
        calls: of the search, at most.
        proposer: whom to ask for instructions; the model itself unless given.
        out: a folder for the winner as a prompt file, the report as a page and as JSON.
        tell: of calls or seconds, of how many, and what is done.
        options: those of `daedal.evaluation.prompt_search.search.SearchOptions`.
    """
    from daedal.duration import parse_duration
    from daedal.errors import DaedalError
    from daedal.evaluation.prompt_search.report import PAGE, report, write
    from daedal.evaluation.prompt_search.search import Search, SearchOptions
    from daedal.evaluation.tasks.library import find
    from daedal.files import require_place

    named = find(task)
    if len(named) != 1:
        raise DaedalError(f"{task} has {len(named)} tasks, and a search is for one", "Name one of them")
    if out is not None:
        require_place(Path(out) / PAGE)
    seconds = None if budget is None and calls is not None else parse_duration("5m" if budget is None else budget)
    chosen = SearchOptions.parse({"calls": calls, "seconds": seconds, **options}, "the search")
    respondent = _respondent(model)
    asked = None if proposer is None else _respondent(proposer)
    found = Search(named[0], respondent, chosen, named[0].definition.instructions, asked, tell).run()
    told = report(found, respondent, *_said_of(respondent), chosen.seed)
    return told if out is None else write(found, told, Path(out), chosen.chat)


def use_fastest_threads() -> int:
    """Let PyTorch use as many CPU threads as are fastest now; see `daedal.training.machine`. For programs, not libraries."""
    from daedal.training.machine import use_fastest_threads as use

    return use()


def export(
    run: str | Path,
    to: str | Path,
    quantize: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write what Transformers and vLLM open; if `to` ends in `.gguf`, what llama.cpp and Ollama open."""
    from daedal.interop.export import export as write

    return write(run, to, quantize, progress)


def merge(run: str | Path, out: str | Path) -> Path:
    """Write the one model that a LoRA and its base are together: of a run that was tuned with `lora`, or of what PEFT wrote.

    Raises:
        DaedalError: there is no LoRA, its base is gone or another, or `out` is taken.
    """
    from daedal.interop.merge import merge as write

    return write(run, out)


def _measure(task: "Task", plan: "Plan", listener: "Listener") -> tuple[float, Callable[[Path], str]]:
    """What measures a run when it ends, where there is something to measure it with and by; see `daedal.training.session`."""
    from daedal.evaluation.evaluate import options_for, seconds_to_leave
    from daedal.evaluation.evaluator import NotMeasurable
    from daedal.families import ALIGNMENTS

    if plan.family in ALIGNMENTS:
        from daedal.alignment.learner import AlignmentTask
        from daedal.alignment.measuring import measured

        if isinstance(task, AlignmentTask):
            return measured(task, listener)

    reserve, why = 0.0, None
    try:
        reserve = seconds_to_leave(task, plan)
    except NotMeasurable as error:
        why = error
        listener.noted(f"The run will not be measured: {error}")

    def report(run: Path) -> str:
        try:
            if why is not None:
                raise why
            listener.noted("measuring")
            return f"{evaluate(run, **options_for(task, plan)).summary()}\nTrained and measured"
        except NotMeasurable as error:  # what holds out too little can be learned, though not measured
            return f"Not measured: {error}\nTrained"

    return reserve, report
