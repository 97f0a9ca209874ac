"""What the command line can do, as functions: build data, plan, train, load, evaluate, export."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.config import Config
from daedal.duration import format_duration, parse_duration
from daedal.errors import DaedalError
from daedal.files import absolute

if TYPE_CHECKING:
    from daedal.data.examples import ExampleDataset
    from daedal.data.images.dataset import ImageDataset
    from daedal.data.shards import Dataset
    from daedal.evaluation.report import Report
    from daedal.inference.generator import Generator
    from daedal.training.family import Family
    from daedal.training.metrics import Listener
    from daedal.training.plan import Plan
    from daedal.training.processes import Processes
    from daedal.training.run import RunFolder
    from daedal.training.text_to_image import TextToImage


TEXT_TO_IMAGE = "text-to-image"
_TOKENS_SHARE = 0.25  # of the budget of text to image: with more, tokens lose hardly less (docs/log.md)
_SHARED = ("steps", "seed", "device", "threads", "precision")  # options of both of its stages


class TrainingResult(Config):
    """A finished run.

    Attributes:
        seconds: what the whole run took, evaluation and saving included, however often it was stopped.
        text: what to tell a person.
    """

    run: Path
    steps: int
    seconds: float
    text: str

    def summary(self) -> str:
        return self.text


def build_data(
    sources: Sequence[str | Path], out: str | Path, kind: str | None = None, **options: Any
) -> "Dataset | ImageDataset | ExampleDataset":
    """Turn sources into a data folder.

    Args:
        kind: of example, such as "text", "pictures", "labelled" or "chat"; guessed from the sources, and told, unless given.
        options: those of the kind: `daedal.data.BuildOptions` of text, `daedal.data.images.ImageOptions` of pictures,
            `daedal.data.kind.Kind.options` of the others; and `workers`, `replace` and `progress`, as `daedal.data.build` has
            them.
    """
    from daedal.data.any_build import build_any

    return build_any(sources, out, kind, options)


def make_plan(
    family: str,
    data: str | Path,
    budget: str | float | None = None,
    init: str | None = None,
    codec: str | Path | None = None,
    **options: Any,
) -> "Plan":
    """What `train` would do, and why.

    Args:
        data: a data folder.
        budget: seconds, or a text such as "3m".
        options: values of the plan, set by hand.
    """
    return _plan(family, data, budget, init, codec, options)[0]


def train(
    family: str,
    *,
    data: str | Path,
    out: str | Path,
    budget: str | float | None = None,
    init: str | None = None,
    codec: str | Path | None = None,
    progress: "Listener | None" = None,
    **options: Any,
) -> TrainingResult:
    """Train a model on a data folder within a time budget, then measure it.

    Args:
        family: "gpt" for text; "vae", "vqvae", "gan" or "flow" for pictures; "clip" for pictures and their captions;
            "text-to-image" for a tokenizer and a GPT that learns its tokens after their captions, in one budget, or, with
            `prior="flow"`, for a flow that learns captions.
        data: a data folder that `build_data` made.
        out: the run folder to make.
        budget: seconds, or a text such as "3m", for everything from this call to its end; 3 minutes unless `steps` is given.
        init: a run folder or Hugging Face id whose weights to start from.
        codec: a run folder whose codes of pictures to learn in place of pixels: of a "vae" for a flow, of a "vqvae" for a GPT.
        progress: whoever wants to watch.
        options: values of the plan, set by hand, such as `steps=300` or `context=256`.

    Raises:
        DaedalError: the data, the folder or an option is wrong, the budget too short, or training diverged.
        Interrupted: a signal asked to stop; `resume` goes on.
    """
    started = time.monotonic()
    from daedal.training.choice import DEFAULT_BUDGET
    from daedal.training.processes import processes
    from daedal.training.run import RunFolder, claimed
    from daedal.training.text_to_image import TextToImage

    with processes(_device(options)) as group, claimed(RunFolder(out), group, new=True):
        if family != TEXT_TO_IMAGE:
            return _begin(family, data, out, budget, init, codec, progress, started, options, group)
        if init is not None or options.get("condition", "caption") != "caption":
            raise DaedalError("Text to image learns captions, and from nothing", "Leave --init and --condition away")
        prior = options.pop("prior", "tokens")
        if prior == "flow":  # all in one stage
            options = {**options, "condition": "caption"}
            return _begin(prior, data, out, budget, None, codec, progress, started, options, group)
        if prior != "tokens":
            raise DaedalError(f"There is no prior {prior!r} of text to image", "Use tokens or flow")
        request = TextToImage(
            data=absolute(data),
            budget=None if "steps" in options else parse_duration(DEFAULT_BUDGET if budget is None else budget),
            codec=None if codec is None else absolute(codec),
            options=options,
        )
        return _in_stages(Path(out), request, progress, started)


def resume(run: str | Path, progress: "Listener | None" = None, data: str | Path | None = None) -> TrainingResult:
    """Go on with a run that was stopped, to the same bits as if it had not been; `data` names where its data was moved to.

    Raises:
        DaedalError: there is no run, it is damaged, another process is at it, or its data has changed.
    """
    started = time.monotonic()
    from daedal.training.family import open_family
    from daedal.training.processes import processes
    from daedal.training.run import RunFolder, claimed
    from daedal.training.run_data import own_data
    from daedal.training.text_to_image import TextToImage

    folder = RunFolder.open(run)
    staged = folder.request.exists() and not folder.begun
    request = TextToImage.read(folder.request) if staged else None
    device = folder.plan.device if request is None else _device(request.options)
    with processes(device) as group, claimed(folder, group):
        if request is not None:
            if data is None and RunFolder(folder.tokens).begun:
                data = own_data(RunFolder(folder.tokens)).folder
            request = request if data is None else request.but(data=absolute(data))
            return _in_stages(folder.path, request, progress, started)
        plan = folder.plan
        home = absolute(own_data(folder).folder if data is None else data)
        plan = plan if plan.data == home else plan.but(data=home)
        # what another model brought is in the run's own checkpoint by now, were the other to be gone
        init = str(folder.path) if plan.init is not None and folder.state is not None else plan.init
        codec = next((str(path) for path in (folder.codec, folder.tokens) if path.is_dir()), plan.codec)
        return _train(plan, open_family(plan.family, plan.data, init, codec), folder, group, progress, started)


def load(run_or_hub_id: str | Path, **options: Any) -> "Generator":
    """A model and its codec, ready to do what the model can: its `skills`.

    A language model writes, streams, scores and chats; a model of images draws, morphs, edits and reconstructs; a CLIP matches
    pictures and texts.
    """
    from daedal.inference.generator import Generator

    return Generator.open(run_or_hub_id, **options)


def of_pictures(folder: Path) -> bool:
    """Whether a run folder is of a model of images: it has their codec."""
    from daedal.codecs.raster import IMAGE_CODEC

    return (folder / IMAGE_CODEC).is_file()


def evaluate(run_or_hub_id: str | Path, data: str | Path | None = None, **options: Any) -> "Report":
    """Measure a model on a data folder's held-out split; on its own data unless `data` is given.

    A model of images is measured against the pictures of `data`, by drawing some; a CLIP by what it finds among them.
    """
    from daedal.evaluation.evaluate import evaluate as measure

    return measure(run_or_hub_id, data, **options)


def use_fastest_threads() -> int:
    """Let PyTorch use as many CPU threads as are fastest now; see `daedal.training.machine`. For programs, not libraries."""
    from daedal.training.machine import use_fastest_threads as use

    return use()


def export(
    run: str | Path,
    to: str | Path,
    quantize: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write what Transformers and vLLM open; if `to` ends in `.gguf`, what llama.cpp and Ollama open."""
    from daedal.interop.export import export as write

    return write(run, to, quantize, progress)


