"""`daedal prompt`: test prompts, and search for better ones."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console
from daedal.cli.options import Switch, numbers
from daedal.cli.remote import Remote, remote, use_threads_for
from daedal.errors import DaedalError

app = App(name="prompt", help_format="plaintext")
_FAILED = 1
"""The exit code where a test of a prompt fails."""


@app.command(name="test")
def run_tests(
    tests: Path,
    /,
    *,
    models: str | None = None,
    repeat: int | None = None,
    target: float = 1.0,
    temperature: float | None = None,
    max_tokens: int | None = None,
    judge: str | None = None,
    embedder: str | None = None,
    chat: Switch = False,
    seed: int = 0,
    html: Path | None = None,
    junit: Path | None = None,
    json: Switch = False,
    behind: Remote = None,
) -> None:
    """Ask models the prompts of a YAML file of tests, and say what passes. Exit code 1 where a test fails.

    Parameters
    ----------
    tests
        A YAML file with prompts, tests and what they assert, in the shape of promptfoo's.
    models
        Run folders, ids on the Hugging Face Hub or URLs, with commas between; those that the file names unless given.
    repeat
        Samples of each case; what the file says, or one, unless given. Greedy answers of a model here are asked once.
    target
        The share of samples that is to pass, where the file does not say.
    temperature
        Of the answers, where the file does not say; 0, greedy, unless given.
    max_tokens
        Of an answer at most, where the file does not say; 256 unless given.
    judge
        Whom llm-rubric asks, where the file does not say: a run folder, an id or a URL.
    embedder
        A run folder or id of an embedder, by which similar goes; letters' trigrams unless given.
    chat
        Put prompts that are texts as a message of a user.
    seed
        The same seed, models and tests give the same answers on the same machine.
    html
        A file for the report as a page.
    junit
        A file for the report as JUnit XML.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.prompt_tests.junit import junit as as_junit
    from daedal.evaluation.prompt_tests.page import page
    from daedal.evaluation.prompt_tests.terminal import render
    from daedal.files import require_place, write_text

    for path in (html, junit):
        if path is not None:
            require_place(path)
    wording = {
        name: each for name, each in (("temperature", temperature), ("max_tokens", max_tokens)) if each is not None
    }
    api.use_fastest_threads()
    with console.progress() as progress:
        report = api.prompt_test(
            tests,
            _listed(models),
            repeat=repeat,
            target=target,
            judge=judge,
            embedder=embedder,
            wording=wording,
            chat=chat,
            remote=remote(behind),
            seed=seed,
            tell=lambda done, total, doing: progress("asking", done, total, doing),
        )
    written = []
    for path, text in ((html, page), (junit, as_junit)):
        if path is not None:
            write_text(path, text(report))
            written.append(str(path))
    if json:
        console.show_json(report)
    else:
        console.show(render(report, tuple(written)))
    if not report.passed:
        raise SystemExit(_FAILED)


@app.command
def search(
    task: str,
    /,
    *,
    model: str,
    budget: str | None = None,
    calls: int | None = None,
    proposer: str | None = None,
    candidates: int = 16,
    shots: str = "0,1,2,4,8",
    proposals: int = 4,
    held_out: int = 500,
    chat: Switch = False,
    seed: int = 0,
    out: Path | None = None,
    json: Switch = False,
    behind: Remote = None,
) -> None:
    """Search for a better prompt of a task: instructions, examples and strategies. What it gains is measured once, on items
    that nothing has seen.

    Parameters
    ----------
    task
        A built-in task (daedal tasks), or a file of one; its instructions are tried beside its description.
    model
        A run folder, the id of a model on the Hugging Face Hub, or a URL.
    budget
        How long it may take: 5m unless --calls is given.
    calls
        Prompts that the search may put to the model, beside those that measure its end.
    proposer
        Who proposes instructions; the model itself unless given.
    candidates
        Prompts that are compared, the one that the task has among them.
    shots
        Numbers of examples that are tried.
    proposals
        Instructions to ask for; 0 asks for none.
    held_out
        Items that nothing sees until the end, at most.
    chat
        Put questions and answers as turns of a conversation.
    seed
        The same seed, model, task and calls give the same prompt on the same machine.
    out
        A folder for the winner as a prompt file, the report as a page and as JSON, and what the model has said: run again with
        the same folder, a search that was stopped goes on.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    use_threads_for(model)
    with console.progress() as progress:
        report = api.prompt_search(
            task,
            model,
            budget=budget,
            calls=calls,
            proposer=proposer,
            out=out,
            remote=remote(behind),
            tell=lambda done, total, doing: progress("searching", done, total, doing),
            count=candidates,
            shots=numbers("--shots", shots),
            proposals=proposals,
            held_out=held_out,
            chat=chat,
            seed=seed,
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))


def _listed(models: str | None) -> list[str]:
    """Names with commas between."""
    if models is None:
        return []
    names = [each.strip() for each in models.split(",")]
    if not all(names):
        raise DaedalError(f"--models {models} names nothing between its commas", "Write --models RUN,URL")
    return names
