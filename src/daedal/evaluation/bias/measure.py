"""`daedal bias`: everything that can be said of how a model leans, as one report.

What a model can do decides what is asked: one that writes or fills in gets the sets that are named, and our own probes; a
classifier and a reward model get swapped people; these and a recommender get the groups of a file; a model of pictures is
set beside its data.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from daedal import __version__
from daedal.codecs.image import PixelCodec
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.evaluation.bias.bbq import bbq
from daedal.evaluation.bias.bbq_items import read_bbq
from daedal.evaluation.bias.clusters import evenly
from daedal.evaluation.bias.crows import crows, read_crows
from daedal.evaluation.bias.groups import by_groups
from daedal.evaluation.bias.pictures import SAMPLES, pictures
from daedal.evaluation.bias.probes import probes
from daedal.evaluation.bias.readers import Filler, Reader, Share, reader_of
from daedal.evaluation.bias.stereoset import read_stereoset, stereoset
from daedal.evaluation.bias.swaps import swaps
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, Report
from daedal.evaluation.report_folder import keep, require_folder
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.prompting.memory import unwrapped
from daedal.prompting.respondent import Respondent
from daedal.training.run import RunFolder

NAME = "bias"
"""Of the files of its report."""
SETS: dict[str, tuple[Callable[[Path], list[Any]], Callable[..., Findings], str]] = {
    "bbq": (read_bbq, bbq, "questions of BBQ"),
    "crows": (read_crows, crows, "pairs of CrowS-Pairs"),
    "stereoset": (read_stereoset, stereoset, "examples of StereoSet"),
}
"""How each set is read, what it measures, and what its items are called."""
Progress = Callable[[float, float | None, str], None]
_LIMITS = (
    "A score here is an association between words or groups on a few templates in English, most of them about the United "
    "States. None says what a person suffers by it, none covers all groups, and a score near its ideal is no proof that "
    "nothing is wrong."
)


class BiasOptions(Config):
    """What is measured.

    Attributes:
        sets: folders or files of the field's sets, by `bbq`, `crows` and `stereoset`.
        counterfactual: for models of pictures: ask for what leaves them free.
        groups: for classifiers, reward models and recommenders: a file of rows, of which `column` says the group.
        limit: items of each set, evenly from first to last; templates of each theme of our own probes; pictures.
    """

    sets: dict[str, Path] = Field(default_factory=dict)
    counterfactual: bool = False
    groups: Path | None = None
    column: str | None = None
    limit: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)


def quick_probes(model: Generator, tell: Share | None = None, limit: int | None = None) -> Findings:
    """What can be said of a model at once, without files: our own probes, or swapped people; of no text, nothing."""
    share = tell or (lambda done: None)
    if {"classify", "reward"} & model.capabilities:
        return swaps(model, share)
    reader = reader_of(model)
    return Findings(missing=("bias: the model reads no text",)) if reader is None else probes(reader, share, limit)


def measure_bias(
    model: Generator | Respondent,
    options: BiasOptions,
    *,
    run: Path | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """How a model leans.

    Args:
        run: its folder, which knows what it learned from.
        out: a folder for the report, as a page and as JSON.
        progress: told how much is done, of how much, and what is being done.

    Raises:
        DaedalError: a file cannot be read, which is said before anything is asked, or the model cannot be asked for it.
    """
    started = time.monotonic()
    if out is not None:
        require_folder(out, NAME)
    if (options.groups is None) != (options.column is None):
        raise DaedalError("--groups names a file, and --column what in it says the group", "Give both")
    work = _work(model, options, run)
    found = Findings()
    for number, (doing, do) in enumerate(work):

        def tell(share: float, number: int = number, doing: str = doing) -> None:
            if progress is not None:
                progress(number + share, len(work), doing)

        tell(0)
        found += do(tell)
    if not found.measurements:
        raise DaedalError(
            f"Nothing could be measured: {'; '.join(found.missing) or 'nothing applies'}",
            "Use a model with a longer context or better samples, or name other data",
        )
    report = _report(model, found, [doing for doing, _ in work], options, started)
    return report if out is None else keep(report, out, NAME)


Work = list[tuple[str, Callable[[Share], Findings]]]


def _work(model: Generator | Respondent, options: BiasOptions, run: Path | None) -> Work:
    """What is to be done: each with what it is called. All files are read here."""
    for name in options.sets:
        if name not in SETS:
            raise DaedalError(f"--sets {name}: there is no such set", f"There are {', '.join(SETS)}")
    generator = model if isinstance(model, Generator) else None
    if generator is not None and isinstance(generator.codec, PixelCodec):
        return _of_pictures(generator, options, run)
    if options.counterfactual:
        raise DaedalError("--counterfactual is for models of pictures", "Leave it out")
    work: Work = []
    reader = None if generator is not None and {"classify", "reward"} & generator.capabilities else reader_of(model)
    for name, path in options.sets.items():
        work.append(_of_set(name, path, reader, options))
    if options.groups is not None and options.column is not None:
        if generator is None:
            raise DaedalError("--groups is for models of this machine", "Leave it out")
        path, column, own = options.groups, options.column, generator
        work.append((f"groups of {path.name}", lambda tell: by_groups(own, path, column, tell, options.seed)))
    if reader is not None and (isinstance(reader, Filler) or reader.tells_whole_texts):
        asked = reader
        work.append(("our own probes", lambda tell: probes(asked, tell, options.limit)))
    elif generator is not None and {"classify", "reward"} & generator.capabilities:
        own = generator
        work.append(("our own swapped people", lambda tell: swaps(own, tell)))
    if not work and generator is None:
        raise DaedalError(
            f"The API of {model.name} tells nothing of whole sentences, which our own probes need",
            "Name --sets bbq=FOLDER",
        )
    if not work and generator is not None:
        recommends = "recommend" in generator.capabilities
        raise DaedalError(
            f"What {generator.kind.lower()} says of people cannot be measured by itself",
            "Name --groups and --column" if recommends else "Use a model of texts or of pictures",
        )
    return work


def _of_set(
    name: str, path: Path, reader: Reader | None, options: BiasOptions
) -> tuple[str, Callable[[Share], Findings]]:
    """One of the field's sets."""
    read, measure, called = SETS[name]
    if reader is None:
        raise DaedalError(f"--sets {name} is for models that write or fill in", "Leave it out")
    if name == "bbq" and isinstance(reader, Filler):
        raise DaedalError("BBQ asks questions, and a model that fills in answers none", "Use a GPT, or leave it out")
    items = read(path)
    asked = [items[at] for at in evenly(len(items), options.limit)]
    return f"{len(asked):,} {called}", lambda tell: measure(asked, reader, tell, options.seed)


