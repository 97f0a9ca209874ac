"""Running tests of prompts: everything is rendered, each model is loaded once and asked all that concerns it, then the answers
are held against the assertions, and those that ask judges ask them together."""

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from daedal import __version__
from daedal.errors import DaedalError
from daedal.evaluation.prompt_tests import judges
from daedal.evaluation.prompt_tests.assertions import JUDGED, NOT, Answer, Check, Judges, check
from daedal.evaluation.prompt_tests.outcome import ModelUsed, Outcome, Sample, TestReport, measured
from daedal.evaluation.prompt_tests.suite import Case, Provider, Suite, Template, render
from daedal.prompting.address import is_url
from daedal.prompting.respondent import Prompt, Question, Reply, Respondent, Wording

Open = Callable[[str], Respondent]
Tell = Callable[[float, float | None, str], None]


class _Asked(NamedTuple):
    """A case of a prompt, and how its answers are worded by a model."""

    template: Template
    case: Case
    prompt: Prompt
    wording: Wording
    samples: int


def run_tests(
    suite: Suite,
    opened: Open,
    *,
    models: Sequence[str] = (),
    repeat: int | None = None,
    target: float = 1.0,
    judge: str | None = None,
    embedder: str | None = None,
    wording: Mapping[str, Any] | None = None,
    chat: bool = False,
    seed: int = 0,
    tell: Tell | None = None,
) -> TestReport:
    """Ask every model every prompt of every case, and say what passed.

    Args:
        opened: gives who answers by a run folder, an id or a URL.
        models: in place of the file's own.
        repeat: samples of each case, in place of the file's own number.
        target: the share of samples that is to pass, for cases that do not say.
        judge: whom `llm-rubric` asks, unless the file says.
        embedder: what `similar` goes by.
        wording: values of how answers are worded; those of a model in the file go before them, those of a prompt before both.
        chat: texts are put as a message of a user.
        seed: of the answers.
        tell: of answers, of how many, and what is done.

    Raises:
        DaedalError: a value is missing, a model cannot be asked, or there is no judge where one is needed.
    """
    started = time.monotonic()
    providers = tuple(Provider(each, each, {}) for each in models) or suite.providers
    if not providers:
        raise DaedalError(f"{suite.name} names no model", "Give --models RUN or URL, or write providers: into the file")
    if len({each.label for each in providers}) < len(providers):
        raise DaedalError("A model is named twice", "Name each once, or give each a label of its own")
    count = suite.repeat if repeat is None else repeat
    if count < 1:
        raise DaedalError(f"{count} samples of each case are none", "Ask for one at least")
    if not 0 < target <= 1:
        raise DaedalError(f"{target} is no share that can pass", "Give a target above 0, of at most 1")
    _require_judge(suite, judge)
    plans = [_plan(suite, provider, dict(wording or {}), count, chat, seed) for provider in providers]
    total = sum(asked.samples for plan in plans for asked in plan)
    done = 0

    def answered(doing: str) -> None:
        nonlocal done
        done += 1
        if tell is not None:
            tell(done, total, doing)

    answers: list[list[list[Reply]]] = []
    used: dict[str, ModelUsed] = {}
    for provider, plan in zip(providers, plans, strict=True):
        if tell is not None:
            tell(done, total, f"loading {provider.label}")
        respondent = opened(provider.place)
        used[provider.label] = ModelUsed(name=provider.label, identity=respondent.identity)
        answers.append(_answers(respondent, plan, functools.partial(answered, provider.label)))
        del respondent  # before the next is loaded
    everyone = _Judging(opened, judge)
    held = _held(plans, answers, everyone, embedder, tell)
    outcomes = tuple(
        _outcome(provider, asked, samples, target)
        for provider, plan, found in zip(providers, plans, held, strict=True)
        for asked, samples in zip(plan, found, strict=True)
    )
    hashes = {name: each.identity for name, each in used.items()}
    alike = any(each.type.removeprefix(NOT) == "similar" for case in suite.cases for each in case.assertions)
    return TestReport(
        daedal=__version__, name=suite.name, file_hash=suite.hash, repeat=count, seed=seed, models=tuple(used.values()),
        likeness=(f"the cosine of {embedder}'s vectors" if embedder else judges.TRIGRAMS) if alike else None,
        judges=everyone.used, outcomes=outcomes, measurements=measured(outcomes, hashes, suite.hash, seed),
        seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip


def _require_judge(suite: Suite, judge: str | None) -> None:
    for case in suite.cases:
        for each in case.assertions:
            if each.type.removeprefix(NOT) == "llm-rubric" and each.judge is None and judge is None:
                raise DaedalError(f"{case.name}: llm-rubric has no judge", "Give --judge RUN or URL")


class _Judging:
    """The models that judge, each loaded once."""

    def __init__(self, opened: Open, given: str | None) -> None:
        self._opened, self._given = opened, given
        self._known: dict[str, Respondent] = {}

    def __call__(self, name: str | None) -> Respondent:
        place = name or self._given
        assert place is not None, "it was made sure of before"
        if place not in self._known:
            self._known[place] = self._opened(place)
        return self._known[place]

    @property
    def used(self) -> tuple[ModelUsed, ...]:
        return tuple(ModelUsed(name=name, identity=each.identity) for name, each in self._known.items())


def _plan(
    suite: Suite, provider: Provider, wording: Mapping[str, Any], count: int, chat: bool, seed: int
) -> list[_Asked]:
    """What a model is asked. Greedy answers of a model on this machine are all the same: one is asked for."""
    here = not is_url(provider.place)
    plan = []
    for template in suite.templates:
        how = Wording.parse({"seed": seed, **wording, **provider.wording, **template.wording}, template.where)
        for case in suite.cases:
            prompt = template.render(case.values, case.before, case.after)
            if chat and isinstance(prompt, str):
                prompt = ({"role": "user", "content": prompt},)
            plan.append(_Asked(template, case, prompt, how, 1 if here and how.temperature == 0 else count))
    return plan


def _answers(respondent: Respondent, plan: Sequence[_Asked], answered: Callable[[], None]) -> list[list[Reply]]:
    """The replies to each question, sample by sample; questions that are worded alike are put together, equal ones once."""
    replies: list[list[Reply | None]] = [[None] * asked.samples for asked in plan]
    for wording in {asked.wording.model_dump_json(): asked.wording for asked in plan}.values():
        places: dict[str, list[tuple[int, int]]] = {}
        questions: list[Question] = []
        for number, asked in enumerate(plan):
            for sample in range(asked.samples if asked.wording == wording else 0):
                equal = places.setdefault(json.dumps([asked.prompt, sample]), [])
                if not equal:
                    questions.append(Question(asked.prompt, sample))
                equal.append((number, sample))
        askers = list(places.values())
        for place, reply in respondent.answer(questions, wording):
            for number, sample in askers[place]:
                replies[number][sample] = reply
                answered()
    return [[each for each in samples if each is not None] for samples in replies]


def _held(
    plans: Sequence[Sequence[_Asked]],
    answers: Sequence[Sequence[Sequence[Reply]]],
    everyone: _Judging,
    embedder: str | None,
    tell: Tell | None,
) -> list[list[list[Sample]]]:
    """The samples with what was found of them."""
    noted = judges.Gathering()
    pairs = [
        (asked, reply)
        for plan, found in zip(plans, answers, strict=True)
        for asked, replies in zip(plan, found, strict=True)
        for reply in replies
    ]
    for asked, reply in pairs:
        _checks(asked.case, reply, noted, JUDGED)
    gathered = judges.ask(noted, everyone, embedder, tell or (lambda done, total, doing: None))
    return [
        [
            [_sample(asked.case, reply, gathered) for reply in replies]
            for asked, replies in zip(plan, found, strict=True)
        ]
        for plan, found in zip(plans, answers, strict=True)
    ]


def _sample(case: Case, reply: Reply, gathered: Judges) -> Sample:
    checks, judged = _checks(case, reply, gathered)
    weights = sum(each.weight for each in checks)
    score = sum(each.score * each.weight for each in checks) / weights if weights else 1.0
    passed = all(each.passed for each in checks if each.weight) if case.threshold is None else score >= case.threshold
    return Sample(
        text=reply.text, judged=None if judged == reply.text else judged, passed=passed, score=score, checks=tuple(checks),
        finish_reason=reply.finish_reason, seconds=reply.seconds, prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens, cost=reply.cost,
    )  # fmt: skip


def _checks(
    case: Case, reply: Reply, asked: Judges, only: Sequence[str] | None = None
) -> tuple[list[Check], str | None]:
    """What each assertion finds of an answer, and the answer after the case's transform.

    Args:
        only: these kinds.
    """
    found: list[Check] = []
    judged: str | None = reply.text
    wrong = ""
    if case.transform is not None:
        judged, wrong = _transformed(case.transform, reply.text, case)
    for each in case.assertions:
        if only is not None and each.type.removeprefix(NOT) not in only:
            continue
        text, why = judged, wrong
        if text is not None and each.transform is not None:
            text, why = _transformed(each.transform, text, case)
        if text is None:
            found.append(
                Check(type=each.type, value=each.value, passed=False, score=0.0, reason=why, weight=each.weight)
            )
            continue
        answer = Answer(text, reply)
        found.append(check(each.type, each.value, each.threshold, answer, asked, each.weight, each.metric))
    return found, judged


def _transformed(transform: str, text: str, case: Case) -> tuple[str | None, str]:
    """An answer through a template; or nothing, and why."""
    try:
        return render(transform, {**case.values, "output": text}, "the transform"), ""
    except DaedalError as error:
        return None, error.what


def _outcome(provider: Provider, asked: _Asked, samples: Sequence[Sample], target: float) -> Outcome:
    here = not is_url(provider.place)
    return Outcome(
        model=provider.label, prompt=asked.template.label, case=asked.case.name, values=dict(asked.case.values),
        asked=asked.prompt, target=target if asked.case.target is None else asked.case.target, samples=tuple(samples),
        same=here and asked.wording.temperature == 0,
    )  # fmt: skip
