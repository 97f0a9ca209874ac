"""What the data card of examples with columns says besides: their kind, codecs and classes, and the first of them."""

from collections.abc import Iterator

from daedal.data.card import Block, Own, counted
from daedal.data.examples import ExampleDataset
from daedal.data.options import SPLITS

_SHOWN = 160  # characters of a value
_UNITS = {"items": "items", "sound": "samples"}


def of_examples(dataset: ExampleDataset) -> Own:
    """The facts and blocks of a data folder of examples."""
    manifest, kind = dataset.manifest, dataset.kind
    # clips are all of the size that their codec tells
    ragged = [name for name, record in manifest.columns.items() if record.stored == "ragged" and record.codec != "clip"]
    learned = [name for name in ragged if any(name in each.learned for each in manifest.splits.values())]
    head = (
        *("split", kind.nouns, "bytes"),
        *(f"{_UNITS.get(manifest.columns[name].codec or '', 'tokens')} of {name}" for name in ragged),
        *(f"learned of {name}" for name in learned),
    )
    rows = tuple(
        (
            *(name, f"{each.examples:,}", f"{each.bytes:,}"),
            *(f"{each.ids.get(column, 0):,}" for column in ragged),
            *(f"{each.learned.get(column, 0):,}" for column in learned),
        )
        for name, each in ((name, manifest.splits[name]) for name in SPLITS)
    )
    classes = []
    for name, record in manifest.columns.items():
        if record.names:
            counts = [manifest.splits[split].classes.get(name, ()) for split in SPLITS]
            each_class = (
                (each, *(f"{of[number]:,}" if of else "0" for of in counts)) for number, each in enumerate(record.names)
            )
            one = "tag" if record.stored == "tags" else "class"
            title = "Tags of words" if record.stored == "tags" else f"Classes of {name}"
            classes.append(Block(title, (one, *SPLITS), tuple(each_class)))
    first = tuple(_first(dataset))
    return Own(
        (
            ("kind", f"{kind.name}: {kind.line.says}"),
            *((f"codec {name}", codec.described) for name, codec in manifest.codecs.items()),
        ),
        (
            Block("Splits", head, rows),
            *classes,
            *((Block("The first of the train split", rows=first),) if first else ()),
            *counted("Encodings", manifest.encodings),
            *counted("Mended and masked", manifest.mended),
        ),
    )


def _first(dataset: ExampleDataset) -> Iterator[tuple[str, str]]:
    """The values of the first example; of one that begins with another, as an answer with its prompt, what follows."""
    split = dataset.split("train")
    told: list[str] = []
    for name in dataset.kind.columns:
        value = split.first(name)
        if value is not None:
            column = dataset.column(name)
            said = column.shown(value)
            text = " | ".join(said.split("\n")) if column.structured else " ".join(said.split())
            if text:
                if column.structured:
                    begun = max((each for each in told if text.startswith(f"{each} | ")), key=len, default="")
                    told.append(text)
                    text = f"... {text.removeprefix(f'{begun} | ')}" if begun else text
                yield name, text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
