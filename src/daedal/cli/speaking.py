"""What `daedal generate` and `daedal edit` do with a model that speaks: where the sounds go, and what is said of them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.cli import console
from daedal.cli.drawing import check_place, free, run_name
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.inference.generator import Generator
    from daedal.inference.sound import Sound
    from daedal.safety.marking import Marking


def speak(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking"
) -> None:
    """Say prompts: into a file where there is one sound, else into a folder. For `daedal generate`."""
    prompts, speaker = asked.pop("prompt", []), asked.pop("speaker", None)
    out, replace = asked.pop("out", None), asked.pop("replace", False)
    begin, seconds = asked.pop("begin", None), asked.pop("seconds", None)
    say: Callable[..., list[Sound]] = generator.say
    if begin is not None or seconds is not None:
        say = partial(generator.go_on, begin, seconds=seconds)
    if not prompts:
        if begin is None and generator.captions is not None:
            raise DaedalError("Nothing is to be said", "Give --prompt, as in --prompt seven")
        prompts = [None]
    n = 1 if n is None else n
    count = n * len(prompts)
    out = _place(out, run, count, replace)
    sounds: list[Sound] = []
    with console.progress() as progress:
        for number, prompt in enumerate(prompts):
            sounds += say(prompt, speaker, n, **asked)
            progress("speaking", (number + 1) * n, count)
    _write(sounds, out, json, marking)


def _place(out: Path | None, run: str, count: int, replace: bool) -> Path:
    """A file for one sound, or a folder, which can be written."""
    from daedal.inference.sound import saved_format

    if out is None:
        out = free(f"said-{run_name(run)}{'.wav' if count == 1 else ''}")
    if out.suffix:
        saved_format(out)
        if count > 1:
            raise DaedalError(f"{out} holds one sound, and {count} are asked for", "Name a folder")
    check_place(out, replace, folder=not out.suffix)
    return out


def _write(sounds: "list[Sound]", out: Path, json: bool, marking: "Marking") -> None:
    """Write sounds where they belong, and tell."""
    if out.suffix:
        written = [sounds[0].save(out, marking)]
    else:
        written = [sound.save(out / f"{number:05}.wav", marking) for number, sound in enumerate(sounds)]
    tell(sounds, written, out, json)


def draw_sounds(
    generator: "Generator", run: str, n: int | None, asked: dict[str, Any], json: bool, marking: "Marking"
) -> None:
    """Draw sounds: into a file where there is one, else into a folder. For `daedal generate`."""
    n = 1 if n is None else n
    out = _place(asked.pop("out", None), run, n, asked.pop("replace", False))
    _write(generator.draw_sounds(n, label=asked.pop("class", None), **asked), out, json, marking)


def say_anew(
    generator: "Generator", recording: Path, between: tuple[float | None, float | None], prompts: list[str],
    speaker: str | None, how: dict[str, Any], out: Path | None, replace: bool, json: bool, marking: "Marking",
) -> None:  # fmt: skip
    """Say a passage of a recording anew."""
    from daedal.inference.sound import saved_format

    start, end = between
    if start is None or end is None:
        raise DaedalError("No passage is named that is to say something else", "Give --from and --to, in seconds")
    if len(prompts) != 1:
        raise DaedalError(f"A passage says one thing, and {len(prompts)} are given", "Give one --prompt")
    out = Path(f"edit-{recording.stem}.wav") if out is None else out
    saved_format(out)
    check_place(out, replace, folder=False)
    made = generator.say_anew(recording, start, end, prompts[0], speaker, **how)
    tell([made], [made.save(out, marking)], out, json)


def reconstruct_sounds(
    generator: "Generator", run: str, recordings: list[Path], out: Path | None, replace: bool, json: bool,
    marking: "Marking",
) -> None:  # fmt: skip
    """Write recordings as they come back through a tokenizer, and tell how far off they are. For `daedal reconstruct`."""
    out = _place(out, run, len(recordings), replace)
    copies = generator.reconstruct_sounds(recordings)
    places = [out] if out.suffix else [out / f"{number:05}-{path.stem}.wav" for number, path in enumerate(recordings)]
    for copy, place in zip(copies, places, strict=True):
        copy.sound.save(place, marking)
    if json:
        found = zip(recordings, places, copies, strict=True)
        console.show_json([{"recording": str(path), "file": str(at), **copy.record()} for path, at, copy in found])
        return
    for path, copy in zip(recordings, copies, strict=True):
        console.note(f"{path}: {copy.moments} x {copy.books} codes, mel distance {copy.distance:.2f} dB")
    console.note(f"As they come back: {out}")


def tell(sounds: "list[Sound]", written: list[Path], out: Path, json: bool) -> None:
    """Say where sounds are, and how they can be made again."""
    records = [sound.provenance.model_dump(mode="json") for sound in sounds if sound.provenance is not None]
    if json:
        console.show_json([{"file": str(path), **record} for path, record in zip(written, records, strict=True)])
        return
    seconds = sum(sound.seconds for sound in sounds)
    what = "1 sound" if len(sounds) == 1 else f"{len(sounds)} sounds"
    console.note(f"{what}, {seconds:.1f} s, seed {records[0]['seed']}: {out}")
