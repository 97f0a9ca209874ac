"""Questions about a text, and where in it the answer is, or that it is not there: SQuAD 1.1 and 2.0, rows of its columns; or
made of any text, where that is asked for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from daedal.data.clozes.paragraphs import articles, is_apart
from daedal.data.clozes.questions import ask
from daedal.data.columns import Ragged, Strings
from daedal.data.document import Example, Lost, Note, Raw
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import match, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.readers import Reading
from daedal.data.rows import Row, Whole, read_asked
from daedal.data.sources import Item, read_item

USUAL = {
    "question": ("question", "query", "question_text"),
    "context": ("context", "passage", "paragraph", "document", "document_text", "text"),
    "answers": ("answers", "answer", "answer_text", "annotations"),
    "start": ("answer_start", "start"),
}


class QuestionOptions(ExampleOptions):
    """
    Attributes:
        from_text: whether the sources are running text, of which questions are made: see `daedal.data.clozes`.
        most: questions that are made of a paragraph.
        unanswerable: the share of them that their paragraph does not answer.
    """

    from_text: bool = False
    most: int = Field(default=4, ge=1)
    unanswerable: float = Field(default=0.1, ge=0, le=1)


def recognise(sources: Sources) -> float:
    sure = [
        0.95 if _is(peek) else 0.0
        for peek in sources.peeks
        if peek.rows or (peek.whole and peek.whole.value is not None)
    ]
    return min(sure, default=0.0)


def _is(peek: Peek) -> bool:
    if peek.whole is not None:
        return _articles(peek.whole.value) is not None
    if peek.rows and all("paragraphs" in row for row in peek.rows):
        return True
    chosen = match(peek.columns, USUAL, {})
    if not {"question", "context", "answers"} <= chosen.keys():
        return False
    return any(
        _answers(_spans(row.get(chosen["context"]), row.get(chosen["answers"])), row.get(chosen.get("start", "")))
        for row in peek.rows
    )


def read(items: Sequence[Item], options: QuestionOptions) -> Iterator[Found]:
    elsewhere: Counter[str] = Counter()
    for found in _read(items, options):
        if isinstance(found, Example):
            elsewhere[found.label] += _elsewhere(found.values)
        yield found
    for label, count in elsewhere.items():
        if count:
            yield Note(
                f"{count:,} answers of {label} are not where it says: each is taken at the nearest place that says it"
            )


def _elsewhere(values: Mapping[str, Any]) -> int:
    """How many answers are in their context, but not where the source says."""
    context, answers = values["context"], values["answers"]
    if not isinstance(context, str) or not answers:
        return 0
    return sum(
        start is not None
        and text in context
        and not (isinstance(start, int) and start >= 0 and context.startswith(text, start))
        for text, start in zip(answers["text"], answers["start"], strict=True)
    )


def _read(items: Sequence[Item], options: QuestionOptions) -> Iterator[Found]:
    for item in items:
        if options.from_text:
            yield from _from_text(item, options)
            continue
        for found in read_asked(item, options, list(USUAL)):
            if isinstance(found, Whole):
                articles = _articles(found.value)
                if articles is None:
                    yield Lost(found.label, "no questions", "it is no table, and no JSON like SQuAD's", broken=False)
                else:
                    yield from _squad(found.label, articles)
            elif isinstance(found, Row):
                if "paragraphs" in found.values:
                    yield from _squad(found.label, [found.values], found.number)
                    continue
                columns = match(found.values, USUAL, options.columns)
                cells = {name: found.values.get(of) for name, of in columns.items()}
                context = cells.get("context")
                answers = _spans(context, cells.get("answers"))
                values = {
                    "question": cells.get("question"),
                    "context": context,
                    "answers": _answers(answers, cells.get("start")),
                }
                yield Example(found.label, found.number, values, split_of_name(found.label))
            else:
                yield found


def _from_text(item: Item, options: QuestionOptions) -> Iterator[Found]:
    """Questions about the paragraphs of a text."""
    number = 0
    for found in read_item(item, Reading(options.columns.get("context"), options.encoding)):
        if not isinstance(found, Raw):
            yield found
            continue
        if found.form == "code":
            yield Lost(found.label, "no prose", "nothing is asked about source code", len(found.text), broken=False)
            continue
        if is_apart(found.text):
            yield Note(f"words and marks of {found.label} stand apart, and are joined")
        yield Note("questions are made: of sentences a name, a number or a date is cut out (Lewis et al. 2019)")
        before = number
        for place, article in enumerate(articles(found.text)):
            seed = f"{options.seed} {found.label} {found.row} {place}"
            for values in ask(article, options.most, options.unanswerable, seed):
                yield Example(found.label, number, values, split_of_name(found.label))
                number += 1
        if number == before:
            why = "no paragraph of it is long enough and names anything"
            yield Lost(found.label, "nothing to ask", why, len(found.text), broken=False)


def _articles(value: Any) -> list[Any] | None:
    data = value.get("data") if isinstance(value, Mapping) else None
    return (
        data
        if isinstance(data, list) and data and all(isinstance(each, Mapping) and "paragraphs" in each for each in data)
        else None
    )


def _squad(label: str, articles: Iterable[Mapping[str, Any]], number: int = 0) -> Iterator[Found]:
    for article in articles:
        for paragraph in _objects(article.get("paragraphs")):
            for asked in _objects(paragraph.get("qas")):
                values = {
                    "question": asked.get("question"),
                    "context": paragraph.get("context"),
                    "answers": _answers([] if asked.get("is_impossible") else asked.get("answers")),
                }
                yield Example(label, number, values, split_of_name(label))
                number += 1


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _spans(context: Any, value: Any) -> Any:
    """Answers; of Natural Questions, which count words of their context, as texts and characters."""
    if not (
        isinstance(context, str)
        and isinstance(value, list)
        and any("short_answers" in each for each in _objects(value))
    ):
        return value
    words = context.split(" ")
    spans = [
        (each.get("start_token"), each.get("end_token"))
        for one in _objects(value)
        for each in _objects(one.get("short_answers"))
    ]
    return [
        {"text": " ".join(words[begin:end]), "answer_start": sum(len(word) + 1 for word in words[:begin])}
        for begin, end in spans
        if isinstance(begin, int) and isinstance(end, int) and 0 <= begin < end
    ]


def _answers(value: Any, start: Any = None) -> dict[str, Any] | None:
    """Texts of answers and where each begins in its context, in characters; none where there is no answer."""
    if isinstance(value, str):
        value = [{"text": value, "answer_start": start}] if value else []
    if isinstance(value, Mapping) and isinstance(value.get("text"), Sequence) and not isinstance(value["text"], str):
        starts = value.get("answer_start")
        starts = starts if isinstance(starts, Sequence) and starts else [None] * len(value["text"])
        value = [{"text": text, "answer_start": begin} for text, begin in zip(value["text"], starts, strict=False)]
    elif isinstance(value, Mapping):
        value = [value]
    elif isinstance(value, Sequence) and value and all(isinstance(each, str) for each in value):
        value = [{"text": text} for text in value]
    if not isinstance(value, Sequence) or not all(
        isinstance(each, Mapping) and isinstance(each.get("text"), str) for each in value
    ):
        return None
    return {"text": [each["text"] for each in value], "start": [each.get("answer_start") for each in value]}


def settle(values: dict[str, Any]) -> dict[str, Any] | str:
    """Where each answer is in the cleaned context: at its place, else at the nearest that says the same."""
    context, answers = values["context"], values["answers"]
    texts, starts = [], []
    for text, start in zip(answers["text"], answers["start"], strict=True):
        places = _places(context, text)
        if places:
            near = min(places, key=lambda place: abs(place - (start if isinstance(start, int) else 0)))
            texts.append(text)
            starts.append(near)
    if answers["text"] and not texts:
        return "an answer that is not in its context"
    return {**values, "answers": {"text": texts, "start": starts}}


def _places(context: str, text: str) -> list[int]:
    found: list[int] = []
    place = context.find(text) if text else -1
    while place >= 0 and len(found) < 1000:
        found.append(place)
        place = context.find(text, place + 1)
    return found


def facts(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How many questions have no answer, and how many contexts there are."""
    contexts: Counter[str] = Counter()
    without = 0
    for example in examples:
        contexts[example["context"]] += 1
        without += not example["answers"]["text"]
    count = sum(contexts.values())
    if count:
        yield f"{count:,} questions about {len(contexts):,} texts; those about one text are in one split"
    if without:
        yield f"{without:,} have no answer in their text"


KIND = Kind(
    name="questions",
    columns={"question": Ragged(), "context": Ragged(near=False), "answers": Strings(structured=True)},
    key=("question", "context"),
    recognise=recognise,
    read=read,
    settle=settle,
    together="context",
    checks=(facts,),
    options=QuestionOptions,
)