# -- the parts of training ---------------------------------------------------------------------------------------------


def _in_stages(out: Path, request: "TextToImage", progress: "Listener | None", started: float) -> TrainingResult:
    """The tokens of pictures, then a GPT over them; goes on where it stands."""
    from daedal.files import write_json
    from daedal.training.family import open_family
    from daedal.training.picture_rules import require_captions
    from daedal.training.pictures import PictureFamily
    from daedal.training.processes import processes
    from daedal.training.run import RunFolder, claimed

    opened = open_family("vqvae", request.data)
    assert isinstance(opened, PictureFamily)
    require_captions(opened.dataset)
    folder = RunFolder(out)
    codec, budget = request.codec, request.budget
    with processes(_device(request.options)) as group:
        if group.main:
            write_json(folder.request, request.model_dump())
        if codec is None:
            tokens = RunFolder(folder.tokens)
            codec, share = str(tokens.path), None if budget is None else _TOKENS_SHARE * budget
            budget = None if budget is None else (1 - _TOKENS_SHARE) * budget
            begun, measured = group.agree([tokens.begun, tokens.measured])
            if not begun:
                shared = {name: request.options[name] for name in _SHARED if name in request.options}
                with claimed(tokens, group, new=True), _part_of_budget(_TOKENS_SHARE, "the tokenizer"):
                    first = _begin(
                        "vqvae", request.data, tokens.path, share, None, None, progress, started, shared, group
                    )
            elif not measured:
                first = resume(tokens.path, progress, request.data)
            if group.main and not measured:
                write_json(folder.request, request.but(spent=first.seconds).model_dump())
        options = {**request.options, "condition": "caption"}
        with _part_of_budget(1.0 if request.codec is not None else 1 - _TOKENS_SHARE, "the GPT"):
            return _begin("gpt", request.data, out, budget, None, codec, progress, time.monotonic(), options, group)


