"""The card of data in Markdown, with the header that the Hugging Face Hub reads: the blocks of the data card, what was
measured of its risks, and what it is for."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daedal.data.card import Block, blocks_of
from daedal.data.folder import DataFolder
from daedal.data.languages import CODES
from daedal.data.licence_terms import hub_header
from daedal.evaluation.accounts import Accounts
from daedal.evaluation.card import inline, markdown_table, risk_sections
from daedal.printable import harmless, sentence

LIMITS = (
    "It holds what its sources say, with their errors and prejudices. What is masked is found by its form: names of people, "
    "and what a sentence tells of somebody, have none. Whether a model may learn from it is for its licences and the law."
)
_TASKS = {
    "text": "text-generation", "labelled": "text-classification", "pairs": "translation", "questions": "question-answering",
    "tagged": "token-classification", "chat": "text-generation", "preferences": "text-generation",
    "pictures": "image-classification", "sounds": "automatic-speech-recognition", "clips": "text-to-video",
}  # fmt: skip
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_ROWS = 40


def data_card(data: DataFolder[Any, Any], accounts: Accounts, use: str) -> str:
    """The card, in Markdown."""
    name = data.folder.name
    parts = [
        _header(data, accounts),
        f"# {inline(name)}",
        f"Data for models, built by Daedal: {inline(data.kind.line.says)}.",
        "## Use",
        use,
    ]
    names = {each.source: Path(each.source).name for each in data.manifest.sources if Path(each.source).is_absolute()}
    for block in blocks_of(data):
        parts += _block(block, names)
    parts += risk_sections(accounts, licences=False)
    return harmless("\n\n".join([*parts, "## Intended use and limits", LIMITS])) + "\n"


def _header(data: DataFolder[Any, Any], accounts: Accounts) -> str:
    manifest = data.manifest
    count = sum(
        next(getattr(record, each) for each in ("documents", "examples", "pictures") if hasattr(record, each))
        for record in manifest.splits.values()
    )
    size = next((name for most, name in _SIZES if count < most), "n>10M")
    codes = [CODES[each.name] for each in getattr(manifest, "languages", ()) if each.name in CODES]
    kind = getattr(manifest, "kind", {"daedal-data": "text", "daedal-images": "pictures"}.get(manifest.format, ""))
    task = _TASKS.get(kind)
    return "\n".join(
        [
            "---", *hub_header(accounts.licences.licences), f"pretty_name: {json.dumps(data.folder.name)}",
            *(["language:", *(f"- {each}" for each in codes)] if codes else []),
            *(["task_categories:", f"- {task}"] if task else []),
            "size_categories:", f"- {size}", "tags:", "- daedal", f"- {json.dumps(kind)}", "---",
        ]
    )  # fmt: skip


def _block(block: Block, names: Mapping[str, str]) -> list[str]:
    """A block; of sources the names, and not where they lay on somebody's disk."""

    def cell(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return inline(text)

    parts = [f"## {inline(block.title)}"] if block.title else []
    rows = [*block.rows, *((name, f"{length:,}") for name, length in block.bars)][:_ROWS]
    if rows:
        width = max(map(len, rows))
        head = tuple(map(inline, block.head)) or ("",) * width
        cells = [tuple(cell(row[at]) if at < len(row) else "" for at in range(width)) for row in rows]
        parts.append(markdown_table(head, cells))
    parts += [sentence(inline(line)) for line in block.lines]
    return [
        *parts,
        *([", ".join(f"`{each.replace('`', '')}`" for each in map(inline, block.examples))] if block.examples else []),
    ]
