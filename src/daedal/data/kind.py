"""What a kind of example declares. Everything else is the one build's: files and archives, workers, resuming, copies, splits,
codecs, the card.

    KIND = Kind(
        name="labelled",
        columns={"text": Ragged(), "label": Classes()},
        key=("text",),
        recognise=recognise,      # how sure it is that sources are of it
        read=read,                # files -> examples
        split=Stratified("label"),
    )
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from daedal.data.columns import Column
from daedal.data.document import Coded, Example, Lost, Mended, Note, Omitted, Raw
from daedal.data.example_options import ExampleOptions
from daedal.data.options import CommonOptions
from daedal.data.peek import Sources
from daedal.data.sources import Named, Unit, plan_units
from daedal.errors import DaedalError
from daedal.families import part
from daedal.kinds import Line, table

Found = Example | Raw | Lost | Coded | Note | Omitted | Mended
Check = Callable[[Iterable[Mapping[str, Any]]], Iterator[str]]
"""Given all examples that stay, gives what the user should know of them: a line each."""


@dataclass(frozen=True)
class Survey:
    """What a kind makes of all its examples together, before copies are looked for.

    Attributes:
        columns: those whose type follows from the examples; the others stay as they are declared.
        left_out: examples by their numbers, and why.
        notes: what the user should know.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ByHash:
    """Each example is drawn by a hash of what it says."""


@dataclass(frozen=True)
class Stratified:
    """Each class of a column has its share of every split."""

    column: str


@dataclass(frozen=True)
class InTime:
    """The last examples by a column of numbers are the test split, those before them the validation split."""

    column: str


@dataclass(frozen=True)
class InOrder:
    """Each document is drawn by a hash of what it says, or, where they are too few for that, all text is cut in its order."""


Splitter = ByHash | Stratified | InTime | InOrder


@dataclass(frozen=True)
class Kind:
    """A kind of example.

    Attributes:
        columns: of an example, by name.
        key: the columns that make two examples the same.
        recognise: how sure it is that sources are of this kind: 0 not at all, 1 certainly. 0.3 is how sure text is of what
            anybody can read.
        read: given items and options, the examples of files that are read together, and word of what was lost or decided. Each
            column's value is a text or, where it is structured, a value of JSON. It may be given the same files again, to go
            on with a stopped build.
        units: which files are read together: each alone, unless they belong together as two halves of a pair.
        split: which examples go to which split, where the source does not say.
        settle: what is to be set right in an example whose texts were cleaned; or the reason to leave it out.
        survey: given all examples, each with its number, the options, and the split of each by its source (0 for none, 1
            validation, 2 test), what follows from them together.
        together: the column of which equal values keep examples in one split.
        checks: what else the card should say of the examples.
        options: what may be asked for.
        packages: their versions decide what a build gives.
        build: its stages, a class of `daedal.data.any_build.Build`, as `module:NAME`; most are those of examples with columns.
        card: what the card tells of its data alone, as `module:NAME`; see `daedal.data.card`.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    recognise: Callable[[Sources], float]
    read: Callable[..., Iterator[Any]]
    units: Callable[[Iterable[Named]], list[Unit]] = plan_units
    split: Splitter = ByHash()
    settle: Callable[[dict[str, Any]], dict[str, Any] | str] | None = None
    survey: Callable[..., Survey] | None = None
    together: str | None = None
    checks: tuple[Check, ...] = ()
    options: type[CommonOptions] = ExampleOptions
    packages: tuple[str, ...] = ("numpy", "pyarrow", "rensa", "tokenizers")
    build: str = "daedal.data.example_build:ExampleBuild"
    card: str = "daedal.data.example_card:of_examples"

    @property
    def line(self) -> Line:
        """Its line in the table of kinds."""
        return table()[self.name]

    @property
    def nouns(self) -> str:
        """Several examples, in a word."""
        return self.line.noun[1]


def open_kind(name: str) -> Kind:
    """The kind of a name.

    Raises:
        DaedalError: there is none, or its package cannot be imported.
    """
    kinds = table()
    if name not in kinds:
        raise DaedalError(f"There is no kind of example called {name!r}", f"Choose from {', '.join(kinds)}")
    try:
        kind = part(kinds[name].home)
    except Exception as error:  # a package of somebody else's may do anything
        raise DaedalError(f"The kind {name} cannot be opened: {error}", "Install its package again") from error
    if not isinstance(kind, Kind):
        raise DaedalError(f"The kind {name} cannot be opened: {kinds[name].home} is none", "Install its package again")
    return kind
