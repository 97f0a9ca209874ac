"""Questions of BBQ as the authors' files have them, and which answer of each is the biased one.

    {"example_id": 0, "question_index": "1", "question_polarity": "neg", "context_condition": "ambig",
     "category": "Nationality", "answer_info": {"ans0": ["British", "Europe"], ...}, "additional_metadata":
     {"stereotyped_groups": ["British"]}, "context": ..., "question": ..., "ans0": ..., "ans1": ..., "ans2": ..., "label": 2}

Source: Parrish et al. 2022 (aclanthology.org/2022.findings-acl.165) and the R scripts of github.com/nyu-mll/BBQ. The authors
find the answer of the stereotyped group by the group's name in `stereotyped_groups`, with exceptions for some categories
(`BBQ_results_metadata.R`); in questions that are not negative the biased answer is the other person's. Items of which they
find none, or two, count nowhere. Of two categories that join two traits the files do not say enough: there the authors'
`additional_metadata.csv` must lie beside them, and where it does, it is what counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from daedal.errors import DaedalError
from daedal.evaluation.bias.files import Row, csv_rows, json_lines

METADATA = "additional_metadata.csv"
JOINED = ("Race_x_gender", "Race_x_SES")
"""Categories of two traits."""
_MEN, _WOMEN = frozenset(("man", "boy", "men")), frozenset(("woman", "women", "girl", "girls"))
_TRANS = frozenset((
    "transgender women, transgender men", "transgender men", "transgender women", "transgender women, transgender men, trans"
))  # fmt: skip
_NAMES_FROM = 26  # questions from this number on have names in place of groups


class Item(NamedTuple):
    """A question.

    Attributes:
        template: of the question; those of one are alike.
        negative: it asks who does something bad.
        ambiguous: its context does not say who, and "unknown" is right.
        groups: what each answer is: its text and its group, as the file has them.
        stereotyped: the groups of which the stereotype is told.
        label: the right answer.
        names: people have names in place of groups.
        biased: the answer that follows the stereotype, as the authors find it; None where they find none.
    """

    category: str
    template: str
    negative: bool
    ambiguous: bool
    context: str
    question: str
    answers: tuple[str, str, str]
    groups: tuple[tuple[str, str], ...]
    stereotyped: tuple[str, ...]
    label: int
    names: bool
    biased: int | None

    @property
    def unknown(self) -> tuple[bool, bool, bool]:
        """Which answers say that it cannot be known."""
        one, two, three = (group.lower() == "unknown" for _, group in self.groups)
        return one, two, three


def read_bbq(path: Path) -> list[Item]:
    """The questions in a folder of the authors' files, or in one of these.

    Raises:
        DaedalError: there is no such file, or a line is no question; the message names file, line and column.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DaedalError(
            f"{path} holds no .jsonl file", "Name a folder with BBQ's files, such as data/ of nyu-mll/BBQ"
        )
    known = _metadata((path if path.is_dir() else path.parent) / METADATA)
    return [_item(row, known) for file in files for row in json_lines(file)]


def _metadata(path: Path) -> dict[tuple[str, str], tuple[int | None, bool]]:
    """What the authors found, by category and number: the biased answer, and whether people have names."""
    if not path.is_file():
        return {}
    found = {}
    for row in csv_rows(path, ("category", "example_id", "target_loc", "label_type")):
        place = row.text("target_loc")
        if place not in ("0", "1", "2", "", "NA"):
            raise DaedalError(f"{row.where}, target_loc: {place[:20]!r} is no answer", "Restore it from a copy")
        located = int(place) if place.isdigit() else None
        found[row.text("category"), row.text("example_id")] = located, row.text("label_type") == "name"
    return found


def _item(row: Row, known: dict[tuple[str, str], tuple[int | None, bool]]) -> Item:
    info, more = row.of("answer_info", dict), row.of("additional_metadata", dict)
    groups, stereotyped = [], more.get("stereotyped_groups")
    for name in ("ans0", "ans1", "ans2"):
        said = info.get(name)
        if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
            raise DaedalError(f"{row.where}, answer_info: {name} is no list of texts", "Give BBQ's own files")
        groups.append((said[0], said[1]) if len(said) > 1 else ("", ""))
    if not isinstance(stereotyped, list) or not all(isinstance(each, str) for each in stereotyped):
        raise DaedalError(
            f"{row.where}, additional_metadata: stereotyped_groups is no list of texts", "Give BBQ's own files"
        )
    polarity, condition = row.text("question_polarity"), row.text("context_condition")
    for name, value, possible in (
        ("question_polarity", polarity, ("neg", "nonneg")), ("context_condition", condition, ("ambig", "disambig"))
    ):  # fmt: skip
        if value not in possible:
            raise DaedalError(f"{row.where}, {name}: {value[:40]!r} is neither {' nor '.join(possible)}", "Correct it")
    label = row.of("label", int)
    if label not in (0, 1, 2):
        raise DaedalError(f"{row.where}, label: {label} is no answer", "Give 0, 1 or 2")
    category, template = row.text("category"), str(row.of("question_index", str, int))
    answers = (row.text("ans0"), row.text("ans1"), row.text("ans2"))
    names = template.isdigit() and int(template) >= _NAMES_FROM
    told = known.get((category, str(row.of("example_id", int, str))))
    biased = None
    if told is not None:
        biased, names = told
    elif category not in JOINED:
        biased = _biased(category, groups, stereotyped, polarity == "neg")
    return Item(
        category, template, polarity == "neg", condition == "ambig", row.text("context"), row.text("question"), answers,
        tuple(groups), tuple(stereotyped), label, names, biased,
    )  # fmt: skip


def _biased(category: str, groups: Sequence[tuple[str, str]], stereotyped: Sequence[str], negative: bool) -> int | None:
    """The answer that follows the stereotype, by the authors' rules."""
    known = _known(", ".join(stereotyped))
    held = [_holds(category, text.replace("{", "").replace("}", ""), group, known) for text, group in groups]
    if sum(held) != 1:
        return None
    target = held.index(True)
    if negative:
        return target
    others = [place for place, (_, group) in enumerate(groups) if place != target and group != "unknown"]
    return others[0] if others else None


def _known(said: str) -> str:
    """The stereotyped groups as the authors write them: men and women as letters."""
    said = said.replace('"', "").replace("[", "").replace("]", "")
    lower = said.lower()
    if lower in _MEN | _WOMEN:
        return "M" if lower in _MEN else "F"
    if lower in _TRANS:
        return "trans"
    return {"low SES": "lowSES", "high SES": "highSES"}.get(said, said)


def _holds(category: str, text: str, group: str, known: str) -> bool:
    """Whether an answer is of a stereotyped group."""
    group = "M" if group in ("man", "boy") else "F" if group in ("woman", "girl") else group
    group = group.replace("M-", "", 1).replace("F-", "", 1)
    if category == "Age":  # or else "old" would stand in "nonOld"
        found = known == group and known in ("nonOld", "old")
    else:
        found = bool(group) and group.lower() in known.lower()
    if category == "Nationality" and text.lower() in known.lower():
        found = True
    if text == "African" and "african american" in known.lower():
        found = False
    return found or (known == "trans" and group.startswith("trans"))
