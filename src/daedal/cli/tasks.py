"""`daedal tasks`: what models can be asked."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console

app = App(name="tasks", help_format="plaintext")


@app.default
@app.command(name="list")
def show_all() -> None:
    """List the built-in tasks, and say which files are tasks too."""
    from daedal import api

    width = max(len(each.name) for each in api.tasks())
    for each in api.tasks():
        says = str((each.definition.metadata or {}).get("says", ""))
        console.show(f"{each.name:<{width}}  {each.definition.output_type:<21}  {says}".rstrip())
    for programs in api.code_tasks():
        console.show(f"{programs.name:<{width}}  {'code':<21}  {programs.title}")
    console.show(
        "\nA task is also a file: YAML as lm-evaluation-harness has it, or JSON, JSON Lines, CSV or Parquet whose columns say "
        "what is asked (question, choices, answer; question, answer; prompt, answer; sentence_good, sentence_bad; text; "
        "or those of MBPP and HumanEval)."
    )


@app.command
def show(name: str, /, *, shots: int | None = None) -> None:
    """Show what a task asks: its first item as a prompt, the choices, the right answer and the metrics.

    Parameters
    ----------
    name
        A built-in task, a group of them, or a file.
    shots
        Examples before the item; as the task says unless given.
    """
    from daedal import api

    for text in api.show_tasks(Path(name) if Path(name).exists() else name, shots):
        console.show(text)
