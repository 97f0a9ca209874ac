"""`daedal generate`: write on from a prompt, or draw pictures, as the model can."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.composing import TuneFlags, compose
from daedal.cli.drawing import (
    Destination,
    drawing,
    open_judge,
    require_turns,
    run_name,
    tell,
    tell_prompts,
)
from daedal.cli.filming import ClipFlags, make_clips
from daedal.cli.options import Switch, fields, given
from daedal.cli.sampling import LogitBias, Sampling, sampling
from daedal.cli.speaking import speak
from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize
from daedal.models.image_sampling import ImageSampling

if TYPE_CHECKING:
    from daedal.inference.completion import Completion
    from daedal.inference.generator import Generator

_GROUP = "Pictures"
_SHARED = {"temperature", "top_k", "seed"}
"""Options of text that are options of pictures too."""
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
    out: Annotated[Path | None, Parameter(group=_GROUP)] = None,
    columns: Annotated[int | None, Parameter(group=_GROUP)] = None,
    replace: Annotated[bool, Parameter(negative=(), show_default=False, group=_GROUP)] = False,
    how: Annotated[_Flags | None, fields(_GROUP)] = None,
    tunes: Annotated[TuneFlags | None, fields("Tunes")] = None,
    speaker: Annotated[str | None, Parameter(group="Sounds")] = None,
    clips: Annotated[ClipFlags | None, fields("Clips")] = None,
) -> None:
    """Write text, draw pictures, compose tunes, speak or make clips, with a trained model.

    Parameters
    ----------
    model
        A run folder, or the id of a model on the Hugging Face Hub.
    n
        How many continuations of each prompt, or how many pictures or tunes. [default: 1 text or tune, 16 pictures or as
        many as are named]
    json
        Print the texts, or where the pictures are, as JSON, with their provenance.
    prompt
        The text to go on from, or what to draw in words; give several for several. [default: nothing, or anything]
    quantize
        draft: an int8 copy guesses ahead and the model checks: the same text, sooner. int8: int8 weights alone, sooner still.
    logit_bias
        ID=BIAS, several times: added to the logit of a token; -100 bans it.
    label
        What to draw, by name or number; give several to take them in turn. [default: any]
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
        (.mid, .wav, or .png for a piano roll), or a folder for MIDI and sound; of speech .wav, .flac, .ogg or .mp3, or a
        folder; of clips a .gif, .webp or .mp4, or a folder. [default: a new file or folder here]
    columns
        Pictures side by side on the sheet. [default: as many as rows]
    replace
        Overwrite files that are there.
    speaker
        In whose voice to speak. [default: anybody's]
    """
    chosen = sampling(options, logit_bias)
    of_text = {"quantize": quantize} | {name: value for name, value in chosen.items() if name not in _SHARED}
    of_pictures = {
        "class": label, "image": image, "mask": mask, "best_of": best_of, "judge": judge, "out": out,
        "columns": columns, "replace": replace or None, **given(how),
    }  # fmt: skip
    from daedal import api

    api.use_fastest_threads()
    generator = api.load(model, **({} if quantize is None else {"quantize": quantize}))
    if "speak" in generator.skills:
        unable = {
            name: value
            for name, value in of_pictures.items()
            if name not in ("out", "replace", *ImageSampling.model_fields)
        }
        unable |= of_text | given(tunes)
        _refuse(unable, f"{model} speaks")
        values = {name: value for name, value in chosen.items() if name in _SHARED} | given(how)
        speak(generator, model, prompt or [], n or 1, speaker, values, out, replace, json)
        return
    _refuse({"speaker": speaker}, f"{model} does not speak")
    of_tunes = {"continue" if name == "begin" else name: value for name, value in given(tunes).items()}
    if "compose" in generator.skills:
        shared = {"temperature", "top_k", "top_p", "seed"}
        unable = {
            name: value for name, value in of_pictures.items() if name not in ("out", "replace", "top_k", "best_of")
        }
        unable |= {name: value for name, value in of_text.items() if name not in shared} | {"prompt": prompt}
        _refuse(unable, f"{model} composes tunes")
        values = {name: value for name, value in chosen.items() if name in shared}
        compose(generator, model, n or 1, tunes, values | {"tries": best_of}, out, replace, json)
        return
    _refuse(of_tunes, f"{model} composes no tunes")
    if "film" in generator.skills:
        shared = {"temperature", "top_k", "seed"}
        unable = {
            name: value for name, value in of_pictures.items() if name not in ("out", "replace", "guidance", "top_k")
        }
        _refuse(unable | {name: value for name, value in of_text.items() if name not in shared}, f"{model} makes clips")
        values = {name: value for name, value in {**chosen, **given(how)}.items() if name in {*shared, "guidance"}}
        make_clips(generator, model, n or 1, clips, {"prompt": prompt, **values}, out, replace, json)
        return
    _refuse(given(clips), f"{model} makes no clips")
    if "write" in generator.skills:
        _refuse(of_pictures, f"{model} writes text and draws no pictures")
        _write(generator, prompt or [""], 1 if n is None else n, json, chosen)
        return
    if not generator.capabilities & {"sample", "edit"}:
        raise generator.refusal("write or draw")
    _refuse(of_text, f"{model} draws pictures and writes no text")
    if judge is not None and best_of is None:
        raise DaedalError("--judge has nothing to choose from", "Give --best-of, as in --best-of 8")
    if best_of is not None and not prompt:
        raise DaedalError("Without a prompt there is nothing to judge by", "Give --prompt, or leave --best-of out")
    several = {"prompts": prompt, "classes": label}
    if n is None:
        n = max(_PICTURES, *(len(one or ()) for one in several.values()))
    require_turns(n, several, "Ask for at least -n {}")
    destination = Destination(out, f"samples-{run_name(model)}", replace)
    destination.expect(n, generator, columns)
    tell_prompts(generator, prompt)
    with drawing() as progress:
        asked: dict[str, Any] = {"n": n, "label": label, "prompt": prompt}
        draw = generator.generate if image is None else partial(generator.edit, image, mask)
        if best_of is not None:
            from daedal.inference.skills.draw import draw_best

            draw = partial(draw_best, draw, open_judge(judge, generator), best_of=best_of)
        pictures = draw(**asked, progress=progress, **chosen, **given(how))
    tell(pictures, destination.write(pictures, columns), destination, json)


def _refuse(options: dict[str, Any], why: str) -> None:
    """Refuse options of the other kind of model."""
    named = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if named:
        raise DaedalError(f"{why}: {', '.join(named)} can do nothing here", "Leave it out")


def _write(generator: "Generator", prompts: list[str], n: int, json: bool, how: dict[str, Any]) -> None:
    if n == 1 and len(prompts) == 1 and not json and sys.stdout.isatty():
        _stream(generator, prompts[0], how)
        return
    completions = generator.generate(prompts, n=n, **how)
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
