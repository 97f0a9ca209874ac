"""The frame of every build: sources are resolved, what is there already is opened, and the stages of the kind do their work in
a folder beside the target, `.NAME.build`.

Stages leave whole files: a build that was stopped goes on from them, and ends with the same bytes. The target appears at the
end, whole, or not at all.
"""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from daedal.data.documents.formats import packages_for
from daedal.data.folder import open_data
from daedal.data.kind import Kind, open_kind
from daedal.data.manifest import MANIFEST, DataManifest
from daedal.data.opt_out import REASON, opt_out_list, without
from daedal.data.recognition import options_of, recognise
from daedal.data.request import hash_of, refuse_broken, resolve_all, told, versions
from daedal.data.sources import Named, resolve
from daedal.data.spool import Tally
from daedal.data.summary import dropped_of, ledger_of, source_of
from daedal.data.workarea import holds_request, request_of, work_area, work_path
from daedal.errors import DaedalError
from daedal.families import part
from daedal.files import atomic_folder, disk_error, write_json

if TYPE_CHECKING:
    from daedal.data.examples import ExampleDataset
    from daedal.data.images.dataset import ImageDataset
    from daedal.data.shards import Dataset

    AnyDataset: TypeAlias = Dataset | ImageDataset | ExampleDataset

Progress = Callable[[str, int, int | None], None]
"""Told a stage, what of it is done, and of how much: None while that is unknown."""


@dataclass
class Build(ABC):
    """The stages of a build; each kind has a class of them.

    Attributes:
        guessed: whether nobody said that the sources are of this kind, which is told then.
        request: a hash of everything that the outcome depends on.
        made_with: versions of packages.
        work: the folder to work in.
        processes: how many are asked for.
        advice: what to give where sources hold no example.
    """

    kind: Kind
    named: list[Named]
    options: Any
    guessed: bool
    request: str
    made_with: dict[str, str]
    work: Path
    processes: int | None
    progress: Progress

    stages: ClassVar[tuple[str, ...]]
    advice: ClassVar[str] = "Give other sources, or say what they hold with --kind"

    @abstractmethod
    def __post_init__(self) -> None:
        """See that the options can be met, and prepare the work area."""

    @property
    def noun(self) -> str:
        """One example, in a word."""
        return self.kind.line.noun[0]

    @abstractmethod
    def run(self, out: Path) -> None:
        """Do all stages, and write the data folder."""

    @abstractmethod
    def write(self, folder: Path) -> DataManifest:
        """Write the files of all splits, and give the manifest."""

    def publish(self, out: Path, count: int) -> None:
        """Write the data folder, of so many examples: it appears when it is whole."""
        self.progress("write", 0, count)
        with atomic_folder(out) as folder:
            write_json(folder / MANIFEST, self.write(folder).model_dump(mode="json"))
        self.progress("write", count, count)

    def processes_for(self, size: int, worth: int) -> int:
        """How many processes share the work: those asked for, else one where sources are too small for more to pay."""
        few = size < worth and not any(item.kind == "hub" for each in self.named for item in each.items)
        return max(1, self.processes or (1 if few else min(8, os.cpu_count() or 1)))

    def check_any(self, count: int, tally: Tally) -> None:
        """See that there are examples, and count what could not be looked at.

        Raises:
            DaedalError: the sources are one broken file, or hold no example.
        """
        for each in self.named:
            for label, reason, detail, size, _ in each.lost:
                tally.drop(reason, size, f"{label}: {detail}")
                if reason == REASON:
                    tally.count(REASON, detail.split()[1])
        if self.options.opt_out is not None:
            lines, met = opt_out_list(self.options.opt_out).lines, len(tally.counts.get(REASON, ()))
            tally.note(
                f"opt-out list {Path(self.options.opt_out).name}: {lines:,} lines, {met:,} of them met in the sources"
            )
        refuse_broken(self.named, tally)
        if not count:
            self.refuse_empty((each.source for each in self.named), tally, self.advice)

    def refuse_empty(self, sources: Iterable[str], tally: Tally, advice: str) -> NoReturn:
        """
        Raises:
            DaedalError: the sources hold no example.
        """
        chosen = next((note for note in tally.notes if "--column" in note), advice)
        raise DaedalError(f"There is no {self.noun} in {', '.join(sources)}{told(tally)}", chosen)

    def manifest_parts(self, tally: Tally) -> dict[str, Any]:
        """What the manifests of all kinds say."""
        ledger = ledger_of(self.named, self.options, tally)
        return {
            "request": self.request,
            "made_with": self.made_with,
            "options": self.options.model_dump(mode="json"),
            "sources": tuple(source_of(each, ledger) for each in self.named),
            "licences": ledger,
            "dropped": dropped_of(tally),
        }


