"""`daedal judge`: a model says which of two files of answers is better."""

from pathlib import Path

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.remote import Remote, remote, use_threads_for


def judge(
    one: Path,
    other: Path,
    /,
    *,
    model: str,
    rubric: str | None = None,
    seed: int = 0,
    out: Path | None = None,
    endpoint: Remote = None,
    json: Switch = False,
) -> None:
    """Let a model judge which of two files of answers is better, each pair in both orders: the win rate, and how far the judge
    agrees with itself.

    Parameters
    ----------
    one
        JSON Lines with a prompt and an answer, or messages that end with one.
    other
        The answers to compare with it, to the same prompts: the win rate is this one's.
    model
        The judge: a run folder or an id on the Hugging Face Hub, which judges by the likelihoods of A and B, or a URL.
    rubric
        What makes an answer better.
    seed
        Of the intervals.
    out
        A folder for the report: all verdicts, as a page and as JSON.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    use_threads_for(model)
    with console.progress() as progress:
        report = api.judge(
            one,
            other,
            model,
            rubric=rubric,
            seed=seed,
            out=out,
            progress=lambda done, total: progress("judging", done, total),
            **remote(endpoint),
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
