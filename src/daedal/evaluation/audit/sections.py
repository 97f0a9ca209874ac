"""What an audit says beside its measures: under which licences the training data stand, and how the model leans."""

from pathlib import Path

from daedal.data.licence_terms import UNKNOWN
from daedal.data.licences import licence_ledger
from daedal.evaluation.bias.measure import quick_probes
from daedal.evaluation.blocks import Block, Note, Table
from daedal.evaluation.evaluator import Findings, Tell
from daedal.inference.generator import Generator

_MOST = 40
"""Probes that are asked, of each sort."""


def licences(folder: Path) -> Findings:
    """The licences of a data folder, source by source, and what they ask."""
    ledger = licence_ledger(folder)
    rows = tuple(
        (Path(each.source).name or each.source, each.licence, each.how, each.files)
        for each in sorted(ledger.entries, key=lambda each: -each.files)
    )
    said = list(ledger.obligations)
    unknown = sum(each.files for each in ledger.entries if each.licence == UNKNOWN)
    if unknown:
        said.insert(0, f"nobody says under which licence {unknown:,} of {sum(row[-1] for row in rows):,} files stand")
    table = Table(title="Licences", head=("source", "licence", "known by", "files"), rows=rows)
    blocks: list[Block] = [*(Note(brief=each) for each in said), table]
    return Findings(blocks=tuple(blocks))


def leanings(model: Generator, tell: Tell) -> Findings:
    """How a model leans, by the short probes of `daedal bias`."""
    tell(0, "asking probes of bias")
    return quick_probes(model, lambda done: tell(done, "asking probes of bias"), _MOST)