def build_any(
    sources: Sequence[str | Path] | str | Path, out: str | Path, kind: str | None, options: Mapping[str, Any]
) -> "AnyDataset":
    """Build a data folder of a kind of example.

    Args:
        kind: its name; that of which the sources look most like, unless given.
        options: of the kind, and how to go about it: `workers`, `replace`, `progress`.

    Raises:
        DaedalError: no kind reads the sources, an option is wrong, or the build fails.
    """
    running = {name: options[name] for name in ("workers", "replace", "progress") if name in options}
    asked = {name: value for name, value in options.items() if name not in running}
    given: Sequence[str | Path | Named] = [sources] if isinstance(sources, str | Path) else sources
    if kind is None:
        target = Path(out).expanduser().absolute()
        given = [resolve(str(source), "train", target) for source in given]
    chosen = kind or recognise(given, asked)
    how = options_of(open_kind(chosen), asked)
    dataset: AnyDataset = build(given, out, how, kind=chosen, guessed=kind is None, **running)
    return dataset


def build(
    sources: Sequence[str | Path | Named] | str | Path,
    out: str | Path,
    options: Any = None,
    *,
    kind: str = "text",
    guessed: bool = False,
    workers: int | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Any:
    """Build a data folder.

    Args:
        sources: files, folders, archives, `hf:NAME[:SPLIT]`, or what is made by name, as `python-docs`; resolved or not.
        out: the folder to write.
        options: how; of the class that the kind declares.
        kind: the name of the kind of example.
        guessed: whether nobody said so, which is told then.
        workers: processes that read and encode; as many as there are cores (at most 8) where not given. The outcome is
            the same whatever their number.
        replace: write over a data folder, or drop an unfinished build, that was made otherwise.
        progress: called with a stage, what of it is done, and of how much (`None` while unknown): bytes or examples.

    Returns:
        The dataset, opened. One that was built before from the same sources with the same options is opened only.

    Raises:
        DaedalError: a source is missing, unreadable or broken, there are too few examples, `out` is something else or cannot be
            written, or holds data that was built otherwise.
    """
    declared = open_kind(kind)
    options = declared.options() if options is None else options
    out = Path(out).expanduser()
    progress = progress or _quiet
    named = resolve_all(sources, options, out.absolute())
    if options.opt_out is not None:
        listed = opt_out_list(options.opt_out)
        named = without(named, listed, partial(progress, "opt out"))
    made_with = versions(*declared.packages, *packages_for(item.label for each in named for item in each.items))
    request = hash_of(named, kind, options, made_with)
    work = work_path(out)
    if holds_request(out, request, replace) and (done := open_data(out)).whole():
        if request_of(work) == request:  # stopped between the last step and the clearing up
            shutil.rmtree(work, ignore_errors=True)
        return done
    with work_area(work, request, replace):
        holds_request(out, request, replace)  # another build may have ended there since
        try:
            stages: type[Build] = part(declared.build)
            order = (declared, named, options, guessed, request, made_with, work, workers, progress)
            stages(*order).run(out.absolute())
        except OSError as error:
            raise disk_error(error, out) from error
    return open_data(out)


def _quiet(stage: str, done: int, total: int | None) -> None:
    """No progress is shown."""
