"""What an audit says beside its measures: under which licences the training data stand, and how the model leans."""

from importlib.util import find_spec
from pathlib import Path

from daedal.evaluation.blocks import Block, Note, Table
from daedal.evaluation.evaluator import Findings, Tell
from daedal.families import part
from daedal.inference.generator import Generator

_UNKNOWN = "NOASSERTION"
_MOST = 40
"""Probes that are asked, of each sort."""


def licences(folder: Path) -> Findings:
    """The licences of a data folder, source by source, and what they ask."""
    if find_spec("daedal.data.licences") is None:
        return Findings()
    ledger = part("daedal.data.licences:licence_ledger")(folder)
    rows = tuple(
        (Path(each.source).name or each.source, each.licence, each.how, each.files)
        for each in sorted(ledger.entries, key=lambda each: -each.files)
    )
    said = list(ledger.obligations)
    unknown = sum(each.files for each in ledger.entries if each.licence == _UNKNOWN)
    if unknown:
        said.insert(0, f"nobody says under which licence {unknown:,} of {sum(row[-1] for row in rows):,} files stand")
    table = Table(title="Licences", head=("source", "licence", "known by", "files"), rows=rows)
    blocks: list[Block] = [*(Note(brief=each) for each in said), table]
    return Findings(blocks=tuple(blocks))


def leanings(model: Generator, tell: Tell) -> Findings:
    """How a model leans, by the short probes of `daedal bias`."""
    if find_spec("daedal.evaluation.bias") is None:
        return Findings()
    tell(0, "asking probes of bias")
    found: Findings = part("daedal.evaluation.bias.measure:quick_probes")(
        model, lambda done: tell(done, "asking probes of bias"), _MOST
    )
    return found
