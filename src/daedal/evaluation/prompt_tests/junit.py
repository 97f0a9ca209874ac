"""A report of prompt tests as JUnit XML, which systems for continuous integration read.

A case that failed is a failure, one that is unsure is skipped, with its reason: nothing is red that chance explains. Characters
that XML 1.0 does not have are replaced by U+FFFD.
"""

import re
import xml.etree.ElementTree as ET

from daedal.evaluation.prompt_tests.outcome import Outcome, TestReport
from daedal.evaluation.prompt_tests.terminal import between, share

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_LETTERS = 10_000


def junit(report: TestReport) -> str:
    """The XML; a suite for each model and prompt."""
    root = ET.Element("testsuites", _counts(report.outcomes, report.name))
    for model, prompt in report.pairs:
        own = tuple(each for each in report.outcomes if (each.model, each.prompt) == (model, prompt))
        suite = ET.SubElement(root, "testsuite", _counts(own, f"{prompt} [{model}]"))
        names: dict[str, int] = {}
        for each in own:
            names[each.case] = names.get(each.case, 0) + 1
            again = f" ({names[each.case]})" if names[each.case] > 1 else ""
            _case(suite, each, f"{report.name}.{model}.{prompt}", each.case + again)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(outcomes: tuple[Outcome, ...], name: str) -> dict[str, str]:
    statuses = [each.status for each in outcomes]
    return {
        "name": _clean(name), "tests": str(len(outcomes)), "failures": str(statuses.count("failed")), "errors": "0",
        "skipped": str(statuses.count("unsure")), "time": f"{sum(map(_seconds, outcomes)):.3f}",
    }  # fmt: skip


def _case(suite: ET.Element, each: Outcome, group: str, name: str) -> None:
    case = ET.SubElement(
        suite, "testcase", {"name": _clean(name), "classname": _clean(group), "time": f"{_seconds(each):.3f}"}
    )
    interval = f", {between(each)}" if between(each) else ""
    told = f"{share(each)} samples passed{interval}, and {each.target:.0%} are asked"
    if each.status == "failed":
        failure = ET.SubElement(
            case, "failure", {"message": _clean(f"{told}: {'; '.join(each.reasons)}"), "type": "assert"}
        )
        failure.text = _clean("\n".join(each.reasons))
    elif each.status == "unsure":
        ET.SubElement(case, "skipped", {"message": _clean(f"unsure: {told}: {'; '.join(each.reasons)}")})
    said = [f"{told}{'; flaky' if each.flaky else ''}", *(sample.text for sample in each.samples)]
    ET.SubElement(case, "system-out").text = _clean("\n---\n".join(said))


def _seconds(each: Outcome) -> float:
    return sum(sample.seconds for sample in each.samples)


def _clean(text: str) -> str:
    cut = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    return _FORBIDDEN.sub("\ufffd", cut)
