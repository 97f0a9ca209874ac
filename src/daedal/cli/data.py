"""`daedal data`: build data from sources, and look at the data card."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from daedal.cli import console
from daedal.cli.options import Switch, fields, given, named_values
from daedal.data.clip_options import ClipFields
from daedal.data.images.options import PictureOptions
from daedal.data.options import CommonOptions, TextOptions
from daedal.data.sound_options import SoundFields
from daedal.files import write_text

app = App(name="data", help_format="plaintext")


@app.command
def build(
    sources: Annotated[list[str], Parameter(name="SOURCE", negative=())],
    /,
    *,
    out: Path,
    kind: str | None = None,
    column: Annotated[list[str] | None, Parameter(negative=())] = None,
    from_text: Switch = False,
    set: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    workers: int | None = None,
    replace: Switch = False,
    json: Switch = False,
    common: Annotated[CommonOptions | None, fields("What to build")] = None,
    text: Annotated[TextOptions | None, fields("Text")] = None,
    pictures: Annotated[PictureOptions | None, fields("Pictures")] = None,
    clips: Annotated[ClipFields | None, fields("Clips")] = None,
    sounds: Annotated[SoundFields | None, fields("Sounds")] = None,
) -> None:
    """Clean, deduplicate, split and encode text, pictures, sounds or other examples, so that a model can be trained on them.

    Parameters
    ----------
    sources
        Files, folders, archives, hf:NAME[:SPLIT], python-docs, python-code, python-functions[:N], in-context[:N], digits,
        scenes,
        emoji-scenes:N,from=PATH or moving-scenes:N.
        What kind of example they hold is seen from them, and told.
    out
        The data folder to write.
    kind
        Of example: text, pictures, labelled, tagged, pairs, questions, chat, preferences, histories, sounds, clips.
        [default: seen from the sources]
    column
        Which column of the source is which of an example, as text=review; several times. [default: guessed, and told]
    from_text
        Make questions of running text (Lewis et al. 2019): a name, a number or a date is cut out of a sentence.
    set
        An option that only the kind has, as min_items=5; several times.
    workers
        Processes that read and encode. [default: one for each core]
    replace
        Write over data that was built otherwise.
    json
        Print the manifest as JSON.
    """
    from daedal import api
    from daedal.data import render_card

    with console.progress() as progress:
        options = {
            **given(common),
            **given(text),
            **given(pictures),
            **given(clips),
            **given(sounds),
            **named_values(set or ()),
        }
        if column:
            options["column"] = tuple(column)
        if from_text:
            kind, options["from_text"] = kind or "questions", True
        dataset = api.build_data(sources, out, kind, workers=workers, replace=replace, progress=progress, **options)
    if json:
        console.show_json(dataset.manifest)
    else:
        console.show(render_card(dataset))


@app.command
def show(folder: Path, /, *, html: Path | None = None, json: Switch = False) -> None:
    """Show the data card: what is in each split, what was left out and why, duplicates; of pictures a contact sheet, too.

    Parameters
    ----------
    folder
        The data folder.
    html
        Write the card to this file as an HTML page.
    json
        Print the manifest as JSON.
    """
    from daedal.data import card_html, open_data, render_card

    dataset = open_data(folder)
    if html is not None:
        write_text(html, card_html(dataset))
        console.note(f"The data card is in {html}")
    if json:
        console.show_json(dataset.manifest)
    elif html is None:
        console.show(render_card(dataset))