@contextmanager
def _part_of_budget(share: float, what: str) -> Iterator[None]:
    """A stage that has a share of a budget: where that is too short, the line tells what the whole should be."""
    from daedal.training.choice import ShortBudget

    try:
        yield
    except ShortBudget as error:
        raise (error if share == 1 else error.of_share(share, what)) from None


def _begin(
    family: str,
    data: str | Path,
    out: str | Path,
    budget: str | float | None,
    init: str | None,
    codec: str | Path | None,
    progress: "Listener | None",
    started: float,
    options: dict[str, Any],
    group: "Processes",
) -> TrainingResult:
    """A run of one model, in a folder that is known to be free."""
    from daedal.training.run import RunFolder

    plan, opened = _plan(family, data, budget, init, codec, options, group)
    return _train(plan, opened, RunFolder(out), group, progress, started)


def _device(options: dict[str, Any]) -> str:
    from daedal.training.machine import choose_device

    return choose_device(options.get("device"))


def _plan(
    family: str,
    data: str | Path,
    budget: str | float | None,
    init: str | None,
    codec: str | Path | None,
    options: dict[str, Any],
    group: "Processes | None" = None,
) -> "tuple[Plan, Family]":
    from daedal.training.family import open_family
    from daedal.training.machine import measure_machine
    from daedal.training.plan import options_of
    from daedal.training.plans import plan_class
    from daedal.training.run_data import fingerprint_of

    plans = plan_class(family)
    given = options_of(plans).parse(options, "plan").model_dump(exclude_none=True)
    seconds = None if budget is None else parse_duration(budget)
    if init is not None and Path(init).is_dir():
        init = absolute(init)  # and not an id of the hub
    opened = open_family(family, absolute(data), init, None if codec is None else absolute(codec))
    if group is not None and not group.main:
        return plans.parse(group.agree(None), "plan"), opened
    machine = measure_machine(given.get("device"), given.get("threads"), given.get("precision"))
    plan = opened.make_plan(seconds, machine, given)
    plan = plan.but(fingerprint=fingerprint_of(opened.dataset, plan))
    if group is not None:
        group.agree(plan.model_dump())
    return plan, opened


def _train(
    plan: "Plan", opened: "Family", run: "RunFolder", group: "Processes", listener: "Listener | None", started: float
) -> TrainingResult:
    import torch

    from daedal.evaluation.evaluate import seconds_for, seconds_to_leave
    from daedal.evaluation.evaluator import NotMeasurable
    from daedal.training.language import LanguageTask
    from daedal.training.memory import keep_freed_memory
    from daedal.training.metrics import Silence
    from daedal.training.text_to_image import TextToImage
    from daedal.training.trainer import Trainer

    watcher: Listener = listener if listener is not None and group.main else Silence()
    if group.main:
        run.write_plan(plan)
    group.wait()
    watcher.planned(plan)
    torch.set_num_threads(plan.threads)
    keep_freed_memory()
    task = opened.task(plan)
    torch.manual_seed(plan.seed)  # dropout's
    measuring: dict[str, Any] = {} if isinstance(task, LanguageTask) else {"seconds": seconds_for(plan)}
    try:
        reserve, why = seconds_to_leave(task, plan), None
    except NotMeasurable as error:
        reserve, why = 0.0, error
        watcher.noted(f"The run will not be measured: {error}")
    trainer = Trainer(task, plan, run, group, watcher, time.monotonic() - started, reserve)
    trainer.train()
    text, done = "", "Trained"
    if group.main:
        try:
            if why is not None:
                raise why
            watcher.noted("measuring")
            text, done = evaluate(run.path, **measuring).summary(), "Trained and measured"
        except NotMeasurable as error:  # what holds out too little can be learned, though not measured
            text = f"Not measured: {error}"
    group.wait()
    seconds = trainer.pace.elapsed + (TextToImage.read(run.request).spent if run.request.exists() else 0.0)
    if group.main:
        text += f"\n{done} in {format_duration(seconds)}. Run folder: {run.path}"
    return TrainingResult(run=run.path, steps=trainer.step, seconds=seconds, text=text)
