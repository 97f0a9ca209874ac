"""`daedal detector`: whether a text looks as a model writes."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.texts import TextFile, Texts, read

app = App(name="detector", help_format="plaintext")


@app.command
def calibrate(
    run: str,
    /,
    *,
    human: Path,
    out: Path,
    field: str = "text",
    performer: str | None = None,
) -> None:
    """Set human text of your own beside what a model finds likely, so that the rate of false positives holds.

    Parameters
    ----------
    run
        A run folder of a language model, or the id of one on the Hugging Face Hub.
    human
        Human text of the kind that will be judged, which the model has not learned: a file with a text on each line, CSV, TSV
        or JSON Lines; or a data folder, whose held-out documents are taken.
    out
        The folder of the detector.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    performer
        A second model of the same tokenizer: then the two are compared (Binoculars), else the one is asked (Fast-DetectGPT).
    """
    from daedal import api
    from daedal.api import calibrate_detector

    api.use_fastest_threads()
    texts = human if human.is_dir() else read(None, human, field)
    with console.progress() as progress:
        made = calibrate_detector(run, texts, out, performer=performer, progress=progress)
    for each in made.file.calibration:
        n = len(each.scores)
        console.show(f"{each.tokens:5,} tokens: {n:,} human texts, so that p can be as low as {1 / (n + 1):.2g}")
    console.show(f"{made.file.method}: {out}")


@app.command
def judge(
    folder: Path,
    texts: Texts = None,
    /,
    *,
    file: TextFile = None,
    field: str = "text",
    json: Switch = False,
) -> None:
    """Say how often human text looks as much as a model writes as these texts do.

    Parameters
    ----------
    folder
        The folder of the detector.
    texts
        The texts.
    file
        A file of texts: a line each, CSV, TSV or JSON Lines; - for standard input.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    json
        Print everything as JSON.
    """
    from daedal import api
    from daedal.api import detect

    given = read(texts, file, field)
    api.use_fastest_threads()
    with console.progress() as progress:
        found = detect(folder, given, lambda done, total: progress("reading", done, total))
    if json:
        console.show_json([{"text": text, **each.model_dump()} for text, each in zip(given, found, strict=True)])
        return
    for text, each in zip(given, found, strict=True):
        told = (
            f"not judged: {each.note}"
            if each.p_value is None
            else f"p = {each.p_value:.4f}  (score {each.score:.3f}, {each.judged} tokens, {each.n_calibration:,} human texts)"
        )
        console.show(f"{told}  {' '.join(text.split())[:60]}" if len(given) > 1 else told)
