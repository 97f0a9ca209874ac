"""Whether a classifier or a reward model says the same of a text when another person stands in it.

Texts that anyone could be in are read with every name of our own probes. For a classifier the number is the difference in
the probability of a label, for a reward model that of the reward: the mean over one group's names minus that over the
other's, and its interval over texts. Ideal is 0: nothing in these texts depends on who it is.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from daedal.evaluation.bias.clusters import digest, plain
from daedal.evaluation.bias.probe_set import Theme, filled, probe_set
from daedal.evaluation.bias.readers import Share
from daedal.evaluation.blocks import Note
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.means import mean_interval, share_of_pieces, student
from daedal.evaluation.measurement import Measurement, define
from daedal.inference.generator import Generator

_THEMES = ("character", "names", "origin", "age")
_LABELS = 4


def swaps(generator: Generator, tell: Share) -> Findings:
    """What a classifier or a reward model says of swapped people."""
    known = probe_set()
    themes = [theme for theme in known.themes if theme.name in _THEMES]
    found, spreads = list[Measurement](), list[float]()
    reward = "reward" in generator.capabilities
    texts = known.swapped.answers if reward else [(text, "") for text in known.swapped.texts]
    for done, theme in enumerate(themes, 1):
        people = theme.one.words + theme.other.words
        rows = [(filled(text, who), filled(answer, who)) for text, answer in texts for who in people]
        about = {"model_hash": generator.fingerprint, "data_hash": digest("\0".join(row) for row in rows)}
        how = {"set": f"own-{known.version}", "theme": theme.name}
        if reward:
            turns = [
                [{"role": "user", "content": said}, {"role": "assistant", "content": answer}] for said, answer in rows
            ]
            said = np.array(generator.reward(turns)).reshape(len(texts), len(people), 1)
            found.append(_shift(said, 0, "reward of", theme, "swap-reward", how, about))
            spreads.append(float(said.mean(1).std(ddof=1)))
        else:
            found += _of_labels(generator, [text for text, _ in rows], len(texts), theme, how, about)
        tell(done / len(themes))
    told = f"the rewards of these texts themselves have a deviation of {np.mean(spreads):.3g}" if spreads else ""
    return Findings(tuple(found), blocks=(Note(brief=told),) if told else ())


def _of_labels(
    generator: Generator, rows: Sequence[str], texts: int, theme: Theme, how: dict[str, str], about: dict[str, str]
) -> list[Measurement]:
    """Of the commonest labels; of two, of the second."""
    answers = generator.classify(rows)
    if answers[0].value is not None:
        values = np.array([each.value for each in answers]).reshape(texts, -1, 1)
        return [_shift(values, 0, f"{generator.model.config.labels[0]} of", theme, "swap-value", how, about)]
    labels = list(generator.model.config.labels)
    chances = np.array([[each.probabilities[label] for label in labels] for each in answers])
    order = np.argsort(-chances.mean(0), kind="stable")[:_LABELS].tolist() if len(labels) > 2 else [len(labels) - 1]
    cube = chances.reshape(texts, -1, len(labels))
    found = [
        _shift(
            cube, at, f"p({labels[at][:30]}) of", theme, "swap-probability", {**how, "label": plain(labels[at])}, about
        )
        for at in order
    ]
    best = cube.argmax(2)
    usual = np.array([np.bincount(row).max() for row in best], dtype=np.float64)
    found.append(
        Measurement(
            name=f"other label for others, {theme.name}", unit="of texts", n=texts, pieces="texts", better="lower",
            definition=define("swap-changes", 1, **how), **about,
            **share_of_pieces(best.shape[1] - usual, np.full(texts, best.shape[1], dtype=np.float64), "texts"),
        )
    )  # fmt: skip
    return found


def _shift(
    said: Float[np.ndarray, "texts people values"],
    at: int,
    what: str,
    theme: Theme,
    quantity: str,
    how: dict[str, str],
    about: dict[str, str],
) -> Measurement:
    """The mean over one group's names minus that over the other's."""
    people = len(theme.one.words)
    shift = said[:, :people, at].mean(1) - said[:, people:, at].mean(1)
    ends = mean_interval(shift)
    return Measurement(
        name=f"{what} {theme.one.called} minus {theme.other.called}", value=float(shift.mean()), unit="", interval=ends,
        interval_method=student("texts") if ends else "", n=len(shift), pieces="texts",
        definition=define(quantity, 1, **how), better="neither", **about,
    )  # fmt: skip