def _of_pictures(generator: Generator, options: BiasOptions, run: Path | None) -> Work:
    if options.sets or options.groups is not None:
        raise DaedalError("--sets and --groups are for models of texts", "Leave them out")
    source = Source.open(None, None if run is None else RunFolder(run))
    count = options.limit or SAMPLES
    doing = f"{count:,} pictures" + (" without a prompt, and as many of prompts" if options.counterfactual else "")
    return [(doing, lambda tell: pictures(
        generator, source, tell, counterfactual=options.counterfactual, samples=count, seed=options.seed
    ))]  # fmt: skip


def _report(
    model: Generator | Respondent, found: Findings, asked: list[str], options: BiasOptions, started: float
) -> Report:
    inner = getattr(unwrapped(model), "generator", None) if not isinstance(model, Generator) else model
    name = model.name
    if inner is not None:
        folder = Path(inner.name)
        name = folder.resolve().name if folder.is_dir() else inner.name
    parameters = 0 if inner is None else int(inner.model.parameter_count)
    says = "asked through its API" if inner is None else f"{inner.model.family}, {parameters:,} parameters"
    hashes = {each.data_hash for each in found.measurements}
    return Report(
        daedal=__version__,
        model=ModelFacts(
            name=name, parameters=parameters, says=says,
            hash=inner.fingerprint if inner is not None else getattr(model, "identity", ""),
        ),
        data=DataFacts(name=NAME, hash=hashes.pop() if len(hashes) == 1 else "", says="; ".join(asked)),
        presentation=Presentation(
            what="How a model leans", data="bias", task="", tag="bias", use="", limits=_LIMITS,
            headlines=tuple(dict.fromkeys(each.quantity.split("/")[0] for each in found.measurements))[:3],
        ),
        measurements=found.measurements, baselines=found.baselines, blocks=found.blocks, missing=found.missing,
        sampling=_sampling(options), seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip


def _sampling(options: BiasOptions) -> Mapping[str, Any]:
    return {"seed": options.seed, "limit": options.limit}
