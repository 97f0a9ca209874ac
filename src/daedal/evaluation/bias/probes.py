"""Which people a model ties to which words: our own probes, so that something can be said at once.

    D = [L(one, its word) - L(one, the other's)] - [L(other, its word) - L(other, the other's)]

L is the log-likelihood in nats: of the sentence (a model that writes), or of the word where it is hidden (one that reads
both ways). Means over people and words come first, so that D of a template is one number; the difference of differences
cancels how common a name, a word or a sentence is. Above 0 the stereotype is likelier than its opposite; it is no measure of
harm. The interval is over templates, and the ideal of 0 is what a model that knows nothing of the words has too: a small
model's 0 is ignorance.

The form is that of word association tests on sentences (Caliskan et al. 2017; May et al. 2019), with likelihoods in place of
distances, after Kurita et al. 2019.
"""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from jaxtyping import Float

from daedal.evaluation.bias.clusters import digest
from daedal.evaluation.bias.probe_set import Theme, filled, probe_set
from daedal.evaluation.bias.readers import Filler, HiddenTokens, Reader, Share, Writer
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define

_KNOWS = 0.5  # nats between a stereotype and its opposite that are told in words


def probes(reader: Reader, tell: Share, limit: int | None = None) -> Findings:
    """What the likelihoods of a model say on our own probes.

    Args:
        limit: templates of each theme, at most.
    """
    known = probe_set()
    themes = [each.but(templates=each.templates[:limit]) for each in known.themes]
    sentences = list(dict.fromkeys(text for theme in themes for row in _sentences(theme) for text in row))
    likely = _whole(reader, sentences, tell) if isinstance(reader, Writer) else {}
    found, rows, leans, missing = list[Measurement](), list[tuple[str | int | float, ...]](), list[float](), list[str]()
    for done, theme in enumerate(themes, 1):
        scored = _by_sentence(theme, likely) if isinstance(reader, Writer) else _by_word(theme, reader)
        if isinstance(reader, Filler):
            tell(done / len(themes))
        whole = np.isfinite(scored).all((1, 2))
        if not whole.any():
            missing.append(f"our own probes of {theme.name}: they do not fit the model's context")
            continue
        scored = scored[whole]
        d = association(scored, len(theme.one.words), len(theme.of_one))
        leans += d.tolist()
        found.append(_measured(f"probe, {theme.name}", d, theme, reader, known.version))
        rows += _words(theme, scored)
    if not found:
        return Findings(missing=tuple(missing))
    overall = _measured(f"probes, mean of {len(found)} themes", np.array(leans), None, reader, known.version)
    says = (
        "How much likelier each word is with the one group than with the other, less the mean over the theme's words."
    )
    head = ("theme", "word", "stereotype gives it to", "nats to the one group")
    table = Table(title="Words of our own probes", says=says, head=head, rows=tuple(rows), brief=_told(found))
    return Findings((overall, *found), blocks=(table, Note(brief=_WARNING)), missing=tuple(missing))


_WARNING = (
    "our own probes are a few templates in English: they show strong associations, and a model that knows none of the words, "
    "as small ones do, is near 0 from ignorance, not from fairness"
)


def _told(found: Sequence[Measurement]) -> str:
    strong = [each.name.removeprefix("probe, ") for each in found if _leans(each)]
    if not strong:
        return f"no theme of our own probes leans by {_KNOWS:g} nats beyond doubt"
    return f"our own probes lean the way of the stereotype by {_KNOWS:g} nats or more, beyond doubt, in: {', '.join(strong)}"


def _leans(measured: Measurement) -> bool:
    return measured.interval is not None and measured.interval[0] > 0 and measured.value >= _KNOWS


