"""Models that are asked, as functions: prompts, tasks, judges, prompt tests and search."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.evaluation.code.problems import CodeTask
    from daedal.evaluation.prompt_tests.outcome import TestReport
    from daedal.evaluation.report import Report
    from daedal.evaluation.tasks.task import Task as PromptTask
    from daedal.prompting.ask import Asked
    from daedal.prompting.distil import Distilled
    from daedal.prompting.respondent import Respondent


def ask(
    model: "str | Path | Respondent",
    prompt: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    text: str | None = None,
    schema: "str | Path | Mapping[str, Any] | None" = None,
    n: int = 1,
    chat: bool = False,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Asked":
    """Put a prompt to a model.

    Args:
        model: a run folder, an id of the Hugging Face Hub, a URL, or whoever answers.
        prompt: a prompt file; or `text`, in which nothing is a variable.
        values: of the file's variables; a text is read by the type of its variable.
        schema: a JSON schema that answers must match, or a file of one.
        n: answers.
        chat: put a prompt without turns as a message of a user.
        options: those of `daedal.prompting.open.open_respondent`.

    Raises:
        DaedalError: the prompt, a value or the schema makes no sense, or the model cannot be asked.
    """
    from daedal.prompting.ask import ask as put
    from daedal.prompting.ask import read_schema
    from daedal.prompting.respondent import Prompt, Wording
    from daedal.prompting.template import PromptTemplate

    wanted = read_schema(Path(schema)) if isinstance(schema, str | Path) else schema
    given = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed, "answer_schema": wanted}
    put_prompt: Prompt
    if prompt is not None:
        template = PromptTemplate.read(prompt)
        texts = {name: value for name, value in (values or {}).items() if isinstance(value, str)}
        put_prompt = template.render({**(values or {}), **template.named(texts)})
        wording, of = template.worded(**given), template.hash
    else:
        if values:
            raise DaedalError("A text has no variables to set", "Write the prompt into a file, and name it by --prompt")
        put_prompt, of = text or "", ""
        wording = Wording.parse({name: each for name, each in given.items() if each is not None}, "the options")
    if chat and isinstance(put_prompt, str):
        put_prompt = ({"role": "user", "content": put_prompt},)
    return put(_respondent(model, **options), put_prompt, wording, n=n, template=of, progress=progress)


def distil(
    model: "str | Path | Respondent",
    prompts: str | Path,
    out: str | Path,
    *,
    licence: str | None = None,
    system: str = "",
    n: int = 1,
    temperature: float = 0.0,
    max_tokens: int = 512,
    seed: int = 0,
    replace: bool = False,
    progress: Callable[[str, float, float | None], None] | None = None,
    **options: Any,
) -> "Distilled":
    """Build a data folder of conversations of what a model answers to prompts; see `daedal.prompting.distil.distil`.

    Args:
        options: those of `daedal.prompting.open.open_respondent`; answers are kept unless `remember` is False.
    """
    from daedal.prompting.distil import distil as make
    from daedal.prompting.memory import default_memory
    from daedal.prompting.respondent import Wording

    wording = Wording.parse({"temperature": temperature, "max_tokens": max_tokens, "seed": seed}, "the options")
    asked = _respondent(model, **{"memory": default_memory(), **options})
    return make(asked, prompts, out, wording, licence=licence, system=system, n=n, replace=replace, progress=progress)


def judge(
    one: str | Path,
    other: str | Path,
    model: "str | Path | Respondent",
    *,
    rubric: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> "Report":
    """Which of two files of answers a model finds better, each pair in both orders; see `daedal.evaluation.judgement.judge`.

    Args:
        options: those of `daedal.prompting.open.open_respondent`.
    """
    from daedal.evaluation.judgement import NAME, RUBRIC, compared
    from daedal.evaluation.judgement import judge as let
    from daedal.evaluation.report_folder import require_folder
    from daedal.prompting.local import LocalModel
    from daedal.prompting.memory import unwrapped

    if out is not None:
        require_folder(Path(out), NAME)
    pairs, left_out = compared(Path(one), Path(other))
    respondent = _respondent(model, **options)
    names = (Path(one).stem, Path(other).stem)
    if names[0] == names[1]:
        names = (str(one), str(other))
    return let(
        pairs, respondent, names=names, rubric=rubric or RUBRIC, by_likelihood=isinstance(unwrapped(respondent), LocalModel),
        left_out=left_out, seed=seed, out=None if out is None else Path(out), says=_said_of(respondent), progress=progress,
    )  # fmt: skip


def evaluate_tasks(
    model: "str | Path | Respondent",
    tasks: "str | Path | Sequence[str | Path | PromptTask]",
    *,
    against: "str | Path | Respondent | None" = None,
    out: str | Path | None = None,
    remote: Mapping[str, Any] | None = None,
    progress: Callable[[float, float | None, str], None] | None = None,
    told: Callable[[str], None] | None = None,
    **options: Any,
) -> "Report":
    """Measure a model on tasks, zero- and few-shot, beside simple baselines; see `daedal.evaluation.tasks.evaluate`, and
    `daedal.evaluation.code` for tasks that ask for programs.

    Args:
        model: a run folder, the id of a model on the Hugging Face Hub, the URL of an API, or whoever answers prompts.
        tasks: names of built-in tasks, files, or tasks.
        against: another model, which is asked the same.
        out: a folder for the report. What a model on this machine has said is kept there until the report is whole, so that a
            run which was stopped goes on; what an API has said is kept for good (`daedal.prompting.memory`).
        remote: options of `daedal.prompting.open.open_respondent`.
        options: the fields of `TaskOptions`; of tasks that ask for programs those of `CodeOptions`, and `unsafe_sandbox`.

    Raises:
        DaedalError: there is no such model or task, or one makes no sense.
    """
    from daedal.evaluation.code import library as code
    from daedal.evaluation.tasks.task import Task
    from daedal.files import require_place
    from daedal.prompting.ask import told_use

    named = [tasks] if isinstance(tasks, str | Path) else tasks
    of_code = [task for each in named if not isinstance(each, Task) and (task := code.find(each)) is not None]
    if of_code and len(of_code) < len(named):
        raise DaedalError("Some of these tasks ask for programs and some do not", "Measure either by itself")
    folder = None if out is None else Path(out)
    kept = None if folder is None else folder / "answers.sqlite"
    if kept is not None:
        require_place(kept)

    asked: list[Respondent] = []

    def opened(place: "str | Path | Respondent") -> "Respondent":
        asked.append(_respondent(place, kept=kept, **(remote or {})))
        return asked[-1]

    if of_code:
        report = _evaluate_code(model, of_code, against, opened, options, out=folder, progress=progress, told=told)
    else:
        report = _evaluate_prompts(model, named, against, opened, options, out=folder, progress=progress, told=told)
    if kept is not None:
        for name in (kept.name, f"{kept.name}-wal", f"{kept.name}-shm"):
            kept.with_name(name).unlink(missing_ok=True)
    for used in filter(None, map(told_use, asked)):
        if told is not None:
            told(f"{used}.")
    return report


_Open = Callable[["str | Path | Respondent"], "Respondent"]


def _evaluate_prompts(
    model: "str | Path | Respondent",
    named: "Sequence[str | Path | PromptTask]",
    against: "str | Path | Respondent | None",
    opened: _Open,
    options: dict[str, Any],
    **how: Any,
) -> "Report":
    """Measure a model on tasks whose answers are compared; see `daedal.evaluation.tasks`."""
    from daedal.evaluation.tasks import library
    from daedal.evaluation.tasks.evaluate import evaluate_tasks as measure
    from daedal.evaluation.tasks.run import TaskOptions
    from daedal.evaluation.tasks.task import Task

    for name, says in (("samples", "--samples"), ("unsafe_sandbox", "--unsafe-sandbox")):
        if options.pop(name, None):
            raise DaedalError(f"{says} is for tasks that ask for programs", "Leave it out")
    chosen = TaskOptions.parse(options, "evaluate")
    found = [task for each in named for task in ([each] if isinstance(each, Task) else library.find(each))]
    asked, other = opened(model), None if against is None else opened(against)
    says, parameters = _said_of(asked)
    return measure(asked, found, chosen, says=says, parameters=parameters, against=other, train=_learned(model), **how)


def _evaluate_code(
    model: "str | Path | Respondent",
    tasks: "Sequence[CodeTask]",
    against: "str | Path | Respondent | None",
    opened: _Open,
    options: dict[str, Any],
    **how: Any,
) -> "Report":
    """Measure a model on tasks that ask for programs; see `daedal.evaluation.code`."""
    from daedal.evaluation.code.evaluate import CodeOptions
    from daedal.evaluation.code.report import evaluate_code_tasks
    from daedal.evaluation.code.sandbox import Sandbox

    unsafe = bool(options.pop("unsafe_sandbox", False))
    if options.pop("shots", None) is not None:
        raise DaedalError("Tasks that ask for programs have their own examples", "Leave --shots out")
    chosen = CodeOptions.parse(options, "evaluate")
    with Sandbox(unsafe=unsafe) as sandbox:  # first: without it there is nothing to ask for
        asked, other = opened(model), None if against is None else opened(against)
        says, parameters = _said_of(asked)
        return evaluate_code_tasks(
            asked, tasks, chosen, sandbox, says=says, parameters=parameters, against=other, **how
        )


def tasks() -> "list[PromptTask]":
    """The built-in tasks."""
    from daedal.evaluation.tasks.builtin import BUILTIN

    return [make() for make in BUILTIN.values()]


def code_tasks() -> "list[CodeTask]":
    """The built-in tasks that ask for programs."""
    from daedal.evaluation.code.library import BUILTIN

    return [make() for make in BUILTIN.values()]


def show_tasks(name: str | Path, shots: int | None = None) -> list[str]:
    """What the tasks of a name ask; see `daedal.evaluation.tasks.shown`."""
    from daedal.evaluation.code import library as code
    from daedal.evaluation.tasks import library
    from daedal.evaluation.tasks.shown import shown

    if (found := code.find(name)) is not None:
        return [code.shown(found)]
    return [shown(task, shots) for task in library.find(name)]


def prompt_test(
    suite: str | Path,
    models: Sequence[str | Path] = (),
    *,
    remote: Mapping[str, Any] | None = None,
    **options: Any,
) -> "TestReport":
    """Ask models the prompts of a YAML file of tests, and say what passes; see `daedal.evaluation.prompt_tests.run.run_tests`.

    Args:
        models: run folders, ids of the Hugging Face Hub, or URLs; those that the file names unless given.
        remote: options of `daedal.prompting.open.open_respondent`.
        options: those of `run_tests`.
    """
    from daedal.evaluation.prompt_tests.run import run_tests
    from daedal.evaluation.prompt_tests.suite_file import read_suite
    from daedal.prompting.open import open_respondent

    def opened(place: str) -> "Respondent":
        return open_respondent(place, **(remote or {}))

    return run_tests(read_suite(Path(suite)), opened, models=[str(each) for each in models], **options)


def prompt_search(
    task: str | Path,
    model: str | Path,
    *,
    budget: str | float | None = None,
    calls: int | None = None,
    proposer: str | Path | None = None,
    out: str | Path | None = None,
    remote: Mapping[str, Any] | None = None,
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
        out: a folder for the winner as a prompt file, the report as a page and as JSON, and what the model has said, so that a
            search which was stopped goes on.
        remote: options of `daedal.prompting.open.open_respondent`.
        tell: of calls or seconds, of how many, and what is done.
        options: those of `daedal.evaluation.prompt_search.search.SearchOptions`.
    """
    from daedal.duration import parse_duration
    from daedal.evaluation.prompt_search.report import NAME, report, write
    from daedal.evaluation.prompt_search.search import Search, SearchOptions
    from daedal.evaluation.report_folder import require_folder
    from daedal.evaluation.tasks.library import find
    from daedal.prompting.open import open_respondent

    named = find(task)
    if len(named) != 1:
        raise DaedalError(f"{task} has {len(named)} tasks, and a search is for one", "Name one of them")
    if out is not None:
        require_folder(Path(out), NAME)
    seconds = None if budget is None and calls is not None else parse_duration("5m" if budget is None else budget)
    chosen = SearchOptions.parse({"calls": calls, "seconds": seconds, **options}, "the search")
    kept = {"memory": None if out is None else Path(out) / "answers.sqlite", **(remote or {})}

    def opened(place: str | Path) -> "Respondent":
        return open_respondent(place, **kept)

    respondent = opened(model)
    asked = None if proposer is None else opened(proposer)
    found = Search(named[0], respondent, chosen, named[0].definition.instructions, asked, tell).run()
    told = report(found, respondent, *_said_of(respondent), chosen.seed)
    return told if out is None else write(found, told, Path(out), chosen.chat)


def _respondent(model: "str | Path | Respondent", *, kept: Path | None = None, **options: Any) -> "Respondent":
    """Whoever answers; the options are those of `daedal.prompting.open.open_respondent`.

    Args:
        kept: a file for the answers of a model on this machine, where no other is named.
    """
    from daedal.prompting.address import is_url
    from daedal.prompting.open import open_respondent

    if not isinstance(model, str | Path):
        return model
    if kept is not None and not is_url(str(model)):
        options = {"memory": kept, **options}
    return open_respondent(model, **options)


def _said_of(respondent: "Respondent") -> tuple[str, int]:
    """What is known of whoever answers, in a line, and its number of parameters, 0 where that is not known."""
    from daedal.prompting.local import LocalModel
    from daedal.prompting.memory import unwrapped

    inner = unwrapped(respondent)
    if not isinstance(inner, LocalModel):
        return "asked through its API", 0
    model = inner.generator.model
    return f"a {model.config.architecture} of {model.parameter_count:,} parameters", model.parameter_count


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
