"""`daedal generate`: write on from a prompt, draw pictures, compose, speak or make clips, as the model can."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.composing import TuneFlags, compose
from daedal.cli.drawing import (
    Destination,
    check_place,
    drawing,
    open_judge,
    require_turns,
    run_name,
    tell,
    tell_prompts,
)
from daedal.cli.filming import ClipFlags, make_clips
from daedal.cli.marking import Marks, marking, text_mark
from daedal.cli.options import Switch, fields, given
from daedal.cli.sampling import LogitBias, Sampling, sampling
from daedal.cli.speaking import draw_sounds, speak
from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize, SamplingOptions
from daedal.models.image_sampling import ImageSampling

if TYPE_CHECKING:
    from daedal.inference.completion import Completion
    from daedal.inference.generator import Generator
    from daedal.safety.marking import Marking

_GROUP = "Pictures"
_PICTURES = 16


class _Flags(ImageSampling):
    temperature: Annotated[float | None, Parameter(parse=False)] = None
    top_k: Annotated[int | None, Parameter(parse=False)] = None


def generate(
    model: str,
    /,
    *,
    n: Annotated[int | None, Parameter(alias="-n")] = None,
    json: Switch = False,
    prompt: Annotated[list[str] | None, Parameter(negative=())] = None,
    quantize: Quantize | None = None,
    logit_bias: LogitBias = None,
    options: Sampling = None,
    label: Annotated[list[str] | None, Parameter(name="--class", negative=(), group=_GROUP)] = None,
    image: Annotated[Path | None, Parameter(group=_GROUP)] = None,
    mask: Annotated[Path | None, Parameter(group=_GROUP)] = None,
    best_of: Annotated[int | None, Parameter(group=_GROUP)] = None,
    judge: Annotated[str | None, Parameter(group=_GROUP)] = None,
    out: Path | None = None,
    columns: Annotated[int | None, Parameter(group=_GROUP)] = None,
    replace: Switch = False,
    how: Annotated[_Flags | None, fields(_GROUP)] = None,
    tunes: Annotated[TuneFlags | None, fields("Tunes")] = None,
    speaker: Annotated[str | None, Parameter(group="Sounds")] = None,
    clips: Annotated[ClipFlags | None, fields("Clips")] = None,
    marks: Marks = None,
) -> None:
    """Write text, draw pictures, compose tunes, speak or make clips, with a trained model.

    Parameters
    ----------
    model
        A run folder, or the id of a model on the Hugging Face Hub.
    n
        How many continuations or sounds of each prompt, or how many pictures, tunes or clips. [default: 1, 16 pictures, or
        as many as are named]
    json
        Print the texts, or where the pictures are, as JSON, with their provenance.
    prompt
        The text to go on from, or what to draw, to film or to say; give several for several. [default: nothing, or anything]
    quantize
        draft: an int8 copy guesses ahead and the model checks: the same text, sooner. int8: int8 weights alone, sooner still.
    logit_bias
        ID=BIAS, several times: added to the logit of a token; -100 bans it.
    label
        What to draw or to film, by name or number; give several to take them in turn. [default: any]
    image
        A picture to draw anew where the mask says, in place of a new one; see daedal edit.
    mask
        A picture of the same size: what is white or transparent in it is drawn anew. [default: all is]
    best_of
        How many pictures to draw for each that is kept: the one that fits its prompt best; or how many tunes to write of
        what is to fit given notes. [default: 1 picture, 8 tunes]
    judge
        The run folder of a CLIP that chooses. [default: a model that can caption pictures judges its own]
    out
        A file for a sheet of all (.png, .webp, .jpg ...), or a folder for one PNG each and an index. Of tunes a file for one
        (.mid, .wav, or .png for a piano roll), or a folder for MIDI and sound; of speech .wav, .flac, .ogg, .opus or .mp3, or
        .png for a spectrogram, or a folder; of clips .gif, .webp, .mp4, or .png for rows of frames, or a folder; of one text
        its file. [default: a new file or folder here; a text is printed]
    columns
        Pictures side by side on the sheet. [default: as many as rows]
    replace
        Overwrite files that are there.
    speaker
        In whose voice to speak. [default: anybody's]
    """
    chosen = sampling(options, logit_bias)
    from daedal import api

    api.use_fastest_threads()
    generator = api.load(model, **({} if quantize is None else {"quantize": quantize}))
    maker = next((MAKERS[name] for name in MAKERS if name in generator.skills), None)
    if maker is None:
        raise generator.refusal("write or draw")
    named = {
        "prompt": prompt, "quantize": quantize, "class": label, "image": image, "mask": mask, "best_of": best_of,
        "judge": judge, "out": out, "columns": columns, "replace": replace or None, "speaker": speaker,
    }  # fmt: skip
    asked: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    asked |= chosen | given(how) | given(tunes) | given(clips)
    if unable := [name for name in asked if name not in maker.takes]:
        written = ", ".join(f"--{_OTHERWISE.get(name, name).replace('_', '-')}" for name in unable)
        raise DaedalError(f"{model} {maker.does}: {written} can do nothing here", "Leave it out")
    writes = maker is MAKERS["write"]
    if writes:
        asked["watermark"] = text_mark(marks is not None and marks.no_watermark, asked.get("temperature", 1.0))
    printed = writes and out is None  # which needs no certificate
    maker.make(generator, model, n, asked, json, None if printed else marking(marks, model))


def _draw(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking"
) -> None:
    """Draw pictures, or draw one anew."""
    label, prompt = asked.pop("class", None), asked.pop("prompt", None)
    image, mask = asked.pop("image", None), asked.pop("mask", None)
    best_of, judge = asked.pop("best_of", None), asked.pop("judge", None)
    columns = asked.pop("columns", None)
    if judge is not None and best_of is None:
        raise DaedalError("--judge has nothing to choose from", "Give --best-of, as in --best-of 8")
    if best_of is not None and not prompt:
        raise DaedalError("Without a prompt there is nothing to judge by", "Give --prompt, or leave --best-of out")
    several = {"prompts": prompt, "classes": label}
    if n is None:
        n = max(_PICTURES, *(len(one or ()) for one in several.values()))
    require_turns(n, several, "Ask for at least -n {}")
    destination = Destination(asked.pop("out", None), f"samples-{run_name(run)}", asked.pop("replace", False), marking)
    destination.expect(n, generator, columns)
    tell_prompts(generator, prompt)
    with drawing() as progress:
        draw = generator.generate if image is None else partial(generator.edit, image, mask)
        if best_of is not None:
            from daedal.inference.skills.draw import draw_best

            draw = partial(draw_best, draw, open_judge(judge, generator), best_of=best_of)
        pictures = draw(n=n, label=label, prompt=prompt, progress=progress, **asked)
    tell(pictures, destination.write(pictures, columns), destination, json)


def _write(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking | None"
) -> None:
    """Go on from prompts; what a single one becomes is shown as it is written."""
    n, prompts = 1 if n is None else n, asked.pop("prompt", [""])
    out, replace = asked.pop("out", None), asked.pop("replace", False)
    if out is not None:
        from daedal.safety.marking import TYPES

        if not TYPES.get(out.suffix.lower(), "text/").startswith("text/"):
            raise DaedalError(f"{run} writes text, and {out} is a file of something else", "Name a .txt file")
        if n * len(prompts) != 1:
            raise DaedalError(f"{out} holds one text, and {n * len(prompts)} are asked for", "Leave --out out")
        check_place(out, replace, folder=False)
    how = {name: value for name, value in asked.items() if name != "quantize"}  # as which it was opened
    if n == 1 and len(prompts) == 1 and out is None and not json and sys.stdout.isatty():
        _stream(generator, prompts[0], how)
        return
    completions = generator.generate(prompts, n=n, **how)
    if out is not None:
        completions[0].save(out, marking)
        return
    if json:
        console.show_json([completion.model_dump(mode="json") for completion in completions])
    else:
        _show(completions)


def _stream(generator: "Generator", prompt: str, how: dict[str, Any]) -> None:
    """Print a continuation as it is written."""
    console.write(prompt)
    for chunk in generator.stream(prompt, **how):
        console.write(chunk.text)
    console.write("\n")


def _show(completions: "list[Completion]") -> None:
    for number, completion in enumerate(completions, 1):
        if len(completions) > 1:
            print(f"=== {number} of {len(completions)} ===")
        console.write(f"{completion.prompt}{completion.text}\n")


class Maker(NamedTuple):
    """What is done with models of a skill.

    Attributes:
        does: what they do, as a sentence goes on.
        takes: the options that they heed.
        make: does it: given the model, its name, how many are asked for, the options, whether JSON is printed, and how
            files are marked.
    """

    does: str
    takes: frozenset[str]
    make: "Callable[[Generator, str, int | None, dict[str, Any], bool, Any], None]"


_CHANCE = frozenset(("temperature", "top_k", "seed"))
_FILES = frozenset(("out", "replace"))
_PICTURE = Maker(
    "draws pictures and writes no text",
    _CHANCE
    | _FILES
    | {"prompt", "class", "image", "mask", "best_of", "judge", "columns"}
    | {*ImageSampling.model_fields},
    _draw,
)
_TEXT = _FILES | {"prompt", "quantize", "logit_bias"} | {*SamplingOptions.model_fields}
MAKERS = {
    "speak": Maker(
        "speaks", _CHANCE | _FILES | {"prompt", "speaker", "begin", "seconds"} | {*ImageSampling.model_fields}, speak
    ),
    "compose": Maker("composes tunes", _CHANCE | _FILES | {"top_p", "best_of"} | {*TuneFlags.model_fields}, compose),
    "film": Maker(
        "makes clips",
        _CHANCE | _FILES | {"prompt", "class", "begin"} | {*ImageSampling.model_fields} | {*ClipFlags.model_fields},
        make_clips,
    ),
    "draw-sounds": Maker("draws sounds", _CHANCE | _FILES | {"class"} | {*ImageSampling.model_fields}, draw_sounds),
    "write": Maker("writes text and draws no pictures", frozenset(_TEXT), _write),
    "draw": _PICTURE,
    "edit": _PICTURE,
}
"""By the skill. A model is made use of by the first that it has."""
_OTHERWISE = {"begin": "continue"}
"""Options by what their fields are called, where that is another name."""