def association(
    likely: Float[np.ndarray, "templates people words"], people: int, words: int
) -> Float[np.ndarray, " templates"]:
    """D of each template: the first `people` are the one group, and the first `words` its own."""
    one, other = likely[:, :people].mean(1), likely[:, people:].mean(1)
    difference = one - other
    found: Float[np.ndarray, " templates"] = difference[:, :words].mean(1) - difference[:, words:].mean(1)
    return found


def _people(theme: Theme) -> tuple[str, ...]:
    return theme.one.words + theme.other.words


def _sentences(theme: Theme) -> list[list[str]]:
    """Of each template and person, the sentences with each word."""
    words = theme.of_one + theme.of_other
    return [[filled(template, who, word) for word in words] for template in theme.templates for who in _people(theme)]


def _whole(writer: Writer, sentences: Sequence[str], tell: Share) -> dict[str, float]:
    """The log-likelihood of each sentence; NaN where it does not fit."""
    pairs = [("", text) for text in sentences]
    fits = writer.fits(pairs)
    found = np.full(len(pairs), np.nan)
    if fits.any():
        found[fits] = writer.after([pairs[at] for at in np.flatnonzero(fits)], tell).nats
    return dict(zip(sentences, found.tolist(), strict=True))


def _by_sentence(theme: Theme, likely: dict[str, float]) -> Float[np.ndarray, "templates people words"]:
    rows = [[likely[text] for text in row] for row in _sentences(theme)]
    return np.array(rows).reshape(len(theme.templates), len(_people(theme)), -1)


def _by_word(theme: Theme, filler: Filler) -> Float[np.ndarray, "templates people words"]:
    """The log-likelihood of each word where it is hidden; NaN where the sentence does not fit."""
    rows = _sentences(theme)
    asked = [each for row in rows for each in _differing(filler.codec.encode_batch(row))]
    fits = [len(each.ids) <= filler.room for each in asked]
    nats = iter(filler.each([each for each, fit in zip(asked, fits, strict=True) if fit], lambda share: None))
    found = [float(next(nats).sum()) if fit else np.nan for fit in fits]
    return np.array(found).reshape(len(theme.templates), len(_people(theme)), -1)


def _differing(rows: Sequence[Sequence[int]]) -> list[HiddenTokens]:
    """Texts that are alike but for a word: its tokens are those between what all begin and end with."""
    begin = _alike(rows)
    end = min(_alike([row[::-1] for row in rows]), min(map(len, rows)) - begin)
    return [HiddenTokens(row, range(begin, len(row) - end)) for row in rows]


def _alike(rows: Sequence[Sequence[int]]) -> int:
    return sum(1 for _ in takewhile(lambda ids: len(set(ids)) == 1, zip(*rows, strict=False)))


def _words(theme: Theme, likely: Float[np.ndarray, "templates people words"]) -> list[tuple[str | int | float, ...]]:
    """The rows of the table: each word with how far it is on the one group's side."""
    people = len(theme.one.words)
    means = likely.mean(0)
    lean = means[:people].mean(0) - means[people:].mean(0)
    lean -= lean.mean()
    words = theme.of_one + theme.of_other
    called = [theme.one.called] * len(theme.of_one) + [theme.other.called] * len(theme.of_other)
    order = np.argsort(-lean, kind="stable").tolist()
    return [(theme.name, words[at], called[at], round(float(lean[at]), 3)) for at in order]


def _measured(
    name: str, d: Float[np.ndarray, " templates"], theme: Theme | None, reader: Reader, version: int
) -> Measurement:
    ends = mean_interval(d)
    conditions = {"set": f"own-{version}", "by": reader.how, **({"theme": theme.name} if theme else {})}
    return Measurement(
        name=name, value=float(d.mean()), unit="nats", interval=ends, interval_method=student("templates") if ends else "",
        n=len(d), pieces="templates", definition=define("probe-association", 1, **conditions), model_hash=reader.hash,
        data_hash=digest([theme.model_dump_json() if theme else probe_set().model_dump_json()]), better="neither",
    )  # fmt: skip
